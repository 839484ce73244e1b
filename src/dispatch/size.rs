//! How many operations a request has.

use std::time::Duration;

use super::options::Options;

/// Requests are not shortened below so many operations because of the time that all of them take together: most of it would
/// be the cost of a request instead of that of its rows.
const LEAST_SHORTENED: usize = 10;

/// How many operations a request has: shrinks at once when one takes long or is too large, grows back slowly.
#[derive(Debug)]
pub(super) struct Size {
    now: usize,
    most: usize,
    longest: Duration,
}

impl Size {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            now: options.most_operations(),
            most: options.most_operations(),
            longest: options.longest_request,
        }
    }

    /// How many operations a request should have.
    pub(super) fn get(&self) -> usize {
        self.now
    }

    /// A request of that size came to its end, good or bad, after that time.
    pub(super) fn took(&mut self, size: usize, took: Duration) {
        if took > self.longest {
            let fitting = self.longest.as_millis() * size as u128 / took.as_millis().max(1);
            let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
            self.now = self.now.min(fitting).max(1);
        } else if size >= self.now && took * 2 < self.longest {
            self.now = (self.now + (self.now / 10).max(1)).min(self.most);
        }
    }

    /// A request of that size was refused since requests took too long together.
    ///
    /// Shorter ones let the service refuse later and forgive sooner.
    pub(super) fn took_too_much_time(&mut self, size: usize) {
        let least = LEAST_SHORTENED.min(self.now);
        self.now = self.now.min(size / 2).max(least);
    }

    /// A request of that size was too large.
    pub(super) fn too_large(&mut self, size: usize) {
        self.now = self.now.min(size / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_secs(1);

    fn size() -> Size {
        Size::new(&Options::default())
    }

    #[test]
    fn a_slow_batch_shrinks_to_what_fits_into_ten_seconds() {
        let mut size = size();
        size.took(100, Duration::from_secs(40));
        assert_eq!(size.get(), 25);
        size.took(1, Duration::from_secs(400));
        assert_eq!(size.get(), 1);
    }

    #[test]
    fn several_batches_that_were_too_large_halve_it_once() {
        let mut size = size();
        (0..8).for_each(|_| size.too_large(100));
        assert_eq!(size.get(), 50);
    }

    #[test]
    fn several_batches_that_were_refused_for_their_time_halve_it_once_and_never_to_crumbs() {
        let mut size = size();
        (0..8).for_each(|_| size.took_too_much_time(100));
        assert_eq!(size.get(), 50);
        for refused in [50, 25, 12, 10, 5] {
            size.took_too_much_time(refused);
        }
        assert_eq!(size.get(), 10);
        size.took(10, Duration::from_secs(50));
        size.took_too_much_time(2);
        assert_eq!(size.get(), 2);
    }

    #[test]
    fn a_shrunken_batch_grows_back_to_the_option_and_no_further() {
        let mut size = size();
        size.too_large(4);
        size.took(2, QUICK);
        assert_eq!(size.get(), 3);
        (0..100).for_each(|_| size.took(1000, QUICK));
        assert_eq!(size.get(), 100);
    }
}
