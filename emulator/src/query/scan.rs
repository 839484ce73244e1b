//! Finds the rows that a filter means: by an index where it names a key, otherwise one by one.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use uuid::Uuid;

use crate::engine::Engine;
use crate::model::Layout;
use crate::query::filter::{Filter, Operand, Operator};
use crate::render::value_of;
use crate::table::fold::Collation;
use crate::table::value::{Column, TableNumber, Value};
use crate::table::{Row, fold_value};

/// A filter on the rows of a table.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) layout: &'a Layout,
    pub(crate) filter: Option<&'a Filter>,
}

impl<'a> Scan<'a> {
    /// The rows in the order of their ids, those after `last` if it is given.
    pub(crate) fn rows(self, last: Option<Uuid>) -> Box<dyn Iterator<Item = (Uuid, &'a Row)> + 'a> {
        let Some(rows) = self.engine.rows(self.layout) else {
            return Box::new(std::iter::empty());
        };
        let Some(filter) = self.filter else {
            return Box::new(rows.after(last));
        };
        if let Some(candidates) = self.candidates(filter) {
            let found = candidates
                .into_iter()
                .filter(move |id| last.is_none_or(|last| *id > last))
                .filter_map(move |id| rows.get(id).map(|row| (id, row)));
            return Box::new(found.filter(move |row| self.holds(filter, Some(*row))));
        }
        Box::new(
            rows.after(last)
                .filter(move |row| self.holds(filter, Some(*row))),
        )
    }

    /// A set of ids outside of which the filter cannot hold; `None` if no index tells.
    fn candidates(self, filter: &Filter) -> Option<BTreeSet<Uuid>> {
        match filter {
            Filter::Compare { .. } => self.keyed(&[filter]),
            Filter::All(parts) => {
                let parts: Vec<&Filter> = parts.iter().collect();
                let keyed = self.keyed(&parts);
                keyed.or_else(|| parts.iter().find_map(|part| self.candidates(part)))
            }
            Filter::Any(parts) => {
                let mut all = BTreeSet::new();
                for part in parts {
                    all.extend(self.candidates(part)?);
                }
                Some(all)
            }
            Filter::In { column, values, .. } => {
                let mut all = BTreeSet::new();
                for value in values {
                    all.extend(self.lookup(&[(*column, value)])?);
                }
                Some(all)
            }
            Filter::Ids(ids) => Some(ids.clone()),
            Filter::Not(_)
            | Filter::Since(_)
            | Filter::Like { .. }
            | Filter::Choices { .. }
            | Filter::Related { .. } => None,
        }
    }

    /// By the conditions among these, all of which must hold, that say what a column equals.
    fn keyed(self, parts: &[&Filter]) -> Option<BTreeSet<Uuid>> {
        let equal = parts.iter().filter_map(|part| match part {
            Filter::Compare {
                column,
                operator: Operator::Equal,
                operand: Operand::Value(value),
            } => Some((*column, value)),
            _ => None,
        });
        self.lookup(&equal.collect::<Vec<_>>())
    }

    fn lookup(self, equal: &[(Column, &Value<'static>)]) -> Option<BTreeSet<Uuid>> {
        let value_of = |wanted: Column| {
            let pair = equal.iter().find(|(column, _)| *column == wanted);
            pair.map(|(_, value)| (*value).clone())
        };
        if let Some(Value::Guid(id)) = self.layout.special.id.and_then(value_of) {
            return Some(BTreeSet::from([id]));
        }
        let mut keys = self.layout.keys.iter().enumerate();
        keys.find_map(|(number, key)| {
            let values: Option<Vec<_>> = key.columns.iter().map(|c| value_of(*c)).collect();
            let found = self.engine.find(self.layout, number, values?.into_iter());
            Some(found.into_iter().collect())
        })
    }

    /// Whether a row is meant; all columns of no row are null.
    pub(crate) fn holds(self, filter: &Filter, row: Option<(Uuid, &Row)>) -> bool {
        let collation = self.engine.collation;
        let value = |column: Column| value_of(self.layout, row?.0, row?.1, column);
        match filter {
            Filter::All(parts) => parts.iter().all(|part| self.holds(part, row)),
            Filter::Any(parts) => parts.iter().any(|part| self.holds(part, row)),
            Filter::Not(part) => !self.holds(part, row),
            Filter::Like { column, pattern } => match value(*column) {
                Some(Value::Text(text)) => pattern.matches(collation, &text),
                _ => false,
            },
            Filter::In { column, folded, .. } => {
                value(*column).is_some_and(|value| folded.contains(&fold_value(collation, &value)))
            }
            Filter::Choices { column, numbers } => match value(*column) {
                Some(Value::Text(chosen)) => {
                    let mut chosen = chosen.split(',').filter_map(|one| one.parse().ok());
                    chosen.any(|one: i32| numbers.contains(&one))
                }
                _ => false,
            },
            Filter::Related {
                lookup,
                target,
                inner,
            } => self.holds_there(value(*lookup).as_ref(), *target, inner),
            Filter::Since(version) => row.is_some_and(|(_, row)| row.version > *version),
            Filter::Ids(ids) => row.is_some_and(|(id, _)| ids.contains(&id)),
            Filter::Compare {
                column,
                operator,
                operand,
            } => {
                let left = value(*column);
                let right = match operand {
                    Operand::Null => None,
                    Operand::Value(value) => Some(value.clone()),
                    Operand::Column(other) => value(*other),
                };
                operator.holds(collation, left.as_ref(), right.as_ref())
            }
        }
    }

    /// Whether a condition holds for the row of a table that a lookup points to.
    fn holds_there(
        self,
        reference: Option<&Value<'_>>,
        target: TableNumber,
        filter: &Filter,
    ) -> bool {
        let Some(layout) = self.engine.model.layout(target) else {
            return false;
        };
        let row = match reference {
            Some(Value::Reference { table, id }) if *table == target => {
                self.engine.row(layout, *id).map(|row| (*id, row))
            }
            _ => None,
        };
        Self { layout, ..self }.holds(filter, row)
    }
}

impl Operator {
    fn holds(
        self,
        collation: Collation,
        left: Option<&Value<'_>>,
        right: Option<&Value<'_>>,
    ) -> bool {
        let (Some(left), Some(right)) = (left, right) else {
            let are_both_null = left.is_none() && right.is_none();
            return match self {
                Self::Equal => are_both_null,
                Self::NotEqual => !are_both_null,
                Self::Greater | Self::GreaterOrEqual | Self::Less | Self::LessOrEqual => false,
            };
        };
        let Some(order) = compare(collation, left, right) else {
            return self == Self::NotEqual;
        };
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

/// The order of two values; `None` if their types have none between them.
pub(crate) fn compare(
    collation: Collation,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            Some(collation.fold(left).cmp(&collation.fold(right)))
        }
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::BigInt(left), Value::BigInt(right))
        | (Value::DateTime(left), Value::DateTime(right)) => Some(left.cmp(right)),
        (Value::Decimal(left), Value::Decimal(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (
            Value::Guid(left) | Value::Reference { id: left, .. },
            Value::Guid(right) | Value::Reference { id: right, .. },
        ) => Some(left.cmp(right)),
        _ => None,
    }
}
