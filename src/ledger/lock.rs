//! One writing run per organisation and table.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use uuid::Uuid;

use super::LedgerError;
use super::disk;
use crate::model::{LogicalName, RunId};

/// The right to write to a table. It ends when this is dropped, or when the program ends, however it does.
///
/// The system's advisory lock on a file, which stays behind empty: removing it would let two runs lock two files of
/// one name. Not for folders on a network.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes the right for a run, without waiting.
    ///
    /// # Errors
    /// [`LedgerError::Held`] if another run has it; otherwise if the lock file cannot be made or written.
    pub fn acquire(
        state: &Path,
        organisation: Uuid,
        table: &LogicalName,
        run: &RunId,
    ) -> Result<Self, LedgerError> {
        let folder = state.join("locks");
        disk::create_folder(&folder)?;
        let name = format!("{}-{table}.lock", organisation.as_hyphenated());
        Self::take(&folder.join(name), run)
    }

    /// Takes the right to write to every table that a run of this state folder ever wrote to, without waiting.
    ///
    /// # Errors
    /// [`LedgerError::Held`] if a run has one of them; otherwise if a lock file cannot be read or written.
    pub fn acquire_all(state: &Path, run: &RunId) -> Result<Vec<Self>, LedgerError> {
        let folder = state.join("locks");
        let unreadable = |source| LedgerError::io("read", &folder, source);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut locks = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|it| it == "lock") {
                locks.push(Self::take(&path, run)?);
            }
        }
        Ok(locks)
    }

    fn take(path: &Path, run: &RunId) -> Result<Self, LedgerError> {
        let mut file = disk::open_private(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::Held {
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(LedgerError::io("lock", path, source)),
        }
        let lock = Self { file };
        lock.name(run.as_str())
            .map_err(|source| LedgerError::io("write to", path, source))?;
        Ok(lock)
    }

    fn name(&self, holder: &str) -> std::io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(holder.as_bytes())
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Only for people who look into the file: the lock itself goes with the handle.
        if let Err(error) = self.name("") {
            tracing::debug!(error = %error, "lock file not emptied");
        }
    }
}

/// Who has the lock. The holder may be just about to write its name, and some systems do not let others read.
fn holder(file: &mut File) -> RunId {
    let mut name = String::new();
    match file.read_to_string(&mut name) {
        Ok(_) if !name.is_empty() => RunId::new(&name),
        _ => RunId::new("(unknown)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Uuid = Uuid::from_u128(1);

    fn acquire(
        state: &Path,
        organisation: Uuid,
        table: &str,
        run: &str,
    ) -> Result<RunLock, LedgerError> {
        let table = LogicalName::parse(table).unwrap();
        RunLock::acquire(state, organisation, &table, &RunId::new(run))
    }

    #[test]
    fn a_second_run_is_told_who_holds_the_table() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let first = acquire(state, HERE, "contact", "a-longer-name").unwrap();
        let error = acquire(state, HERE, "contact", "second").unwrap_err();
        assert_eq!(error.to_string(), "the table is held by run a-longer-name");
        assert!(!error.help().is_empty());
        drop(first);
        let _second = acquire(state, HERE, "contact", "second").unwrap();
        let error = acquire(state, HERE, "contact", "third").unwrap_err();
        assert_eq!(error.to_string(), "the table is held by run second");
    }

    #[test]
    fn other_tables_and_organisations_are_free() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let _held = acquire(state, HERE, "contact", "a").unwrap();
        let _table = acquire(state, HERE, "account", "b").unwrap();
        let _organisation = acquire(state, Uuid::from_u128(2), "contact", "c").unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn the_lock_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let _held = acquire(state.path(), HERE, "contact", "a").unwrap();
        let locks = std::fs::read_dir(state.path().join("locks")).unwrap();
        for file in locks {
            assert_eq!(
                file.unwrap().metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}
