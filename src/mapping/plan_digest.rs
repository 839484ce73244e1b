//! From the cells of a row to its digests.

use arrow_array::StringArray;

use super::convert::{
    Canonical, Cell, CellColumn, Conversion, Refusal, Scratch, Signs, TextSteps, text_at,
};
use super::digest::{About, Digester, KeyPart};
use super::newest::{LATEST, rank};
use super::plan::{Plan, PlannedColumn, faults_of};
use crate::model::{DigestSecret, Fault, KeyDigest, KeyReading, RowDigest, Rows, Value};

impl Plan {
    /// Adds one digest per row, in the order of the rows.
    pub fn digest(&self, rows: &Rows, secret: &DigestSecret, out: &mut Vec<RowDigest>) {
        let arrays = rows.batch.columns().iter();
        let cells: Vec<CellColumn<'_>> = arrays.map(|array| CellColumn::of(array)).collect();
        let lanes: Vec<KeyLane<'_>> = self
            .key_columns()
            .map(|column| KeyLane::of(column, &cells))
            .collect();
        let mut making = KeyMaking::new(self, secret);
        let mut sources = Digester::new(secret, About::Source);
        sources.start().push(b'P', &self.program);
        sources.keep();
        let digested = self.digested.iter();
        let digested: Vec<CellColumn<'_>> = digested
            .filter_map(|slot| cells.get(*slot).copied())
            .collect();
        out.reserve(rows.positions.len());
        for (row, position) in rows.positions.iter().enumerate() {
            let faults = faults_of(rows, row);
            let cell_at = |slot: usize| cell(&cells, faults, slot, row);
            let key = if faults.is_empty() {
                making.key_of(&lanes, row, cell_at)
            } else {
                making.key(cell_at)
            };
            let parts = sources.start();
            if faults.is_empty() && digested.len() == self.digested.len() {
                for cells in &digested {
                    parts.push_cell_of(cells, row);
                }
            } else {
                for slot in &self.digested {
                    parts.push_cell(cell_at(*slot));
                }
            }
            out.push(RowDigest {
                position: *position,
                key,
                source: sources.source(),
                rank: self.newest.map_or(0, |slot| {
                    let is_too_late = || cells.get(slot).is_some_and(|it| it.is_too_late(row));
                    match cell_at(slot) {
                        Ok(cell) => rank(cell),
                        Err(_) if is_too_late() => LATEST,
                        Err(_) => 0,
                    }
                }),
            });
        }
    }

    /// The digest of a key as people write it, one text per key column: what a row with these cells has.
    pub fn key_digest_of(&self, texts: &[String], secret: &DigestSecret) -> KeyReading {
        let slots = self.key_slots();
        KeyMaking::new(self, secret).key(|slot| {
            let place = slots.iter().position(|it| *it == Some(slot));
            let text = place.and_then(|place| texts.get(place));
            Ok(text.map_or(Cell::Null, |text| Cell::Text(text)))
        })
    }
}

/// What a column of the key gets from each row of a batch that is without fault.
enum KeyLane<'a> {
    /// Texts that stay texts: most keys, and they need no typed cell or value on the way.
    Text(&'a StringArray, &'a TextSteps, Signs),
    Other(&'a PlannedColumn),
}

impl<'a> KeyLane<'a> {
    fn of(column: &'a PlannedColumn, cells: &[CellColumn<'a>]) -> Self {
        match column {
            PlannedColumn::Cell {
                slot,
                conversion: Conversion::Text(steps),
                ..
            } => match cells.get(*slot) {
                Some(CellColumn::Text(array)) => Self::Text(array, steps, Signs::of(array)),
                _ => Self::Other(column),
            },
            _ => Self::Other(column),
        }
    }
}

/// Makes the keys of rows, with buffers that are used again.
struct KeyMaking<'a> {
    plan: &'a Plan,
    digester: Digester,
    scratch: Scratch,
    folded: Vec<u8>,
}

impl<'a> KeyMaking<'a> {
    fn new(plan: &'a Plan, secret: &DigestSecret) -> Self {
        Self {
            plan,
            digester: Digester::new(secret, About::Key),
            scratch: Scratch::default(),
            folded: Vec::new(),
        }
    }

