//! A part of a journal's entries in memory, in the order of keys.

use super::format::key_of;
use super::order;
use super::spill::halves;
use crate::model::KeyDigest;

/// Entries whose keys follow each other, and their order.
#[derive(Debug)]
pub(super) struct SortedChain {
    stride: usize,
    /// As they came.
    rows: Vec<u8>,
    /// The key of each row in halves, and its number. They compare faster than digests, and alike.
    order: Vec<([u64; 2], usize)>,
    /// How many were passed since they were sorted.
    passed: usize,
}

impl SortedChain {
    /// An empty one, for entries of so many bytes.
    pub(super) fn new(stride: usize) -> Self {
        Self {
            stride,
            rows: Vec::new(),
            order: Vec::new(),
            passed: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.order.clear();
        self.passed = 0;
    }

    /// Takes entries from the front, as long as their keys are wanted. Tells how many bytes it took.
    pub(super) fn take(&mut self, rows: &[u8], is_wanted: impl Fn(&KeyDigest) -> bool) -> usize {
        let before = self.order.len();
        let keys = rows.chunks_exact(self.stride).map_while(key_of);
        let halves = keys.take_while(is_wanted).map(|key| halves(key.0));
        self.order.extend(halves.zip(before..));
        let bytes = (self.order.len() - before) * self.stride;
        self.rows
            .extend_from_slice(rows.get(..bytes).unwrap_or_default());
        bytes
    }

    /// Brings what it took into the order of keys; those of one key stay in their order.
    pub(super) fn sort(&mut self) {
        order::sort(&mut self.order, |([high, _], _)| *high);
    }

    /// The last entry of the next key.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let (mut key, mut number) = *self.order.get(self.passed)?;
        self.passed += 1;
        while let Some((next, later)) = self.order.get(self.passed)
            && *next == key
        {
            (key, number) = (*next, *later);
            self.passed += 1;
        }
        let from = number * self.stride;
        self.rows.get(from..from + self.stride)
    }
}
