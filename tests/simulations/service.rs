//! A model of the service: records with two unique keys, and everything that can go wrong between it and us.
#![cfg(test)]

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use segue::model::{
    Action, Batch, Cause, Destination, Failure, Fate, Find, Found, KeyDigest, Limit, Made,
    Operation, Position, RecordId, Reply, RowFailure, Value,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::chaos::{Chaos, Fault, all, expired, failure, refused_row, unavailable};
use crate::extract::{
    BAD_NAME, LOST_NAME, NAME, NUMBER, REFUSED_NAME, UNASKABLE_NUMBER, UNFIT_NAME,
};

/// What somebody else does just before an operation is done for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    /// Deletes the record.
    Deletes,
    /// Creates a record with the key.
    Creates,
}

/// How a batch fares whose rows are not all good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// Each operation has its own reply.
    Each,
    /// All or nothing, as in bulk messages.
    Atomic,
}

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) values: Vec<Value>,
    pub(crate) made: Made,
}

/// How the service stands to an application user.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    /// The end of its penalty.
    free_at: Option<Instant>,
    /// Its secret or role fails from then on.
    pub(crate) fails_from: Option<Instant>,
    /// When it was told so.
    pub(crate) failed: Option<Instant>,
}

/// The service as one application user has it.
pub(crate) struct Seat {
    pub(crate) service: Arc<ModelService>,
    pub(crate) user: usize,
}

/// One request, as it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) size: usize,
    /// A bulk message.
    pub(crate) bulk: bool,
}

pub(crate) struct ModelService {
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) records: BTreeMap<RecordId, Stored>,
    /// How often we created a record of that number.
    pub(crate) created: HashMap<String, u32>,
    /// The operations that were looked at, done or not.
    pub(crate) reached: HashSet<Position>,
    /// How often an operation failed for no fault of its own, other than by a penalty.
    pub(crate) failures: HashMap<Position, u32>,
    pub(crate) batches: Vec<Request>,
    pub(crate) finds: Vec<Request>,
    pub(crate) most_in_flight: usize,
    /// What the client must never do.
    pub(crate) breaches: Vec<String>,
    pub(crate) envelope: Envelope,
    /// A request with more operations is too large.
    pub(crate) most_operations: usize,
    /// What happens to the next requests, in order.
    pub(crate) script: VecDeque<Option<Fault>>,
    /// What happens to every request after those.
    pub(crate) always: Option<Fault>,
    pub(crate) chaos: Option<Chaos>,
    /// Nobody answers in that time.
    pub(crate) down: Option<(Instant, Instant)>,
    pub(crate) rivals: HashMap<String, Rival>,
    latency: Duration,
    /// Of each application user.
    pub(crate) users: Vec<User>,
    in_flight: HashSet<KeyDigest>,
    requests_in_flight: usize,
    pub(crate) ids: u128,
}

pub(crate) fn us() -> RecordId {
    RecordId(Uuid::from_u128(1))
}

pub(crate) fn somebody_else() -> RecordId {
    RecordId(Uuid::from_u128(2))
}

