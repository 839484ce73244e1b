//! Who used how much of the limits, by user and server.
//!
//! The window slides in sixty steps, and a request leaves it no sooner than a whole window after
//! it came. A refused request counts as a request too: whoever goes on pressing waits longer.
//! Source: Microsoft Learn, "Service protection API limits", "How service protection API limits
//! are enforced"; the servers and their cookie: "Send parallel requests", "Server affinity".

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use uuid::Uuid;

use crate::chaos::dice::Dice;
use crate::limits::{Limit, Limits};
use crate::lock;

/// The steps of a window.
const STEPS: u64 = 60;
/// Users and servers kept at a time; beyond it, those that are idle are forgotten.
const ACCOUNTS: usize = 10_000;
/// What a client is told to wait when it has too many requests under way.
const CONCURRENCY_WAIT: u32 = 1;
/// How long a refusal may be on its way, in milliseconds: what comes so soon after it was perhaps
/// sent before its sender had read it.
const ON_ITS_WAY: u64 = 100;

/// Whose account a request goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) client: Uuid,
    /// The user that the headers name in the client's place.
    pub(crate) named: Option<Uuid>,
}

/// What is left after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) requests: u32,
    pub(crate) execution: Duration,
}

/// A request beyond a limit: which, and how many seconds to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beyond {
    pub(crate) limit: Limit,
    pub(crate) retry_after: u32,
    pub(crate) left: Left,
}

/// Keeps the accounts.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) limits: Limits,
    dice: Dice,
    accounts: Mutex<HashMap<(Asker, u32), Account>>,
    pressed: AtomicU64,
}

#[derive(Debug, Default)]
struct Account {
    steps: VecDeque<Step>,
    under_way: u32,
    told: Told,
}

/// What the last refusals said: to send nothing between two times, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    from: u64,
    until: u64,
}

/// What came in one step of the window.
#[derive(Debug)]
struct Step {
    number: u64,
    requests: u32,
    execution: Duration,
}

/// A request that is under way; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Ticket {
    meter: Arc<Meter>,
    asker: Asker,
    pub(crate) server: u32,
}

