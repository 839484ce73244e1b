//! The gate: operations in, outcomes out.
//!
//! Its length is the concurrency, and whoever is in it still owes outcomes. Only this task touches the queue and the
//! histories; the tasks in the gate carry requests and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::account::{DispatchReport, StopCause, Stopping};
use super::alarm::{at, louder};
use super::chain::{Work, begun};
use super::ending::Ending;
use super::flight::{Flight, Landed, unanswered, works_of};
use super::history::History;
use super::lane::{Lane, Sent};
use super::lookup::look_up;
use super::queue::{Packing, Parcel, Queue};
use super::rules::Rules;
use super::size::Size;
use super::users::{Errand, Turn};
use super::wrap::Wrapping;
use crate::model::{Batch, Destination, Operation, Outcome, Verdict};

/// Sends operations and gives exactly one outcome for each that it takes from the queue: those of an answer together.
///
/// Batches are packed when a slot of the gate frees. What fails is judged by the triage table, sent again or ended.
/// Ends when the queue is closed and everything is answered, or when it must stop: then it closes the queue, and what
/// is left in it is *not attempted*. Operations must have a key each; no key is ever twice in flight.
///
/// # Cancellation
/// Not cancel-safe: dropped, it forgets what is in flight, and those operations get no outcome. Stop it by `stop`.
pub async fn dispatch<D: Destination>(
    lane: Lane<D>,
    rules: Arc<Rules>,
    operations: mpsc::Receiver<Vec<Operation>>,
    outcomes: mpsc::Sender<Vec<Outcome>>,
    stop: watch::Receiver<Stopping>,
) -> DispatchReport {
    let mut gate = Gate::new(lane, rules, operations, outcomes, stop);
    gate.run().await;
    gate.report()
}

pub(super) struct Gate<D> {
    pub(super) lane: Lane<D>,
    pub(super) rules: Arc<Rules>,
    pub(super) operations: mpsc::Receiver<Vec<Operation>>,
    outcomes: mpsc::Sender<Vec<Outcome>>,
    stop: watch::Receiver<Stopping>,
    freed: watch::Receiver<()>,
    pub(super) queue: Queue,
    pub(super) size: Size,
    pub(super) wrapping: Wrapping,
    pub(super) tasks: JoinSet<Landed>,
    pub(super) in_flight: HashMap<Id, Flight>,
    pub(super) input_open: bool,
    /// When a batch that is not full goes out, though nothing is in flight.
    lingers_until: Option<Instant>,
    pub(super) heard: Stopping,
    pub(super) ending: Option<Ending>,
    pub(super) fits: Fits,
    /// Outcomes that are not delivered yet: those of one event.
    pub(super) settled: Vec<Outcome>,
    pub(super) taken: u64,
    pub(super) retried: u64,
    /// Resends that were nobody's order: the budget of the run is on them.
    pub(super) failed_tries: u64,
    /// Rises whenever the service answers a row for its own sake: so it works.
    pub(super) progress: u64,
    undelivered: u64,
}

/// Whether requests of this run fit the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fits {
    /// No row has been answered yet.
    Unknown,
    /// At least one row was answered for its own sake.
    Proved,
}

enum Event {
    Stop(Stopping),
    Landed(Result<(Id, Landed), JoinError>),
    /// `None` if no more will come.
    Taken(Option<Vec<Operation>>),
    Woke,
}

impl<D: Destination> Gate<D> {
    fn new(
        lane: Lane<D>,
        rules: Arc<Rules>,
        operations: mpsc::Receiver<Vec<Operation>>,
        outcomes: mpsc::Sender<Vec<Outcome>>,
        stop: watch::Receiver<Stopping>,
    ) -> Self {
        Self {
            queue: Queue::default(),
            size: Size::new(lane.options()),
            wrapping: Wrapping::new(lane.options()),
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            input_open: true,
            lingers_until: None,
            heard: Stopping::No,
            ending: None,
            fits: Fits::Unknown,
            settled: Vec::new(),
            taken: 0,
            retried: 0,
            failed_tries: 0,
            progress: 0,
            undelivered: 0,
            freed: lane.freed(),
            lane,
            rules,
            operations,
            outcomes,
            stop,
        }
    }

    async fn run(&mut self) {
        loop {
            // One for the whole turn: what comes due in the middle of it is waited for, and so wakes at once.
            let now = Instant::now();
            self.look_at_the_clock().await;
            self.deliver().await;
            self.fill(now);
            if self.is_done() {
                return;
            }
            match self.next_event(now).await {
                Event::Stop(stopping) => self.told(stopping).await,
                Event::Landed(landed) => self.land(landed).await,
                Event::Taken(None) => self.input_open = false,
                Event::Taken(Some(fresh)) => self.take(fresh),
                Event::Woke => {}
            }
        }
    }

