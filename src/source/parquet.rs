//! Parquet: only the columns and rows that are asked for are decoded.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{FormatOptions, array_value_to_string};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{ArrowError, DECIMAL128_MAX_PRECISION, DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::basic::{LogicalType, Type as PhysicalType};
use uuid::Uuid;

use super::SourceError;
use super::extract::{Opened, OpenedFile};
use super::header::twice_or_empty;
use super::reading::Wanted;
use crate::model::{Position, Rows, SourceColumn};

/// The most rows of a batch.
const MOST_ROWS: usize = 8192;

/// The cell as text, as far as its type has any: for people and for the reject file.
pub fn cell_text(column: &dyn Array, row: usize) -> String {
    if row >= column.len() || column.is_null(row) {
        return String::new();
    }
    let shown = match column.data_type() {
        DataType::Utf8 => return column.as_string::<i32>().value(row).to_owned(),
        // As the mapping spells them: `3003` is another key than `3003.0` or `3.003e3`.
        DataType::Float64 => return column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Float32 => return column.as_primitive::<Float32Type>().value(row).to_string(),
        // By the clock of UTC, whatever zone the writer named: its rules would have to be known.
        DataType::Timestamp(unit, Some(_)) => {
            let universal = DataType::Timestamp(*unit, Some(Arc::from("+00:00")));
            let one = cast(&column.slice(row, 1), &universal);
            one.and_then(|one| array_value_to_string(&one, 0))
        }
        _ => array_value_to_string(column, row),
    };
    shown.unwrap_or_default()
}

/// The columns of a file with the types that its cells are given in, and the file's footer.
pub(super) fn head(
    file: &File,
    name: &Arc<str>,
) -> Result<(Vec<SourceColumn>, ArrowReaderMetadata), SourceError> {
    let unusable = |source| SourceError::NotParquet {
        file: Arc::clone(name),
        source,
    };
    let load = |options| ArrowReaderMetadata::load(file, options).map_err(unusable);
    let mut footer = load(ArrowReaderOptions::new())?;
    if let Some(schema) = wide_times(&footer) {
        footer = load(ArrowReaderOptions::new().with_schema(Arc::new(schema)))?;
    }
    let fields = footer.schema().fields();
    let columns: Vec<SourceColumn> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| SourceColumn {
            name: field.name().clone(),
            data_type: given_type(field.data_type(), logical(&footer, index)),
        })
        .collect();
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    match twice_or_empty(&names) {
        Some(what) => Err(SourceError::Header {
            file: Arc::clone(name),
            line: 1,
            what: format!("the schema {what}"),
        }),
        None => Ok((columns, footer)),
    }
}

/// Old writers' times have 96 bits; in nanoseconds only the years 1677 to 2262 of them could be read.
fn wide_times(footer: &ArrowReaderMetadata) -> Option<Schema> {
    let schema = footer.schema();
    let mut found = false;
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let is_wide = primitive(footer, index).is_some_and(|it| it == PhysicalType::INT96);
        match field.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_wide => {
                found = true;
                let given = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                Arc::new(Field::clone(field).with_data_type(given))
            }
            _ => Arc::clone(field),
        }
    });
    let fields: Vec<_> = fields.collect();
    found.then(|| Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn primitive(footer: &ArrowReaderMetadata, column: usize) -> Option<PhysicalType> {
    let root = footer.parquet_schema().root_schema();
    let field = root.get_fields().get(column)?;
    field.is_primitive().then(|| field.get_physical_type())
}

fn logical(footer: &ArrowReaderMetadata, column: usize) -> Option<&LogicalType> {
    let root = footer.parquet_schema().root_schema();
    let field = root.get_fields().get(column)?;
    field.get_basic_info().logical_type_ref()
}

/// More decimal places are given as text.
const MOST_PLACES: i8 = 28;

/// The type in which cells of a type are given; itself where there is nothing to simplify, or no way to.
fn given_type(found: &DataType, logical: Option<&LogicalType>) -> DataType {
    match found {
        DataType::Dictionary(_, values) => given_type(values, logical),
        DataType::FixedSizeBinary(16) if logical == Some(&LogicalType::Uuid) => DataType::Utf8,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            // A negative scale stands for zeros behind the digits.
            let digits = precision.saturating_add(scale.min(&0).unsigned_abs());
            if digits > DECIMAL128_MAX_PRECISION || *scale > MOST_PLACES {
                DataType::Utf8
            } else {
                DataType::Decimal128(digits, *scale.max(&0))
            }
        }
        other => other.clone(),
    }
}

