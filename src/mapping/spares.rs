//! Records that have been dealt with, to be filled again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Mapped;

/// The memory of records that have been dealt with. A record is made on one thread and done with on another; to free its
/// memory there and to ask for it anew here costs more than to hand it back. There are never more of them than records
/// were on their way at once.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<Mapped>>);

/// So many are taken at a time.
const TOGETHER: usize = 64;

impl Spares {
    /// Takes records back, of which nothing but their memory is wanted.
    pub fn take_back(&self, mut spent: Vec<Mapped>) {
        for mapped in &mut spent {
            mapped.record.values.clear();
        }
        self.held().append(&mut spent);
    }

    /// Hands some out.
    pub(super) fn hand_out(&self, to: &mut Vec<Mapped>) {
        let mut spares = self.held();
        let from = spares.len().saturating_sub(TOGETHER);
        to.extend(spares.drain(from..));
    }

    /// They are whole whoever panicked.
    fn held(&self) -> MutexGuard<'_, Vec<Mapped>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ColumnDigest, Record, Value};

    #[test]
    fn nothing_but_its_memory_is_left_of_a_record() {
        let spares = Spares::default();
        let spent = || Mapped {
            record: Record {
                values: vec![Value::Boolean(true); 9],
            },
            digests: vec![ColumnDigest::from_hash(7); 9].into(),
        };
        spares.take_back((0..=TOGETHER).map(|_| spent()).collect());
        let mut some = Vec::new();
        spares.hand_out(&mut some);
        assert_eq!(some.len(), TOGETHER);
        let values = some.iter().map(|it| &it.record.values);
        assert!(
            values
                .into_iter()
                .all(|it| it.is_empty() && it.capacity() >= 9)
        );
        spares.hand_out(&mut some);
        spares.hand_out(&mut some);
        assert_eq!(some.len(), TOGETHER + 1);
    }
}
