//! References: from the cells of a row to what a record of another table is found by.

use std::fmt::Write as _;
use std::sync::Arc;

use super::convert::{Canonical, Cell, Conversion, Scratch};
use super::plan::{Plan, PlannedColumn, cell_of, faults_of, position_of};
use super::reject::{faulty, refused};
use crate::model::{
    Absent, LogicalName, Lookup, Points, Reference, Reject, Rows, Target, TargetColumn, Value,
};

/// A lookup column, compiled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedLookup {
    pub(super) to: Arc<Lookup>,
    /// The cells and their steps, in the order of the key by which the record is found.
    pub(super) parts: Vec<(usize, Conversion)>,
}

impl Plan {
    /// The ways of all lookup columns.
    pub fn lookups(&self) -> Vec<Arc<Lookup>> {
        let columns = self.columns.iter();
        let lookups = columns.filter_map(|column| match column {
            PlannedColumn::Lookup(lookup) => Some(Arc::clone(&lookup.to)),
            PlannedColumn::Constant(_) | PlannedColumn::Cell { .. } => None,
        });
        lookups.collect()
    }

    /// The target columns that refer to this mapping's own records by their key.
    pub fn references_to_itself(&self) -> Vec<usize> {
        let columns = self.columns.iter().enumerate();
        let own_lookups = columns.filter(|(_, column)| match column {
            PlannedColumn::Lookup(lookup) => self.refers_to_own_key(&lookup.to),
            PlannedColumn::Constant(_) | PlannedColumn::Cell { .. } => false,
        });
        own_lookups.map(|(index, _)| index).collect()
    }

    /// Whether the reference is found by the very key of this mapping's own records.
    pub fn refers_to_own_key(&self, lookup: &Lookup) -> bool {
        let names = |target: &Target| -> Vec<LogicalName> {
            let key = target.key.iter();
            let key = key.filter_map(|index| target.columns.get(*index));
            key.map(|column| column.name.clone()).collect()
        };
        lookup.target.table == self.target.table && names(&lookup.target) == names(&self.target)
    }
}

impl PlannedLookup {
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|(slot, _)| *slot)
    }

    /// What it does, for the digest of the program.
    pub(super) fn describe(&self, steps: &mut String) {
        let target = &self.to.target;
        steps.push_str(target.table.as_str());
        for (column, (slot, conversion)) in target.columns.iter().zip(&self.parts) {
            // Writing into a string cannot fail.
            write!(steps, " {} {slot} ", column.name).ok();
            conversion.describe(steps);
        }
        match self.to.absent {
            Absent::Reject => steps.push_str(" reject"),
            Absent::Blank => steps.push_str(" blank"),
            Absent::Default(id) => {
                write!(steps, " {id}").ok();
            }
        }
    }

    /// The reference of a row: to be found, or nowhere if one of its cells is empty.
    #[expect(
        clippy::result_large_err,
        reason = "a reject is moved once, into its outcome"
    )]
    pub(super) fn value(
        &self,
        rows: &Rows,
        index: usize,
        column: &TargetColumn,
    ) -> Result<Value, Reject> {
        let mut key = Vec::with_capacity(self.parts.len());
        let mut scratch = Scratch::default();
        let faults = faults_of(rows, index);
        for ((slot, conversion), by) in self.parts.iter().zip(&self.to.target.columns) {
            if let Some(fault) = faults.iter().find(|fault| fault.column == Some(*slot)) {
                return Err(faulty(position_of(rows, index), fault, Some(column)));
            }
            let cell = cell_of(rows, *slot, index);
            let value = cell.and_then(|cell| conversion.convert(cell, &mut scratch));
            match value.map(Canonical::into_value) {
                Ok(value) => key.push(value),
                Err(refusal) => {
                    // The words are about what is looked for, the column is the one that was to be written.
                    let sought =
                        TargetColumn::new(column.name.clone(), by.kind.clone(), column.nulls);
                    let cell = cell.unwrap_or(Cell::Null);
                    let position = position_of(rows, index);
                    return Err(refused(position, refusal, cell, &sought, conversion));
                }
            }
        }
        let points = if key.iter().any(Value::is_null) {
            key.clear();
            Points::Nowhere
        } else {
            Points::Sought
        };
        let to = Arc::clone(&self.to);
        Ok(Value::Reference(Box::new(Reference { to, key, points })))
    }
}
