//! One frame of a journal, as its bytes.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::format::{KEY_BYTES, KeyRow, take};
use super::layout::{self, Layout, LayoutId};
use super::order;
use super::spill::{halves, whole};
use crate::model::{ColumnState, KeyDigest};

pub(super) const MAGIC: [u8; 8] = *b"segueENT";

/// Magic, length of the entries, layout.
pub(super) const HEAD_BYTES: usize = 32;

pub(super) const CHECKSUM_BYTES: usize = 8;

/// Entries on their way into a journal.
#[derive(Debug)]
pub(super) struct Frame {
    layout: LayoutId,
    stride: usize,
    /// As they came.
    entries: Vec<u8>,
    /// The key of each entry in halves, and its number. Numbers compare faster than a digest, and alike.
    order: Vec<([u64; 2], usize)>,
    /// As it stands in the file. Frames are of a size that is asked of the system and given back each time, so that one is
    /// filled again and again.
    sealed: Vec<u8>,
}

impl Frame {
    /// An empty one, for entries of the layout.
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.id(),
            stride: KEY_BYTES + layout.width(),
            entries: Vec::new(),
            order: Vec::new(),
            sealed: Vec::new(),
        }
    }

    pub(super) fn layout(&self) -> LayoutId {
        self.layout
    }

    /// States that are missing count as never sent.
    pub(super) fn push(
        &mut self,
        row: KeyRow,
        states: impl IntoIterator<Item = ColumnState>,
        layout: &Layout,
    ) {
        self.order.push((halves(row.key.0), self.order.len()));
        self.entries.extend_from_slice(&row.to_bytes());
        layout::put_states(states, layout, &mut self.entries);
    }

    /// How many entries it holds.
    pub(super) fn entries(&self) -> usize {
        self.order.len()
    }

    /// The keys of its entries.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyDigest> {
        let keys = self.order.iter();
        keys.map(|([high, low], _)| KeyDigest(whole(*high, *low)))
    }

    /// As it stands at that place of a file: its entries in the order of keys, so that frames can be merged. Those of one
    /// key stay in their order.
    pub(super) fn seal(&mut self, place: u64) -> &[u8] {
        order::sort(&mut self.order, |([high, _], _)| *high);
        let bytes = &mut self.sealed;
        bytes.clear();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.layout.0);
        for (_, number) in &self.order {
            let from = number * self.stride;
            let entry = self.entries.get(from..from + self.stride);
            bytes.extend_from_slice(entry.unwrap_or_default());
        }
        let checksum = xxh3_64_with_seed(bytes, place);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Makes it ready for other entries.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) layout: LayoutId,
    /// Bytes of its entries.
    pub(super) length: u64,
}

impl Head {
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let magic: [u8; 8] = take(rest)?;
        let length = u64::from_le_bytes(take(rest)?);
        let layout = LayoutId(take(rest)?);
        (magic == MAGIC).then_some(Self { layout, length })
    }

    /// How many bytes of the file the frame takes; `None` if no file can hold it.
    pub(super) fn frame_bytes(self) -> Option<u64> {
        self.length
            .checked_add((HEAD_BYTES + CHECKSUM_BYTES) as u64)
    }
}
