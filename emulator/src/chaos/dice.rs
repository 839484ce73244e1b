//! Numbers by chance that come again with the same seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Draws numbers; the n-th of a seed is always the same.
#[derive(Debug, Default)]
pub(crate) struct Dice {
    seed: u64,
    drawn: AtomicU64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        let place = self.drawn.fetch_add(1, Ordering::Relaxed);
        drawn(self.seed, place)
    }
}

/// The number of a seed at a place.
pub(crate) fn drawn(seed: u64, place: u64) -> u64 {
    scatter(scatter(seed).wrapping_add(place))
}

/// `SplitMix64`: neighbouring numbers become unlike ones.
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number as a share of all numbers: at least 0, below 1.
pub(crate) fn share(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let high = (number >> 11) as f64;
    high / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_numbers() {
        let draw = |seed| {
            let dice = Dice::new(seed);
            [dice.next(), dice.next(), dice.next()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn shares_are_spread_evenly() {
        let dice = Dice::new(5);
        let low = (0..10_000).filter(|_| share(dice.next()) < 0.1).count();
        assert!((900..1100).contains(&low), "{low}");
    }
}
