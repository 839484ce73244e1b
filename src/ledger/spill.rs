//! Rows of one width on their way through a sort: in chains, which share one nameless file.
//!
//! Each chain fills a chunk in memory; a full chunk is appended to the file. A small sort never touches the disk,
//! and a large one needs one open file and a few bytes per chunk. The file has no name, so nothing is left behind
//! however the program ends.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::disk;

/// Chunks are this large where memory allows; large enough that writing them costs little.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// Rows in chains.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    stride: usize,
    chunk_bytes: usize,
    file: Option<File>,
    end: u64,
    chains: Vec<Chain>,
}

#[derive(Debug, Clone, Default)]
struct Chain {
    /// Where its full chunks begin in the file.
    chunks: Vec<u64>,
    /// Rows that are still in memory.
    tail: Vec<u8>,
}

impl Spill {
    /// `stride` is the width of a row; `memory` what all chains together should hold at most.
    pub(super) fn new(folder: &Path, stride: usize, chains: usize, memory: usize) -> Self {
        let stride = stride.max(1);
        let wanted = (memory / chains.max(1)).min(CHUNK_BYTES);
        Self {
            folder: folder.to_owned(),
            stride,
            chunk_bytes: (wanted / stride).max(1) * stride,
            file: None,
            end: 0,
            chains: vec![Chain::default(); chains],
        }
    }

    pub(super) fn chains(&self) -> usize {
        self.chains.len()
    }

    /// Appends a row to a chain.
    #[inline]
    pub(super) fn push(&mut self, chain: usize, row: &[u8]) -> Result<(), LedgerError> {
        let Some(Chain { tail, .. }) = self.chains.get_mut(chain) else {
            return Err(self.has_no_such_chain());
        };
        if tail.capacity() == 0 {
            tail.reserve_exact(self.chunk_bytes);
        }
        tail.extend_from_slice(row);
        if tail.len() < self.chunk_bytes {
            return Ok(());
        }
        self.write_tail(chain)
    }

    /// Appends what a chain has in memory to the file.
    #[cold]
    fn write_tail(&mut self, chain: usize) -> Result<(), LedgerError> {
        let Some(Chain { chunks, tail }) = self.chains.get_mut(chain) else {
            return Ok(());
        };
        write_chunk(&mut self.file, &self.folder, tail)?;
        chunks.push(self.end);
        self.end += tail.len() as u64;
        tail.clear();
        Ok(())
    }

    #[cold]
    fn has_no_such_chain(&self) -> LedgerError {
        let source = io::Error::from(io::ErrorKind::InvalidInput);
        LedgerError::io("sort in", &self.folder, source)
    }

    /// How many rows the chain has.
    pub(super) fn rows(&self, chain: usize) -> usize {
        self.chains.get(chain).map_or(0, |chain| {
            chain.chunks.len() * (self.chunk_bytes / self.stride) + chain.tail.len() / self.stride
        })
    }

    /// Reads a chain's chunk of that number in place of what `into` held; false after the last.
    pub(super) fn read_chunk(
        &self,
        chain: usize,
        number: usize,
        into: &mut Vec<u8>,
    ) -> Result<bool, LedgerError> {
        let Some(chain) = self.chains.get(chain) else {
            into.clear();
            return Ok(false);
        };
        if let (Some(offset), Some(file)) = (chain.chunks.get(number), &self.file) {
            into.resize(self.chunk_bytes, 0);
            disk::read_exact_at(file, into, *offset).map_err(|source| {
                LedgerError::io("read a temporary file in", &self.folder, source)
            })?;
            return Ok(true);
        }
        into.clear();
        if number == chain.chunks.len() {
            into.extend_from_slice(&chain.tail);
        }
        Ok(!into.is_empty())
    }

