//! Columns as definitions, with the shadows that the service keeps beside some of them.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::option_set::Choices;
use super::parts::{id, label, managed};
use super::types::{
    ATTRIBUTE, BIG_INT, BOOLEAN, DATE_TIME, DECIMAL, DOUBLE, ENTITY_NAME, FILE, INTEGER, LOOKUP,
    MEMO, MONEY, MULTI_SELECT, PICKLIST, STATE, STATUS, STRING, Type, UNIQUE_IDENTIFIER,
};
use crate::schema::{
    ColumnDef, ColumnKind, LookupFlavor, RelationshipDef, RequiredLevel, TableDef, is_custom,
};

/// Longest name that a lookup shows.
const LOOKUP_NAME_LENGTH: usize = 4000;

/// A column, or a shadow of one.
#[derive(Debug, Clone)]
pub(super) struct Attribute<'a> {
    table: &'a TableDef,
    column: &'a ColumnDef,
    role: Role,
    name: String,
    number: usize,
}

/// Microsoft Learn, "Column definitions": a column with `AttributeOf` only shows another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The column itself.
    Itself,
    /// The label of a choice: `statecodename`.
    OptionLabel,
    /// The name of the row that a lookup points to: `primarycontactidname`.
    TargetName,
    /// The table that a lookup points to: `parentcustomeridtype`.
    TargetType,
}

/// The columns of a table, each followed by its shadows.
pub(super) fn attributes(table: &TableDef) -> Vec<Attribute<'_>> {
    let mut attributes: Vec<Attribute<'_>> = Vec::new();
    for column in &table.columns {
        for role in roles(table, column) {
            let suffix = match role {
                Role::Itself => "",
                Role::OptionLabel | Role::TargetName => "name",
                Role::TargetType => "type",
            };
            let name = format!("{}{suffix}", column.logical_name);
            if *role == Role::Itself || table.column(&name).is_none() {
                let number = attributes.len() + 1;
                attributes.push(Attribute {
                    table,
                    column,
                    role: *role,
                    name,
                    number,
                });
            }
        }
    }
    attributes
}

fn roles(table: &TableDef, column: &ColumnDef) -> &'static [Role] {
    match column.kind {
        ColumnKind::Boolean { .. }
        | ColumnKind::Picklist { .. }
        | ColumnKind::MultiSelect { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => &[Role::Itself, Role::OptionLabel],
        ColumnKind::Lookup { .. } if lookups(table, column).count() > 1 => {
            &[Role::Itself, Role::TargetName, Role::TargetType]
        }
        ColumnKind::Lookup { .. } => &[Role::Itself, Role::TargetName],
        ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::Integer { .. }
        | ColumnKind::BigInt
        | ColumnKind::Decimal { .. }
        | ColumnKind::Double { .. }
        | ColumnKind::Money { .. }
        | ColumnKind::Date
        | ColumnKind::DateTime
        | ColumnKind::DateTimeIndependent
        | ColumnKind::Guid
        | ColumnKind::File { .. } => &[Role::Itself],
    }
}

fn lookups<'a>(
    table: &'a TableDef,
    column: &'a ColumnDef,
) -> impl Iterator<Item = &'a RelationshipDef> {
    table
        .relationships
        .iter()
        .filter(|lookup| lookup.column == column.logical_name)
}

impl<'a> Attribute<'a> {
    /// The column with its table; `None` for a shadow.
    pub(super) fn written(&self) -> Option<(&'a TableDef, &'a ColumnDef)> {
        (self.role == Role::Itself).then_some((self.table, self.column))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> String {
        format!("column/{}/{}", self.table.logical_name, self.name)
    }

    pub(super) fn type_of(&self) -> &'static Type {
        match self.role {
            Role::Itself => {}
            Role::OptionLabel => return &ATTRIBUTE,
            Role::TargetName => return &STRING,
            Role::TargetType => return &ENTITY_NAME,
        }
        match self.column.kind {
            ColumnKind::Text { .. } => &STRING,
            ColumnKind::Memo { .. } => &MEMO,
            ColumnKind::Integer { .. } => &INTEGER,
            ColumnKind::BigInt => &BIG_INT,
            ColumnKind::Decimal { .. } => &DECIMAL,
            ColumnKind::Double { .. } => &DOUBLE,
            ColumnKind::Money { .. } => &MONEY,
            ColumnKind::Boolean { .. } => &BOOLEAN,
            ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeIndependent => &DATE_TIME,
            ColumnKind::Picklist { .. } => &PICKLIST,
            ColumnKind::MultiSelect { .. } => &MULTI_SELECT,
            ColumnKind::State { .. } => &STATE,
            ColumnKind::Status { .. } => &STATUS,
            ColumnKind::Guid => &UNIQUE_IDENTIFIER,
            ColumnKind::File { .. } => &FILE,
            ColumnKind::Lookup { .. } => &LOOKUP,
        }
    }

