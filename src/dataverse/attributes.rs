//! Columns as metadata describes them: what all have, and what each type adds.
//!
//! Tolerant of members that are not needed; a column whose type's details are missing is one that is not written.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cell;
use crate::model::{
    ChoiceOption, Column, ColumnKind, DateTimeBehavior, InvalidName, Label, LogicalName, Required,
};

/// What the types add, by logical name.
pub(super) type Details = HashMap<String, TypeDetails>;

/// The properties of every column.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    logical_name: String,
    display_name: Option<LabelSet>,
    #[serde(rename = "AttributeType")]
    old_type: Option<String>,
    #[serde(rename = "AttributeTypeName")]
    type_name: Option<Wrapped>,
    /// Set for shadow columns: the column that they belong to.
    #[serde(rename = "AttributeOf")]
    pub(super) shadow_of: Option<String>,
    is_valid_for_create: Option<bool>,
    is_valid_for_update: Option<bool>,
    required_level: Option<Wrapped>,
}

/// The properties that some type of column adds.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TypeDetails {
    logical_name: String,
    max_length: Option<i64>,
    min_value: Option<Box<RawValue>>,
    max_value: Option<Box<RawValue>>,
    precision: Option<i64>,
    date_time_behavior: Option<Wrapped>,
    option_set: Option<OptionSet>,
    global_option_set: Option<OptionSet>,
    targets: Option<Vec<String>>,
}

impl TypeDetails {
    pub(super) fn name(&self) -> &str {
        &self.logical_name
    }
}

