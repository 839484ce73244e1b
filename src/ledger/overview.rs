//! What a ledger holds, in numbers, for people.

use std::path::Path;

use uuid::Uuid;

use super::LedgerError;
use super::catalogue::{Catalogue, RunNoted};
use super::held::HeldCounts;
use super::snapshot::Snapshot;
use crate::model::StandingFlags;

/// So many runs are told.
const LAST_RUNS: u32 = 5;

/// What a ledger holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The organisation that it belongs to.
    pub organisation: Uuid,
    /// `contact`
    pub table: String,
    /// The columns of its key.
    pub key: Vec<String>,
    /// The mapping file, relative to the folder with `segue.yaml`.
    pub mapping: String,
    /// How many times it was written anew.
    pub generation: u32,
    /// Keys that stand, removed ones not counted.
    pub records: u64,
    /// Of these, records that this mapping created.
    pub created: u64,
    /// Of these, records that Dataverse has only a part of; due on the next run.
    pub pending: u64,
    /// Of these, records with a lookup that was not found; due on the next run.
    pub incomplete: u64,
    /// Of these, records that this mapping never wrote.
    pub seen: u64,
    /// Keys that were removed.
    pub removed: u64,
    /// Rows that Dataverse refused.
    pub held: HeldCounts,
    /// Bytes of its files.
    pub bytes: u64,
    /// The last runs that began to send, newest first.
    pub runs: Vec<RunNoted>,
}

/// Reads a ledger without its lock and without changing it; `None` if there is none. `spill` is a folder for
/// temporary files.
///
/// # Errors
/// If a file is damaged, foreign or of a newer format, or cannot be read.
pub fn overview(folder: &Path, spill: &Path) -> Result<Option<Overview>, LedgerError> {
    let Some((owner, snapshot)) = Snapshot::read_whole(folder, spill)? else {
        return Ok(None);
    };
    let (runs, held) = match Catalogue::open_to_read(folder)? {
        Some(catalogue) => (catalogue.last_runs(LAST_RUNS)?, catalogue.held_counts()?),
        None => (Vec::new(), HeldCounts::default()),
    };
    let mut overview = Overview {
        organisation: owner.organisation,
        table: owner.table,
        key: owner.key.split(", ").map(str::to_owned).collect(),
        mapping: owner.mapping,
        generation: snapshot.generation().number(),
        records: 0,
        created: 0,
        pending: 0,
        incomplete: 0,
        seen: 0,
        removed: 0,
        held,
        bytes: bytes_in(folder)?,
        runs,
    };
    let mut keys = snapshot.generation().keys(0, snapshot.len());
    keys.advance()?;
    while let Some((_, row)) = keys.current() {
        let count = |flag| u64::from(row.flags.has(flag));
        if row.flags.has(StandingFlags::REMOVED) {
            overview.removed += 1;
        } else {
            overview.records += 1;
            overview.created += count(StandingFlags::CREATED_BY_US);
            overview.pending += count(StandingFlags::PENDING);
            overview.incomplete += count(StandingFlags::INCOMPLETE);
            overview.seen += count(StandingFlags::SEEN);
        }
        keys.advance()?;
    }
    Ok(Some(overview))
}

/// The mapping file of the ledger in a folder, relative to the folder with `segue.yaml`; `None` if there is no ledger.
///
/// # Errors
/// If the catalogue is damaged, foreign or of a newer format, or cannot be read.
pub fn mapping_file(folder: &Path) -> Result<Option<String>, LedgerError> {
    Catalogue::open_to_read(folder)?.map_or(Ok(None), |catalogue| catalogue.mapping())
}

fn bytes_in(folder: &Path) -> Result<u64, LedgerError> {
    let read = |source| LedgerError::io("read", folder, source);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(read)? {
        // A file that a run has just removed takes no room.
        if let Ok(about) = entry.map_err(read)?.metadata() {
            bytes += about.len();
        }
    }
    Ok(bytes)
}
