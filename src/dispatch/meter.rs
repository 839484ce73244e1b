//! What a run's requests came to: how many, how long they took, how many at a time, and what was waited for.
//!
//! All lanes of a run write to one meter, so that its figures need no adding up. Nothing is steered by it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::curve::{Curve, Point};
use super::histogram::{Histogram, Latency};

/// Codes that are told apart; a service that has more is told as having said nothing.
const MOST_CODES: usize = 16;

/// What a run's requests came to so far.
#[derive(Debug, Default)]
pub struct Meter {
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    /// The first request, and the last answer.
    span: Option<(Instant, Instant)>,
    in_flight: usize,
    most_in_flight: usize,
    rows: u64,
    throttled: u64,
    latency: Histogram,
    curve: Curve,
    penalties: Vec<Wait>,
    /// The code of the last penalty.
    said: String,
    backing_off: Spell,
    looking_up: usize,
    /// While something is looked for.
    looking_since: Option<Instant>,
    looked_up: Spell,
}

/// What was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitCause {
    /// The service said to wait; its code, or nothing if it had none.
    Throttled(String),
    /// It failed, and what it was asked is tried again after a while.
    BackingOff,
    /// Records were looked for.
    LookingUp,
}

/// Time spent for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What it was.
    pub cause: WaitCause,
    /// How often; searches that overlap are one.
    pub times: u64,
    /// How long. What overlaps counts once; penalties of several users count for each.
    pub time: Duration,
}

/// What a run's requests came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measured {
    /// From the first request to the last answer.
    pub time: Duration,
    /// Rows that were answered for themselves, well or not.
    pub rows: u64,
    /// The most requests that were in flight at a time.
    pub most_in_flight: usize,
    /// Requests that the service throttled.
    pub throttled: u64,
    /// How long batches took, waits left out.
    pub latency: Latency,
    /// What was waited for.
    pub waits: Vec<Wait>,
    /// How many requests were in flight when.
    pub curve: Vec<Point>,
}

/// What goes on at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Rows that were answered so far.
    pub rows: u64,
    /// Requests in flight.
    pub in_flight: usize,
    /// How many of them look for records.
    pub looking_up: usize,
    /// The code of the last penalty, empty if it had none.
    pub said: String,
    /// How long the longest back-off still takes.
    pub backing_off: Duration,
}

impl Measured {
    /// How long nothing was sent because the service said so, summed over users.
    pub fn throttled_time(&self) -> Duration {
        let penalties = self
            .waits
            .iter()
            .filter(|wait| matches!(wait.cause, WaitCause::Throttled(_)));
        penalties.map(|wait| wait.time).sum()
    }
}

/// Time in which something went on; what overlaps counts once.
#[derive(Debug, Clone, Copy, Default)]
struct Spell {
    times: u64,
    time: Duration,
    ends: Option<Instant>,
}

impl Spell {
    /// It goes on from one time to another. The first time must not go backwards.
    fn lasts(&mut self, from: Instant, to: Instant) {
        let counted = self.ends.map_or(from, |ends| ends.max(from));
        self.times += 1;
        self.time += to.saturating_duration_since(counted);
        self.ends = Some(to.max(counted));
    }

    fn left(&self, now: Instant) -> Duration {
        self.ends
            .map_or(Duration::ZERO, |ends| ends.saturating_duration_since(now))
    }

    /// As long as it has lasted by now.
    fn so_far(&self, now: Instant, cause: WaitCause) -> Wait {
        Wait {
            cause,
            times: self.times,
            time: self.time.saturating_sub(self.left(now)),
        }
    }
}

impl Tally {
    fn changes(&mut self, now: Instant, rows: u64) {
        let (began, ended) = self.span.get_or_insert((now, now));
        *ended = now;
        let at = now.saturating_duration_since(*began);
        self.rows += rows;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        self.curve.note(at, self.in_flight, rows);
    }

    fn penalty(&mut self, code: &str) -> Option<&mut Wait> {
        let place_of = |penalties: &[Wait], code: &str| {
            let is_it = |wait: &Wait| matches!(&wait.cause, WaitCause::Throttled(it) if it == code);
            penalties.iter().position(is_it)
        };
        let code = match place_of(&self.penalties, code) {
            None if self.penalties.len() >= MOST_CODES => "",
            Some(_) | None => code,
        };
        let place = place_of(&self.penalties, code).unwrap_or_else(|| {
            self.penalties.push(Wait {
                cause: WaitCause::Throttled(code.to_owned()),
                times: 0,
                time: Duration::ZERO,
            });
            self.penalties.len() - 1
        });
        self.penalties.get_mut(place)
    }

    /// How long records were looked for by now.
    fn looked_up(&self, now: Instant) -> Wait {
        let mut spell = self.looked_up;
        if let Some(since) = self.looking_since {
            spell.lasts(since, now);
        }
        spell.so_far(now, WaitCause::LookingUp)
    }
}

impl Meter {
    /// What goes on at this moment; cheap enough to ask many times a second.
    pub fn pulse(&self) -> Pulse {
        let tally = self.tally();
        Pulse {
            rows: tally.rows,
            in_flight: tally.in_flight,
            looking_up: tally.looking_up,
            said: tally.said.clone(),
            backing_off: tally.backing_off.left(Instant::now()),
        }
    }

