//! What a run learns of keys, on its way into the journal.

use super::catalogue::RunNumber;
use super::format::{KeyRow, RowKind};
use super::frame::Frame;
use super::layout::Layout;
use crate::model::{ColumnState, KeyDigest, RecordId, RowTag, SourceDigest, StandingFlags};

/// What a run learned about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The key stands like this.
    Standing(Recorded),
    /// The ledger forgets the key.
    Forget(KeyDigest),
}

/// How a key stands after an accepted operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<States = Vec<ColumnState>> {
    /// The row; its source digest is what an unchanged row will be compared with.
    pub row: RowTag,
    /// The record's GUID, once it is known.
    pub id: Option<RecordId>,
    /// What else is known of it.
    pub flags: StandingFlags,
    /// One state per column of the layout; those that are missing count as never sent.
    pub columns: States,
}

/// What is recorded together. Entries are written into it as they will stand on disk. A run fills one again and again.
#[derive(Debug)]
pub struct Page<'a> {
    layout: &'a Layout,
    run: RunNumber,
    frame: Frame,
}

impl<'a> Page<'a> {
    pub(super) fn new(layout: &'a Layout, run: RunNumber) -> Self {
        let frame = Frame::new(layout);
        Self { layout, run, frame }
    }

    /// A key stands like this.
    pub fn stands<States>(&mut self, recorded: Recorded<States>)
    where
        States: IntoIterator<Item = ColumnState>,
    {
        let row = KeyRow {
            key: recorded.row.key,
            source: recorded.row.source,
            id: recorded.id,
            run: self.run.0,
            flags: recorded.flags,
            kind: RowKind::Standing,
        };
        self.frame.push(row, recorded.columns, self.layout);
    }

    /// The ledger forgets a key.
    pub fn forget(&mut self, key: KeyDigest) {
        let row = KeyRow {
            key,
            source: SourceDigest(0),
            id: None,
            run: self.run.0,
            flags: StandingFlags::default(),
            kind: RowKind::Forget,
        };
        self.frame.push(row, [], self.layout);
    }

    /// The keys of its entries.
    pub fn keys(&self) -> impl Iterator<Item = KeyDigest> {
        self.frame.keys()
    }

    pub(super) fn frame(&mut self) -> &mut Frame {
        &mut self.frame
    }
}

impl<'e> Extend<&'e Entry> for Page<'_> {
    fn extend<Entries: IntoIterator<Item = &'e Entry>>(&mut self, entries: Entries) {
        for entry in entries {
            match entry {
                Entry::Standing(recorded) => self.stands(Recorded {
                    row: recorded.row,
                    id: recorded.id,
                    flags: recorded.flags,
                    columns: recorded.columns.iter().copied(),
                }),
                Entry::Forget(key) => self.forget(*key),
            }
        }
    }
}