    /// `AttributeType` and `AttributeTypeName`.
    fn type_names(&self) -> (&'static str, &'static str) {
        match self.role {
            Role::Itself => {}
            Role::OptionLabel => return ("Virtual", "VirtualType"),
            Role::TargetName => return ("String", "StringType"),
            Role::TargetType => return ("EntityName", "EntityNameType"),
        }
        match self.column.kind {
            ColumnKind::Text { .. } => ("String", "StringType"),
            ColumnKind::Memo { .. } => ("Memo", "MemoType"),
            ColumnKind::Integer { .. } => ("Integer", "IntegerType"),
            ColumnKind::BigInt => ("BigInt", "BigIntType"),
            ColumnKind::Decimal { .. } => ("Decimal", "DecimalType"),
            ColumnKind::Double { .. } => ("Double", "DoubleType"),
            ColumnKind::Money { .. } => ("Money", "MoneyType"),
            ColumnKind::Boolean { .. } => ("Boolean", "BooleanType"),
            ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeIndependent => {
                ("DateTime", "DateTimeType")
            }
            ColumnKind::Picklist { .. } => ("Picklist", "PicklistType"),
            ColumnKind::MultiSelect { .. } => ("Virtual", "MultiSelectPicklistType"),
            ColumnKind::State { .. } => ("State", "StateType"),
            ColumnKind::Status { .. } => ("Status", "StatusType"),
            ColumnKind::Guid => ("Uniqueidentifier", "UniqueidentifierType"),
            ColumnKind::File { .. } => ("Virtual", "FileType"),
            ColumnKind::Lookup { flavor } => match flavor {
                LookupFlavor::Lookup => ("Lookup", "LookupType"),
                LookupFlavor::Customer => ("Customer", "CustomerType"),
                LookupFlavor::Owner => ("Owner", "OwnerType"),
            },
        }
    }

    /// A property of `AttributeMetadata` or of the type derived from it.
    pub(super) fn given(&self, name: &str) -> Option<Value> {
        self.common(name).or_else(|| match self.role {
            Role::Itself => self.of_kind(name),
            Role::TargetName => text(name, LOOKUP_NAME_LENGTH, "Text"),
            Role::OptionLabel | Role::TargetType => None,
        })
    }

    fn common(&self, name: &str) -> Option<Value> {
        let is_itself = self.role == Role::Itself;
        let is_custom = is_custom(&self.column.schema_name);
        Some(match name {
            "MetadataId" => json!(id(&self.path())),
            "LogicalName" => json!(self.name),
            "SchemaName" if is_itself => json!(self.column.schema_name),
            "SchemaName" => json!(self.shadow_schema_name()),
            "DisplayName" if is_itself => label(&self.column.display_name, &self.path()),
            "DisplayName" => super::parts::no_label(),
            "EntityLogicalName" => json!(self.table.logical_name),
            "AttributeOf" if is_itself => Value::Null,
            "AttributeOf" => json!(self.column.logical_name),
            "AttributeType" => json!(self.type_names().0),
            "AttributeTypeName" => json!({"Value": self.type_names().1}),
            "ColumnNumber" => json!(self.number),
            "IsCustomAttribute" => json!(is_custom),
            "IsManaged" => json!(!is_custom),
            "IsLogical" => json!(!is_itself),
            "IsPrimaryId" => json!(self.name == self.table.primary_id),
            "IsPrimaryName" => json!(self.table.primary_name.as_ref() == Some(&self.name)),
            "IsValidForCreate" => json!(is_itself && self.column.creatable),
            "IsValidForUpdate" => json!(is_itself && self.column.updatable),
            "RequiredLevel" => {
                let level = if is_itself {
                    self.column.required
                } else {
                    RequiredLevel::None
                };
                managed(required_level(level), "canmodifyrequirementlevelsettings")
            }
            _ => return None,
        })
    }

    fn shadow_schema_name(&self) -> String {
        let suffix = if self.role == Role::TargetType {
            "Type"
        } else {
            "Name"
        };
        format!("{}{suffix}", self.column.schema_name)
    }

