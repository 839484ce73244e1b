//! What tables there are: the emulator's own description of them, read from JSON.
//!
//! [`Schema::built_in`] holds the tables of a small sales and service environment, as the files
//! under `emulator/schema/` write them. [`Schema::add_json`] reads what people add for their own
//! tests. Checking values and answering metadata requests is left to others.
//!
//! # The format
//!
//! A file holds one table, or an array of tables:
//!
//! ```json
//! {
//!   "table": "new_Visit",
//!   "set": "new_visits",
//!   "id": "new_VisitId",
//!   "name": "new_Name",
//!   "columns": {
//!     "new_Name": "text(100) required",
//!     "new_Rating": "integer(1..5) recommended",
//!     "new_Cost": "money(0..1000000, 2)",
//!     "new_Mood": {"type": "choice", "options": {"1": "Good", "2": {"1033": "Bad", "1031": "Schlecht"}}},
//!     "new_ContactId": "lookup(contact)",
//!     "new_Regarding": {"type": "lookup", "to": {"account": "new_account_visit", "lead": {}}}
//!   },
//!   "keys": {"new_visit_key": ["new_name", "new_rating"]}
//! }
//! ```
//!
//! Tables and columns are written with their schema name; in lower case it is the logical name.
//! When the table is there already, `columns` and `keys` are added to it and nothing else may be
//! said. Otherwise:
//!
//! | Member | Means | When absent |
//! | --- | --- | --- |
//! | `set` | entity set name | the logical name and `s` |
//! | `id` | primary id | the table's name and `Id` |
//! | `name` | primary name column; `text(100) required` unless `columns` has it | none |
//! | `display` | display name | made from the schema name |
//! | `code` | object type code | the next free one from 10100 |
//! | `ownership` | `user`, `organization` or `none` | `user` |
//! | `elastic` | `true` for an elastic table: it gets `partitionid` and `ttlinseconds` | `false` |
//! | `bulk` | whether it takes `CreateMultiple` and its siblings | `true` for elastic and custom tables |
//! | `between` | makes it the intersect of a many-to-many relationship: `{"relationship": "", "tables": {"team": "navigation", "systemuser": "navigation"}}` | – |
//! | `internal` | `true` if only the service writes its rows | `false` |
//! | `addresses` | how many address blocks (`Address1_…`), 0 to 3 | 0 |
//! | `states` | `[{"value": 0, "label": "Active", "reasons": {"1": "Active"}}]`; the first state and the first reason of each are the defaults; `[]` for none | Active and Inactive |
//!
//! The columns that every table has (`createdon`, `versionnumber`, …), those of the owner, and for
//! tables with money the currency and the `_base` amounts are added by themselves.
//!
//! A column is its type with limits and flags, or an object with that text as `type` and more:
//!
//! | Type | Limits, with what holds without them |
//! | --- | --- |
//! | `text(100)`, `memo(2000)` | longest length in UTF-16 units |
//! | `integer(-2147483648..2147483647)`, `bigint` | range |
//! | `decimal(-100000000000..100000000000, 2)`, `double(…, 2)` | range and precision; either may be left out |
//! | `money(-922337203685477..922337203685477, 2)` | likewise |
//! | `yes/no` | labels `true` and `false`, `default` |
//! | `file(32768)` | most kilobytes, up to 131072; the file's name stands in a column of its own, `…_Name` |
//! | `date`, `datetime`, `datetime-independent`, `guid` | |
//! | `choice`, `choices` | `options` by number, `default` (choice only); `global` names a global choice, which later columns may use without `options` |
//! | `lookup(contact)`, `customer`, `owner` | or `to`: tables, each with the relationship's name or `{"relationship", "navigation", "collection", "delete"}`; `delete` is `remove-link`, `restrict` or `cascade` |
//!
//! Flags: `recommended`, `required`, `system-required`; `read-only`, `create-only`. Any column may
//! have a `label`. Labels are text, or text by language code (1033 must be there); a column's own
//! label is text. A key is a list of columns, or `{"columns": [], "label": "", "status": "pending"}`
//! (`pending`, `in-progress`, `active`, `failed`).

mod build;
mod change;
mod check;
mod column;
mod companions;
mod error;
mod nature;
mod parts;
mod phrase;
mod written;

use std::collections::BTreeMap;

pub(crate) use change::Change;
pub use error::SchemaError;
pub use parts::{
    ColumnDef, ColumnKind, KeyDef, KeyIndexStatus, LookupFlavor, OnDelete, OptionDef, OptionSet,
    RelationshipDef, RequiredLevel,
};

