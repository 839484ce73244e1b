//! What can go wrong with an extract, and what the operator does next.

use std::io;
use std::sync::Arc;

use super::Disguise;

/// Why an extract could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such file or folder.
    #[error("{path}: there is no such file or folder")]
    Missing {
        /// As the mapping names it.
        path: String,
    },
    /// A glob or a folder gives no file.
    #[error("{path}: no file to read")]
    NoFiles {
        /// As the mapping names it.
        path: String,
    },
    /// The glob is malformed.
    #[error("{path}: not a pattern for files: {source}")]
    Pattern {
        /// As the mapping names it.
        path: String,
        /// What the parser of patterns says.
        source: glob::PatternError,
    },
    /// More files than positions can tell apart.
    #[error("{path}: {count} files, but an extract has at most 65536")]
    TooManyFiles {
        /// As the mapping names it.
        path: String,
        /// How many files there are.
        count: usize,
    },
    /// The file has a form that cannot be read.
    #[error("{file}: {}", unread(*found))]
    Format {
        /// The file.
        file: Arc<str>,
        /// What its name says.
        found: Option<Disguise>,
    },
    /// The encoding has no such name, or is none that text can be read in.
    #[error("`{label}` is not the name of an encoding")]
    Encoding {
        /// As the mapping names it.
        label: String,
    },
    /// The file begins with the mark of another encoding than the mapping names.
    #[error("{file}: the file is marked as {found}, but should be {expected}")]
    OtherEncoding {
        /// The file.
        file: Arc<str>,
        /// What its first bytes say.
        found: &'static str,
        /// What the mapping says.
        expected: &'static str,
    },
    /// The system refuses to open the file.
    #[error("{file}: cannot be opened: {source}")]
    Open {
        /// The file, folder or pattern.
        file: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// The file has no bytes.
    #[error("{file}: the file is empty (0 bytes)")]
    Empty {
        /// The file.
        file: Arc<str>,
    },
    /// Nothing came by standard input.
    #[error("standard input: no extract came")]
    NothingCame,
    /// Standard input cannot be kept in a file, which a second reading needs.
    #[error("standard input cannot be kept in a file: {source}")]
    Spool {
        /// What the system says, and where.
        source: io::Error,
    },
    /// The file ends before the row that names the columns.
    #[error("{file}: there is no header row")]
    NoHeader {
        /// The file.
        file: Arc<str>,
    },
    /// The header cannot be used.
    #[error("{file}:{line}: {what}")]
    Header {
        /// The file.
        file: Arc<str>,
        /// The line on which the header begins.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The header has bytes that mean nothing in the encoding.
    #[error("{file}:{line}: the header is not valid {encoding}")]
    Undecodable {
        /// The file.
        file: Arc<str>,
        /// The line on which the header begins.
        line: u64,
        /// The name of the encoding.
        encoding: &'static str,
    },
    /// The file lacks a column of the first file.
    #[error("{file}: there is no column `{column}`, which the extract's first file has")]
    MissingColumn {
        /// The file.
        file: Arc<str>,
        /// The column.
        column: String,
    },
    /// A column was asked for that the extract does not have.
    #[error("the extract has no column number {index}")]
    NoSuchColumn {
        /// As asked, from 0.
        index: usize,
    },
    /// The cells do not make a batch.
    #[error("rows cannot be joined to a batch: {0}")]
    Batch(#[source] arrow_schema::ArrowError),
    /// What is unpacked of a compressed file ends or breaks.
    #[error("{file}: the compressed file is cut short or damaged: {source}")]
    Packed {
        /// The file.
        file: Arc<str>,
        /// What the decompressor says.
        source: io::Error,
    },
    /// Reading failed midway.
    #[error("{file}:{line}: cannot be read any further: {source}")]
    Read {
        /// The file.
        file: Arc<str>,
        /// The line from which on nothing could be read.
        line: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The file ends inside a quoted cell.
    #[error("{file}:{line}: the quote that opens here is never closed")]
    OpenQuote {
        /// The file.
        file: Arc<str>,
        /// The line on which the quote opens.
        line: u64,
    },
    /// One character of the dialect means two things.
    #[error("`source.csv.{one}` and `source.csv.{other}` are both `{}`", character.escape_default())]
    Dialect {
        /// One setting.
        one: &'static str,
        /// The other setting.
        other: &'static str,
        /// What both are.
        character: char,
    },
    /// The mapping names the columns, and not well.
    #[error("`source.csv.header` {what}")]
    Names {
        /// What is wrong.
        what: String,
    },
    /// The file is something else than its name and the mapping say.
    #[error("{file}: {}", instead(*found))]
    Disguised {
        /// The file.
        file: Arc<str>,
        /// What its first bytes say.
        found: Disguise,
    },
    /// The first line is for a spreadsheet program, and names no columns.
    #[error("{file}:{line}: `sep=` stands where the names of the columns should")]
    Spreadsheet {
        /// The file.
        file: Arc<str>,
        /// The line.
        line: u64,
    },
    /// A comment or a line to be left out ends in a carriage return alone.
    #[error(
        "{file}:{line}: the line ends in a carriage return alone, which `comment` and `skip_rows` do not know"
    )]
    LineEnds {
        /// The file.
        file: Arc<str>,
        /// The line.
        line: u64,
    },
    /// It is a device or a pipe.
    #[error("{file}: not a file")]
    NoFile {
        /// As the system names it.
        file: Arc<str>,
    },
    /// Delimited text and Parquet in one extract.
    #[error("an extract has one format, but {one} and {other} have two")]
    Formats {
        /// A file of one format.
        one: Arc<str>,
        /// A file of the other.
        other: Arc<str>,
    },
    /// A file stands beside its compressed self.
    #[error("{one} and {other} look like the same rows, once plain and once compressed")]
    Twins {
        /// One file.
        one: Arc<str>,
        /// The other file.
        other: Arc<str>,
    },
    /// Two files have different types for a column.
    #[error("column `{column}` is {expected} in {first} and {found} in {file}")]
    Types {
        /// The column.
        column: String,
        /// The extract's first file.
        first: Arc<str>,
        /// Its type there.
        expected: String,
        /// The other file.
        file: Arc<str>,
        /// Its type there.
        found: String,
    },
    /// The file is no Parquet file, or is cut short.
    #[error("{file}: not a whole Parquet file: {source}")]
    NotParquet {
        /// The file.
        file: Arc<str>,
        /// What its reader says.
        source: parquet::errors::ParquetError,
    },
    /// A part of a Parquet file cannot be read.
    #[error("{file}: rows from {row} on cannot be read: {source}")]
    Table {
        /// The file.
        file: Arc<str>,
        /// The first row of that part.
        row: u64,
        /// What its reader says.
        source: arrow_schema::ArrowError,
    },
    /// The pages of a Parquet file hold fewer rows than its end tells.
    #[error(
        "{file}: row {row} and those behind it are missing, although the end of the file tells of them"
    )]
    FewerRows {
        /// The file.
        file: Arc<str>,
        /// The first row that is missing.
        row: u64,
    },
    /// The file is another one than when the extract was opened, or has other contents.
    #[error("{file}: the file changed after the extract was opened")]
    Changed {
        /// The file.
        file: Arc<str>,
    },
}

