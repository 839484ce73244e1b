//! In which order rows come: by their own columns, and by those of rows that lookups point to.
//!
//! Source: Microsoft Learn, "Order rows using OData".

use std::cmp::Ordering;

use uuid::Uuid;

use crate::model::Layout;
use crate::query::filter::Ground;
use crate::query::related;
use crate::query::scan::{Scan, compare};
use crate::refusal::Refusal;
use crate::render::value_of;
use crate::table::Row;
use crate::table::value::{Column, TableNumber, Value};

/// An order may follow only so many lookups.
const FARTHEST: usize = 8;

/// What rows are ordered by.
pub(super) struct Order {
    /// The lookups on the way to the column, each with the table that it leads to.
    hops: Vec<(Column, TableNumber)>,
    column: Column,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// Reads `name desc,primarycontactid/fullname`.
pub(super) fn parse(
    ground: Ground<'_>,
    layout: &Layout,
    value: &str,
) -> Result<Vec<Order>, Refusal> {
    let orders = value.split(',').map(|piece| {
        let mut words = piece.split_whitespace();
        let path = words.next().ok_or_else(Refusal::query_syntax)?;
        let direction = match (words.next(), words.next()) {
            (None | Some("asc"), None) => Direction::Ascending,
            (Some("desc"), None) => Direction::Descending,
            _ => return Err(Refusal::query_syntax()),
        };
        // An alias may name the property.
        let mut aliases = ground.aliases.iter();
        let alias = aliases.find(|(name, _)| name == path);
        let path = alias.map_or(path, |(_, property)| property.as_str());
        let (hops, column) = way(ground, layout, path)?;
        Ok(Order {
            hops,
            column,
            direction,
        })
    });
    orders.collect()
}

type Hops = Vec<(Column, TableNumber)>;

fn way(ground: Ground<'_>, layout: &Layout, path: &str) -> Result<(Hops, Column), Refusal> {
    let mut hops = Hops::new();
    let mut at = layout;
    let mut rest = path;
    while let Some((step, after)) = rest.split_once('/') {
        if hops.len() >= FARTHEST {
            return Err(Refusal::query_syntax());
        }
        let (lookup, target) = related::target(ground.context, at, step)?;
        hops.push((lookup, target.number));
        at = target;
        rest = after;
    }
    let table = &at.def.logical_name;
    let column = at.readable(rest);
    Ok((
        hops,
        column.ok_or_else(|| Refusal::unknown_column(table, rest))?,
    ))
}

impl Order {
    /// The value that a row is ordered by; null where a lookup on the way is.
    fn value(&self, scan: Scan<'_>, id: Uuid, row: &Row) -> Option<Value<'static>> {
        let (mut layout, mut id, mut row) = (scan.layout, id, row);
        for (lookup, target) in &self.hops {
            let Value::Reference { table, id: next } = value_of(layout, id, row, *lookup)? else {
                return None;
            };
            if table != *target {
                return None;
            }
            layout = scan.engine.model.layout(table)?;
            id = next;
            row = scan.engine.row(layout, next)?;
        }
        value_of(layout, id, row, self.column).map(Value::into_owned)
    }
}

/// Nulls come first; equal rows stay in the order of their ids.
pub(super) fn sort(scan: Scan<'_>, orders: &[Order], rows: &mut Vec<(Uuid, &Row)>) {
    if orders.is_empty() {
        return;
    }
    let collation = scan.engine.collation;
    let keyed = rows.drain(..).map(|(id, row)| {
        let values = orders.iter().map(|order| order.value(scan, id, row));
        (values.collect::<Vec<_>>(), (id, row))
    });
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_by(|(left, _), (right, _)| {
        for (order, (left, right)) in orders.iter().zip(left.iter().zip(right)) {
            let ordering = match (left, right) {
                (Some(left), Some(right)) => {
                    compare(collation, left, right).unwrap_or(Ordering::Equal)
                }
                (left, right) => left.is_some().cmp(&right.is_some()),
            };
            let ordering = match order.direction {
                Direction::Ascending => ordering,
                Direction::Descending => ordering.reverse(),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    });
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}
