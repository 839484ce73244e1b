//! Single options of a choice: added, named anew, removed.
//!
//! Source: Microsoft Learn, "Create and update choices (option sets)", "`InsertOptionValue` action".

use serde_json::{Value as Json, json};

use super::{Members, Step, label, members, text, unreadable};
use crate::refusal::Refusal;
use crate::schema::{Change, ColumnDef, ColumnKind, OptionSet, RequiredLevel, Schema, TableDef};

/// Options without a number are counted from here, as those of the default publisher.
const FIRST_OPTION: i32 = 100_000_000;

/// What is done to an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Insert,
    Update,
    Delete,
}

impl Message {
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "InsertOptionValue" => Self::Insert,
            "UpdateOptionValue" => Self::Update,
            "DeleteOptionValue" => Self::Delete,
            _ => return None,
        })
    }
}

/// The set that a request means: a global one by its name, or that of a column.
enum Chosen<'a> {
    Global(&'a OptionSet),
    Local(&'a TableDef, &'a ColumnDef, &'a OptionSet),
}

/// What such a request means, and the number of the option.
pub(crate) fn step(schema: &Schema, message: Message, body: &Json) -> Result<(Step, i32), Refusal> {
    let body = members(body)?;
    let chosen = chosen(schema, body)?;
    let (Chosen::Global(set) | Chosen::Local(_, _, set)) = chosen;
    let taken = |value: i32| set.options.iter().any(|option| option.value == value);
    let given = body.get("Value").and_then(Json::as_i64);
    let given = given.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    let value = match (message, given) {
        (Message::Insert, None) => {
            let highest = set.options.iter().map(|option| option.value).max();
            highest.map_or(FIRST_OPTION, |it| {
                it.max(FIRST_OPTION - 1).saturating_add(1)
            })
        }
        (_, Some(value)) => value,
        (_, None) => return Err(unreadable("The parameter 'Value' is missing.")),
    };
    if taken(value) == (message == Message::Insert) {
        let inner = format!("The option {value} is there already, or is not there.");
        return Err(unreadable(&inner));
    }
    let texts = body.get("Label").map(label::all).unwrap_or_default();
    if texts.is_empty() && message != Message::Delete {
        return Err(unreadable("The parameter 'Label' is missing."));
    }
    let mut options: Vec<Json> = Vec::new();
    for option in &set.options {
        match message {
            Message::Delete if option.value == value => {}
            Message::Update if option.value == value => {
                options.push(json!([value.to_string(), texts]));
            }
            _ => {
                options.push(json!([option.value.to_string(), option.labels]));
            }
        }
    }
    if message == Message::Insert {
        options.push(json!([value.to_string(), texts]));
    }
    Ok((changed(&chosen, options).into(), value))
}

fn chosen<'s>(schema: &'s Schema, body: &Members) -> Result<Chosen<'s>, Refusal> {
    let missing = |name: &str| {
        let message = format!("Could not find an optionset with name {name}.");
        Refusal::new(404, "0x80040217", message)
    };
    if let Some(name) = body.get("OptionSetName").and_then(Json::as_str) {
        let mut sets = schema.option_sets().filter(|set| set.global);
        let set = sets.find(|set| set.name == name);
        return set.map(Chosen::Global).ok_or_else(|| missing(name));
    }
    let (table, column) = (
        text(body, "EntityLogicalName")?,
        text(body, "AttributeLogicalName")?,
    );
    let found = schema.tables.get(table);
    let found = found.and_then(|table| Some((table, table.column(column)?)));
    match found {
        Some((table, definition)) => match &definition.kind {
            ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options }
                if options.global =>
            {
                Ok(Chosen::Global(options))
            }
            ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options } => {
                Ok(Chosen::Local(table, definition, options))
            }
            _ => Err(missing(column)),
        },
        None => Err(missing(column)),
    }
}

fn changed(chosen: &Chosen<'_>, options: Vec<Json>) -> Change {
    let (table, column, set) = match chosen {
        Chosen::Global(set) => {
            return Change::Choices {
                name: set.name.clone(),
                options: options.into(),
            };
        }
        Chosen::Local(table, column, set) => (table, column, set),
    };
    let kind = match column.kind {
        ColumnKind::MultiSelect { .. } => "choices",
        _ => "choice",
    };
    let required = match column.required {
        RequiredLevel::None => "",
        RequiredLevel::Recommended => "recommended",
        RequiredLevel::Application => "required",
        RequiredLevel::System => "system-required",
    };
    let mut written = json!({
        "type": format!("{kind} {required}"),
        "label": column.display_name,
        "options": options,
    });
    if let (Some(default), Some(written)) = (set.default, written.as_object_mut()) {
        written.insert("default".to_owned(), default.into());
    }
    Change::Column {
        table: table.logical_name.clone(),
        column: column.schema_name.clone(),
        written,
    }
}
