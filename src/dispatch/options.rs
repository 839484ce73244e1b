//! How hard to press, how long to wait and when to give up.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Envelopes;

/// The documented limit of concurrent requests of one user.
const MOST_CONCURRENCY: usize = 52;

/// How hard to press, how long to wait and when to give up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests of one user in flight at most, finds included. 52: the documented limit.
    pub concurrency: NonZeroUsize,
    /// Requests of one user in flight at first, if that is not more. 8 unless the service recommends something: enough
    /// to keep a small environment busy, far from the limit of any.
    pub first_concurrency: NonZeroUsize,
    /// Finds of the resolver in flight at most. 2: one is answered while the next is gathered.
    pub concurrent_finds: NonZeroUsize,
    /// Operations in one batch at most. 100: large enough that the cost of a request vanishes, small
    /// enough that it is answered within seconds where plug-ins run. The service takes 1,000.
    pub batch_operations: NonZeroUsize,
    /// What operations travel in. `$batch` unless the mapping says otherwise: every table takes it, and a bad row costs
    /// no other one anything. Bulk messages are for tables that take them.
    pub envelopes: Envelopes,
    /// Keys in one find at most. 500: a few queries whose URLs are not too long.
    pub find_keys: NonZeroUsize,
    /// A request that takes longer makes the next ones smaller. 10 s: far from every timeout on the way.
    pub longest_request: Duration,
    /// How long a batch that is not full waits for more while nothing is in flight. 50 ms: nobody
    /// notices, and a reader that has just begun fills the first batch.
    pub linger: Duration,
    /// Once so many operations wait to be sent again, no new ones are taken. 5,000: a few megabytes.
    pub waiting_operations: NonZeroUsize,
    /// How often one operation is sent before its failure counts, if the service fails and does not say
    /// how long to wait. 5: with the back-off below about half a minute.
    pub tries: NonZeroU32,
    /// Resends after failures that a run may always afford. 10,000: an outage of half a minute hits at
    /// most what is in flight a few times.
    pub retries_floor: u64,
    /// Resends after failures that a run may afford beyond the floor, in percent of its operations.
    /// 50: a service that fails every second operation is not worth pressing.
    pub retries_percent: u64,
    /// The wait after a first failure; it doubles each time. 2 s, as Microsoft's own clients wait.
    pub backoff: Duration,
    /// The longest such wait. 60 s.
    pub longest_backoff: Duration,
    /// How long the service may refuse everything before the run ends. 30 min: the longest penalties
    /// that were met took 7.
    pub patience: Duration,
    /// How long a service that answers nobody is waited for. 2 min: a restart or a failover is over by then, and a row that
    /// takes the service down with it is not waited for all night.
    pub outage: Duration,
    /// When the run must end, whatever is left. None unless the operator says so.
    pub deadline: Option<Instant>,
    /// How long a run that is stopping waits for answers. 30 s, as schedulers give.
    pub grace: Duration,
    /// Of all randomness: the jitter of waits. Drawn anew for every run and told in its report.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: at_least_one(MOST_CONCURRENCY),
            first_concurrency: at_least_one(8),
            concurrent_finds: at_least_one(2),
            batch_operations: at_least_one(100),
            envelopes: Envelopes::Batch,
            find_keys: at_least_one(500),
            longest_request: Duration::from_secs(10),
            linger: Duration::from_millis(50),
            waiting_operations: at_least_one(5_000),
            tries: NonZeroU32::MIN.saturating_add(4),
            retries_floor: 10_000,
            retries_percent: 50,
            backoff: Duration::from_secs(2),
            longest_backoff: Duration::from_mins(1),
            patience: Duration::from_mins(30),
            outage: Duration::from_mins(2),
            deadline: None,
            grace: Duration::from_secs(30),
            seed: fastrand::u64(..),
        }
    }
}

impl Options {
    /// Begins with the concurrency that the service recommends for all users together (`x-ms-dop-hint`).
    #[must_use]
    pub fn recommended(self, hint: NonZeroUsize, users: usize) -> Self {
        Self {
            first_concurrency: at_least_one(hint.get() / users.max(1)),
            ..self
        }
    }

    /// Whether bulk messages may be used.
    pub(super) fn is_bulk(&self) -> bool {
        match self.envelopes {
            Envelopes::Bulk | Envelopes::Auto => true,
            Envelopes::Batch | Envelopes::Single => false,
        }
    }

    /// Operations in one request at most.
    pub(super) fn most_operations(&self) -> usize {
        match self.envelopes {
            Envelopes::Single => 1,
            Envelopes::Batch | Envelopes::Bulk | Envelopes::Auto => self.batch_operations.get(),
        }
    }

    /// How many resends after failures a run of so many operations may afford.
    pub(super) fn retry_budget(&self, operations: u64) -> u64 {
        let share = operations.saturating_mul(self.retries_percent) / 100;
        share.max(self.retries_floor)
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recommendation_is_shared_by_all_users() {
        let of = |hint, users| {
            Options::default()
                .recommended(at_least_one(hint), users)
                .first_concurrency
                .get()
        };
        assert_eq!((of(4, 1), of(24, 2), of(1, 3)), (4, 12, 1));
    }

    #[test]
    fn a_large_run_may_afford_more_resends() {
        let options = Options::default();
        assert_eq!(options.retry_budget(10), 10_000);
        assert_eq!(options.retry_budget(1_000_000), 500_000);
    }
}
