//! Who else holds a record: other keys of the same ledger, and other mappings of the same state folder.
//!
//! A record is known by its GUID. Nothing of a record that somebody else holds is removed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use uuid::Uuid;

use super::catalogue::Catalogue;
use super::format::{KEY_BYTES, KeyRow, RowKind};
use super::generation::Generation;
use super::layout::Layout;
use super::reset::is_beside;
use super::snapshot::{Snapshot, load};
use super::{Ledger, LedgerError};
use crate::model::{KeyDigest, LogicalName, RecordId, StandingFlags};

/// Looks for the holders of some records.
#[derive(Debug)]
pub struct Holders {
    /// The records, each with the keys that vanished.
    sought: HashMap<RecordId, HashSet<KeyDigest>>,
    held: HashSet<RecordId>,
    /// The ledgers of others among which a record was found first.
    by: BTreeSet<String>,
}

/// The ledgers among which others are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Neighbourhood<'a> {
    /// The state folder.
    pub state: &'a Path,
    /// The ledger's own folder, which is not looked into.
    pub own: &'a Path,
    /// The organisation whose records they hold.
    pub organisation: Uuid,
    /// The table.
    pub table: &'a LogicalName,
    /// A folder for temporary files.
    pub spill: &'a Path,
}

impl Holders {
    /// Prepares to look for holders of these records besides the keys themselves.
    pub fn of(vanished: impl IntoIterator<Item = (KeyDigest, RecordId)>) -> Self {
        let mut sought: HashMap<RecordId, HashSet<KeyDigest>> = HashMap::new();
        for (key, id) in vanished {
            sought.entry(id).or_default().insert(key);
        }
        Self {
            sought,
            held: HashSet::new(),
            by: BTreeSet::new(),
        }
    }

    /// The records that were found to be held, and by the ledgers of which others: `prod/contacts`.
    pub fn held(self) -> (HashSet<RecordId>, BTreeSet<String>) {
        (self.held, self.by)
    }

    /// Looks among the keys that a snapshot holds.
    ///
    /// # Errors
    /// If the files cannot be read or are damaged.
    pub fn look_into(&mut self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        self.look_at(snapshot.generation())
    }

    /// Looks among what the ledger has learned since it was opened.
    ///
    /// # Errors
    /// If the journal cannot be read or is damaged.
    pub fn look_into_learned(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        ledger.each_learned(|row| self.meet(row))
    }

    /// Looks into the ledgers of other mappings of the same table.
    ///
    /// # Errors
    /// If one of them cannot be read: then nobody knows what it holds.
    pub fn look_around(&mut self, around: &Neighbourhood<'_>) -> Result<(), LedgerError> {
        for destination in folders(around.state)? {
            for folder in folders(&destination)? {
                if folder == around.own || is_beside(&folder) {
                    continue;
                }
                let before = self.held.len();
                self.look_in(&folder, around)?;
                if self.held.len() > before {
                    let name = folder.strip_prefix(around.state).unwrap_or(&folder);
                    self.by.insert(name.display().to_string());
                }
            }
        }
        Ok(())
    }

    fn look_in(&mut self, folder: &Path, around: &Neighbourhood<'_>) -> Result<(), LedgerError> {
        if !folder.join("catalogue.db").exists() {
            return Ok(());
        }
        let Some(catalogue) = Catalogue::open_to_read(folder)? else {
            return Ok(());
        };
        let Some(stored) = catalogue.stored()? else {
            return Ok(());
        };
        let owner = &stored.owner;
        if owner.organisation != around.organisation || owner.table != around.table.as_str() {
            return Ok(());
        }
        let layout = Layout {
            columns: Vec::new(),
        };
        let generation = load(
            folder,
            &catalogue,
            stored.generation,
            &stored.secret,
            &layout,
            around.spill,
        )?;
        // Keys of another ledger are digests under another secret: none is the same.
        self.look_at(&generation)
    }

    fn look_at(&mut self, generation: &Generation) -> Result<(), LedgerError> {
        let mut keys = generation.keys(0, generation.len());
        keys.advance()?;
        while let Some((_, row)) = keys.current() {
            self.meet(row);
            keys.advance()?;
        }
        Ok(())
    }

    fn meet(&mut self, row: &KeyRow) {
        let Some(id) = row.id else { return };
        let lets_go = row.flags.has(StandingFlags::REMOVED) || row.flags.has(StandingFlags::SEEN);
        if lets_go || row.kind == RowKind::Forget {
            return;
        }
        let vanished = self.sought.get(&id);
        if vanished.is_some_and(|keys| !keys.contains(&row.key)) {
            self.held.insert(id);
        }
    }
}

/// The rows of some journal entries, all under one layout.
pub(super) fn rows_of_entries(entries: &[u8], width: usize) -> impl Iterator<Item = KeyRow> {
    let parts = entries.chunks_exact(KEY_BYTES + width);
    parts.filter_map(KeyRow::from_bytes)
}

fn folders(path: &Path) -> Result<Vec<std::path::PathBuf>, LedgerError> {
    let unreadable = |source| LedgerError::io("read", path, source);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        if entry.is_dir() {
            folders.push(entry);
        }
    }
    Ok(folders)
}
