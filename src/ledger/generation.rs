//! One generation: `digests.<generation>` and `columns.<generation>`, written once, sorted by key digest.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::LedgerError;
use super::blocks::{BlockFile, BlockWriter, Walk};
use super::disk::{self, Disk};
use super::format::{FileKind, Format, Header, KEY_BYTES, KeyRow, SecretCheck};
use super::layout::{Layout, LayoutId};
use super::spill::chain_of;

/// Where a key stands in a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub(super) generation: u32,
    pub(super) index: u64,
}

/// A finished generation. The first one, number 0, is empty and has no files.
#[derive(Debug)]
pub(super) struct Generation {
    number: u32,
    layout: Layout,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    digests: BlockFile,
    columns: BlockFile,
}

impl Generation {
    pub(super) fn empty(layout: Layout) -> Self {
        Self {
            number: 0,
            layout,
            files: None,
        }
    }

    /// Opens the files of a generation. `layout_of` tells the columns of a layout.
    pub(super) fn open(
        folder: &Path,
        number: u32,
        check: SecretCheck,
        layout_of: impl Fn(LayoutId) -> Result<Option<Layout>, LedgerError>,
    ) -> Result<Self, LedgerError> {
        let open = |kind| {
            let path = path_in(folder, kind, number);
            BlockFile::open(&path, &header(kind, 0, number, LayoutId([0; 16]), check))
        };
        let (digests, columns) = (open(FileKind::Digests)?, open(FileKind::Columns)?);
        let id = columns.header().layout;
        let Some(layout) = layout_of(id)? else {
            return Err(LedgerError::foreign(
                columns.path(),
                "the catalogue does not know its columns",
            ));
        };
        let format = digests.header().format;
        let fits = digests.header().layout == id
            && digests.header().count == columns.header().count
            && columns.header().format == format
            && columns.header().stride as usize == layout.width_in(format)
            && digests.header().stride as usize == format.key_bytes();
        if !fits {
            return Err(LedgerError::torn(
                columns.path(),
                "it does not match the file of the digests",
            ));
        }
        Ok(Self {
            number,
            layout,
            files: Some(Files { digests, columns }),
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many keys it holds.
    pub(super) fn len(&self) -> u64 {
        self.files
            .as_ref()
            .map_or(0, |files| files.digests.header().count)
    }

    /// The keys of some slots, in order.
    pub(super) fn keys(&self, from: u64, to: u64) -> Keys<'_> {
        let walk = self
            .files
            .as_ref()
            .map(|files| files.digests.walk(from, to));
        Keys {
            generation: self,
            walk,
            next: from,
            current: None,
        }
    }

    /// The column states of some slots, in order and in bytes; `None` if there are no files.
    pub(super) fn columns(&self) -> Option<Walk<'_>> {
        self.files
            .as_ref()
            .map(|files| files.columns.walk(0, self.len()))
    }

    /// The key in a slot, and its column states in bytes.
    pub(super) fn at(&self, slot: Slot) -> Result<(KeyRow, Vec<u8>), LedgerError> {
        match &self.files {
            Some(files) if slot.generation == self.number => {
                let row = files.digests.row(slot.index)?;
                Ok((
                    key_row(&row, files.digests.path())?,
                    files.columns.row(slot.index)?,
                ))
            }
            _ => Err(LedgerError::StaleSlot {
                slot: slot.generation,
                current: self.number,
            }),
        }
    }

    /// The slots of the keys that belong to one of so many chains: from the first up to, not including, the second.
    pub(super) fn slots_of(&self, chain: usize, chains: usize) -> Result<(u64, u64), LedgerError> {
        Ok((
            self.first_from(chain, chains)?,
            self.first_from(chain + 1, chains)?,
        ))
    }

    /// The first slot whose key belongs to `chain` or a later one.
    fn first_from(&self, chain: usize, chains: usize) -> Result<u64, LedgerError> {
        let Some(files) = &self.files else {
            return Ok(0);
        };
        let (mut low, mut high) = (0, self.len());
        if chain >= chains {
            return Ok(high);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let row = key_row(&files.digests.row(middle)?, files.digests.path())?;
            if chain_of(&row.key.0, chains) < chain {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// The keys of a generation one after another. It begins before the first.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    generation: &'a Generation,
    walk: Option<Walk<'a>>,
    next: u64,
    current: Option<(Slot, KeyRow)>,
}

impl Keys<'_> {
    /// Steps to the next key.
    pub(super) fn advance(&mut self) -> Result<(), LedgerError> {
        self.current = None;
        let (Some(walk), Some(files)) = (&mut self.walk, &self.generation.files) else {
            return Ok(());
        };
        if walk.advance()? {
            let slot = Slot {
                generation: self.generation.number,
                index: self.next,
            };
            self.next += 1;
            self.current = Some((slot, key_row(walk.row(), files.digests.path())?));
        }
        Ok(())
    }

    /// The current key; `None` before the first and after the last.
    pub(super) fn current(&self) -> Option<&(Slot, KeyRow)> {
        self.current.as_ref()
    }

    /// The current key's record as it is on disk.
    pub(super) fn bytes(&self) -> &[u8] {
        self.walk.as_ref().map_or(&[], Walk::row)
    }
}

/// Where a new generation is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Into the ledger's folder, to stay.
    Ledger(&'a Path),
    /// Into nameless files in this folder, for the length of a dry run.
    Passing(&'a Path),
}

/// Writes a generation.
#[derive(Debug)]
pub(super) struct GenerationWriter<'a> {
    layout: Layout,
    number: u32,
    digests: BlockWriter<'a>,
    columns: BlockWriter<'a>,
}

impl<'a> GenerationWriter<'a> {
    pub(super) fn begin(
        disk: &'a Disk,
        place: Place,
        number: u32,
        layout: &Layout,
        check: SecretCheck,
    ) -> Result<Self, LedgerError> {
        let begin = |kind, width: usize| {
            let (file, path) = create(disk, place, kind, number)?;
            let width = u32::try_from(width).unwrap_or(u32::MAX);
            BlockWriter::begin(
                disk,
                file,
                &path,
                header(kind, width, number, layout.id(), check),
            )
        };
        Ok(Self {
            layout: layout.clone(),
            number,
            digests: begin(FileKind::Digests, KEY_BYTES)?,
            columns: begin(FileKind::Columns, layout.width())?,
        })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Appends a key, in the order of keys, with its states' bytes.
    pub(super) fn push(&mut self, key: &[u8], columns: &[u8]) -> Result<(), LedgerError> {
        self.digests.push(key)?;
        self.columns.push(columns)
    }

    /// Makes both files durable; their names are made so by the folder's sync.
    pub(super) fn finish(self) -> Result<Generation, LedgerError> {
        let (digests, columns) = (self.digests.finish()?, self.columns.finish()?);
        let files = Some(Files { digests, columns });
        Ok(Generation {
            number: self.number,
            layout: self.layout,
            files,
        })
    }
}

/// Where a file of a generation is.
pub(super) fn path_in(folder: &Path, kind: FileKind, number: u32) -> PathBuf {
    match kind {
        FileKind::Digests => folder.join(format!("digests.{number}")),
        FileKind::Columns => folder.join(format!("columns.{number}")),
        FileKind::Journal => folder.join(format!("journal.{number}")),
    }
}

fn create(
    disk: &Disk,
    place: Place,
    kind: FileKind,
    number: u32,
) -> Result<(File, PathBuf), LedgerError> {
    match place {
        Place::Ledger(folder) => {
            let path = path_in(folder, kind, number);
            Ok((disk.create(&path)?, path))
        }
        Place::Passing(folder) => Ok((disk::nameless(folder)?, path_in(folder, kind, number))),
    }
}

fn header(
    kind: FileKind,
    stride: u32,
    generation: u32,
    layout: LayoutId,
    check: SecretCheck,
) -> Header {
    Header {
        kind,
        format: Format::NEWEST,
        stride,
        count: 0,
        generation,
        layout,
        check,
    }
}

fn key_row(bytes: &[u8], path: &Path) -> Result<KeyRow, LedgerError> {
    KeyRow::from_bytes(bytes)
        .ok_or_else(|| LedgerError::torn(path, "a row is not the record of a key"))
}
