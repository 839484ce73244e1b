//! What dispatching gives back besides outcomes, and how it is told to stop.

use std::time::Duration;

use crate::model::ServiceError;

/// Whether and how to stop; told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stopping {
    /// Go on.
    #[default]
    No,
    /// Take nothing more, wait for the answers of what is in flight as long as the grace period lasts.
    Drain,
    /// Give up at once.
    Now,
}

/// Why dispatching ended before everything was done.
#[derive(Debug, Clone, PartialEq)]
pub enum StopCause {
    /// The token, the user or its role.
    Credential(ServiceError),
    /// The requests do not fit the table.
    Contract(ServiceError),
    /// Throttled or unavailable beyond what a run may afford.
    Exhausted(ServiceError),
    /// It was told to stop, or nobody took its outcomes any more.
    Interrupted,
    /// The deadline passed while the service worked.
    Deadline,
}

impl StopCause {
    /// The error that operations get which were not attempted because of this.
    pub(super) fn error(&self) -> ServiceError {
        match self {
            Self::Credential(error) | Self::Contract(error) | Self::Exhausted(error) => {
                error.clone()
            }
            Self::Interrupted => unsaid("the run was interrupted before this was done"),
            Self::Deadline => unsaid("the deadline passed before this was done"),
        }
    }
}

/// An error that no service said.
pub(super) fn unsaid(message: &str) -> ServiceError {
    ServiceError {
        message: message.to_owned(),
        ..ServiceError::default()
    }
}

/// What went over a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Batches sent.
    pub batches: u64,
    /// Finds sent.
    pub finds: u64,
    /// How many of both are waiting for their answer.
    pub in_flight: usize,
    /// How many of both the service throttled.
    pub throttled: u64,
    /// How long nothing was to be sent because of that; overlapping waits count once.
    pub waited: Duration,
    /// How long from now nothing is to be sent.
    pub pause: Duration,
}

/// What dispatching gives back besides outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct DispatchReport {
    /// Why it ended early, if it did.
    pub stopped: Option<StopCause>,
    /// Operations taken from the queue; each has one outcome.
    pub operations: u64,
    /// Operations sent once more, for whatever reason.
    pub retried: u64,
    /// Outcomes that nobody took, since the receiver was gone.
    pub undelivered: u64,
    /// What went over the lane, finds of the resolver included.
    pub traffic: Traffic,
    /// Of the jitter; the same seed and the same answers give the same waits.
    pub seed: u64,
}

/// A user that is not asked to send any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its place among the destinations.
    pub user: usize,
    /// What the service said.
    pub error: ServiceError,
}
