//! Room for one request of one user.

use std::sync::Arc;
use std::time::Duration;

use super::lull::Heard;
use super::options::Options;
use super::pace::Ticket;
use super::penalty::backoff;
use super::shared::{Shared, State};

/// Room for one request of one user; given back when it is dropped, also if the request is given up.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    user: usize,
    ticket: Ticket,
    /// Pauses of a service that works for nobody, before it.
    pauses: u32,
}

impl Slot {
    pub(super) fn new(shared: &Arc<Shared>, user: usize, ticket: Ticket, pauses: u32) -> Self {
        Self {
            shared: Arc::clone(shared),
            user,
            ticket,
            pauses,
        }
    }

    pub(super) fn user(&self) -> usize {
        self.user
    }

    /// Whether the user may still send: its penalty may have begun meanwhile.
    pub(super) fn is_open(&self) -> bool {
        self.shared.state().users.is_open(self.user)
    }

    /// The request was answered well.
    pub(super) fn answered(&self, operations: usize, took: Duration) {
        let mut state = self.shared.state();
        let users = &mut state.users;
        users.answered(self.user, self.ticket, operations, took);
    }

    /// The request came back. If nobody works, the next ones wait.
    pub(super) fn comes_back(&self, heard: Heard, options: &Options) {
        let mut state = self.shared.state();
        let State { lull, jitter, .. } = &mut *state;
        match heard {
            Heard::Words => lull.ends(),
            Heard::Silence => lull.deepens(self.pauses, |pauses| {
                let wait = backoff(jitter, options, pauses);
                self.shared.meter.backs_off(wait);
                wait
            }),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.state().users.ends(self.user);
        self.shared.free();
    }
}

/// A find that waits for room.
pub(super) struct Seeking {
    shared: Arc<Shared>,
}

impl Seeking {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        shared.state().users.seeks();
        let shared = Arc::clone(shared);
        Self { shared }
    }
}

impl Drop for Seeking {
    fn drop(&mut self) {
        self.shared.state().users.sought();
        self.shared.free();
    }
}
