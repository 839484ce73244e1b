//! The files of generations in a ledger's folder: which there are, and which must not be.

use std::path::Path;

use super::LedgerError;
use super::disk::Disk;
use super::format::FileKind;
use super::generation;

/// Files of generations without a catalogue cannot be read: the secret is gone.
pub(super) fn refuse_remains(folder: &Path) -> Result<(), LedgerError> {
    if generations_in(folder)?.is_empty() {
        return Ok(());
    }
    let path = folder.join("catalogue.db");
    Err(LedgerError::torn(
        &path,
        "it is missing or empty, though files of the ledger are there",
    ))
}

/// A fold writes the next generation and no other. Later ones mean that the catalogue is older than its files.
pub(super) fn refuse_later(folder: &Path, in_force: u32) -> Result<(), LedgerError> {
    // Before the first release a journal was a database.
    let database = folder.join(format!("journal.{in_force}.db"));
    if database.exists() {
        let what = "a version before the first release left it when it was stopped; what it holds cannot be read";
        return Err(LedgerError::foreign(&database, what));
    }
    let numbers = generations_in(folder)?;
    match numbers.last() {
        Some(later) if *later > in_force + 1 => {
            let what = format!(
                "it names generation {in_force}, but there are files of generation {later}"
            );
            Err(LedgerError::torn(&folder.join("catalogue.db"), what))
        }
        _ => Ok(()),
    }
}

/// Removes the files of all generations but the one in force: what a fold that was stopped left behind.
pub(super) fn remove_leftovers(
    disk: &Disk,
    folder: &Path,
    in_force: u32,
) -> Result<(), LedgerError> {
    let mut numbers = generations_in(folder)?;
    numbers.retain(|number| *number != in_force);
    let mut others = numbers.into_iter();
    others.try_for_each(|number| remove_generation(disk, folder, number))
}

pub(super) fn remove_generation(
    disk: &Disk,
    folder: &Path,
    number: u32,
) -> Result<(), LedgerError> {
    for kind in [FileKind::Journal, FileKind::Digests, FileKind::Columns] {
        disk.remove(&generation::path_in(folder, kind, number))?;
    }
    Ok(())
}

/// What is only tidied up may fail: the next run that opens the ledger does it again.
pub(super) fn tidy(removed: Result<(), LedgerError>) {
    if let Err(error) = removed {
        tracing::debug!(error = %error, "leftover of the ledger not removed");
    }
}

/// The numbers of all generations of which the folder has a file.
fn generations_in(folder: &Path) -> Result<Vec<u32>, LedgerError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| LedgerError::io("read", folder, source))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| LedgerError::io("read", folder, source))?;
        let name = entry.file_name();
        let Some((kind, rest)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        let number: Option<u32> = match kind {
            "digests" | "columns" | "journal" => rest.parse().ok(),
            _ => continue,
        };
        numbers.extend(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}
