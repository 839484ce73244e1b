//! Schemas of tables in a file, for work without a connection.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Table;

const SCHEMA: &str = "segue.snapshot/1";

/// What an environment's tables were when somebody looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    schema: String,
    /// The environment's organisation.
    pub organisation: Uuid,
    /// By logical name, relationships included.
    tables: BTreeMap<String, Table>,
}

/// A snapshot that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("the snapshot {} cannot be {verb}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`
        verb: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{} is no snapshot of this version of segue", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl Snapshot {
    /// One without tables.
    pub fn new(organisation: Uuid) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            organisation,
            tables: BTreeMap::new(),
        }
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or is no snapshot.
    pub fn read(path: &Path) -> Result<Option<Self>, SnapshotError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let (path, verb) = (path.to_owned(), "read");
                return Err(SnapshotError::Io { path, verb, source });
            }
        };
        let foreign = |source| SnapshotError::Foreign {
            path: path.to_owned(),
            source,
        };
        let snapshot: Self = serde_json::from_slice(&text).map_err(foreign)?;
        if snapshot.schema == SCHEMA {
            return Ok(Some(snapshot));
        }
        let what = format!("its schema is `{}`", snapshot.schema);
        Err(foreign(serde::de::Error::custom(what)))
    }

    /// Writes the file, whole or not at all, and the folders above it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let write = || {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| SnapshotError::Io {
            path: path.to_owned(),
            verb: "written",
            source,
        })
    }

    /// Adds tables to a file of the same organisation; one of another organisation is replaced.
    ///
    /// # Errors
    /// If the file there is something else, or it cannot be written.
    pub fn store(&self, path: &Path) -> Result<(), SnapshotError> {
        let mut stored = match Self::read(path)? {
            Some(stored) if stored.organisation == self.organisation => stored,
            _ => Self::new(self.organisation),
        };
        stored.tables.extend(self.tables.clone());
        stored.write(path)
    }

    /// Adds a table, in place of what was known of it.
    pub fn add(&mut self, table: Table) {
        self.tables.insert(table.name.to_string(), table);
    }

    /// A table by its logical name or entity set name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let by_set = || {
            let mut tables = self.tables.values();
            tables.find(|table| table.entity_set.as_str() == name)
        };
        self.tables.get(name).or_else(by_set)
    }
}
