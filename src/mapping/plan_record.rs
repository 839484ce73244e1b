//! From the cells of a row to its record.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::StringArray;

use super::convert::{
    Canonical, Cell, CellColumn, Conversion, NumberSteps, Refusal, Scratch, Signs, TextSteps,
    text_at,
};
use super::digest::{is_empty_key, is_nothing};
use super::plan::{Plan, PlannedColumn, faults_of, position_of};
use super::plan_lookup::PlannedLookup;
use super::reject::{beside, faulty, refused};
use crate::model::{Collation, Record, Reject, Rows, TargetColumn, Text, Value};

/// The rows of one batch, to be mapped. What is the same for all of them is found once, and buffers are used again.
pub struct PlannedRows<'a> {
    rows: &'a Rows,
    /// One per target column, in the same order.
    lanes: Vec<Lane<'a>>,
    making: Making,
}

/// What one target column gets from each row of the batch.
enum Lane<'a> {
    Constant(&'a Value),
    Lookup(&'a PlannedLookup, &'a TargetColumn),
    Cell(CellLane<'a>),
}

/// A target column that is filled from one cell of each row.
struct CellLane<'a> {
    slot: usize,
    way: Way<'a>,
    conversion: &'a Conversion,
    column: &'a TargetColumn,
    /// Stands for a null.
    blank: &'a Value,
    is_key: bool,
}

/// How the cells of a column become values, which is told once for all rows of the batch.
enum Way<'a> {
    /// Texts that stay texts: most columns, and they need no typed cell or value on the way.
    Text(&'a StringArray, &'a TextSteps, Signs),
    /// Texts that are numbers.
    Number(&'a StringArray, &'a NumberSteps),
    Typed(CellColumn<'a>),
    /// The batch has no such column.
    Absent,
}

/// Makes records, with buffers that are used again.
struct Making {
    collation: Collation,
    scratch: Scratch,
    folded: Vec<u8>,
    made: Made,
}

/// The record that is being made.
struct Made {
    values: Vec<Value>,
    /// The long texts of the record, one behind the other.
    texts: String,
    /// Which value has which part of them.
    spans: Vec<(usize, Range<usize>)>,
}

impl Plan {
    /// These rows, to be mapped one by one.
    pub fn over<'a>(&'a self, rows: &'a Rows) -> PlannedRows<'a> {
        let columns = self.columns.iter().zip(&self.target.columns).enumerate();
        let lanes = columns.map(|(place, (planned, column))| match planned {
            PlannedColumn::Constant(value) => Lane::Constant(value),
            PlannedColumn::Lookup(lookup) => Lane::Lookup(lookup, column),
            PlannedColumn::Cell {
                slot,
                conversion,
                default,
            } => {
                let blank = default.as_ref().unwrap_or(&Value::Null);
                let array = rows.batch.columns().get(*slot);
                let cells = array.map(|array| CellColumn::of(array));
                Lane::Cell(CellLane {
                    slot: *slot,
                    way: match (cells, conversion) {
                        (Some(CellColumn::Text(array)), Conversion::Text(steps)) => {
                            Way::Text(array, steps, Signs::of(array))
                        }
                        (Some(CellColumn::Text(array)), Conversion::Number(steps)) => {
                            Way::Number(array, steps)
                        }
                        (Some(cells), _) => Way::Typed(cells),
                        (None, _) => Way::Absent,
                    },
                    conversion,
                    column,
                    blank,
                    is_key: self.target.key.contains(&place),
                })
            }
        });
        PlannedRows {
            rows,
            lanes: lanes.collect(),
            making: Making {
                collation: self.collation,
                scratch: Scratch::default(),
                folded: Vec::new(),
                made: Made {
                    values: Vec::new(),
                    texts: String::new(),
                    spans: Vec::new(),
                },
            },
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
    /// The first fault of the row, in the order of the columns: what is wrong, and what to do about it. What is wrong
    /// with its other cells stands beside it.
    #[expect(
        clippy::result_large_err,
        reason = "a reject is moved once, into its outcome"
    )]
    pub fn record(&mut self, index: usize) -> Result<Record, Reject> {
        let (rows, making) = (self.rows, &mut self.making);
        let faults = faults_of(rows, index);
        if let Some(fault) = faults.iter().find(|fault| fault.column.is_none()) {
            return Err(faulty(position_of(rows, index), fault, None));
        }
        making.made.start(self.lanes.len());
        match self.push_from(0, index) {
            Ok(()) => Ok(self.making.made.finish()),
            Err((place, reject)) => Err(self.with_others(reject, place, index)),
        }
    }

