//! The way to the service that all requests of one application user share, and its penalties.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::account::{StopCause, Traffic};
use super::meter::Meter;
use super::options::Options;
use crate::model::{Batch, Cause, Destination, Failure, Fate, Find, Found, Reply, ServiceError};

/// The way to the service that all requests of one application user share.
///
/// A penalty concerns the user and not one request: while it lasts, nothing goes over the lane. So whoever sends
/// or finds as that user must hold a clone of the same lane.
#[derive(Debug)]
pub struct Lane<D> {
    shared: Arc<Shared<D>>,
}

impl<D> Clone for Lane<D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<D> {
    destination: Arc<D>,
    options: Options,
    meter: Arc<Meter>,
    state: Mutex<State>,
}

impl<D> Drop for Shared<D> {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state
            .unwrap_or_else(PoisonError::into_inner)
            .charge(&self.meter);
    }
}

#[derive(Debug)]
struct State {
    /// Nothing is sent before.
    free_at: Instant,
    /// Up to where penalties are on the meter, and the code of the one that lasts.
    charged: (Instant, String),
    /// How many penalties there were.
    penalties: u64,
    /// How many of them in a row came without a time to wait.
    untold: u32,
    /// Since when the service has only refused, and not worked.
    troubled_since: Option<Instant>,
    /// What it said last when it did.
    said: ServiceError,
    jitter: fastrand::Rng,
    traffic: Traffic,
}

impl State {
    fn trouble(&mut self, error: &ServiceError) {
        self.troubled_since.get_or_insert_with(Instant::now);
        self.said = error.clone();
    }

    /// Puts on the meter what of the penalty has passed by now.
    fn charge(&mut self, meter: &Meter) {
        let (from, code) = &mut self.charged;
        let until = self.free_at.min(Instant::now());
        if until > *from {
            meter.paused(code, until - *from);
            *from = until;
        }
    }

    /// A penalty begins, or is prolonged for another reason.
    fn is_paused_by(&mut self, error: &ServiceError, meter: &Meter) {
        self.charge(meter);
        let now = Instant::now();
        if self.free_at <= now || self.charged.1 != error.code {
            meter.penalty(&error.code);
        }
        self.charged = (now, error.code.clone());
    }
}

/// The answer to a batch and how long it took, waiting for penalties left out.
pub(super) struct Sent {
    pub(super) replies: Vec<Reply>,
    pub(super) took: Duration,
}

impl<D> Lane<D> {
    /// A lane to that destination. Must be called within a tokio runtime with time.
    pub fn new(destination: Arc<D>, options: Options) -> Self {
        Self::metered(destination, options, Arc::default())
    }

    /// The same, with a meter that other lanes of the run write to as well.
    pub fn metered(destination: Arc<D>, options: Options, meter: Arc<Meter>) -> Self {
        let now = Instant::now();
        let state = State {
            free_at: now,
            charged: (now, String::new()),
            penalties: 0,
            untold: 0,
            troubled_since: None,
            said: ServiceError::default(),
            jitter: fastrand::Rng::with_seed(options.seed),
            traffic: Traffic::default(),
        };
        let state = Mutex::new(state);
        Self {
            shared: Arc::new(Shared {
                destination,
                options,
                meter,
                state,
            }),
        }
    }

    /// What went over the lane so far; cheap enough to ask for every line of progress.
    pub fn traffic(&self) -> Traffic {
        let mut state = self.state();
        state.charge(&self.shared.meter);
        Traffic {
            pause: state.free_at.saturating_duration_since(Instant::now()),
            ..state.traffic
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Until when nothing is sent, if there is a penalty.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        let free_at = self.state().free_at;
        (free_at > Instant::now()).then_some(free_at)
    }

    /// How many penalties there were.
    pub(super) fn penalties(&self) -> u64 {
        self.state().penalties
    }

    /// The wait before an operation is sent again that has failed so often, with jitter: half of it is fixed.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let wait = backoff(&mut self.state().jitter, self.options(), failures);
        self.shared.meter.backs_off(wait);
        wait
    }

    /// The service worked.
    pub(super) fn progressed(&self) {
        let mut state = self.state();
        state.troubled_since = None;
        state.untold = 0;
    }

    /// The service could not work, and said so.
    pub(super) fn troubled(&self, error: &ServiceError) {
        self.state().trouble(error);
    }

    /// Whether it is time to give up: the deadline has passed or comes before the end of the penalty, or the
    /// service has tried the run's patience.
    pub(super) fn must_stop(&self) -> Option<StopCause> {
        let now = Instant::now();
        let options = self.options();
        let state = self.state();
        let exhausted = || Some(StopCause::Exhausted(state.said.clone()));
        let paused = state.free_at > now;
        let next = state.free_at.max(now);
        if options.deadline.is_some_and(|deadline| next >= deadline) {
            return if paused || state.troubled_since.is_some() {
                exhausted()
            } else {
                Some(StopCause::Deadline)
            };
        }
        let patient_until = state.troubled_since.unwrap_or(now) + options.patience;
        if next > patient_until {
            exhausted()
        } else {
            None
        }
    }

    /// A poisoned lock only means that a thread died between two assignments; each is harmless alone.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn impose(&self, told: Option<Duration>, error: &ServiceError) {
        let now = Instant::now();
        let meter = &self.shared.meter;
        meter.throttled();
        let mut state = self.state();
        state.traffic.throttled += 1;
        state.trouble(error);
        let running = state.free_at > now;
        // While a penalty lasts, the answers of what was in flight add nothing to it unless they say so.
        let wait = match told {
            Some(told) => told,
            None if running => return,
            None => {
                state.untold = state.untold.saturating_add(1);
                let failures = state.untold;
                backoff(&mut state.jitter, self.options(), failures)
            }
        };
        if !running {
            state.penalties += 1;
        }
        // A time beyond what the clock can tell is as good as a day: patience ends long before.
        let ends = now
            .checked_add(wait)
            .unwrap_or(now + Duration::from_hours(24));
        if ends > state.free_at {
            let since = state.free_at.max(now);
            state.is_paused_by(error, meter);
            state.traffic.waited += ends - since;
            state.free_at = ends;
        }
        warn!(error = %error, wait_seconds = wait.as_secs_f64(), "throttled");
    }
}

