//! How many requests are in flight, and how large they are.

use std::time::Duration;

use super::options::Options;

/// How many requests are in flight, and how large they are: shrinks at once when the service suffers, grows back
/// slowly.
#[derive(Debug)]
pub(super) struct Pace {
    width: usize,
    most_width: usize,
    /// Requests answered in time since the width last changed.
    answered: usize,
    batch: usize,
    most_batch: usize,
    longest: Duration,
    penalties: u64,
}

impl Pace {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            width: options.concurrency.get(),
            most_width: options.concurrency.get(),
            answered: 0,
            batch: options.most_operations(),
            most_batch: options.most_operations(),
            longest: options.longest_request,
            penalties: 0,
        }
    }

    /// How many requests may be in flight.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// How many operations a batch should have.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// A request of that size came to its end, good or bad, after that time.
    pub(super) fn took(&mut self, size: usize, took: Duration) {
        if took > self.longest {
            let fitting = self.longest.as_millis() * size as u128 / took.as_millis().max(1);
            let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
            self.batch = self.batch.min(fitting).max(1);
        } else if size >= self.batch && took * 2 < self.longest {
            self.batch = (self.batch + (self.batch / 10).max(1)).min(self.most_batch);
        }
    }

    /// A request was answered, and not in a penalty: what was sent before one does not tell that more may be sent
    /// after it.
    pub(super) fn answered(&mut self) {
        self.answered += 1;
        if self.answered >= self.width && self.width < self.most_width {
            self.width += 1;
            self.answered = 0;
        }
    }

    /// The service has imposed so many penalties by now. A new one halves the width, once for all requests
    /// that it hit.
    pub(super) fn throttled(&mut self, penalties: u64) {
        if penalties > self.penalties {
            self.penalties = penalties;
            self.width = (self.width / 2).max(1);
            self.answered = 0;
        }
    }

    /// A request of that size was too large.
    pub(super) fn too_large(&mut self, size: usize) {
        self.batch = self.batch.min(size / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace::new(&Options::default())
    }

    #[test]
    fn one_penalty_halves_the_width_once() {
        let mut pace = pace();
        pace.throttled(1);
        pace.throttled(1);
        assert_eq!(pace.width(), 4);
        pace.throttled(2);
        pace.throttled(3);
        pace.throttled(4);
        assert_eq!(pace.width(), 1);
    }

    #[test]
    fn the_width_grows_by_one_for_each_round_of_answers() {
        let mut pace = pace();
        pace.throttled(1);
        (0..4).for_each(|_| pace.answered());
        assert_eq!(pace.width(), 5);
        (0..100).for_each(|_| pace.answered());
        assert_eq!(pace.width(), 8);
    }

    #[test]
    fn a_slow_batch_shrinks_to_what_fits_into_ten_seconds() {
        let mut pace = pace();
        pace.took(100, Duration::from_secs(40));
        assert_eq!(pace.batch(), 25);
        pace.took(1, Duration::from_secs(400));
        assert_eq!(pace.batch(), 1);
    }

    #[test]
    fn several_batches_that_were_too_large_halve_it_once() {
        let mut pace = pace();
        (0..8).for_each(|_| pace.too_large(100));
        assert_eq!(pace.batch(), 50);
    }

    #[test]
    fn a_shrunken_batch_grows_back_to_the_option_and_no_further() {
        let mut pace = pace();
        pace.too_large(4);
        pace.took(2, QUICK);
        assert_eq!(pace.batch(), 3);
        (0..100).for_each(|_| pace.took(1000, QUICK));
        assert_eq!(pace.batch(), 100);
    }
}