    fn is_done(&self) -> bool {
        let nothing_comes = self.ending.is_some() || !self.input_open;
        nothing_comes && self.tasks.is_empty() && self.queue.is_empty()
    }

    async fn look_at_the_clock(&mut self) {
        match &self.ending {
            Some(ending) if Instant::now() >= ending.gives_up_at => self.give_up().await,
            Some(_) => {}
            None => {
                if let Some(cause) = self.lane.must_stop() {
                    self.end(cause).await;
                }
            }
        }
    }

    /// Waits for whatever comes first. Every branch is cancel-safe.
    async fn next_event(&mut self, now: Instant) -> Event {
        let wants_more = self.wants_more(now);
        let wakes_at = self.wakes_at(now);
        tokio::select! {
            biased;
            stopping = louder(&mut self.stop, self.heard) => Event::Stop(stopping),
            Some(landed) = self.tasks.join_next_with_id() => Event::Landed(landed),
            fresh = self.operations.recv(), if wants_more => Event::Taken(fresh),
            _ = self.freed.changed() => Event::Woke,
            () = at(wakes_at) => Event::Woke,
        }
    }

    fn wants_more(&self, now: Instant) -> bool {
        self.input_open
            && self.ending.is_none()
            && self.has_slot(now)
            && self.queue.loose() < self.size.get()
            && self.queue.waiting() < self.lane.options().waiting_operations.get()
    }

    /// Answers that wait to be judged count as well: they still owe outcomes, and hold all that was sent.
    fn has_slot(&self, now: Instant) -> bool {
        self.tasks.len() < self.lane.width() && matches!(self.lane.turn(now), Turn::Of(_))
    }

    /// When to look again, after all that could be done by then was done.
    fn wakes_at(&self, now: Instant) -> Option<Instant> {
        if let Some(ending) = &self.ending {
            return Some(ending.gives_up_at);
        }
        let turn = match self.lane.turn(now) {
            Turn::At(time) => Some(time),
            Turn::Of(_) | Turn::AfterAnswer => None,
        };
        let times = [
            turn,
            self.queue.next_due(),
            self.lingers_until,
            self.lane.options().deadline,
        ];
        // What was due before and could not be done waits for something else.
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    pub(super) fn take(&mut self, operations: Vec<Operation>) {
        self.taken += operations.len() as u64;
        self.queue.add(operations);
    }

    /// Sends as long as there is a slot and something to send.
    fn fill(&mut self, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        self.queue.release(now);
        self.freed.borrow_and_update();
        while self.has_slot(now)
            && let Some(parcel) = self.pack(now)
        {
            self.launch(parcel);
        }
        // What is there and not taken yet is sent with the next one that is taken.
        if !self.wants_more(now) || self.operations.is_empty() {
            self.lane.filled();
        }
    }

    /// A batch that is not full waits for more: as long as something is in flight it would only spend a slot that a
    /// full one can use; otherwise a moment, since the reader may have just begun.
    fn pack(&mut self, now: Instant) -> Option<Parcel> {
        if let Some(parcel) = self.queue.take_apart() {
            return Some(parcel);
        }
        let size = self.size.get();
        if self.queue.loose() > 0 && self.queue.loose() < size && self.input_open {
            if !self.tasks.is_empty() {
                return None;
            }
            let linger = self.lane.options().linger;
            if now < *self.lingers_until.get_or_insert(now + linger) {
                return None;
            }
        }
        self.lingers_until = None;
        if self.wrapping.is_bulk() {
            self.queue.take_alike(size, &self.rules)
        } else {
            self.queue.take_loose(size, &self.rules)
        }
    }

    fn launch(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Fresh(mut operations) => {
                let begun = |operation| begun(operation, &self.rules);
                let histories = operations.iter_mut().map(begun).collect();
                self.send(operations, histories, Packing::Loose);
            }
            Parcel::Batch(works, packing) => {
                let pairs = works.into_iter().map(|work| (work.operation, work.history));
                let (operations, histories) = pairs.unzip();
                self.send(operations, histories, packing);
            }
            Parcel::Find(work) => {
                let (lane, keys) = (self.lane.clone(), vec![work.key(&self.rules)]);
                let find = async move { Landed::Looked(look_up(&lane, None, keys).await) };
                let task = self.tasks.spawn(find);
                self.in_flight.insert(task.id(), Flight::Find(work));
            }
        }
    }

