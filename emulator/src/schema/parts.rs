//! What a table is made of: columns with their types, keys and relationships.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One column.
#[derive(Debug, Clone)]
pub struct ColumnDef {
    /// `emailaddress1`
    pub logical_name: String,
    /// `EMailAddress1`
    pub schema_name: String,
    /// `Email`
    pub display_name: String,
    /// The type and its limits.
    pub kind: ColumnKind,
    /// `IsValidForCreate`
    pub creatable: bool,
    /// `IsValidForUpdate`
    pub updatable: bool,
    /// `RequiredLevel`
    pub required: RequiredLevel,
}

/// `RequiredLevel.Value`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredLevel {
    /// `None`
    None,
    /// `Recommended`
    Recommended,
    /// `ApplicationRequired`
    Application,
    /// `SystemRequired`
    System,
}

/// The type of a column.
#[derive(Debug, Clone)]
pub enum ColumnKind {
    /// `StringType`; length in UTF-16 units.
    Text {
        /// `MaxLength`
        max_length: usize,
    },
    /// `MemoType`
    Memo {
        /// `MaxLength`
        max_length: usize,
    },
    /// `IntegerType`
    Integer {
        /// `MinValue`
        min: i32,
        /// `MaxValue`
        max: i32,
    },
    /// `BigIntType`
    BigInt,
    /// `DecimalType`
    Decimal {
        /// `MinValue`
        min: rust_decimal::Decimal,
        /// `MaxValue`
        max: rust_decimal::Decimal,
        /// `Precision`
        precision: u32,
    },
    /// `DoubleType`
    Double {
        /// `MinValue`
        min: f64,
        /// `MaxValue`
        max: f64,
        /// `Precision`
        precision: u32,
    },
    /// `MoneyType`
    Money {
        /// `MinValue`
        min: rust_decimal::Decimal,
        /// `MaxValue`
        max: rust_decimal::Decimal,
        /// `Precision`
        precision: u32,
    },
    /// `BooleanType`
    Boolean {
        /// Label of true.
        true_label: String,
        /// Label of false.
        false_label: String,
        /// What a create without the column gets.
        default: bool,
    },
    /// `DateTimeType` with behaviour `DateOnly`.
    Date,
    /// `DateTimeType` with behaviour `UserLocal`.
    DateTime,
    /// `DateTimeType` with behaviour `TimeZoneIndependent`.
    DateTimeIndependent,
    /// `PicklistType`
    Picklist {
        /// Its option set.
        options: OptionSet,
    },
    /// `MultiSelectPicklistType`
    MultiSelect {
        /// Its option set.
        options: OptionSet,
    },
    /// `StateType`
    State {
        /// The states; the first is the default.
        options: Vec<OptionDef>,
    },
    /// `StatusType`
    Status {
        /// The reasons, each with its state; the first of a state is its default.
        options: Vec<OptionDef>,
    },
    /// `UniqueidentifierType`
    Guid,
    /// `FileType`: the row holds the file's id.
    File {
        /// `MaxSizeInKB`
        max_kilobytes: usize,
    },
    /// `LookupType`, `CustomerType` or `OwnerType`; targets stand in the table's relationships.
    Lookup {
        /// Which of the three.
        flavor: LookupFlavor,
    },
}

/// Which kind of lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFlavor {
    /// `Lookup`
    Lookup,
    /// `Customer`
    Customer,
    /// `Owner`
    Owner,
}

/// A set of options.
#[derive(Debug, Clone)]
pub struct OptionSet {
    /// `contact_gendercode`
    pub name: String,
    /// Whether it is a global one.
    pub global: bool,
    /// In display order.
    pub options: Vec<OptionDef>,
    /// What a create without the column gets.
    pub default: Option<i32>,
}

/// One option.
#[derive(Debug, Clone)]
pub struct OptionDef {
    /// The number.
    pub value: i32,
    /// Labels by language code (1033 always).
    pub labels: BTreeMap<u32, String>,
    /// For a status reason, its state.
    pub state: Option<i32>,
}

/// An alternate key.
#[derive(Debug, Clone)]
pub struct KeyDef {
    /// `new_extid_key`
    pub logical_name: String,
    /// `new_ExtId_Key`
    pub schema_name: String,
    /// `External id`, localised; stands in messages of the service.
    pub display_name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// `EntityKeyIndexStatus`
    pub status: KeyIndexStatus,
}

/// `EntityKeyIndexStatus`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyIndexStatus {
    /// Waiting.
    Pending,
    /// Being built.
    InProgress,
    /// Usable: unique where every column is non-null.
    Active,
    /// Could not be built.
    Failed,
}

/// A many-to-one relationship: how a lookup is written.
#[derive(Debug, Clone)]
pub struct RelationshipDef {
    /// `contact_customer_accounts`
    pub schema_name: String,
    /// The lookup column: `parentcustomerid`
    pub column: String,
    /// The table it points to: `account`
    pub target: String,
    /// `parentcustomerid_account`
    pub navigation: String,
    /// The collection on the target table's side: `contact_customer_accounts`
    pub collection: String,
    /// What a delete of the target does: `CascadeConfiguration.Delete`.
    pub on_delete: OnDelete,
    /// Whether it is told in definitions. Columns that only repeat another lookup have none that clients could follow.
    pub is_told: bool,
}

/// What becomes of lookups when the row that they point to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnDelete {
    /// `RemoveLink`: they are cleared.
    #[default]
    RemoveLink,
    /// `Restrict`: the row cannot be deleted.
    Restrict,
    /// `Cascade`: they are deleted, too.
    Cascade,
}
