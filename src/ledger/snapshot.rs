//! The ledger as it stands at the beginning of a run: what the survey and the diff read.

use std::path::Path;
use std::sync::Arc;

use super::LedgerError;
use super::catalogue::{Catalogue, Stored};
use super::disk::Disk;
use super::fold::Fold;
use super::format::{SecretCheck, fresh_secret};
use super::generation::{Generation, GenerationWriter, Place, Slot};
use super::identity::{Identity, Owner};
use super::journal::Journal;
use super::layout::{self, Layout, Translation};
use super::survey::{SurveyBuilder, SurveyOptions};
use crate::model::{DigestSecret, Standing, StandingFlags};

/// A dry run looks again when the ledger was folded under its eyes; each fold ends a whole run, so this is plenty.
const MOST_LOOKS: u32 = 5;

/// What the ledger held when it was opened. Cheap to clone; all clones read the same files.
#[derive(Debug, Clone)]
pub struct Snapshot {
    secret: DigestSecret,
    generation: Arc<Generation>,
    layout: Layout,
    translation: Translation,
}

impl Snapshot {
    /// Reads a ledger without its lock and without changing it: for a dry run. What a run left in the journal is
    /// counted in. Where there is no ledger it is an empty one, with a secret of its own.
    ///
    /// `spill` is a folder for temporary files.
    ///
    /// # Errors
    /// As [`Ledger::open`](super::Ledger::open).
    pub fn read(
        folder: &Path,
        identity: &Identity,
        layout: &Layout,
        spill: &Path,
    ) -> Result<Self, LedgerError> {
        let judge = |stored: &Stored, _: &Catalogue| {
            identity.judge(folder, &stored.owner)?;
            Ok(layout.clone())
        };
        let looked = Self::look(folder, spill, judge)?;
        Ok(looked.map_or_else(
            || Self::new(fresh_secret(), Generation::empty(layout.clone()), layout),
            |(_, snapshot)| snapshot,
        ))
    }

    /// Reads a ledger whatever it belongs to, with the columns that it was last written with; `None` if there is none.
    pub(super) fn read_whole(
        folder: &Path,
        spill: &Path,
    ) -> Result<Option<(Owner, Self)>, LedgerError> {
        let newest = |stored: &Stored, catalogue: &Catalogue| {
            let check = SecretCheck::of(&stored.secret);
            let path = Journal::path_in(folder, stored.generation);
            let journal = Journal::open_to_read(&path, stored.generation, check)?;
            let last = journal.and_then(|journal| journal.last_layout());
            let last = last.map_or(Ok(None), |id| catalogue.layout(id))?;
            match (last, stored.generation) {
                (Some(layout), _) => Ok(layout),
                (None, 0) => Ok(Layout {
                    columns: Vec::new(),
                }),
                (None, number) => {
                    Generation::open(folder, number, check, |id| catalogue.layout(id))
                        .map(|generation| generation.layout().clone())
                }
            }
        };
        let looked = Self::look(folder, spill, newest)?;
        Ok(looked.map(|(stored, snapshot)| (stored.owner, snapshot)))
    }

    /// `layout_of` tells the columns to read it with, or why it is not to be read.
    fn look(
        folder: &Path,
        spill: &Path,
        layout_of: impl Fn(&Stored, &Catalogue) -> Result<Layout, LedgerError>,
    ) -> Result<Option<(Stored, Self)>, LedgerError> {
        let mut looks = 1;
        loop {
            let catalogue = Catalogue::open_to_read(folder)?;
            let stored = match &catalogue {
                Some(catalogue) => catalogue.stored()?,
                None => None,
            };
            let (Some(catalogue), Some(stored)) = (catalogue, stored) else {
                super::files::refuse_remains(folder)?;
                return Ok(None);
            };
            let read = layout_of(&stored, &catalogue).and_then(|layout| {
                let read = load(
                    folder,
                    &catalogue,
                    stored.generation,
                    &stored.secret,
                    &layout,
                    spill,
                )?;
                Ok(Self::new(stored.secret.clone(), read, &layout))
            });
            // A fold removes the files of the generation that it replaced, perhaps just when they were to be read.
            let now = catalogue.stored()?.map(|stored| stored.generation);
            if now == Some(stored.generation) || looks == MOST_LOOKS {
                return Ok(Some((stored, read?)));
            }
            looks += 1;
        }
    }

    pub(super) fn new(secret: DigestSecret, generation: Generation, layout: &Layout) -> Self {
        let translation = layout.translation(generation.layout());
        Self {
            secret,
            generation: Arc::new(generation),
            layout: layout.clone(),
            translation,
        }
    }

    /// The secret under which all digests of this ledger are made.
    pub fn secret(&self) -> &DigestSecret {
        &self.secret
    }

    /// How many keys it holds, removed ones included.
    pub fn len(&self) -> u64 {
        self.generation.len()
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some key stands for a record that this mapping wrote. Reads every key until it meets one.
    ///
    /// # Errors
    /// If the files cannot be read or are damaged.
    pub fn holds_written(&self) -> Result<bool, LedgerError> {
        let mut keys = self.generation.keys(0, self.len());
        keys.advance()?;
        while let Some((_, row)) = keys.current() {
            if !row.flags.has(StandingFlags::SEEN) {
                return Ok(true);
            }
            keys.advance()?;
        }
        Ok(false)
    }

    /// What is known of the key in a slot, with the columns of the current layout.
    ///
    /// # Errors
    /// If the files cannot be read or are damaged, or if the slot is of another snapshot.
    pub fn standing(&self, slot: Slot) -> Result<Standing, LedgerError> {
        let (row, older) = self.generation.at(slot)?;
        let mut states = Vec::new();
        self.translation.apply(&older, &mut states);
        let columns = layout::states(&states, &self.layout);
        Ok(Standing {
            id: row.id,
            flags: row.flags,
            columns,
        })
    }

    /// Begins a survey against this snapshot.
    ///
    /// # Errors
    /// If the folder for temporary files cannot be made.
    pub fn survey(&self, options: SurveyOptions) -> Result<SurveyBuilder, LedgerError> {
        SurveyBuilder::new(self.generation.clone(), options)
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn generation(&self) -> &Generation {
        &self.generation
    }
}

/// The generation in force, with its journal counted in.
pub(super) fn load(
    folder: &Path,
    catalogue: &Catalogue,
    number: u32,
    secret: &DigestSecret,
    layout: &Layout,
    spill: &Path,
) -> Result<Generation, LedgerError> {
    super::files::refuse_later(folder, number)?;
    let check = SecretCheck::of(secret);
    let generation = match number {
        0 => Generation::empty(layout.clone()),
        number => Generation::open(folder, number, check, |id| catalogue.layout(id))?,
    };
    let path = Journal::path_in(folder, number);
    let journal = Journal::open_to_read(&path, number, check)?;
    let Some(journal) = journal else {
        return Ok(generation);
    };
    if journal.is_empty() {
        return Ok(generation);
    }
    super::disk::create_folder(spill)?;
    let disk = Disk::Steady;
    let next = GenerationWriter::begin(&disk, Place::Passing(spill), number + 1, layout, check)?;
    Fold {
        previous: &generation,
        journal: &journal,
        spill,
        graves_from: 0,
    }
    .write(next, |id| catalogue.layout(id))
}
