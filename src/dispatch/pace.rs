//! How many requests of one application user are in flight, and how quickly they follow one another.

use std::time::Duration;

use tokio::time::Instant;

use super::climb::{Answered, Climb, Fill};
use super::grant::{Excess, Grant};
use super::options::Options;
use crate::model::Limit;

/// Requests that are answered well before a width is tried again at which the service refused; twice as many each
/// time that it refuses again.
const PROVED: u32 = 2_000;

/// How many requests of one application user are in flight, and how quickly they follow one another.
///
/// Climbs until the service says that it is too much, and remembers what was granted.
#[derive(Debug)]
pub(super) struct Pace {
    climb: Climb,
    grant: Grant,
    most: usize,
    /// After a penalty: the width as far as it is open again.
    open: usize,
    penalties: u64,
    refusal: Refusal,
}

/// What is known of the limit on requests at a time.
#[derive(Debug)]
struct Refusal {
    /// Requests on their way when the first one was refused in this penalty, it included.
    under_way: usize,
    refused: usize,
    /// Requests answered well since the limit was met.
    answered: u32,
    /// How many of those must be before one more is tried.
    patience: u32,
}

/// What a request was sent under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    window: u64,
    penalties: u64,
}

impl Pace {
    pub(super) fn new(options: &Options) -> Self {
        let most = options.concurrency.get();
        Self {
            climb: Climb::new(options.first_concurrency.get(), most),
            grant: Grant::new(),
            most,
            open: usize::MAX,
            penalties: 0,
            refusal: Refusal {
                under_way: 0,
                refused: 0,
                answered: 0,
                patience: PROVED,
            },
        }
    }

    /// How many requests may be in flight.
    pub(super) fn width(&self) -> usize {
        self.climb.width().min(self.open)
    }

    /// When the next request may be sent; `None` if at once.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.grant.due(now)
    }

    /// A request is sent.
    pub(super) fn sends(&mut self) -> Ticket {
        self.grant.sends();
        Ticket {
            window: self.climb.window(),
            penalties: self.penalties,
        }
    }

    /// So many requests are on their way, since there was nothing more to send or no more might be.
    pub(super) fn filled(&mut self, under_way: usize) {
        self.climb.filled(if under_way >= self.climb.width() {
            Fill::Full
        } else {
            Fill::Partly
        });
    }

    /// A request was answered well.
    pub(super) fn answered(&mut self, ticket: Ticket, operations: usize, took: Duration) {
        // What was sent before a penalty does not tell that more may be sent after it.
        if ticket.penalties == self.penalties {
            self.open = self.open.saturating_add(1);
        }
        if self.open >= self.climb.width() {
            self.open = usize::MAX;
        }
        self.climb.answered(Answered {
            window: ticket.window,
            operations,
            took,
        });
        self.refusal.answered += 1;
        if self.refusal.answered >= self.refusal.patience {
            self.refusal.answered = 0;
            let wider = self.climb.most().saturating_add(1).min(self.most);
            self.climb.limit(wider);
        }
    }

    /// The service imposes a penalty, the first one since the last ended; so many requests are on their way, the refused
    /// one included.
    pub(super) fn penalised(&mut self, under_way: usize) {
        self.penalties += 1;
        self.open = (self.width() / 2).max(1);
        self.climb.held();
        (self.refusal.under_way, self.refusal.refused) = (under_way, 0);
    }

    /// A request was refused, for that.
    pub(super) fn refused(&mut self, limit: Limit) {
        match limit {
            Limit::Window => self.grant.refused(Excess::Requests),
            Limit::Time => self.grant.refused(Excess::Time),
            Limit::Concurrency => {
                let refusal = &mut self.refusal;
                refusal.refused += 1;
                refusal.answered = 0;
                if refusal.refused == 1 {
                    refusal.patience = refusal.patience.saturating_mul(2);
                }
                let granted = refusal.under_way.saturating_sub(refusal.refused);
                self.climb.limit(granted.max(1));
            }
        }
    }
}
