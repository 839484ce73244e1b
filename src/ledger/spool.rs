//! A finished list of rows in a nameless file, which can be read from its beginning any number of times.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LedgerError;
use super::disk;
use super::spill::{bytes_of, words_in};

/// So many bytes are read or written in one go.
const STRETCH_BYTES: usize = 64 * 1024;

/// A list of rows of `N` numbers each.
#[derive(Debug, Clone)]
pub(super) struct Spool<const N: usize> {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: Option<File>,
    folder: PathBuf,
    bytes: u64,
}

impl<const N: usize> Spool<N> {
    /// The rows, read anew.
    pub(super) fn rows(&self) -> SpoolRows<N> {
        SpoolRows {
            inner: self.inner.clone(),
            next: 0,
            bytes: Vec::new(),
            rows: Vec::new(),
            at: 0,
        }
    }
}

/// Writes a [`Spool`]; without a row it makes no file.
#[derive(Debug)]
pub(super) struct SpoolWriter<const N: usize> {
    file: Option<File>,
    folder: PathBuf,
    pending: Vec<u8>,
    bytes: u64,
}

impl<const N: usize> SpoolWriter<N> {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            file: None,
            folder: folder.to_owned(),
            pending: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, row: &[u64; N]) -> Result<(), LedgerError> {
        self.pending.extend_from_slice(bytes_of(row).as_flattened());
        if self.pending.len() >= STRETCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(mut self) -> Result<Spool<N>, LedgerError> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        let inner = Inner {
            file: self.file,
            folder: self.folder,
            bytes: self.bytes,
        };
        Ok(Spool {
            inner: Arc::new(inner),
        })
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => disk::nameless(&self.folder)?,
        };
        file.write_all(&self.pending).map_err(|source| {
            LedgerError::io("write to a temporary file in", &self.folder, source)
        })?;
        self.file = Some(file);
        self.bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// One reading of a [`Spool`]. It ends after an error.
#[derive(Debug)]
pub(super) struct SpoolRows<const N: usize> {
    inner: Arc<Inner>,
    /// Where the next stretch begins in the file.
    next: u64,
    /// The stretch as it was read.
    bytes: Vec<u8>,
    /// The same as numbers.
    rows: Vec<[u64; N]>,
    /// Which of them comes next.
    at: usize,
}

impl<const N: usize> SpoolRows<N> {
    /// False at the end.
    #[cold]
    fn read_stretch(&mut self) -> Result<bool, LedgerError> {
        let row = N * 8;
        let left = usize::try_from(self.inner.bytes - self.next).unwrap_or(usize::MAX);
        self.bytes
            .resize(left.min((STRETCH_BYTES / row).max(1) * row), 0);
        self.rows.clear();
        self.at = 0;
        let Some(file) = &self.inner.file else {
            return Ok(false);
        };
        let read = disk::read_exact_at(file, &mut self.bytes, self.next);
        read.map_err(|source| {
            self.next = self.inner.bytes;
            LedgerError::io("read a temporary file in", &self.inner.folder, source)
        })?;
        self.next += self.bytes.len() as u64;
        self.rows.extend(words_in(&self.bytes));
        Ok(!self.rows.is_empty())
    }
}

impl<const N: usize> Iterator for SpoolRows<N> {
    type Item = Result<[u64; N], LedgerError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.rows.len() {
            match self.read_stretch() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        let row = self.rows.get(self.at).copied();
        self.at += 1;
        row.map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_reads_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::<3>::new(folder.path());
        let rows: Vec<[u64; 3]> = (0..10_000).map(|n| [n, n + 1, n * 2]).collect();
        for row in &rows {
            writer.push(row).unwrap();
        }
        let spool = writer.finish().unwrap();
        for _ in 0..2 {
            assert_eq!(spool.rows().collect::<Result<Vec<_>, _>>().unwrap(), rows);
        }
    }

    #[test]
    fn an_empty_spool_needs_no_file() {
        let spool = SpoolWriter::<3>::new(Path::new("/nowhere"))
            .finish()
            .unwrap();
        assert_eq!(spool.rows().count(), 0);
    }
}