    /// Gives each row of a chain, in the order in which they were appended.
    pub(super) fn each(
        &self,
        chain: usize,
        mut visit: impl FnMut(&[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.each_chunk(chain, |rows| {
            rows.chunks_exact(self.stride).try_for_each(&mut visit)
        })
    }

    /// Appends each row of a chain, whose rows consist of numbers.
    pub(super) fn collect<const N: usize>(
        &self,
        chain: usize,
        into: &mut Vec<[u64; N]>,
    ) -> Result<(), LedgerError> {
        into.reserve_exact(self.rows(chain));
        self.each_chunk(chain, |rows| {
            into.extend(words_in(rows));
            Ok(())
        })
    }

    /// Gives the rows of a chain, many at a time, in the order in which they were appended.
    pub(super) fn each_chunk(
        &self,
        chain: usize,
        mut visit: impl FnMut(&[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut chunk = Vec::new();
        let Some(Chain { chunks, tail }) = self.chains.get(chain) else {
            return Ok(());
        };
        for number in 0..chunks.len() {
            self.read_chunk(chain, number, &mut chunk)?;
            visit(&chunk)?;
        }
        visit(tail)
    }
}

fn write_chunk(file: &mut Option<File>, folder: &Path, chunk: &[u8]) -> Result<(), LedgerError> {
    let mut open = match file.take() {
        Some(file) => file,
        None => disk::nameless(folder)?,
    };
    let written = open.write_all(chunk);
    *file = Some(open);
    written.map_err(|source| LedgerError::io("write to a temporary file in", folder, source))
}

/// The bytes of a row that consists of numbers.
pub(super) fn bytes_of<const N: usize>(words: &[u64; N]) -> [[u8; 8]; N] {
    words.map(u64::to_le_bytes)
}

/// Rows that consist of numbers, from their bytes.
pub(super) fn words_in<const N: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u64; N]> {
    let (words, _) = bytes.as_chunks();
    let (rows, _) = words.as_chunks::<N>();
    rows.iter().map(|row| row.map(u64::from_le_bytes))
}

/// The first row in some bytes.
pub(super) fn words_of<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    words_in(bytes).next()
}

/// A digest as two numbers whose order is the order of its bytes.
pub(super) fn halves(digest: [u8; 16]) -> [u64; 2] {
    let number = u128::from_be_bytes(digest);
    let low = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
    [low(number >> 64), low(number)]
}

/// The digest of [`halves`].
pub(super) fn whole(high: u64, low: u64) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// Which of `chains` a key belongs to, so that chains follow each other in the order of keys.
pub(super) fn chain_of(key: &[u8; 16], chains: usize) -> usize {
    let [a, b, ..] = *key;
    (usize::from(u16::from_be_bytes([a, b])) * chains) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_chain_stays_in_memory_and_a_large_one_is_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path(), 16, 2, 96);
        spill.push(1, bytes_of(&[7, 8]).as_flattened()).unwrap();
        assert!(spill.file.is_none());
        for n in 0..100u64 {
            spill.push(0, bytes_of(&[n, n * n]).as_flattened()).unwrap();
        }
        assert_eq!((spill.rows(0), spill.rows(1)), (100, 1));
        let mut seen = Vec::new();
        spill
            .each(0, |row| {
                seen.extend(words_of::<2>(row));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, (0..100).map(|n| [n, n * n]).collect::<Vec<_>>());
        let mut collected = vec![[1, 2]];
        spill.collect(0, &mut collected).unwrap();
        assert_eq!(collected.split_off(1), seen);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_chain_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            Spill::new(folder.path(), 8, 1, 64)
                .push(1, &[0; 8])
                .is_err()
        );
    }

    #[test]
    fn chains_follow_the_order_of_keys() {
        let key = |a, b| [a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(chain_of(&key(0, 0), 256), 0);
        assert_eq!(chain_of(&key(255, 255), 256), 255);
        assert_eq!(chain_of(&key(255, 255), 3), 2);
        assert_eq!(chain_of(&key(128, 0), 2), 1);
    }

    #[test]
    fn halves_make_a_whole() {
        let digest = *b"0123456789abcdef";
        let [high, low] = halves(digest);
        assert_eq!(whole(high, low), digest);
    }
}
