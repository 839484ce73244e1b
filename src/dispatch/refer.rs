//! References: finds the records of other tables that records refer to, in bulk, each once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::account::{StopCause, Stopping};
use super::advice;
use super::alarm::louder;
use super::draft::{Draft, TOGETHER, ended, handfuls};
use super::lane::Lane;
use super::lookup::look_up;
use super::resolve::ResolveReport;
use super::rules::KeyDigester;
use crate::model::{
    Absent, Action, ColumnSet, Destination, KeyDigest, LogicalName, Lookup, Outcome, Points,
    Record, RecordId, Reference, Standing, Value, Verdict,
};

/// What of a record differs from what Dataverse holds, as the ledger knows it.
pub type Differ = Arc<dyn Fn(&Record, Option<&Standing>) -> ColumnSet + Send + Sync>;

/// How the references of a mapping are settled.
#[derive(Clone)]
pub struct Referring {
    /// Digests the keys by which records are found.
    pub key_digest: KeyDigester,
    /// Tells what of a record is to be sent.
    pub differ: Differ,
    /// Whether the run may yet make the record that a reference means. `None` in the second pass.
    pub growing: Option<Growing>,
}

/// Whether a run may yet make the record that a reference means.
pub type Growing = Arc<dyn Fn(&Reference) -> bool + Send + Sync>;

/// References that are remembered at most; beyond them all are forgotten and found again.
const MOST_REMEMBERED: usize = 100_000;

/// Finds what drafts refer to, and passes them on. A reference that cannot be settled makes its row a reject, or
/// becomes what the mapping says; a draft that then has nothing to send is *unchanged*.
///
/// Ends when the queue of drafts is closed, when told to stop, when nobody takes drafts any more or when the service
/// cannot be asked: what is left in the queue is *not attempted*, and a search that is under way is given up.
///
/// # Cancellation
/// Dropped, it forgets the drafts that it holds. Stop it by `stop`.
pub async fn refer<D: Destination>(
    lane: Lane<D>,
    referring: Referring,
    mut drafts: mpsc::Receiver<Vec<Draft>>,
    settled: mpsc::Sender<Vec<Draft>>,
    outcomes: mpsc::Sender<Vec<Outcome>>,
    mut stop: watch::Receiver<Stopping>,
) -> ResolveReport {
    let mut stage = Stage {
        lane,
        referring,
        known: HashMap::new(),
        report: ResolveReport {
            stopped: None,
            drafts: 0,
            looked_up: 0,
            undelivered: 0,
        },
    };
    let mut held: Vec<Draft> = Vec::new();
    loop {
        tokio::select! {
            biased;
            _ = louder(&mut stop, Stopping::No) => {
                stage.report.stopped = Some(StopCause::Interrupted);
                break;
            }
            () = settled.closed() => break,
            fresh = drafts.recv() => match fresh {
                Some(fresh) => held.extend(fresh),
                None => return stage.report,
            },
        }
        stage.gather(&mut drafts, &mut held).await;
        stage.report.drafts += held.len() as u64;
        // It may wait for the end of a penalty, or for an answer that does not come.
        let searched = tokio::select! {
            biased;
            _ = louder(&mut stop, Stopping::No) => Err(Some(StopCause::Interrupted)),
            () = settled.closed() => Err(None),
            searched = stage.find(&held) => searched.map_err(Some),
        };
        if let Err(cause) = searched {
            stage.report.stopped = cause;
            break;
        }
        let mut ready = Vec::with_capacity(held.len());
        for draft in held.drain(..) {
            let (draft, verdict) = stage.settle(draft);
            match verdict {
                None => ready.push(draft),
                Some(verdict) => stage.tell(draft, verdict, &outcomes).await,
            }
        }
        for ready in handfuls(ready) {
            if let Err(unsent) = settled.send(ready).await {
                stage.give_up(unsent.0, &outcomes).await;
            }
        }
    }
    drafts.close();
    stage.give_up(held, &outcomes).await;
    while let Some(left) = drafts.recv().await {
        stage.report.drafts += left.len() as u64;
        stage.give_up(left, &outcomes).await;
    }
    stage.report
}

struct Stage<D> {
    lane: Lane<D>,
    referring: Referring,
    /// By column and key: the records that there are.
    known: HashMap<(LogicalName, KeyDigest), Vec<RecordId>>,
    report: ResolveReport,
}

