//! Rows of an extract, as read.

use std::fmt;

use arrow_array::RecordBatch;

/// Where a row stands: the number of its file and its line (CSV) or row (typed formats) in it.
///
/// Both readings of an extract give the same row the same position, and positions grow along the extract, so a
/// position is the identity of a row within a run. 16 bits for the file, 48 for the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The most files of one extract.
    pub const MOST_FILES: usize = 1 << 16;

    /// Of a record that no row stands for.
    pub const NOWHERE: Self = Self(u64::MAX);

    /// `file` counts from 0 in name order; `line` from 1 and is the line on which the row begins.
    pub fn new(file: u16, line: u64) -> Self {
        Self(u64::from(file) << 48 | (line & 0xFFFF_FFFF_FFFF))
    }

    /// The number of the file, from 0.
    pub fn file(self) -> u16 {
        self.0
            .to_be_bytes()
            .first_chunk()
            .map_or(0, |high| u16::from_be_bytes(*high))
    }

    /// The line or row in that file, from 1.
    pub fn line(self) -> u64 {
        self.0 & 0xFFFF_FFFF_FFFF
    }

    /// As one number whose order is the order of the extract.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// From [`Position::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// For people: `extracts/contacts.csv:17`. `files` are the names that [`Source::files`](super::Source::files) gives.
    pub fn display(self, files: &[std::sync::Arc<str>]) -> impl fmt::Display {
        struct Shown<'a>(&'a [std::sync::Arc<str>], Position);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.1 == Position::NOWHERE {
                    return f.write_str("not in the extract");
                }
                let file = self
                    .0
                    .get(usize::from(self.1.file()))
                    .map_or("?", |name| name);
                write!(f, "{file}:{}", self.1.line())
            }
        }
        Shown(files, self)
    }
}

/// Some consecutive rows of an extract: a record batch of the columns that were asked for, and each row's position.
///
/// Text formats give `Utf8` columns; typed formats give their own types. A null is a null; which texts mean null
/// has been decided by the reader.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The cells, one column for each column that was asked for, in the order asked.
    pub batch: RecordBatch,
    /// One position per row, ascending.
    pub positions: Vec<Position>,
    /// What is wrong with single rows or cells, sorted by row. Their cells in `batch` are null.
    pub faults: Vec<Fault>,
}

/// A row or cell that could not be read as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The row's index in the batch.
    pub row: usize,
    /// The column's index in the batch; `None` if the whole row is concerned.
    pub column: Option<usize>,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a row or cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The row has another number of cells than the header.
    Ragged {
        /// How many it has.
        cells: usize,
        /// How many it should have.
        expected: usize,
        /// Its cells, as far as they can be shown, for the reject file.
        raw: Vec<String>,
    },
    /// A quote that opens in it is closed in the middle of a cell of a later line, so that a cell has rows in it.
    Misquoted {
        /// The line on which the quote opens.
        line: u64,
        /// Its cells, as far as they can be shown, for the reject file.
        raw: Vec<String>,
    },
    /// The bytes are not valid in the extract's encoding.
    Undecodable {
        /// The encoding's name.
        encoding: &'static str,
    },
}
