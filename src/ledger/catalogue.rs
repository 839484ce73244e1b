//! `catalogue.db`: what the ledger belongs to, its secret, the generation in force, layouts and runs.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::LedgerError;
use super::database::{self, Schema};
use super::held;
use super::identity::{Identity, Owner};
use super::layout::{Layout, LayoutColumn, LayoutId};
use crate::model::{DigestSecret, LogicalName, RunId};

const SCHEMA: Schema = Schema {
    application: 0x7365_6775,
    tables: "
CREATE TABLE IF NOT EXISTS ledger(
  one INTEGER PRIMARY KEY CHECK (one = 1), organisation BLOB NOT NULL, table_name TEXT NOT NULL,
  key_columns TEXT NOT NULL, mapping TEXT NOT NULL, secret BLOB NOT NULL, generation INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS layouts(
  id BLOB NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL, type_tag TEXT NOT NULL,
  PRIMARY KEY (id, ordinal)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, started TEXT NOT NULL, ending TEXT) STRICT;",
};

/// So many runs are remembered.
const RUNS_KEPT: i64 = 1_000;

/// The number of a run within its ledger: entries say by it who recorded them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunNumber(pub(super) u32);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that was sent was answered, and nothing is open: every due row of the whole extract was, or no earlier run
    /// had left anything.
    Settled,
    /// Something is open: answers that were lost, operations not attempted, or what an earlier run left and this one
    /// did not come to.
    Unsettled,
}

/// A run that may have sent what nobody recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// Its id.
    pub run: RunId,
    /// When it started, by the service's clock.
    pub started: Timestamp,
}

/// A run that began to send, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNoted {
    /// Its id.
    pub run: String,
    /// When it started, by the service's clock.
    pub started: String,
    /// `settled`, `unsettled`, or nothing if it died or is still running.
    pub ending: Option<String>,
}

/// What the catalogue says of the ledger.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) owner: Owner,
    pub(super) secret: DigestSecret,
    pub(super) generation: u32,
}

/// The open catalogue.
#[derive(Debug)]
pub(super) struct Catalogue {
    connection: Connection,
    path: PathBuf,
}

impl Catalogue {
    pub(super) fn open(folder: &Path) -> Result<Self, LedgerError> {
        let path = folder.join("catalogue.db");
        let connection = database::open(&path, SCHEMA)?;
        let catalogue = Self { connection, path };
        let made = catalogue.connection.execute_batch(held::TABLES);
        made.map_err(|source| catalogue.damaged(source))?;
        Ok(catalogue)
    }

    /// For reading; `None` if there is no ledger.
    pub(super) fn open_to_read(folder: &Path) -> Result<Option<Self>, LedgerError> {
        let path = folder.join("catalogue.db");
        let connection = database::open_to_read(&path, SCHEMA)?;
        Ok(connection.map(|connection| Self { connection, path }))
    }

    /// What the ledger is; `None` before it was made.
    pub(super) fn stored(&self) -> Result<Option<Stored>, LedgerError> {
        let question =
            "SELECT organisation, table_name, key_columns, mapping, secret, generation FROM ledger";
        self.connection
            .query_row(question, (), stored)
            .optional()
            .map_err(|source| self.damaged(source))
    }

    /// Makes the ledger: empty, with that secret.
    pub(super) fn make(&self, owner: &Owner, secret: &DigestSecret) -> Result<(), LedgerError> {
        let made = self.put("INSERT OR IGNORE", owner, secret, 0);
        made.map_err(|source| LedgerError::database(&self.path, source))
    }

    fn put(
        &self,
        how: &str,
        owner: &Owner,
        secret: &DigestSecret,
        generation: u32,
    ) -> rusqlite::Result<()> {
        let statement = format!("{how} INTO ledger VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)");
        let values = params![
            owner.organisation.as_bytes(),
            owner.table,
            owner.key,
            owner.mapping,
            secret.0,
            generation,
        ];
        self.connection.execute(&statement, values).map(|_| ())
    }

    /// The mapping file has another place now.
    pub(super) fn move_mapping(&self, identity: &Identity) -> Result<(), LedgerError> {
        self.write("UPDATE ledger SET mapping = ?1", [identity.mapping_file()])
    }

    /// Puts a generation in force.
    pub(super) fn switch_to(&self, generation: u32) -> Result<(), LedgerError> {
        self.write("UPDATE ledger SET generation = ?1", [generation])
    }

