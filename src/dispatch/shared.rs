//! What all lanes of a run know of its application users.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::account::{Dropped, Traffic};
use super::lull::Lull;
use super::meter::Meter;
use super::options::Options;
use super::users::{Errand, Turn, Users};
use crate::model::ServiceError;

/// What is known of the users, for whoever sends as them.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) meter: Arc<Meter>,
    /// Told when somebody may be able to send who was not before.
    freed: watch::Sender<()>,
}

/// The same, while nobody else changes it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) users: Users,
    /// Since when the service has only refused, and not worked.
    pub(super) troubled_since: Option<Instant>,
    pub(super) lull: Lull,
    /// What it said last when it did.
    pub(super) said: ServiceError,
    pub(super) jitter: fastrand::Rng,
    pub(super) traffic: Traffic,
    pub(super) dropped: Vec<Dropped>,
}

impl State {
    /// Who sends next.
    pub(super) fn turn(&self, errand: Errand, now: Instant) -> Turn {
        match self.lull.until(now) {
            Some(until) => Turn::At(until),
            None => self.users.turn(errand, now),
        }
    }

    /// The service could not work, and said so.
    pub(super) fn trouble(&mut self, error: &ServiceError) {
        self.troubled_since.get_or_insert_with(Instant::now);
        self.said = error.clone();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.users.charge(&self.meter);
    }
}

impl Shared {
    pub(super) fn new(users: usize, options: &Options, meter: Arc<Meter>) -> Self {
        let state = State {
            users: Users::new(users, options),
            troubled_since: None,
            lull: Lull::default(),
            said: ServiceError::default(),
            jitter: fastrand::Rng::with_seed(options.seed),
            traffic: Traffic::default(),
            dropped: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            meter,
            freed: watch::Sender::new(()),
        }
    }

    /// Hears when somebody may be able to send who was not before.
    pub(super) fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }

    /// A poisoned lock only means that a thread died between two assignments; each is harmless alone.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody may be able to send who was not before.
    pub(super) fn free(&self) {
        self.freed.send_replace(());
    }
}
