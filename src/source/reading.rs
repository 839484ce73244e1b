//! One reading of an extract, in batches.

use std::iter::Peekable;
use std::sync::Arc;

use arrow_schema::{Field, Schema};
use csv::ByteRecord;

use super::SourceError;
use super::delimited::Delimited;
use super::extract::Opened;
use super::filling::Filling;
use super::parquet::TableBatches;
use crate::model::{Position, Reading, Rows};

pub(super) type Wanted = Peekable<Box<dyn Iterator<Item = Position> + Send>>;

/// The batches of one reading.
pub(super) enum Batches {
    Text(Box<TextBatches>),
    Table(Box<TableBatches>),
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
            let batches = TableBatches::new(extract, reading.columns, schema, only);
            Self::Table(Box::new(batches))
        } else {
            Self::Text(Box::new(TextBatches {
                filling: Filling::new(reading.columns, extract.dialect()),
                extract,
                schema,
                only,
                next_file: 0,
                current: None,
                row: ByteRecord::new(),
                finished: false,
            }))
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
    filling: Filling,
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
        while self.filling.has_room() {
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
                let rows = file.rows(extract.dialect())?;
                self.filling.begin(file, rows.encoding());
                self.current = Some(rows);
                self.next_file += 1;
                continue;
            };
            let number = self.next_file.saturating_sub(1);
            let Some(file) = extract.files.get(number) else {
                break;
            };
            let Some(found) = rows.next(&mut self.row)? else {
                if !is_done_with(self.only.as_mut(), number) {
                    return Err(file.changed());
                }
                self.current = None;
                continue;
            };
            let position = Position::new(u16::try_from(number).unwrap_or(u16::MAX), found.line);
            let Some(is_wanted) = strike_off(self.only.as_mut(), position) else {
                return Err(file.changed());
            };
            if is_wanted {
                self.filling
                    .add(&mut self.row, position, found.quoting, file);
            }
        }
        self.filling.finish(&self.schema)
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
