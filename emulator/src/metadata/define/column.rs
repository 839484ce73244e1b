//! Columns as clients define them, in the words of a schema file.

use serde_json::{Value as Json, json};

use super::guard::require_prefix;
use super::{Members, label, members, text, type_of, unreadable};
use crate::refusal::Refusal;
use crate::schema::{ColumnDef, Schema, TableDef};

/// Options without a number are counted from here, as those of the default publisher.
const FIRST_OPTION: i64 = 100_000_000;

/// A column in the words of a schema file.
pub(super) struct Column {
    pub(super) schema_name: String,
    pub(super) written: Json,
    pub(super) is_primary_name: bool,
}

/// Reads the definition of a column that is not a lookup.
pub(super) fn read(schema: &Schema, body: &Members) -> Result<Column, Refusal> {
    let schema_name = text(body, "SchemaName")?.to_owned();
    let kind = type_of(body).ok_or_else(|| {
        unreadable(
            "The abstract type 'Microsoft.Dynamics.CRM.AttributeMetadata' cannot be \
             instantiated; the payload must name a derived type.",
        )
    })?;
    let mut written = serde_json::Map::new();
    let phrase = phrase(kind, body)?;
    match kind {
        "BooleanAttributeMetadata" => yes_no(body, &mut written),
        "PicklistAttributeMetadata" | "MultiSelectPicklistAttributeMetadata" => {
            choice(schema, body, &mut written)?;
        }
        _ => {}
    }
    let required = required(body)?;
    written.insert("type".to_owned(), format!("{phrase} {required}").into());
    if let Some(label) = label::of(body, "DisplayName") {
        written.insert("label".to_owned(), label.into());
    }
    Ok(Column {
        schema_name,
        written: written.into(),
        is_primary_name: body.get("IsPrimaryName") == Some(&Json::Bool(true)),
    })
}

/// What may be changed of a lookup: its label, and whether it must be given.
pub(super) fn of_lookup(body: &Members, column: &ColumnDef) -> Json {
    let label = label::of(body, "DisplayName");
    let required = required(body).unwrap_or_default();
    json!({
        "type": format!("guid {required}"),
        "label": label.unwrap_or_else(|| column.display_name.clone()),
    })
}

/// Whether a table may get this column.
pub(super) fn check_new(table: &TableDef, column: &Column) -> Result<(), Refusal> {
    require_prefix(&column.schema_name, "Attribute")?;
    if table.column(&column.schema_name.to_lowercase()).is_some() {
        let message = "An attribute with the specified name already exists";
        return Err(Refusal::new(400, "0x80047013", message));
    }
    if !table.is_writable() {
        return Err(unreadable("The table cannot get columns."));
    }
    Ok(())
}

/// `required`, from `RequiredLevel`.
pub(super) fn required(body: &Members) -> Result<&'static str, Refusal> {
    let level = body
        .get("RequiredLevel")
        .and_then(|level| level.get("Value"));
    Ok(match level.and_then(Json::as_str) {
        None | Some("None") => "",
        Some("Recommended") => "recommended",
        Some("ApplicationRequired") => "required",
        Some(level) => {
            let inner = format!("The value '{level}' is not allowed for RequiredLevel.");
            return Err(unreadable(&inner));
        }
    })
}

fn phrase(kind: &str, body: &Members) -> Result<String, Refusal> {
    let length = |usual: u64| number(body, "MaxLength").unwrap_or_else(|| usual.to_string());
    Ok(match kind {
        "StringAttributeMetadata" => format!("text({})", length(100)),
        "MemoAttributeMetadata" => format!("memo({})", length(2000)),
        "IntegerAttributeMetadata" => format!("integer{}", range(body, None)),
        "BigIntAttributeMetadata" => "bigint".to_owned(),
        "DecimalAttributeMetadata" => format!("decimal{}", range(body, Some("Precision"))),
        "DoubleAttributeMetadata" => format!("double{}", range(body, Some("Precision"))),
        "MoneyAttributeMetadata" => format!("money{}", range(body, Some("Precision"))),
        "BooleanAttributeMetadata" => "yes/no".to_owned(),
        "DateTimeAttributeMetadata" => date(body)?.to_owned(),
        "PicklistAttributeMetadata" => "choice".to_owned(),
        "MultiSelectPicklistAttributeMetadata" => "choices".to_owned(),
        "FileAttributeMetadata" => {
            let most = number(body, "MaxSizeInKB").unwrap_or_else(|| "32768".to_owned());
            format!("file({most})")
        }
        "ImageAttributeMetadata" => return Err(Refusal::not_served("columns that hold images")),
        "LookupAttributeMetadata" => {
            return Err(unreadable(
                "A lookup is created with its relationship: POST RelationshipDefinitions.",
            ));
        }
        other => {
            let inner = format!("A column cannot be created as 'Microsoft.Dynamics.CRM.{other}'.");
            return Err(unreadable(&inner));
        }
    })
}