/// `{"Value": "StringType"}`
#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "Value")]
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OptionSet {
    options: Option<Vec<OptionEntry>>,
    true_option: Option<OptionEntry>,
    false_option: Option<OptionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OptionEntry {
    value: Option<i32>,
    label: Option<LabelSet>,
    state: Option<i32>,
}

/// A text in each language, and in the user's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LabelSet {
    localized_labels: Option<Vec<Localized>>,
    user_localized_label: Option<Localized>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Localized {
    label: Option<String>,
    language_code: u32,
}

impl LabelSet {
    /// The text in the user's language, otherwise in the first one.
    pub(super) fn text(&self) -> Option<String> {
        let user = self.user_localized_label.iter();
        let all = self.localized_labels.iter().flatten();
        user.chain(all).find_map(|label| label.label.clone())
    }

    /// The user's language first: it is the one to speak in.
    fn labels(&self) -> Vec<Label> {
        let labels = self.localized_labels.iter().flatten().filter_map(|label| {
            Some(Label {
                language: label.language_code,
                text: label.label.clone()?,
            })
        });
        let mut labels: Vec<Label> = labels.collect();
        let user = self.user_localized_label.as_ref();
        labels.sort_by_key(|label| user.is_none_or(|user| label.language != user.language_code));
        labels
    }
}

/// Puts a column together.
///
/// # Errors
/// If its name is not one.
pub(super) fn column(attribute: &Attribute, details: &Details) -> Result<Column, InvalidName> {
    let type_name = attribute.type_name();
    let details = details.get(&attribute.logical_name);
    let kind = kind(&type_name, details).unwrap_or(ColumnKind::Other(type_name));
    Ok(Column {
        name: LogicalName::parse(&attribute.logical_name)?,
        display_name: attribute.display_name.as_ref().and_then(LabelSet::text),
        kind,
        creatable: attribute.is_valid_for_create.unwrap_or_default(),
        updatable: attribute.is_valid_for_update.unwrap_or_default(),
        required: match attribute.required_level.as_ref().and_then(Wrapped::text) {
            Some("SystemRequired") => Required::System,
            Some("ApplicationRequired") => Required::Business,
            Some(_) | None => Required::No,
        },
    })
}

impl Attribute {
    /// `AttributeTypeName`: the older `AttributeType` calls files, images and multiple choices all `Virtual`.
    fn type_name(&self) -> String {
        match self.type_name.as_ref().and_then(Wrapped::text) {
            Some(name) => name.to_owned(),
            None => format!("{}Type", self.old_type.as_deref().unwrap_or("Unknown")),
        }
    }
}

impl Wrapped {
    fn text(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

/// The type with its limits; `None` if segue does not write it or its details are missing.
fn kind(type_name: &str, details: Option<&TypeDetails>) -> Option<ColumnKind> {
    match (type_name, details) {
        ("BigIntType", _) => Some(ColumnKind::BigInt),
        ("UniqueidentifierType", _) => Some(ColumnKind::Guid),
        (_, None) => None,
        ("StringType", Some(details)) => Some(ColumnKind::Text {
            max_length: details.max_length?.try_into().ok()?,
        }),
        ("MemoType", Some(details)) => Some(ColumnKind::Memo {
            max_length: details.max_length?.try_into().ok()?,
        }),
        ("IntegerType", Some(details)) => Some(ColumnKind::Integer {
            min: whole(details.min_value.as_deref(), i32::MIN),
            max: whole(details.max_value.as_deref(), i32::MAX),
        }),
        ("DecimalType", Some(details)) => Some(ColumnKind::Decimal {
            min: bound(details.min_value.as_deref(), -DECIMAL),
            max: bound(details.max_value.as_deref(), DECIMAL),
            precision: details.precision?.try_into().ok()?,
        }),
        ("MoneyType", Some(details)) => Some(ColumnKind::Money {
            min: bound(details.min_value.as_deref(), -MONEY),
            max: bound(details.max_value.as_deref(), MONEY),
            precision: details.precision?.try_into().ok()?,
        }),
        ("DoubleType", Some(details)) => Some(ColumnKind::Float {
            min: float(details.min_value.as_deref()).unwrap_or(-100_000_000_000.0),
            max: float(details.max_value.as_deref()).unwrap_or(100_000_000_000.0),
            precision: details.precision?.try_into().ok()?,
        }),
        ("DateTimeType", Some(details)) => time(details),
        ("BooleanType", Some(details)) => Some(boolean(details)),
        ("PicklistType", Some(details)) => details
            .options()
            .map(|options| ColumnKind::Choice { options }),
        ("MultiSelectPicklistType", Some(details)) => details
            .options()
            .map(|options| ColumnKind::Choices { options }),
        ("StateType", Some(details)) => details
            .options()
            .map(|options| ColumnKind::State { options }),
        ("StatusType", Some(details)) => details
            .options()
            .map(|options| ColumnKind::Status { options }),
        ("LookupType" | "CustomerType" | "OwnerType", Some(details)) => lookup(details),
        _ => None,
    }
}

/// Source: Microsoft Learn, "Column data types": the widest range of a decimal column.
const DECIMAL: Decimal = Decimal::from_parts(1_215_752_192, 23, 0, false, 0);

/// Likewise of a currency column: 922,337,203,685,477.
const MONEY: Decimal = Decimal::from_parts(1_566_804_069, 214_748, 0, false, 0);

fn bound(json: Option<&RawValue>, otherwise: Decimal) -> Decimal {
    json.and_then(|json| cell::decimal(json.get()))
        .unwrap_or(otherwise)
}

fn whole(json: Option<&RawValue>, otherwise: i32) -> i64 {
    json.and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_else(|| otherwise.into())
}

fn float(json: Option<&RawValue>) -> Option<f64> {
    serde_json::from_str(json?.get()).ok()
}

fn time(details: &TypeDetails) -> Option<ColumnKind> {
    let behavior = match details
        .date_time_behavior
        .as_ref()
        .and_then(Wrapped::text)?
    {
        "DateOnly" => return Some(ColumnKind::Date),
        "UserLocal" => DateTimeBehavior::UserLocal,
        "TimeZoneIndependent" => DateTimeBehavior::TimeZoneIndependent,
        _ => return None,
    };
    Some(ColumnKind::DateTime { behavior })
}

fn boolean(details: &TypeDetails) -> ColumnKind {
    let set = details
        .option_set
        .as_ref()
        .or(details.global_option_set.as_ref());
    let labels = |option: Option<&OptionEntry>| {
        option
            .and_then(|option| option.label.as_ref())
            .map_or_else(Vec::new, LabelSet::labels)
    };
    ColumnKind::Boolean {
        yes: labels(set.and_then(|set| set.true_option.as_ref())),
        no: labels(set.and_then(|set| set.false_option.as_ref())),
    }
}

fn lookup(details: &TypeDetails) -> Option<ColumnKind> {
    let targets = details.targets.as_ref()?;
    Some(ColumnKind::Lookup {
        targets: targets
            .iter()
            .filter_map(|name| LogicalName::parse(name).ok())
            .collect(),
    })
}

impl TypeDetails {
    /// The options of the column's own set, otherwise of the global set that it uses.
    fn options(&self) -> Option<Vec<ChoiceOption>> {
        let own = self
            .option_set
            .as_ref()
            .and_then(|set| set.options.as_ref());
        let global = self.global_option_set.as_ref();
        let options = own.or_else(|| global?.options.as_ref())?;
        Some(
            options
                .iter()
                .filter_map(|option| {
                    Some(ChoiceOption {
                        value: option.value?,
                        labels: option
                            .label
                            .as_ref()
                            .map_or_else(Vec::new, LabelSet::labels),
                        state: option.state,
                    })
                })
                .collect(),
        )
    }
}
