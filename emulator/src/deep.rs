//! A row that is created together with others: deep insert.
//!
//! All in one transaction: rows to which it points come first, rows that belong to it afterwards.
//! Source: Microsoft Learn, "Create a table row using the Web API", "Create related table rows in
//! one operation", "Associate table rows on create".

use crate::association::Association;
use crate::collection::Collection;
use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::payload::{Assignments, Below, Nested};
use crate::refusal::Refusal;
use crate::value::{Column, TableNumber, Value};
use crate::write::{self, Done};

/// `POST` to a set. A refusal leaves rows behind that the caller takes back.
pub(crate) fn create(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    mut assignments: Assignments,
) -> Result<Done, Refusal> {
    let mut below = Vec::new();
    for nested in std::mem::take(&mut assignments.nested) {
        match nested {
            Nested::Above { column, table, row } => {
                let done = create_in(engine, context, table, row)?;
                let id = done.id();
                point(&mut assignments, column, Value::Reference { table, id });
            }
            Nested::Below { collection, rows } => below.push((collection, rows)),
        }
    }
    let done = write::create(engine, context, layout, assignments)?;
    for (collection, rows) in below {
        let association = Association {
            context,
            layout,
            id: done.id(),
            collection,
        };
        for row in rows {
            let other = match (row, collection) {
                (Below::Known(id), _) => id,
                (Below::New(mut row), Collection::Many { table, column }) => {
                    let above = Value::Reference {
                        table: layout.number,
                        id: done.id(),
                    };
                    point(&mut row, column, above);
                    create_in(engine, context, table, row)?;
                    continue;
                }
                (Below::New(row), Collection::Across { table, .. }) => {
                    create_in(engine, context, table, row)?.id()
                }
            };
            association.add(engine, other)?;
        }
    }
    Ok(done)
}

fn create_in(
    engine: &mut Engine,
    context: &Context<'_>,
    table: TableNumber,
    row: Assignments,
) -> Result<Done, Refusal> {
    let layout = context.model.layout(table);
    let layout = layout.ok_or_else(Refusal::query_syntax)?;
    create(engine, context, layout, row)
}

/// The row that it stands in or holds wins over what it says itself.
fn point(assignments: &mut Assignments, column: Column, target: Value<'static>) {
    let values = &mut assignments.values;
    values.retain(|(known, _)| *known != column);
    values.push((column, Some(target)));
}
