//! What a run is asked and what it answers.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::{Change, PushError, Resting};
use crate::ledger::{Extent, Scope};
use crate::mapping::Mapping;
use crate::model::{Connection, RunId};
use crate::report::{ExitCode, RunResults};

/// What to push, where to and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The mapping.
    pub mapping: Mapping,
    /// Where to.
    pub connection: Connection,
    /// The folder of ledgers, runs and locks.
    pub state: PathBuf,
    /// The folder that paths of mappings are relative to: the one with `segue.yaml`.
    pub base: PathBuf,
    /// When the run began: the only time of the calendar that a run knows.
    pub started: Timestamp,
    /// At most so many due rows.
    pub limit: Option<u64>,
    /// Only rows with these keys, as people write them; every row if there is none.
    pub keys: Vec<String>,
    /// Only the rows of this reject file, held back or not; `None` for every row.
    pub rejects_of: Option<PathBuf>,
    /// Whether the ledger may call a row unchanged.
    pub scope: Scope,
    /// Whether the extract is the whole segment.
    pub extent: Extent,
    /// Whether to write at all.
    pub purpose: Purpose,
    /// Up to so many bytes of rows stay in memory between the two readings of an extract.
    pub row_memory: usize,
    /// How long to wait for what.
    pub patience: Patience,
    /// Application users that an earlier run of the same command was told to leave alone; none where there was no run.
    pub resting: Resting,
}

/// Whether a run writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It does.
    Send,
    /// A dry run: everything but the last step.
    Rehearse,
}

/// How long to wait for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// For another run of the same table. None unless asked: a scheduler should know.
    pub lock_wait: Duration,
    /// For answers that are on their way when the run is told to stop. 30 s, as schedulers give.
    pub grace: Duration,
    /// For the whole run. Without end unless asked.
    pub deadline: Option<Duration>,
    /// Requests of one application user in flight at most; the documented limit unless asked.
    pub concurrency: Option<NonZeroUsize>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock_wait: Duration::ZERO,
            grace: Duration::from_secs(30),
            deadline: None,
            concurrency: None,
        }
    }
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// What stands in its `run_results.json`.
    pub results: RunResults,
    /// The first changes of each kind, if it was a dry run.
    pub preview: Vec<Change>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
    /// Why the run ended early, if it did.
    pub stopped: Option<PushError>,
    /// Application users that the service still refuses.
    pub resting: Resting,
    pub(super) code: ExitCode,
}

impl Report {
    /// What a scheduler is told.
    pub fn exit_code(&self) -> ExitCode {
        self.code
    }
}