/// Dates are days only where the behavior says so: without it, it is that of the user.
fn date(body: &Members) -> Result<&'static str, Refusal> {
    let behavior = body.get("DateTimeBehavior").and_then(|it| it.get("Value"));
    match behavior.and_then(Json::as_str) {
        None | Some("UserLocal") => Ok("datetime"),
        Some("DateOnly") => Ok("date"),
        Some("TimeZoneIndependent") => Ok("datetime-independent"),
        Some(other) => {
            let inner = format!("The value '{other}' is not a DateTimeBehavior.");
            Err(unreadable(&inner))
        }
    }
}

/// A number without an exponent.
fn number(body: &Members, name: &str) -> Option<String> {
    let number = body.get(name)?;
    if number.is_i64() || number.is_u64() {
        return Some(number.to_string());
    }
    number.as_f64().map(|number| number.to_string())
}

/// `(0..5, 2)`, as far as it is said.
fn range(body: &Members, precision: Option<&str>) -> String {
    let range = match (number(body, "MinValue"), number(body, "MaxValue")) {
        (Some(least), Some(most)) => Some(format!("{least}..{most}")),
        _ => None,
    };
    let precision = precision.and_then(|name| number(body, name));
    match (range, precision) {
        (Some(range), Some(precision)) => format!("({range}, {precision})"),
        (Some(only), None) | (None, Some(only)) => format!("({only})"),
        (None, None) => String::new(),
    }
}

fn yes_no(body: &Members, written: &mut Members) {
    let set = body.get("OptionSet");
    for (member, option) in [("true", "TrueOption"), ("false", "FalseOption")] {
        let option = set.and_then(|set| set.get(option)?.get("Label"));
        if let Some(label) = option.and_then(label::one) {
            written.insert(member.to_owned(), label.into());
        }
    }
    if let Some(Json::Bool(default)) = body.get("DefaultValue") {
        written.insert("default".to_owned(), (*default).into());
    }
}

fn choice(schema: &Schema, body: &Members, written: &mut Members) -> Result<(), Refusal> {
    let set = body.get("OptionSet").filter(|set| !set.is_null());
    let is_global = set.and_then(|set| set.get("IsGlobal")) == Some(&Json::Bool(true));
    let bound = body
        .get("GlobalOptionSet@odata.bind")
        .and_then(Json::as_str);
    if let Some(bound) = bound {
        written.insert("global".to_owned(), global(schema, bound)?.into());
    } else if let Some(set) = set {
        let set = members(set)?;
        if is_global {
            written.insert("global".to_owned(), text(set, "Name")?.into());
        } else {
            written.insert("options".to_owned(), options(set)?);
        }
    }
    let default = body.get("DefaultFormValue").and_then(Json::as_i64);
    if let Some(default) = default.filter(|default| *default >= 0)
        && type_of(body) == Some("PicklistAttributeMetadata")
    {
        written.insert("default".to_owned(), default.into());
    }
    Ok(())
}

/// The name of the choice that a bind leads to: by name, or by id.
fn global(schema: &Schema, bound: &str) -> Result<String, Refusal> {
    let missing = || {
        let message = format!("Could not find an optionset with name {bound}.");
        Refusal::new(404, "0x80040217", message)
    };
    let path = bound.rsplit('/').next().unwrap_or(bound);
    let key = path.strip_prefix("GlobalOptionSetDefinitions(");
    let key = key
        .and_then(|key| key.strip_suffix(')'))
        .ok_or_else(missing)?;
    let named = key
        .strip_prefix("Name='")
        .and_then(|it| it.strip_suffix('\''));
    let is_meant = |name: &str| match named {
        Some(named) => named == name,
        None => super::super::parts::id(&format!("choice/{name}")).to_string() == key,
    };
    let mut sets = schema.option_sets().filter(|set| set.global);
    let set = sets.find(|set| is_meant(&set.name)).ok_or_else(missing)?;
    Ok(set.name.clone())
}

/// The options of a set by number, as a list that keeps their order.
pub(super) fn options(set: &Members) -> Result<Json, Refusal> {
    let written = set.get("Options").and_then(Json::as_array);
    let mut options: Vec<(i64, Members)> = Vec::new();
    for (place, option) in (FIRST_OPTION..).zip(written.into_iter().flatten()) {
        let value = option.get("Value").and_then(Json::as_i64).unwrap_or(place);
        let texts = option.get("Label").map(label::all).unwrap_or_default();
        if texts.is_empty() {
            return Err(unreadable(&format!("The option {value} has no label.")));
        }
        if options.iter().any(|(known, _)| *known == value) {
            return Err(unreadable(&format!("The option {value} is there twice.")));
        }
        options.push((value, texts));
    }
    let pairs = options.into_iter();
    Ok(pairs
        .map(|(value, texts)| json!([value.to_string(), texts]))
        .collect())
}
