//! One reading of an extract, in batches.

use std::iter::Peekable;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use csv::ByteRecord;

use super::SourceError;
use super::decode;
use super::delimited::Delimited;
use super::extract::{Opened, OpenedFile};
use super::parquet::TableBatches;
use crate::model::{Fault, FaultKind, Position, Ragged, Reading, Rows};

/// The most rows of a batch.
const MOST_ROWS: usize = 8192;

/// A batch ends with the row that reaches so many bytes, so that wide rows need no more memory than narrow ones.
const ENOUGH_BYTES: usize = 16 << 20;

pub(super) type Wanted = Peekable<Box<dyn Iterator<Item = Position> + Send>>;

/// The batches of one reading.
pub(super) enum Batches {
    Text(TextBatches),
    Table(TableBatches),
}

impl Batches {
    pub(super) fn new(extract: Arc<Opened>, reading: Reading) -> Result<Self, SourceError> {
        let mut fields = Vec::with_capacity(reading.columns.len());
        for &index in &reading.columns {
            let Some(column) = extract.columns.get(index) else {
                return Err(SourceError::NoSuchColumn { index });
            };
            fields.push(Field::new(&column.name, column.data_type.clone(), true));
        }
        let schema = Arc::new(Schema::new(fields));
        let only = reading.only.map(Iterator::peekable);
        Ok(if extract.is_table() {
            Self::Table(TableBatches::new(extract, reading.columns, schema, only))
        } else {
            Self::Text(TextBatches {
                extract,
                columns: reading.columns,
                schema,
                only,
                next_file: 0,
                current: None,
                row: ByteRecord::new(),
                finished: false,
            })
        })
    }
}

impl Iterator for Batches {
    type Item = Result<Rows, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Text(batches) => batches.next(),
            Self::Table(batches) => batches.next(),
        }
    }
}

/// The batches of delimited text.
pub(super) struct TextBatches {
    extract: Arc<Opened>,
    columns: Vec<usize>,
    schema: Arc<Schema>,
    only: Option<Wanted>,
    next_file: usize,
    current: Option<Delimited>,
    row: ByteRecord,
    finished: bool,
}

impl TextBatches {
    fn batch(&mut self) -> Result<Option<Rows>, SourceError> {
        let extract = Arc::clone(&self.extract);
        let mut filling = Filling::new(self.columns.len());
        while filling.positions.len() < MOST_ROWS && filling.bytes < ENOUGH_BYTES {
            if self.only.as_mut().is_some_and(|only| only.peek().is_none()) {
                self.finished = true;
                break;
            }
            let Some(rows) = &mut self.current else {
                let Some(file) = extract.files.get(self.next_file) else {
                    self.finished = true;
                    break;
                };
                if lies_behind(self.only.as_mut(), self.next_file) {
                    self.next_file += 1;
                    continue;
                }
                self.current = Some(file.rows(extract.dialect())?);
                self.next_file += 1;
                continue;
            };
            let number = self.next_file.saturating_sub(1);
            let Some(file) = extract.files.get(number) else {
                break;
            };
            let Some(line) = rows.next(&mut self.row)? else {
                if !is_done_with(self.only.as_mut(), number) {
                    return Err(file.changed());
                }
                self.current = None;
                continue;
            };
            let position = Position::new(u16::try_from(number).unwrap_or(u16::MAX), line);
            let Some(is_wanted) = strike_off(self.only.as_mut(), position) else {
                return Err(file.changed());
            };
            if is_wanted {
                filling.add(&extract, file, &self.columns, rows, &self.row, position);
            }
        }
        if filling.positions.is_empty() {
            return Ok(None);
        }
        filling.finish(&self.schema).map(Some)
    }
}

/// Whether a row is to be read; its position is struck off. `None` if a row before it was to be read and is gone.
fn strike_off(only: Option<&mut Wanted>, position: Position) -> Option<bool> {
    let Some(only) = only else { return Some(true) };
    match only.peek() {
        Some(wanted) if *wanted < position => None,
        _ => Some(only.next_if_eq(&position).is_some()),
    }
}

