//! Which keys an extract has, in little memory: may say yes once in a few hundred times too often, never no.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::KeyDigest;

/// 16 MiB: thirteen bits for each of ten million keys.
const BITS: usize = 1 << 27;

/// The keys of an extract, sifted.
pub(super) struct KeySieve(Vec<AtomicU64>);

impl KeySieve {
    pub(super) fn new() -> Self {
        Self((0..BITS / 64).map(|_| AtomicU64::new(0)).collect())
    }

    /// Adds a key; from any thread.
    pub(super) fn add(&self, key: &KeyDigest) {
        for bit in bits(key) {
            if let Some(word) = self.0.get(bit / 64) {
                word.fetch_or(1 << (bit % 64), Ordering::Relaxed);
            }
        }
    }

    /// Whether the extract may have the key.
    pub(super) fn has(&self, key: &KeyDigest) -> bool {
        bits(key).all(|bit| {
            let word = self.0.get(bit / 64);
            word.is_some_and(|word| word.load(Ordering::Relaxed) >> (bit % 64) & 1 == 1)
        })
    }
}

/// A digest is four numbers by chance.
fn bits(key: &KeyDigest) -> impl Iterator<Item = usize> {
    let whole = u128::from_le_bytes(key.0);
    (0..4).map(move |part| {
        let number = u32::try_from(whole >> (part * 32) & u128::from(u32::MAX)).unwrap_or_default();
        number as usize % BITS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_hardly_anything_else() {
        let key = |number: u128| {
            let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            KeyDigest((spread ^ spread >> 61).to_le_bytes())
        };
        let sieve = KeySieve::new();
        (0..1000).for_each(|number| sieve.add(&key(number)));
        assert!((0..1000).all(|number| sieve.has(&key(number))));
        assert!(
            (1000..2000)
                .filter(|number| sieve.has(&key(*number)))
                .count()
                < 10
        );
    }
}
