//! A file of rows of one width, in small blocks that each carry a checksum.
//!
//! A block holds as many rows as fit into about a kibibyte, then their xxh3 seeded with the block's number, so that
//! a block at another's place is recognised too. Small blocks keep the reading of a single row cheap. The header is
//! written last: a file whose writer died has none.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::LedgerError;
use super::disk::{self, Disk};
use super::format::{Format, HEADER_BYTES, Header};

/// Rows of a block take at most this many bytes, unless one alone takes more.
const BLOCK_ROWS_BYTES: u64 = 1016;

/// Bytes of a block's checksum.
const CHECKSUM_BYTES: u64 = 8;

/// So many bytes are read or written in one go when a file is walked.
const STRETCH_BYTES: u64 = 128 * 1024;

/// Where rows lie in a file.
#[derive(Debug, Clone, Copy)]
struct Shape {
    stride: u64,
    rows_per_block: u64,
    count: u64,
}

impl Shape {
    fn of(header: &Header) -> Self {
        let stride = u64::from(header.stride).max(1);
        let rows_per_block = (BLOCK_ROWS_BYTES / stride).max(1);
        Self {
            stride,
            rows_per_block,
            count: header.count,
        }
    }

    fn full_block_bytes(self) -> u64 {
        self.rows_per_block * self.stride + CHECKSUM_BYTES
    }

    fn rows_in(self, block: u64) -> u64 {
        let before = block.saturating_mul(self.rows_per_block);
        self.count.saturating_sub(before).min(self.rows_per_block)
    }

    fn offset_of(self, block: u64) -> u64 {
        HEADER_BYTES as u64 + block * self.full_block_bytes()
    }

    /// `None` if a header names more rows than any file can have.
    fn file_bytes(self) -> Option<u64> {
        let blocks = self.count.div_ceil(self.rows_per_block);
        let rows = self.count.checked_mul(self.stride)?;
        rows.checked_add(blocks.checked_mul(CHECKSUM_BYTES)?)?
            .checked_add(HEADER_BYTES as u64)
    }
}

/// A finished file of rows.
#[derive(Debug)]
pub(super) struct BlockFile {
    file: File,
    path: PathBuf,
    header: Header,
    shape: Shape,
}

impl BlockFile {
    /// Opens a finished file. `expected` says all but the number and width of its rows.
    pub(super) fn open(path: &Path, expected: &Header) -> Result<Self, LedgerError> {
        let io = |source| LedgerError::io("read", path, source);
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(LedgerError::torn(path, "it is missing"));
            }
            opened => opened.map_err(io)?,
        };
        let length = file.metadata().map_err(io)?.len();
        let mut bytes = [0; HEADER_BYTES];
        if length < HEADER_BYTES as u64 {
            return Err(LedgerError::torn(path, "it ends inside its header"));
        }
        disk::read_exact_at(&file, &mut bytes, 0).map_err(io)?;
        let header = Header::from_bytes(expected.kind, &bytes, path)?;
        if header.check != expected.check {
            return Err(LedgerError::foreign(
                path,
                "it was written under another secret",
            ));
        }
        if header.generation != expected.generation {
            let what = format!("it is of generation {}", header.generation);
            return Err(LedgerError::foreign(path, what));
        }
        let shape = Shape::of(&header);
        if shape.file_bytes() != Some(length) {
            let what = format!(
                "it has {length} bytes, which do not hold {} rows",
                header.count
            );
            return Err(LedgerError::torn(path, what));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            header,
            shape,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One row, wherever it is, as it is written today.
    pub(super) fn row(&self, index: u64) -> Result<Vec<u8>, LedgerError> {
        let block = index / self.shape.rows_per_block;
        let rows = self.shape.rows_in(block);
        if index >= self.header.count {
            return Err(LedgerError::torn(
                &self.path,
                format!("it has no row {index}"),
            ));
        }
        let mut bytes = vec![0; size(rows * self.shape.stride + CHECKSUM_BYTES)];
        disk::read_exact_at(&self.file, &mut bytes, self.shape.offset_of(block))
            .map_err(|source| LedgerError::io("read", &self.path, source))?;
        let sound = verify(&bytes, block, &self.path)?;
        let from = size(index % self.shape.rows_per_block * self.shape.stride);
        let row = sound.get(from..from + size(self.shape.stride));
        let row = row.ok_or_else(|| LedgerError::torn(&self.path, "a row is cut"))?;
        let mut renewed = Vec::with_capacity(row.len());
        self.header.renew(row, &mut renewed);
        Ok(renewed)
    }

    /// A walk over the rows from `from` up to, not including, `to`. It begins before the first.
    pub(super) fn walk(&self, from: u64, to: u64) -> Walk<'_> {
        Walk {
            blocks: self,
            next: from,
            to: to.min(self.header.count),
            stretch: Vec::new(),
            at: 0,
            row_in_block: 0,
            left_in_stretch: 0,
            renewed: Vec::new(),
        }
    }
}

