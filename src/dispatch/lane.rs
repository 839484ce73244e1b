//! The way to the service that all requests of a run share, and its penalties.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::account::{Dropped, StopCause, Traffic};
use super::flight::unfound;
use super::lull::Heard;
use super::meter::Meter;
use super::options::Options;
use super::penalty::{Penalty, answered, backoff, longest_penalty, penalty};
use super::shared::{Shared, State};
use super::slot::{Seeking, Slot};
use super::users::{Errand, Turn};
use crate::model::{Batch, Cause, Destination, Failure, Fate, Find, Found, Reply, ServiceError};

/// The way to the service that all requests of a run share, as one application user or several.
///
/// A penalty concerns a user and not one request: while it lasts, nothing goes over the lane as that user, and others go
/// on. So whoever sends or finds must hold a clone of the same lane.
#[derive(Debug)]
pub struct Lane<D> {
    /// The same table as each of the users.
    destinations: Arc<[Arc<D>]>,
    options: Arc<Options>,
    pub(super) shared: Arc<Shared>,
}

impl<D> Clone for Lane<D> {
    fn clone(&self) -> Self {
        Self {
            destinations: Arc::clone(&self.destinations),
            options: Arc::clone(&self.options),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The answer to a batch and how long it took, waiting for penalties left out.
pub(super) struct Sent {
    pub(super) replies: Vec<Reply>,
    /// How many of them are answers of their own.
    pub(super) rows: u64,
    pub(super) took: Duration,
    /// As which user it was sent.
    pub(super) user: Option<usize>,
}

impl<D> Lane<D> {
    /// A lane to that destination as one user. Must be called within a tokio runtime with time.
    pub fn new(destination: Arc<D>, options: Options) -> Self {
        Self::of(vec![destination], options, Arc::default())
    }

    /// A lane to one table as several users, of which each has a destination of its own, with a meter for all of them.
    /// Must be called within a tokio runtime with time.
    pub fn of(destinations: Vec<Arc<D>>, options: Options, meter: Arc<Meter>) -> Self {
        let shared = Shared::new(destinations.len(), &options, meter);
        Self {
            destinations: destinations.into(),
            options: Arc::new(options),
            shared: Arc::new(shared),
        }
    }

    /// A lane to another table, or the same one in another way, as the same users: their penalties and what was learned
    /// of their pace last.
    #[must_use]
    pub fn toward(&self, destinations: Vec<Arc<D>>, options: Options) -> Self {
        Self {
            destinations: destinations.into(),
            options: Arc::new(options),
            shared: Arc::clone(&self.shared),
        }
    }

    /// What went over the lane so far; cheap enough to ask for every line of progress.
    pub fn traffic(&self) -> Traffic {
        let mut state = self.state();
        state.users.charge(&self.shared.meter);
        let now = Instant::now();
        let free_at = state.users.free_at().unwrap_or(now);
        Traffic {
            pause: free_at.saturating_duration_since(now),
            ..state.traffic
        }
    }

    /// The users that are not asked to send any more, since their secret or role fails.
    pub fn dropped(&self) -> Vec<Dropped> {
        self.state().dropped.clone()
    }

    /// Nothing is sent as that user before: a penalty of an earlier run lasts.
    pub fn rests(&self, user: usize, until: Instant) {
        self.state().users.rests(user, until);
    }

    /// Until when nothing is sent as that user, if a penalty lasts.
    pub fn rests_until(&self, user: usize) -> Option<Instant> {
        self.state().users.rests_until(user)
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Whose turn it is to send at that time.
    pub(super) fn turn(&self, now: Instant) -> Turn {
        self.state().turn(Errand::Write, now)
    }

    /// How many requests may be on their way, of all users together.
    pub(super) fn width(&self) -> usize {
        self.state().users.width()
    }

    /// Everything is sent that may be, or that there is.
    pub(super) fn filled(&self) {
        self.state().users.filled();
    }

    /// Hears when somebody may be able to send who was not before.
    pub(super) fn freed(&self) -> watch::Receiver<()> {
        self.shared.freed()
    }

    /// Room for a request now, or when to ask again.
    pub(super) fn try_slot(&self, errand: Errand) -> Result<Slot, Turn> {
        let mut state = self.state();
        match state.turn(errand, Instant::now()) {
            Turn::Of(user) => match state.users.begins(user) {
                Some(ticket) => {
                    let pauses = state.lull.pauses();
                    Ok(Slot::new(&self.shared, user, ticket, pauses))
                }
                None => Err(Turn::AfterAnswer),
            },
            turn @ (Turn::At(_) | Turn::AfterAnswer) => Err(turn),
        }
    }

    /// Room for a request as soon as there is.
    ///
    /// # Errors
    /// If no user is left. A find also gives up when it is time: where nothing is written, nobody else looks at the clock.
    async fn slot(&self, errand: Errand) -> Result<Slot, StopCause> {
        let _seeking = (errand == Errand::Find).then(|| Seeking::of(&self.shared));
        let mut freed = self.freed();
        loop {
            freed.borrow_and_update();
            let turn = match self.try_slot(errand) {
                Ok(slot) => return Ok(slot),
                Err(turn) => turn,
            };
            let nobody_is_left = self.state().users.left() == 0;
            if (errand == Errand::Find || nobody_is_left)
                && let Some(cause) = self.must_stop()
            {
                return Err(cause);
            }
            let until = match turn {
                Turn::At(time) => time,
                // Somebody will be told sooner.
                Turn::Of(_) | Turn::AfterAnswer => Instant::now() + Duration::from_hours(1),
            };
            let until = match errand {
                Errand::Find => self.in_time(until),
                // The gate looks at the clock.
                Errand::Write => until,
            };
            tokio::select! {
                // The sender lives as long as the lane.
                _ = freed.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// A user's secret or role fails: it is not asked to send any more. Tells whether somebody else is.
    pub(super) fn goes_on_without(&self, user: Option<usize>, error: &ServiceError) -> bool {
        let mut state = self.state();
        let Some(user) = user else {
            return state.users.left() > 0;
        };
        if !state.dropped.iter().any(|dropped| dropped.user == user) {
            state.users.drop(user);
            let left = state.users.left();
            warn!(user, left, error = %error, "an application user is dropped");
            let error = error.clone();
            state.dropped.push(Dropped { user, error });
        }
        let left = state.users.left();
        drop(state);
        self.shared.free();
        left > 0
    }

    /// The wait before an operation is sent again that has failed so often, with jitter: half of it is fixed.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let wait = backoff(&mut self.state().jitter, self.options(), failures);
        self.shared.meter.backs_off(wait);
        wait
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    fn impose(&self, user: usize, penalty: Penalty<'_>) {
        let now = Instant::now();
        let meter = &self.shared.meter;
        meter.throttled();
        let (_, error) = penalty;
        let mut state = self.state();
        state.traffic.throttled += 1;
        state.trouble(error);
        let State {
            users,
            jitter,
            traffic,
            ..
        } = &mut *state;
        let free_before = users.free_at().unwrap_or(now).max(now);
        let usual = |failures| backoff(jitter, &self.options, failures);
        let Some(wait) = users.impose(user, penalty, meter, usual) else {
            return;
        };
        let free_after = users.free_at().unwrap_or(now).max(now);
        traffic.waited += free_after - free_before;
        warn!(error = %error, user, wait_seconds = wait.as_secs_f64(), "throttled");
    }
}

impl<D: Destination> Lane<D> {
    /// Sends one batch, once there is room for it. Without a user that is left, it is refused.
    ///
    /// # Cancellation
    /// Not cancel-safe, like [`Destination::send`].
    pub(super) async fn send(&self, slot: Option<Slot>, batch: &Batch) -> Sent {
        // A penalty may have begun since there was room.
        let slot = match slot.filter(Slot::is_open) {
            Some(slot) => Some(slot),
            None => self.slot(Errand::Write).await.ok(),
        };
        let Some((slot, destination)) = self.way(slot) else {
            return self.nobody_left(batch);
        };
        self.state().traffic.batches += 1;
        let started = Instant::now();
        let in_flight = InFlight::of(self);
        let replies = destination.send(batch).await;
        drop(in_flight);
        let took = started.elapsed();
        // At once, not when the batch is judged: nobody must slip through in between.
        let rows = answered(&replies);
        self.shared.meter.answered(rows, took);
        if let Some(penalty) = longest_penalty(&replies) {
            self.impose(slot.user(), penalty);
        } else if rows > 0 {
            slot.answered(batch.operations.len(), took);
        }
        slot.comes_back(Heard::of_batch(&replies), self.options());
        debug!(
            operations = batch.operations.len(),
            elapsed_ms = took.as_millis(),
            "batch answered"
        );
        let user = Some(slot.user());
        Sent {
            replies,
            rows,
            took,
            user,
        }
    }

    /// Finds records, once there is room for it. A user whose secret or role fails is dropped, and another one asked.
    ///
    /// # Errors
    /// Why the run stops, or else what was answered.
    ///
    /// # Cancellation
    /// Safe, like [`Destination::find`].
    pub(super) async fn find(&self, what: &Find) -> Result<Result<Vec<Found>, Failure>, StopCause> {
        loop {
            let slot = self.slot(Errand::Find).await?;
            let Some((slot, destination)) = self.way(Some(slot)) else {
                return Ok(Err(self.refused_by_all()));
            };
            self.state().traffic.finds += 1;
            let in_flight = (InFlight::of(self), self.shared.meter.looks_up());
            let found = match self.options.deadline {
                // What is found later is of no use any more.
                Some(deadline) => timeout_at(deadline, destination.find(what)).await,
                None => Ok(destination.find(what).await),
            };
            let found = found.unwrap_or_else(|_| Err(unfound()));
            drop(in_flight);
            slot.comes_back(Heard::of_find(&found), self.options());
            let Err(failure) = &found else {
                return Ok(found);
            };
            if let Some(penalty) = penalty(failure) {
                self.impose(slot.user(), penalty);
            }
            let is_dropped = failure.cause == Cause::Credential
                && self.goes_on_without(Some(slot.user()), &failure.error);
            if !is_dropped {
                return Ok(found);
            }
        }
    }

    fn way(&self, slot: Option<Slot>) -> Option<(Slot, Arc<D>)> {
        let slot = slot?;
        let destination = self.destinations.get(slot.user())?;
        Some((slot, Arc::clone(destination)))
    }

    fn nobody_left(&self, batch: &Batch) -> Sent {
        let failure = Reply::Failed(self.refused_by_all());
        Sent {
            replies: vec![failure; batch.operations.len()],
            rows: 0,
            took: Duration::ZERO,
            user: None,
        }
    }

    fn refused_by_all(&self) -> Failure {
        let last = self.state().dropped.last().cloned();
        Failure {
            fate: Fate::Refused,
            cause: Cause::Credential,
            error: last.map_or_else(ServiceError::default, |dropped| dropped.error),
        }
    }
}

/// One request in the count of those in flight, also when it is given up.
struct InFlight<'a, D>(&'a Lane<D>);

impl<'a, D> InFlight<'a, D> {
    fn of(lane: &'a Lane<D>) -> Self {
        lane.state().traffic.in_flight += 1;
        lane.shared.meter.sent();
        Self(lane)
    }
}

impl<D> Drop for InFlight<'_, D> {
    fn drop(&mut self) {
        self.0.state().traffic.in_flight -= 1;
        self.0.shared.meter.ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Limit;

    #[tokio::test(start_paused = true)]
    async fn overlapping_penalties_count_once() {
        let lane = Lane::new(Arc::new(()), Options::default());
        let error = ServiceError::default();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for told in [seconds(10), seconds(4), None, seconds(17)] {
            lane.impose(0, ((told, Limit::Window), &error));
        }
        let traffic = lane.traffic();
        assert_eq!(traffic.waited, Duration::from_secs(17));
        assert_eq!(traffic.throttled, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_refuses_without_a_time_to_wait_is_asked_less_and_less_often() {
        for told in [None, Some(Duration::ZERO)] {
            let lane = Lane::new(Arc::new(()), Options::default());
            for longest in [2, 4, 8].map(Duration::from_secs) {
                lane.impose(0, ((told, Limit::Window), &ServiceError::default()));
                let pause = lane.traffic().pause;
                assert!((longest / 2..=longest).contains(&pause), "{pause:?}");
                lane.impose(0, ((told, Limit::Window), &ServiceError::default()));
                let same = lane.traffic().pause;
                assert_eq!(same, pause, "what was in flight adds nothing to it");
                tokio::time::advance(pause).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_penalty_is_on_the_meter_by_its_code_as_far_as_it_has_passed() {
        let meter: Arc<Meter> = Arc::default();
        let lane = Lane::of(vec![Arc::new(())], Options::default(), Arc::clone(&meter));
        let seconds = Duration::from_secs;
        let impose = |time, code: &str| {
            let error = ServiceError {
                code: code.to_owned(),
                ..ServiceError::default()
            };
            lane.impose(0, ((Some(seconds(time)), Limit::Window), &error));
        };
        impose(10, "many");
        tokio::time::advance(seconds(4)).await;
        impose(20, "long");
        tokio::time::advance(seconds(5)).await;
        assert_eq!(lane.traffic().pause, seconds(15));
        let waits = |meter: &Meter| -> Vec<(u64, u64)> {
            let waits = meter.measured().waits.into_iter();
            waits.map(|it| (it.times, it.time.as_secs())).collect()
        };
        assert_eq!(waits(&meter), [(1, 4), (1, 5)]);
        tokio::time::advance(seconds(100)).await;
        impose(1, "long");
        tokio::time::advance(seconds(100)).await;
        drop(lane);
        assert_eq!(waits(&meter), [(1, 4), (2, 21)]);
    }
}
