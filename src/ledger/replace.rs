//! Everything that a ledger holds, written anew: gathered beside the ledger, sorted, and put in force at once.

use std::path::{Path, PathBuf};

use super::LedgerError;
use super::catalogue::Catalogue;
use super::disk::Disk;
use super::files::tidy;
use super::fold::Fold;
use super::format::{KeyRow, SecretCheck};
use super::generation::{Generation, GenerationWriter, Place};
use super::journal::Journal;
use super::layout::{self, Layout};
use crate::model::ColumnState;

/// So many bytes of entries are appended in one transaction.
const TOGETHER_BYTES: usize = 1024 * 1024;

/// What a ledger is to hold, before it does.
#[derive(Debug)]
pub(super) struct Replacement {
    folder: PathBuf,
    layout: Layout,
    check: SecretCheck,
    next: u32,
    journal: Journal,
    pending: Vec<u8>,
}

impl Replacement {
    /// `next` is the number of the generation that it will be.
    pub(super) fn begin(
        folder: &Path,
        next: u32,
        layout: &Layout,
        check: SecretCheck,
    ) -> Result<Self, LedgerError> {
        Self::clear(&Disk::Steady, folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            layout: layout.clone(),
            check,
            next,
            journal: Journal::open(&path_in(folder), check)?,
            pending: Vec::new(),
        })
    }

    /// Takes a key; of entries for one key the last one wins.
    pub(super) fn add(&mut self, row: KeyRow, states: &[ColumnState]) -> Result<(), LedgerError> {
        self.pending.extend_from_slice(&row.to_bytes());
        layout::put_states(states, &self.layout, &mut self.pending);
        if self.pending.len() >= TOGETHER_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes the generation and puts it in force. Tells how many keys it holds.
    pub(super) fn put_in_force(
        mut self,
        disk: &Disk,
        catalogue: &Catalogue,
        key: &str,
    ) -> Result<u64, LedgerError> {
        self.flush()?;
        let place = Place::Ledger(&self.folder);
        let writer = GenerationWriter::begin(disk, place, self.next, &self.layout, self.check)?;
        let written = Fold {
            previous: &Generation::empty(self.layout.clone()),
            journal: &self.journal,
            spill: &self.folder,
            graves_from: 0,
        }
        .write(writer, |id| catalogue.layout(id))?;
        disk.sync_folder(&self.folder)?;
        disk.before("switch", catalogue.path())?;
        catalogue.replace_by(self.next, key)?;
        drop(self.journal);
        tidy(Self::clear(disk, &self.folder));
        Ok(written.len())
    }

    /// Leaves everything as it was.
    pub(super) fn discard(self) -> Result<(), LedgerError> {
        drop(self.journal);
        Self::clear(&Disk::Steady, &self.folder)
    }

    /// Removes what one that was never put in force left behind.
    pub(super) fn clear(disk: &Disk, folder: &Path) -> Result<(), LedgerError> {
        let path = path_in(folder);
        disk.remove(&path)?;
        disk.remove(&path.with_extension("db-wal"))?;
        disk.remove(&path.with_extension("db-shm"))
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        if !self.pending.is_empty() {
            self.journal.append(self.layout.id(), &self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("replacement.db")
}