impl<D: Destination> Lane<D> {
    /// Sends one batch, after the penalty if there is one.
    ///
    /// # Cancellation
    /// Not cancel-safe, like [`Destination::send`].
    pub(super) async fn send(&self, batch: &Batch) -> Sent {
        self.free().await;
        self.state().traffic.batches += 1;
        let started = Instant::now();
        let in_flight = InFlight::of(self);
        let replies = self.shared.destination.send(batch).await;
        drop(in_flight);
        let took = started.elapsed();
        self.shared.meter.answered(answered(&replies), took);
        // At once, not when the batch is judged: nobody must slip through in between.
        if let Some((told, error)) = longest_penalty(&replies) {
            self.impose(told, error);
        }
        debug!(
            operations = batch.operations.len(),
            elapsed_ms = took.as_millis(),
            "batch answered"
        );
        Sent { replies, took }
    }

    /// Finds records, after the penalty if there is one.
    ///
    /// # Cancellation
    /// Safe, like [`Destination::find`].
    pub(super) async fn find(&self, what: &Find) -> Result<Vec<Found>, Failure> {
        self.free().await;
        self.state().traffic.finds += 1;
        let in_flight = (InFlight::of(self), self.shared.meter.looks_up());
        let found = self.shared.destination.find(what).await;
        drop(in_flight);
        if let Err(failure) = &found
            && let Some((told, error)) = penalty(failure)
        {
            self.impose(told, error);
        }
        found
    }

    /// Waits until nothing forbids to send. A penalty may be prolonged meanwhile.
    async fn free(&self) {
        while let Some(until) = self.paused_until() {
            tokio::time::sleep_until(until).await;
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

/// How many operations got an answer of their own.
fn answered(replies: &[Reply]) -> u64 {
    let is_answered = |reply: &&Reply| match reply {
        Reply::Accepted(_) => true,
        Reply::Failed(failure) => failure.fate == Fate::Answered,
    };
    replies.iter().filter(is_answered).count() as u64
}

/// Of several penalties in one answer the one that says most.
fn longest_penalty(replies: &[Reply]) -> Option<(Option<Duration>, &ServiceError)> {
    let told = replies.iter().filter_map(|reply| match reply {
        Reply::Accepted(_) => None,
        Reply::Failed(failure) => penalty(failure),
    });
    told.max_by_key(|(told, _)| *told)
}

fn penalty(failure: &Failure) -> Option<(Option<Duration>, &ServiceError)> {
    match failure.cause {
        Cause::Throttled { retry_after } => Some((retry_after, &failure.error)),
        Cause::Transient
        | Cause::TooLarge
        | Cause::Row(_)
        | Cause::Credential
        | Cause::Contract => None,
    }
}

fn backoff(jitter: &mut fastrand::Rng, options: &Options, failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    let wait = options
        .backoff
        .saturating_mul(doubled)
        .min(options.longest_backoff);
    wait / 2 + (wait / 2).mul_f64(jitter.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_half_of_each_is_jitter() {
        let options = Options::default();
        let mut jitter = fastrand::Rng::with_seed(7);
        let mut seconds = |failures| backoff(&mut jitter, &options, failures).as_secs_f64();
        assert!((1.0..=2.0).contains(&seconds(1)));
        assert!((2.0..=4.0).contains(&seconds(2)));
        assert!((30.0..=60.0).contains(&seconds(9)));
        assert!((30.0..=60.0).contains(&seconds(u32::MAX)));
    }

    #[tokio::test(start_paused = true)]
    async fn overlapping_penalties_count_once() {
        let lane = Lane::new(Arc::new(()), Options::default());
        let error = ServiceError::default();
        lane.impose(Some(Duration::from_secs(10)), &error);
        lane.impose(Some(Duration::from_secs(4)), &error);
        lane.impose(None, &error);
        lane.impose(Some(Duration::from_secs(17)), &error);
        let traffic = lane.traffic();
        assert_eq!(traffic.waited, Duration::from_secs(17));
        assert_eq!((traffic.throttled, lane.penalties()), (4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_penalty_is_on_the_meter_by_its_code_as_far_as_it_has_passed() {
        let meter: Arc<Meter> = Arc::default();
        let lane = Lane::metered(Arc::new(()), Options::default(), Arc::clone(&meter));
        let said = |code: &str| ServiceError {
            code: code.to_owned(),
            ..ServiceError::default()
        };
        let seconds = Duration::from_secs;
        lane.impose(Some(seconds(10)), &said("many"));
        tokio::time::advance(seconds(4)).await;
        lane.impose(Some(seconds(20)), &said("long"));
        tokio::time::advance(seconds(5)).await;
        assert_eq!(lane.traffic().pause, seconds(15));
        let waits = |meter: &Meter| -> Vec<(u64, u64)> {
            let waits = meter.measured().waits.into_iter();
            waits.map(|it| (it.times, it.time.as_secs())).collect()
        };
        assert_eq!(waits(&meter), [(1, 4), (1, 5)]);
        tokio::time::advance(seconds(100)).await;
        lane.impose(Some(seconds(1)), &said("long"));
        tokio::time::advance(seconds(100)).await;
        drop(lane);
        assert_eq!(waits(&meter), [(1, 4), (2, 21)]);
    }
}
