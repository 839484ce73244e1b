//! A row that is created together with others: deep insert.
//!
//! All in one transaction: rows to which it points come first, rows that belong to it afterwards.
//! Source: Microsoft Learn, "Create a table row using the Web API", "Create related table rows in
//! one operation", "Associate table rows on create".

use serde_json::value::RawValue;

use crate::context::Context;
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::model::collection::Collection;
use crate::odata::payload::{self, Assignments, Below, Nested, Purpose};
use crate::refusal::Refusal;
use crate::table::value::{Column, TableNumber, Value};
use crate::write::association::Association;
use crate::write::state;
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

/// Puts other rows in the place of those that belong to an activity as its parties.
pub(crate) fn replace_parties(
    engine: &mut Engine,
    association: &Association<'_>,
    bodies: &[&RawValue],
) -> Result<(), Refusal> {
    let (context, layout) = (association.context, association.layout);
    let parties = association.other()?;
    let Collection::Many { column, .. } = association.collection else {
        return Err(Refusal::wrong_method("PUT"));
    };
    let rows = bodies.iter().map(|body| {
        let body = body.get().as_bytes();
        payload::assignments(engine, context, parties, body, Purpose::Create)
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if !state::is_open(engine, layout, association.id) {
        let message = "The object cannot be updated because it is read-only.";
        return Err(Refusal::new(400, "0x8004022e", message));
    }
    write::change(engine, context, layout, association.id, Written::new())?;
    let old: Vec<_> = engine.referrers(association.id, parties.number).collect();
    for party in old {
        engine.delete(parties, party);
    }
    for mut row in rows {
        let above = Value::Reference {
            table: layout.number,
            id: association.id,
        };
        point(&mut row, column, above);
        create(engine, context, parties, row)?;
    }
    Ok(())
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
