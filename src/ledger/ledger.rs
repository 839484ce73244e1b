//! The ledger of one mapping: opened by the run that holds the lock.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::LedgerError;
use super::catalogue::{Catalogue, Ending, RunNumber, Stored, UnfinishedRun};
use super::disk::{self, Disk};
use super::files::{refuse_later, refuse_remains, remove_generation, remove_leftovers, tidy};
use super::fold::Fold;
use super::format::{KeyRow, SecretCheck, fresh_secret};
use super::frame::Frame;
use super::generation::{Generation, GenerationWriter, Place};
use super::holders::rows_of_entries;
use super::identity::{Identity, Owner, Ownership};
use super::journal::Journal;
use super::layout::Layout;
use super::page::{Entry, Page};
use super::replace::Replacement;
use super::snapshot::Snapshot;
use crate::model::RunId;

/// A record that was deleted for a mark is remembered for so many runs after the mark was last seen: by then the key has
/// left the extract, or comes back as a new one.
const GRAVES_KEPT: u32 = 100;

/// The ledger of one mapping at one destination.
///
/// Reading goes through [`Ledger::snapshot`], which nothing changes during a run. Whoever opens a ledger holds the
/// [`RunLock`](super::RunLock) of its table. Can be shared between threads.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    layout: Layout,
    check: SecretCheck,
    snapshot: Snapshot,
    catalogue: Mutex<Catalogue>,
    /// Made when the first entry is recorded: a run that finds nothing to do writes nothing.
    journal: Mutex<Option<Journal>>,
    disk: Disk,
}

impl Ledger {
    /// Opens the ledger in `folder`, or makes an empty one. What a run that died left in the journal is folded in,
    /// and its leftovers are removed.
    ///
    /// # Errors
    /// If the ledger belongs to something else than `identity`, if a file of it is damaged, foreign or of a newer
    /// format, or if the disk refuses.
    pub fn open(folder: &Path, identity: &Identity, layout: &Layout) -> Result<Self, LedgerError> {
        Self::open_on(Disk::Steady, folder, identity, layout)
    }

    pub(super) fn open_on(
        disk: Disk,
        folder: &Path,
        identity: &Identity,
        layout: &Layout,
    ) -> Result<Self, LedgerError> {
        disk::create_folder(folder)?;
        let mut catalogue = Catalogue::open(folder)?;
        let stored = stored_or_made(&disk, folder, &catalogue, identity)?;
        if identity.judge(folder, &stored.owner)? == Ownership::MappingMoved {
            catalogue.move_mapping(identity)?;
        }
        catalogue.keep_layout(layout)?;
        refuse_later(folder, stored.generation)?;
        let check = SecretCheck::of(&stored.secret);
        let generation = match stored.generation {
            0 => Generation::empty(layout.clone()),
            number => Generation::open(folder, number, check, |id| catalogue.layout(id))?,
        };
        remove_leftovers(&disk, folder, stored.generation)?;
        let mut ledger = Self {
            folder: folder.to_owned(),
            layout: layout.clone(),
            check,
            snapshot: Snapshot::new(stored.secret, generation, layout),
            catalogue: Mutex::new(catalogue),
            journal: Mutex::new(None),
            disk,
        };
        ledger.take_in_journal()?;
        Ok(ledger)
    }

