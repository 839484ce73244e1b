//! How long requests took: counts in buckets whose width grows with the time, so that percentiles of millions of
//! requests need a few kilobytes.

use std::time::Duration;

/// Buckets per doubling of the time, as a power of two: 16, so a percentile is at most 1/16 too high.
const FINENESS: u32 = 4;

/// Beyond about 19 hours everything falls into the last bucket; no request takes as long.
const DOUBLINGS: usize = 32;

const BUCKETS: usize = (DOUBLINGS + 1) << FINENESS;

/// How long requests took.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    most: Duration,
}

/// How long requests took, in a few figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// How many there were.
    pub requests: u64,
    /// Half of them took no longer.
    pub p50: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
    /// All but one in a hundred took no longer.
    pub p99: Duration,
    /// None took longer.
    pub max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            count: 0,
            most: Duration::ZERO,
        }
    }
}

impl Histogram {
    pub(super) fn note(&mut self, took: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(took)) {
            *count += 1;
        }
        self.count += 1;
        self.most = self.most.max(took);
    }

    pub(super) fn latency(&self) -> Latency {
        Latency {
            requests: self.count,
            p50: self.quantile(50),
            p90: self.quantile(90),
            p99: self.quantile(99),
            max: self.most,
        }
    }

    /// The time that so many percent did not exceed.
    fn quantile(&self, percent: u64) -> Duration {
        let rank = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return upper_end(bucket).min(self.most);
            }
        }
        self.most
    }
}

/// Times below 16 µs have a bucket each; above, each doubling has 16.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(FINENESS + 1);
    let leading = usize::try_from(micros >> shift).unwrap_or(usize::MAX);
    let bucket = leading.saturating_add((shift as usize) << FINENESS);
    bucket.min(BUCKETS - 1)
}

/// The longest time that falls into a bucket.
fn upper_end(bucket: usize) -> Duration {
    let shift = (bucket >> FINENESS).saturating_sub(1);
    let leading = (bucket - (shift << FINENESS)) as u64;
    Duration::from_micros(((leading + 1) << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn percentiles_are_at_most_a_sixteenth_too_high() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|number| histogram.note(millis(number)));
        let latency = histogram.latency();
        let near = |found: Duration, exact: u64| {
            assert!(found >= millis(exact), "{found:?} < {exact} ms");
            assert!(
                found <= millis(exact).mul_f64(1.0625),
                "{found:?} ≫ {exact} ms"
            );
        };
        near(latency.p50, 500);
        near(latency.p90, 900);
        near(latency.p99, 990);
        assert_eq!((latency.requests, latency.max), (1000, millis(1000)));
    }

    #[test]
    fn every_time_lies_in_its_bucket_and_above_the_one_before() {
        for micros in (0..5_000).chain([1 << 20, (1 << 20) + 1, u64::from(u32::MAX)]) {
            let took = Duration::from_micros(micros);
            let bucket = bucket(took);
            assert!(took <= upper_end(bucket), "{micros}");
            assert!(bucket == 0 || took > upper_end(bucket - 1), "{micros}");
        }
    }

    #[test]
    fn one_request_is_every_percentile_and_none_is_zero() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        let took = Duration::from_micros(1_234_567);
        histogram.note(took);
        let latency = histogram.latency();
        assert_eq!((latency.p50, latency.p99, latency.max), (took, took, took));
    }

    #[test]
    fn a_time_beyond_all_bounds_is_the_longest() {
        let mut histogram = Histogram::default();
        histogram.note(millis(1));
        histogram.note(Duration::MAX);
        assert_eq!(histogram.latency().max, Duration::MAX);
        assert!(histogram.latency().p50 < millis(2));
    }
}