/// Whether no row of this file or one before it is still to be read.
fn is_done_with(only: Option<&mut Wanted>, file: usize) -> bool {
    only.and_then(|only| only.peek())
        .is_none_or(|wanted| usize::from(wanted.file()) > file)
}

/// Whether the next row to be read is in a file behind this one.
fn lies_behind(only: Option<&mut Wanted>, file: usize) -> bool {
    only.and_then(|only| only.peek())
        .is_some_and(|wanted| usize::from(wanted.file()) > file)
}

impl Iterator for TextBatches {
    type Item = Result<Rows, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let batch = self.batch();
        self.finished |= batch.is_err();
        batch.transpose()
    }
}

/// A batch that is being filled.
struct Filling {
    cells: Vec<StringBuilder>,
    positions: Vec<Position>,
    faults: Vec<Fault>,
    bytes: usize,
}

impl Filling {
    fn new(columns: usize) -> Self {
        Self {
            cells: (0..columns)
                .map(|_| StringBuilder::with_capacity(MOST_ROWS, MOST_ROWS * 16))
                .collect(),
            positions: Vec::with_capacity(MOST_ROWS),
            faults: Vec::new(),
            bytes: 0,
        }
    }

    fn add(
        &mut self,
        extract: &Opened,
        file: &OpenedFile,
        columns: &[usize],
        rows: &Delimited,
        row: &ByteRecord,
        position: Position,
    ) {
        let encoding = rows.encoding();
        let index = self.positions.len();
        self.positions.push(position);
        self.bytes += row.as_slice().len();
        let whole = has_width(row, file.width, extract.dialect().ragged);
        if !whole {
            let show = |cell| match decode::cell(encoding, cell) {
                Some(text) => text.into_owned(),
                None => cell.escape_ascii().to_string(),
            };
            self.faults.push(Fault {
                row: index,
                column: None,
                kind: FaultKind::Ragged {
                    cells: row.len(),
                    expected: file.width,
                    raw: in_order(row.iter().map(show).collect(), file),
                },
            });
        }
        let texts = decode::texts(encoding, row);
        for (column, (builder, source)) in self.cells.iter_mut().zip(columns).enumerate() {
            let cell = file.cells.get(*source).copied();
            let Some(cell) = cell.filter(|cell| whole && *cell < row.len()) else {
                builder.append_null();
                continue;
            };
            match texts.cell(cell) {
                Some(text) if extract.dialect().null_text.iter().any(|null| *null == text) => {
                    builder.append_null();
                }
                Some(text) => builder.append_value(text),
                None => {
                    builder.append_null();
                    self.faults.push(Fault {
                        row: index,
                        column: Some(column),
                        kind: FaultKind::Undecodable {
                            encoding: encoding.name(),
                        },
                    });
                }
            }
        }
    }

    fn finish(self, schema: &Arc<Schema>) -> Result<Rows, SourceError> {
        let cells = self
            .cells
            .into_iter()
            .map(|mut cells| Arc::new(cells.finish()) as ArrayRef)
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.positions.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), cells, &options)
            .map_err(SourceError::Batch)?;
        Ok(Rows {
            batch,
            positions: self.positions,
            faults: self.faults,
        })
    }
}

/// The cells of a row in the order of the extract's columns, which need not be this file's; surplus cells at the end.
fn in_order(cells: Vec<String>, file: &OpenedFile) -> Vec<String> {
    let mut ordered: Vec<String> = file
        .cells
        .iter()
        .filter_map(|place| cells.get(*place).cloned())
        .collect();
    ordered.extend(cells.into_iter().skip(file.width));
    ordered
}

/// Whether a row can be read as the header says.
fn has_width(row: &ByteRecord, width: usize, ragged: Ragged) -> bool {
    match ragged {
        Ragged::Reject => row.len() == width,
        Ragged::Pad => row.iter().skip(width).all(<[u8]>::is_empty),
    }
}