    pub(super) fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        held(&self.catalogue)
    }

    /// The ledger as it stood when it was opened; nothing changes it.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Notes that a run begins to send. `started` is by the service's clock.
    ///
    /// # Errors
    /// If the catalogue cannot be written.
    pub fn begin_run(&self, run: &RunId, started: Timestamp) -> Result<RunNumber, LedgerError> {
        held(&self.catalogue).begin_run(run, started)
    }

    /// Notes how a run ended. Without it, the run counts as one that died.
    ///
    /// # Errors
    /// If the catalogue cannot be written.
    pub fn end_run(&self, run: RunNumber, ending: Ending) -> Result<(), LedgerError> {
        held(&self.catalogue).end_run(run, ending)
    }

    /// The first run before `run` that may have sent something without recording the answer: since then, a record
    /// that one of our users created may be this mapping's.
    ///
    /// # Errors
    /// If the catalogue cannot be read.
    pub fn unfinished_run(&self, run: RunNumber) -> Result<Option<UnfinishedRun>, LedgerError> {
        held(&self.catalogue).unfinished_run(run)
    }

    /// An empty page for what a run learns.
    pub fn page(&self, run: RunNumber) -> Page<'_> {
        Page::new(&self.layout, run)
    }

    /// Records what Dataverse accepted. It is on disk when this returns; of entries for one key the last one wins.
    ///
    /// One call costs one sync of the disk, however many entries it has.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn record(&self, run: RunNumber, entries: &[Entry]) -> Result<(), LedgerError> {
        let mut page = self.page(run);
        page.extend(entries);
        self.record_page(&mut page)
    }

    /// Records a page as [`Ledger::record`] does its entries. Whatever comes of it, the page is empty afterwards.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn record_page(&self, page: &mut Page<'_>) -> Result<(), LedgerError> {
        let recorded = self.record_frame(page.frame());
        page.frame().clear();
        recorded
    }

    fn record_frame(&self, frame: &mut Frame) -> Result<(), LedgerError> {
        if frame.entries() == 0 {
            return Ok(());
        }
        let mut journal = held(&self.journal);
        let open = if let Some(open) = journal.take() {
            open
        } else {
            let number = self.snapshot.generation().number();
            let path = Journal::path_in(&self.folder, number);
            let made = Journal::open(&self.disk, &path, number, self.check)?;
            self.disk.sync_folder(&self.folder)?;
            made
        };
        let journal = journal.insert(open);
        journal.append(&self.disk, frame)?;
        journal.sync(&self.disk)
    }

    /// Gives what was recorded since the ledger was opened, oldest first.
    pub(super) fn each_learned(&self, mut visit: impl FnMut(&KeyRow)) -> Result<(), LedgerError> {
        let journal = held(&self.journal);
        let Some(journal) = &*journal else {
            return Ok(());
        };
        let width = self.layout.width();
        journal.each(|_, entries| {
            rows_of_entries(entries, width).for_each(|row| visit(&row));
            Ok(())
        })
    }

    /// Records what no run learned: what somebody told the ledger. Otherwise as [`Ledger::record`].
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn amend(&self, entries: &[Entry]) -> Result<(), LedgerError> {
        self.record(RunNumber(0), entries)
    }

    /// Begins to write everything that the ledger is to hold instead of what it holds.
    pub(super) fn replacement(&self) -> Result<Replacement, LedgerError> {
        let next = self.snapshot.generation().number() + 1;
        Replacement::begin(&self.folder, next, &self.layout, self.snapshot.secret())
    }

    /// Puts a replacement in force, under a key of these columns. Stopped at any instant, the ledger holds the one
    /// or the other.
    pub(super) fn replace(self, by: Replacement, key: &str) -> Result<u64, LedgerError> {
        let catalogue = self
            .catalogue
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        drop(self.journal);
        let number = self.snapshot.generation().number();
        let torn = || LedgerError::torn(catalogue.path(), "it does not keep what is written");
        let owner = Owner {
            key: key.to_owned(),
            ..catalogue.stored()?.ok_or_else(torn)?.owner
        };
        let records = by.put_in_force(&self.disk, &catalogue, &owner)?;
        tidy(remove_generation(&self.disk, &self.folder, number));
        Ok(records)
    }

    /// Forgets every key, all at once: for whoever fills the ledger anew.
    ///
    /// # Errors
    /// If the disk refuses; then it holds what it held.
    pub fn clear(self, identity: &Identity) -> Result<(), LedgerError> {
        let nothing = self.replacement()?;
        self.replace(nothing, &identity.key_columns()).map(|_| ())
    }

    /// Makes the journal part of the next generation, at the end of a run. Stopped at any instant, the ledger holds
    /// the same as before. Without it, the next run that opens the ledger does it.
    ///
    /// # Errors
    /// If a file is damaged or the disk refuses; what was recorded is still there.
    pub fn fold(mut self) -> Result<(), LedgerError> {
        self.take_in_journal()
    }

    fn take_in_journal(&mut self) -> Result<(), LedgerError> {
        let previous = self.snapshot.generation();
        let number = previous.number();
        let slot = self
            .journal
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let path = Journal::path_in(&self.folder, number);
        let open = match slot.take() {
            Some(journal) => Some(journal),
            None => Journal::open_to_read(&path, number, self.check)?,
        };
        let Some(journal) = open else { return Ok(()) };
        if journal.is_empty() {
            return Ok(());
        }

        let next = number + 1;
        let catalogue = self
            .catalogue
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let graves_from = catalogue.last_run()?.saturating_sub(GRAVES_KEPT);
        let place = Place::Ledger(&self.folder);
        let written = GenerationWriter::begin(&self.disk, place, next, &self.layout, self.check)
            .and_then(|writer| {
                Fold {
                    previous,
                    journal: &journal,
                    spill: &self.folder,
                    graves_from,
                }
                .write(writer, |id| catalogue.layout(id))
            })
            .and_then(|generation| {
                self.disk.sync_folder(&self.folder)?;
                self.disk.before("switch", catalogue.path())?;
                Ok(generation)
            });
        let generation = match written {
            Ok(generation) => generation,
            Err(error) => {
                // The room that an unfinished generation takes may be what the operator lacks.
                tidy(remove_generation(&self.disk, &self.folder, next));
                return Err(error);
            }
        };
        catalogue.switch_to(next)?;
        self.snapshot = Snapshot::new(self.snapshot.secret().clone(), generation, &self.layout);
        drop(journal);
        tidy(remove_generation(&self.disk, &self.folder, number));
        Ok(())
    }
}

