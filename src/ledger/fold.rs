//! The next generation: the previous one with its journal merged in.
//!
//! The journal's entries are sorted outside of memory; of each key the last entry wins. Both sides are then walked
//! once, in the order of keys.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use super::LedgerError;
use super::format::{KEY_BYTES, KeyRow, RowKind, key_of};
use super::generation::{Generation, GenerationWriter};
use super::journal::Journal;
use super::layout::{Layout, LayoutId, Translation};
use super::spill::{CHUNK_BYTES, Spill, chain_of};
use crate::model::{KeyDigest, StandingFlags};

/// A chain of the sort is in memory as a whole; so much of it costs little and keeps the number of chains small.
const CHAIN_BYTES: u64 = 8 * 1024 * 1024;

/// With this many chains their chunks take 16 MiB, and the sort holds 8 GiB of entries in chains of the usual size.
const MOST_CHAINS: u64 = 1024;

/// What a fold reads, besides the layouts.
pub(super) struct Fold<'a> {
    pub(super) previous: &'a Generation,
    pub(super) journal: &'a Journal,
    /// A folder for temporary files.
    pub(super) spill: &'a Path,
    /// Records that were deleted for a mark, last seen before this run, are forgotten.
    pub(super) graves_from: u32,
}

impl Fold<'_> {
    /// Writes the next generation, in the layout of the writer. `layout_of` tells the columns of a layout.
    pub(super) fn write(
        &self,
        mut next: GenerationWriter,
        layout_of: impl Fn(LayoutId) -> Result<Option<Layout>, LedgerError>,
    ) -> Result<Generation, LedgerError> {
        let mut changes = self.sort(next.layout(), layout_of)?;
        let translation = next.layout().translation(self.previous.layout());
        let mut translated = Vec::new();
        let mut keys = self.previous.keys(0, self.previous.len());
        let mut columns = self.previous.columns();
        keys.advance()?;
        changes.advance()?;
        loop {
            let standing = keys.current().map(|(_, row)| row.key);
            let learned = changes.current().map(|(key, _)| key);
            let order = match (standing, learned) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(standing), Some(learned)) => standing.cmp(&learned),
            };
            if let (Ordering::Less | Ordering::Equal, Some(columns)) = (order, &mut columns) {
                columns.advance()?;
                let is_old = keys
                    .current()
                    .is_some_and(|(_, row)| self.is_old_grave(row));
                if order == Ordering::Less && !is_old {
                    translation.apply(columns.row(), &mut translated);
                    next.push(keys.bytes(), &translated)?;
                }
                keys.advance()?;
            }
            if let (Ordering::Equal | Ordering::Greater, Some((_, change))) =
                (order, changes.current())
            {
                write_change(change, &mut next)?;
                changes.advance()?;
            }
        }
        next.finish()
    }

    fn is_old_grave(&self, row: &KeyRow) -> bool {
        row.id.is_none() && row.flags.has(StandingFlags::REMOVED) && row.run < self.graves_from
    }

    /// Sorts the journal's entries by key, with their states in the next layout.
    fn sort(
        &self,
        layout: &Layout,
        layout_of: impl Fn(LayoutId) -> Result<Option<Layout>, LedgerError>,
    ) -> Result<Changes, LedgerError> {
        let stride = KEY_BYTES + layout.width();
        let chains = (self.journal.entry_bytes()? / CHAIN_BYTES + 1).min(MOST_CHAINS);
        let chains = usize::try_from(chains).unwrap_or(1);
        let mut spill = Spill::new(self.spill, stride, chains, chains * CHUNK_BYTES);
        let mut known: HashMap<LayoutId, (usize, Translation)> = HashMap::new();
        let torn = |what: &str| LedgerError::torn(self.journal.path(), what);
        let mut row = Vec::with_capacity(stride);
        let mut states = Vec::new();
        self.journal.each(|id, entries| {
            let (width, translation) = match known.entry(id) {
                Entry::Occupied(layout) => layout.into_mut(),
                Entry::Vacant(unknown) => {
                    let older = layout_of(id)?.ok_or_else(|| {
                        let what = "the catalogue does not know its columns";
                        LedgerError::foreign(self.journal.path(), what)
                    })?;
                    unknown.insert((older.width(), layout.translation(&older)))
                }
            };
            let parts = entries.chunks_exact(KEY_BYTES + *width);
            if !parts.remainder().is_empty() {
                return Err(torn("an entry is cut"));
            }
            for entry in parts {
                let (key, older) = entry.split_at_checked(KEY_BYTES).unwrap_or_default();
                let digest = key_of(key).ok_or_else(|| torn("an entry is cut"))?;
                translation.apply(older, &mut states);
                row.clear();
                row.extend_from_slice(key);
                row.extend_from_slice(&states);
                spill.push(chain_of(&digest.0, chains), &row)?;
            }
            Ok(())
        })?;
        Ok(Changes::new(spill, stride))
    }
}

fn write_change(change: &[u8], next: &mut GenerationWriter) -> Result<(), LedgerError> {
    let (key, columns) = change.split_at_checked(KEY_BYTES).unwrap_or_default();
    match KeyRow::from_bytes(key).map(|row| row.kind) {
        Some(RowKind::Forget) => Ok(()),
        Some(RowKind::Standing) | None => next.push(key, columns),
    }
}

/// The last entry of each key, in the order of keys. It begins before the first.
struct Changes {
    spill: Spill,
    stride: usize,
    /// The chain that is loaded next.
    chain: usize,
    rows: Vec<u8>,
    /// Key and number of each row in memory, sorted. A number compares faster than a digest, and alike.
    order: Vec<(u128, usize)>,
    /// How many of `order` were passed.
    passed: usize,
    current: Option<(KeyDigest, usize)>,
}

impl Changes {
    fn new(spill: Spill, stride: usize) -> Self {
        let (rows, order) = (Vec::new(), Vec::new());
        Self {
            spill,
            stride,
            chain: 0,
            rows,
            order,
            passed: 0,
            current: None,
        }
    }

    fn current(&self) -> Option<(KeyDigest, &[u8])> {
        let (key, number) = self.current?;
        let from = number * self.stride;
        Some((key, self.rows.get(from..from + self.stride)?))
    }

    fn advance(&mut self) -> Result<(), LedgerError> {
        loop {
            while let Some(entry) = self.order.get(self.passed).copied() {
                self.passed += 1;
                let next = self.order.get(self.passed);
                if next.is_none_or(|(key, _)| *key != entry.0) {
                    self.current = Some((KeyDigest(entry.0.to_be_bytes()), entry.1));
                    return Ok(());
                }
            }
            if self.chain == self.spill.chains() {
                self.current = None;
                return Ok(());
            }
            self.load_chain()?;
        }
    }

    fn load_chain(&mut self) -> Result<(), LedgerError> {
        self.rows.clear();
        self.order.clear();
        self.passed = 0;
        let (rows, order) = (&mut self.rows, &mut self.order);
        self.spill.each(self.chain, |row| {
            if let Some(key) = key_of(row) {
                order.push((u128::from_be_bytes(key.0), order.len()));
                rows.extend_from_slice(row);
            }
            Ok(())
        })?;
        order.sort_unstable();
        self.chain += 1;
        Ok(())
    }
}
