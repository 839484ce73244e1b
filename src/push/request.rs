//! What a run is asked and what it answers.

use std::path::PathBuf;

use jiff::Timestamp;

use super::PushError;
use crate::dispatch::DispatchReport;
use crate::ledger::{Extent, Scope};
use crate::mapping::Mapping;
use crate::model::{Connection, RunId};
use crate::report::{ExitCode, RejectResults, RowCounts};

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
    /// Whether the ledger may call a row unchanged.
    pub scope: Scope,
    /// Whether the extract is the whole segment.
    pub extent: Extent,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// What became of the rows.
    pub rows: RowCounts,
    /// What dispatching tells of requests and waits.
    pub dispatched: Option<DispatchReport>,
    /// Requests that read and wrote.
    pub requests: crate::dataverse::Requests,
    /// Rejects by reason, and their file.
    pub rejects: RejectResults,
    /// Why the run ended early, if it did.
    pub stopped: Option<PushError>,
}

impl Report {
    /// What a scheduler is told.
    pub fn exit_code(&self) -> ExitCode {
        match &self.stopped {
            Some(error) => error.exit_code(),
            None if self.rows.rejected > 0 => ExitCode::Rejects,
            None => ExitCode::Done,
        }
    }
}
