//! What can go wrong with a ledger, and what the operator does next.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::model::RunId;

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another run writes to the same table of the same organisation.
    #[error("the table is held by run {holder}")]
    Held {
        /// The run that holds the lock.
        holder: RunId,
    },

    /// Another environment stands behind the name of the destination, or a sandbox was wiped.
    #[error(
        "the ledger {} belongs to organisation {was}, but the destination is organisation {now}",
        folder.display()
    )]
    OtherOrganisation {
        /// The ledger's folder.
        folder: PathBuf,
        /// The organisation that the ledger was made for.
        was: Uuid,
        /// The organisation of this run.
        now: Uuid,
    },

    /// The mapping goes to another table now.
    #[error("the ledger {} belongs to table `{was}`, but the mapping goes to `{now}`", folder.display())]
    OtherTable {
        /// The ledger's folder.
        folder: PathBuf,
        /// The table that the ledger was made for.
        was: String,
        /// The table of this run.
        now: String,
    },

    /// The mapping has another key now.
    #[error("the ledger {} is keyed by [{was}], but the mapping's key is [{now}]", folder.display())]
    OtherKey {
        /// The ledger's folder.
        folder: PathBuf,
        /// The key columns that the ledger was made for.
        was: String,
        /// The key columns of this run.
        now: String,
    },

    /// Two mapping files have one name, and both exist.
    #[error(
        "the ledger {} belongs to the mapping file `{was}`, which still exists, and not to `{now}`",
        folder.display()
    )]
    OtherMapping {
        /// The ledger's folder.
        folder: PathBuf,
        /// The file that the ledger was made for.
        was: String,
        /// The file of this run.
        now: String,
    },

    /// A file is cut short, was altered, or is missing.
    #[error("the ledger file {} is damaged: {what}", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },

    /// A file is not part of this ledger.
    #[error("the file {} does not belong to this ledger: {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that was told.
        what: String,
    },

    /// A newer segue wrote the file.
    #[error(
        "the ledger file {} has format {version}, but this segue reads formats up to {known}",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
        /// The newest format that this program reads.
        known: u32,
    },

    /// A slot of another generation was asked for: the ledger was folded since the survey.
    #[error(
        "the slot belongs to generation {slot} of the ledger, but generation {current} was asked"
    )]
    StaleSlot {
        /// The slot's generation.
        slot: u32,
        /// The generation that was asked.
        current: u32,
    },

    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done: a verb.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// SQLite refused.
    #[error("cannot use the database {}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl LedgerError {
    /// What the operator does next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Held { .. } => "Wait until that run has ended, then start again.",
            Self::OtherOrganisation { .. } => {
                "Check the destination's url; if the environment was replaced or the sandbox was wiped, start over with \
                 `segue state reset`, then `segue state adopt` if it holds the records already."
            }
            Self::OtherTable { .. } => {
                "Give the mapping a `name:` of its own, or forget the other table with `segue state reset`."
            }
            Self::OtherKey { .. } => {
                "Carry the ledger over to the new key with `segue state rekey`, or start over with `segue state reset`."
            }
            Self::OtherMapping { .. } => {
                "Give one of the two mappings another `name:`, or remove the file that is no longer used."
            }
            Self::Torn { .. } => {
                "Restore the ledger's folder from a backup, or fill it anew from what Dataverse holds: \
                 `segue state reset`, then `segue state adopt`."
            }
            Self::Foreign { .. } => {
                "Put the ledger's own file back, or fill the ledger anew: `segue state reset`, then `segue state adopt`."
            }
            Self::NewerFormat { .. } => "Use the newer segue that wrote the ledger.",
            Self::StaleSlot { .. } => "Report this as a defect of segue.",
            Self::Io { source, .. } => io_help(source),
            Self::Database { source, .. } => database_help(source),
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn torn(path: &Path, what: impl Into<String>) -> Self {
        Self::Torn {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub(super) fn foreign(path: &Path, what: impl Into<String>) -> Self {
        Self::Foreign {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    /// SQLite tells a damaged file and a foreign one by codes of their own.
    pub(super) fn database(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => Self::torn(path, source.to_string()),
            Some(rusqlite::ErrorCode::NotADatabase) => {
                Self::foreign(path, "it is not a SQLite database")
            }
            _ => Self::Database {
                path: path.to_owned(),
                source,
            },
        }
    }
}

fn io_help(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Make room on the disk of the state folder, then run again: what was recorded is not sent again."
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Let the user that runs segue write to the state folder."
        }
        _ => "Check the disk and the rights of the state folder, then run again.",
    }
}

fn database_help(source: &rusqlite::Error) -> &'static str {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            "Make room on the disk of the state folder, then run again: what was recorded is not sent again."
        }
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            "Close the program that has the database open, then run again."
        }
        _ => "Check the disk and the rights of the state folder, then run again.",
    }
}
