//! Removing a ledger, whole or not at all.

use std::path::{Path, PathBuf};

use super::LedgerError;
use super::disk::Disk;

/// Removes the ledger in `folder`; tells whether there was one. A damaged ledger is removed as well.
///
/// The folder is renamed first: stopped at any instant, the ledger is there as it was, or not at all.
///
/// # Errors
/// If the disk refuses.
pub fn reset(folder: &Path) -> Result<bool, LedgerError> {
    let Some(aside) = set_aside(folder)? else {
        return Ok(false);
    };
    // A ledger must not come back, with half of its files, when the power fails.
    sync_above(folder)?;
    remove(&aside)?;
    Ok(true)
}

/// Gives a ledger another name; tells which. None if there is no ledger.
pub(super) fn set_aside(folder: &Path) -> Result<Option<PathBuf>, LedgerError> {
    let aside = beside(folder, "removed");
    remove(&aside)?;
    match std::fs::rename(folder, &aside) {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LedgerError::io("rename", folder, source)),
        Ok(()) => Ok(Some(aside)),
    }
}

/// Makes the names beside a ledger durable.
pub(super) fn sync_above(folder: &Path) -> Result<(), LedgerError> {
    folder
        .parent()
        .map_or(Ok(()), |above| Disk::Steady.sync_folder(above))
}

/// A folder next to the ledger's, which no mapping can have: the name of a mapping has no dot in front.
pub(super) fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{what}"))
}

pub(super) fn remove(folder: &Path) -> Result<(), LedgerError> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(LedgerError::io("remove", folder, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_removed_once_and_what_an_earlier_removal_left_too() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("contacts");
        std::fs::create_dir_all(folder.join("inner")).unwrap();
        std::fs::create_dir_all(beside(&folder, "removed")).unwrap();
        assert!(reset(&folder).unwrap());
        assert!(!reset(&folder).unwrap());
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
    }
}
