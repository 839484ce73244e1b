//! Keys that were probably changed at the source: a new one whose row is, but for the key, that of a vanished one.

use std::collections::HashMap;

use super::LedgerError;
use super::survey::{Finding, Survey};
use crate::model::{Position, StandingFlags};

/// So many vanished keys are looked at: 16 MB.
const MOST_KEYS: usize = 1_000_000;

/// So many of them are told.
const MOST_PLACES: usize = 5;

/// Keys that were probably changed at the source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renamed {
    /// How many.
    pub keys: u64,
    /// Where the first rows with new keys stand.
    pub places: Vec<Position>,
}

/// How often a row was met, keys left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// One vanished key had it.
    Vanished,
    /// One new key has it as well.
    New(Position),
    /// Several keys had or have it: it tells nobody apart.
    Often,
}

impl Survey {
    /// Looks for new keys whose rows are, but for the key, those of vanished keys. Rows that several keys share are left
    /// out, since they tell nobody apart.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub fn renamed(&self) -> Result<Renamed, LedgerError> {
        if self.counts().due_new == 0 || self.counts().vanished == 0 {
            return Ok(Renamed::default());
        }
        let mut met = HashMap::new();
        for vanished in self.vanished().take(MOST_KEYS) {
            let vanished = vanished?;
            if !vanished.flags.has(StandingFlags::REMOVED) {
                met.entry(vanished.source)
                    .and_modify(|met| *met = Met::Often)
                    .or_insert(Met::Vanished);
            }
        }
        for entry in self.entries() {
            let entry = entry?;
            if let Finding::Due { slot: None, .. } = entry.finding
                && let Some(met) = met.get_mut(&entry.source)
            {
                *met = match met {
                    Met::Vanished => Met::New(entry.position),
                    Met::New(_) | Met::Often => Met::Often,
                };
            }
        }
        let places = met.values().filter_map(|met| match met {
            Met::New(position) => Some(*position),
            Met::Vanished | Met::Often => None,
        });
        let mut places: Vec<Position> = places.collect();
        let keys = places.len() as u64;
        places.sort_unstable();
        places.truncate(MOST_PLACES);
        Ok(Renamed { keys, places })
    }
}