const STRICT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: FormatOptions::new(),
};

/// Gives an array in the type of its column.
fn given(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), wanted) {
        (found, wanted) if found == wanted => Ok(Arc::clone(array)),
        (DataType::FixedSizeBinary(16), DataType::Utf8) => {
            let ids = array.as_fixed_size_binary();
            let mut texts = StringBuilder::with_capacity(ids.len(), ids.len() * 36);
            for id in ids {
                let id = id.and_then(|bytes| Uuid::from_slice(bytes).ok());
                texts.append_option(id.map(|id| id.to_string()));
            }
            Ok(Arc::new(texts.finish()))
        }
        // A value that does not fit is an error, never a null.
        (_, wanted) => cast_with_options(array, wanted, &STRICT),
    }
}

/// The batches of one reading, row group by row group.
pub(super) struct TableBatches {
    extract: Arc<Opened>,
    columns: Vec<usize>,
    schema: Arc<Schema>,
    only: Option<Wanted>,
    file: usize,
    group: usize,
    /// Rows of this file before the group.
    before: u64,
    current: Option<Group>,
    finished: bool,
}

/// The rows of one row group that are being read.
struct Group {
    reader: ParquetRecordBatchReader,
    /// Their numbers in the file, from 1, as ascending ranges.
    numbers: std::vec::IntoIter<Range<u64>>,
    range: Range<u64>,
}

impl TableBatches {
    pub(super) fn new(
        extract: Arc<Opened>,
        columns: Vec<usize>,
        schema: Arc<Schema>,
        only: Option<Wanted>,
    ) -> Self {
        Self {
            extract,
            columns,
            schema,
            only,
            file: 0,
            group: 0,
            before: 0,
            current: None,
            finished: false,
        }
    }

    fn batch(&mut self) -> Result<Option<Rows>, SourceError> {
        let extract = Arc::clone(&self.extract);
        loop {
            let Some(file) = extract.files.get(self.file) else {
                return Ok(None);
            };
            if let Some(group) = &mut self.current {
                let from = group.range.start;
                let unreadable = |source| SourceError::Table {
                    file: Arc::clone(&file.located.name),
                    row: from,
                    source,
                };
                match group.reader.next() {
                    None => {
                        if let Some(row) = group.next_row() {
                            return Err(SourceError::FewerRows {
                                file: Arc::clone(&file.located.name),
                                row,
                            });
                        }
                        self.current = None;
                    }
                    Some(batch) => {
                        let batch = batch.map_err(unreadable)?;
                        let positions = group.positions(self.file, batch.num_rows());
                        let batch = self.given(file, &batch).map_err(unreadable)?;
                        return Ok(Some(Rows {
                            batch,
                            positions,
                            faults: Vec::new(),
                        }));
                    }
                }
                continue;
            }
            self.next_group(file)?;
        }
    }

    /// Goes on to the next row group that has wanted rows, or to the next file.
    fn next_group(&mut self, file: &OpenedFile) -> Result<(), SourceError> {
        let Some(footer) = &file.footer else {
            return Err(file.changed());
        };
        let groups = footer.metadata().row_groups();
        let Some(group) = groups.get(self.group) else {
            // A row that was to be read and is not there.
            if self.wanted_here().is_some() {
                return Err(file.changed());
            }
            (self.file, self.group, self.before) = (self.file + 1, 0, 0);
            return Ok(());
        };
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        let all = self.before + 1..self.before + rows + 1;
        let numbers = self.numbers(&all);
        if !numbers.is_empty() {
            let reader = self.reader(file, footer, &numbers)?;
            let from = numbers.first().map_or(0, |range| range.start);
            self.current = Some(Group {
                reader,
                numbers: numbers.into_iter(),
                range: from..from,
            });
        }
        (self.group, self.before) = (self.group + 1, all.end - 1);
        Ok(())
    }

