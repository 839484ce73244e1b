//! The rows that bodies name: in `@odata.bind`, in `@odata.id`, by a change set's `$1`.
//!
//! Source: Microsoft Learn, "Associate and disassociate table rows using the Web API", "Execute
//! batch operations using the Web API", "Reference URIs in an operation".

use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::address::{self, Place, RowKey};
use crate::refusal::Refusal;
use crate::table::value::TableNumber;
use crate::write;

/// The table and key that a bind string or an `@odata.id` means.
pub(crate) fn key_of<'m>(
    context: &Context<'m>,
    text: &str,
) -> Result<(&'m Layout, RowKey), Refusal> {
    let model = context.model;
    if let Some(reference) = text.strip_prefix('$') {
        let (set, id) = context.reference(reference)?;
        let layout = model.of_set(set).ok_or_else(|| Refusal::no_segment(set))?;
        return Ok((layout, RowKey::Id(*id)));
    }
    let path = context.bound_path(text).ok_or_else(Refusal::query_syntax)?;
    let address = address::parse(path, Place::Bind)?;
    let layout = model
        .of_set(&address.segment)
        .ok_or_else(|| Refusal::no_segment(&address.segment))?;
    let (Some(predicate), None) = (&address.key, &address.rest) else {
        return Err(Refusal::query_syntax());
    };
    Ok((layout, address::resolve(layout, predicate)?))
}

/// The row that a bind string means; it must exist.
pub(crate) fn row_of(
    engine: &Engine,
    context: &Context<'_>,
    text: &str,
) -> Result<(TableNumber, Uuid), Refusal> {
    let (layout, key) = key_of(context, text)?;
    let id = write::find(engine, layout, &key);
    let id = id.ok_or_else(|| write::absent(layout, &key))?;
    Ok((layout.number, id))
}