/// The rows of a file one after another; blocks are verified as they are met.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    blocks: &'a BlockFile,
    next: u64,
    to: u64,
    stretch: Vec<u8>,
    /// Where the current row begins in the stretch.
    at: usize,
    row_in_block: u64,
    /// Rows of the stretch that come after the current one.
    left_in_stretch: u64,
    /// The current row as it is written today, if the file is of an earlier format.
    renewed: Vec<u8>,
}

impl Walk<'_> {
    /// Steps to the next row; false after the last.
    pub(super) fn advance(&mut self) -> Result<bool, LedgerError> {
        if self.next >= self.to {
            return Ok(false);
        }
        let shape = self.blocks.shape;
        if self.left_in_stretch == 0 {
            self.read_stretch()?;
        } else {
            self.left_in_stretch -= 1;
            self.row_in_block += 1;
            self.at += size(shape.stride);
            if self.row_in_block == shape.rows_per_block {
                self.row_in_block = 0;
                self.at += size(CHECKSUM_BYTES);
            }
        }
        self.next += 1;
        if self.blocks.header.format != Format::NEWEST {
            let row = self.stretch.get(self.at..self.at + size(shape.stride));
            self.renewed.clear();
            let header = self.blocks.header;
            header.renew(row.unwrap_or_default(), &mut self.renewed);
        }
        Ok(true)
    }

    /// The current row as it is written today; empty before the first.
    pub(super) fn row(&self) -> &[u8] {
        if self.blocks.header.format != Format::NEWEST {
            return &self.renewed;
        }
        let row = self.at..self.at + size(self.blocks.shape.stride);
        self.stretch.get(row).unwrap_or_default()
    }

    /// Reads and verifies whole blocks from the one that holds the next row on.
    fn read_stretch(&mut self) -> Result<(), LedgerError> {
        let shape = self.blocks.shape;
        let first = self.next / shape.rows_per_block;
        let last = (self.to - 1) / shape.rows_per_block;
        let most = (STRETCH_BYTES / shape.full_block_bytes()).max(1);
        let blocks = (last - first + 1).min(most);
        let rows: u64 = (first..first + blocks)
            .map(|block| shape.rows_in(block))
            .sum();

        self.stretch
            .resize(size(rows * shape.stride + blocks * CHECKSUM_BYTES), 0);
        disk::read_exact_at(&self.blocks.file, &mut self.stretch, shape.offset_of(first))
            .map_err(|source| LedgerError::io("read", &self.blocks.path, source))?;
        let parts = self.stretch.chunks(size(shape.full_block_bytes()));
        for (block, bytes) in (first..).zip(parts) {
            verify(bytes, block, &self.blocks.path)?;
        }
        self.row_in_block = self.next % shape.rows_per_block;
        self.at = size(self.row_in_block * shape.stride);
        self.left_in_stretch = rows - self.row_in_block - 1;
        Ok(())
    }
}

/// Writes a file of rows.
#[derive(Debug)]
pub(super) struct BlockWriter<'a> {
    disk: &'a Disk,
    file: File,
    path: PathBuf,
    header: Header,
    shape: Shape,
    /// Blocks that are not yet written; the last one without its checksum.
    pending: Vec<u8>,
    /// Where the current block begins in `pending`.
    block_at: usize,
    rows_in_block: u64,
    block: u64,
}

impl<'a> BlockWriter<'a> {
    /// Begins an empty file. `header` says all but the number of rows.
    pub(super) fn begin(
        disk: &'a Disk,
        mut file: File,
        path: &Path,
        header: Header,
    ) -> Result<Self, LedgerError> {
        disk.write(&mut file, path, &[0; HEADER_BYTES])?;
        let header = Header { count: 0, ..header };
        let shape = Shape::of(&header);
        Ok(Self {
            disk,
            file,
            path: path.to_owned(),
            header,
            shape,
            pending: Vec::with_capacity(size(STRETCH_BYTES + shape.full_block_bytes())),
            block_at: 0,
            rows_in_block: 0,
            block: 0,
        })
    }

    /// Appends a row, which has the header's width.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), LedgerError> {
        self.pending.extend_from_slice(row);
        self.header.count += 1;
        self.rows_in_block += 1;
        if self.rows_in_block < self.shape.rows_per_block {
            return Ok(());
        }
        self.seal_block();
        if self.pending.len() as u64 >= STRETCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is left, then the header, and syncs the file.
    pub(super) fn finish(mut self) -> Result<BlockFile, LedgerError> {
        if self.rows_in_block > 0 {
            self.seal_block();
        }
        self.flush()?;
        let header = self.header.to_bytes();
        let mut file = self.file;
        file.seek(SeekFrom::Start(0))
            .map_err(|source| LedgerError::io("write to", &self.path, source))?;
        self.disk.write(&mut file, &self.path, &header)?;
        file.flush()
            .map_err(|source| LedgerError::io("write to", &self.path, source))?;
        self.disk.sync(&file, &self.path)?;
        let shape = Shape::of(&self.header);
        Ok(BlockFile {
            file,
            path: self.path,
            header: self.header,
            shape,
        })
    }

