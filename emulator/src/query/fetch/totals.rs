//! Aggregates of a fetch.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::plan::{Attribute, By, Plan, Role};
use super::rows::{Joined, by_orders, cell, ordered};
use crate::engine::Engine;
use crate::query::Method;
use crate::refusal::Refusal;
use crate::render::{Shown, View, push_text, push_value};
use crate::request::Annotations;
use crate::table::value::Value;
use crate::table::{FoldedKey, fold_value};

/// Rows that may be aggregated.
const MOST_ROWS: usize = 50_000;

/// What an attribute came to in a group.
enum Total {
    Count(usize),
    Value(Option<Value<'static>>),
}

/// The objects of an aggregate query, in order, without braces.
pub(super) fn totals(
    engine: &Engine,
    plan: &Plan<'_>,
    rows: &[Joined<'_>],
    annotations: &Annotations,
) -> Result<Vec<String>, Refusal> {
    if rows.len() > MOST_ROWS {
        let message = "The maximum record limit is exceeded. Reduce the number of records.";
        return Err(Refusal::new(400, "0x8004e023", message));
    }
    let attributes: Vec<(usize, &Attribute)> = plan
        .entities
        .iter()
        .enumerate()
        .flat_map(|(place, entity)| entity.attributes.iter().map(move |a| (place, a)))
        .collect();
    let mut groups = Vec::new();
    for rows in grouped(engine, plan, &attributes, rows) {
        let totals = attributes.iter().map(|(place, attribute)| {
            let values = rows
                .iter()
                .filter_map(|row| cell(plan, row, *place, attribute.column));
            total(
                engine,
                attribute.role,
                rows.len(),
                values.map(Value::into_owned).collect(),
            )
        });
        groups.push(totals.collect::<Result<Vec<_>, _>>()?);
    }
    sort(engine, plan, &attributes, &mut groups);
    let objects = groups.iter();
    let objects = objects.map(|group| object(engine, plan, &attributes, group, annotations));
    Ok(objects.collect())
}

fn object(
    engine: &Engine,
    plan: &Plan<'_>,
    attributes: &[(usize, &Attribute)],
    group: &[Total],
    annotations: &Annotations,
) -> String {
    let mut text = String::new();
    for ((place, attribute), total) in attributes.iter().zip(group) {
        let Some(entity) = plan.entities.get(*place) else {
            continue;
        };
        let alias = attribute.alias.as_deref().unwrap_or_default();
        if !text.is_empty() {
            text.push(',');
        }
        match total {
            Total::Count(count) => {
                push_text(&mut text, alias);
                text.push(':');
                text.push_str(&count.to_string());
            }
            Total::Value(value) if attribute.role == Role::Grouped => {
                let view = View {
                    engine,
                    layout: entity.layout,
                    shown: &Shown::All,
                    annotations,
                };
                view.member_of(alias, attribute.column, value.as_ref(), &mut text);
            }
            Total::Value(value) => {
                push_text(&mut text, alias);
                text.push(':');
                push_value(entity.layout, attribute.column, value.as_ref(), &mut text);
            }
        }
    }
    text
}

/// Rows with the same grouped values; all of them if nothing is grouped.
fn grouped<'r, 'a>(
    engine: &Engine,
    plan: &Plan<'_>,
    attributes: &[(usize, &Attribute)],
    rows: &'r [Joined<'a>],
) -> Vec<Vec<&'r Joined<'a>>> {
    let keys: Vec<_> = attributes
        .iter()
        .filter(|(_, a)| a.role == Role::Grouped)
        .collect();
    if keys.is_empty() {
        return vec![rows.iter().collect()];
    }
    let mut groups: Vec<Vec<&Joined<'a>>> = Vec::new();
    let mut places: HashMap<Vec<Option<FoldedKey>>, usize> = HashMap::new();
    for row in rows {
        let key = keys.iter().map(|(place, attribute)| {
            let value = cell(plan, row, *place, attribute.column);
            value.map(|value| fold_value(engine.collation, &value))
        });
        let place = *places.entry(key.collect()).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.push(row);
        }
    }
    groups
}

fn total(
    engine: &Engine,
    role: Role,
    rows: usize,
    values: Vec<Value<'static>>,
) -> Result<Total, Refusal> {
    let collation = engine.collation;
    let method = match role {
        Role::Shown | Role::Grouped => return Ok(Total::Value(values.into_iter().next())),
        Role::Count => return Ok(Total::Count(rows)),
        Role::CountColumn => return Ok(Total::Count(values.len())),
        Role::CountDistinct => {
            let distinct: HashSet<_> = values.iter().map(|v| fold_value(collation, v)).collect();
            return Ok(Total::Count(distinct.len()));
        }
        Role::Sum => Method::Sum,
        Role::Average => Method::Average,
        Role::Least => Method::Least,
        Role::Greatest => Method::Greatest,
    };
    Ok(Total::Value(method.of(collation, &values)?))
}

fn sort(
    engine: &Engine,
    plan: &Plan<'_>,
    attributes: &[(usize, &Attribute)],
    groups: &mut [Vec<Total>],
) {
    let place_of = |by: &By| {
        let By::Alias(alias) = by else {
            return None;
        };
        let is_it = |(_, a): &(usize, &Attribute)| a.alias.as_ref() == Some(alias);
        attributes.iter().position(is_it)
    };
    groups.sort_by(|left, right| {
        by_orders(plan, |by| {
            let place = place_of(by);
            let totals = place.map(|place| (left.get(place), right.get(place)));
            match totals.unwrap_or_default() {
                (Some(Total::Count(left)), Some(Total::Count(right))) => left.cmp(right),
                (Some(Total::Value(left)), Some(Total::Value(right))) => {
                    ordered(engine, left.as_ref(), right.as_ref())
                }
                _ => Ordering::Equal,
            }
        })
    });
}
