//! How many requests per second the service grants, learned from its penalties.
//!
//! Press until the first penalty: what the service took until it ended is about what it grants in that time, unless others
//! had used up a part. From then on requests are sent evenly at that rate, faster and faster until the service refuses
//! again, and then just below that, which costs no penalties, and a little faster now and then, since it may grant more. A
//! penalty that comes although less was sent was not for the rate: then it is forgotten, and it takes several in a row to
//! believe in one again. Penalties for time are believed the second time only, since requests become shorter meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A cycle with fewer requests tells of chance.
const LEAST_REQUESTS: u32 = 10;

/// The first cycle of a run tells the rate alone if it had so many requests.
const TELLING: u32 = 40;

/// So many cycles in a row tell the rate otherwise; after it was forgotten twice as many, up to the latter.
const PROOF: u32 = 2;
const MOST_PROOF: u32 = 64;

/// So much of the rate at which the service refused is used.
const BELOW: f64 = 0.97;

/// What was learned from cycles is too low rather than too high; after a cycle it rises by this factor in the time of each
/// until the service refuses.
const SEARCHES: f64 = 1.25;

/// A cycle of the search is no longer than that, so that a rate far too low is left behind in minutes: where windows are
/// longer, a penalty costs little of them.
const LONGEST_SEARCH: Duration = Duration::from_secs(15);

/// So many cycles long the rate below the refused one is kept; then it rises by this factor in the time of each.
const KEPT: f64 = 10.0;
const PROBES: f64 = 1.02;

/// A penalty below this part of the rate that was learned is not for the rate, and neither are so many in a row though
/// each time less was sent.
const STRANGE: f64 = 0.8;
const MOST_EARLY: u32 = 5;

/// Services round the time to wait up to whole seconds: by so much on average, though by no more than an eighth of a penalty
/// that is short: a rate that is far too high costs more than one that is too low.
const ROUNDED_UP: Duration = Duration::from_millis(500);
const ROUNDING: u32 = 8;

/// Requests whose times are remembered: more than a window of the documented limits has.
const REMEMBERED: usize = 8_192;

/// What a penalty is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// Requests in a window.
    Requests,
    /// The time that requests of a window took together.
    Time,
}

/// What one user is granted.
#[derive(Debug)]
pub(super) struct Grant {
    /// When the last penalty ended.
    began: Instant,
    /// Requests since then that were not refused.
    taken: u32,
    /// The penalty that runs, and what it is for.
    refused: Option<(Instant, Excess)>,
    /// When requests were sent, the latest last.
    sent: VecDeque<Instant>,
    /// Cycles in a row, the requests that were taken in them, how long they lasted, and how much of that was rounding.
    cycles: u32,
    requests: u32,
    time: Duration,
    rounding: Duration,
    /// How many cycles tell the rate.
    proof: u32,
    /// Penalties so far.
    penalties: u32,
    paced: Option<Paced>,
}

/// A rate that was learned.
#[derive(Debug)]
struct Paced {
    /// Requests per second.
    rate: f64,
    /// The rate at which the service refused, if it did so far.
    ceiling: Option<f64>,
    /// What was learned at first.
    learned: f64,
    /// Penalties in a row that came before the rate rose again.
    early: u32,
    /// The length of a cycle.
    cycle: Duration,
    /// When the rate was set.
    since: Instant,
    /// When the next request may be sent.
    next: Instant,
}

