//! An extract: what to read, and the trait of what can be read twice.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::DataType;

use super::{Position, Rows};

/// Which files to read and how, as a mapping says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractSpec {
    /// A file, a folder or a glob, relative to `base`; `-` is standard input.
    pub path: String,
    /// The folder of the mapping.
    pub base: PathBuf,
    /// Named by the mapping; otherwise it follows from each file's extension.
    pub format: Option<Format>,
    /// How delimited text is written.
    pub csv: CsvDialect,
}

/// The format of an extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, unless the dialect says otherwise.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// Apache Parquet.
    Parquet,
}

/// How delimited text is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvDialect {
    /// Between cells; the format's own when `None` (comma, tab).
    pub delimiter: Option<u8>,
    /// Around cells; `None` switches quoting off.
    pub quote: Option<u8>,
    /// Before a quote inside a quoted cell. Doubled quotes are understood with it and without.
    pub escape: Option<u8>,
    /// Where the names of the columns come from.
    pub header: Header,
    /// A label of the WHATWG Encoding Standard, `utf-8` unless said otherwise.
    pub encoding: String,
    /// Texts that mean null, compared before trimming; the empty text unless said otherwise.
    pub null_text: Vec<String>,
    /// Lines that begin with it are left out.
    pub comment: Option<u8>,
    /// So many lines before the header (or the first row) are left out.
    pub skip_rows: u64,
    /// What a row with another number of cells is.
    pub ragged: Ragged,
}

impl Default for CsvDialect {
    fn default() -> Self {
        Self {
            delimiter: None,
            quote: Some(b'"'),
            escape: None,
            header: Header::FirstRow,
            encoding: "utf-8".to_owned(),
            null_text: vec![String::new()],
            comment: None,
            skip_rows: 0,
            ragged: Ragged::Reject,
        }
    }
}

/// Where the names of the columns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The first row of each file.
    FirstRow,
    /// There is none: columns are `column_1`, `column_2`, …
    None,
    /// There is none in the file; the mapping names the columns.
    Names(Vec<String>),
}

/// What a row with another number of cells than the header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ragged {
    /// A reject.
    Reject,
    /// Missing cells are null, surplus cells are left out if they are empty, otherwise the row is a reject.
    Pad,
}

/// One column of an extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// As the header or the file's schema names it.
    pub name: String,
    /// `Utf8` for text formats.
    pub data_type: DataType,
}

/// What one reading should give.
pub struct Reading {
    /// Indexes into [`Source::columns`], in the order in which the batches should have them.
    pub columns: Vec<usize>,
    /// Only these rows, ascending; every row when `None`.
    pub only: Option<Box<dyn Iterator<Item = Position> + Send>>,
}

/// An extract that can be read, and read again.
///
/// Readings see the same rows at the same positions. A reading that meets an unreadable part ends with an error:
/// an extract that is not whole decides nothing.
pub trait Source: Send + Sync {
    /// Why reading failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Names of the files, in reading order, as people know them; [`Position::file`] counts in it.
    fn files(&self) -> &[Arc<str>];

    /// The columns that every file of the extract has.
    fn columns(&self) -> &[SourceColumn];

    /// Reads the extract from the beginning, in batches of bounded size.
    ///
    /// # Errors
    /// If the extract cannot be opened again; each batch says whether it could be read.
    fn read(
        &self,
        reading: Reading,
    ) -> Result<impl Iterator<Item = Result<Rows, Self::Error>> + Send + use<Self>, Self::Error>;

    /// Whether the files are still those that were opened: identity, size and time.
    ///
    /// # Errors
    /// If a file was replaced, has grown or was touched; the error names it.
    fn unchanged(&self) -> Result<(), Self::Error>;
}