    /// The key of a row, as far as it can be read.
    fn key<'s>(&mut self, cell_at: impl Fn(usize) -> Result<Cell<'s>, Refusal>) -> KeyReading {
        self.digester.start();
        let states = self.plan.key_columns();
        let state = states.fold(KeyState::Whole, |state, column| {
            state.worst(self.push(column, &cell_at))
        });
        self.reading(state)
    }

    /// The key of a row that is without fault.
    fn key_of<'s>(
        &mut self,
        lanes: &[KeyLane<'_>],
        row: usize,
        cell_at: impl Fn(usize) -> Result<Cell<'s>, Refusal>,
    ) -> KeyReading {
        self.digester.start();
        let state = lanes.iter().fold(KeyState::Whole, |state, lane| {
            state.worst(match lane {
                KeyLane::Text(array, steps, signs) => {
                    self.push_text(text_at(array, row), steps, *signs)
                }
                KeyLane::Other(column) => self.push(column, &cell_at),
            })
        });
        self.reading(state)
    }

    /// Adds one part of the key.
    fn push<'s>(
        &mut self,
        column: &PlannedColumn,
        cell_at: impl Fn(usize) -> Result<Cell<'s>, Refusal>,
    ) -> KeyState {
        let value = match column {
            PlannedColumn::Constant(value) => Ok(value.into()),
            PlannedColumn::Lookup(_) => Err(Refusal::CellUnsupported),
            PlannedColumn::Cell {
                slot, conversion, ..
            } => cell_at(*slot).and_then(|cell| conversion.convert(cell, &mut self.scratch)),
        };
        let (parts, folded) = (&mut self.digester.parts, &mut self.folded);
        KeyState::of(value.map(|value| parts.push_key(&value, self.plan.collation, folded)))
    }

    /// Adds one part of the key that is a text, and a null where nothing is left of it.
    #[inline]
    fn push_text(
        &mut self,
        text: Result<Option<&str>, Refusal>,
        steps: &TextSteps,
        signs: Signs,
    ) -> KeyState {
        let buffer = &mut self.scratch.text;
        let taken = text.and_then(|text| match text {
            Some(text) => steps.take(text, signs, buffer),
            None => Ok(""),
        });
        let (parts, folded) = (&mut self.digester.parts, &mut self.folded);
        KeyState::of(taken.map(|text| match text {
            "" => parts.push_key(&Canonical::Value(Value::Null), self.plan.collation, folded),
            text => parts.push_key_text(text, self.plan.collation, folded),
        }))
    }

    fn reading(&self, state: KeyState) -> KeyReading {
        match state {
            KeyState::Whole => KeyReading::Known(KeyDigest(self.digester.wide())),
            KeyState::Refused => KeyReading::Refused,
            KeyState::Unreadable => KeyReading::Unreadable,
        }
    }
}

/// How far the key of a row can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KeyState {
    Whole,
    Unreadable,
    /// One part that can be the key of no record decides, even if another part cannot be read.
    Refused,
}

impl KeyState {
    fn of(part: Result<KeyPart, Refusal>) -> Self {
        match part {
            Ok(KeyPart::There) => Self::Whole,
            Ok(KeyPart::Empty) => Self::Refused,
            Err(refusal) if refusal.rules_out_any_record() => Self::Refused,
            Err(_) => Self::Unreadable,
        }
    }

    fn worst(self, other: Self) -> Self {
        self.max(other)
    }
}

/// The cell of a row, unless the reader found fault with it.
fn cell<'a>(
    cells: &[CellColumn<'a>],
    faults: &[Fault],
    slot: usize,
    row: usize,
) -> Result<Cell<'a>, Refusal> {
    let is_concerned = |fault: &Fault| fault.column.is_none_or(|column| column == slot);
    if faults.iter().any(is_concerned) {
        return Err(Refusal::CellUnsupported);
    }
    let column = cells.get(slot).ok_or(Refusal::CellUnsupported)?;
    column.at(row)
}