/// Every table of the environment, by logical name.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// By logical name.
    pub tables: BTreeMap<String, TableDef>,
    /// Global choices that were made for themselves; others stand at their columns alone.
    pub choices: Vec<OptionSet>,
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
    /// Standard, elastic, or something that clients cannot write.
    pub nature: TableNature,
    /// Whether it takes `CreateMultiple`, `UpdateMultiple` and `UpsertMultiple`.
    pub bulk: bool,
    /// In declaration order; base columns (`createdon`, `statecode`, …) included.
    pub columns: Vec<ColumnDef>,
    /// Alternate keys.
    pub keys: Vec<KeyDef>,
    /// Lookups as many-to-one relationships: one per target table.
    pub relationships: Vec<RelationshipDef>,
}

/// What kind of table it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableNature {
    /// `TableType` is `Standard`, or `Activity`.
    Standard,
    /// `TableType` is `Elastic`: rows live in partitions, bulk messages work row by row.
    Elastic,
    /// The pairs of a many-to-many relationship; rows come and go by association.
    Intersect(Box<IntersectDef>),
    /// Its rows describe the environment; the service alone writes them.
    Internal,
}

/// A many-to-many relationship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntersectDef {
    /// `teammembership_association`
    pub schema_name: String,
    /// The two tables, each with the column of the intersect that holds its id.
    pub sides: [IntersectSide; 2],
}

/// One of the two tables of a many-to-many relationship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntersectSide {
    /// `team`
    pub table: String,
    /// The column of the intersect: `teamid`
    pub column: String,
    /// The collection on this table, which holds rows of the other: `teammembership_association`
    pub navigation: String,
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

impl Schema {
    /// The tables that the emulator has out of the box.
    ///
    /// # Errors
    /// Only if the embedded files contradict each other.
    pub fn built_in() -> Result<Self, SchemaError> {
        let mut schema = Self::default();
        for json in build::BUILT_IN {
            build::add(&mut schema, json)?;
        }
        check::check(&schema)?;
        Ok(schema)
    }

    /// Adds the tables of a schema file, or columns and keys to tables that are there.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the other tables; the schema is then unchanged.
    pub fn add_json(&mut self, json: &str) -> Result<(), SchemaError> {
        let mut extended = self.clone();
        build::add(&mut extended, json)?;
        check::check(&extended)?;
        *self = extended;
        Ok(())
    }

    /// The table with this entity set name; case matters.
    pub fn table_of_set(&self, set: &str) -> Option<&TableDef> {
        self.tables.values().find(|table| table.entity_set == set)
    }

    /// A number that changes with the definitions of tables and columns, the same on every start.
    pub(crate) fn fingerprint(&self) -> u32 {
        // FNV-1a
        let mut hash = 0x811c_9dc5_u32;
        for table in self.tables.values() {
            let columns = table.columns.iter().map(|column| &column.logical_name);
            let keys = table.keys.iter().map(|key| &key.logical_name);
            let names = std::iter::once(&table.logical_name)
                .chain(columns)
                .chain(keys);
            for byte in names.flat_map(|name| name.bytes()) {
                hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            }
        }
        hash
    }

    /// The option sets of all choices, table by table; a global one once for each of its columns.
    pub fn option_sets(&self) -> impl Iterator<Item = &OptionSet> {
        let of_tables = self.tables.values().flat_map(TableDef::option_sets);
        self.choices.iter().chain(of_tables)
    }
}

impl TableDef {
    /// The column with this logical name; case matters.
    pub fn column(&self, logical_name: &str) -> Option<&ColumnDef> {
        self.columns
            .iter()
            .find(|column| column.logical_name == logical_name)
    }

    /// The option sets of its choices.
    pub fn option_sets(&self) -> impl Iterator<Item = &OptionSet> {
        self.columns.iter().filter_map(|column| match &column.kind {
            ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options } => Some(options),
            _ => None,
        })
    }

    /// The many-to-many relationship whose pairs it holds.
    pub fn intersect(&self) -> Option<&IntersectDef> {
        match &self.nature {
            TableNature::Intersect(intersect) => Some(intersect),
            TableNature::Standard | TableNature::Elastic | TableNature::Internal => None,
        }
    }

    /// Whether its rows live in partitions.
    pub fn is_elastic(&self) -> bool {
        self.nature == TableNature::Elastic
    }

    /// Whether clients write its rows.
    pub fn is_writable(&self) -> bool {
        matches!(self.nature, TableNature::Standard | TableNature::Elastic)
    }

    /// Whether its rows are the parties of activities: those come with their activity alone.
    pub fn holds_parties(&self) -> bool {
        self.logical_name == "activityparty"
    }

    /// Whether it is an activity (a task, a phone call): those share the primary id `activityid`.
    pub fn is_activity(&self) -> bool {
        self.primary_id == "activityid"
    }
}

