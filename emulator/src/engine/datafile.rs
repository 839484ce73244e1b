//! The file that keeps the environment between runs (SQLite).
//!
//! One transaction per request, committed before the request is answered; one process at a time,
//! by SQLite's exclusive lock. The format: `application_id` says that the file is an emulator's,
//! `user_version` its format; rows stand as packed bytes by table number and id. Definitions that
//! were changed while the environment ran, and the contents of files, stand in tables that only data
//! files with them have.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, Transaction, params};
use uuid::Uuid;

use crate::error::EmulatorError;
use crate::model::Model;
use crate::model::numbering::{DROPPED, Numbering};
use crate::schema::Change;
use crate::table::Row;
use crate::table::value::{Cells, TableNumber};

/// `SGEm`
const APPLICATION: i32 = 0x5347_456d;
const FORMAT: i32 = 1;

pub(crate) struct DataFile {
    /// `None` once it was let go.
    connection: Option<Connection>,
}

impl DataFile {
    /// Opens the file for this process alone, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, EmulatorError> {
        let unusable = |source: std::io::Error| EmulatorError::DataFile {
            path: path.to_owned(),
            source: source.into(),
        };
        create_private(path).map_err(unusable)?;
        if !is_ours(path).map_err(unusable)? {
            return Err(EmulatorError::NotOurs {
                path: path.to_owned(),
            });
        }
        let connection = Connection::open(path)
            .and_then(|connection| Self::lock(&connection).map(|()| connection))
            .map_err(|error| EmulatorError::from_sqlite(path, error))?;
        Ok(Self {
            connection: Some(connection),
        })
    }

    /// Takes the file for this process, and makes it an emulator's if it is empty.
    fn lock(connection: &Connection) -> Result<(), rusqlite::Error> {
        connection.busy_timeout(std::time::Duration::ZERO)?;
        // Exclusive mode takes its lock with the first write and then never lets it go.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
        if tables == 0 {
            connection.execute_batch(&new_file())?;
        }
        let mode = "PRAGMA journal_mode = WAL";
        connection.query_row(mode, [], |row| row.get::<_, String>(0))?;
        connection.pragma_update(None, "synchronous", "FULL")
    }

    fn connection(&self) -> Result<&Connection, rusqlite::Error> {
        let gone = rusqlite::Error::InvalidQuery;
        self.connection.as_ref().ok_or(gone)
    }

    /// The numbers that tables and columns have in this file.
    pub(crate) fn numbering(&self) -> Result<Numbering, rusqlite::Error> {
        let sql = "SELECT name, columns FROM tables ORDER BY number";
        let mut statement = self.connection()?.prepare(sql)?;
        let tables = statement.query_map([], |row| {
            let columns: String = row.get(1)?;
            let columns = columns.split_whitespace().map(str::to_owned).collect();
            Ok((row.get(0)?, columns))
        })?;
        tables.collect()
    }

    pub(crate) fn save_numbering(&mut self, model: &Model) -> Result<(), rusqlite::Error> {
        let gone = rusqlite::Error::InvalidQuery;
        let transaction = self.connection.as_mut().ok_or(gone)?.transaction()?;
        number(&transaction, model)?;
        transaction.commit()
    }

    /// The changes of definitions, oldest first; `None` stands for one that cannot be read.
    pub(crate) fn changes(&self) -> Result<Vec<Option<Change>>, rusqlite::Error> {
        if !self.has_table("changes")? {
            return Ok(Vec::new());
        }
        let connection = self.connection()?;
        let mut statement = connection.prepare("SELECT change FROM changes ORDER BY number")?;
        let changes = statement.query_map([], |row| {
            let change: String = row.get(0)?;
            Ok(serde_json::from_str(&change).ok())
        })?;
        changes.collect()
    }

    /// Writes a change of definitions and what it made of tables and columns; the rows of dropped
    /// tables go.
    pub(crate) fn save_change(
        &mut self,
        change: &Change,
        model: &Model,
    ) -> Result<(), rusqlite::Error> {
        let gone = || rusqlite::Error::InvalidQuery;
        let text = serde_json::to_string(change).map_err(|_| gone())?;
        let transaction = self.connection.as_mut().ok_or_else(gone)?.transaction()?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, change TEXT NOT NULL)",
        )?;
        transaction.execute("INSERT INTO changes (change) VALUES (?1)", params![text])?;
        number(&transaction, model)?;
        let dropped = "DELETE FROM rows WHERE table_number IN \
                       (SELECT number FROM tables WHERE name = ?1)";
        transaction.execute(dropped, params![DROPPED])?;
        transaction.commit()
    }

    /// Reads the rows of one table, or every row; `None` stands for one that cannot be read.
    pub(crate) fn rows(
        &self,
        only: Option<TableNumber>,
        mut take: impl FnMut(Option<(TableNumber, Uuid, Row)>),
    ) -> Result<(), rusqlite::Error> {
        let sql = "SELECT table_number, id, version, cells FROM rows \
                   WHERE ?1 IS NULL OR table_number = ?1";
        let mut statement = self.connection()?.prepare(sql)?;
        let mut rows = statement.query(params![only.map(|table| table.0)])?;
        while let Some(row) = rows.next()? {
            let table: u16 = row.get(0)?;
            let id: Vec<u8> = row.get(1)?;
            let version: i64 = row.get(2)?;
            let read = || {
                let version = u64::try_from(version).ok()?;
                let cells = Cells::from_bytes(row.get(3).ok()?)?;
                let id = Uuid::from_slice(&id).ok()?;
                Some((TableNumber(table), id, Row { version, cells }))
            };
            take(read());
        }
        Ok(())
    }

    /// Writes rows, or removes those that are `None`, in one transaction.
    pub(crate) fn save<'a>(
        &mut self,
        rows: impl Iterator<Item = (TableNumber, Uuid, Option<&'a Row>)>,
    ) -> Result<(), rusqlite::Error> {
        let gone = rusqlite::Error::InvalidQuery;
        let transaction = self.connection.as_mut().ok_or(gone)?.transaction()?;
        {
            let mut put = transaction.prepare(
                "INSERT OR REPLACE INTO rows (table_number, id, version, cells) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut remove =
                transaction.prepare("DELETE FROM rows WHERE table_number = ?1 AND id = ?2")?;
            for (table, id, row) in rows {
                let id = id.as_bytes();
                match row {
                    Some(row) => {
                        let version = i64::try_from(row.version).unwrap_or(i64::MAX);
                        put.execute(params![table.0, id, version, row.cells.as_bytes()])?
                    }
                    None => remove.execute(params![table.0, id])?,
                };
            }
        }
        transaction.commit()
    }

    /// Writes files that came and removes those that went.
    pub(crate) fn save_attached(
        &mut self,
        (new, gone): (Vec<(Uuid, Bytes)>, Vec<Uuid>),
    ) -> Result<(), rusqlite::Error> {
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let closed = rusqlite::Error::InvalidQuery;
        let transaction = self.connection.as_mut().ok_or(closed)?.transaction()?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS files (id BLOB PRIMARY KEY, content BLOB NOT NULL)",
        )?;
        for (id, content) in new {
            let sql = "INSERT OR REPLACE INTO files (id, content) VALUES (?1, ?2)";
            transaction.execute(sql, params![id.as_bytes(), &*content])?;
        }
        for id in gone {
            transaction.execute("DELETE FROM files WHERE id = ?1", params![id.as_bytes()])?;
        }
        transaction.commit()
    }

    /// The contents of all files.
    pub(crate) fn attached(&self) -> Result<Vec<(Uuid, Bytes)>, rusqlite::Error> {
        if !self.has_table("files")? {
            return Ok(Vec::new());
        }
        let mut statement = self
            .connection()?
            .prepare("SELECT id, content FROM files")?;
        let files = statement.query_map([], |row| {
            let id: Vec<u8> = row.get(0)?;
            let content: Vec<u8> = row.get(1)?;
            Ok((Uuid::from_slice(&id).unwrap_or_default(), content.into()))
        })?;
        files.collect()
    }

    /// Whether a later format's table is there.
    fn has_table(&self, name: &str) -> Result<bool, rusqlite::Error> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        let tables: i64 = self
            .connection()?
            .query_row(sql, params![name], |row| row.get(0))?;
        Ok(tables > 0)
    }

    pub(crate) fn close(&mut self) {
        self.connection = None;
    }
}

