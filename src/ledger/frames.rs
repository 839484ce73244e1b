//! The frames of a journal merged by key: each is in the order of keys already, so that nothing has to be sorted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use super::LedgerError;
use super::format::key_of;
use super::journal::Journal;

/// What the parts of all frames that are in memory take together.
const MEMORY: usize = 48 * 1024 * 1024;

/// More of a frame at once would not be cheaper.
const MOST_AT_ONCE: usize = 64 * 1024;

/// The last entry of each key of a journal, in the order of keys.
pub(super) struct Frames<'a> {
    journal: &'a Journal,
    stride: usize,
    /// How many bytes of a frame are read at once.
    at_once: usize,
    cursors: Vec<Cursor>,
    /// The key of each cursor, and its number: of one key the oldest entry comes first.
    heads: BinaryHeap<Reverse<(u128, usize)>>,
}

/// How far a frame was read.
struct Cursor {
    /// What of it is still in the file.
    left: Range<u64>,
    rows: Vec<u8>,
    at: usize,
}

impl<'a> Frames<'a> {
    /// `frames` tells where the entries of each frame stand, oldest first; each of them takes `stride` bytes.
    pub(super) fn of(
        journal: &'a Journal,
        frames: Vec<Range<u64>>,
        stride: usize,
    ) -> Result<Self, LedgerError> {
        let rows = (MEMORY / frames.len().max(1)).min(MOST_AT_ONCE) / stride.max(1);
        let mut merged = Self {
            journal,
            stride,
            at_once: rows.max(1) * stride,
            cursors: Vec::with_capacity(frames.len()),
            heads: BinaryHeap::with_capacity(frames.len()),
        };
        for (number, left) in frames.into_iter().enumerate() {
            let mut cursor = Cursor {
                left,
                rows: Vec::new(),
                at: 0,
            };
            if let Some(key) = cursor.read(journal, merged.at_once)? {
                merged.heads.push(Reverse((key, number)));
            }
            merged.cursors.push(cursor);
        }
        Ok(merged)
    }

    /// Appends the last entry of the next key to `rows`; false after the last key.
    pub(super) fn next(&mut self, rows: &mut Vec<u8>) -> Result<bool, LedgerError> {
        let Some(Reverse((key, _))) = self.heads.peek().copied() else {
            return Ok(false);
        };
        let begin = rows.len();
        while let Some(mut head) = self.heads.peek_mut()
            && let Reverse((next, number)) = *head
            && next == key
        {
            let Some(cursor) = self.cursors.get_mut(number) else {
                break;
            };
            rows.truncate(begin);
            rows.extend_from_slice(cursor.row(self.stride));
            match cursor.step(self.journal, self.stride, self.at_once)? {
                Some(key) => *head = Reverse((key, number)),
                None => drop(PeekMut::pop(head)),
            }
        }
        Ok(true)
    }
}

impl Cursor {
    fn row(&self, stride: usize) -> &[u8] {
        let row = self.rows.get(self.at..self.at + stride);
        row.unwrap_or_default()
    }

    /// Steps to the next entry; its key, or none after the last.
    fn step(
        &mut self,
        journal: &Journal,
        stride: usize,
        at_once: usize,
    ) -> Result<Option<u128>, LedgerError> {
        self.at += stride;
        if self.at >= self.rows.len() {
            return self.read(journal, at_once);
        }
        Ok(self.key())
    }

    /// Reads on in the frame; the key of the first entry, or none if there is none.
    fn read(&mut self, journal: &Journal, at_once: usize) -> Result<Option<u128>, LedgerError> {
        let left = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        self.rows.resize(left.min(at_once), 0);
        journal.read_at(self.left.start, &mut self.rows)?;
        self.left.start += self.rows.len() as u64;
        self.at = 0;
        Ok(self.key())
    }

    fn key(&self) -> Option<u128> {
        let key = self.rows.get(self.at..).and_then(key_of);
        key.map(|key| u128::from_be_bytes(key.0))
    }
}