fn stored_or_made(
    disk: &Disk,
    folder: &Path,
    catalogue: &Catalogue,
    identity: &Identity,
) -> Result<Stored, LedgerError> {
    if let Some(stored) = catalogue.stored()? {
        return Ok(stored);
    }
    refuse_remains(folder)?;
    catalogue.make(&identity.owner(), &fresh_secret())?;
    // The secret must outlive a power failure before anything is written under it.
    disk.sync_folder(folder)?;
    let made = catalogue.stored()?;
    made.ok_or_else(|| LedgerError::torn(catalogue.path(), "it does not keep what is written"))
}

/// A thread that panicked while it held the connection left no half of a statement behind.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    mod faults;
    mod formats;

    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ledger::generation;
    use crate::ledger::{Extent, LayoutColumn, Recorded, Scope, Survey, SurveyOptions};
    use crate::model::{
        ColumnDigest, ColumnState, KeyDigest, LogicalName, Position, RecordId, RowTag,
        SourceDigest, StandingFlags,
    };

    /// What a test expects of a key: source digest, GUID, flags and the states' bits.
    type Held = (u64, Option<RecordId>, u8, Vec<u64>);

    fn name(text: &str) -> LogicalName {
        LogicalName::parse(text).unwrap()
    }

    fn layout(columns: &[&str]) -> Layout {
        let column = |text: &&str| LayoutColumn {
            name: name(text),
            type_tag: "text".to_owned(),
        };
        Layout {
            columns: columns.iter().map(column).collect(),
        }
    }

    fn identity(base: &Path) -> Identity {
        Identity {
            organisation: Uuid::from_u128(1),
            table: name("contact"),
            key: vec![name("a"), name("b")],
            mapping: PathBuf::from("mappings/contacts.yaml"),
            base: base.to_owned(),
        }
    }

    fn key(number: u16) -> KeyDigest {
        let mut bytes = [7; 16];
        bytes[..2].copy_from_slice(&number.wrapping_mul(40503).to_be_bytes());
        KeyDigest(bytes)
    }

    fn state(bits: u64) -> ColumnState {
        ColumnState::value_sent(ColumnDigest::from_hash(bits << 1))
    }

    fn standing(number: u16, source: u8, columns: &[u64]) -> Entry {
        Entry::Standing(Recorded {
            row: RowTag {
                position: Position::new(0, 1),
                key: key(number),
                source: SourceDigest(u64::from(source)),
            },
            id: Some(RecordId(Uuid::from_u128(u128::from(number) + 1))),
            flags: StandingFlags::CREATED_BY_US,
            columns: columns.iter().map(|bits| state(*bits)).collect(),
        })
    }

    /// Everything that a snapshot holds, by way of the public interface where there is one.
    fn contents(snapshot: &Snapshot) -> BTreeMap<KeyDigest, Held> {
        let mut keys = snapshot.generation().keys(0, snapshot.len());
        let mut held = BTreeMap::new();
        keys.advance().unwrap();
        while let Some((slot, row)) = keys.current().copied() {
            let standing = snapshot.standing(slot).unwrap();
            let bits = standing
                .columns
                .iter()
                .map(|state| state.to_bits())
                .collect();
            assert_eq!((standing.id, standing.flags), (row.id, row.flags));
            held.insert(row.key, (row.source.0, row.id, row.flags.to_bits(), bits));
            keys.advance().unwrap();
        }
        held
    }

    fn expected(entries: &[Entry]) -> BTreeMap<KeyDigest, Held> {
        let mut held = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Forget(key) => drop(held.remove(key)),
                Entry::Standing(it) => {
                    let bits = it.columns.iter().map(|state| state.to_bits()).collect();
                    let now = (it.row.source.0, it.id, it.flags.to_bits(), bits);
                    held.insert(it.row.key, now);
                }
            }
        }
        held
    }

    struct House {
        base: tempfile::TempDir,
        layout: Layout,
    }

    impl House {
        fn new() -> Self {
            Self {
                base: tempfile::tempdir().unwrap(),
                layout: layout(&["a", "b"]),
            }
        }

        fn folder(&self) -> PathBuf {
            self.base.path().join("state/prod/contacts")
        }

        fn open(&self) -> Result<Ledger, LedgerError> {
            Ledger::open(&self.folder(), &identity(self.base.path()), &self.layout)
        }

        fn read(&self) -> Result<Snapshot, LedgerError> {
            let spill = self.base.path().join("spill");
            Snapshot::read(
                &self.folder(),
                &identity(self.base.path()),
                &self.layout,
                &spill,
            )
        }

        fn record(&self, entries: &[Entry]) -> Ledger {
            let ledger = self.open().unwrap();
            let run = ledger
                .begin_run(&RunId::new("r"), Timestamp::UNIX_EPOCH)
                .unwrap();
            ledger.record(run, entries).unwrap();
            ledger
        }

        fn files(&self) -> Vec<String> {
            let names = std::fs::read_dir(self.folder()).unwrap();
            let mut names: Vec<_> = names
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_ledger_keeps_what_was_recorded_and_its_secret() {
        let house = House::new();
        let entries = [
            standing(1, 1, &[1, 2]),
            standing(2, 1, &[3]),
            standing(1, 9, &[5, 6]),
        ];
        let ledger = house.record(&entries);
        let secret = ledger.snapshot().secret().clone();
        assert!(ledger.snapshot().is_empty());
        ledger.fold().unwrap();
        assert_eq!(house.files(), ["catalogue.db", "columns.1", "digests.1"]);
        let ledger = house.open().unwrap();
        assert_eq!(ledger.snapshot().secret(), &secret);
        let mut held = expected(&entries);
        held.get_mut(&key(2)).unwrap().3.push(0);
        assert_eq!(contents(ledger.snapshot()), held);
    }

    #[test]
    fn a_forgotten_key_is_gone() {
        let house = House::new();
        house
            .record(&[standing(1, 1, &[1, 2]), standing(2, 1, &[3, 4])])
            .fold()
            .unwrap();
        house.record(&[Entry::Forget(key(1))]).fold().unwrap();
        let ledger = house.open().unwrap();
        assert_eq!(
            contents(ledger.snapshot()),
            expected(&[standing(2, 1, &[3, 4])])
        );
    }

    #[test]
    fn a_record_that_was_deleted_for_a_mark_is_forgotten_in_the_end() {
        let house = House::new();
        let buried = |number| {
            Entry::Standing(Recorded {
                row: RowTag {
                    position: Position::new(0, 1),
                    key: key(number),
                    source: SourceDigest(1),
                },
                id: None,
                flags: StandingFlags::default().with(StandingFlags::REMOVED),
                columns: Vec::new(),
            })
        };
        house
            .record(&[buried(1), buried(2), standing(3, 1, &[1])])
            .fold()
            .unwrap();
        for run in 0..=GRAVES_KEPT {
            // One of the two is marked in the extract to this day.
            house.record(&[buried(2)]).fold().unwrap();
            let held = house.read().unwrap().len();
            assert_eq!(held, 3 - u64::from(run == GRAVES_KEPT), "{run}");
        }
    }

    #[test]
    fn runs_that_record_nothing_leave_the_files_alone() {
        let house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        let before = house.files();
        drop(house.read().unwrap());
        assert_eq!(house.files(), before);
        house.open().unwrap().fold().unwrap();
        assert_eq!(house.files(), before);
    }

    #[test]
    fn what_a_killed_run_recorded_is_there_when_the_ledger_opens_again() {
        let house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        let killed = house.record(&[standing(1, 2, &[8, 2]), standing(3, 1, &[3, 4])]);
        // The copy is taken while the files are open, as a kill would leave them.
        let copy = House::new();
        std::fs::create_dir_all(copy.folder()).unwrap();
        for file in house.files() {
            std::fs::copy(house.folder().join(&file), copy.folder().join(&file)).unwrap();
        }
        drop(killed);
        let all = expected(&[standing(1, 2, &[8, 2]), standing(3, 1, &[3, 4])]);
        let before = copy.files();
        assert!(before.contains(&"journal.1".to_owned()));
        assert_eq!(contents(&copy.read().unwrap()), all);
        assert_eq!(copy.files(), before, "a dry run changes no file");
        assert_eq!(contents(copy.open().unwrap().snapshot()), all);
        assert_eq!(copy.files(), ["catalogue.db", "columns.2", "digests.2"]);
    }

    #[test]
    fn a_dry_run_sees_what_a_running_push_has_recorded() {
        let house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        let running = house.record(&[standing(2, 1, &[3, 4])]);
        let both = expected(&[standing(1, 1, &[1, 2]), standing(2, 1, &[3, 4])]);
        let dry = house.read().unwrap();
        assert_eq!(contents(&dry), both);
        running.fold().unwrap();
        drop(house.open().unwrap());
        assert_eq!(contents(&dry), both);
        assert_eq!(contents(&house.read().unwrap()), both);
        assert_eq!(
            std::fs::read_dir(house.base.path().join("spill"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn a_ledger_that_is_not_there_reads_as_empty_and_is_not_made() {
        let house = House::new();
        let (one, two) = (house.read().unwrap(), house.read().unwrap());
        assert!(one.is_empty());
        assert_ne!(one.secret(), two.secret());
        assert!(!house.folder().exists());
    }

    #[test]
    fn an_edited_mapping_reads_old_states_by_name() {
        let mut house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        house.layout = layout(&["new", "b", "c"]);
        let [_, bits] = [1, 2].map(|bits| state(bits).to_bits());
        let ledger = house.open().unwrap();
        assert_eq!(contents(ledger.snapshot())[&key(1)].3, [0, bits, 0]);
        drop(ledger);
        // The journal holds entries of two layouts when a run dies after the edit.
        house.record(&[standing(2, 1, &[5, 6, 7])]);
        house.layout = layout(&["b"]);
        let held = contents(house.open().unwrap().snapshot());
        assert_eq!(held[&key(1)].3, [bits]);
        assert_eq!(held[&key(2)].3, [state(6).to_bits()]);
    }

    /// A survey of an extract without rows.
    fn survey_of(snapshot: &Snapshot, spill: &Path) -> Result<Survey, LedgerError> {
        let options = SurveyOptions {
            treatment: None,
            standing: crate::ledger::StandingRow::First,
            scope: Scope::Changed,
            extent: Extent::Whole,
            memory: SurveyOptions::MEMORY,
            spill: spill.to_owned(),
        };
        snapshot.survey(options)?.finish()
    }

    fn refusal(house: &House, identity: &Identity) -> LedgerError {
        let spill = house.base.path().join("spill");
        let error = Ledger::open(&house.folder(), identity, &house.layout).unwrap_err();
        let dry = Snapshot::read(&house.folder(), identity, &house.layout, &spill).unwrap_err();
        assert_eq!(error.to_string(), dry.to_string());
        error
    }

    #[test]
    fn a_ledger_of_something_else_is_explained() {
        let house = House::new();
        drop(house.open().unwrap());
        let ours = identity(house.base.path());
        let organisation = Identity {
            organisation: Uuid::from_u128(2),
            ..ours.clone()
        };
        let error = refusal(&house, &organisation);
        assert!(matches!(error, LedgerError::OtherOrganisation { .. }));
        assert!(error.help().contains("segue state adopt"));
        let error = refusal(
            &house,
            &Identity {
                table: name("lead"),
                ..ours.clone()
            },
        );
        assert!(matches!(error, LedgerError::OtherTable { .. }));
        assert!(error.help().contains("segue state reset"));
        let error = refusal(
            &house,
            &Identity {
                key: vec![name("a")],
                ..ours
            },
        );
        assert!(
            error
                .to_string()
                .ends_with("is keyed by [a, b], but the mapping's key is [a]")
        );
        assert!(error.help().contains("segue state rekey"));
    }

    #[test]
    fn a_moved_mapping_keeps_its_ledger_and_a_second_one_is_refused() {
        let house = House::new();
        drop(house.open().unwrap());
        let base = house.base.path();
        let first = base.join("mappings/contacts.yaml");
        std::fs::create_dir_all(first.parent().unwrap()).unwrap();
        std::fs::write(&first, "").unwrap();
        let moved = Identity {
            mapping: PathBuf::from("other/contacts.yaml"),
            ..identity(base)
        };
        assert!(matches!(
            refusal(&house, &moved),
            LedgerError::OtherMapping { .. }
        ));
        std::fs::remove_file(&first).unwrap();
        drop(Ledger::open(&house.folder(), &moved, &house.layout).unwrap());
        std::fs::write(&first, "").unwrap();
        drop(Ledger::open(&house.folder(), &moved, &house.layout).unwrap());
    }

    #[test]
    fn missing_and_foreign_files_are_recognised() {
        let (house, other) = (House::new(), House::new());
        for house in [&house, &other] {
            house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        }
        let ours = identity(house.base.path());
        for file in ["digests.1", "columns.1"] {
            let path = house.folder().join(file);
            let sound = std::fs::read(&path).unwrap();
            std::fs::copy(other.folder().join(file), &path).unwrap();
            assert!(matches!(
                refusal(&house, &ours),
                LedgerError::Foreign { .. }
            ));
            std::fs::remove_file(&path).unwrap();
            assert!(matches!(refusal(&house, &ours), LedgerError::Torn { .. }));
            std::fs::write(&path, sound).unwrap();
        }
        std::fs::remove_file(house.folder().join("catalogue.db")).unwrap();
        assert!(matches!(refusal(&house, &ours), LedgerError::Torn { .. }));
    }

    #[test]
    fn a_catalogue_that_is_older_than_its_files_costs_no_file() {
        let house = House::new();
        drop(house.open().unwrap());
        let catalogue = house.folder().join("catalogue.db");
        let oldest = std::fs::read(&catalogue).unwrap();
        for number in 1..4 {
            house
                .record(&[standing(number, 1, &[1, 2])])
                .fold()
                .unwrap();
        }
        let newest = std::fs::read(&catalogue).unwrap();
        std::fs::write(&catalogue, oldest).unwrap();
        assert!(matches!(house.open(), Err(LedgerError::Torn { .. })));
        assert!(matches!(house.read(), Err(LedgerError::Torn { .. })));
        std::fs::write(&catalogue, newest).unwrap();
        assert_eq!(house.open().unwrap().snapshot().len(), 3);
    }

    #[test]
    fn a_flipped_bit_ends_the_survey_and_the_diff() {
        let house = House::new();
        let entries: Vec<_> = (0..2000)
            .map(|number| standing(number, 1, &[1, 2]))
            .collect();
        house.record(&entries).fold().unwrap();
        for (file, surveys) in [("columns.1", true), ("digests.1", false)] {
            let path = house.folder().join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(&path, bytes).unwrap();
            let ledger = house.open().unwrap();
            let snapshot = ledger.snapshot();
            let torn = |index| {
                let standing = snapshot.standing(generation::Slot {
                    generation: 1,
                    index,
                });
                matches!(standing, Err(LedgerError::Torn { .. }))
            };
            assert!((0..2000).any(torn), "{file}");
            let survey = survey_of(snapshot, &house.folder());
            assert_eq!(survey.is_ok(), surveys, "{file}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn every_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        let _running = house.record(&[standing(2, 1, &[1, 2])]);
        assert_eq!(house.files().len(), 4);
        for file in house.files() {
            let meta = std::fs::metadata(house.folder().join(&file)).unwrap();
            assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{file}");
        }
        let folder = std::fs::metadata(house.folder()).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_slot_of_an_older_generation_is_refused() {
        let house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        let older = house.open().unwrap();
        let slot = older.snapshot().generation().keys(0, 1);
        let slot = {
            let mut keys = slot;
            keys.advance().unwrap();
            keys.current().unwrap().0
        };
        assert!(older.snapshot().standing(slot).is_ok());
        drop(older);
        house.record(&[standing(2, 1, &[1, 2])]).fold().unwrap();
        let newer = house.open().unwrap();
        let refused = newer.snapshot().standing(slot).unwrap_err();
        assert!(matches!(
            refused,
            LedgerError::StaleSlot {
                slot: 1,
                current: 2
            }
        ));
    }

    #[test]
    fn a_ledger_and_a_survey_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Ledger>();
        shared::<Snapshot>();
        shared::<crate::ledger::Survey>();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_runs_leave_what_the_last_entries_say(
            runs in prop::collection::vec(
                (prop::collection::vec(prop::collection::vec((0u16..40, 0u8..6, 0u64..9), 0..30), 1..3), any::<bool>()),
                1..5,
            ),
        ) {
            let house = House::new();
            let mut all = Vec::new();
            for (calls, dies) in runs {
                let ledger = house.open().unwrap();
                prop_assert_eq!(contents(ledger.snapshot()), expected(&all));
                let run = ledger.begin_run(&RunId::new("r"), Timestamp::UNIX_EPOCH).unwrap();
                for call in calls {
                    let entry = |(number, source, bits): &(u16, u8, u64)| match source {
                        0 => Entry::Forget(key(*number)),
                        _ => standing(*number, *source, &[*bits, 3]),
                    };
                    let entries: Vec<_> = call.iter().map(entry).collect();
                    ledger.record(run, &entries).unwrap();
                    all.extend(entries);
                }
                prop_assert_eq!(contents(&house.read().unwrap()), expected(&all));
                if !dies {
                    ledger.fold().unwrap();
                }
            }
            prop_assert_eq!(contents(house.open().unwrap().snapshot()), expected(&all));
        }
    }

    #[test]
    fn an_opened_ledger_can_be_surveyed_while_entries_are_recorded() {
        let house = House::new();
        house.record(&[standing(1, 1, &[1, 2])]).fold().unwrap();
        let ledger = house.record(&[standing(2, 1, &[1, 2])]);
        let survey = survey_of(ledger.snapshot(), &house.folder()).unwrap();
        let vanished: Vec<_> = survey.vanished().map(|it| it.unwrap().key).collect();
        assert_eq!(
            vanished,
            [key(1)],
            "the survey is judged against what earlier runs proved"
        );
    }
}