fn number(transaction: &Transaction<'_>, model: &Model) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR REPLACE INTO tables (number, name, columns) VALUES (?1, ?2, ?3)";
    for (number, (name, columns)) in (0i64..).zip(model.numbering()) {
        transaction.execute(sql, params![number, name, columns.join(" ")])?;
    }
    Ok(())
}

fn new_file() -> String {
    format!(
        "BEGIN;
         CREATE TABLE tables (number INTEGER PRIMARY KEY, name TEXT NOT NULL, columns TEXT NOT NULL);
         CREATE TABLE rows (
             table_number INTEGER NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL,
             cells BLOB NOT NULL, PRIMARY KEY (table_number, id)) WITHOUT ROWID;
         PRAGMA application_id = {APPLICATION};
         PRAGMA user_version = {FORMAT};
         COMMIT;"
    )
}

/// The rows are people's data: the file is made for its owner only.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map(drop)
}

/// Whether a file is empty or has this emulator's marks, told from its header alone: SQLite takes
/// some foreign files for empty ones and would write over them.
fn is_ours(path: &Path) -> std::io::Result<bool> {
    let mut header = Vec::with_capacity(100);
    File::open(path)?.take(100).read_to_end(&mut header)?;
    let number = |place: usize| {
        let bytes = header.get(place..)?.first_chunk::<4>()?;
        Some(i32::from_be_bytes(*bytes))
    };
    let has_marks = number(60) == Some(FORMAT) && number(68) == Some(APPLICATION);
    Ok(header.is_empty() || header.starts_with(b"SQLite format 3\0") && has_marks)
}

impl EmulatorError {
    fn from_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Held { path },
            Some(ErrorCode::NotADatabase) => Self::NotOurs { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path },
            _ => Self::DataFile {
                path,
                source: error.into(),
            },
        }
    }
}