    /// What the requests came to so far.
    pub fn measured(&self) -> Measured {
        let tally = self.tally();
        let now = Instant::now();
        let time = tally.span.map_or(Duration::ZERO, |(began, ended)| {
            ended.saturating_duration_since(began)
        });
        let others = [
            tally.backing_off.so_far(now, WaitCause::BackingOff),
            tally.looked_up(now),
        ];
        let others = others.into_iter().filter(|wait| wait.times > 0);
        Measured {
            time,
            rows: tally.rows,
            most_in_flight: tally.most_in_flight,
            throttled: tally.throttled,
            latency: tally.latency.latency(),
            waits: tally.penalties.iter().cloned().chain(others).collect(),
            curve: tally.curve.points(time),
        }
    }

    /// A request was sent.
    pub(super) fn sent(&self) {
        let mut tally = self.tally();
        tally.in_flight += 1;
        tally.changes(Instant::now(), 0);
    }

    /// A request is no longer in flight.
    pub(super) fn ended(&self) {
        let mut tally = self.tally();
        tally.in_flight = tally.in_flight.saturating_sub(1);
        tally.changes(Instant::now(), 0);
    }

    /// A batch was answered: how many of its rows were answered for themselves, and how long it took.
    pub(super) fn answered(&self, rows: u64, took: Duration) {
        let mut tally = self.tally();
        tally.latency.note(took);
        tally.changes(Instant::now(), rows);
    }

    /// A request was throttled.
    pub(super) fn throttled(&self) {
        self.tally().throttled += 1;
    }

    /// A penalty began, or is prolonged for another reason.
    pub(super) fn penalty(&self, code: &str) {
        let mut tally = self.tally();
        code.clone_into(&mut tally.said);
        if let Some(wait) = tally.penalty(code) {
            wait.times += 1;
        }
    }

    /// A penalty has lasted so much longer.
    pub(super) fn paused(&self, code: &str, time: Duration) {
        if let Some(wait) = self.tally().penalty(code) {
            wait.time += time;
        }
    }

    /// Something is tried again after that time.
    pub(super) fn backs_off(&self, wait: Duration) {
        let now = Instant::now();
        let ends = now.checked_add(wait).unwrap_or(now);
        self.tally().backing_off.lasts(now, ends);
    }

    /// Records are looked for, until what this gives is dropped.
    pub(super) fn looks_up(&self) -> Looking<'_> {
        let mut tally = self.tally();
        tally.looking_up += 1;
        tally.looking_since.get_or_insert_with(Instant::now);
        Looking(self)
    }

    fn looked_up(&self) {
        let mut tally = self.tally();
        tally.looking_up = tally.looking_up.saturating_sub(1);
        if tally.looking_up == 0
            && let Some(since) = tally.looking_since.take()
        {
            tally.looked_up.lasts(since, Instant::now());
        }
    }

    /// A poisoned lock only means that a thread died between two assignments; the figures may lack one request.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One search, also when it is given up.
pub(super) struct Looking<'a>(&'a Meter);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.looked_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn wait(measured: &Measured, cause: &WaitCause) -> (u64, Duration) {
        let wait = measured.waits.iter().find(|wait| wait.cause == *cause);
        wait.map_or((0, Duration::ZERO), |wait| (wait.times, wait.time))
    }

    #[tokio::test(start_paused = true)]
    async fn searches_that_overlap_count_once() {
        let meter = Meter::default();
        let first = meter.looks_up();
        advance(seconds(2)).await;
        let second = meter.looks_up();
        advance(seconds(3)).await;
        drop(second);
        advance(seconds(5)).await;
        drop(first);
        advance(seconds(60)).await;
        let found = wait(&meter.measured(), &WaitCause::LookingUp);
        assert_eq!(found, (1, seconds(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn backing_off_counts_only_what_has_passed() {
        let meter = Meter::default();
        meter.backs_off(seconds(4));
        advance(seconds(1)).await;
        meter.backs_off(seconds(9));
        assert_eq!(meter.pulse().backing_off, seconds(9));
        advance(seconds(3)).await;
        let found = wait(&meter.measured(), &WaitCause::BackingOff);
        assert_eq!(found, (2, seconds(4)));
    }

    #[test]
    fn a_service_of_many_codes_fills_no_memory() {
        let meter = Meter::default();
        for number in 0..1_000 {
            meter.penalty(&number.to_string());
            meter.paused(&number.to_string(), seconds(1));
        }
        let waits = meter.measured().waits;
        assert_eq!(waits.len(), MOST_CODES + 1);
        assert_eq!(waits.iter().map(|wait| wait.times).sum::<u64>(), 1_000);
        assert_eq!(meter.measured().throttled_time(), seconds(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_is_from_the_first_request_to_the_last_answer() {
        let meter = Meter::default();
        advance(seconds(100)).await;
        meter.sent();
        meter.sent();
        advance(seconds(2)).await;
        meter.answered(50, seconds(2));
        meter.ended();
        advance(seconds(1)).await;
        meter.ended();
        advance(seconds(100)).await;
        let measured = meter.measured();
        assert_eq!((measured.time, measured.rows), (seconds(3), 50));
        assert_eq!((measured.most_in_flight, measured.latency.requests), (2, 1));
        assert_eq!(meter.pulse().in_flight, 0);
    }
}
