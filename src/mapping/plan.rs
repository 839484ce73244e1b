//! The compiled mapping: rows in, records and digests out.
//!
//! Owns the one way from a row to a key, so that the survey's digest, the record that is sent and a key that is read
//! back from Dataverse agree. Leaves to others what a difference means and when a row is due.

use std::sync::Arc;

use uuid::Uuid;

use super::convert::{Canonical, Cell, CellColumn, Conversion, Refusal, Scratch};
use super::digest::{About, Digester, KeyPart, Parts};
use super::reject::{faulty, refused};
use super::{Duplicates, Guard, Missing, Mode};
use crate::model::{
    Collation, ColumnDigest, ColumnKind, DateTimeBehavior, DigestSecret, Fault, KeyDigest,
    KeyReading, LogicalName, Position, Record, RecordId, Reject, RowDigest, Rows, SourceDigest,
    Target, TargetColumn, Value,
};

/// A mapping compiled against a table and the header of an extract. It re-checks nothing and cannot fail as a whole:
/// each row becomes a [`Record`] or a [`Reject`].
///
/// Every [`Rows`] that it is given must have the columns of [`Plan::source_columns`], in that order.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) target: Arc<Target>,
    /// One per target column, in the same order.
    pub(super) columns: Vec<PlannedColumn>,
    /// Indexes of the columns to read; a *slot* is an index in this list, and in each batch.
    pub(super) sources: Vec<usize>,
    /// The slots that some column besides the key reads, ascending.
    pub(super) digested: Vec<usize>,
    /// Digest of everything that the mapping does to cells.
    pub(super) program: [u8; 16],
    pub(super) collation: Collation,
    pub(super) organisation: Uuid,
    pub(super) mapping: String,
    pub(super) mode: Mode,
    pub(super) duplicates: Duplicates,
    pub(super) missing: Missing,
    pub(super) guard: Guard,
}

/// Where a target column's values come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PlannedColumn {
    /// The same for every row.
    Constant(Value),
    /// A cell and its steps.
    Cell {
        /// The cell's place in each batch.
        slot: usize,
        conversion: Conversion,
        /// Stands for a null.
        default: Option<Value>,
    },
}

/// The names and types of a plan's target columns, in their order: what a ledger's states belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutNames {
    /// Each column's name and the tag of its type. Digests made under different tags cannot be compared.
    pub columns: Vec<(LogicalName, &'static str)>,
}

impl Plan {
    /// Where the records go.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Which columns of the extract both readings need, as indexes into its columns, in the order of the batches.
    pub fn source_columns(&self) -> &[usize] {
        &self.sources
    }

    /// Which writes are allowed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What becomes of rows with the same key.
    pub fn duplicates(&self) -> Duplicates {
        self.duplicates
    }

    /// What becomes of records that are not in the extract any more.
    pub fn missing(&self) -> Missing {
        self.missing
    }

    /// What stops a run before anything is sent.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Names and type tags of the target columns, for the ledger.
    pub fn layout(&self) -> LayoutNames {
        let columns = self.target.columns.iter();
        LayoutNames {
            columns: columns
                .map(|column| (column.name.clone(), type_tag(&column.kind)))
                .collect(),
        }
    }

    /// Adds one digest per row, in the order of the rows.
    pub fn digest(&self, rows: &Rows, secret: &DigestSecret, out: &mut Vec<RowDigest>) {
        let arrays = rows.batch.columns().iter();
        let cells: Vec<CellColumn<'_>> = arrays.map(|array| CellColumn::of(array)).collect();
        let mut keys = Digester::new(secret, About::Key);
        let mut sources = Digester::new(secret, About::Source);
        let mut scratch = Scratch::default();
        let mut folded = Vec::new();
        out.reserve(rows.positions.len());
        for (row, position) in rows.positions.iter().enumerate() {
            let faults = faults_of(rows, row);
            let cell_at = |slot: usize| cell(&cells, faults, slot, row);
            let key = match self.push_row_key(keys.start(), cell_at, &mut scratch, &mut folded) {
                KeyState::Whole => KeyReading::Known(KeyDigest(keys.wide())),
                KeyState::Refused => KeyReading::Refused,
                KeyState::Unreadable => KeyReading::Unreadable,
            };
            let parts = sources.start();
            parts.push(b'P', &self.program);
            for slot in &self.digested {
                parts.push_cell(cell_at(*slot));
            }
            out.push(RowDigest {
                position: *position,
                key,
                source: SourceDigest(sources.wide()),
            });
        }
    }

