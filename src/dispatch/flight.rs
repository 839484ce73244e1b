//! What is in the gate: requests on their way, and what must be remembered of them meanwhile.

use std::sync::Arc;

use super::account::{StopCause, unsaid};
use super::chain::Work;
use super::history::History;
use super::lane::Sent;
use super::lookup::Looked;
use super::queue::Packing;
use crate::model::{Batch, Cause, Failure, Fate, ServiceError};

/// What is in flight.
pub(super) enum Flight {
    Batch {
        batch: Arc<Batch>,
        histories: Vec<History>,
        packing: Packing,
    },
    Find(Box<Work>),
}

/// What a task in the gate comes back with.
pub(super) enum Landed {
    Sent(Sent),
    Looked(Result<Looked, StopCause>),
}

impl Flight {
    /// The operations that wait for it. Its task must have ended.
    pub(super) fn into_works(self) -> Vec<Work> {
        match self {
            Self::Batch {
                batch, histories, ..
            } => works_of(batch, histories).collect(),
            Self::Find(work) => vec![*work],
        }
    }
}

/// The batch and what is remembered of its operations, together again: one after another, since each is large and soon
/// an outcome.
pub(super) fn works_of(
    batch: Arc<Batch>,
    histories: Vec<History>,
) -> impl ExactSizeIterator<Item = Work> {
    // The task has ended, so nobody else holds the batch.
    let batch = Arc::unwrap_or_clone(batch);
    let pairs = batch.operations.into_iter().zip(histories);
    pairs.map(|(operation, history)| Work {
        operation,
        history,
        is_sent: true,
    })
}

/// The error of operations whose answer never came.
pub(super) fn unanswered() -> ServiceError {
    unsaid("the answer ended before it told of this operation")
}

/// The failure of a search that the deadline came before.
pub(super) fn unfound() -> Failure {
    Failure {
        fate: Fate::Lost,
        cause: Cause::Transient,
        error: unsaid("a search was not answered before the deadline"),
    }
}

/// The error of operations that were to be sent once more when the run ended.
pub(super) fn unsent() -> ServiceError {
    unsaid("the run ended before this was done")
}