    fn seal_block(&mut self) {
        let rows = self.pending.get(self.block_at..).unwrap_or_default();
        let checksum = xxh3_64_with_seed(rows, self.block);
        self.pending.extend_from_slice(&checksum.to_le_bytes());
        self.block_at = self.pending.len();
        self.rows_in_block = 0;
        self.block += 1;
    }

    fn flush(&mut self) -> Result<(), LedgerError> {
        if !self.pending.is_empty() {
            self.disk.write(&mut self.file, &self.path, &self.pending)?;
        }
        self.pending.clear();
        self.block_at = 0;
        Ok(())
    }
}

/// The rows of a block, if they match its checksum.
fn verify<'a>(bytes: &'a [u8], block: u64, path: &Path) -> Result<&'a [u8], LedgerError> {
    match bytes.split_last_chunk::<8>() {
        Some((rows, checksum))
            if xxh3_64_with_seed(rows, block) == u64::from_le_bytes(*checksum) =>
        {
            Ok(rows)
        }
        _ => Err(LedgerError::torn(
            path,
            format!("block {block} does not match its checksum"),
        )),
    }
}

/// A number of bytes that is about to be held in memory.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::format::{FileKind, SecretCheck};
    use crate::ledger::layout::LayoutId;

    fn header(stride: u32) -> Header {
        Header {
            kind: FileKind::Columns,
            format: Format::NEWEST,
            stride,
            count: 0,
            generation: 3,
            layout: LayoutId([1; 16]),
            check: SecretCheck([2; 16]),
        }
    }

    fn row(index: u64, stride: u32) -> Vec<u8> {
        (0..u64::from(stride))
            .map(|byte| ((index * 31 + byte * 7) % 251).to_le_bytes()[0])
            .collect()
    }

    fn written(path: &Path, stride: u32, count: u64) -> BlockFile {
        let disk = Disk::Steady;
        let file = disk.create(path).unwrap();
        let mut writer = BlockWriter::begin(&disk, file, path, header(stride)).unwrap();
        (0..count).for_each(|index| writer.push(&row(index, stride)).unwrap());
        writer.finish().unwrap()
    }

    fn read_all(blocks: &BlockFile, from: u64, to: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        let mut walk = blocks.walk(from, to);
        let mut rows = Vec::new();
        while walk.advance()? {
            rows.push(walk.row().to_vec());
        }
        Ok(rows)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn rows_are_read_as_they_were_written(
            stride in prop::sample::select(vec![8u32, 56, 96, 1016, 1024, 5000]),
            count in 0u64..3000,
            range in (0u64..3000, 0u64..3000),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("columns.3");
            written(&path, stride, count);
            let blocks = BlockFile::open(&path, &header(stride)).unwrap();
            prop_assert_eq!(blocks.header().count, count);
            let expected: Vec<_> =
                (range.0..range.1.min(count)).map(|index| row(index, stride)).collect();
            prop_assert_eq!(read_all(&blocks, range.0, range.1).unwrap(), expected);
            if range.0 < count {
                prop_assert_eq!(blocks.row(range.0).unwrap(), row(range.0, stride));
            } else {
                prop_assert!(blocks.row(range.0).is_err());
            }
        }

        #[test]
        fn any_flipped_bit_and_any_cut_is_recognised(
            count in 0u64..60, at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("columns.3");
            written(&path, 56, count);
            let sound = std::fs::read(&path).unwrap();
            let at = at.index(sound.len());
            let judge = |bytes: &[u8]| {
                std::fs::write(&path, bytes).unwrap();
                BlockFile::open(&path, &header(56)).and_then(|blocks| read_all(&blocks, 0, count))
            };
            prop_assert!(judge(&sound).is_ok());
            let cut = matches!(judge(&sound[..at]), Err(LedgerError::Torn { .. }));
            prop_assert!(cut);
            let mut flipped = sound.clone();
            flipped[at] ^= 1 << bit;
            prop_assert!(judge(&flipped).is_err());
        }
    }

    #[test]
    fn blocks_that_changed_places_are_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("columns.3");
        written(&path, 508, 4);
        let mut bytes = std::fs::read(&path).unwrap();
        let (first, second) = bytes[HEADER_BYTES..].split_at_mut(1024);
        first.swap_with_slice(second);
        std::fs::write(&path, bytes).unwrap();
        let blocks = BlockFile::open(&path, &header(508)).unwrap();
        assert!(matches!(blocks.row(0), Err(LedgerError::Torn { .. })));
    }

    #[test]
    fn a_file_of_another_ledger_or_generation_is_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("columns.3");
        written(&path, 56, 1);
        let other = Header {
            check: SecretCheck([9; 16]),
            ..header(56)
        };
        assert!(matches!(
            BlockFile::open(&path, &other),
            Err(LedgerError::Foreign { .. })
        ));
        let older = Header {
            generation: 2,
            ..header(56)
        };
        assert!(matches!(
            BlockFile::open(&path, &older),
            Err(LedgerError::Foreign { .. })
        ));
    }
}
