//! Which envelope operations travel in: a bulk message where it can carry them and pays, otherwise a `$batch`.

use super::chain::Work;
use super::options::Options;
use super::queue::Packing;
use crate::model::{Action, Envelope, Envelopes};

/// So many bulk messages are tried before their refusals are judged.
const FIRST_TRIES: u64 = 4;

/// One refused bulk message costs itself and a `$batch` of the same rows. One in so many is what it may cost.
const AFFORDABLE: u64 = 4;

/// How bulk messages have fared.
#[derive(Debug)]
pub(super) struct Wrapping {
    envelopes: Envelopes,
    answered: u64,
    refused: u64,
}

impl Wrapping {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            envelopes: options.envelopes,
            answered: 0,
            refused: 0,
        }
    }

    /// Whether new operations travel in bulk messages.
    pub(super) fn is_bulk(&self) -> bool {
        match self.envelopes {
            Envelopes::Batch | Envelopes::Single => false,
            Envelopes::Bulk => true,
            Envelopes::Auto => {
                self.answered < FIRST_TRIES || self.refused * AFFORDABLE <= self.answered
            }
        }
    }

    /// What these travel in. One alone has nothing to win in a bulk message.
    pub(super) fn of(&self, works: &[Work], packing: Packing) -> Envelope {
        let carried = match works {
            [] | [_] => false,
            [first, rest @ ..] => {
                let actions = rest.iter().map(|work| work.operation.action);
                is_carried(first.operation.action)
                    && actions
                        .into_iter()
                        .all(|it| alike(it, first.operation.action))
            }
        };
        if carried && packing != Packing::Each && self.is_bulk() {
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
        Action::Create | Action::Update(_) => true,
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
    fn whoever_wants_bulk_messages_gets_them_whatever_is_refused() {
        let mut bulk = wrapping(Envelopes::Bulk);
        (0..9).for_each(|_| bulk.refused());
        assert!(bulk.is_bulk());
        assert!(!wrapping(Envelopes::Batch).is_bulk() && !wrapping(Envelopes::Single).is_bulk());
    }
}