    fn of_kind(&self, name: &str) -> Option<Value> {
        let range = |min: Value, max: Value, precision: Option<u32>| match name {
            "MinValue" => Some(min),
            "MaxValue" => Some(max),
            "Precision" => precision.map(|precision| json!(precision)),
            _ => None,
        };
        match &self.column.kind {
            ColumnKind::Text { max_length } => {
                text(name, *max_length, text_format(&self.column.logical_name))
            }
            ColumnKind::Memo { max_length } => text(name, *max_length, "TextArea"),
            ColumnKind::Integer { min, max } => range(json!(min), json!(max), None),
            ColumnKind::BigInt => range(json!(i64::MIN), json!(i64::MAX), None),
            ColumnKind::Decimal {
                min,
                max,
                precision,
            } => range(number(*min), number(*max), Some(*precision)),
            ColumnKind::Double {
                min,
                max,
                precision,
            } => range(json!(min), json!(max), Some(*precision)),
            ColumnKind::Money {
                min,
                max,
                precision,
            } => self
                .of_money(name)
                .or_else(|| range(number(*min), number(*max), Some(*precision))),
            ColumnKind::Boolean { default, .. } => (name == "DefaultValue").then(|| json!(default)),
            ColumnKind::Date => date(name, "DateOnly", "DateOnly"),
            ColumnKind::DateTime => date(name, "DateAndTime", "UserLocal"),
            ColumnKind::DateTimeIndependent => date(name, "DateAndTime", "TimeZoneIndependent"),
            ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options } => {
                // Minus one stands for no default.
                (name == "DefaultFormValue").then(|| json!(options.default.unwrap_or(-1)))
            }
            ColumnKind::Lookup { .. } => (name == "Targets").then(|| {
                let targets = lookups(self.table, self.column).map(|lookup| &lookup.target);
                json!(targets.collect::<Vec<_>>())
            }),
            ColumnKind::File { max_kilobytes } => {
                (name == "MaxSizeInKB").then(|| json!(max_kilobytes))
            }
            ColumnKind::State { .. } | ColumnKind::Status { .. } | ColumnKind::Guid => None,
        }
    }

    fn of_money(&self, name: &str) -> Option<Value> {
        let amount = self
            .name
            .strip_suffix("_base")
            .filter(|a| self.table.column(a).is_some());
        match name {
            "IsBaseCurrency" => Some(json!(amount.is_some())),
            "CalculationOf" => Some(json!(amount)),
            _ => None,
        }
    }

    /// The options of a choice.
    pub(super) fn choices(&self) -> Option<Choices<'a>> {
        let (table, column) = (self.table, self.column);
        if self.role != Role::Itself {
            return None;
        }
        match &column.kind {
            ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options } => {
                Some(Choices::of_set(options, &column.display_name))
            }
            ColumnKind::Boolean {
                true_label,
                false_label,
                ..
            } => Some(Choices::yes_no(table, column, true_label, false_label)),
            ColumnKind::State { options } => {
                let status = table.column("statuscode").map(|status| &status.kind);
                let reasons = match status {
                    Some(ColumnKind::Status { options }) => options.as_slice(),
                    _ => &[],
                };
                Some(Choices::state(table, column, options, reasons))
            }
            ColumnKind::Status { options } => Some(Choices::status(table, column, options)),
            _ => None,
        }
    }
}

fn required_level(level: RequiredLevel) -> &'static str {
    match level {
        RequiredLevel::None => "None",
        RequiredLevel::Recommended => "Recommended",
        RequiredLevel::Application => "ApplicationRequired",
        RequiredLevel::System => "SystemRequired",
    }
}

fn text(name: &str, max_length: usize, format: &str) -> Option<Value> {
    match name {
        "MaxLength" => Some(json!(max_length)),
        // In bytes of UTF-16.
        "DatabaseLength" => Some(json!(2 * max_length)),
        "Format" => Some(json!(format)),
        "FormatName" => Some(json!({"Value": format})),
        _ => None,
    }
}

/// The service's own columns tell by their format what the text is.
fn text_format(column: &str) -> &'static str {
    if column.contains("emailaddress") {
        "Email"
    } else if column.ends_with("url") {
        "Url"
    } else if column.contains("telephone") || column.ends_with("phone") {
        "Phone"
    } else {
        "Text"
    }
}

fn date(name: &str, format: &str, behavior: &str) -> Option<Value> {
    match name {
        "Format" => Some(json!(format)),
        "DateTimeBehavior" => Some(json!({"Value": behavior})),
        _ => None,
    }
}

/// A bound as a JSON number: exact where it is whole.
fn number(bound: Decimal) -> Value {
    match bound.to_i64() {
        Some(whole) if bound.fract().is_zero() => json!(whole),
        _ => json!(bound.to_f64()),
    }
}
