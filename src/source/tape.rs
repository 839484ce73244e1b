//! Remembers the bytes that the parser has read ahead, so that each row can be found in them.

use std::io::{self, Read};

/// No row is longer: a quote that is never closed must not take a whole file into memory.
const LONGEST_ROW: usize = 64 << 20;

/// A reader that keeps what was read until it is taken.
pub(super) struct Tape<R> {
    inner: R,
    kept: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl<R> Tape<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            kept: Vec::new(),
            taken: 0,
            ended: false,
        }
    }

    /// The next `length` bytes; they are forgotten at the next read.
    pub(super) fn take(&mut self, length: usize) -> &[u8] {
        let start = self.taken;
        self.taken = self.kept.len().min(start.saturating_add(length));
        self.kept.get(start..self.taken).unwrap_or_default()
    }

    /// Whether the parser has met the end of the file.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }
}

impl<R: Read> Read for Tape<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.kept.drain(..self.taken);
        self.taken = 0;
        if self.kept.len() > LONGEST_ROW {
            let message = "a row is longer than 64 MiB; is a quote never closed?";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let length = self.inner.read(buffer)?;
        self.ended = length == 0;
        self.kept
            .extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}
