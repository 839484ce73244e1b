//! `journal.<generation>`: what a generation has learned since it was written.
//!
//! A header, then one frame for each call of `record`: what it holds, how long it is, the layout of its entries, the
//! entries in the order of keys, each a key's record and its column states, and a checksum seeded with the place of the
//! frame. A frame is written at once and synced before the next one, so only the last one can be torn, by a writer
//! that died in it: what it held was recorded for nobody. A torn frame with a sound one behind it is damage.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::LedgerError;
use super::disk::{self, Disk};
use super::format::{FileKind, Format, HEADER_BYTES, Header, SecretCheck};
use super::frame::{CHECKSUM_BYTES, Frame, HEAD_BYTES, Head, MAGIC};
use super::generation;
use super::layout::LayoutId;

/// So many bytes are searched in one go.
const STRETCH_BYTES: u64 = 1024 * 1024;

/// Where the first frame stands.
const BEGIN: u64 = HEADER_BYTES as u64;

/// Where a frame stands in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FramePlace {
    pub(super) layout: LayoutId,
    /// Its head begins here.
    pub(super) begin: u64,
    /// Its entries end here, and its checksum begins.
    pub(super) end: u64,
}

/// The journal of one generation.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    format: Format,
    /// Where the next frame goes.
    end: u64,
    /// The layout of the last frame.
    last: Option<LayoutId>,
    /// What was appended is on disk: always, but in a file that has no name.
    is_synced: bool,
    /// A write failed, and what it left could not be taken back.
    is_broken: bool,
}

impl Journal {
    pub(super) fn path_in(folder: &Path, generation: u32) -> PathBuf {
        generation::path_in(folder, FileKind::Journal, generation)
    }

    /// Opens the journal for appending; makes it if it is not there. Its name is made durable by the folder's sync.
    pub(super) fn open(
        disk: &Disk,
        path: &Path,
        generation: u32,
        check: SecretCheck,
    ) -> Result<Self, LedgerError> {
        let found = Self::open_to_read(path, generation, check)?;
        // One of an earlier format was made part of a generation when the ledger was opened, or is empty.
        if let Some(mut found) = found.filter(|found| found.format == Format::NEWEST) {
            found.file = disk::open_private(path)?;
            disk.cut(&mut found.file, path, found.end)?;
            return Ok(found);
        }
        let file = disk.create(path)?;
        let mut begun = Self::begin(disk, file, path, generation, check)?;
        begun.is_synced = true;
        Ok(begun)
    }

    /// Begins a journal in a file that has no name, and needs no sync.
    pub(super) fn passing(folder: &Path, check: SecretCheck) -> Result<Self, LedgerError> {
        let file = disk::nameless(folder)?;
        Self::begin(&Disk::Steady, file, folder, 0, check)
    }

