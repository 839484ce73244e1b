//! The environment's calendar: the machine's, moved on as far as a test asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time of the environment.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_milliseconds: AtomicU64,
}

impl Clock {
    /// Milliseconds since 1970, UTC.
    pub(crate) fn now(&self) -> u64 {
        let machine = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        machine.saturating_add(self.ahead_milliseconds.load(Ordering::Relaxed))
    }

    /// How long something took that began at this moment, by the machine's calendar.
    pub(crate) fn since(begun: Timestamp) -> Duration {
        let took = Timestamp::now().duration_since(begun);
        took.try_into().unwrap_or_default()
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_milliseconds.fetch_add(by, Ordering::Relaxed);
    }
}