    /// Adds what the columns from that place on get, up to the first that gets nothing.
    #[expect(
        clippy::result_large_err,
        reason = "a reject is moved once, into its outcome"
    )]
    fn push_from(&mut self, from: usize, index: usize) -> Result<(), (usize, Reject)> {
        let (rows, making) = (self.rows, &mut self.making);
        let faults = faults_of(rows, index);
        for (place, lane) in self.lanes.iter().enumerate().skip(from) {
            match lane {
                Lane::Constant(value) => making.made.values.push(Value::clone(value)),
                Lane::Lookup(lookup, column) => {
                    let value = lookup.value(rows, index, column);
                    let value = value.map_err(|reject| (place, reject))?;
                    making.made.values.push(value);
                }
                Lane::Cell(lane) => {
                    let concerns = |it: usize| it == lane.slot;
                    let fault = faults.iter().find(|it| it.column.is_some_and(concerns));
                    if let Some(fault) = fault {
                        let position = position_of(rows, index);
                        return Err((place, faulty(position, fault, Some(lane.column))));
                    }
                    if let Err(refusal) = making.push_cell(lane, index) {
                        return Err((place, lane.reject(rows, index, refusal)));
                    }
                }
            }
        }
        Ok(())
    }

    /// The reject of the column at that place, with what is wrong in those behind it: a row that is mended is mended at
    /// once.
    #[cold]
    fn with_others(&mut self, reject: Reject, mut place: usize, index: usize) -> Reject {
        let mut others = Vec::new();
        while let Err((next, other)) = self.push_from(place + 1, index) {
            others.push(other);
            place = next;
        }
        beside(reject, &others)
    }
}

impl Making {
    /// Adds what a cell becomes.
    #[inline]
    fn push_cell(&mut self, lane: &CellLane<'_>, index: usize) -> Result<(), Refusal> {
        let (array, steps, signs) = match lane.way {
            Way::Text(array, steps, signs) => (array, steps, signs),
            Way::Number(array, steps) => {
                let value = match text_at(array, index)? {
                    Some(text) => steps.take(text, &mut self.scratch.text)?,
                    None => Value::Null,
                };
                return self.push_value(lane, value);
            }
            Way::Typed(_) | Way::Absent => return self.push_typed(lane, index),
        };
        let text = match text_at(array, index)? {
            Some(text) => steps.take(text, signs, &mut self.scratch.text)?,
            None => "",
        };
        if lane.is_key && is_empty_key(text, self.collation, &mut self.folded) {
            return Err(Refusal::KeyNull);
        }
        match text {
            "" => self.made.values.push(lane.blank.clone()),
            text => self.made.push_text(text),
        }
        Ok(())
    }

    fn push_typed(&mut self, lane: &CellLane<'_>, index: usize) -> Result<(), Refusal> {
        let cell = lane.cell(index)?;
        match lane.conversion.convert(cell, &mut self.scratch)? {
            Canonical::Value(value) => self.push_value(lane, value),
            Canonical::Text(text) => {
                if lane.is_key && is_empty_key(text, self.collation, &mut self.folded) {
                    return Err(Refusal::KeyNull);
                }
                self.made.push_text(text);
                Ok(())
            }
        }
    }

    fn push_value(&mut self, lane: &CellLane<'_>, value: Value) -> Result<(), Refusal> {
        match value {
            value if lane.is_key && is_nothing(&value) => return Err(Refusal::KeyNull),
            Value::Null => self.made.values.push(lane.blank.clone()),
            value => self.made.values.push(value),
        }
        Ok(())
    }
}

impl Made {
    fn start(&mut self, columns: usize) {
        self.texts.clear();
        self.spans.clear();
        self.values = Vec::with_capacity(columns);
    }

    /// Adds a text.
    #[inline]
    fn push_text(&mut self, text: &str) {
        let value = match Text::short(text) {
            Some(short) => Value::Text(short),
            None => self.hold_place(text),
        };
        self.values.push(value);
    }

    /// What stands in the place of a long text until all of them are known.
    fn hold_place(&mut self, text: &str) -> Value {
        let from = self.texts.len();
        self.texts.push_str(text);
        self.spans.push((self.values.len(), from..self.texts.len()));
        Value::Null
    }

    fn finish(&mut self) -> Record {
        let mut values = std::mem::take(&mut self.values);
        self.place_texts(&mut values);
        Record { values }
    }

    /// Puts the long texts in their places.
    fn place_texts(&self, values: &mut [Value]) {
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
}

impl<'a> CellLane<'a> {
    fn cell(&self, index: usize) -> Result<Cell<'a>, Refusal> {
        match &self.way {
            Way::Text(array, ..) | Way::Number(array, _) => CellColumn::Text(array).at(index),
            Way::Typed(cells) => cells.at(index),
            Way::Absent => Err(Refusal::CellUnsupported),
        }
    }

    fn reject(&self, rows: &Rows, index: usize, refusal: Refusal) -> Reject {
        let refusal = if self.is_key {
            refusal.of_key()
        } else {
            refusal
        };
        let cell = self.cell(index).unwrap_or(Cell::Null);
        let position = position_of(rows, index);
        refused(position, refusal, cell, self.column, self.conversion)
    }
}
