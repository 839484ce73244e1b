//! What a delete does beside removing its row: to rows that point to it, and to its pairs.
//!
//! Source: Microsoft Learn, "Table relationship behavior", "Cascading behavior": `RemoveLink`
//! clears the lookup, Restrict refuses the delete, Cascade deletes the rows that point, too. A lookup that is never null holds its row, too.

use std::sync::Arc;

use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::roles::Access;
use crate::schema::OnDelete;
use crate::table::value::{Cells, Column, TableNumber, Value};
use crate::write::draft::Draft;

/// Deletes that bring others along go no deeper.
const LEVELS: usize = 100;

/// Removes a row that is there.
pub(crate) fn remove(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
) -> Result<(), Refusal> {
    remove_below(engine, context, layout, id, &mut Vec::new())
}

/// `above` are the rows whose delete brought this one along.
fn remove_below(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    above: &mut Vec<Uuid>,
) -> Result<(), Refusal> {
    if above.len() > LEVELS {
        let message = "The delete would cascade over too many levels of related rows.";
        return Err(Refusal::new(400, "0x80040203", message));
    }
    context.require(layout, Access::Delete)?;
    if context.identity.has(id) {
        return Err(Refusal::associated());
    }
    let model = Arc::clone(&engine.model);
    for (table, column, on_delete) in &layout.referencing {
        let Some(other) = model.layout(*table) else {
            continue;
        };
        if holds(engine, other, *column, *on_delete, id) {
            return Err(Refusal::associated());
        }
    }
    for (table, column, on_delete) in &layout.referencing {
        let Some(other) = model.layout(*table).filter(|it| it.traced.contains(column)) else {
            continue;
        };
        if *on_delete != OnDelete::Cascade {
            clear(engine, context, other, *column, id)?;
            continue;
        }
        let below: Vec<Uuid> = pointing(engine, other, *column, id).collect();
        above.push(id);
        for row in below {
            // A circle comes back to a row that is on its way out.
            if !above.contains(&row) && engine.row(other, row).is_some() {
                remove_below(engine, context, other, row, above)?;
            }
        }
        above.pop();
    }
    for pairs in model
        .layouts()
        .filter(|other| other.def.intersect().is_some())
    {
        let gone: Vec<Uuid> = engine.referrers(id, pairs.number).collect();
        for pair in gone {
            engine.delete(pairs, pair);
        }
    }
    engine.delete(layout, id);
    Ok(())
}

/// Whether rows of another table do not let the row go.
fn holds(engine: &Engine, other: &Layout, column: Column, on_delete: OnDelete, id: Uuid) -> bool {
    let special = &other.special;
    if other.traced.contains(&column) {
        let is_needed = on_delete != OnDelete::Cascade && other.needed.contains(&column);
        let must = on_delete == OnDelete::Restrict || is_needed;
        return must && pointing(engine, other, column, id).next().is_some();
    }
    // Who wrote a row once may go; whose it is may not.
    if Some(column) == special.created_by || Some(column) == special.modified_by {
        return false;
    }
    let rows = engine.rows(other).into_iter();
    let mut rows = rows.flat_map(|rows| rows.after(None));
    rows.any(|(_, row)| points_to(row.cells.get(column).as_ref(), id))
}

fn points_to(value: Option<&Value<'_>>, id: Uuid) -> bool {
    matches!(value, Some(Value::Reference { id: target, .. }) if *target == id)
}

fn pointing<'e>(
    engine: &'e Engine,
    other: &'e Layout,
    column: Column,
    id: Uuid,
) -> impl Iterator<Item = Uuid> + 'e {
    let table: TableNumber = other.number;
    engine.referrers(id, table).filter(move |row| {
        let row = engine.row(other, *row);
        points_to(row.and_then(|row| row.cells.get(column)).as_ref(), id)
    })
}

/// Clears the lookup of all rows that point to the row; nobody needs a privilege for that.
fn clear(
    engine: &mut Engine,
    context: &Context<'_>,
    other: &Layout,
    column: Column,
    id: Uuid,
) -> Result<(), Refusal> {
    let rows: Vec<Uuid> = pointing(engine, other, column, id).collect();
    for row in rows {
        if other.def.holds_parties() && other.column_name(column) == "activityid" {
            engine.delete(other, row);
            continue;
        }
        let Some(found) = engine.row(other, row) else {
            continue;
        };
        let mut draft = Draft(found.cells.unpacked());
        draft.set(column, None);
        draft.compute(engine, context, other);
        engine.update(other, row, Cells::pack(&draft.0), vec![(column, None)])?;
    }
    Ok(())
}