    /// Puts a generation in force that was written under this secret for that owner.
    pub(super) fn replace_by(
        &self,
        generation: u32,
        owner: &Owner,
        secret: &DigestSecret,
    ) -> Result<(), LedgerError> {
        let replace = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            self.put("INSERT OR REPLACE", owner, secret, generation)?;
            // Their keys are made of other columns, or digested under another secret: they match no row.
            transaction.execute("DELETE FROM rejects", ())?;
            transaction.commit()
        };
        replace().map_err(|source| LedgerError::database(&self.path, source))
    }

    /// Reads by several statements.
    pub(super) fn ask<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        read(&self.connection).map_err(|source| self.damaged(source))
    }

    /// Writes by several statements, in a transaction of the caller's.
    pub(super) fn change<T>(
        &mut self,
        write: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        write(&mut self.connection).map_err(|source| self.damaged(source))
    }

    /// The mapping file as the ledger names it.
    pub(super) fn mapping(&self) -> Result<Option<String>, LedgerError> {
        Ok(self.stored()?.map(|stored| stored.owner.mapping))
    }

    /// The last runs that began to send, newest first.
    pub(super) fn last_runs(&self, most: u32) -> Result<Vec<RunNoted>, LedgerError> {
        let question = "SELECT id, started, ending FROM runs ORDER BY number DESC LIMIT ?1";
        let ask = || -> rusqlite::Result<Vec<RunNoted>> {
            let mut statement = self.connection.prepare(question)?;
            let rows = statement.query_map([most], |row| {
                Ok(RunNoted {
                    run: row.get(0)?,
                    started: row.get(1)?,
                    ending: row.get(2)?,
                })
            })?;
            rows.collect()
        };
        ask().map_err(|source| self.damaged(source))
    }

    /// Keeps the columns of a layout under its id.
    pub(super) fn keep_layout(&mut self, layout: &Layout) -> Result<(), LedgerError> {
        let id = layout.id();
        if self.layout(id)?.is_some() {
            return Ok(());
        }
        let keep = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (ordinal, column) in (0_i64..).zip(&layout.columns) {
                transaction.execute(
                    "INSERT OR IGNORE INTO layouts VALUES (?1, ?2, ?3, ?4)",
                    params![id.0, ordinal, column.name.as_str(), column.type_tag],
                )?;
            }
            transaction.commit()
        };
        keep(&mut self.connection).map_err(|source| LedgerError::database(&self.path, source))
    }

    /// The columns of a layout; `None` if the catalogue does not know it.
    pub(super) fn layout(&self, id: LayoutId) -> Result<Option<Layout>, LedgerError> {
        let question = "SELECT name, type_tag FROM layouts WHERE id = ?1 ORDER BY ordinal";
        let ask = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = self.connection.prepare(question)?;
            let rows = statement.query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let columns = ask()
            .map_err(|source| self.damaged(source))?
            .into_iter()
            .map(|(name, type_tag)| {
                Some(LayoutColumn {
                    name: LogicalName::parse(&name).ok()?,
                    type_tag,
                })
            })
            .collect::<Option<Vec<_>>>();
        // The id is a digest of the columns, so it also tells whether they are whole.
        let layout = columns.map(|columns| Layout { columns });
        Ok(layout.filter(|layout| layout.id() == id))
    }

    /// Notes that a run begins to send.
    pub(super) fn begin_run(
        &self,
        run: &RunId,
        started: Timestamp,
    ) -> Result<RunNumber, LedgerError> {
        self.write(
            "INSERT INTO runs(id, started) VALUES (?1, ?2)",
            [run.as_str(), &started.to_string()],
        )?;
        let number = self.connection.last_insert_rowid();
        // What an unsettled run may have left open is settled by a later one; until then it is not forgotten.
        self.write(
            "DELETE FROM runs WHERE number <= ?1 - ?2
             AND number < (SELECT max(number) FROM runs WHERE ending = 'settled')",
            params![number, RUNS_KEPT],
        )?;
        u32::try_from(number)
            .map(RunNumber)
            .map_err(|_| LedgerError::torn(&self.path, "it counts more runs than there can be"))
    }

    /// The number of the last run that began to send; 0 before the first.
    pub(super) fn last_run(&self) -> Result<u32, LedgerError> {
        let question = "SELECT coalesce(max(number), 0) FROM runs";
        self.ask(|connection| connection.query_row(question, (), |row| row.get(0)))
    }

    pub(super) fn end_run(&self, run: RunNumber, ending: Ending) -> Result<(), LedgerError> {
        let ending = match ending {
            Ending::Settled => "settled",
            Ending::Unsettled => "unsettled",
        };
        self.write(
            "UPDATE runs SET ending = ?2 WHERE number = ?1",
            params![run.0, ending],
        )
    }

    /// The first of the runs before `run` that no settled run followed.
    pub(super) fn unfinished_run(
        &self,
        run: RunNumber,
    ) -> Result<Option<UnfinishedRun>, LedgerError> {
        let question = "SELECT id, started FROM runs WHERE number < ?1 AND number > coalesce(
            (SELECT max(number) FROM runs WHERE ending = 'settled' AND number < ?1), 0) ORDER BY number LIMIT 1";
        let found: Option<(String, String)> = self
            .connection
            .query_row(question, [run.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(|source| self.damaged(source))?;
        found
            .map(|(id, started)| {
                let started = started.parse().map_err(|_| {
                    LedgerError::torn(
                        &self.path,
                        format!("run {id} has no start that can be read"),
                    )
                })?;
                Ok(UnfinishedRun {
                    run: RunId::new(&id),
                    started,
                })
            })
            .transpose()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, statement: &str, values: impl rusqlite::Params) -> Result<(), LedgerError> {
        let written = self.connection.execute(statement, values);
        written
            .map(|_| ())
            .map_err(|source| LedgerError::database(&self.path, source))
    }

    /// A row that does not have the types of our tables means that somebody altered the file.
    fn damaged(&self, source: rusqlite::Error) -> LedgerError {
        match source {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => {
                LedgerError::torn(&self.path, source.to_string())
            }
            source => LedgerError::database(&self.path, source),
        }
    }
}

