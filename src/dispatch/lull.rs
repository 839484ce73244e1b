//! What becomes of sending while the service works for nobody: everything waits, and is tried again together.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Cause, Failure, Fate, Reply};

/// So many requests in a row without an answer are no chance any more.
const IN_VAIN: u32 = 3;

/// Pauses grow up to this one: whoever is back is noticed soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A service that works for nobody, as far as the last requests tell.
#[derive(Debug, Default)]
pub(super) struct Lull {
    /// Requests in a row that nobody answered.
    in_vain: u32,
    /// Pauses so far; none while the service works.
    pauses: u32,
    /// When the first one began.
    since: Option<Instant>,
    /// Nothing is sent before.
    until: Option<Instant>,
}

impl Lull {
    /// What a request that begins now will be judged by.
    pub(super) fn pauses(&self) -> u32 {
        self.pauses
    }

    /// The service works.
    pub(super) fn ends(&mut self) {
        *self = Self::default();
    }

    /// Nobody answered a request. What was sent before the last pause tells nothing about its end. `usual` tells how long
    /// the next pause is from how many there were.
    pub(super) fn deepens(&mut self, pauses: u32, usual: impl FnOnce(u32) -> Duration) {
        self.in_vain = self.in_vain.saturating_add(1);
        if self.in_vain < IN_VAIN || pauses != self.pauses {
            return;
        }
        let now = Instant::now();
        self.pauses += 1;
        self.since.get_or_insert(now);
        self.until = Some(now + usual(self.pauses).min(LONGEST_PAUSE));
    }

    /// Until when nothing is sent, if there is a pause.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// Whether the service is still waited for, if that is done for so long; `None` if there is nothing to wait for.
    pub(super) fn is_bearable(&self, outage: Duration) -> Option<bool> {
        let next = self.until?.max(Instant::now());
        Some(next <= self.since? + outage)
    }
}

/// What a request came back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Something that the service says to whoever asks this.
    Words,
    /// Nothing, or that it cannot work.
    Silence,
}

impl Heard {
    pub(super) fn of_batch(replies: &[Reply]) -> Self {
        let mut replies = replies.iter();
        let is_silent = replies.all(|reply| match reply {
            Reply::Accepted(_) => false,
            Reply::Failed(failure) => is_silence(failure),
        });
        if is_silent {
            Self::Silence
        } else {
            Self::Words
        }
    }

    pub(super) fn of_find<T>(found: &Result<T, Failure>) -> Self {
        match found {
            Err(failure) if is_silence(failure) => Self::Silence,
            Ok(_) | Err(_) => Self::Words,
        }
    }
}

fn is_silence(failure: &Failure) -> bool {
    failure.fate != Fate::Answered && failure.cause == Cause::Transient
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(_: u32) -> Duration {
        Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_together_makes_one_pause() {
        let mut lull = Lull::default();
        let now = Instant::now();
        for _ in 0..IN_VAIN - 1 {
            lull.deepens(0, second);
        }
        assert_eq!((lull.until(now), lull.is_bearable(second(0))), (None, None));
        for _ in 0..40 {
            lull.deepens(0, second);
        }
        let until = now + second(0);
        assert_eq!((lull.until(now), lull.until(until)), (Some(until), None));
        tokio::time::advance(second(0)).await;
        for _ in 0..40 {
            lull.deepens(1, second);
        }
        assert_eq!(lull.until(until), Some(until + second(0)));
        assert_eq!(lull.is_bearable(2 * second(0)), Some(true));
        assert_eq!(lull.is_bearable(second(0)), Some(false));
        lull.ends();
        assert_eq!((lull.until(until), lull.pauses()), (None, 0));
    }
}
