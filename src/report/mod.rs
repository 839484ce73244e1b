//! What a run tells: counts that add up, results for machines, rejects for the operator, a summary for people.
//!
//! Owns the run folders and the exit codes as an enum. Leaves printing, colours and ending the process to `cli`.

mod counts;
mod exit;
mod folder;
mod history;
mod reject_file;
mod rejects;
mod removals;
mod results;
mod retention;
mod sending;
mod summary;

pub use counts::{Imbalance, RowCounts};
pub use exit::{ExitCode, Status};
pub use folder::RunFolder;
pub use history::RunHistory;
pub use reject_file::{RejectFile, RejectLine};
pub use rejects::{HeldRow, RejectWriter};
pub use removals::{
    RemovalAction, RemovalKind, RemovalOutcome, RemovalReason, RemovalResults, RemovalRule,
    RemovalWriter,
};
pub use results::{ExtractShape, PushResults, Reason, RejectResults, RequestCounts, RunResults};
pub use retention::retire;
pub use sending::{CurveResults, LatencyResults, SendingResults, WaitReason, WaitResults};
pub use summary::summary;
