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
        scatter(scatter(self.seed).wrapping_add(place))
    }
}

/// `SplitMix64`: neighbouring numbers become unlike ones.
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
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
}