impl Meter {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            dice: Dice::new(seed),
            accounts: Mutex::default(),
            pressed: AtomicU64::default(),
        }
    }

    /// The server that answers: the one of the cookie, otherwise any.
    pub(crate) fn server(&self, cookies: Option<&str>) -> u32 {
        let servers = self.limits.servers.max(1);
        let cookies = cookies.unwrap_or_default().split(';');
        let mut values = cookies.filter_map(|pair| pair.trim().strip_prefix("ARRAffinity="));
        let chosen =
            values.find_map(|value| (0..servers).find(|server| affinity(*server) == value));
        chosen.unwrap_or_else(|| {
            let drawn = self.dice.next() % u64::from(servers);
            u32::try_from(drawn).unwrap_or_default()
        })
    }

    /// Lets a request in, or says which limit it is beyond. `now` is in milliseconds.
    pub(crate) fn admit(
        self: &Arc<Self>,
        asker: Asker,
        server: u32,
        now: u64,
    ) -> Result<Ticket, Beyond> {
        let mut accounts = lock(&self.accounts);
        if accounts.len() >= ACCOUNTS {
            accounts.retain(|_, account| account.is_used(self.step(now)));
        }
        let account = accounts.entry((asker, server)).or_default();
        account.forget(self.step(now));
        if (account.told.from..account.told.until).contains(&now) {
            self.pressed.fetch_add(1, Ordering::Relaxed);
        }
        let beyond = self.beyond(account, now);
        account.add(self.step(now), 1, Duration::ZERO);
        if let Some(beyond) = beyond {
            account.told.hear(now, beyond.retry_after);
            return Err(beyond);
        }
        account.under_way += 1;
        Ok(Ticket {
            meter: Arc::clone(self),
            asker,
            server,
        })
    }

    /// How many requests came while their sender had been told to wait.
    pub(crate) fn pressed(&self) -> u64 {
        self.pressed.load(Ordering::Relaxed)
    }

    fn beyond(&self, account: &Account, now: u64) -> Option<Beyond> {
        let limits = &self.limits;
        let spent = account.spent();
        let left = spent.left_of(limits);
        if account.under_way >= limits.concurrent {
            return Some(Beyond {
                limit: Limit::Concurrency,
                retry_after: CONCURRENCY_WAIT,
                left,
            });
        }
        let wait = |limit, is_over: &dyn Fn(&Account) -> bool| Beyond {
            limit,
            retry_after: self.wait(account, now, is_over),
            left,
        };
        if spent.requests >= limits.requests {
            let is_over = |account: &Account| account.spent().requests >= limits.requests;
            return Some(wait(Limit::Requests, &is_over));
        }
        if spent.execution >= limits.execution {
            let is_over = |account: &Account| account.spent().execution >= limits.execution;
            return Some(wait(Limit::Execution, &is_over));
        }
        None
    }

    /// In how many seconds enough of the window will have passed.
    fn wait(&self, account: &Account, now: u64, is_over: &dyn Fn(&Account) -> bool) -> u32 {
        let mut later = account.copy();
        let mut end = now;
        while is_over(&later) {
            let Some(gone) = later.steps.pop_front() else {
                break;
            };
            end = (gone.number + STEPS + 1) * self.step_milliseconds();
        }
        let seconds = end.saturating_sub(now).div_ceil(1000).max(1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    fn step_milliseconds(&self) -> u64 {
        let window = u64::try_from(self.limits.window.as_millis()).unwrap_or(u64::MAX);
        (window / STEPS).max(1)
    }

    fn step(&self, now: u64) -> u64 {
        now / self.step_milliseconds()
    }
}

impl Account {
    fn forget(&mut self, now: u64) {
        while let Some(oldest) = self.steps.front()
            && oldest.number + STEPS < now
        {
            self.steps.pop_front();
        }
    }

    fn is_used(&self, now: u64) -> bool {
        let last = self.steps.back();
        self.under_way > 0 || last.is_some_and(|last| last.number + STEPS >= now)
    }

    fn add(&mut self, number: u64, requests: u32, execution: Duration) {
        // The machine's clock may be set back; what came then counts with the newest step.
        if self.steps.back().is_none_or(|last| last.number < number) {
            self.steps.push_back(Step::empty(number));
        }
        if let Some(last) = self.steps.back_mut() {
            last.requests = last.requests.saturating_add(requests);
            last.execution += execution;
        }
    }

    fn spent(&self) -> Step {
        let mut sum = Step::empty(0);
        for step in &self.steps {
            sum.requests = sum.requests.saturating_add(step.requests);
            sum.execution += step.execution;
        }
        sum
    }

    fn copy(&self) -> Self {
        let steps = self.steps.iter().map(|step| Step { ..*step });
        Self {
            steps: steps.collect(),
            under_way: self.under_way,
            told: self.told,
        }
    }
}

impl Told {
    /// A refusal says to wait so many seconds. While an earlier one holds, it goes on without a gap.
    fn hear(&mut self, now: u64, seconds: u32) {
        if self.until <= now {
            self.from = now + ON_ITS_WAY;
        }
        self.until = self.until.max(now + u64::from(seconds) * 1000);
    }
}

impl Step {
    fn empty(number: u64) -> Self {
        Self {
            number,
            requests: 0,
            execution: Duration::ZERO,
        }
    }

    fn left_of(&self, limits: &Limits) -> Left {
        Left {
            requests: limits.requests.saturating_sub(self.requests),
            execution: limits.execution.saturating_sub(self.execution),
        }
    }
}

impl Ticket {
    /// Puts the time that the request took on the account, and tells what is left.
    pub(crate) fn spend(&self, now: u64, time: Duration) -> Left {
        let limits = &self.meter.limits;
        let mut accounts = lock(&self.meter.accounts);
        let account = accounts.entry((self.asker, self.server)).or_default();
        let step = self.meter.step(now);
        account.forget(step);
        account.add(step, 0, time);
        account.spent().left_of(limits)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(account) = lock(&self.meter.accounts).get_mut(&(self.asker, self.server)) {
            account.under_way = account.under_way.saturating_sub(1);
        }
    }
}

/// The value of a server's cookie.
pub(crate) fn affinity(server: u32) -> String {
    let dice = Dice::new(u64::from(server));
    let words = std::iter::repeat_with(|| format!("{:016x}", dice.next()));
    words.take(4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(limits: Limits) -> Arc<Meter> {
        Arc::new(Meter::new(limits, 7))
    }

    fn asker() -> Asker {
        Asker {
            client: Uuid::from_u128(1),
            named: None,
        }
    }

    fn few() -> Limits {
        Limits {
            requests: 3,
            ..Limits::default()
        }
    }

    #[test]
    fn a_request_leaves_the_window_after_its_whole_length() {
        let meter = meter(few());
        for now in [0, 4_999, 5_000] {
            assert!(meter.admit(asker(), 0, now).is_ok());
        }
        let beyond = meter.admit(asker(), 0, 299_999).unwrap_err();
        assert_eq!((beyond.limit, beyond.retry_after), (Limit::Requests, 6));
        assert!(meter.admit(asker(), 0, 305_000).is_ok());
    }

    #[test]
    fn whoever_goes_on_pressing_waits_longer() {
        let meter = meter(few());
        for _ in 0..3 {
            assert!(meter.admit(asker(), 0, 0).is_ok());
        }
        let waits = [100_000, 100_000, 100_000, 100_000]
            .map(|now| meter.admit(asker(), 0, now).unwrap_err().retry_after);
        assert_eq!(waits, [205, 205, 205, 305]);
    }

    #[test]
    fn a_request_that_comes_before_its_time_is_counted_and_one_already_on_its_way_is_not() {
        let meter = meter(few());
        for now in [0, 0, 0, 1_000, 1_099] {
            meter.admit(asker(), 0, now).ok();
        }
        assert_eq!(meter.pressed(), 0);
        for now in [1_100, 200_000] {
            assert!(meter.admit(asker(), 0, now).is_err());
        }
        assert_eq!(meter.pressed(), 2);
        assert!(meter.admit(asker(), 0, 1_000_000).is_ok());
        assert_eq!(meter.pressed(), 2);
    }

    #[test]
    fn the_time_of_requests_adds_up() {
        let meter = meter(Limits {
            execution: Duration::from_secs(10),
            ..Limits::default()
        });
        let ticket = meter.admit(asker(), 0, 0).unwrap();
        let left = ticket.spend(0, Duration::from_secs(4));
        assert_eq!((left.requests, left.execution.as_secs()), (5999, 6));
        ticket.spend(0, Duration::from_secs(6));
        let beyond = meter.admit(asker(), 0, 1000).unwrap_err();
        assert_eq!((beyond.limit, beyond.retry_after), (Limit::Execution, 304));
    }

    #[test]
    fn a_request_that_has_ended_makes_room() {
        let meter = meter(Limits {
            concurrent: 2,
            ..Limits::default()
        });
        let first = meter.admit(asker(), 0, 0).unwrap();
        let _second = meter.admit(asker(), 0, 0).unwrap();
        let beyond = meter.admit(asker(), 0, 0).unwrap_err();
        assert_eq!(beyond.limit, Limit::Concurrency);
        drop(first);
        assert!(meter.admit(asker(), 0, 0).is_ok());
    }

    #[test]
    fn users_and_servers_have_accounts_of_their_own() {
        let meter = meter(Limits {
            requests: 1,
            ..Limits::default()
        });
        let other = Asker {
            named: Some(Uuid::from_u128(2)),
            ..asker()
        };
        for (asker, server) in [(asker(), 0), (asker(), 1), (other, 0)] {
            assert!(meter.admit(asker, server, 0).is_ok());
            assert!(meter.admit(asker, server, 0).is_err());
        }
    }

    #[test]
    fn a_cookie_chooses_the_server_and_without_it_all_have_their_turn() {
        let meter = meter(Limits {
            servers: 3,
            ..Limits::default()
        });
        for server in 0..3 {
            let cookie = format!("a=b; ARRAffinity={}", affinity(server));
            assert_eq!(meter.server(Some(&cookie)), server);
        }
        let mut drawn: Vec<_> = (0..30)
            .map(|_| meter.server(Some("ARRAffinity=x")))
            .collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [0, 1, 2]);
    }
}
