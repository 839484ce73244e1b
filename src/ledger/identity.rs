//! What a ledger belongs to, and whether a run may use it.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::LedgerError;
use crate::model::LogicalName;

/// What a run is about. A ledger that was made for something else is not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The organisation that the destination is, as it told.
    pub organisation: Uuid,
    /// The table that the mapping writes.
    pub table: LogicalName,
    /// The mapping's key columns, in the plan's order.
    pub key: Vec<LogicalName>,
    /// The mapping file, relative to `base`.
    pub mapping: PathBuf,
    /// The folder that paths of mappings are relative to: the one with `segue.yaml`.
    pub base: PathBuf,
}

impl Identity {
    /// The key columns as the ledger keeps them. Names have no commas.
    pub(super) fn key_columns(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(LogicalName::as_str).collect();
        names.join(", ")
    }

    /// The mapping file as the ledger keeps it, the same on every system.
    pub(super) fn mapping_file(&self) -> String {
        self.mapping.to_string_lossy().replace('\\', "/")
    }

    /// What a ledger that is made for this says of itself.
    pub(super) fn owner(&self) -> Owner {
        Owner {
            organisation: self.organisation,
            table: self.table.to_string(),
            key: self.key_columns(),
            mapping: self.mapping_file(),
        }
    }

    /// Compares with what the ledger in `folder` belongs to.
    pub(super) fn judge(&self, folder: &Path, owner: &Owner) -> Result<Ownership, LedgerError> {
        let folder = || folder.to_owned();
        if owner.organisation != self.organisation {
            let (was, now) = (owner.organisation, self.organisation);
            return Err(LedgerError::OtherOrganisation {
                folder: folder(),
                was,
                now,
            });
        }
        if owner.table != self.table.as_str() {
            let (was, now) = (owner.table.clone(), self.table.to_string());
            return Err(LedgerError::OtherTable {
                folder: folder(),
                was,
                now,
            });
        }
        if owner.key != self.key_columns() {
            let (was, now) = (owner.key.clone(), self.key_columns());
            return Err(LedgerError::OtherKey {
                folder: folder(),
                was,
                now,
            });
        }
        if owner.mapping == self.mapping_file() {
            return Ok(Ownership::Same);
        }
        // A file that was renamed or moved took its ledger along; two files that both exist would fight over it.
        let first = self.base.join(&owner.mapping);
        match first.try_exists() {
            Ok(false) => Ok(Ownership::MappingMoved),
            Ok(true) => {
                let (was, now) = (owner.mapping.clone(), self.mapping_file());
                Err(LedgerError::OtherMapping {
                    folder: folder(),
                    was,
                    now,
                })
            }
            Err(source) => Err(LedgerError::io("look for", &first, source)),
        }
    }
}

/// What a ledger belongs to, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) organisation: Uuid,
    pub(super) table: String,
    pub(super) key: String,
    pub(super) mapping: String,
}

/// Whether a ledger that belongs to the run needs a new word about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// All is as it was.
    Same,
    /// The mapping file has another place now.
    MappingMoved,
}
