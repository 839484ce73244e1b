//! `journal.<generation>.db`: what a generation has learned since it was written.
//!
//! One row and one transaction for each call of `record`: an append costs a sync, however many keys it holds. A row
//! holds its entries one after another, each a key's record and its column states under the row's layout.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::LedgerError;
use super::database::{self, Mode, Schema};
use super::format::SecretCheck;
use super::layout::LayoutId;

const SCHEMA: Schema = Schema {
    application: 0x7365_676A,
    tables: "
CREATE TABLE IF NOT EXISTS belongs(one INTEGER PRIMARY KEY CHECK (one = 1), secret_check BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entries(
  sequence INTEGER PRIMARY KEY, layout BLOB NOT NULL, entries BLOB NOT NULL) STRICT;",
    mode: Mode::WriteAhead,
};

/// The journal of one generation.
#[derive(Debug)]
pub(super) struct Journal {
    connection: Connection,
    path: PathBuf,
}

impl Journal {
    pub(super) fn path_in(folder: &Path, generation: u32) -> PathBuf {
        folder.join(format!("journal.{generation}.db"))
    }

    /// Opens the journal; makes it if it is not there.
    pub(super) fn open(path: &Path, check: SecretCheck) -> Result<Self, LedgerError> {
        let journal = Self {
            connection: database::open(path, SCHEMA)?,
            path: path.to_owned(),
        };
        let mark = "INSERT OR IGNORE INTO belongs VALUES (1, ?1)";
        let marked = journal.connection.execute(mark, [check.0]);
        marked.map_err(|source| LedgerError::database(path, source))?;
        journal.belonging_to(check)
    }

    /// Opens the journal for reading; `None` if there is none.
    pub(super) fn open_to_read(
        path: &Path,
        check: SecretCheck,
    ) -> Result<Option<Self>, LedgerError> {
        let Some(connection) = database::open_to_read(path, SCHEMA)? else {
            return Ok(None);
        };
        Self {
            connection,
            path: path.to_owned(),
        }
        .belonging_to(check)
        .map(Some)
    }

    /// Appends entries; they are on disk when this returns.
    pub(super) fn append(&self, layout: LayoutId, entries: &[u8]) -> Result<(), LedgerError> {
        let statement = "INSERT INTO entries(layout, entries) VALUES (?1, ?2)";
        let appended = self
            .connection
            .execute(statement, params![layout.0, entries]);
        appended
            .map(|_| ())
            .map_err(|source| LedgerError::database(&self.path, source))
    }

    /// The layout of its last entries.
    pub(super) fn last_layout(&self) -> Result<Option<LayoutId>, LedgerError> {
        let question = "SELECT layout FROM entries ORDER BY sequence DESC LIMIT 1";
        let found = self
            .connection
            .query_row(question, (), |row| row.get(0))
            .optional();
        found
            .map(|id| id.map(LayoutId))
            .map_err(|source| LedgerError::database(&self.path, source))
    }

    /// How many bytes of entries it holds.
    pub(super) fn entry_bytes(&self) -> Result<u64, LedgerError> {
        let question = "SELECT coalesce(sum(length(entries)), 0) FROM entries";
        let bytes: i64 = self
            .connection
            .query_row(question, (), |row| row.get(0))
            .map_err(|source| LedgerError::database(&self.path, source))?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Gives the entries of each call of `record`, oldest first.
    pub(super) fn each(
        &self,
        mut visit: impl FnMut(LayoutId, &[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let sqlite = |source| LedgerError::database(&self.path, source);
        let question = "SELECT layout, entries FROM entries ORDER BY sequence";
        let mut statement = self.connection.prepare(question).map_err(sqlite)?;
        let mut rows = statement.query(()).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let layout = row.get(0).map_err(sqlite)?;
            let entries = row.get_ref(1).map_err(sqlite)?;
            let entries = entries
                .as_blob()
                .map_err(|error| LedgerError::torn(&self.path, error.to_string()))?;
            visit(LayoutId(layout), entries)?;
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn belonging_to(self, check: SecretCheck) -> Result<Self, LedgerError> {
        let question = "SELECT secret_check FROM belongs";
        let found: Option<[u8; 16]> = self
            .connection
            .query_row(question, (), |row| row.get(0))
            .optional()
            .map_err(|source| LedgerError::database(&self.path, source))?;
        match found {
            // Its maker died before the mark, and so before any entry.
            None => Ok(self),
            Some(found) if found == check.0 => Ok(self),
            Some(_) => Err(LedgerError::foreign(
                &self.path,
                "it was written under another secret",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_the_order_in_which_they_were_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        let check = SecretCheck([1; 16]);
        let journal = Journal::open(&path, check).unwrap();
        journal.append(LayoutId([1; 16]), b"first").unwrap();
        journal.append(LayoutId([2; 16]), b"second").unwrap();
        drop(journal);
        let journal = Journal::open_to_read(&path, check).unwrap().unwrap();
        let mut seen = Vec::new();
        journal
            .each(|layout, entries| {
                seen.push((layout.0[0], entries.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, [(1, b"first".to_vec()), (2, b"second".to_vec())]);
        assert_eq!(journal.entry_bytes().unwrap(), 11);
    }

    #[test]
    fn the_journal_of_another_ledger_is_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        drop(Journal::open(&path, SecretCheck([1; 16])).unwrap());
        let other = SecretCheck([2; 16]);
        assert!(matches!(
            Journal::open(&path, other),
            Err(LedgerError::Foreign { .. })
        ));
        assert!(matches!(
            Journal::open_to_read(&path, other),
            Err(LedgerError::Foreign { .. })
        ));
    }
}