impl Grant {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            taken: 0,
            refused: None,
            sent: VecDeque::new(),
            cycles: 0,
            requests: 0,
            time: Duration::ZERO,
            rounding: Duration::ZERO,
            proof: PROOF,
            penalties: 0,
            paced: None,
        }
    }

    /// When the next request may be sent; `None` if at once.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let paced = self.paced.as_ref()?;
        (paced.next > now).then_some(paced.next)
    }

    /// A request is sent.
    pub(super) fn sends(&mut self) {
        let now = Instant::now();
        if let Some((at, excess)) = self.refused.take() {
            self.resumes(now, now - at, excess);
        }
        if self.taken == 0 && self.penalties == 0 {
            self.began = now;
        }
        self.taken += 1;
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        if let Some(paced) = &mut self.paced {
            let gap = Duration::from_secs_f64(1.0 / paced.rate_at(now).max(1e-3));
            // Who came late may catch up by two requests, not by more.
            let earliest = now.checked_sub(gap * 2).unwrap_or(now);
            paced.next = paced.next.max(earliest) + gap;
        }
    }

    /// A request was refused because of a limit over time.
    pub(super) fn refused(&mut self, excess: Excess) {
        self.taken = self.taken.saturating_sub(1);
        let now = Instant::now();
        if self.refused.is_some() {
            return;
        }
        self.refused = Some((now, excess));
        self.penalties += 1;
        let Some(paced) = &mut self.paced else { return };
        if self.taken < LEAST_REQUESTS {
            // What comes at once after a penalty is the rest of that one.
            return;
        }
        let since = (now - paced.since).min(paced.cycle * 4);
        let rate = rate_over(&self.sent, paced.cycle.max(since), now);
        paced.early = if paced.rises(now) { 0 } else { paced.early + 1 };
        if rate < paced.learned * STRANGE || paced.early >= MOST_EARLY {
            self.paced = None;
            self.forget();
            self.proof = (self.proof * 2).min(MOST_PROOF);
        } else {
            paced.ceiling = Some(rate);
            paced.rate = rate * BELOW;
            paced.since = now;
        }
    }

    fn forget(&mut self) {
        (self.cycles, self.requests) = (0, 0);
        (self.time, self.rounding) = (Duration::ZERO, Duration::ZERO);
    }

    /// The first request after a penalty that took so long.
    fn resumes(&mut self, now: Instant, penalty: Duration, excess: Excess) {
        let (began, taken) = (self.began, self.taken);
        (self.began, self.taken) = (now, 0);
        if let Some(paced) = &mut self.paced {
            (paced.next, paced.since) = (now, now);
            return;
        }
        if taken < LEAST_REQUESTS {
            return self.forget();
        }
        self.cycles += 1;
        self.requests += taken;
        self.time += now - began;
        self.rounding += ROUNDED_UP.min(penalty / ROUNDING);
        let tells_alone = self.penalties == 1 && taken >= TELLING && excess == Excess::Requests;
        if self.cycles < self.proof && !tells_alone {
            return;
        }
        let time = self.time.saturating_sub(self.rounding).as_secs_f64();
        let rate = f64::from(self.requests) / time.max(1e-3);
        self.paced = Some(Paced {
            rate,
            ceiling: None,
            learned: rate,
            early: 0,
            cycle: self.time / self.cycles,
            since: now,
            next: now,
        });
        self.forget();
    }
}

impl Paced {
    fn cycles(&self, now: Instant) -> f64 {
        (now - self.since).as_secs_f64() / self.cycle.as_secs_f64().max(1e-3)
    }

    /// Whether it is no longer the rate that was set.
    fn rises(&self, now: Instant) -> bool {
        self.ceiling.is_none() || self.cycles(now) > KEPT
    }

    fn rate_at(&self, now: Instant) -> f64 {
        match self.ceiling {
            None => self.rate * SEARCHES.powf((self.steps(now) - 1.0).max(0.0)),
            Some(_) => self.rate * PROBES.powf((self.cycles(now) - KEPT).max(0.0)),
        }
    }

    /// The steps of the search.
    fn steps(&self, now: Instant) -> f64 {
        let step = self.cycle.min(LONGEST_SEARCH);
        (now - self.since).as_secs_f64() / step.as_secs_f64().max(1e-3)
    }
}

