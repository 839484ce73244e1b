//! Who may own a row, which rows may stand above it, and which row there is but once.
//!
//! Source: Microsoft Learn, "Web service error codes": the names and texts of what is refused.

use std::collections::HashSet;

use uuid::Uuid;

use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::table::value::Value;

/// Checks the references that a row is about to get, and whether there may be one more.
pub(crate) fn check(
    engine: &Engine,
    layout: &Layout,
    id: Uuid,
    written: &Written,
) -> Result<(), Refusal> {
    if let Some(owner) = layout.special.owner
        && let Some((_, value)) = written.iter().find(|(column, _)| *column == owner)
    {
        check_owner(engine, value.as_ref())?;
    }
    match layout.def.logical_name.as_str() {
        "account" if is_in_loop(engine, layout, "parentaccountid", id, written) => {
            let message = "Creating this parental association would create a loop in Accounts \
                           hierarchy.";
            Err(Refusal::new(400, "0x80040507", message))
        }
        "businessunit" => check_unit(engine, layout, id, written),
        "organization" if engine.row(layout, id).is_none() => Err(layout.unsupported("Create")),
        _ => Ok(()),
    }
}

/// Every unit but the root stands below another one, so that the root stays what it is.
fn check_unit(
    engine: &Engine,
    layout: &Layout,
    id: Uuid,
    written: &Written,
) -> Result<(), Refusal> {
    const PARENT: &str = "parentbusinessunitid";
    let parent = layout.number_of(PARENT);
    let told = written.iter().find(|(column, _)| Some(*column) == parent);
    let loses_it = match engine.row(layout, id) {
        None => told.is_none_or(|(_, value)| value.is_none()),
        Some(row) => {
            let is_below = parent.and_then(|column| row.cells.get(column)).is_some();
            is_below && told.is_some_and(|(_, value)| value.is_none())
        }
    };
    if loses_it || is_in_loop(engine, layout, PARENT, id, written) {
        let message = "The parent object is invalid or missing.";
        return Err(Refusal::new(400, "0x80040205", message));
    }
    Ok(())
}

fn check_owner(engine: &Engine, owner: Option<&Value<'_>>) -> Result<(), Refusal> {
    let Some(Value::Reference { table, id }) = owner else {
        let message = "The owner ID is invalid or missing.";
        return Err(Refusal::new(400, "0x80040229", message));
    };
    let Some(layout) = engine.model.layout(*table) else {
        return Ok(());
    };
    let row = engine.row(layout, *id);
    let cell = |name: &str| row?.cells.get(layout.number_of(name)?);
    match layout.def.logical_name.as_str() {
        "systemuser" if cell("isdisabled") == Some(Value::Boolean(true)) => {
            let message = "The specified owner has been disabled.";
            Err(Refusal::new(400, "0x8004022b", message))
        }
        "team" if cell("teamtype") == Some(Value::Integer(1)) => {
            let message = "You cannot assign a record to the access team. You can assign a record \
                           to the owner team.";
            Err(Refusal::new(400, "0x80048340", message))
        }
        _ => Ok(()),
    }
}

/// Whether the row would stand above itself, or above one that stands above it.
fn is_in_loop(engine: &Engine, layout: &Layout, parent: &str, id: Uuid, written: &Written) -> bool {
    let Some(parent) = layout.number_of(parent) else {
        return false;
    };
    let referred = |value: Option<Value<'_>>| match value {
        Some(Value::Reference { id, .. }) => Some(id),
        _ => None,
    };
    let told = written.iter().find(|(column, _)| *column == parent);
    let mut above = told.and_then(|(_, value)| referred(value.clone()));
    let mut seen = HashSet::new();
    while let Some(next) = above.filter(|next| seen.insert(*next)) {
        if next == id {
            return true;
        }
        above = engine
            .row(layout, next)
            .and_then(|row| referred(row.cells.get(parent)));
    }
    false
}
