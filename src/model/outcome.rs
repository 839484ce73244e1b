//! Exactly one verdict per row or vanished key.

use std::borrow::Cow;

use super::{Accepted, Operation, Position, ServiceError};

/// The verdict on one row that was due, or on one vanished key.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The operation it is about, as it was last sent.
    pub operation: Operation,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Dataverse did it. `effect` has been corrected for resends: a record that an unanswered first attempt
    /// created counts as created.
    Accepted(Accepted),
    /// Once its references were known, nothing differed from what Dataverse holds.
    Unchanged,
    /// Left alone, as the mapping says.
    Skipped(SkipReason),
    /// The operator must mend it at the source.
    Rejected(Box<Reject>),
    /// The run ended before it could be done, or its answer never came: due again on the next run.
    NotAttempted(Box<NotAttempted>),
    /// The first of two writes was done; the operation's columns are those that it carried.
    Partly {
        /// What the first write did.
        done: Accepted,
        /// What became of the second one.
        rest: Box<Self>,
    },
}

/// Why nothing is known of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotAttempted {
    /// What ended the run.
    pub error: ServiceError,
    /// No request carried it: its record is as it was.
    pub is_untouched: bool,
}

impl Verdict {
    /// The run ended before any request carried the operation.
    pub fn untouched(error: ServiceError) -> Self {
        Self::NotAttempted(Box::new(NotAttempted {
            error,
            is_untouched: true,
        }))
    }

    /// The run ended before an answer told what became of the operation.
    pub fn unanswered(error: ServiceError) -> Self {
        Self::NotAttempted(Box::new(NotAttempted {
            error,
            is_untouched: false,
        }))
    }
}

/// Why a row was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// `mode: create`, and the record exists.
    Exists,
    /// `mode: { update: skip }`, and there is no record.
    NotFound,
    /// Another row of the extract stands for this key.
    Superseded,
    /// `--limit`, `--key`: not in this run.
    OutsideSelection,
}

/// Why a row is a reject; one line of the reject file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where the row stands.
    pub position: Position,
    /// The target column (or, where there is none, the source column) at fault.
    pub column: Option<String>,
    /// Stable word for machines: `date_invalid`.
    pub code: RejectCode,
    /// What is wrong, in the reader's words, with the value.
    pub reason: String,
    /// What to do, one imperative sentence.
    pub advice: Cow<'static, str>,
    /// What the service said, where it spoke.
    pub service: Option<ServiceError>,
}

/// The stable word of a reject's reason: snake case, `date_invalid`, `duplicate_key`. Names are added, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RejectCode(pub &'static str);

impl RejectCode {
    /// The service failed at the row as often as it was tried. It may have been written all the same.
    pub const SERVICE_UNAVAILABLE: Self = Self("service_unavailable");
}
