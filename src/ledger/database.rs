//! Opening our SQLite files: private, durable at each commit, and told from other people's.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::LedgerError;
use super::disk;

/// The newest format of our databases.
const FORMAT: u32 = 1;

/// How long a statement waits for a reader or writer of the same file: far longer than any of our transactions.
const PATIENCE: Duration = Duration::from_secs(5);

/// What kind of file of ours a database is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// SQLite's `application_id`: tells our files from others and from each other.
    pub(super) application: i32,
    /// The statements that make its tables, harmless if they are there.
    pub(super) tables: &'static str,
}

/// Opens a database for reading and writing; makes it if it is not there.
pub(super) fn open(path: &Path, schema: Schema) -> Result<Connection, LedgerError> {
    let sqlite = |source| LedgerError::database(path, source);
    // SQLite takes the rights of its side files from this one, so it must be private before SQLite opens it.
    drop(disk::open_private(path)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(PATIENCE).map_err(sqlite)?;
    let state = recognise(&connection, path, schema)?;
    // A rollback journal is gone after each commit: the file is written seldom, and read without leaving a trace.
    // Without `EXTRA` a power failure could bring the journal back, and with it undo a commit.
    let durable = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;";
    connection.execute_batch(durable).map_err(sqlite)?;
    if let State::Blank = state {
        let tables = format!(
            "BEGIN IMMEDIATE; {} PRAGMA application_id = {}; PRAGMA user_version = {FORMAT}; COMMIT;",
            schema.tables, schema.application
        );
        connection.execute_batch(&tables).map_err(sqlite)?;
    }
    Ok(connection)
}

/// Opens a database for reading; `None` if there is none, or nothing was ever written to it.
pub(super) fn open_to_read(path: &Path, schema: Schema) -> Result<Option<Connection>, LedgerError> {
    let sqlite = |source| LedgerError::database(path, source);
    if !path
        .try_exists()
        .map_err(|source| LedgerError::io("read", path, source))?
    {
        return Ok(None);
    }
    let open = |access| {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        connection.busy_timeout(PATIENCE).map_err(sqlite)?;
        let state = recognise(&connection, path, schema)?;
        Ok((connection, state))
    };
    let opened = match open(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        // A writer died in a commit; undoing its half is what any reader has to do first.
        Err(LedgerError::Database { source, .. })
            if source.sqlite_error_code() == Some(ErrorCode::ReadOnly) =>
        {
            open(OpenFlags::SQLITE_OPEN_READ_WRITE)
        }
        opened => opened,
    };
    opened.map(|(connection, state)| match state {
        State::Blank => None,
        State::Ours => Some(connection),
    })
}

enum State {
    Blank,
    Ours,
}

fn recognise(connection: &Connection, path: &Path, schema: Schema) -> Result<State, LedgerError> {
    let ask = |question: &str| {
        connection
            .query_row(question, (), |row| row.get::<_, i64>(0))
            .map_err(|source| LedgerError::database(path, source))
    };
    let application = ask("PRAGMA application_id")?;
    if application == 0 && ask("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(State::Blank);
    }
    if application != i64::from(schema.application) {
        return Err(LedgerError::foreign(
            path,
            "it is another program's database",
        ));
    }
    let version = ask("PRAGMA user_version")?;
    match u32::try_from(version) {
        Ok(version) if version > FORMAT => Err(LedgerError::NewerFormat {
            path: path.to_owned(),
            version,
            known: FORMAT,
        }),
        Ok(FORMAT) => Ok(State::Ours),
        _ => Err(LedgerError::torn(
            path,
            format!("there is no format {version}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema {
        application: 77,
        tables: "CREATE TABLE IF NOT EXISTS t(n INTEGER) STRICT;",
    };

    fn refused(path: &Path) -> LedgerError {
        let error = open(path, SCHEMA).unwrap_err();
        let reading = open_to_read(path, SCHEMA).unwrap_err();
        assert_eq!(error.to_string(), reading.to_string());
        error
    }

    #[test]
    fn a_database_that_is_not_there_reads_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        assert!(open_to_read(&path, SCHEMA).unwrap().is_none());
        std::fs::write(&path, "").unwrap();
        assert!(open_to_read(&path, SCHEMA).unwrap().is_none());
        drop(open(&path, SCHEMA).unwrap());
        assert!(open_to_read(&path, SCHEMA).unwrap().is_some());
    }

    #[test]
    fn other_programs_databases_are_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE theirs(n)")
            .unwrap();
        assert!(matches!(refused(&path), LedgerError::Foreign { .. }));
        std::fs::write(&path, [b'x'; 4096]).unwrap();
        assert!(matches!(refused(&path), LedgerError::Foreign { .. }));
    }

    #[test]
    fn a_newer_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        open(&path, SCHEMA)
            .unwrap()
            .execute_batch("PRAGMA user_version = 8")
            .unwrap();
        assert!(matches!(
            refused(&path),
            LedgerError::NewerFormat { version: 8, .. }
        ));
    }

    #[test]
    fn a_commit_that_was_cut_short_is_undone_by_the_next_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let connection = open(&path, SCHEMA).unwrap();
        connection
            .execute_batch("INSERT INTO t VALUES (1)")
            .unwrap();
        let half = "PRAGMA cache_size = 2; BEGIN; UPDATE t SET n = 2; INSERT INTO t
            WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9999) SELECT n FROM c;";
        connection.execute_batch(half).unwrap();
        let copy = folder.path().join("y.db");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(
            folder.path().join("x.db-journal"),
            folder.path().join("y.db-journal"),
        )
        .unwrap();
        let reader = open_to_read(&copy, SCHEMA).unwrap().unwrap();
        let rows: (i64, i64) = reader
            .query_row("SELECT count(*), sum(n) FROM t", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(rows, (1, 1));
    }

    #[test]
    fn a_reader_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        drop(open(&path, SCHEMA).unwrap());
        drop(open_to_read(&path, SCHEMA).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn the_side_files_are_as_private_as_the_database() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("x.db"), SCHEMA).unwrap();
        connection
            .execute_batch("BEGIN; INSERT INTO t VALUES (1)")
            .unwrap();
        let modes: Vec<u32> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o777)
            .collect();
        assert_eq!(modes, [0o600; 2]);
    }
}
