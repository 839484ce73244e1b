//! From the cells of a row to its record.

use std::ops::Range;
use std::sync::Arc;

use super::convert::{Canonical, Cell, CellColumn, Conversion, Refusal, Scratch};
use super::digest::{KeyPart, Parts};
use super::plan::{Plan, PlannedColumn, faults_of, position_of};
use super::reject::{faulty, refused};
use crate::model::{Record, Reject, Rows, TargetColumn, Text, Value};

/// The rows of one batch, to be mapped. What is the same for all of them is found once, and buffers are used again.
pub struct PlannedRows<'a> {
    plan: &'a Plan,
    rows: &'a Rows,
    cells: Vec<CellColumn<'a>>,
    scratch: Scratch,
    parts: Parts,
    folded: Vec<u8>,
    /// The texts of the record that is being made, one behind the other.
    texts: String,
    /// Which value has which part of them.
    spans: Vec<(usize, Range<usize>)>,
}

impl Plan {
    /// These rows, to be mapped one by one.
    pub fn over<'a>(&'a self, rows: &'a Rows) -> PlannedRows<'a> {
        let arrays = rows.batch.columns().iter();
        PlannedRows {
            plan: self,
            rows,
            cells: arrays.map(|array| CellColumn::of(array)).collect(),
            scratch: Scratch::default(),
            parts: Parts::roomy(),
            folded: Vec::new(),
            texts: String::new(),
            spans: Vec::new(),
        }
    }
}

impl<'a> PlannedRows<'a> {
    /// The rows.
    pub fn rows(&self) -> &'a Rows {
        self.rows
    }

    /// Maps one row.
    ///
    /// # Errors
    /// The first fault of the row, in the order of the columns: what is wrong, and what to do about it.
    #[expect(
        clippy::result_large_err,
        reason = "a reject is moved once, into its outcome"
    )]
    pub fn record(&mut self, index: usize) -> Result<Record, Reject> {
        let (plan, rows) = (self.plan, self.rows);
        let faults = faults_of(rows, index);
        if let Some(fault) = faults.iter().find(|fault| fault.column.is_none()) {
            return Err(faulty(position_of(rows, index), fault, None));
        }
        self.texts.clear();
        self.spans.clear();
        let mut values = Vec::with_capacity(plan.columns.len());
        let columns = plan.columns.iter().zip(&plan.target.columns);
        for (place, (planned, column)) in columns.enumerate() {
            values.push(match planned {
                PlannedColumn::Constant(value) => value.clone(),
                PlannedColumn::Lookup(lookup) => lookup.value(rows, index, column)?,
                PlannedColumn::Cell {
                    slot,
                    conversion,
                    default,
                } => {
                    if let Some(fault) = faults.iter().find(|fault| fault.column == Some(*slot)) {
                        return Err(faulty(position_of(rows, index), fault, Some(column)));
                    }
                    match (self.value(place, *slot, index, conversion), default) {
                        (Ok(Some(Value::Null)), Some(default)) => default.clone(),
                        (Ok(Some(value)), _) => value,
                        // It follows with the other texts.
                        (Ok(None), _) => Value::Null,
                        (Err(refusal), _) => {
                            return Err(self.reject(index, *slot, refusal, column, conversion));
                        }
                    }
                }
            });
        }
        self.take_texts(&mut values);
        Ok(Record { values })
    }

    /// The value of a cell; `None` if it is a text, which is then among the record's.
    fn value(
        &mut self,
        place: usize,
        slot: usize,
        index: usize,
        conversion: &Conversion,
    ) -> Result<Option<Value>, Refusal> {
        let is_key = self.plan.target.key.contains(&place);
        let worse = |refusal: Refusal| if is_key { refusal.of_key() } else { refusal };
        let cell = cell(&self.cells, slot, index).map_err(worse)?;
        let value = conversion.convert(cell, &mut self.scratch);
        let value = value.map_err(worse)?;
        if is_key {
            self.parts.0.clear();
            let collation = self.plan.collation;
            let part = self.parts.push_key(&value, collation, &mut self.folded);
            // Null, and what the service compares as empty, cannot be a key.
            if part == KeyPart::Empty {
                return Err(Refusal::KeyNull);
            }
        }
        Ok(match value {
            Canonical::Value(value) => Some(value),
            Canonical::Text(text) => {
                let from = self.texts.len();
                self.texts.push_str(text);
                self.spans.push((place, from..self.texts.len()));
                None
            }
        })
    }

    /// Puts the texts in their places.
    fn take_texts(&self, values: &mut [Value]) {
        if self.spans.is_empty() {
            return;
        }
        let shared: Arc<str> = Arc::from(self.texts.as_str());
        for (place, span) in &self.spans {
            if let Some(value) = values.get_mut(*place) {
                *value = Value::Text(Text::part(&shared, span.clone()));
            }
        }
    }

    fn reject(
        &self,
        index: usize,
        slot: usize,
        refusal: Refusal,
        column: &TargetColumn,
        conversion: &Conversion,
    ) -> Reject {
        let cell = cell(&self.cells, slot, index).unwrap_or(Cell::Null);
        let position = position_of(self.rows, index);
        refused(position, refusal, cell, column, conversion)
    }
}

fn cell<'a>(cells: &[CellColumn<'a>], slot: usize, index: usize) -> Result<Cell<'a>, Refusal> {
    cells.get(slot).ok_or(Refusal::CellUnsupported)?.at(index)
}
