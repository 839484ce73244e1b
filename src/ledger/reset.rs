//! Removing a ledger, whole or not at all.

use std::path::{Path, PathBuf};

use super::LedgerError;
use super::disk::{Disk, Renamed};

/// Removes the ledger in `folder`; tells whether there was one. A damaged ledger is removed as well.
///
/// The folder is renamed first: stopped at any instant, the ledger is there as it was, or not at all.
///
/// # Errors
/// If the disk refuses.
pub fn reset(folder: &Path) -> Result<bool, LedgerError> {
    reset_on(&Disk::Steady, folder)
}

pub(super) fn reset_on(disk: &Disk, folder: &Path) -> Result<bool, LedgerError> {
    let aside = beside(folder, "removed");
    remove(disk, &aside)?;
    if disk.rename(folder, &aside)? == Renamed::NotThere {
        return Ok(false);
    }
    // A ledger must not come back, with half of its files, when the power fails.
    sync_above(disk, folder)?;
    remove(disk, &aside)?;
    Ok(true)
}

/// Makes the names beside a ledger durable.
pub(super) fn sync_above(disk: &Disk, folder: &Path) -> Result<(), LedgerError> {
    folder
        .parent()
        .map_or(Ok(()), |above| disk.sync_folder(above))
}

/// A folder next to the ledger's, which no mapping can have: the name of a mapping has no dot in front.
pub(super) fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{what}"))
}

/// Whether a folder has such a name: what a removal or an import that was stopped left, which is no ledger.
pub(super) fn is_beside(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Removes a folder that no ledger is in any more, with all its files; one that is not there is fine.
pub(super) fn remove(disk: &Disk, folder: &Path) -> Result<(), LedgerError> {
    disk.before("remove", folder)?;
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
