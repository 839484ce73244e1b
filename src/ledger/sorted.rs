//! The rows of one chain of a survey, by key and position.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use super::LedgerError;
use super::order;
use super::spill::{CHUNK_BYTES, Spill, bytes_of, words_of};
use crate::model::SourceDigest;

/// Which of several rows with one key stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StandingRow {
    /// The first one in the extract.
    #[default]
    First,
    /// The last one.
    Last,
    /// The one with the highest rank; at a tie the later one.
    Newest,
}

impl StandingRow {
    /// How many bytes a row takes while rows are sorted: key, position, source digest, and the rank if it matters.
    pub(super) fn stride(self) -> usize {
        match self {
            Self::First | Self::Last => 32,
            Self::Newest => 40,
        }
    }
}

/// A row as it is sorted: by key, then by position. Four words, or five with its rank: key, position, source digest, and
/// the rank where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Row<WORDS> {
    /// From the front of a row's bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        words_of(bytes).map(Self)
    }

    /// The halves of its key digest.
    pub(super) fn key(&self) -> [u64; 2] {
        [self.word(0), self.word(1)]
    }

    pub(super) fn position(&self) -> u64 {
        self.word(2)
    }

    pub(super) fn source(&self) -> SourceDigest {
        SourceDigest(self.word(3))
    }

    /// Which of several rows is newer; 0 without a rank.
    pub(super) fn rank(&self) -> u64 {
        self.word(4)
    }

    fn word(&self, place: usize) -> u64 {
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// The rows of a chain in order.
#[derive(Debug)]
pub(super) enum SortedRows<const WORDS: usize> {
    /// All in memory: the usual case, since keys are spread evenly.
    InMemory(std::vec::IntoIter<[u64; WORDS]>),
    /// Sorted in pieces that are merged: one key that very many rows have makes such a chain.
    Merged(Merge<WORDS>),
}

impl<const WORDS: usize> SortedRows<WORDS> {
    /// Sorts a chain, with at most so many rows in memory.
    pub(super) fn of(
        rows: &Spill,
        chain: usize,
        most_rows: usize,
        folder: &Path,
    ) -> Result<Self, LedgerError> {
        if rows.rows(chain) > most_rows {
            return Merge::of(rows, chain, most_rows, folder).map(Self::Merged);
        }
        let mut piece = Vec::new();
        rows.collect(chain, &mut piece)?;
        order::sort(&mut piece, first);
        Ok(Self::InMemory(piece.into_iter()))
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Row<WORDS>>, LedgerError> {
        match self {
            Self::InMemory(rows) => Ok(rows.next().map(Row)),
            Self::Merged(merge) => merge.next(),
        }
    }
}

/// The front half of a row's key.
fn first<const WORDS: usize>(words: &[u64; WORDS]) -> u64 {
    words.first().copied().unwrap_or_default()
}

/// Sorted pieces, each a chain of a spill of its own, and their next rows.
#[derive(Debug)]
pub(super) struct Merge<const WORDS: usize> {
    pieces: Spill,
    cursors: Vec<Cursor>,
    heads: BinaryHeap<Reverse<(Row<WORDS>, usize)>>,
}

/// How far a piece was read.
#[derive(Debug, Default)]
struct Cursor {
    /// Its next chunk.
    chunk: usize,
    rows: Vec<u8>,
    at: usize,
}

impl<const WORDS: usize> Merge<WORDS> {
    const STRIDE: usize = WORDS * 8;

    fn of(
        rows: &Spill,
        chain: usize,
        most_rows: usize,
        folder: &Path,
    ) -> Result<Self, LedgerError> {
        let count = rows.rows(chain).div_ceil(most_rows);
        let chunk = (most_rows * Self::STRIDE / count).clamp(Self::STRIDE, CHUNK_BYTES);
        let mut pieces = Spill::new(folder, Self::STRIDE, count, count * chunk);
        let mut piece: Vec<Row<WORDS>> = Vec::with_capacity(most_rows);
        let mut number = 0;
        let mut write = |piece: &mut Vec<Row<WORDS>>| {
            piece.sort_unstable();
            let written = piece
                .drain(..)
                .try_for_each(|row| pieces.push(number, bytes_of(&row.0).as_flattened()));
            number += 1;
            written
        };
        rows.each(chain, |row| {
            piece.extend(Row::of(row));
            if piece.len() == most_rows {
                write(&mut piece)
            } else {
                Ok(())
            }
        })?;
        if !piece.is_empty() {
            write(&mut piece)?;
        }
        let mut merge = Self {
            pieces,
            cursors: Vec::new(),
            heads: BinaryHeap::new(),
        };
        for number in 0..count {
            merge.cursors.push(Cursor::default());
            merge.pull(number)?;
        }
        Ok(merge)
    }

    fn next(&mut self) -> Result<Option<Row<WORDS>>, LedgerError> {
        let Some(Reverse((row, piece))) = self.heads.pop() else {
            return Ok(None);
        };
        self.pull(piece)?;
        Ok(Some(row))
    }

    /// Puts the next row of a piece among the heads.
    fn pull(&mut self, piece: usize) -> Result<(), LedgerError> {
        let Some(cursor) = self.cursors.get_mut(piece) else {
            return Ok(());
        };
        if cursor.at >= cursor.rows.len() {
            let more = self
                .pieces
                .read_chunk(piece, cursor.chunk, &mut cursor.rows)?;
            cursor.chunk += 1;
            cursor.at = 0;
            if !more {
                return Ok(());
            }
        }
        if let Some(row) = cursor.rows.get(cursor.at..).and_then(Row::of) {
            self.heads.push(Reverse((row, piece)));
            cursor.at += Self::STRIDE;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn a_chain_is_sorted_whatever_memory_there_is(
            given in prop::collection::vec([0u64..5, 0..5, 0..100, 0..3], 0..300),
            most_rows in 1usize..320,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut spill = Spill::new(folder.path(), 32, 1, 320);
            for row in &given {
                spill.push(0, bytes_of(row).as_flattened()).unwrap();
            }
            let mut sorted = SortedRows::<4>::of(&spill, 0, most_rows, folder.path()).unwrap();
            let mut seen = Vec::new();
            while let Some(row) = sorted.next().unwrap() {
                seen.push(row.0);
            }
            let mut expected = given.clone();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