impl<D: Destination> Stage<D> {
    /// Takes what is there already and, while something has to be looked for, waits a moment for more drafts: one search
    /// for all of them.
    async fn gather(&self, drafts: &mut mpsc::Receiver<Vec<Draft>>, held: &mut Vec<Draft>) {
        let (most, linger) = (
            self.lane.options().find_keys.get(),
            self.lane.options().linger,
        );
        let is_unknown = |draft: &Draft| {
            let mut sought = references(&draft.record);
            sought.any(|it| !needs_no_search(it) && !self.known.contains_key(&self.place(it)))
        };
        let has_room = |held: &[Draft]| held.len() + TOGETHER <= most;
        while has_room(held)
            && let Ok(more) = drafts.try_recv()
        {
            held.extend(more);
        }
        while has_room(held) && held.iter().any(is_unknown) {
            match tokio::time::timeout(linger, drafts.recv()).await {
                Ok(Some(more)) => held.extend(more),
                Ok(None) | Err(_) => break,
            }
        }
    }

    /// Finds the references of some drafts that are not known yet.
    async fn find(&mut self, drafts: &[Draft]) -> Result<(), StopCause> {
        if self.known.len() > MOST_REMEMBERED {
            self.known.clear();
        }
        let mut sought: HashMap<LogicalName, (Arc<Lookup>, Vec<Vec<Value>>)> = HashMap::new();
        for reference in drafts.iter().flat_map(|draft| references(&draft.record)) {
            let place = self.place(reference);
            if needs_no_search(reference) || self.known.contains_key(&place) {
                continue;
            }
            self.known.insert(place, Vec::new());
            let to = &reference.to;
            let (_, keys) = sought
                .entry(to.column.clone())
                .or_insert_with(|| (Arc::clone(to), Vec::new()));
            keys.push(reference.key.clone());
        }
        let most = self.lane.options().find_keys.get();
        for (column, (to, keys)) in sought {
            self.report.looked_up += keys.len() as u64;
            for keys in keys.chunks(most) {
                let looked = look_up(&self.lane, Some(&to.target), keys.to_vec()).await?;
                for found in looked.found {
                    let place = (column.clone(), (self.referring.key_digest)(&found.key));
                    let ids = self.known.entry(place).or_default();
                    if !ids.contains(&found.id) {
                        ids.push(found.id);
                    }
                }
            }
        }
        Ok(())
    }

    fn place(&self, reference: &Reference) -> (LogicalName, KeyDigest) {
        let digest = (self.referring.key_digest)(&reference.key);
        (reference.to.column.clone(), digest)
    }

    /// Points each reference where it leads; with a verdict if nothing is left to be sent.
    fn settle(&self, mut draft: Draft) -> (Draft, Option<Verdict>) {
        let mut values = draft.record.values.clone();
        let mut later: Vec<usize> = Vec::new();
        for (index, value) in values.iter_mut().enumerate() {
            let Value::Reference(reference) = value else {
                continue;
            };
            match self.points(reference) {
                Ok(Points::Missing(_)) | Err(0) if self.may_grow(reference) => {
                    reference.points = Points::Later;
                    later.push(index);
                }
                Ok(points) => reference.points = points,
                // What Dataverse holds already is not asked for.
                Err(_) if !draft.columns.contains(index) => {}
                Err(matches) => {
                    let reject = advice::unreferable(draft.row, reference, matches);
                    return (draft, Some(Verdict::Rejected(Box::new(reject))));
                }
            }
        }
        let is_missing = |value: &Value| matches!(value, Value::Reference(it) if matches!(it.points, Points::Missing(_)));
        let some_missing = values.iter().any(is_missing);
        draft.record = Record { values };
        if some_missing {
            draft.columns = (self.referring.differ)(&draft.record, draft.standing.as_deref());
        }
        if !later.is_empty() {
            let columns = draft.columns.iter();
            draft.columns = columns.filter(|index| !later.contains(index)).collect();
        }
        if (some_missing || !later.is_empty())
            && draft.columns.is_empty()
            && draft.standing.is_some()
        {
            return (draft, Some(Verdict::Unchanged));
        }
        (draft, None)
    }

    /// Whether the record that is not found may be one of those that are being written.
    fn may_grow(&self, reference: &Reference) -> bool {
        let growing = self.referring.growing.as_ref();
        growing.is_some_and(|growing| growing(reference))
    }

    /// Where a reference leads; otherwise how many records it could mean.
    fn points(&self, reference: &Reference) -> Result<Points, usize> {
        if reference.points != Points::Sought {
            return Ok(reference.points);
        }
        if needs_no_search(reference)
            && let Some(Value::Guid(id)) = reference.key.first()
        {
            return Ok(Points::Found(RecordId(*id)));
        }
        let ids = self.known.get(&self.place(reference));
        match (
            ids.map(Vec::as_slice).unwrap_or_default(),
            reference.to.absent,
        ) {
            ([only], _) => Ok(Points::Found(*only)),
            ([], Absent::Blank) => Ok(Points::Missing(None)),
            ([], Absent::Default(id)) => Ok(Points::Missing(Some(id))),
            (several, _) => Err(several.len()),
        }
    }

