//! The resolver: finds the GUIDs that records need before they can be written.
//!
//! Most records address themselves: by the GUID that the ledger holds, or by a key that a URL can carry. The others
//! are gathered and found in bulk. In a run most of the first go past this stage (`entrance`).

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::account::{StopCause, Stopping, unsaid};
use super::advice;
use super::alarm::louder;
use super::draft::{Draft, Exit, Foreseen, Gone, Leaving, Resolved, ended};
use super::lane::Lane;
use super::lookup::{Looked, look_up};
use super::rules::{Absent, Rules};
use crate::model::{
    Action, ColumnSet, Destination, Failure, KeyDigest, Operation, Outcome, RecordId, Reject,
    ServiceError, Value,
};

/// What resolving gives back besides operations.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolveReport {
    /// Why it ended early, if it was not its receiver that ended first.
    pub stopped: Option<StopCause>,
    /// Drafts taken from the queue; each became an operation or an outcome.
    pub drafts: u64,
    /// Keys that were looked up.
    pub looked_up: u64,
    /// Operations and outcomes that nobody took, since both receivers were gone.
    pub undelivered: u64,
}

/// Turns drafts into operations; those that are not written become outcomes. Their order is not kept.
///
/// Ends when the queue of drafts is closed, when told to stop, when the service cannot be asked or when nobody takes
/// operations any more: then it closes the queue, and what is left in it is *not attempted*.
///
/// # Cancellation
/// Dropped, it forgets the drafts that it holds. Stop it by `stop`.
pub async fn resolve<D: Destination>(
    lane: Lane<D>,
    rules: Arc<Rules>,
    drafts: mpsc::Receiver<Vec<Draft>>,
    operations: mpsc::Sender<Vec<Operation>>,
    outcomes: mpsc::Sender<Vec<Outcome>>,
    stop: watch::Receiver<Stopping>,
) -> ResolveReport {
    let exit = Exit::Send {
        operations,
        outcomes,
    };
    Stage::new(lane, rules, drafts, exit).run(stop).await
}

/// Tells what [`resolve`] and the dispatcher would do, and asks for every key that the ledger does not know, also where
/// the write itself would tell. Nothing is written.
///
/// # Cancellation
/// Safe: it only reads.
pub async fn foresee<D: Destination>(
    lane: Lane<D>,
    rules: Arc<Rules>,
    drafts: mpsc::Receiver<Vec<Draft>>,
    foreseen: mpsc::Sender<Foreseen>,
    stop: watch::Receiver<Stopping>,
) -> ResolveReport {
    let exit = Exit::Foresee { foreseen };
    Stage::new(lane, rules, drafts, exit).run(stop).await
}

struct Stage<D> {
    lane: Lane<D>,
    rules: Arc<Rules>,
    /// What of the table's columns is not the same in every write.
    conditional: ColumnSet,
    drafts: mpsc::Receiver<Vec<Draft>>,
    exit: Exit,
    /// To be looked for.
    gathered: Vec<Draft>,
    finds: JoinSet<Result<Looked, StopCause>>,
    sought: HashMap<Id, Vec<Draft>>,
    input_open: bool,
    report: ResolveReport,
}

enum Event {
    Stop,
    Landed(Result<(Id, Result<Looked, StopCause>), JoinError>),
    /// `None` if no more will come.
    Taken(Option<Vec<Draft>>),
    NobodyTakes,
}

impl<D: Destination> Stage<D> {
    fn new(
        lane: Lane<D>,
        rules: Arc<Rules>,
        drafts: mpsc::Receiver<Vec<Draft>>,
        exit: Exit,
    ) -> Self {
        Self {
            lane,
            conditional: rules.conditional(),
            rules,
            drafts,
            exit,
            gathered: Vec::new(),
            finds: JoinSet::new(),
            sought: HashMap::new(),
            input_open: true,
            report: ResolveReport {
                stopped: None,
                drafts: 0,
                looked_up: 0,
                undelivered: 0,
            },
        }
    }

