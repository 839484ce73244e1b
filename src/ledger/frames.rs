//! The frames of a journal side by side: each is in the order of keys already, so that those of a part of the keys are
//! read from all of them without reading anything twice.

use xxhash_rust::xxh3::Xxh3;

use super::LedgerError;
use super::chain::SortedChain;
use super::frame::HEAD_BYTES;
use super::journal::{FramePlace, Journal};
use super::spill::chain_of;

/// What the parts of all frames that are in memory take together.
const MEMORY: usize = 16 * 1024 * 1024;

/// More of a frame at once would not be cheaper.
const MOST_AT_ONCE: usize = 64 * 1024;

/// Entries that are brought into order together take about so many bytes: they fit into a cache.
const CHAIN_BYTES: usize = 512 * 1024;

/// And about so many of them are of the same frame, so that going through all frames costs little.
const OF_A_FRAME: usize = 8;

/// With so many chains of keys, each begins at a number of two bytes.
const MOST_CHAINS: usize = 1 << 16;

/// The entries of a journal, one chain of keys after the other.
pub(super) struct Frames<'a> {
    journal: &'a Journal,
    /// How many bytes of a frame are read at once.
    at_once: usize,
    /// The oldest frame comes first.
    cursors: Vec<Cursor>,
    chains: usize,
}

/// How far a frame was read.
struct Cursor {
    frame: FramePlace,
    /// Where its next entries are read; none once all were.
    next: Option<u64>,
    rows: Vec<u8>,
    at: usize,
    /// Of all that was read. Whether the frame is sound is known at its end.
    checksum: Box<Xxh3>,
}

impl<'a> Frames<'a> {
    /// `frames` are all of the journal, oldest first; each of their entries takes `stride` bytes.
    pub(super) fn of(
        journal: &'a Journal,
        frames: &[FramePlace],
        stride: usize,
    ) -> Result<Self, LedgerError> {
        let rows = (MEMORY / frames.len().max(1)).min(MOST_AT_ONCE) / stride.max(1);
        let cursors = frames
            .iter()
            .map(|frame| Cursor::open(journal, *frame, stride));
        let bytes = usize::try_from(journal.frame_bytes()).unwrap_or(usize::MAX);
        let of_a_chain = CHAIN_BYTES.max(frames.len() * OF_A_FRAME * stride);
        Ok(Self {
            journal,
            at_once: rows.max(1) * stride,
            cursors: cursors.collect::<Result<_, _>>()?,
            chains: (bytes / of_a_chain + 1).min(MOST_CHAINS),
        })
    }

    /// Into how many chains the keys are parted.
    pub(super) fn chains(&self) -> usize {
        self.chains
    }

    /// Hands over the entries of the next chain, which has that number; those of one key oldest first.
    pub(super) fn gather(
        &mut self,
        number: usize,
        into: &mut SortedChain,
    ) -> Result<(), LedgerError> {
        for cursor in &mut self.cursors {
            loop {
                let rows = cursor.rows.get(cursor.at..).unwrap_or_default();
                cursor.at += into.take(rows, |key| chain_of(&key.0, self.chains) <= number);
                if cursor.at < cursor.rows.len() || !cursor.read(self.journal, self.at_once)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Cursor {
    fn open(journal: &Journal, frame: FramePlace, stride: usize) -> Result<Self, LedgerError> {
        let mut head = [0; HEAD_BYTES];
        journal.read_at(frame.begin, &mut head)?;
        let mut checksum = Box::new(Xxh3::with_seed(frame.begin));
        checksum.update(&head);
        let next = frame.begin + HEAD_BYTES as u64;
        if !(frame.end - next).is_multiple_of(stride as u64) {
            return Err(journal.damaged(frame.begin));
        }
        Ok(Self {
            frame,
            next: Some(next),
            rows: Vec::new(),
            at: 0,
            checksum,
        })
    }

    /// Reads on in the frame; false at its end.
    fn read(&mut self, journal: &Journal, at_once: usize) -> Result<bool, LedgerError> {
        let Some(next) = self.next else {
            return Ok(false);
        };
        // The next generation can be written where the journal stood in memory.
        journal.let_go(self.frame.begin, next);
        let left = usize::try_from(self.frame.end - next).unwrap_or(usize::MAX);
        self.rows.resize(left.min(at_once), 0);
        self.at = 0;
        if left == 0 {
            self.next = None;
            self.verify(journal)?;
            return Ok(false);
        }
        journal.read_at(next, &mut self.rows)?;
        self.checksum.update(&self.rows);
        self.next = Some(next + self.rows.len() as u64);
        Ok(true)
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
}