    fn begin(
        disk: &Disk,
        mut file: File,
        path: &Path,
        generation: u32,
        check: SecretCheck,
    ) -> Result<Self, LedgerError> {
        disk.write(&mut file, path, &header(generation, check).to_bytes())?;
        disk.sync(&file, path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            format: Format::NEWEST,
            end: BEGIN,
            last: None,
            is_synced: false,
            is_broken: false,
        })
    }

    /// Opens the journal for reading; `None` if there is none, or its maker died before any entry.
    pub(super) fn open_to_read(
        path: &Path,
        generation: u32,
        check: SecretCheck,
    ) -> Result<Option<Self>, LedgerError> {
        let io = |source| LedgerError::io("read", path, source);
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io)?,
        };
        // What is appended from now on is not read.
        let length = file.metadata().map_err(io)?.len();
        let mut bytes = [0; HEADER_BYTES];
        if length < BEGIN {
            return Ok(None);
        }
        disk::read_exact_at(&file, &mut bytes, 0).map_err(io)?;
        // The header is synced before anything is appended.
        let header = match Header::from_bytes(FileKind::Journal, &bytes, path) {
            Err(LedgerError::Torn { .. }) if length == BEGIN => return Ok(None),
            header => header?,
        };
        if header.check != check {
            let what = "it was written under another secret";
            return Err(LedgerError::foreign(path, what));
        }
        if header.generation != generation {
            let what = format!("it is of generation {}", header.generation);
            return Err(LedgerError::foreign(path, what));
        }
        let mut journal = Self {
            file,
            path: path.to_owned(),
            format: header.format,
            end: length,
            last: None,
            is_synced: true,
            is_broken: false,
        };
        journal.find_end()?;
        Ok(Some(journal))
    }

    /// Appends a frame. It is on disk when this and a [`Journal::sync`] after it have returned.
    pub(super) fn append(&mut self, disk: &Disk, frame: &mut Frame) -> Result<(), LedgerError> {
        if self.is_broken {
            let source = io::Error::other("an earlier write to it failed");
            return Err(LedgerError::io("write to", &self.path, source));
        }
        let layout = frame.layout();
        let bytes = frame.seal(self.end);
        if let Err(error) = disk.write(&mut self.file, &self.path, bytes) {
            self.is_broken = disk.cut(&mut self.file, &self.path, self.end).is_err();
            return Err(error);
        }
        self.end += bytes.len() as u64;
        self.last = Some(layout);
        Ok(())
    }

    /// Makes what was appended durable.
    pub(super) fn sync(&mut self, disk: &Disk) -> Result<(), LedgerError> {
        let synced = disk.sync(&self.file, &self.path);
        // Nobody knows what of it is on disk, and a second sync would not tell.
        self.is_broken |= synced.is_err();
        synced
    }

    /// How its entries are to be read.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The layout of its last entries.
    pub(super) fn last_layout(&self) -> Option<LayoutId> {
        self.last
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end == BEGIN
    }

    /// How many bytes of frames it holds.
    pub(super) fn frame_bytes(&self) -> u64 {
        self.end - BEGIN
    }

    /// Gives the entries of each call of `record`, oldest first.
    pub(super) fn each(
        &self,
        mut visit: impl FnMut(LayoutId, &[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut place = BEGIN;
        let mut bytes = Vec::new();
        while place < self.end {
            let head = self.head_at(place, self.end)?;
            let sound = match head {
                Some(head) => self.read_frame(place, head, &mut bytes)?,
                None => false,
            };
            let (Some(head), true) = (head, sound) else {
                return Err(self.damaged(place));
            };
            let entries = bytes.get(HEAD_BYTES..bytes.len() - CHECKSUM_BYTES);
            visit(head.layout, entries.unwrap_or_default())?;
            place += bytes.len() as u64;
        }
        Ok(())
    }

    /// Where its frames stand, oldest first. None is verified yet.
    pub(super) fn frames(&self) -> Result<Vec<FramePlace>, LedgerError> {
        let mut frames = Vec::new();
        let mut begin = BEGIN;
        while begin < self.end {
            let Some(head) = self.head_at(begin, self.end)? else {
                return Err(self.damaged(begin));
            };
            frames.push(FramePlace {
                layout: head.layout,
                begin,
                end: begin + HEAD_BYTES as u64 + head.length,
            });
            begin += head.frame_bytes().unwrap_or(self.end);
        }
        Ok(frames)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Steps from head to head up to the last frame, and looks whether that one is whole. The frames before it were
    /// synced before it was begun; whoever reads them verifies them.
    fn find_end(&mut self) -> Result<(), LedgerError> {
        let length = self.end;
        let mut place = BEGIN;
        let mut last: Option<(u64, Head)> = None;
        while let Some(head) = self.head_at(place, length)? {
            self.last = last.map(|(_, before)| before.layout);
            last = Some((place, head));
            place += head.frame_bytes().unwrap_or(length);
        }
        if let Some((at, head)) = last {
            if self.read_frame(at, head, &mut Vec::new())? {
                self.last = Some(head.layout);
            } else {
                place = at;
            }
        }
        self.end = place;
        if place < length && self.has_frame_behind(place, length)? {
            return Err(self.damaged(place));
        }
        Ok(())
    }

    /// The head of the frame at that place; `None` if none stands there that ends before `end`.
    fn head_at(&self, place: u64, end: u64) -> Result<Option<Head>, LedgerError> {
        let mut bytes = [0; HEAD_BYTES];
        if end.saturating_sub(place) < HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.read_at(place, &mut bytes)?;
        let head = Head::from_bytes(&bytes);
        let fits = |head: &Head| {
            let bytes = head.frame_bytes();
            bytes.is_some_and(|bytes| bytes <= end - place)
        };
        Ok(head.filter(fits))
    }

    /// Reads a frame in place of what `into` held; false if it does not match its checksum.
    fn read_frame(&self, place: u64, head: Head, into: &mut Vec<u8>) -> Result<bool, LedgerError> {
        let length = head.frame_bytes().unwrap_or_default();
        into.clear();
        into.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        self.read_at(place, into)?;
        Ok(into.split_last_chunk().is_some_and(|(frame, checksum)| {
            xxh3_64_with_seed(frame, place) == u64::from_le_bytes(*checksum)
        }))
    }

    /// Whether a sound frame begins anywhere behind that place: then what stands there is no frame that a writer died
    /// in.
    fn has_frame_behind(&self, place: u64, length: u64) -> Result<bool, LedgerError> {
        let (mut stretch, mut frame) = (Vec::new(), Vec::new());
        let mut from = place + 1;
        while from < length {
            let bytes = (length - from).min(STRETCH_BYTES);
            stretch.resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
            self.read_at(from, &mut stretch)?;
            let words = stretch.windows(MAGIC.len()).zip(from..);
            for (_, at) in words.filter(|(word, _)| *word == MAGIC) {
                if let Some(head) = self.head_at(at, length)?
                    && self.read_frame(at, head, &mut frame)?
                {
                    return Ok(true);
                }
            }
            // A word may stand across the border of two stretches.
            from += bytes.saturating_sub(MAGIC.len() as u64 - 1).max(1);
        }
        Ok(false)
    }

    pub(super) fn read_at(&self, place: u64, into: &mut [u8]) -> Result<(), LedgerError> {
        disk::read_exact_at(&self.file, into, place)
            .map_err(|source| LedgerError::io("read", &self.path, source))
    }

    /// What stands between those places was read for the last time.
    pub(super) fn let_go(&self, from: u64, to: u64) {
        // What was not synced would be written to disk for it.
        if self.is_synced {
            disk::let_go(&self.file, from, to);
        }
    }

    pub(super) fn damaged(&self, place: u64) -> LedgerError {
        let what = format!("what stands at byte {place} does not match its checksum");
        LedgerError::torn(&self.path, what)
    }
}

fn header(generation: u32, check: SecretCheck) -> Header {
    Header {
        kind: FileKind::Journal,
        format: Format::NEWEST,
        // Frames have no width of their own; 0 would be a header that was never written.
        stride: 1,
        count: 0,
        generation,
        layout: LayoutId([0; 16]),
        check,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ledger::format::{KEY_BYTES, KeyRow, RowKind};
    use crate::ledger::layout::{Layout, LayoutColumn};
    use crate::model::{
        ColumnDigest, ColumnState, KeyDigest, LogicalName, RecordId, SourceDigest, StandingFlags,
    };

    const CHECK: SecretCheck = SecretCheck([1; 16]);
    const DISK: Disk = Disk::Steady;

    fn layout(columns: &[&str]) -> Layout {
        let column = |name: &&str| LayoutColumn {
            name: LogicalName::parse(name).unwrap(),
            type_tag: "text".to_owned(),
        };
        Layout {
            columns: columns.iter().map(column).collect(),
        }
    }

    fn frame(layout: &Layout, numbers: &[u8]) -> Frame {
        let mut frame = Frame::new(layout);
        for number in numbers {
            let row = KeyRow {
                key: KeyDigest([*number; 16]),
                source: SourceDigest(0),
                id: Some(RecordId(Uuid::from_u128(u128::from(*number)))),
                run: 1,
                flags: StandingFlags::default(),
                kind: RowKind::Standing,
            };
            let state = ColumnState::value_sent(ColumnDigest::from_hash(u64::from(*number) << 1));
            frame.push(row, [state], layout);
        }
        frame
    }

    fn open(path: &Path) -> Journal {
        Journal::open(&DISK, path, 4, CHECK).unwrap()
    }

    /// Three frames, of two layouts.
    fn written(path: &Path) -> [Layout; 2] {
        let layouts = [layout(&["a"]), layout(&["a", "b"])];
        let mut journal = open(path);
        journal
            .append(&DISK, &mut frame(&layouts[0], &[1, 2]))
            .unwrap();
        journal
            .append(&DISK, &mut frame(&layouts[1], &[3]))
            .unwrap();
        journal
            .append(&DISK, &mut frame(&layouts[0], &[4, 5]))
            .unwrap();
        layouts
    }

    /// The keys of the entries, frame by frame.
    fn read(path: &Path, layouts: &[Layout; 2]) -> Result<Vec<Vec<u8>>, LedgerError> {
        let Some(journal) = Journal::open_to_read(path, 4, CHECK)? else {
            return Ok(Vec::new());
        };
        let mut frames = Vec::new();
        journal.each(|id, entries| {
            let layout = layouts.iter().find(|layout| layout.id() == id).unwrap();
            let parts = entries.chunks(KEY_BYTES + layout.width());
            frames.push(parts.map(|entry| entry[0]).collect());
            Ok(())
        })?;
        let newest = frames.len().checked_sub(1).map(|it| layouts[it % 2].id());
        assert_eq!(journal.last_layout(), newest);
        Ok(frames)
    }

    #[test]
    fn entries_come_back_in_the_order_in_which_they_were_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        let layouts = written(&path);
        assert_eq!(
            read(&path, &layouts).unwrap(),
            [vec![1, 2], vec![3], vec![4, 5]]
        );
    }

    #[test]
    fn of_a_cut_journal_the_whole_frames_are_left_and_more_can_be_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        let layouts = written(&path);
        let whole = std::fs::read(&path).unwrap();
        let all = read(&path, &layouts).unwrap();
        let mut seen = 0;
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let left = read(&path, &layouts).unwrap();
            assert_eq!(left, all[..left.len()], "{length} bytes");
            assert!(left.len() >= seen && left.len() < 3, "{length} bytes");
            seen = left.len();
            let mut next = frame(&layouts[seen % 2], &[9]);
            open(&path).append(&DISK, &mut next).unwrap();
            let more = [&all[..seen], &[vec![9]]].concat();
            assert_eq!(read(&path, &layouts).unwrap(), more, "{length} bytes");
        }
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_changed_byte_is_seen_unless_a_writer_could_have_died_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        let layouts = written(&path);
        let whole = std::fs::read(&path).unwrap();
        let third = frame(&layouts[0], &[4, 5]).seal(0).len();
        for place in 0..whole.len() {
            let mut altered = whole.clone();
            altered[place] ^= 1 << (place % 8);
            std::fs::write(&path, altered).unwrap();
            let seen = read(&path, &layouts);
            if place < whole.len() - third {
                assert!(seen.is_err(), "byte {place}: {seen:?}");
            } else {
                assert_eq!(seen.unwrap(), [vec![1, 2], vec![3]], "byte {place}");
            }
        }
    }

    #[test]
    fn frames_that_changed_places_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        let layouts = written(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        let third = frame(&layouts[0], &[4, 5]).seal(0).len();
        let (head, tail) = (HEADER_BYTES, bytes.len() - third);
        let (first, last) = bytes.split_at_mut(tail);
        first[head..head + third].swap_with_slice(last);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(
            read(&path, &layouts),
            Err(LedgerError::Torn { .. })
        ));
    }

    #[test]
    fn the_journal_of_another_ledger_or_generation_is_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_in(folder.path(), 4);
        drop(open(&path));
        for (generation, check) in [(4, SecretCheck([2; 16])), (5, CHECK)] {
            let opened = Journal::open(&DISK, &path, generation, check);
            assert!(matches!(opened, Err(LedgerError::Foreign { .. })));
            let opened = Journal::open_to_read(&path, generation, check);
            assert!(matches!(opened, Err(LedgerError::Foreign { .. })));
        }
    }
}