    async fn run(mut self, mut stop: watch::Receiver<Stopping>) -> ResolveReport {
        while self.input_open || !self.finds.is_empty() || !self.gathered.is_empty() {
            let gone = match self.next_event(&mut stop).await {
                Event::Stop => {
                    self.report.stopped = Some(StopCause::Interrupted);
                    Gone::Yes
                }
                Event::NobodyTakes => Gone::Yes,
                Event::Landed(landed) => self.land(landed).await,
                Event::Taken(None) => {
                    self.input_open = false;
                    Gone::No
                }
                Event::Taken(Some(fresh)) => self.take(fresh).await,
            };
            if gone == Gone::Yes {
                self.end().await;
                break;
            }
            self.seek();
        }
        self.report
    }

    /// Waits for whatever comes first. Every branch is cancel-safe.
    async fn next_event(&mut self, stop: &mut watch::Receiver<Stopping>) -> Event {
        let wants_more = self.input_open && self.has_slot();
        tokio::select! {
            biased;
            _ = louder(stop, Stopping::No) => Event::Stop,
            () = self.exit.closed() => Event::NobodyTakes,
            Some(landed) = self.finds.join_next_with_id() => Event::Landed(landed),
            fresh = self.drafts.recv(), if wants_more => Event::Taken(fresh),
        }
    }

    fn has_slot(&self) -> bool {
        self.finds.len() < self.lane.options().concurrent_finds.get()
    }

    /// Passes on what addresses itself, and gathers the rest; and so on with whatever is there already, so that a find
    /// has as many keys as can be had without waiting.
    async fn take(&mut self, mut fresh: Vec<Draft>) -> Gone {
        loop {
            self.report.drafts += fresh.len() as u64;
            let mut leaving = self.exit.leaving(fresh.len());
            for draft in fresh {
                match self.itself(&draft) {
                    Some(resolved) => self.leaves(draft, resolved, &mut leaving),
                    None => self.gathered.push(draft),
                }
            }
            if self.pass(leaving).await == Gone::Yes {
                return Gone::Yes;
            }
            let is_full = self.gathered.len() >= self.lane.options().find_keys.get();
            if self.gathered.is_empty() || is_full {
                return Gone::No;
            }
            match self.drafts.try_recv() {
                Ok(more) => fresh = more,
                Err(_) => return Gone::No,
            }
        }
    }

    /// What becomes of a draft without asking the service; `None` if it must be asked.
    fn itself(&self, draft: &Draft) -> Option<Resolved> {
        let known = draft.standing.as_ref().and_then(|standing| standing.id);
        match known {
            Some(id) => Some(present(&self.rules, id)),
            None => match self.exit {
                // A bulk message says of no record whether it was there: what is not known is found first.
                Exit::Send { .. } if self.lane.options().is_bulk() => None,
                Exit::Send { .. } => self
                    .rules
                    .by_key(&draft.record, self.conditional_of(draft))
                    .map(Resolved::Do),
                Exit::Foresee { .. } => None,
            },
        }
    }

    /// Looks for what was gathered, if there is a slot. What one find cannot ask for goes with the drafts that come next,
    /// or when this one has landed.
    fn seek(&mut self) {
        if self.gathered.is_empty() || !self.has_slot() {
            return;
        }
        let most = self.lane.options().find_keys.get();
        let rest = self.gathered.split_off(self.gathered.len().min(most));
        let drafts = std::mem::replace(&mut self.gathered, rest);
        self.report.looked_up += drafts.len() as u64;
        let keys = drafts.iter().map(|draft| self.key(draft)).collect();
        let lane = self.lane.clone();
        let find = async move { look_up(&lane, None, keys).await };
        let task = self.finds.spawn(find);
        self.sought.insert(task.id(), drafts);
    }

    fn key(&self, draft: &Draft) -> Vec<Value> {
        draft.record.key(&self.rules.target).cloned().collect()
    }

    async fn land(&mut self, landed: Result<(Id, Result<Looked, StopCause>), JoinError>) -> Gone {
        let (id, looked) = match landed {
            Ok((id, looked)) => (id, looked),
            // A find that panicked has a defect; it would panic again.
            Err(error) => (
                error.id(),
                Err(StopCause::Exhausted(unsaid("looking for records failed"))),
            ),
        };
        let drafts = self.sought.remove(&id).unwrap_or_default();
        let looked = match looked {
            Ok(looked) => looked,
            Err(cause) => {
                self.report.stopped = Some(cause);
                self.gathered.extend(drafts);
                return Gone::Yes;
            }
        };
        let found = self.by_digest(looked);
        let mut leaving = self.exit.leaving(drafts.len());
        for draft in drafts {
            let resolved = self.resolved(&draft, found.get(&draft.row.key));
            self.leaves(draft, resolved, &mut leaving);
        }
        self.pass(leaving).await
    }

