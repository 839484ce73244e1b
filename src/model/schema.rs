//! A table of Dataverse as its metadata describes it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{EntitySetName, LogicalName};

/// One table: what a mapping is checked against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// `contact`
    pub name: LogicalName,
    /// `contacts`, as URLs write it.
    pub entity_set: EntitySetName,
    /// The label that people see, where the service has one.
    pub display_name: Option<String>,
    /// `contactid`
    pub primary_id: LogicalName,
    /// `fullname`; a few tables have none.
    pub primary_name: Option<LogicalName>,
    /// All columns except shadow columns, in the service's order.
    pub columns: Vec<Column>,
    /// All alternate keys, active or not.
    pub keys: Vec<AlternateKey>,
    /// How the environment compares text.
    pub collation: Collation,
    /// Where its lookup columns point; only asked for where a mapping has lookups.
    pub relationships: Vec<Relationship>,
}

/// One way in which a lookup column points to a table; a polymorphic column has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    /// `parentcustomerid`
    pub column: LogicalName,
    /// `account`; `owner` where an owner may be a user or a team.
    pub table: LogicalName,
    /// `parentcustomerid_account`, in the spelling that writing needs.
    pub navigation: String,
}

impl Table {
    /// The column of that logical name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.as_str() == name)
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// `emailaddress1`
    pub name: LogicalName,
    /// The label that people see, where the service has one.
    pub display_name: Option<String>,
    /// Its type with the limits that the service enforces.
    pub kind: ColumnKind,
    /// Whether a create may carry it.
    pub creatable: bool,
    /// Whether an update may carry it.
    pub updatable: bool,
    /// Whether the service or only the business calls it required.
    pub required: Required,
}

/// `RequiredLevel` of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Required {
    /// `None` or `Recommended`.
    No,
    /// `ApplicationRequired`: forms ask for it, the API does not.
    Business,
    /// `SystemRequired`: the API refuses null.
    System,
}

/// The type of a column and its limits.
///
/// Source: Microsoft Learn, "Query table definitions using the Web API"; `AttributeTypeName` tells the types apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ColumnKind {
    /// A single line of text; the limit counts UTF-16 units.
    Text {
        /// `MaxLength`
        max_length: usize,
    },
    /// Several lines of text; the limit counts UTF-16 units.
    Memo {
        /// `MaxLength`
        max_length: usize,
    },
    /// `Edm.Int32` within a range.
    Integer {
        /// `MinValue`
        min: i64,
        /// `MaxValue`
        max: i64,
    },
    /// `Edm.Int64`
    BigInt,
    /// `Edm.Decimal` within a range.
    Decimal {
        /// `MinValue`
        min: Decimal,
        /// `MaxValue`
        max: Decimal,
        /// Digits behind the point.
        precision: u32,
    },
    /// `Edm.Double` within a range.
    Float {
        /// `MinValue`
        min: f64,
        /// `MaxValue`
        max: f64,
        /// Digits behind the point.
        precision: u32,
    },
    /// `Edm.Decimal` in a currency.
    Money {
        /// `MinValue`
        min: Decimal,
        /// `MaxValue`
        max: Decimal,
        /// Digits behind the point.
        precision: u32,
    },
    /// Yes or no.
    Boolean {
        /// Labels of *true*, in each language.
        yes: Vec<Label>,
        /// Labels of *false*, in each language.
        no: Vec<Label>,
    },
    /// `Edm.Date`: behaviour *date only*.
    Date,
    /// `Edm.DateTimeOffset`
    DateTime {
        /// What the instant means.
        behavior: DateTimeBehavior,
    },
    /// One option of a set (local or global).
    Choice {
        /// The options there are.
        options: Vec<ChoiceOption>,
    },
    /// Several options of a set.
    Choices {
        /// The options there are.
        options: Vec<ChoiceOption>,
    },
    /// `statecode`
    State {
        /// The states there are.
        options: Vec<ChoiceOption>,
    },
    /// `statuscode`
    Status {
        /// The reasons there are, each with its state.
        options: Vec<ChoiceOption>,
    },
    /// A GUID.
    Guid,
    /// A reference to another record (customer and owner included).
    Lookup {
        /// Logical names of the tables it may point to.
        targets: Vec<LogicalName>,
    },
    /// A type that segue does not write, by the service's name for it (`ImageType`, `FileType`, …).
    Other(String),
}

/// `DateTimeBehavior` of a column that holds a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DateTimeBehavior {
    /// An instant, shown in each user's zone.
    UserLocal,
    /// A wall clock, the same for everybody.
    TimeZoneIndependent,
}

/// One option of a choice column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceOption {
    /// The number that travels.
    pub value: i32,
    /// Its labels, in each language that the table offers.
    pub labels: Vec<Label>,
    /// For a status reason the state it belongs to.
    pub state: Option<i32>,
}

/// A label in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// 1033 for US English.
    pub language: u32,
    /// The text.
    pub text: String,
}

/// An alternate key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlternateKey {
    /// The key's own logical name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<LogicalName>,
    /// Whether its index stands.
    pub status: KeyStatus,
}

/// `EntityKeyIndexStatus`: only an active key addresses records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    /// Waiting to be built.
    Pending,
    /// Being built.
    InProgress,
    /// Usable.
    Active,
    /// The index could not be built; duplicates, mostly.
    Failed,
}

/// How an environment compares text; fixed by its base language.
///
/// Case never counts, nor do trailing blanks. An environment whose language is unknown is taken as
/// accent-insensitive, the stricter reading.
///
/// Source: Microsoft Learn, "Dataverse language collations".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collation {
    /// `cafe` and `café` are one key.
    AccentInsensitive,
    /// `cafe` and `café` are two keys.
    AccentSensitive,
}
