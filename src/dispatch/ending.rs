//! How sending ends early: nothing more is taken, and what is in flight has a while to come back.

use tokio::time::Instant;
use tracing::info;

use super::account::{StopCause, Stopping, unsaid};
use super::gate::Gate;
use crate::model::{Destination, Verdict};

/// Nothing more is sent.
pub(super) struct Ending {
    pub(super) cause: StopCause,
    pub(super) gives_up_at: Instant,
}

impl<D: Destination> Gate<D> {
    /// Somebody says to stop.
    pub(super) async fn told(&mut self, stopping: Stopping) {
        self.heard = stopping;
        self.end(StopCause::Interrupted).await;
        if stopping == Stopping::Now {
            self.give_up().await;
        }
    }

    /// Whether nothing more is sent.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Sends nothing more and takes nothing more; what is in flight has the grace period to come back.
    pub(super) async fn end(&mut self, cause: StopCause) {
        if self.ending.is_some() {
            return;
        }
        info!(cause = ?cause, in_flight = self.tasks.len(), "dispatch is stopping");
        let error = cause.error();
        self.ending = Some(Ending {
            cause,
            gives_up_at: Instant::now() + self.lane.options().grace,
        });
        self.operations.close();
        while let Some(operations) = self.operations.recv().await {
            self.take(operations);
        }
        self.input_open = false;
        for work in self.queue.drain(&self.rules) {
            let verdict = if work.is_sent {
                Verdict::unanswered(error.clone())
            } else {
                Verdict::untouched(error.clone())
            };
            self.settle(work, verdict);
        }
    }

    /// Waits no longer for what is in flight.
    pub(super) async fn give_up(&mut self) {
        while let Some(landed) = self.tasks.try_join_next_with_id() {
            self.land(landed).await;
        }
        self.tasks.shutdown().await;
        let error = unsaid("the run ended before the answer came");
        for flight in std::mem::take(&mut self.in_flight).into_values() {
            for work in flight.into_works() {
                self.settle(work, Verdict::unanswered(error.clone()));
            }
        }
    }
}
