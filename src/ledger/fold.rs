//! The next generation: the previous one with its journal merged in.
//!
//! The entries of the journal are sorted part by part of the keys. The parts are read from the frames, or gathered outside
//! of memory where frames are too many or of several layouts. Of each key the last entry wins. Both sides are then walked
//! once, in the order of keys.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::LedgerError;
use super::chain::SortedChain;
use super::format::{Format, KEY_BYTES, KeyRow, RowKind, key_of};
use super::frames::Frames;
use super::generation::{Generation, GenerationWriter};
use super::journal::Journal;
use super::layout::{Layout, LayoutId, Translation};
use super::spill::{CHUNK_BYTES, Spill, chain_of};
use crate::model::{KeyDigest, StandingFlags};

/// More frames are not read side by side: of each a part is in memory.
const MOST_FRAMES: usize = 8192;

/// So many bytes of sorted entries are handed over at once.
const TOGETHER: usize = 256 * 1024;

/// So many of those wait to be written: several chains of few frames, a part of one where they are
/// thousands. So one is written while the next is sorted.
const WAITING: usize = 16;

/// A chain of the sort is in memory as a whole; so much of it costs little and keeps the number of
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
        let stride = KEY_BYTES + next.layout().width();
        let sorting = self.sorting(next.layout(), layout_of)?;
        // One thread sorts while this one writes what was sorted before, and gives the memory back.
        let (sender, sorted) = mpsc::sync_channel(WAITING);
        let (written, emptied) = mpsc::sync_channel(WAITING);
        thread::scope(|scope| {
            let spawned = thread::Builder::new()
                .name("fold".to_owned())
                .spawn_scoped(scope, move || sorting.send_all(&sender, &emptied));
            spawned.map_err(|source| LedgerError::io("sort in", self.spill, source))?;
            self.merge(Changes::new(sorted, written, stride), &mut next)
        })?;
        next.finish()
    }

    /// Prepares to sort the journal's entries.
    fn sorting(
        &self,
        layout: &Layout,
        layout_of: impl Fn(LayoutId) -> Result<Option<Layout>, LedgerError>,
    ) -> Result<Sorting<'_>, LedgerError> {
        let (stride, id) = (KEY_BYTES + layout.width(), layout.id());
        let frames = self.journal.frames()?;
        let are_alike = self.journal.format() == Format::NEWEST
            && frames.iter().all(|frame| frame.layout == id);
        if !are_alike || frames.len() > MOST_FRAMES {
            let chains = Unsorted::Chains(self.gather(layout, layout_of)?);
            return Ok(Sorting::new(chains, stride));
        }
        let frames = Unsorted::Frames(Frames::of(self.journal, &frames, stride)?);
        Ok(Sorting::new(frames, stride))
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
        let format = self.journal.format();
        let mut row = Vec::with_capacity(stride);
        let (mut renewed, mut states) = (Vec::new(), Vec::new());
        self.journal.each(|id, entries| {
            let (width, translation) = match known.entry(id) {
                Entry::Occupied(layout) => layout.into_mut(),
                Entry::Vacant(unknown) => {
                    let older = layout_of(id)?.ok_or_else(|| {
                        let what = "the catalogue does not know its columns";
                        LedgerError::foreign(self.journal.path(), what)
                    })?;
                    unknown.insert((older.width_in(format), layout.translation(&older)))
                }
            };
            let parts = entries.chunks_exact(format.key_bytes() + *width);
            if !parts.remainder().is_empty() {
                return Err(torn("an entry is cut"));
            }
            for entry in parts {
                let key = entry.split_at_checked(format.key_bytes());
                let (key, older) = key.unwrap_or_default();
                let digest = key_of(key).ok_or_else(|| torn("an entry is cut"))?;
                renewed.clear();
                format.renew_states(older, &mut renewed);
                translation.apply(&renewed, &mut states);
                row.clear();
                format.renew_key(key, &mut row);
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

/// Where the journal's entries are, part after part of the keys.
enum Unsorted<'a> {
    Frames(Frames<'a>),
    Chains(Spill),
}

impl Unsorted<'_> {
    fn chains(&self) -> usize {
        match self {
            Self::Frames(frames) => frames.chains(),
            Self::Chains(spill) => spill.chains(),
        }
    }

    /// Hands over the entries of the next chain, which has that number; those of one key oldest first.
    fn gather(&mut self, number: usize, into: &mut SortedChain) -> Result<(), LedgerError> {
        match self {
            Self::Frames(frames) => frames.gather(number, into),
            Self::Chains(spill) => spill.each_chunk(number, |rows| {
                into.take(rows, |_| true);
                Ok(())
            }),
        }
    }
}

/// The journal's entries on their way into the order of keys.
struct Sorting<'a> {
    unsorted: Unsorted<'a>,
    /// The chain that is sorted next.
    next: usize,
    chain: SortedChain,
}

impl<'a> Sorting<'a> {
    fn new(unsorted: Unsorted<'a>, stride: usize) -> Self {
        Self {
            unsorted,
            next: 0,
            chain: SortedChain::new(stride),
        }
    }

    /// Sends the last entry of each key, many at a time, until all are sent or nobody takes them. `emptied` is memory that
    /// can be filled again.
    fn send_all(
        mut self,
        sorted: &mpsc::SyncSender<Result<Vec<u8>, LedgerError>>,
        emptied: &mpsc::Receiver<Vec<u8>>,
    ) {
        loop {
            let mut rows = emptied.try_recv().unwrap_or_default();
            rows.clear();
            let more = self.fill(&mut rows);
            let goes_on = matches!(more, Ok(true));
            if sorted.send(more.map(|_| rows)).is_err() || !goes_on {
                return;
            }
        }
    }

    /// False after the last key.
    fn fill(&mut self, rows: &mut Vec<u8>) -> Result<bool, LedgerError> {
        while rows.len() < TOGETHER {
            if let Some(row) = self.chain.next() {
                rows.extend_from_slice(row);
                continue;
            }
            if self.next == self.unsorted.chains() {
                return Ok(false);
            }
            self.chain.clear();
            self.unsorted.gather(self.next, &mut self.chain)?;
            self.chain.sort();
            self.next += 1;
        }
        Ok(true)
    }
}

/// The last entry of each key, in the order of keys. It begins before the first.
struct Changes {
    sorted: mpsc::Receiver<Result<Vec<u8>, LedgerError>>,
    /// Takes back what was walked through.
    written: mpsc::SyncSender<Vec<u8>>,
    stride: usize,
    rows: Vec<u8>,
    at: usize,
}

impl Changes {
    fn new(
        sorted: mpsc::Receiver<Result<Vec<u8>, LedgerError>>,
        written: mpsc::SyncSender<Vec<u8>>,
        stride: usize,
    ) -> Self {
        Self {
            sorted,
            written,
            stride,
            rows: Vec::new(),
            at: 0,
        }
    }

    fn current(&self) -> Option<(KeyDigest, &[u8])> {
        let row = self.rows.get(self.at..self.at + self.stride)?;
        Some((key_of(row)?, row))
    }

    fn advance(&mut self) -> Result<(), LedgerError> {
        self.at += self.stride;
        if self.at < self.rows.len() {
            return Ok(());
        }
        self.at = 0;
        // The sorter hangs up after the last.
        let next = self.sorted.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
        let walked = std::mem::replace(&mut self.rows, next);
        self.written.try_send(walked).ok();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::disk::Disk;
    use crate::ledger::format::SecretCheck;
    use crate::ledger::frame::Frame;
    use crate::model::SourceDigest;

    fn sorted(mut sorting: Sorting<'_>) -> Vec<u8> {
        let mut rows = Vec::new();
        while sorting.fill(&mut rows).unwrap() {}
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn frames_merge_as_chains_sort(
            frames in prop::collection::vec(prop::collection::vec((0_u8..40, any::<u8>()), 1..60), 0..12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout { columns: Vec::new() };
            let mut journal = Journal::passing(folder.path(), SecretCheck([1; 16])).unwrap();
            for entries in &frames {
                let mut frame = Frame::new(&layout);
                for (key, source) in entries {
                    let row = KeyRow {
                        key: KeyDigest([*key; 16]),
                        source: SourceDigest(u64::from(*source)),
                        id: None,
                        run: 1,
                        flags: StandingFlags::default(),
                        kind: RowKind::Standing,
                    };
                    frame.push(row, [], &layout);
                }
                journal.append(&Disk::Steady, &mut frame).unwrap();
            }
            let fold = Fold {
                previous: &Generation::empty(layout.clone()),
                journal: &journal,
                spill: folder.path(),
                graves_from: 0,
            };
            let layout_of = |_| Ok(Some(layout.clone()));
            let merged = sorted(fold.sorting(&layout, layout_of).unwrap());
            let gathered = Unsorted::Chains(fold.gather(&layout, layout_of).unwrap());
            let stride = KEY_BYTES + layout.width();
            prop_assert_eq!(&merged, &sorted(Sorting::new(gathered, stride)));
            let last: std::collections::BTreeMap<u8, u8> = frames.concat().into_iter().collect();
            let found: Vec<(u8, u8)> = merged.chunks(stride).map(|row| (row[0], row[16])).collect();
            prop_assert_eq!(found, last.into_iter().collect::<Vec<_>>());
        }
    }
}
