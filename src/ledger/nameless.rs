//! Vanished keys whose row may still be there, with an empty key: they are not removed.

use std::collections::HashSet;
use std::path::Path;

use super::LedgerError;
use super::entries::words_of_vanished;
use super::spool::SpoolWriter;
use super::survey::{Finding, Survey};

/// So many rows without a key are remembered, in some tens of megabytes. With more of them nothing is removed.
const MOST_ROWS: usize = 1_000_000;

impl Survey {
    /// Leaves those vanished keys out of whose row the extract has a copy without a key. A copy may be chance: then a
    /// record stays that might have gone, which can be mended.
    pub(super) fn without_nameless(mut self, spill: &Path) -> Result<Self, LedgerError> {
        if self.counts.refused_keys == 0 || self.counts.vanished == 0 {
            return Ok(self);
        }
        let mut rows = HashSet::new();
        for entry in self.entries() {
            let entry = entry?;
            if entry.finding == Finding::Unkeyed {
                rows.insert(entry.source);
            }
            if rows.len() > MOST_ROWS {
                break;
            }
        }
        let mut left = SpoolWriter::new(spill);
        for vanished in self.vanished() {
            let vanished = vanished?;
            if rows.len() > MOST_ROWS || rows.contains(&vanished.source) {
                self.counts.nameless += 1;
            } else {
                left.push(&words_of_vanished(&vanished))?;
            }
        }
        self.vanished = left.finish()?;
        Ok(self)
    }
}
