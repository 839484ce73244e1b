//! Which tables may stand at the ends of new relationships.
//!
//! Source: Microsoft Learn, "Query table definitions using the Web API" and "Check the eligibility
//! of a table for relationships": `CanBeReferenced`, `GetValidReferencingEntities` and others.

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::odata::parameters::Parameters;
use crate::refusal::Refusal;
use crate::request::{Call, Response};
use crate::schema::{TableDef, TableNature};

/// The questions about one table, each an action.
const ASKED: [&str; 3] = ["CanBeReferenced", "CanBeReferencing", "CanManyToMany"];
/// The lists of tables, each a function.
const LISTED: [&str; 3] = [
    "GetValidReferencedEntities",
    "GetValidReferencingEntities",
    "GetValidManyToMany",
];

/// The one of these actions that a path names.
pub(crate) fn action(path: &str) -> Option<&'static str> {
    ASKED.into_iter().find(|name| *name == path)
}

/// What a function tells; `None` if it is none of these.
pub(crate) fn list(context: &Context<'_>, function: &str) -> Option<Json> {
    let place = LISTED.iter().position(|name| *name == function)?;
    let fits = if place == 0 {
        is_referenced
    } else {
        is_customized
    };
    let tables = context.schema.tables.values().filter(|table| fits(table));
    let names: Vec<&str> = tables.map(|table| table.logical_name.as_str()).collect();
    Some(json!({"EntityNames": names}))
}

/// Answers an action.
pub(crate) fn serve(
    context: &Context<'_>,
    call: &Call<'_>,
    action: &'static str,
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(action, call.json()?, &["EntityName"])?;
    let name: String = parameters.get("EntityName")?;
    let table = context.schema.tables.get(&name).ok_or_else(|| {
        let message = format!("Could not find an entity with name {name}.");
        Refusal::new(404, "0x80041102", message)
    })?;
    let can = match action {
        "CanBeReferenced" => is_referenced(table),
        _ => is_customized(table),
    };
    let shape = format!(
        "{}/$metadata#Microsoft.Dynamics.CRM.{action}Response",
        context.base()
    );
    let body = json!({"@odata.context": shape, action: can});
    Ok(Response::json(200, body.to_string()))
}

/// Lookups may lead to it.
fn is_referenced(table: &TableDef) -> bool {
    !matches!(table.nature, TableNature::Intersect(_))
}

/// It may get lookups and pairs of its own.
fn is_customized(table: &TableDef) -> bool {
    table.is_writable()
}
