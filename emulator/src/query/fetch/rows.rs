//! Joined rows of a fetch: which there are, and in which order.

use std::cmp::Ordering;
use std::collections::HashMap;

use uuid::Uuid;

use super::plan::{Across, By, Plan};
use crate::engine::Engine;
use crate::query::scan::{Scan, compare};
use crate::refusal::Refusal;
use crate::render::value_of;
use crate::table::value::{Column, Value};
use crate::table::{FoldedKey, Row, fold_value};

/// Joined rows that are held at once.
const MOST_JOINED: usize = 1_000_000;

/// One row of each entity; none where an outer join found none.
pub(super) type Joined<'a> = Vec<Option<(Uuid, &'a Row)>>;

/// A value of a joined row.
pub(super) fn cell<'a>(
    plan: &Plan<'_>,
    joined: &Joined<'a>,
    entity: usize,
    column: Column,
) -> Option<Value<'a>> {
    let (id, row) = (*joined.get(entity)?)?;
    value_of(plan.entities.get(entity)?.layout, id, row, column)
}

/// All joined rows, in the order of the ids of their first.
pub(super) fn joined<'a>(
    engine: &'a Engine,
    plan: &'a Plan<'a>,
) -> Result<Vec<Joined<'a>>, Refusal> {
    let mut found: Vec<Joined<'a>> = Vec::new();
    for (place, entity) in plan.entities.iter().enumerate() {
        let scan = Scan {
            engine,
            layout: entity.layout,
            filter: Some(&entity.filter),
        };
        let Some(join) = entity.join else {
            found = scan.rows(None).map(|row| vec![Some(row)]).collect();
            continue;
        };
        let fold = |value: &Value<'_>| fold_value(engine.collation, value);
        let mut index: HashMap<FoldedKey, Vec<(Uuid, &Row)>> = HashMap::new();
        for (id, row) in scan.rows(None) {
            if let Some(value) = value_of(entity.layout, id, row, join.from) {
                index.entry(fold(&value)).or_default().push((id, row));
            }
        }
        let mut wider: Vec<Joined<'a>> = Vec::with_capacity(found.len());
        for rows in found {
            let key = cell(plan, &rows, join.parent, join.to).map(|value| fold(&value));
            let matches = key
                .and_then(|key| index.get(&key))
                .map_or(&[][..], Vec::as_slice);
            let with = |last| {
                let mut rows = rows.clone();
                rows.push(last);
                rows
            };
            debug_assert_eq!(rows.len(), place);
            wider.extend(matches.iter().map(|row| with(Some(*row))));
            if matches.is_empty() && join.is_outer {
                wider.push(with(None));
            }
            if wider.len() > MOST_JOINED {
                let message = "The query joins too many rows.";
                return Err(Refusal::new(400, "0x8004e023", message));
            }
        }
        found = wider;
    }
    found.retain(|rows| holds(engine, plan, &plan.across, rows));
    Ok(found)
}

fn holds(engine: &Engine, plan: &Plan<'_>, condition: &Across, rows: &Joined<'_>) -> bool {
    match condition {
        Across::All(parts) => parts.iter().all(|part| holds(engine, plan, part, rows)),
        Across::Any(parts) => parts.iter().any(|part| holds(engine, plan, part, rows)),
        Across::On(place, filter) => {
            let Some(entity) = plan.entities.get(*place) else {
                return false;
            };
            let scan = Scan {
                engine,
                layout: entity.layout,
                filter: None,
            };
            scan.holds(filter, rows.get(*place).copied().flatten())
        }
    }
}

/// Nulls come first; equal rows stay as they are.
pub(super) fn sort(engine: &Engine, plan: &Plan<'_>, rows: &mut [Joined<'_>]) {
    rows.sort_by(|left, right| {
        by_orders(plan, |by| {
            let By::Column(entity, column) = *by else {
                return Ordering::Equal;
            };
            let value = |rows| cell(plan, rows, entity, column);
            ordered(engine, value(left).as_ref(), value(right).as_ref())
        })
    });
}

/// The first of the plan's orders that tells two things apart decides.
pub(super) fn by_orders(plan: &Plan<'_>, compared: impl Fn(&By) -> Ordering) -> Ordering {
    let mut orderings = plan.orders.iter().map(|order| {
        let ordering = compared(&order.by);
        if order.is_descending {
            ordering.reverse()
        } else {
            ordering
        }
    });
    orderings
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

pub(super) fn ordered(
    engine: &Engine,
    left: Option<&Value<'_>>,
    right: Option<&Value<'_>>,
) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => {
            compare(engine.collation, left, right).unwrap_or(Ordering::Equal)
        }
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}
