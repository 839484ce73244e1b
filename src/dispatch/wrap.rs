//! Which envelope operations travel in: a bulk message where it can carry them and pays, otherwise a `$batch`.

use std::time::Duration;

use super::options::Options;
use super::queue::Packing;
use crate::model::{Action, Envelope, Envelopes, Operation};

/// So many bulk messages are tried before their refusals are judged.
const FIRST_TRIES: u64 = 4;

/// One refused bulk message costs itself and a `$batch` of the same rows. One in so many is what it may cost.
const AFFORDABLE: u64 = 4;

/// After so many requests both envelopes are tried again: the table may have got a plug-in, or lost one.
const UNTIL_RETRIED: u64 = 1_000;

/// How bulk messages have fared.
#[derive(Debug)]
pub(super) struct Wrapping {
    envelopes: Envelopes,
    answered: u64,
    refused: u64,
    /// Requests since both envelopes were last tried.
    sent: u64,
    in_bulk: Speed,
    in_batches: Speed,
}

/// What one envelope brought while both were tried.
#[derive(Debug, Default)]
struct Speed {
    requests: u64,
    rows: u64,
    time: Duration,
}

impl Speed {
    fn is_known(&self) -> bool {
        self.requests >= FIRST_TRIES
    }

    #[expect(clippy::cast_precision_loss, reason = "some thousands of rows")]
    fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.time.as_secs_f64().max(1e-6)
    }
}

impl Wrapping {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            envelopes: options.envelopes,
            answered: 0,
            refused: 0,
            sent: 0,
            in_bulk: Speed::default(),
            in_batches: Speed::default(),
        }
    }

    /// Whether new operations travel in bulk messages.
    pub(super) fn is_bulk(&self) -> bool {
        match self.envelopes {
            Envelopes::Batch | Envelopes::Single => false,
            Envelopes::Bulk => true,
            Envelopes::Auto => {
                let affordable =
                    self.answered < FIRST_TRIES || self.refused * AFFORDABLE <= self.answered;
                affordable && self.is_as_fast()
            }
        }
    }

    /// Whether bulk messages bring as many rows per second as batches; alternates until both are known.
    fn is_as_fast(&self) -> bool {
        if self.in_bulk.is_known() && self.in_batches.is_known() {
            self.in_bulk.rows_per_second() >= self.in_batches.rows_per_second()
        } else {
            self.sent.is_multiple_of(2)
        }
    }

    /// Operations that might have travelled either way are sent.
    pub(super) fn sends(&mut self) {
        self.sent += 1;
        if self.sent >= UNTIL_RETRIED {
            (self.in_bulk, self.in_batches) = (Speed::default(), Speed::default());
            self.sent = 0;
        }
    }

    /// Operations that might have travelled either way came back: how many rows were done, and how long it took.
    pub(super) fn brought(&mut self, envelope: Envelope, rows: u64, took: Duration) {
        let speed = match envelope {
            Envelope::Bulk => &mut self.in_bulk,
            Envelope::Batch => &mut self.in_batches,
        };
        speed.requests += 1;
        speed.rows += rows;
        speed.time += took;
    }

    /// What these travel in. One alone has nothing to win in a bulk message.
    pub(super) fn of(&self, operations: &[Operation], packing: Packing) -> Envelope {
        // Only where it matters is each of them looked at.
        let carried = || match operations {
            [] | [_] => false,
            [first, rest @ ..] => {
                let mut actions = rest.iter().map(|it| it.action);
                is_carried(first.action) && actions.all(|it| alike(it, first.action))
            }
        };
        if packing != Packing::Each && self.is_bulk() && carried() {
            Envelope::Bulk
        } else {
            Envelope::Batch
        }
    }

    /// A bulk message was answered well.
    pub(super) fn took(&mut self) {
        self.answered += 1;
    }

    /// A bulk message was refused for one of its rows.
    pub(super) fn refused(&mut self) {
        self.answered += 1;
        self.refused += 1;
    }
}

/// Whether there is a bulk message for it. Deletes have none on standard tables, and `UpsertMultiple` does not tell what
/// became of whom: what is not known is found first.
fn is_carried(action: Action) -> bool {
    match action {
        Action::Create(_) | Action::Update(_) => true,
        Action::Upsert | Action::UpdateByKey | Action::Delete(_) => false,
    }
}

/// Whether one message carries both.
pub(super) fn alike(one: Action, other: Action) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapping(envelopes: Envelopes) -> Wrapping {
        Wrapping::new(&Options {
            envelopes,
            ..Options::default()
        })
    }

    #[test]
    fn auto_gives_bulk_messages_up_where_more_than_one_in_four_is_refused() {
        let mut auto = wrapping(Envelopes::Auto);
        (0..3).for_each(|_| auto.refused());
        assert!(auto.is_bulk(), "too early to tell");
        auto.refused();
        assert!(!auto.is_bulk());
    }

    #[test]
    fn auto_keeps_bulk_messages_that_are_rarely_refused() {
        let mut auto = wrapping(Envelopes::Auto);
        for _ in 0..10 {
            (0..3).for_each(|_| auto.took());
            auto.refused();
            assert!(auto.is_bulk());
        }
    }

    #[test]
    fn auto_tries_both_envelopes_and_stays_with_the_faster_one() {
        let second = Duration::from_secs(1);
        for (in_bulk, in_batches, is_bulk) in [(300, 200, true), (200, 300, false)] {
            let mut auto = wrapping(Envelopes::Auto);
            for request in 0..2 * FIRST_TRIES {
                assert_eq!(auto.is_bulk(), request.is_multiple_of(2));
                if auto.is_bulk() {
                    auto.brought(Envelope::Bulk, in_bulk, second);
                } else {
                    auto.brought(Envelope::Batch, in_batches, second);
                }
                auto.sends();
            }
            let mut kept = Vec::new();
            for _ in 2 * FIRST_TRIES..UNTIL_RETRIED {
                kept.push(auto.is_bulk());
                auto.sends();
            }
            assert!(kept.iter().all(|it| *it == is_bulk));
            auto.sends();
            assert!(!auto.is_bulk(), "both are tried again");
        }
    }

    #[test]
    fn whoever_wants_bulk_messages_gets_them_whatever_is_refused() {
        let mut bulk = wrapping(Envelopes::Bulk);
        (0..9).for_each(|_| bulk.refused());
        assert!(bulk.is_bulk());
        assert!(!wrapping(Envelopes::Batch).is_bulk() && !wrapping(Envelopes::Single).is_bulk());
    }
}
