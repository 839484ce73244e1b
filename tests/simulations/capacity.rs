//! A model of how fast the service is: workers, a service time, and limits per user. It accepts everything.
#![cfg(test)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue::model::{
    Accepted, Batch, Cause, Destination, Effect, Failure, Fate, Find, Found, Limit, Operation,
    Reply,
};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::chaos::{all, expired, failure};
use crate::extract::derived_id;

/// How long the service takes, and what it allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) workers: usize,
    pub(crate) per_request: Duration,
    pub(crate) per_row: Duration,
    pub(crate) limits: Option<Limits>,
}

/// The service protection limits of one user, counted as the sandbox does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) window: Duration,
    pub(crate) requests: u32,
    pub(crate) execution: Duration,
    pub(crate) concurrent: usize,
    /// Each counts alone; any of them gets a request.
    pub(crate) servers: usize,
    /// Whoever is refused is told to wait at least so long.
    pub(crate) least_wait: Duration,
}

impl Limits {
    /// The documented ones with the window and what it allows multiplied.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some thousands"
    )]
    pub(crate) fn scaled(factor: f64) -> Self {
        Self {
            window: Duration::from_mins(5).mul_f64(factor),
            requests: (6_000.0 * factor).round() as u32,
            execution: Duration::from_mins(20).mul_f64(factor),
            concurrent: 52,
            servers: 1,
            least_wait: Duration::ZERO,
        }
    }
}

pub(crate) struct Capacity {
    terms: Terms,
    workers: Semaphore,
    users: Mutex<Vec<Account>>,
    /// Which server gets a request.
    dice: Mutex<fastrand::Rng>,
}

/// What one user did.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    servers: Vec<Window>,
    pub(crate) most_under_way: usize,
    free_at: Instant,
    /// Requests that were carried out, how many rows one had at least, and how long they took together.
    pub(crate) carried: u32,
    pub(crate) smallest: usize,
    /// How many rows each had, in the order of answers.
    pub(crate) sizes: Vec<usize>,
    pub(crate) spent: Duration,
    pub(crate) refused: u32,
    /// Requests in a penalty that the user had been told of.
    pub(crate) breaches: usize,
    /// Its secret or role fails from then on.
    pub(crate) fails_from: Option<Instant>,
    /// Refused until then for requests of others in its name.
    pub(crate) shut_until: Option<Instant>,
}

/// What one user did at one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// Requests of the window: when they came, and how long they took.
    recent: VecDeque<(Instant, Duration)>,
    under_way: usize,
}

/// The service as one user sees it.
pub(crate) struct Door {
    pub(crate) service: Arc<Capacity>,
    pub(crate) user: usize,
}

impl Capacity {
    pub(crate) fn new(terms: Terms, users: usize) -> Arc<Self> {
        Self::seeded(terms, users, 7)
    }

    pub(crate) fn seeded(terms: Terms, users: usize, seed: u64) -> Arc<Self> {
        let account = Account {
            servers: vec![Window::default(); terms.limits.map_or(1, |limits| limits.servers)],
            most_under_way: 0,
            free_at: Instant::now(),
            carried: 0,
            smallest: usize::MAX,
            sizes: Vec::new(),
            spent: Duration::ZERO,
            refused: 0,
            breaches: 0,
            fails_from: None,
            shut_until: None,
        };
        Arc::new(Self {
            workers: Semaphore::new(terms.workers),
            users: Mutex::new(vec![account; users]),
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            terms,
        })
    }

    pub(crate) fn doors(self: &Arc<Self>) -> Vec<Arc<Door>> {
        let count = self.users().len();
        let door = |user| {
            let service = Arc::clone(self);
            Arc::new(Door { service, user })
        };
        (0..count).map(door).collect()
    }

