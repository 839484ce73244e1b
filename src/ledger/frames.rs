//! The frames of a journal merged by key: each is in the order of keys already, so that nothing has to be sorted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use xxhash_rust::xxh3::Xxh3;

use super::LedgerError;
use super::format::key_of;
use super::frame::HEAD_BYTES;
use super::journal::{FramePlace, Journal};

/// What the parts of all frames that are in memory take together.
const MEMORY: usize = 16 * 1024 * 1024;

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
    frame: FramePlace,
    /// Where its next entries are read.
    next: u64,
    rows: Vec<u8>,
    at: usize,
    /// Of all that was read. Whether the frame is sound is known at its end.
    checksum: Box<Xxh3>,
}

impl<'a> Frames<'a> {
    /// `frames` are all of the journal, oldest first; each of their entries takes `stride` bytes.
    pub(super) fn of(
        journal: &'a Journal,
        frames: Vec<FramePlace>,
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
        for (number, frame) in frames.into_iter().enumerate() {
            let mut cursor = Cursor::open(journal, frame)?;
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
    fn open(journal: &Journal, frame: FramePlace) -> Result<Self, LedgerError> {
        let mut head = [0; HEAD_BYTES];
        journal.read_at(frame.begin, &mut head)?;
        let mut checksum = Box::new(Xxh3::with_seed(frame.begin));
        checksum.update(&head);
        Ok(Self {
            frame,
            next: frame.begin + HEAD_BYTES as u64,
            rows: Vec::new(),
            at: 0,
            checksum,
        })
    }

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

    /// Reads on in the frame; the key of the first entry, or none at its end.
    fn read(&mut self, journal: &Journal, at_once: usize) -> Result<Option<u128>, LedgerError> {
        let left = usize::try_from(self.frame.end - self.next).unwrap_or(usize::MAX);
        self.rows.resize(left.min(at_once), 0);
        self.at = 0;
        if left == 0 {
            self.verify(journal)?;
            return Ok(None);
        }
        journal.read_at(self.next, &mut self.rows)?;
        self.checksum.update(&self.rows);
        self.next += self.rows.len() as u64;
        Ok(self.key())
    }

    fn verify(&self, journal: &Journal) -> Result<(), LedgerError> {
        let mut expected = [0; 8];
        journal.read_at(self.frame.end, &mut expected)?;
        if self.checksum.digest() == u64::from_le_bytes(expected) {
            Ok(())
        } else {
            Err(journal.damaged(self.frame.begin))
        }
    }

    fn key(&self) -> Option<u128> {
        let key = self.rows.get(self.at..).and_then(key_of);
        key.map(|key| u128::from_be_bytes(key.0))
    }
}