pub(crate) fn run_start() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl ModelService {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                records: BTreeMap::new(),
                created: HashMap::new(),
                reached: HashSet::new(),
                failures: HashMap::new(),
                batches: Vec::new(),
                finds: Vec::new(),
                most_in_flight: 0,
                breaches: Vec::new(),
                envelope: Envelope::Each,
                most_operations: 1000,
                script: VecDeque::new(),
                always: None,
                chaos: None,
                down: None,
                rivals: HashMap::new(),
                latency: Duration::from_millis(200),
                users: vec![User::default()],
                in_flight: HashSet::new(),
                requests_in_flight: 0,
                ids: 1000,
            }),
        }
    }

    pub(crate) fn then(self, fault: Fault) -> Self {
        self.state().script.push_back(Some(fault));
        self
    }

    pub(crate) fn then_well(self) -> Self {
        self.state().script.push_back(None);
        self
    }

    pub(crate) fn always(self, fault: Fault) -> Self {
        self.state().always = Some(fault);
        self
    }

    /// Nobody answers from that time on, for so long.
    pub(crate) fn down(self, after: Duration, time: Duration) -> Self {
        let from = Instant::now() + after;
        self.state().down = Some((from, from + time));
        self
    }

    pub(crate) fn atomic(self) -> Self {
        self.state().envelope = Envelope::Atomic;
        self
    }

    pub(crate) fn at_most(self, operations: usize) -> Self {
        self.state().most_operations = operations;
        self
    }

    pub(crate) fn rival(self, number: &str, rival: Rival) -> Self {
        self.state().rivals.insert(number.to_owned(), rival);
        self
    }

    /// A record that somebody else made earlier.
    pub(crate) fn holding(self, values: Vec<Value>) -> (Self, RecordId) {
        let id = self.state().insert_of_others(values);
        (self, id)
    }

    /// Each of so many application users, for a run: who was dropped in the one before signs in again.
    pub(crate) fn seats(self: &Arc<Self>, users: usize) -> Vec<Arc<Seat>> {
        let mut state = self.state();
        state.users.resize(users, User::default());
        state.users.iter_mut().for_each(|user| user.failed = None);
        drop(state);
        let seat = |user| {
            let service = Arc::clone(self);
            Arc::new(Seat { service, user })
        };
        (0..users).map(seat).collect()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination for Seat {
    async fn send(&self, batch: &Batch) -> Vec<Reply> {
        let (user, service) = (self.user, &self.service);
        let kind = match batch.envelope {
            segue::model::Envelope::Batch => Kind::Send,
            segue::model::Envelope::Bulk => Kind::Bulk,
        };
        let fault = service.state().begin(user, batch.operations.len(), kind);
        service.state().check_bulk(batch);
        let _under_way = UnderWay::of(service, batch);
        let latency = service.state().latency;
        match fault {
            Some(Fault::Slow(more)) => sleep(latency + more).await,
            Some(Fault::Silent) => sleep(Duration::from_mins(2)).await,
            _ => sleep(latency).await,
        }
        let mut state = service.state();
        let replies = state.answer(user, batch, fault.as_ref());
        state.count_failures(batch, &replies);
        drop(state);
        if matches!(fault, Some(Fault::Panic)) {
            // Without the message on the terminal: it is part of the schedule.
            std::panic::resume_unwind(Box::new("a defect of the client"));
        }
        replies
    }

    async fn find(&self, what: &Find) -> Result<Vec<Found>, Failure> {
        let Find::ByKey(keys) = what else {
            return Ok(Vec::new());
        };
        let (user, service) = (self.user, &self.service);
        let fault = service.state().begin(user, keys.len(), Kind::Find);
        let latency = match fault {
            Some(Fault::Silent) => Duration::from_mins(2),
            _ => service.state().latency,
        };
        sleep(latency).await;
        let mut state = service.state();
        if keys.iter().any(|key| text(&key[0]) == UNASKABLE_NUMBER) {
            return Err(failure(Fate::Refused, refused_row(), "not a literal"));
        }
        match fault {
            Some(Fault::Throttle(told)) => Err(state.throttle(user, told)),
            Some(Fault::Unavailable | Fault::Busy(_)) => Err(unavailable(Fate::Refused)),
            Some(Fault::Expired) => Err(state.sign_out(user)),
            Some(
                Fault::LostBefore
                | Fault::LostAfter
                | Fault::CutAfter(_)
                | Fault::DiedAfter(_)
                | Fault::Silent
                | Fault::Panic,
            ) => Err(unavailable(Fate::Lost)),
            Some(Fault::Slow(_)) | None => Ok(state.look_up(keys)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    Bulk,
    Find,
}

/// The keys of a batch while it is under way, also when it is given up.
struct UnderWay<'a> {
    service: &'a ModelService,
    keys: Vec<KeyDigest>,
}

impl<'a> UnderWay<'a> {
    fn of(service: &'a ModelService, batch: &Batch) -> Self {
        let keys: Vec<KeyDigest> = batch.operations.iter().map(|one| one.row.key).collect();
        let mut state = service.state();
        for key in &keys {
            if !state.in_flight.insert(*key) {
                state.breaches.push(format!("{key:?} is in flight twice"));
            }
        }
        state.requests_in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.requests_in_flight);
        drop(state);
        Self { service, keys }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.service.state();
        for key in &self.keys {
            state.in_flight.remove(key);
        }
        state.requests_in_flight -= 1;
    }
}

impl State {
    fn begin(&mut self, user: usize, size: usize, kind: Kind) -> Option<Fault> {
        let request = Request {
            at: Instant::now(),
            size,
            bulk: kind == Kind::Bulk,
        };
        let standing = self.users[user].clone();
        if standing.free_at.is_some_and(|at| request.at < at) {
            self.breaches.push("sent during a penalty".to_owned());
        }
        if standing.failed.is_some_and(|at| at < request.at) {
            self.breaches
                .push("sent as a user that was dropped".to_owned());
        }
        if size == 0 {
            self.breaches.push("an empty request".to_owned());
        }
        match kind {
            Kind::Send | Kind::Bulk => self.batches.push(request),
            Kind::Find => self.finds.push(request),
        }
        if standing.fails_from.is_some_and(|at| at <= request.at) {
            return Some(Fault::Expired);
        }
        let is_down = |(from, to)| from <= request.at && request.at < to;
        if self.down.is_some_and(is_down) {
            return Some(Fault::LostBefore);
        }
        let scripted = self.script.pop_front();
        let chaos = self.chaos.as_mut();
        match (scripted, &self.always) {
            (Some(fault), _) => fault,
            (None, Some(fault)) => Some(fault.clone()),
            (None, None) => chaos.and_then(|chaos| chaos.draw(size)),
        }
    }

    /// A bulk message is for several records, and does one thing to all of them.
    fn check_bulk(&mut self, batch: &Batch) {
        let creates = |one: &Operation| matches!(one.action, Action::Create(_));
        let updates = |one: &Operation| matches!(one.action, Action::Update(_));
        let operations = &batch.operations;
        let fits = operations.iter().all(creates) || operations.iter().all(updates);
        if batch.envelope == segue::model::Envelope::Bulk && (!fits || operations.len() < 2) {
            self.breaches.push("not fit for a bulk message".to_owned());
        }
    }

    /// How the rows of that request fare.
    fn envelope_of(&self, batch: &Batch) -> Envelope {
        match batch.envelope {
            segue::model::Envelope::Batch => self.envelope,
            segue::model::Envelope::Bulk => Envelope::Atomic,
        }
    }

    fn answer(&mut self, user: usize, batch: &Batch, fault: Option<&Fault>) -> Vec<Reply> {
        let envelope = self.envelope_of(batch);
        let operations = &batch.operations;
        if operations.len() > self.most_operations {
            return all(
                operations,
                &failure(Fate::Refused, Cause::TooLarge, "too large"),
            );
        }
        match fault {
            Some(Fault::Throttle(told)) => all(operations, &self.throttle(user, *told)),
            Some(Fault::Unavailable) => all(operations, &unavailable(Fate::Refused)),
            Some(Fault::Expired) => all(operations, &self.sign_out(user)),
            Some(Fault::LostBefore | Fault::Silent) => all(operations, &unavailable(Fate::Lost)),
            Some(Fault::DiedAfter(done)) => {
                let done = (*done).min(operations.len());
                let (done, _) = operations.split_at(done);
                if envelope == Envelope::Each {
                    let _ = self.replies(done, envelope);
                }
                all(operations, &unavailable(Fate::Lost))
            }
            Some(Fault::LostAfter | Fault::Panic) => {
                let _ = self.replies(operations, envelope);
                all(operations, &unavailable(Fate::Lost))
            }
            Some(Fault::CutAfter(kept)) => {
                let mut replies = self.replies(operations, envelope);
                replies.truncate(*kept);
                replies
            }
            Some(Fault::Busy(busy)) => {
                let (busy, rest) = operations.split_at((*busy).min(operations.len()));
                let mut replies = all(busy, &unavailable(Fate::Answered));
                replies.extend(self.replies(rest, envelope));
                replies
            }
            Some(Fault::Slow(_)) | None => match poison_in(operations) {
                Some(fate) => all(operations, &unavailable(fate)),
                None => self.replies(operations, envelope),
            },
        }
    }

    fn replies(&mut self, operations: &[Operation], envelope: Envelope) -> Vec<Reply> {
        for operation in operations {
            self.reached.insert(operation.row.position);
            self.meddle(operation);
        }
        if envelope == Envelope::Atomic {
            let (records, created, ids) = (self.records.clone(), self.created.clone(), self.ids);
            let replies: Vec<Reply> = operations.iter().map(|one| self.reply(one)).collect();
            let first = replies.iter().find_map(|reply| match reply {
                Reply::Failed(failure) => Some(failure.clone()),
                Reply::Accepted(_) => None,
            });
            let Some(first) = first else { return replies };
            (self.records, self.created, self.ids) = (records, created, ids);
            let fate = Fate::Refused;
            return all(operations, &Failure { fate, ..first });
        }
        operations.iter().map(|one| self.reply(one)).collect()
    }

    fn reply(&mut self, operation: &Operation) -> Reply {
        let number = text(&operation.record.values[NUMBER]);
        let name = text(&operation.record.values[NAME]);
        if name == UNFIT_NAME {
            return Reply::Failed(failure(Fate::Answered, Cause::Contract, "no such column"));
        }
        if name == BAD_NAME {
            return Reply::Failed(failure(Fate::Answered, refused_row(), "the row is refused"));
        }
        match self.apply(operation, &number) {
            Ok(accepted) => Reply::Accepted(accepted),
            Err(failure) => row(failure),
        }
    }

    /// The user is told that its secret or role fails.
    fn sign_out(&mut self, user: usize) -> Failure {
        self.users[user].failed.get_or_insert_with(Instant::now);
        expired()
    }

    fn throttle(&mut self, user: usize, told: Option<Duration>) -> Failure {
        let ends = Instant::now() + told.unwrap_or_default();
        let free_at = &mut self.users[user].free_at;
        *free_at = (*free_at).max(Some(ends));
        let cause = Cause::Throttled {
            retry_after: told,
            limit: Limit::Window,
        };
        failure(Fate::Refused, cause, "too many requests")
    }

    fn count_failures(&mut self, batch: &Batch, replies: &[Reply]) {
        for (at, operation) in batch.operations.iter().enumerate() {
            let failed = match replies.get(at) {
                Some(Reply::Failed(failure)) => failure.cause == Cause::Transient,
                Some(Reply::Accepted(_)) => false,
                None => true,
            };
            if failed {
                *self.failures.entry(operation.row.position).or_default() += 1;
            }
        }
    }
}

/// How a request with these operations fails, if one of them makes it fail.
fn poison_in(operations: &[Operation]) -> Option<Fate> {
    let mut names = operations.iter().map(|one| text(&one.record.values[NAME]));
    names.find_map(|name| match name.as_str() {
        REFUSED_NAME => Some(Fate::Refused),
        LOST_NAME => Some(Fate::Lost),
        _ => None,
    })
}

fn row(failure_of_row: RowFailure) -> Reply {
    Reply::Failed(failure(
        Fate::Answered,
        Cause::Row(failure_of_row),
        "the row is refused",
    ))
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        _ => String::new(),
    }
}