    pub(crate) fn users(&self) -> MutexGuard<'_, Vec<Account>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses, or lets in at that server.
    fn admit(&self, user: usize) -> Result<usize, (Failure, Duration)> {
        let now = Instant::now();
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut users = self.users();
        let account = &mut users[user];
        if account.fails_from.is_some_and(|from| from <= now) {
            return Err((expired(), Duration::ZERO));
        }
        if now < account.free_at {
            account.breaches += 1;
        }
        let under_way: usize = account.servers.iter().map(|one| one.under_way).sum();
        account.most_under_way = account.most_under_way.max(under_way + 1);
        if let Some(until) = account.shut_until.filter(|until| *until > now) {
            account.refused += 1;
            let retry_after = Some(until - now);
            let limit = Limit::Window;
            let cause = Cause::Throttled { retry_after, limit };
            let refusal = failure(Fate::Refused, cause, "too many requests");
            return Err((refusal, until - now));
        }
        let server = dice.usize(..account.servers.len());
        let window = &mut account.servers[server];
        if let Some(limits) = self.terms.limits
            && let Some((wait, limit)) = window.excess(limits, now)
        {
            window.recent.push_back((now, Duration::ZERO));
            account.refused += 1;
            let wait = wait.max(limits.least_wait);
            let retry_after = Some(wait);
            let cause = Cause::Throttled { retry_after, limit };
            let refusal = failure(Fate::Refused, cause, "too many requests");
            return Err((refusal, wait));
        }
        window.under_way += 1;
        window.recent.push_back((now, Duration::ZERO));
        Ok(server)
    }

    pub(crate) async fn carry(&self, user: usize, operations: &[Operation]) -> Vec<Reply> {
        let server = match self.admit(user) {
            Ok(server) => server,
            Err((refused, wait)) => {
                // A refusal is quick, but not as quick as nothing; until it has come nobody knows of it.
                sleep(Duration::from_millis(5)).await;
                let account = &mut self.users()[user];
                account.free_at = account.free_at.max(Instant::now() + wait);
                return all(operations, &refused);
            }
        };
        let arrived = Instant::now();
        let worker = self.workers.acquire().await;
        let rows = u32::try_from(operations.len()).unwrap();
        let time = self.terms.per_request + self.terms.per_row * rows;
        sleep(time).await;
        drop(worker);
        let mut users = self.users();
        let account = &mut users[user];
        account.carried += 1;
        account.smallest = account.smallest.min(operations.len());
        account.sizes.push(operations.len());
        account.spent += time;
        let window = &mut account.servers[server];
        window.under_way -= 1;
        let mut recent = window.recent.iter_mut();
        if let Some((_, spent)) = recent.find(|(at, spent)| *at == arrived && spent.is_zero()) {
            *spent = time;
        }
        let done = |operation: &Operation| {
            Reply::Accepted(Accepted {
                effect: Effect::Created,
                id: Some(derived_id(&operation.record)),
                made: None,
            })
        };
        operations.iter().map(done).collect()
    }
}

impl Window {
    /// How long to wait, and for what, if there is too much.
    fn excess(&mut self, limits: Limits, now: Instant) -> Option<(Duration, Limit)> {
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| now - *at >= limits.window)
        {
            self.recent.pop_front();
        }
        let whole = |wait: Duration| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Duration::from_secs(seconds.max(1))
        };
        if self.under_way >= limits.concurrent {
            return Some((whole(Duration::ZERO), Limit::Concurrency));
        }
        let until = |leaving: usize| {
            let (at, _) = self.recent[leaving];
            whole(at + limits.window - now)
        };
        let requests = limits.requests as usize;
        if self.recent.len() >= requests {
            return Some((until(self.recent.len() - requests), Limit::Window));
        }
        let mut spent: Duration = self.recent.iter().map(|(_, time)| *time).sum();
        if spent < limits.execution {
            return None;
        }
        let leaving = self.recent.iter().position(|(_, time)| {
            spent -= *time;
            spent < limits.execution
        });
        Some((until(leaving.unwrap_or(0)), Limit::Time))
    }
}

impl Destination for Door {
    async fn send(&self, batch: &Batch) -> Vec<Reply> {
        self.service.carry(self.user, &batch.operations).await
    }

    async fn find(&self, _what: &Find) -> Result<Vec<Found>, Failure> {
        Ok(Vec::new())
    }
}
