//! How long a lane is worth waiting for: until the deadline, the end of patience, or the last user's.

use tokio::time::Instant;

use super::account::StopCause;
use super::lane::Lane;
use crate::model::ServiceError;

impl<D> Lane<D> {
    /// The service worked.
    pub(super) fn progressed(&self) {
        let mut state = self.state();
        state.troubled_since = None;
    }

    /// The service could not work, and said so.
    pub(super) fn troubled(&self, error: &ServiceError) {
        self.state().trouble(error);
    }

    /// Whether the service works for nobody, and is waited for all the same.
    pub(super) fn waits_for_the_service(&self) -> bool {
        let outage = self.options().outage;
        self.state().lull.is_bearable(outage) == Some(true)
    }

    /// Whether it is time to give up: no user is left, the deadline has passed or comes before the end of the penalty, or the
    /// service has tried the run's patience.
    pub(super) fn must_stop(&self) -> Option<StopCause> {
        let now = Instant::now();
        let options = self.options();
        let state = self.state();
        if state.users.left() == 0 {
            let last = state.dropped.last().map(|dropped| dropped.error.clone());
            return Some(StopCause::Credential(last.unwrap_or_default()));
        }
        let exhausted = || Some(StopCause::Exhausted(state.said.clone()));
        let free_at = state.users.free_at().unwrap_or(now);
        let paused = free_at > now;
        let next = free_at.max(now);
        if options.deadline.is_some_and(|deadline| next >= deadline) {
            return if paused || state.troubled_since.is_some() {
                exhausted()
            } else {
                Some(StopCause::Deadline)
            };
        }
        let patient_until = state.troubled_since.unwrap_or(now) + options.patience;
        if next > patient_until || state.lull.is_bearable(options.outage) == Some(false) {
            exhausted()
        } else {
            None
        }
    }

    /// That time, or the deadline if it comes before.
    pub(super) fn in_time(&self, time: Instant) -> Instant {
        let deadline = self.options().deadline;
        deadline.map_or(time, |deadline| deadline.min(time))
    }
}
