//! States and their reasons.
//!
//! A reason belongs to one state; a reason of another state is refused, the state is not inferred.
//! Won, Lost and Resolved have messages of their own. Source: Microsoft Learn, "Change the state
//! of a record" as integrators report its edges; the raw texts are theirs.

use uuid::Uuid;

use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::schema::OptionDef;
use crate::table::value::{Column, Value};
use crate::write::draft::Draft;

/// A new row is in its first state; its reason must be one of that state.
pub(crate) fn check_create(layout: &Layout, id: Uuid, draft: &Draft) -> Result<(), Refusal> {
    let Some(state) = layout.states().first() else {
        return Ok(());
    };
    check_pair(layout, id, state.value, reason(layout, draft))
}

/// The state and reason that an update would leave behind.
pub(crate) fn check_update(
    layout: &Layout,
    id: Uuid,
    draft: &Draft,
    written: &Written,
) -> Result<(), Refusal> {
    let Some(current) = layout.special.state.and_then(|state| draft.integer(state)) else {
        return Ok(());
    };
    let state = wanted(written, layout.special.state);
    check_open(layout, current, state, written)?;
    check_message(layout, current, state)?;
    let next = state.unwrap_or(current);
    match wanted(written, layout.special.status) {
        Some(reason) => check_pair(layout, id, next, Some(reason)),
        None => check_pair(layout, id, next, default_reason(layout, next)),
    }
}

/// Writing only the state brings that state's first reason along.
pub(crate) fn follow(layout: &Layout, draft: &mut Draft, written: &Written) {
    let (Some(state), Some(status)) = (layout.special.state, layout.special.status) else {
        return;
    };
    if wanted(written, Some(status)).is_some() {
        return;
    }
    let Some(current) = draft.integer(state) else {
        return;
    };
    let keeps = reason(layout, draft)
        .and_then(|reason| find(layout.reasons(), reason))
        .is_some_and(|reason| reason.state == Some(current));
    if !keeps {
        draft.set(status, default_reason(layout, current).map(Value::Integer));
    }
}

/// The reason that a row gets in a state: the wanted one, or the state's first.
pub(crate) fn reason_of(
    layout: &Layout,
    id: Uuid,
    state: i32,
    wanted: Option<i32>,
) -> Result<Option<i32>, Refusal> {
    let reason = wanted.or_else(|| default_reason(layout, state));
    check_pair(layout, id, state, reason)?;
    Ok(reason)
}

/// Whether a row is in the state in which it began.
pub(crate) fn is_open(engine: &Engine, layout: &Layout, id: Uuid) -> bool {
    let open = layout.states().first().map(|state| state.value);
    let column = layout.special.state;
    let row = engine.row(layout, id);
    let current = column.and_then(|column| row?.cells.get(column));
    open.map(Value::Integer) == current
}

fn wanted(written: &Written, column: Option<Column>) -> Option<i32> {
    let value = written.iter().find(|(known, _)| Some(*known) == column);
    match value {
        Some((_, Some(Value::Integer(number)))) => Some(*number),
        _ => None,
    }
}

fn reason(layout: &Layout, draft: &Draft) -> Option<i32> {
    draft.integer(layout.special.status?)
}

fn find(options: &[OptionDef], value: i32) -> Option<&OptionDef> {
    options.iter().find(|option| option.value == value)
}

fn default_reason(layout: &Layout, state: i32) -> Option<i32> {
    let mut reasons = layout.reasons().iter();
    let first = reasons.find(|reason| reason.state == Some(state));
    first.map(|reason| reason.value)
}

fn check_pair(layout: &Layout, id: Uuid, state: i32, reason: Option<i32>) -> Result<(), Refusal> {
    let Some(reason) = reason else {
        return Ok(());
    };
    let known = find(layout.reasons(), reason);
    if known.is_some_and(|known| known.state == Some(state)) {
        return Ok(());
    }
    let label = find(layout.states(), state).and_then(|state| state.labels.get(&1033));
    let label = label.map_or("", String::as_str);
    let schema_name = &layout.def.schema_name;
    let table = &layout.def.logical_name;
    Err(Refusal::new(
        400,
        "0x80048408",
        format!(
            "{reason} is not a valid status code for state code {schema_name}State.{label} on \
             {table} with Id {id}."
        ),
    ))
}

/// Tables whose closed rows take no other change until they are open again.
fn check_open(
    layout: &Layout,
    current: i32,
    state: Option<i32>,
    written: &Written,
) -> Result<(), Refusal> {
    let table = layout.def.logical_name.as_str();
    let closes = layout.def.is_activity() || matches!(table, "opportunity" | "incident" | "lead");
    let open = layout.states().first().map(|state| state.value);
    let special = &layout.special;
    let is_state = |column: Column| Some(column) == special.state || Some(column) == special.status;
    let only_state = written.iter().all(|(column, _)| is_state(*column));
    if !closes || Some(current) == open || state == open || only_state {
        return Ok(());
    }
    if layout.def.is_activity() {
        let message = "The object cannot be updated because it is read-only.";
        return Err(Refusal::new(400, "0x8004022e", message));
    }
    let message = "The object cannot be updated because it is inactive.";
    Err(Refusal::new(400, "0x80040230", message))
}

/// States that only a message of their own can set.
fn check_message(layout: &Layout, current: i32, state: Option<i32>) -> Result<(), Refusal> {
    let Some(state) = state.filter(|state| *state != current) else {
        return Ok(());
    };
    let refuse = |table: &str, state: &str, message: &str| {
        let message = format!(
            "This message can not be used to set the state of {table} to {state}. In order to set \
             state of {table} to {state}, use the {message} message instead."
        );
        Err(Refusal::new(400, "0x80100005", message))
    };
    match (layout.def.logical_name.as_str(), state) {
        ("opportunity", 1) => refuse("opportunity", "won", "won"),
        ("opportunity", 2) => refuse("opportunity", "lost", "lost"),
        ("incident", 1) => refuse("incident", "Resolved", "CloseIncidentRequest"),
        _ => Ok(()),
    }
}