    async fn give_up(&mut self, drafts: Vec<Draft>, outcomes: &mpsc::Sender<Vec<Outcome>>) {
        let error = match &self.report.stopped {
            Some(cause) => cause.error(),
            None => ended(),
        };
        for draft in drafts {
            let verdict = Verdict::untouched(error.clone());
            self.tell(draft, verdict, outcomes).await;
        }
    }

    async fn tell(
        &mut self,
        draft: Draft,
        verdict: Verdict,
        outcomes: &mpsc::Sender<Vec<Outcome>>,
    ) {
        // It was not written, so no action is true of it; this one writes least.
        let operation = draft.into_operation(Action::UpdateByKey);
        let sent = outcomes.send(vec![Outcome { operation, verdict }]).await;
        self.report.undelivered += u64::from(sent.is_err());
    }
}

fn references(record: &Record) -> impl Iterator<Item = &Reference> {
    record.values.iter().filter_map(|value| match value {
        Value::Reference(reference) if reference.points == Points::Sought => Some(&**reference),
        _ => None,
    })
}

/// A GUID says itself which record is meant; whether there is one matters only if something else is to be written
/// where there is none.
fn needs_no_search(reference: &Reference) -> bool {
    reference.to.target.key_is_primary_id && reference.to.absent == Absent::Reject
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;
    use tokio::task::JoinSet;

    use super::super::options::Options;
    use super::*;
    use crate::model::{
        Batch, ColumnKind, EntitySetName, Failure, Find, Found, Nulls, Position, Reply, RowTag,
        SourceDigest, Target, TargetColumn,
    };

    /// A service that hears what is looked for and never answers.
    #[derive(Default)]
    struct Mute {
        asked: Notify,
    }

    impl Destination for Mute {
        async fn send(&self, _: &Batch) -> Vec<Reply> {
            std::future::pending().await
        }

        async fn find(&self, _: &Find) -> Result<Vec<Found>, Failure> {
            self.asked.notify_one();
            std::future::pending().await
        }
    }

    fn name(name: &str) -> LogicalName {
        LogicalName::parse(name).unwrap()
    }

    /// A contact that refers to an account by its number.
    fn draft() -> Draft {
        let number = TargetColumn::new(
            name("accountnumber"),
            ColumnKind::Text { max_length: 20 },
            Nulls::Owned,
        );
        let to = Arc::new(Lookup {
            column: name("parentcustomerid"),
            target: Arc::new(Target {
                table: name("account"),
                entity_set: EntitySetName::parse("accounts").unwrap(),
                primary_id: name("accountid"),
                columns: vec![number],
                key: vec![0],
                key_is_primary_id: false,
            }),
            navigation: "parentcustomerid_account".to_owned(),
            absent: Absent::Reject,
        });
        let reference = Reference {
            to,
            key: vec![Value::Text("A1".into())],
            points: Points::Sought,
        };
        Draft {
            row: RowTag {
                position: Position::new(0, 2),
                key: KeyDigest([0; 16]),
                source: SourceDigest(0),
            },
            record: Record {
                values: vec![Value::Reference(Box::new(reference))],
            },
            columns: ColumnSet::new(),
            standing: None,
        }
    }

    fn referring() -> Referring {
        Referring {
            key_digest: Arc::new(|_| KeyDigest([0; 16])),
            differ: Arc::new(|_, _| ColumnSet::new()),
            growing: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_without_an_answer_keeps_nobody_who_stops() {
        for stopping in [Stopping::Drain, Stopping::No] {
            let mute = Arc::new(Mute::default());
            let lane = Lane::new(Arc::clone(&mute), Options::default());
            let (drafts_in, drafts) = mpsc::channel(2);
            let (settled, mut taken) = mpsc::channel(2);
            let (outcomes_in, mut outcomes) = mpsc::channel(9);
            let (stop, told) = watch::channel(Stopping::No);
            let referring = refer(lane, referring(), drafts, settled, outcomes_in, told);
            let mut stage = JoinSet::new();
            stage.spawn(referring);
            drafts_in.send(vec![draft()]).await.unwrap();
            mute.asked.notified().await;
            drafts_in.send(vec![draft()]).await.unwrap();
            if stopping == Stopping::No {
                taken.close();
            } else {
                stop.send(stopping).unwrap();
            }
            let report = stage.join_next().await.unwrap().unwrap();
            let is_told = stopping != Stopping::No;
            let cause = is_told.then_some(StopCause::Interrupted);
            assert_eq!((report.stopped, report.drafts), (cause, 2));
            for _ in 0..2 {
                let outcome = outcomes.recv().await.unwrap();
                assert!(matches!(outcome[0].verdict, Verdict::NotAttempted(_)));
            }
            assert_eq!(outcomes.recv().await, None);
        }
    }
}
