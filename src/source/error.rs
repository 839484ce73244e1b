//! What can go wrong with an extract, and what the operator does next.

use std::io;
use std::sync::Arc;

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
    #[error("{file}: not a format that can be read")]
    Format {
        /// The file.
        file: Arc<str>,
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
    /// Reading failed midway.
    #[error("{file}:{line}: cannot be read on: {source}")]
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
    /// The file is another one than when the extract was opened, or has other contents.
    #[error("{file}: the file changed after the extract was opened")]
    Changed {
        /// The file.
        file: Arc<str>,
    },
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
            Self::Read { .. } | Self::OpenQuote { .. } | Self::Batch(_) => {
                SourceFailure::Unreadable
            }
            _ => SourceFailure::NotThere,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NoFiles { .. } => {
                "check `source.path`; it is relative to the folder of the mapping"
            }
            Self::Pattern { .. } => "write the pattern with `*`, `?`, `[…]` and `**/`",
            Self::TooManyFiles { .. } => "join the files, or split the load into several mappings",
            Self::Format { .. } => {
                "give the extract as csv or tsv; if it is delimited text under another name, say so with `source.format`"
            }
            Self::Encoding { .. } => "use a name such as utf-8, windows-1252 or utf-16le",
            Self::OtherEncoding { .. } => "set `encoding` of the source to what the file is",
            Self::Open { .. } => "check that the file exists and that you may read it",
            Self::Empty { .. } => "check the export; an extract without rows still has a header",
            Self::NoHeader { .. } => "check the export and `skip_rows`, or set `header` to none",
            Self::Header { .. } => "correct the header, or name the columns in the mapping",
            Self::MissingColumn { .. } => "give every file of the extract the same columns",
            Self::NoSuchColumn { .. } | Self::Batch(_) => "please report this as a defect",
            Self::Read { .. } => "check the disk or share, then start the run again",
            Self::OpenQuote { .. } => {
                "the file may be cut off: export it again, or set `quote` to none if quotes mean nothing in it"
            }
            Self::Changed { .. } => "wait until the export has finished, then start the run again",
        }
    }
}
