//! One frame of a journal, as its bytes.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::format::{KEY_BYTES, KeyRow, key_of, take};
use super::layout::{self, Layout, LayoutId};
use crate::model::ColumnState;

pub(super) const MAGIC: [u8; 8] = *b"segueENT";

/// Magic, length of the entries, layout.
pub(super) const HEAD_BYTES: usize = 32;

pub(super) const CHECKSUM_BYTES: usize = 8;

/// Entries on their way into a journal.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    entries: usize,
    stride: usize,
}

impl Frame {
    /// With room for so many entries of the layout.
    pub(super) fn new(layout: &Layout, entries: usize) -> Self {
        let room = HEAD_BYTES + entries * (KEY_BYTES + layout.width()) + CHECKSUM_BYTES;
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&layout.id().0);
        Self {
            bytes,
            entries: 0,
            stride: KEY_BYTES + layout.width(),
        }
    }

    /// States that are missing count as never sent.
    pub(super) fn push(&mut self, row: KeyRow, states: &[ColumnState], layout: &Layout) {
        self.bytes.extend_from_slice(&row.to_bytes());
        layout::put_states(states, layout, &mut self.bytes);
        self.entries += 1;
    }

    /// How many entries it holds.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// As it stands at that place of a file.
    pub(super) fn sealed(mut self, place: u64) -> Vec<u8> {
        self.sort();
        let length = ((self.bytes.len() - HEAD_BYTES) as u64).to_le_bytes();
        if let Some(field) = self.bytes.get_mut(MAGIC.len()..MAGIC.len() + length.len()) {
            field.copy_from_slice(&length);
        }
        let checksum = xxh3_64_with_seed(&self.bytes, place);
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes
    }

    /// Brings its entries into the order of keys, so that frames can be merged. Those of one key stay in their order.
    fn sort(&mut self) {
        let entries = self.bytes.split_off(HEAD_BYTES);
        let keys = entries.chunks_exact(self.stride).filter_map(key_of);
        let keys = keys.map(|key| u128::from_be_bytes(key.0));
        let mut order: Vec<(u128, usize)> = keys.zip(0..).collect();
        order.sort_unstable();
        self.bytes.reserve_exact(entries.len() + CHECKSUM_BYTES);
        for (_, number) in order {
            let from = number * self.stride;
            let entry = entries.get(from..from + self.stride);
            self.bytes.extend_from_slice(entry.unwrap_or_default());
        }
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
