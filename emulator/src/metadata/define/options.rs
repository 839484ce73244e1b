//! Single options of a choice: added, named anew, put in order, removed.
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
    Order,
    Delete,
    /// A reason of a state.
    InsertStatus,
}

impl Message {
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "InsertOptionValue" => Self::Insert,
            "UpdateOptionValue" => Self::Update,
            "OrderOption" => Self::Order,
            "DeleteOptionValue" => Self::Delete,
            "InsertStatusValue" => Self::InsertStatus,
            _ => return None,
        })
    }
}

/// The set that a request means: a global one by its name, or that of a column.
enum Chosen<'a> {
    Global(&'a OptionSet),
    Local(&'a TableDef, &'a ColumnDef, &'a OptionSet),
}

impl<'a> Chosen<'a> {
    fn set(&self) -> &'a OptionSet {
        let (Self::Global(set) | Self::Local(_, _, set)) = self;
        set
    }
}

/// What such a request means, and the number of the option.
pub(crate) fn step(schema: &Schema, message: Message, body: &Json) -> Result<(Step, i32), Refusal> {
    let body = members(body)?;
    if message == Message::InsertStatus {
        return reason(schema, body);
    }
    if message == Message::Update
        && let Some(step) = named_anew(schema, body)?
    {
        return Ok((step, 0));
    }
    let chosen = chosen(schema, body)?;
    let set = chosen.set();
    if message == Message::Order {
        return Ok((changed(&chosen, ordered(set, body)?).into(), 0));
    }
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

/// The options in the order that the body tells; it names each of them once.
fn ordered(set: &OptionSet, body: &Members) -> Result<Vec<Json>, Refusal> {
    let values = body.get("Values").and_then(Json::as_array);
    let mut left: Vec<_> = set.options.iter().collect();
    let mut options = Vec::with_capacity(left.len());
    for value in values.into_iter().flatten() {
        let place = left
            .iter()
            .position(|option| value.as_i64() == Some(i64::from(option.value)));
        let place =
            place.ok_or_else(|| unreadable("'Values' has what is no option, or one twice."))?;
        let option = left.remove(place);
        options.push(json!([option.value.to_string(), option.labels]));
    }
    if left.is_empty() {
        return Ok(options);
    }
    Err(unreadable("The parameter 'Values' must have every option."))
}

/// The column that a body names by table and name.
fn column_of<'s>(
    schema: &'s Schema,
    body: &Members,
) -> Result<Option<(&'s TableDef, &'s ColumnDef)>, Refusal> {
    let (table, column) = (
        text(body, "EntityLogicalName")?,
        text(body, "AttributeLogicalName")?,
    );
    let table = schema.tables.get(table);
    Ok(table.and_then(|table| Some((table, table.column(column)?))))
}

/// Another label of yes or no; `None` if the column is something else.
fn named_anew(schema: &Schema, body: &Members) -> Result<Option<Step>, Refusal> {
    if body.contains_key("OptionSetName") {
        return Ok(None);
    }
    let Some((table, column)) = column_of(schema, body)? else {
        return Ok(None);
    };
    let ColumnKind::Boolean {
        true_label,
        false_label,
        default,
    } = &column.kind
    else {
        return Ok(None);
    };
    let label = label::of(body, "Label");
    let label = label.ok_or_else(|| unreadable("The parameter 'Label' is missing."))?;
    let (yes, no) = match body.get("Value").and_then(Json::as_i64) {
        Some(1) => (&label, false_label),
        Some(0) => (true_label, &label),
        _ => return Err(unreadable("The parameter 'Value' must be 0 or 1.")),
    };
    let step = Change::Column {
        table: table.logical_name.clone(),
        column: column.schema_name.clone(),
        written: json!({
            "type": format!("yes/no {}", required(column)),
            "label": column.display_name, "true": yes, "false": no, "default": default,
        }),
    };
    Ok(Some(step.into()))
}

/// A new reason of a state, and its number.
fn reason(schema: &Schema, body: &Members) -> Result<(Step, i32), Refusal> {
    let found = column_of(schema, body)?;
    let Some((table, ColumnKind::Status { options })) =
        found.map(|(table, column)| (table, &column.kind))
    else {
        return Err(unreadable(
            "'AttributeLogicalName' is not that of a status column.",
        ));
    };
    let state = body.get("StateCode").and_then(Json::as_i64);
    let state = state.and_then(|state| i32::try_from(state).ok());
    let state = state.filter(|state| options.iter().any(|it| it.state == Some(*state)));
    let state = state.ok_or_else(|| unreadable("'StateCode' is not a state of the table."))?;
    let highest = options.iter().map(|option| option.value).max();
    let free = highest.unwrap_or_default().max(FIRST_OPTION - 1);
    let value = match body.get("Value").and_then(Json::as_i64) {
        None => free.saturating_add(1),
        Some(value) => i32::try_from(value).unwrap_or(i32::MAX),
    };
    let texts = body.get("Label").map(label::all).unwrap_or_default();
    if texts.is_empty() || options.iter().any(|option| option.value == value) {
        return Err(unreadable(
            "The parameter 'Label' is missing, or 'Value' is there already.",
        ));
    }
    let step = Change::Reason {
        table: table.logical_name.clone(),
        state,
        option: json!([[value.to_string(), texts]]),
    };
    Ok((step.into(), value))
}

fn required(column: &ColumnDef) -> &'static str {
    match column.required {
        RequiredLevel::None => "",
        RequiredLevel::Recommended => "recommended",
        RequiredLevel::Application => "required",
        RequiredLevel::System => "system-required",
    }
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
    let required = required(column);
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