/// Requests per second over that time.
#[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
fn rate_over(sent: &VecDeque<Instant>, time: Duration, now: Instant) -> f64 {
    let recent = sent.iter().rev().take_while(|at| now - **at <= time);
    recent.count() as f64 / time.as_secs_f64().max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A service that lets so many requests through in any window.
    struct Gatekeeper {
        requests: usize,
        window: Duration,
        /// What it tells to wait is a multiple of that.
        unit: Duration,
        let_in: VecDeque<Instant>,
    }

    impl Gatekeeper {
        /// Forty requests in any two seconds; tells exactly how long to wait.
        fn exact() -> Self {
            Self {
                requests: 40,
                window: Duration::from_secs(2),
                unit: MILLISECOND,
                let_in: VecDeque::new(),
            }
        }

        /// Windows of so many seconds; tells whole seconds to wait.
        fn rounding(window: u64) -> Self {
            Self {
                window: Duration::from_secs(window),
                unit: Duration::from_secs(1),
                ..Self::exact()
            }
        }

        /// How long to wait, if it is too much.
        fn refuses(&mut self) -> Option<Duration> {
            let now = Instant::now();
            while self
                .let_in
                .front()
                .is_some_and(|at| now - *at >= self.window)
            {
                self.let_in.pop_front();
            }
            self.let_in.push_back(now);
            let excess = self.let_in.len().checked_sub(self.requests + 1)?;
            self.let_in.pop_back();
            let wait = self.let_in[excess] + self.window - now + MILLISECOND;
            let units = wait.as_millis().div_ceil(self.unit.as_millis());
            Some(self.unit * u32::try_from(units).unwrap())
        }
    }

    /// Sends as quickly as it may for that time; tells how many requests were let in and how many refused.
    async fn sent(grant: &mut Grant, gatekeeper: &mut Gatekeeper, time: Duration) -> (u32, u32) {
        let ends = Instant::now() + time;
        let (mut let_in, mut refused) = (0, 0);
        while Instant::now() < ends {
            if let Some(due) = grant.due(Instant::now()) {
                tokio::time::advance(due - Instant::now()).await;
            }
            grant.sends();
            match gatekeeper.refuses() {
                None => let_in += 1,
                Some(wait) => {
                    refused += 1;
                    grant.refused(Excess::Requests);
                    tokio::time::advance(wait).await;
                }
            }
            tokio::time::advance(10 * MILLISECOND).await;
        }
        (let_in, refused)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_slowed_down_before_the_service_refuses() {
        let mut grant = Grant::new();
        for _ in 0..10_000 {
            assert_eq!(grant.due(Instant::now()), None);
            grant.sends();
        }
        grant.refused(Excess::Requests);
        assert_eq!(grant.due(Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_granted_is_learned_and_hardly_ever_exceeded() {
        let mut grant = Grant::new();
        let mut gatekeeper = Gatekeeper::exact();
        sent(&mut grant, &mut gatekeeper, Duration::from_mins(1)).await;
        // Twenty requests per second are granted.
        let (let_in, refused) = sent(&mut grant, &mut gatekeeper, Duration::from_mins(5)).await;
        assert!(let_in >= 5_400 && refused <= 60, "{let_in}, {refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_sent_when_more_is_granted() {
        let mut grant = Grant::new();
        let mut gatekeeper = Gatekeeper::exact();
        sent(&mut grant, &mut gatekeeper, Duration::from_mins(1)).await;
        gatekeeper.requests = 80;
        sent(&mut grant, &mut gatekeeper, Duration::from_mins(10)).await;
        let (let_in, _) = sent(&mut grant, &mut gatekeeper, Duration::from_mins(5)).await;
        assert!(let_in >= 10_800, "{let_in}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_penalty_that_was_for_something_else_slows_nothing_down() {
        let mut grant = Grant::new();
        grant.sends();
        grant.refused(Excess::Requests);
        tokio::time::advance(Duration::from_mins(1)).await;
        for _ in 0..1_000 {
            grant.sends();
            assert_eq!(grant.due(Instant::now()), None);
        }
    }

    /// A service that grants that, and tells whole seconds to wait.
    async fn granted(requests: usize, used_up: usize, time: Duration) -> (u32, u32) {
        let mut grant = Grant::new();
        let mut gatekeeper = Gatekeeper {
            requests,
            ..Gatekeeper::rounding(300)
        };
        gatekeeper.let_in = vec![Instant::now(); used_up].into();
        tokio::time::advance(Duration::from_mins(1)).await;
        sent(&mut grant, &mut gatekeeper, time).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_penalty_tells_the_rate() {
        let mut grant = Grant::new();
        let mut gatekeeper = Gatekeeper {
            requests: 120,
            ..Gatekeeper::rounding(6)
        };
        let six_windows = Duration::from_secs(36);
        let (let_in, refused) = sent(&mut grant, &mut gatekeeper, six_windows).await;
        assert!(let_in >= 648 && refused <= 3, "{let_in}, {refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_far_too_low_since_others_had_used_the_window_up_is_left_behind_in_minutes() {
        let half_an_hour = Duration::from_mins(30);
        let (let_in, _) = granted(6_000, 5_940, half_an_hour).await;
        // What is granted after the first window, and most of another one is lost.
        assert!(let_in >= 36_000 - 2 * 6_000 - 1_000, "{let_in}");
    }
}