/// What an extract may be.
const FORMATS: &str = "give the extract as csv, tsv or parquet, the first two also as .gz or .zst; if it is delimited text under another name, say so with `source.format`";

/// What a file is in place of what it should be, as a sentence.
fn instead(found: Disguise) -> String {
    match found {
        Disguise::Utf16Le | Disguise::Utf16Be => {
            format!("the file is {found}, and the mapping does not say so")
        }
        _ => format!("the file is {found}, not delimited text"),
    }
}

/// Why a file is not read, as the end of a sentence.
fn unread(found: Option<Disguise>) -> String {
    match found {
        None | Some(Disguise::Other) => "not a format that can be read".to_owned(),
        Some(found) => format!("{found} cannot be read as an extract"),
    }
}

/// What kind of failure a [`SourceError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFailure {
    /// The extract is not there or cannot be used as it is.
    NotThere,
    /// A part of the extract could not be read.
    Unreadable,
    /// The extract is no longer the one that was opened.
    Changed,
}

impl SourceError {
    /// What kind of failure this is.
    pub fn kind(&self) -> SourceFailure {
        match self {
            Self::Changed { .. } => SourceFailure::Changed,
            Self::Read { .. }
            | Self::Spool { .. }
            | Self::Packed { .. }
            | Self::OpenQuote { .. }
            | Self::Batch(_)
            | Self::Table { .. }
            | Self::FewerRows { .. } => SourceFailure::Unreadable,
            _ => SourceFailure::NotThere,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "check the path: `source.path` is taken from the folder of the mapping, `--extract` from the working folder"
            }
            Self::NoFiles { .. } => {
                "check that the export was written there, and the path: `source.path` is taken from the folder of the mapping, `--extract` from the working folder; of a folder the files are read that end in .csv, .tsv or .parquet, also in .gz or .zst"
            }
            Self::NothingCame => {
                "hand the extract over, as in `segue push --mapping FILE < EXTRACT`, or name a file in `source.path`; `segue retry` needs it once more"
            }
            Self::Spool { .. } => {
                "make room in the folder for temporary files, or name another one in TMPDIR; then start the run again"
            }
            Self::Packed { .. } => {
                "the file may still be on its way: export or copy it again; if it is not compressed, take .gz or .zst off its name"
            }
            Self::Pattern { .. } => "write the pattern with `*`, `?`, `[…]` and `**/`",
            Self::TooManyFiles { .. } => "join the files, or split the load into several mappings",
            Self::Format { found, .. } => found.map_or(FORMATS, Disguise::help),
            Self::Disguised { found, .. } => found.help(),
            Self::Undecodable { .. } => {
                "say what the file is in, such as `csv: { encoding: windows-1252 }`, or export it as UTF-8"
            }
            Self::Encoding { .. } => "use a name such as utf-8, windows-1252 or utf-16le",
            Self::OtherEncoding { .. } => "set `encoding` of the source to what the file is",
            Self::Open { .. } => "check that the file exists and that you may read it",
            Self::Empty { .. } => "check the export; an extract without rows still has a header",
            Self::NoHeader { .. } => "check the export and `skip_rows`, or set `header: false`",
            Self::Header { .. } => "correct the header, or name the columns in the mapping",
            Self::MissingColumn { .. } => "give every file of the extract the same columns",
            Self::Dialect { .. } => "give each a character of its own",
            Self::Names { .. } => "name every column once",
            Self::Spreadsheet { .. } => {
                "the line is for Excel: leave it out with `csv: { skip_rows: 1 }`, and give the character behind `sep=` as `delimiter`"
            }
            Self::LineEnds { .. } => "export the file with line feeds",
            Self::NoFile { .. } => "name a file; `path: \"-\"` reads standard input",
            Self::Formats { .. } => "give every file of the extract the same format",
            Self::Twins { .. } => {
                "take one of them away, or name the files to read with a pattern in `source.path`"
            }
            Self::Types { .. } => "write every file of the extract with the same schema",
            Self::NotParquet { .. } => {
                "the file may be cut off or still being written: export it again; if it is something else, end its name in what it is (.csv)"
            }
            Self::Table { .. } | Self::FewerRows { .. } => {
                "the file may be cut off or still being written: export it again"
            }
            Self::NoSuchColumn { .. } | Self::Batch(_) => "please report this as a defect",
            Self::Read { source, .. } if source.kind() != io::ErrorKind::FileTooLarge => {
                "check the disk or share, then start the run again"
            }
            Self::Read { .. } | Self::OpenQuote { .. } => {
                "the file may be cut off: export it again, or set `quote` to none if quotes mean nothing in it"
            }
            Self::Changed { .. } => "wait until the export has finished, then start the run again",
        }
    }
}
