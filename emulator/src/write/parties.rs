//! Who may own a row, and which rows may stand above it.
//!
//! Source: Microsoft Learn, "Web service error codes": the names and texts of what is refused.

use std::collections::HashSet;

use uuid::Uuid;

use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::table::value::{Column, Value};

/// Checks the references that a row is about to get.
pub(crate) fn check(
    engine: &Engine,
    layout: &Layout,
    id: Uuid,
    written: &Written,
) -> Result<(), Refusal> {
    for (column, value) in written {
        if Some(*column) == layout.special.owner {
            check_owner(engine, value.as_ref())?;
        }
        if let Some(Value::Reference { id: parent, .. }) = value
            && layout.column_name(*column) == "parentaccountid"
            && layout.def.logical_name == "account"
        {
            check_loop(engine, layout, *column, id, *parent)?;
        }
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

/// An account cannot stand above itself, nor above one that stands above it.
fn check_loop(
    engine: &Engine,
    layout: &Layout,
    column: Column,
    id: Uuid,
    parent: Uuid,
) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    let mut above = Some(parent);
    while let Some(next) = above.filter(|next| seen.insert(*next)) {
        if next == id {
            let message = "Creating this parental association would create a loop in Accounts \
                           hierarchy.";
            return Err(Refusal::new(400, "0x80040507", message));
        }
        above = match engine
            .row(layout, next)
            .and_then(|row| row.cells.get(column))
        {
            Some(Value::Reference { id, .. }) => Some(id),
            _ => None,
        };
    }
    Ok(())
}
