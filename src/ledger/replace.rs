//! Everything that a ledger holds, written anew: gathered beside the ledger, sorted, and put in force at once.

use std::path::{Path, PathBuf};

use super::LedgerError;
use super::catalogue::Catalogue;
use super::disk::Disk;
use super::fold::Fold;
use super::format::{KeyRow, SecretCheck};
use super::frame::Frame;
use super::generation::{Generation, GenerationWriter, Place};
use super::identity::Owner;
use super::journal::Journal;
use super::layout::Layout;
use crate::model::{ColumnState, DigestSecret};

/// So many entries are appended at once.
const TOGETHER: usize = 4096;

/// What a ledger is to hold, before it does.
#[derive(Debug)]
pub(super) struct Replacement {
    folder: PathBuf,
    layout: Layout,
    secret: DigestSecret,
    check: SecretCheck,
    next: u32,
    /// Has no name: nothing is left of it however the program ends.
    journal: Journal,
    pending: Frame,
}

impl Replacement {
    /// `next` is the number of the generation that it will be.
    pub(super) fn begin(
        folder: &Path,
        next: u32,
        layout: &Layout,
        secret: &DigestSecret,
    ) -> Result<Self, LedgerError> {
        let check = SecretCheck::of(secret);
        Ok(Self {
            folder: folder.to_owned(),
            layout: layout.clone(),
            secret: secret.clone(),
            check,
            next,
            journal: Journal::passing(folder, check)?,
            pending: Frame::new(layout),
        })
    }

    /// Takes a key; of entries for one key the last one wins.
    pub(super) fn add(&mut self, row: KeyRow, states: &[ColumnState]) -> Result<(), LedgerError> {
        let states = states.iter().copied();
        self.pending.push(row, states, &self.layout);
        if self.pending.entries() < TOGETHER {
            return Ok(());
        }
        self.flush()
    }

    /// Writes the generation and puts it in force, for that owner. Tells how many keys it holds.
    pub(super) fn put_in_force(
        mut self,
        disk: &Disk,
        catalogue: &Catalogue,
        owner: &Owner,
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
        catalogue.replace_by(self.next, owner, &self.secret)?;
        Ok(written.len())
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        self.journal.append(&Disk::Steady, &mut self.pending)?;
        self.pending.clear();
        Ok(())
    }
}
