//! What tables there are: the emulator's own description of them, read from JSON.

use std::collections::BTreeMap;

/// Every table of the environment, by logical name.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// By logical name.
    pub tables: BTreeMap<String, TableDef>,
}

/// One table.
#[derive(Debug, Clone)]
pub struct TableDef {
    /// `contact`
    pub logical_name: String,
    /// `Contact`
    pub schema_name: String,
    /// `contacts`
    pub entity_set: String,
    /// `Contact`, as people read it; also stands in messages of the service.
    pub display_name: String,
    /// `contactid`
    pub primary_id: String,
    /// `fullname`
    pub primary_name: Option<String>,
    /// `ObjectTypeCode`
    pub type_code: i32,
    /// User-owned, organisation-owned or without owner.
    pub ownership: Ownership,
    /// In declaration order; base columns (`createdon`, `statecode`, …) included.
    pub columns: Vec<ColumnDef>,
    /// Alternate keys.
    pub keys: Vec<KeyDef>,
    /// Lookups as many-to-one relationships: one per target table.
    pub relationships: Vec<RelationshipDef>,
}

/// `OwnershipType`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// `UserOwned`
    User,
    /// `OrganizationOwned`
    Organization,
    /// `None`, `BusinessOwned`
    None,
}

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
    /// `External id`, localised; stands in messages of the service.
    pub display_name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// `EntityKeyIndexStatus`
    pub status: KeyIndexStatus,
}

/// `EntityKeyIndexStatus`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}
