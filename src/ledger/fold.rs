//! The next generation: the previous one with its journal merged in.
//!
//! The journal's entries are sorted outside of memory; of each key the last entry wins. Both sides are then walked
//! once, in the order of keys.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::LedgerError;
use super::format::{KEY_BYTES, KeyRow, RowKind, key_of};
use super::generation::{Generation, GenerationWriter};
use super::journal::Journal;
use super::layout::{Layout, LayoutId, Translation};
use super::spill::{CHUNK_BYTES, Spill, chain_of};
use crate::model::{KeyDigest, StandingFlags};

/// A chain of the sort is in memory as a whole, two more behind it; so much of it costs little and keeps the number of
/// chains small.
const CHAIN_BYTES: u64 = 4 * 1024 * 1024;

/// With this many chains their chunks take 16 MiB, and the sort holds 4 GiB of entries in chains of the usual size.
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
        let changes = &self.gather(next.layout(), layout_of)?;
        // One thread sorts a chain while this one writes the chain before it.
        let (sender, sorted) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            let spawned = thread::Builder::new()
                .name("fold".to_owned())
                .spawn_scoped(scope, move || sort_each(changes, &sender));
            spawned.map_err(|source| LedgerError::io("sort in", self.spill, source))?;
            self.merge(Changes::new(sorted), &mut next)
        })?;
        next.finish()
    }

    /// Writes what stands and what was learned, in the order of keys.
    fn merge(&self, mut changes: Changes, next: &mut GenerationWriter) -> Result<(), LedgerError> {
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
                (None, None) => return Ok(()),
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
                write_change(change, next)?;
                changes.advance()?;
            }
        }
    }

    fn is_old_grave(&self, row: &KeyRow) -> bool {
        row.id.is_none() && row.flags.has(StandingFlags::REMOVED) && row.run < self.graves_from
    }

    /// The journal's entries in chains by key, with their states in the next layout.
    fn gather(
        &self,
        layout: &Layout,
        layout_of: impl Fn(LayoutId) -> Result<Option<Layout>, LedgerError>,
    ) -> Result<Spill, LedgerError> {
        let stride = KEY_BYTES + layout.width();
        let chains = (self.journal.frame_bytes() / CHAIN_BYTES + 1).min(MOST_CHAINS);
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
        Ok(spill)
    }
}

fn write_change(change: &[u8], next: &mut GenerationWriter) -> Result<(), LedgerError> {
    let (key, columns) = change.split_at_checked(KEY_BYTES).unwrap_or_default();
    match KeyRow::from_bytes(key).map(|row| row.kind) {
        Some(RowKind::Forget) => Ok(()),
        Some(RowKind::Standing) | None => next.push(key, columns),
    }
}

/// A chain in memory, and its order.
#[derive(Debug, Default)]
struct SortedChain {
    rows: Vec<u8>,
    /// Key and number of each row, sorted. A number compares faster than a digest, and alike.
    order: Vec<(u128, usize)>,
    stride: usize,
}

impl SortedChain {
    fn load(spill: &Spill, chain: usize) -> Result<Self, LedgerError> {
        let (stride, rows) = (spill.stride(), spill.rows(chain));
        let mut sorted = Self {
            rows: Vec::with_capacity(rows * stride),
            order: Vec::with_capacity(rows),
            stride,
        };
        let mut chunk = Vec::new();
        let mut number = 0;
        while spill.read_chunk(chain, number, &mut chunk)? {
            let keys = chunk.chunks_exact(stride).filter_map(key_of);
            let keys = keys.map(|key| u128::from_be_bytes(key.0));
            sorted.order.extend(keys.zip(sorted.order.len()..));
            sorted.rows.extend_from_slice(&chunk);
            number += 1;
        }
        sorted.order.sort_unstable();
        Ok(sorted)
    }

    fn row(&self, number: usize) -> Option<&[u8]> {
        let from = number * self.stride;
        self.rows.get(from..from + self.stride)
    }
}

/// Sorts chain after chain, until all are done or nobody takes them.
fn sort_each(spill: &Spill, sorted: &mpsc::SyncSender<Result<SortedChain, LedgerError>>) {
    for chain in 0..spill.chains() {
        let loaded = SortedChain::load(spill, chain);
        if sorted.send(loaded).is_err() {
            return;
        }
    }
}

/// The last entry of each key, in the order of keys. It begins before the first.
struct Changes {
    sorted: mpsc::Receiver<Result<SortedChain, LedgerError>>,
    chain: SortedChain,
    /// How many of the chain were passed.
    passed: usize,
    current: Option<(KeyDigest, usize)>,
}

impl Changes {
    fn new(sorted: mpsc::Receiver<Result<SortedChain, LedgerError>>) -> Self {
        Self {
            sorted,
            chain: SortedChain::default(),
            passed: 0,
            current: None,
        }
    }

    fn current(&self) -> Option<(KeyDigest, &[u8])> {
        let (key, number) = self.current?;
        Some((key, self.chain.row(number)?))
    }

    fn advance(&mut self) -> Result<(), LedgerError> {
        loop {
            let order = &self.chain.order;
            while let Some((key, number)) = order.get(self.passed).copied() {
                self.passed += 1;
                let next = order.get(self.passed);
                if next.is_none_or(|(other, _)| *other != key) {
                    self.current = Some((KeyDigest(key.to_be_bytes()), number));
                    return Ok(());
                }
            }
            self.current = None;
            // The sorter hangs up after the last.
            let Ok(chain) = self.sorted.recv() else {
                return Ok(());
            };
            self.chain = chain?;
            self.passed = 0;
        }
    }
}