    /// The next row that is wanted, if it is one of this file.
    fn wanted_here(&mut self) -> Option<u64> {
        let file = self.file;
        let next = self.only.as_mut()?.peek()?;
        (usize::from(next.file()) == file).then(|| next.line())
    }

    /// Which rows of a group are wanted.
    fn numbers(&mut self, all: &Range<u64>) -> Vec<Range<u64>> {
        if self.only.is_none() {
            return if all.is_empty() {
                Vec::new()
            } else {
                vec![all.clone()]
            };
        }
        let mut numbers: Vec<Range<u64>> = Vec::new();
        while let Some(number) = self.wanted_here().filter(|number| *number < all.end) {
            match numbers.last_mut() {
                Some(last) if last.end == number => last.end += 1,
                _ => numbers.push(number..number + 1),
            }
            if let Some(only) = &mut self.only {
                only.next();
            }
        }
        numbers
    }

    fn reader(
        &self,
        file: &OpenedFile,
        footer: &ArrowReaderMetadata,
        numbers: &[Range<u64>],
    ) -> Result<ParquetRecordBatchReader, SourceError> {
        let first = self.before + 1;
        let offset = |number: u64| usize::try_from(number - first).unwrap_or(usize::MAX);
        let ranges = numbers
            .iter()
            .map(|range| offset(range.start)..offset(range.end));
        let rows = footer.metadata().row_groups().get(self.group);
        let rows = rows.map_or(0, |group| usize::try_from(group.num_rows()).unwrap_or(0));
        let roots = self
            .columns
            .iter()
            .filter_map(|column| file.cells.get(*column));
        let mask = ProjectionMask::roots(footer.parquet_schema(), roots.copied());
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.reopen()?, footer.clone())
                .with_projection(mask)
                .with_row_groups(vec![self.group])
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges, rows))
                .with_batch_size(MOST_ROWS);
        builder.build().map_err(|source| SourceError::NotParquet {
            file: Arc::clone(&file.located.name),
            source,
        })
    }

    /// The columns in the order in which they were asked for, in the types that the extract's columns have.
    fn given(&self, file: &OpenedFile, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut roots: Vec<usize> = self
            .columns
            .iter()
            .filter_map(|column| file.cells.get(*column).copied())
            .collect();
        roots.sort_unstable();
        roots.dedup();
        let columns = self.columns.iter().zip(self.schema.fields());
        let arrays = columns.map(|(column, field)| {
            let root = file.cells.get(*column);
            let place = root.and_then(|root| roots.binary_search(root).ok());
            let array = place.and_then(|place| batch.columns().get(place));
            let missing = || ArrowError::SchemaError(format!("no column `{}`", field.name()));
            given(array.ok_or_else(missing)?, field.data_type())
        });
        RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect::<Result<_, _>>()?)
    }
}

impl Group {
    /// The next row that the reader has not given yet. Once it has ended there must be none: it takes pages that hold
    /// fewer rows than the footer tells for the end of the group, without a word.
    fn next_row(&self) -> Option<u64> {
        let later = self.numbers.as_slice().first();
        let left = Some(&self.range).filter(|range| !range.is_empty());
        left.or(later).map(|range| range.start)
    }

    fn positions(&mut self, file: usize, rows: usize) -> Vec<Position> {
        let file = u16::try_from(file).unwrap_or(u16::MAX);
        let mut positions = Vec::with_capacity(rows);
        while positions.len() < rows {
            match self.range.next() {
                Some(number) => positions.push(Position::new(file, number)),
                None => match self.numbers.next() {
                    Some(range) => self.range = range,
                    None => break,
                },
            }
        }
        positions
    }
}

impl Iterator for TableBatches {
    type Item = Result<Rows, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let batch = self.batch();
        self.finished = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

#[cfg(test)]
mod tests;