fn stored(row: &Row) -> rusqlite::Result<Stored> {
    let owner = Owner {
        organisation: Uuid::from_bytes(row.get(0)?),
        table: row.get(1)?,
        key: row.get(2)?,
        mapping: row.get(3)?,
    };
    Ok(Stored {
        owner,
        secret: DigestSecret(row.get(4)?),
        generation: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_run_that_died_is_unfinished_until_a_later_one_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(folder.path()).unwrap();
        let begin = |id: &str, second| catalogue.begin_run(&RunId::new(id), at(second)).unwrap();
        let first = begin("a", 1);
        assert_eq!(catalogue.unfinished_run(first).unwrap(), None);
        let second = begin("b", 2);
        catalogue.end_run(second, Ending::Unsettled).unwrap();
        let third = begin("c", 3);
        let left = UnfinishedRun {
            run: RunId::new("a"),
            started: at(1),
        };
        assert_eq!(catalogue.unfinished_run(third).unwrap(), Some(left));
        catalogue.end_run(third, Ending::Settled).unwrap();
        assert_eq!(catalogue.unfinished_run(begin("d", 4)).unwrap(), None);
    }

    #[test]
    fn old_runs_are_forgotten_and_what_is_open_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(folder.path()).unwrap();
        let begin = || catalogue.begin_run(&RunId::new("r"), at(1)).unwrap();
        let statement =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
             INSERT INTO runs SELECT i, 'old', '1970-01-01T00:00:01Z', NULL FROM n";
        catalogue.write(statement, ()).unwrap();
        let kept = || catalogue.last_runs(u32::MAX).unwrap().len();
        let open = begin();
        assert_eq!(kept(), 1501);
        catalogue.end_run(open, Ending::Settled).unwrap();
        begin();
        assert_eq!(kept(), 1000);
    }

    #[test]
    fn a_layout_is_kept_under_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        let column = |name: &str| LayoutColumn {
            name: LogicalName::parse(name).unwrap(),
            type_tag: "text".to_owned(),
        };
        let layout = Layout {
            columns: vec![column("b"), column("a")],
        };
        assert_eq!(catalogue.layout(layout.id()).unwrap(), None);
        catalogue.keep_layout(&layout).unwrap();
        catalogue.keep_layout(&layout).unwrap();
        assert_eq!(catalogue.layout(layout.id()).unwrap(), Some(layout));
    }
}