    /// Adds the key of a row to the parts, as far as it can be read.
    fn push_row_key<'s>(
        &self,
        parts: &mut Parts,
        cell_at: impl Fn(usize) -> Result<Cell<'s>, Refusal>,
        scratch: &mut Scratch,
        folded: &mut Vec<u8>,
    ) -> KeyState {
        let mut state = KeyState::Whole;
        let columns = self.target.key.iter();
        for column in columns.filter_map(|index| self.columns.get(*index)) {
            let value = match column {
                PlannedColumn::Constant(value) => Ok(value.into()),
                PlannedColumn::Cell {
                    slot, conversion, ..
                } => cell_at(*slot).and_then(|cell| conversion.convert(cell, scratch)),
            };
            let part = value.map(|value| parts.push_key(&value, self.collation, folded));
            state = state.worst(match part {
                Ok(KeyPart::There) => KeyState::Whole,
                Ok(KeyPart::Empty) => KeyState::Refused,
                Err(refusal) if refusal.rules_out_any_record() => KeyState::Refused,
                Err(_) => KeyState::Unreadable,
            });
        }
        state
    }

    /// The digest of a key by its values, in the key's order: the same as [`Plan::digest`] gives a row that has that
    /// key, however the values are spelt. For keys that Dataverse returned.
    pub fn key_digest(&self, values: &[Value], secret: &DigestSecret) -> KeyDigest {
        let mut digester = Digester::new(secret, About::Key);
        self.push_key_values(digester.start(), values);
        KeyDigest(digester.wide())
    }

    fn push_key_values<'v>(
        &self,
        parts: &mut Parts,
        values: impl IntoIterator<Item = &'v Value>,
    ) -> KeyState {
        let mut folded = Vec::new();
        let mut state = KeyState::Whole;
        for value in values {
            if parts.push_key(&value.into(), self.collation, &mut folded) == KeyPart::Empty {
                state = KeyState::Refused;
            }
        }
        state
    }

    /// Digests of a record's values, one per target column.
    pub fn column_digests(&self, record: &Record, secret: &DigestSecret) -> Vec<ColumnDigest> {
        let mut digester = Digester::new(secret, About::Column);
        let digest = |value: &Value| {
            digester.start().push_value(&value.into());
            ColumnDigest::from_hash(digester.narrow())
        };
        record.values.iter().map(digest).collect()
    }

    /// Maps one row.
    ///
    /// # Errors
    /// The first fault of the row, in the order of the columns: what is wrong, and what to do about it.
    #[expect(
        clippy::result_large_err,
        reason = "a reject is moved once, into its outcome"
    )]
    pub fn record(&self, rows: &Rows, index: usize) -> Result<Record, Reject> {
        let faults = faults_of(rows, index);
        if let Some(fault) = faults.iter().find(|fault| fault.column.is_none()) {
            return Err(faulty(position_of(rows, index), fault, None));
        }
        let mut scratch = Scratch::default();
        let mut values = Vec::with_capacity(self.columns.len());
        let columns = self.columns.iter().zip(&self.target.columns);
        for (place, (planned, column)) in columns.enumerate() {
            values.push(match planned {
                PlannedColumn::Constant(value) => value.clone(),
                PlannedColumn::Cell {
                    slot,
                    conversion,
                    default,
                } => {
                    if let Some(fault) = faults.iter().find(|it| it.column == Some(*slot)) {
                        return Err(faulty(position_of(rows, index), fault, Some(column)));
                    }
                    let cell = cell_of(rows, *slot, index);
                    let value = cell
                        .and_then(|cell| conversion.convert(cell, &mut scratch))
                        .map(Canonical::into_value)
                        .and_then(|value| self.checked(place, value))
                        .map_err(|refusal| self.named(place, refusal))
                        .map_err(|refusal| {
                            let cell = cell.unwrap_or(Cell::Null);
                            refused(position_of(rows, index), refusal, cell, column, conversion)
                        })?;
                    match default {
                        Some(default) if value.is_null() => default.clone(),
                        _ => value,
                    }
                }
            });
        }
        let derived_id = self.derived_id(&values);
        Ok(Record { values, derived_id })
    }

    /// Refuses a key column's value that the service would compare as empty.
    fn checked(&self, place: usize, value: Value) -> Result<Value, Refusal> {
        let is_key = self.target.key.contains(&place);
        if is_key && self.push_key_values(&mut Parts::default(), [&value]) != KeyState::Whole {
            return Err(Refusal::KeyNull);
        }
        Ok(value)
    }

    fn named(&self, place: usize, refusal: Refusal) -> Refusal {
        if self.target.key.contains(&place) {
            refusal.of_key()
        } else {
            refusal
        }
    }

    /// The GUID that a create of this key carries: the same on every attempt and every run.
    fn derived_id(&self, values: &[Value]) -> RecordId {
        let key = || self.target.key.iter().filter_map(|at| values.get(*at));
        if self.target.key_is_primary_id
            && let Some(Value::Guid(id)) = key().next()
        {
            return RecordId(*id);
        }
        let mut name = Parts::default();
        name.push(b'm', self.mapping.as_bytes());
        name.push(b'e', self.target.table.as_str().as_bytes());
        self.push_key_values(&mut name, key());
        RecordId(Uuid::new_v5(&self.organisation, &name.0))
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

fn faults_of(rows: &Rows, row: usize) -> &[Fault] {
    let from = rows.faults.partition_point(|fault| fault.row < row);
    let to = rows.faults.partition_point(|fault| fault.row <= row);
    rows.faults.get(from..to).unwrap_or_default()
}

fn cell_of(rows: &Rows, slot: usize, row: usize) -> Result<Cell<'_>, Refusal> {
    let array = rows.batch.columns().get(slot);
    CellColumn::of(array.ok_or(Refusal::CellUnsupported)?).at(row)
}

fn position_of(rows: &Rows, index: usize) -> Position {
    let position = rows.positions.get(index).copied();
    position.unwrap_or(Position::new(0, 0))
}

/// How values of the type become digests.
pub(super) fn type_tag(kind: &ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } => "text",
        ColumnKind::Integer { .. } | ColumnKind::BigInt => "integer",
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => "decimal",
        ColumnKind::Float { .. } => "float",
        ColumnKind::Boolean { .. } => "boolean",
        ColumnKind::Date => "date",
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::UserLocal,
        } => "instant",
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::TimeZoneIndependent,
        } => "wall_clock",
        ColumnKind::Choice { .. } => "choice",
        ColumnKind::Guid => "guid",
        ColumnKind::Choices { .. } => "choices",
        ColumnKind::State { .. } => "state",
        ColumnKind::Status { .. } => "status",
        ColumnKind::Lookup { .. } => "lookup",
        ColumnKind::Other(_) => "other",
    }
}