/// Whether a schema name is a customizer's: those begin with a publisher's prefix in lower case
/// (`new_Subscription`), the service's own with a capital (`Address1_City`).
pub(crate) fn is_custom(schema_name: &str) -> bool {
    schema_name.contains('_') && schema_name.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Schema {
        Schema::built_in().unwrap()
    }

    fn refused(json: &str) -> String {
        built_in().add_json(json).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_tables_fit_together() {
        let schema = built_in();
        for table in [
            "account",
            "contact",
            "lead",
            "opportunity",
            "incident",
            "task",
            "systemuser",
            "team",
            "product",
            "businessunit",
            "transactioncurrency",
            "organization",
            "new_subscription",
        ] {
            assert!(schema.tables.contains_key(table), "{table}");
        }
    }

    #[test]
    fn the_keys_are_the_documented_ones() {
        let schema = built_in();
        let mut keys = Vec::new();
        for table in schema.tables.values() {
            for key in &table.keys {
                assert_eq!(key.status, KeyIndexStatus::Active);
                keys.push(format!("{} {}", table.logical_name, key.columns.join("+")));
            }
        }
        assert_eq!(
            keys,
            [
                "account accountnumber",
                "contact emailaddress1",
                "contact externaluseridentifier",
                "contoso_sensordata contoso_sensordataid+partitionid",
                "incident ticketnumber",
                "lead new_externalid",
                "new_subscription new_customernumber+new_plan",
                "opportunity new_externalid",
                "product productnumber",
                "systemuser internalemailaddress",
                "team name",
            ]
        );
    }

    #[test]
    fn states_begin_with_the_default() {
        let schema = built_in();
        let first = |table: &str| match &schema.tables[table].column("statuscode").unwrap().kind {
            ColumnKind::Status { options } => (options[0].state.unwrap(), options[0].value),
            other => panic!("{other:?}"),
        };
        assert_eq!(first("contact"), (0, 1));
        assert_eq!(first("task"), (0, 2));
        assert_eq!(first("product"), (2, 0));
        assert!(schema.tables["systemuser"].column("statecode").is_none());
    }

    #[test]
    fn limits_come_from_the_files() {
        let schema = built_in();
        let kind = |table: &str, column: &str| &schema.tables[table].column(column).unwrap().kind;
        assert!(matches!(
            kind("account", "accountnumber"),
            ColumnKind::Text { max_length: 20 }
        ));
        assert!(matches!(
            kind("account", "revenue"),
            ColumnKind::Money { precision: 4, .. }
        ));
        assert!(matches!(
            kind("new_subscription", "new_amount"),
            ColumnKind::Money { precision: 2, .. }
        ));
        assert!(matches!(kind("contact", "birthdate"), ColumnKind::Date));
        assert!(matches!(
            kind("contact", "address3_city"),
            ColumnKind::Text { max_length: 80 }
        ));
        assert!(matches!(
            kind("lead", "address1_name"),
            ColumnKind::Text { max_length: 100 }
        ));
        match kind("account", "industrycode") {
            ColumnKind::Picklist { options } => {
                assert_eq!(options.name, "account_industrycode");
                assert_eq!(options.options.len(), 33);
            }
            other => panic!("{other:?}"),
        }
        match kind("opportunity", "pricingerrorcode") {
            ColumnKind::Picklist { options } => {
                assert_eq!(options.options.last().unwrap().value, 38);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn some_labels_are_german_too() {
        let schema = built_in();
        let ColumnKind::Picklist { options } =
            &schema.tables["contact"].column("gendercode").unwrap().kind
        else {
            panic!("a choice")
        };
        assert_eq!(options.options[1].labels[&1033], "Female");
        assert_eq!(options.options[1].labels[&1031], "Weiblich");
    }

    #[test]
    fn a_global_choice_is_written_once() {
        let schema = built_in();
        let sets: Vec<&OptionSet> = schema
            .option_sets()
            .filter(|set| set.name == "budgetstatus")
            .collect();
        assert_eq!(sets.len(), 2);
        assert!(sets.iter().all(|set| set.global && set.options.len() == 4));
    }

    #[test]
    fn custom_lookups_keep_their_casing() {
        let schema = built_in();
        let relationships = &schema.tables["new_subscription"].relationships;
        let contact = relationships
            .iter()
            .find(|r| r.column == "new_contactid")
            .unwrap();
        assert_eq!(contact.navigation, "new_ContactId");
        assert_eq!(contact.target, "contact");
        let relationships = &schema.tables["contact"].relationships;
        let parents = relationships
            .iter()
            .filter(|r| r.column == "parentcustomerid");
        let parents: Vec<&str> = parents.map(|r| r.navigation.as_str()).collect();
        assert_eq!(
            parents,
            ["parentcustomerid_account", "parentcustomerid_contact"]
        );
    }

    #[test]
    fn a_file_adds_a_table_with_all_that_comes_by_itself() {
        let mut schema = built_in();
        schema
            .add_json(
                r#"{"table": "new_Visit", "name": "new_Name", "addresses": 1, "columns": {
                    "new_Rating": "integer(1..5) recommended",
                    "new_Mood": {"type": "choice", "options": {"1": "Good", "2": "Bad"}, "default": 1},
                    "new_Regarding": {"type": "lookup", "to": {"account": "new_account_visit", "lead": {}}}
                }, "keys": {"new_visit_key": ["new_name", "new_rating"]}}"#,
            )
            .unwrap();
        let table = &schema.tables["new_visit"];
        assert_eq!(
            (table.entity_set.as_str(), table.primary_id.as_str()),
            ("new_visits", "new_visitid")
        );
        for column in [
            "new_visitid",
            "new_name",
            "address1_city",
            "ownerid",
            "statuscode",
        ] {
            assert!(table.column(column).is_some(), "{column}");
        }
        assert_eq!(table.relationships[1].navigation, "new_Regarding_lead");
        assert_eq!(
            schema.table_of_set("new_visits").unwrap().logical_name,
            "new_visit"
        );
    }

    #[test]
    fn the_documented_example_is_a_table() {
        let lines = include_str!("schema.rs")
            .lines()
            .map(|line| line.trim_start_matches("//!"));
        let example: String = lines
            .skip_while(|l| *l != " ```json")
            .skip(1)
            .take_while(|l| *l != " ```")
            .collect();
        let mut schema = built_in();
        schema.add_json(&example).unwrap();
        let visit = &schema.tables["new_visit"];
        assert_eq!(visit.column("new_mood").unwrap().display_name, "Mood");
        assert_eq!(visit.keys[0].columns, ["new_name", "new_rating"]);
    }

    #[test]
    fn a_file_adds_columns_and_keys_to_a_table() {
        let mut schema = built_in();
        schema
            .add_json(
                r#"{"table": "team", "columns": {"new_Code": "text(10)", "new_Cost": "money"},
                    "keys": {"new_code_key": {"columns": ["new_code"], "status": "pending"}}}"#,
            )
            .unwrap();
        let team = &schema.tables["team"];
        assert!(team.column("new_cost_base").is_some());
        assert_eq!(team.keys[1].status, KeyIndexStatus::Pending);
    }

    #[test]
    fn problems_name_table_and_column() {
        let wrong =
            |column: &str| refused(&format!(r#"{{"table": "team", "columns": {{{column}}}}}"#));
        assert_eq!(
            wrong(r#""new_a": "lookup(nowhere)""#),
            "table `team`, column `new_a`: it points to a table `nowhere` that does not exist"
        );
        assert!(wrong(r#""name": "text""#).contains("column `name`: the column is there already"));
        assert!(wrong(r#""new_a": "string""#).contains("`string` is not a type"));
        assert!(wrong(r#""new_a": "text(0)""#).contains("is not a length"));
        assert!(wrong(r#""new_a": "date(3)""#).contains("takes no limits"));
        assert!(wrong(r#""new_a": "choice""#).contains("needs `options`"));
        assert!(
            wrong(r#""new_a": {"type": "text", "options": {"1": "A"}}"#)
                .contains("does not belong")
        );
        assert!(
            wrong(r#""new_a": {"type": "choice", "options": {"1": "A"}, "default": 2}"#)
                .contains("default 2")
        );
        assert!(
            wrong(r#""new_a": {"type": "choice", "global": "nothing"}"#)
                .contains("no global choice")
        );
        assert!(refused(r#"{"table": "team", "set": "groups"}"#).contains("there already"));
        assert!(refused(r#"{"table": "team", "keys": {"k": ["missing"]}}"#).contains("`missing`"));
        assert!(
            refused(r#"{"table": "team", "keys": {"k": ["description"]}}"#).contains("cannot hold")
        );
        assert!(refused(r#"{"table": "new_x", "set": "teams"}"#).contains("another table's"));
    }

    #[test]
    fn unreadable_json_names_the_column_in_its_source() {
        let json = r#"{"table": "team", "columns": {"new_a": {"typ": "text"}}}"#;
        let error = built_in().add_json(json).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("`new_a`: unknown field `typ`"), "{source}");
        assert!(
            refused(r#"{"table": "team", "columns": {"a": "text", "a": "text"}}"#).contains("read")
        );
    }

    #[test]
    fn a_refused_file_changes_nothing() {
        let mut schema = built_in();
        let before = format!("{schema:?}");
        let json = r#"[{"table": "new_a"}, {"table": "new_b", "columns": {"x": "nothing"}}]"#;
        schema.add_json(json).unwrap_err();
        assert_eq!(format!("{schema:?}"), before);
    }
}