    fn send(&mut self, operations: Vec<Operation>, histories: Vec<History>, packing: Packing) {
        let envelope = self.wrapping.of(&operations, packing);
        if packing == Packing::Loose {
            self.wrapping.sends();
        }
        let batch = Arc::new(Batch {
            operations,
            envelope,
        });
        let (lane, sent) = (self.lane.clone(), Arc::clone(&batch));
        // Somebody else may have taken it meanwhile; then the task waits for the next one.
        let slot = lane.try_slot(Errand::Write).ok();
        let request = async move { Landed::Sent(lane.send(slot, &sent).await) };
        let task = self.tasks.spawn(request);
        let flight = Flight::Batch {
            batch,
            histories,
            packing,
        };
        self.in_flight.insert(task.id(), flight);
    }

    pub(super) async fn land(&mut self, landed: Result<(Id, Landed), JoinError>) {
        let (id, landed) = match landed {
            Ok((id, landed)) => (id, Some(landed)),
            // A task that panicked may have sent its request: that is a lost answer.
            Err(error) => (error.id(), None),
        };
        match (self.in_flight.remove(&id), landed) {
            (
                Some(Flight::Batch {
                    batch,
                    histories,
                    packing,
                }),
                landed,
            ) => {
                let sent = match landed {
                    Some(Landed::Sent(sent)) => sent,
                    Some(Landed::Looked(_)) | None => Sent {
                        replies: Vec::new(),
                        rows: 0,
                        took: Duration::ZERO,
                        user: None,
                    },
                };
                let as_sent = (batch.envelope, packing);
                self.answered(works_of(batch, histories), as_sent, sent)
                    .await;
            }
            (Some(Flight::Find(work)), Some(Landed::Looked(looked))) => {
                self.looked(*work, looked).await;
            }
            (Some(Flight::Find(work)), Some(Landed::Sent(_)) | None) => {
                let cause = StopCause::Exhausted(unanswered());
                self.looked(*work, Err(cause)).await;
            }
            (None, _) => {}
        }
    }

    /// Notes the one outcome of an operation; it is delivered before anything else is waited for.
    pub(super) fn settle(&mut self, work: Work, verdict: Verdict) {
        self.settled.push(work.ended(verdict));
    }

    /// Hands over what is settled. If nobody takes outcomes any more, nothing more is sent.
    async fn deliver(&mut self) {
        while !self.settled.is_empty() {
            let settled = std::mem::take(&mut self.settled);
            let count = settled.len() as u64;
            if self.outcomes.send(settled).await.is_err() {
                self.undelivered += count;
                self.end(StopCause::Interrupted).await;
            }
        }
    }

    fn report(self) -> DispatchReport {
        DispatchReport {
            stopped: self.ending.map(|ending| ending.cause),
            operations: self.taken,
            retried: self.retried,
            undelivered: self.undelivered,
            traffic: self.lane.traffic(),
            seed: self.lane.options().seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::super::chain::tests::{rules, work};
    use super::super::options::Options;
    use super::super::rules::Mode;
    use super::*;
    use crate::model::{Action, Batch, Failure, Find, Found, Reply};

    /// A service that never answers.
    struct Mute;

    impl Destination for Mute {
        async fn send(&self, _: &Batch) -> Vec<Reply> {
            std::future::pending().await
        }

        async fn find(&self, _: &Find) -> Result<Vec<Found>, Failure> {
            std::future::pending().await
        }
    }

    const SOON: Duration = Duration::from_micros(1);

    fn gate(operations: mpsc::Receiver<Vec<Operation>>) -> Gate<Mute> {
        let lane = Lane::new(Arc::new(Mute), Options::default());
        let (outcomes, _) = mpsc::channel(1);
        let (_, stop) = watch::channel(Stopping::No);
        let rules = Arc::new(rules(Mode::Upsert));
        Gate::new(lane, rules, operations, outcomes, stop)
    }

    /// The clock of a process does not stand still while the gate looks at one thing after the other.
    #[tokio::test(start_paused = true)]
    async fn what_comes_due_while_the_gate_looks_wakes_it() {
        let waits: [fn(&mut Gate<Mute>, Instant); 3] = [
            |gate, due| {
                gate.lane.rests(0, due);
                gate.queue.add(vec![work("a", Action::Upsert).operation]);
            },
            |gate, due| {
                let parcel = Parcel::Batch(vec![work("a", Action::Upsert)], Packing::Apart);
                gate.queue.later(due, parcel);
            },
            |gate, due| {
                gate.lingers_until = Some(due);
                gate.queue.add(vec![work("a", Action::Upsert).operation]);
            },
        ];
        for wait in waits {
            let (_more, operations) = mpsc::channel(1);
            let mut gate = gate(operations);
            let now = Instant::now();
            wait(&mut gate, now + SOON);
            gate.fill(now);
            assert_eq!(gate.tasks.len(), 0);
            advance(2 * SOON).await;
            let event = timeout(Duration::from_hours(1), gate.next_event(now)).await;
            assert!(matches!(event, Ok(Event::Woke)));
        }
    }
}
