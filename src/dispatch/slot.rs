//! Room for one request of one user.

use std::sync::Arc;
use std::time::Duration;

use super::pace::Ticket;
use super::shared::Shared;

/// Room for one request of one user; given back when it is dropped, also if the request is given up.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    user: usize,
    ticket: Ticket,
}

impl Slot {
    pub(super) fn new(shared: &Arc<Shared>, user: usize, ticket: Ticket) -> Self {
        Self {
            shared: Arc::clone(shared),
            user,
            ticket,
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
