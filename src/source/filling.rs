//! A batch of delimited text that is being filled, row by row.
//!
//! Cells are added as bytes. Whether they are texts is asked once per column and batch, and not once per cell.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, Schema};
use csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8};

use super::SourceError;
use super::decode;
use super::delimited::Quoting;
use super::extract::OpenedFile;
use crate::model::{CsvDialect, Fault, FaultKind, Position, Ragged, Rows};

/// The most rows of a batch.
const MOST_ROWS: usize = 8192;

/// A batch ends with the row that reaches so many bytes, so that wide rows need no more memory than narrow ones.
const ENOUGH_BYTES: usize = 16 << 20;

/// So many rows are kept before their cells go to the columns: few enough to be still at hand then.
const STRIP: usize = 64;

/// A row of more bytes goes to the columns at once, and the memory that it took is given back.
const LONG_ROW: usize = 64 << 10;

/// A batch that is being filled.
pub(super) struct Filling {
    /// Indexes into the extract's columns.
    wanted: Vec<usize>,
    /// Texts that mean null.
    null_texts: Vec<String>,
    ragged: Ragged,
    /// Where the cells of each wanted column stand in a row of the current file.
    places: Vec<usize>,
    /// The rows whose cells are not in the columns yet.
    strip: Vec<ByteRecord>,
    /// Rows to be used again.
    spare: Vec<ByteRecord>,
    columns: Vec<Cells>,
    positions: Vec<Position>,
    faults: Vec<Fault>,
    bytes: usize,
    /// The encodings of the files that the rows are of, each with the first of its rows.
    encodings: Vec<(usize, &'static Encoding)>,
}

impl Filling {
    pub(super) fn new(wanted: Vec<usize>, dialect: &CsvDialect) -> Self {
        Self {
            columns: wanted.iter().map(|_| Cells::new()).collect(),
            wanted,
            null_texts: dialect.null_text.clone(),
            ragged: dialect.ragged,
            places: Vec::new(),
            strip: Vec::with_capacity(STRIP),
            spare: Vec::with_capacity(STRIP),
            positions: Vec::with_capacity(MOST_ROWS),
            faults: Vec::new(),
            bytes: 0,
            encodings: Vec::new(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.positions.len() < MOST_ROWS && self.bytes < ENOUGH_BYTES
    }

    /// The rows that follow are of this file.
    pub(super) fn begin(&mut self, file: &OpenedFile, encoding: &'static Encoding) {
        self.spread();
        let places = self.wanted.iter().map(|column| file.cells.get(*column));
        self.places = places.flatten().copied().collect();
        self.encodings.push((self.positions.len(), encoding));
    }

    /// Takes a row of the current file, and leaves an empty one to be read to.
    pub(super) fn add(
        &mut self,
        row: &mut ByteRecord,
        position: Position,
        quoting: Quoting,
        file: &OpenedFile,
    ) {
        let length = row.as_slice().len();
        self.bytes += length;
        if let Some(kind) = self.malformed(row, quoting, file) {
            self.faults.push(Fault {
                row: self.positions.len(),
                column: None,
                kind,
            });
            // None of its cells can be told to be of any column.
            *row = ByteRecord::new();
        }
        self.positions.push(position);
        let next = self.spare.pop().unwrap_or_default();
        self.strip.push(std::mem::replace(row, next));
        if self.strip.len() == STRIP || length > LONG_ROW {
            self.spread();
        }
    }

    /// What is wrong with a row as a whole.
    fn malformed(
        &self,
        row: &ByteRecord,
        quoting: Quoting,
        file: &OpenedFile,
    ) -> Option<FaultKind> {
        if let Quoting::Swallowing(line) = quoting {
            let raw = raw(row, self.encoding(), file);
            return Some(FaultKind::Misquoted { line, raw });
        }
        (!has_width(row, file.width, self.ragged)).then(|| FaultKind::Ragged {
            cells: row.len(),
            expected: file.width,
            raw: raw(row, self.encoding(), file),
        })
    }

    fn encoding(&self) -> &'static Encoding {
        let last = self.encodings.last();
        last.map_or(UTF_8, |(_, encoding)| encoding)
    }

    /// Puts the cells of the strip into the columns, one column after the other.
    fn spread(&mut self) {
        let encoding = self.encoding();
        let from = self.positions.len() - self.strip.len();
        let places = self.places.iter().enumerate();
        for (cells, (column, place)) in self.columns.iter_mut().zip(places) {
            let found = self.strip.iter().map(|row| row.get(*place));
            if !decode::decodes_by_cell(encoding) {
                cells.extend(found, &self.null_texts);
                continue;
            }
            for (row, cell) in (from..).zip(found) {
                let text = cell.map(|cell| decode::cell(encoding, cell));
                if text == Some(None) {
                    self.faults.push(undecodable(row, column, encoding));
                }
                let text = text.flatten();
                let text = text.as_deref().map(str::as_bytes);
                cells.extend(std::iter::once(text), &self.null_texts);
            }
        }
        self.strip.retain(|row| row.as_slice().len() <= LONG_ROW);
        self.spare.append(&mut self.strip);
    }

    /// The batch, unless it has no rows. The next one goes on in the same file.
    pub(super) fn finish(&mut self, schema: &Arc<Schema>) -> Result<Option<Rows>, SourceError> {
        if self.positions.is_empty() {
            return Ok(None);
        }
        self.spread();
        let fresh = self.wanted.iter().map(|_| Cells::new()).collect();
        let columns = std::mem::replace(&mut self.columns, fresh);
        let arrays = columns.into_iter().enumerate().map(|(column, cells)| {
            let texts = self.texts(column, &cells.finish()?);
            Ok(Arc::new(texts) as ArrayRef)
        });
        let arrays: Result<_, ArrowError> = arrays.collect();
        let arrays = arrays.map_err(SourceError::Batch)?;
        let encoding = self.encoding();
        self.encodings.clear();
        self.encodings.push((0, encoding));
        self.bytes = 0;
        let mut faults = std::mem::take(&mut self.faults);
        faults.sort_by_key(|fault| (fault.row, fault.column));
        let positions = std::mem::replace(&mut self.positions, Vec::with_capacity(MOST_ROWS));
        let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
            .map_err(SourceError::Batch)?;
        Ok(Some(Rows {
            batch,
            positions,
            faults,
        }))
    }

    /// The cells of a column as texts. Only where their bytes are not all of texts, each cell is looked at by itself.
    fn texts(&mut self, column: usize, cells: &BinaryArray) -> StringArray {
        if let Ok(texts) = StringArray::try_from_binary(cells.clone()) {
            return texts;
        }
        let texts = cells.iter().enumerate().map(|(row, cell)| {
            let text = std::str::from_utf8(cell?).ok();
            if text.is_none() {
                let before = self.encodings.partition_point(|(from, _)| *from <= row);
                let of_row = self.encodings.get(before.saturating_sub(1));
                let encoding = of_row.map_or(UTF_8, |(_, it)| *it);
                self.faults.push(undecodable(row, column, encoding));
            }
            text
        });
        texts.collect()
    }
}

/// The cells of one column: their bytes one behind the other, and where each of them ends.
struct Cells {
    bytes: Vec<u8>,
    /// From 0, where the first begins.
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Cells {
    fn new() -> Self {
        let mut ends = Vec::with_capacity(MOST_ROWS + 1);
        ends.push(0);
        Self {
            bytes: Vec::with_capacity(MOST_ROWS * 16),
            ends,
            nulls: NullBufferBuilder::new(MOST_ROWS),
        }
    }

    /// Adds cells: a null where a row has none, or one of the texts that mean null.
    #[inline]
    fn extend<'c>(&mut self, cells: impl Iterator<Item = Option<&'c [u8]>>, null_texts: &[String]) {
        let Self { bytes, ends, nulls } = self;
        ends.extend(cells.map(|cell| {
            match cell {
                Some(cell) if null_texts.iter().all(|null| null.as_bytes() != cell) => {
                    bytes.extend_from_slice(cell);
                    nulls.append_non_null();
                }
                _ => nulls.append_null(),
            }
            // A batch holds far less than the 2 GiB that can be counted; the array would refuse ends beyond its bytes.
            i32::try_from(bytes.len()).unwrap_or(i32::MAX)
        }));
    }

    fn finish(mut self) -> Result<BinaryArray, ArrowError> {
        let ends = OffsetBuffer::new(self.ends.into());
        BinaryArray::try_new(ends, self.bytes.into(), self.nulls.finish())
    }
}

/// The cells of a row as far as they can be shown.
fn raw(row: &ByteRecord, encoding: &'static Encoding, file: &OpenedFile) -> Vec<String> {
    let show = |cell| match decode::cell(encoding, cell) {
        Some(text) => text.into_owned(),
        None => cell.escape_ascii().to_string(),
    };
    in_order(row.iter().map(show).collect(), file)
}

fn undecodable(row: usize, column: usize, encoding: &'static Encoding) -> Fault {
    Fault {
        row,
        column: Some(column),
        kind: FaultKind::Undecodable {
            encoding: encoding.name(),
        },
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