    /// What was found, by the digest of its key: the service compares keys its own way, and so do digests.
    fn by_digest(&self, looked: Looked) -> HashMap<KeyDigest, Answer> {
        let mut answers = HashMap::new();
        for found in looked.found {
            let digest = (self.rules.key_digest)(&found.key);
            let answer = answers
                .entry(digest)
                .or_insert_with(|| Answer::Found(Vec::new()));
            if let Answer::Found(ids) = answer
                && !ids.contains(&found.id)
            {
                ids.push(found.id);
            }
        }
        for (key, failure) in looked.refused {
            let digest = (self.rules.key_digest)(&key);
            answers.insert(digest, Answer::Refused(failure));
        }
        answers
    }

    fn resolved(&self, draft: &Draft, answer: Option<&Answer>) -> Resolved {
        let ids = match answer {
            None => [].as_slice(),
            Some(Answer::Found(ids)) => ids.as_slice(),
            Some(Answer::Refused(failure)) => {
                return rejected(advice::unfindable(draft.row, failure.clone()));
            }
        };
        match ids {
            [] => absent(&self.rules, draft),
            [id] => present(&self.rules, *id),
            [_, _, ..] => {
                let key = self.key(draft);
                let target = &self.rules.target;
                rejected(advice::ambiguous(draft.row, target, &key, ids.len()))
            }
        }
    }

    /// Adds a draft to those that leave, with the columns that its action carries.
    #[inline]
    fn leaves(&self, mut draft: Draft, mut resolved: Resolved, leaving: &mut Leaving) {
        if let Resolved::Do(action) = resolved
            && self.conditional_of(&draft).next().is_some()
        {
            let carried = self.rules.carried(&draft.columns, action);
            if let Action::Update(id) = action
                && carried.is_empty()
            {
                resolved = Resolved::Unchanged(id);
            }
            draft.columns = carried;
        }
        self.exit.add(draft, resolved, leaving);
    }

    /// Those of its columns that not every write carries. Most mappings have none.
    fn conditional_of(&self, draft: &Draft) -> impl Iterator<Item = usize> {
        let conditional = self.conditional.iter();
        conditional.filter(|index| draft.columns.contains(*index))
    }

    async fn pass(&mut self, leaving: Leaving) -> Gone {
        let (undelivered, gone) = self.exit.pass(leaving).await;
        self.report.undelivered += undelivered;
        gone
    }

    /// Takes nothing more; what it holds and what is left in the queue is not attempted.
    async fn end(&mut self) {
        self.finds.shutdown().await;
        self.drafts.close();
        let mut left = std::mem::take(&mut self.gathered);
        left.extend(std::mem::take(&mut self.sought).into_values().flatten());
        while let Some(drafts) = self.drafts.recv().await {
            self.report.drafts += drafts.len() as u64;
            left.extend(drafts);
        }
        let error = match &self.report.stopped {
            Some(cause) => cause.error(),
            None => ended(),
        };
        let mut leaving = self.exit.leaving(left.len());
        for draft in left {
            let resolved = Resolved::NotAttempted(Box::new(error.clone()));
            self.leaves(draft, resolved, &mut leaving);
        }
        // Nobody asks any more whether somebody takes them.
        let _ = self.pass(leaving).await;
    }
}

/// What a find told of one key.
enum Answer {
    Found(Vec<RecordId>),
    Refused(Failure),
}

fn rejected(reject: Reject) -> Resolved {
    Resolved::Reject(Box::new(reject))
}

fn present(rules: &Rules, id: RecordId) -> Resolved {
    match rules.where_present(id) {
        Ok(action) => Resolved::Do(action),
        Err(reason) => Resolved::Skip(reason),
    }
}

fn absent(rules: &Rules, draft: &Draft) -> Resolved {
    match rules.where_absent(&draft.record) {
        Ok(action) => Resolved::Do(action),
        Err(Absent::Skip(reason)) => Resolved::Skip(reason),
        Err(Absent::Reject) => {
            let key: Vec<Value> = draft.record.key(&rules.target).cloned().collect();
            let error = ServiceError::default();
            rejected(advice::not_found(draft.row, &rules.target, &key, error))
        }
    }
}
