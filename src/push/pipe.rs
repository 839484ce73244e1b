//! The second reading as a pipe: mapper, resolver, dispatcher, recorder; each queue is bounded.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::open::Opened;
use super::preview;
use super::record::{Note, Recorder, Recording};
use super::selection::Selection;
use super::send::Mapper;
use super::{PushError, Run, Stage, ended};
use crate::dataverse::TableWriter;
use crate::dispatch::{
    self, Differ, DispatchReport, Draft, Foreseen, Lane, ResolveReport, Rules, Stopping,
};
use crate::ledger::{Ledger, RunNumber, Snapshot, Survey, diff};
use crate::mapping::Mode;
use crate::model::{ColumnKind, Outcome, Source as _};

/// Drafts and operations that wait between two stages: a few batches, so that none starves.
const QUEUED: usize = 1_000;

/// No answer comes later, and a clock can be asked for it.
const LONGEST_GRACE: Duration = Duration::from_hours(24);

impl Run {
    /// Sends what is due and records what was accepted.
    pub(super) async fn pipe(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        survey: Survey,
        selection: Selection,
    ) -> Result<(), PushError> {
        let earlier = ledger.unfinished_run(number)?.map(|run| run.started);
        let snapshot = ledger.snapshot().clone();
        let since = earlier.unwrap_or_else(|| self.started(opened));
        let rules = Arc::new(rules(opened, &snapshot, Some(since)));
        let lane = self.lane(opened);
        let (drafts_in, drafts) = mpsc::channel(QUEUED);
        let (operations_in, operations) = mpsc::channel(QUEUED);
        let (outcomes_in, outcomes) = mpsc::channel(QUEUED);
        let (notes_in, notes) = mpsc::channel(QUEUED);
        let (brake, stop) = watch::channel(Stopping::No);
        let recorder = self.recorder(
            opened,
            &snapshot,
            Some((Arc::clone(ledger), number)),
            brake.clone(),
        );
        let mapper = mapper(opened, snapshot, &self.request, selection);

        let mut stages = JoinSet::new();
        let differ = differ(opened, &mapper);
        let drafts = refer(
            &mut stages,
            opened,
            &lane,
            &rules,
            differ,
            drafts,
            &outcomes_in,
            &stop,
        );
        let resolving = dispatch::resolve(
            lane.clone(),
            Arc::clone(&rules),
            drafts,
            operations_in,
            outcomes_in.clone(),
            stop.clone(),
        );
        stages.spawn(async move { Some(Part::Resolved(resolving.await)) });
        let dispatching = dispatch::dispatch(lane, rules, operations, outcomes_in, stop);
        stages.spawn(async move { Some(Part::Dispatched(dispatching.await)) });
        stages.spawn(forward(outcomes, notes_in.clone()));
        stages
            .spawn_blocking(move || Some(Part::Mapped(mapper.run(&survey, &drafts_in, &notes_in))));
        stages.spawn_blocking(move || Some(Part::Recorded(Box::new(recorder?.run(notes)))));
        self.gather(stages, brake).await?;
        // What was sent comes from this extract only if it is still the one that was read.
        Ok(opened.extract.unchanged()?)
    }

    /// Tells what [`Run::pipe`] would do. Nothing is sent or recorded.
    pub(super) async fn foresee(
        &mut self,
        opened: &Arc<Opened>,
        ledger: Snapshot,
        survey: Survey,
        selection: Selection,
    ) -> Result<(), PushError> {
        let rules = Arc::new(rules(opened, &ledger, None));
        let lane = self.lane(opened);
        let (drafts_in, drafts) = mpsc::channel(QUEUED);
        let (foreseen_in, foreseen) = mpsc::channel(QUEUED);
        let (notes_in, notes) = mpsc::channel(QUEUED);
        let (brake, stop) = watch::channel(Stopping::No);
        let recorder = self.recorder(opened, &ledger, None, brake.clone());
        let mapper = mapper(opened, ledger, &self.request, selection);

        let mut stages = JoinSet::new();
        let differ = differ(opened, &mapper);
        let (outcomes_in, outcomes) = mpsc::channel(QUEUED);
        let drafts = refer(
            &mut stages,
            opened,
            &lane,
            &rules,
            differ,
            drafts,
            &outcomes_in,
            &stop,
        );
        drop(outcomes_in);
        stages.spawn(forward(outcomes, notes_in.clone()));
        let foreseeing = dispatch::foresee(lane, rules, drafts, foreseen_in, stop);
        stages.spawn(async move { Some(Part::Resolved(foreseeing.await)) });
        stages.spawn(forward_foreseen(foreseen, notes_in.clone()));
        stages
            .spawn_blocking(move || Some(Part::Mapped(mapper.run(&survey, &drafts_in, &notes_in))));
        stages.spawn_blocking(move || Some(Part::Recorded(Box::new(recorder?.run(notes)))));
        self.gather(stages, brake).await?;
        tokio::select! {
            () = preview::fill_in(&opened.environment, &opened.table, &mut self.preview) => {}
            () = super::stopping(self.stop.clone()) => return Err(super::interrupted()),
        }
        Ok(opened.extract.unchanged()?)
    }

    fn lane(&self, opened: &Opened) -> Lane<TableWriter> {
        let patience = &self.request.patience;
        let mut options = dispatch::Options {
            grace: patience.grace.min(LONGEST_GRACE),
            deadline: self.deadline(),
            ..dispatch::Options::default()
        };
        let hint = opened.who.recommended_concurrency;
        if let Some(hint) = hint.and_then(NonZeroUsize::new) {
            options = options.recommended(hint);
        }
        if let Some(concurrency) = patience.concurrency {
            options.concurrency = concurrency;
        }
        let writer = opened.environment.writer(Arc::clone(opened.plan.target()));
        let lane = Lane::new(Arc::new(writer), options);
        let seen = lane.clone();
        self.progress.gauge(Box::new(move || seen.traffic()));
        self.progress.enter(Stage::Sending);
        lane
    }

    fn recorder(
        &mut self,
        opened: &Opened,
        snapshot: &Snapshot,
        ledger: Option<(Arc<Ledger>, RunNumber)>,
        brake: watch::Sender<Stopping>,
    ) -> Option<Recorder> {
        // It finds out what becomes of the rows that were not attempted so far.
        let mut before = self.rows;
        before.not_attempted = 0;
        Some(Recorder {
            plan: Arc::clone(&opened.plan),
            ledger,
            secret: snapshot.secret().clone(),
            before,
            counts: before,
            rejects: self.rejects.take()?,
            most_rejects: opened.plan.guard().max_rejects,
            brake,
            preview: Vec::new(),
            progress: Arc::clone(&self.progress),
        })
    }

    /// Waits for every part, then tells what stopped the run, the gravest first. Meanwhile whoever says to stop is
    /// heard: the brake is what the parts listen to.
    async fn gather(
        &mut self,
        mut parts: JoinSet<Option<Part>>,
        brake: watch::Sender<Stopping>,
    ) -> Result<(), PushError> {
        let mut causes: Vec<PushError> = Vec::new();
        let mut stop = self.stop.clone();
        let listening = async move {
            loop {
                let level = *stop.borrow_and_update();
                brake.send_if_modified(|now| {
                    let louder = level > *now;
                    *now = level.max(*now);
                    louder
                });
                if stop.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::pin!(listening);
        loop {
            let part = tokio::select! {
                part = parts.join_next() => part,
                () = &mut listening => None,
            };
            let Some(part) = part else { break };
            match part {
                Ok(Some(part)) => self.take(part, &mut causes),
                Ok(None) => causes.push(PushError::Defect("the rejects have no file".to_owned())),
                // The others find their queues closed and end too; the ledger is theirs until then.
                Err(error) => causes.push(ended(&error)),
            }
        }
        let gravest = causes
            .into_iter()
            .min_by_key(|cause| cause.exit_code().rank());
        gravest.map_or(Ok(()), Err)
    }

    fn take(&mut self, part: Part, causes: &mut Vec<PushError>) {
        match part {
            Part::Mapped(result) => causes.extend(result.err()),
            Part::Resolved(report) => causes.extend(report.stopped.map(PushError::Stopped)),
            Part::Dispatched(report) => {
                causes.extend(report.stopped.clone().map(PushError::Stopped));
                self.dispatched = Some(report);
            }
            Part::Forwarded => {}
            Part::Recorded(recording) => {
                let Recording {
                    counts,
                    rejects,
                    failed,
                    preview,
                } = *recording;
                self.rows = counts;
                self.rejects = Some(rejects);
                self.preview = preview;
                causes.extend(failed);
            }
        }
    }
}

enum Part {
    Mapped(Result<(), PushError>),
    Resolved(ResolveReport),
    Dispatched(DispatchReport),
    Forwarded,
    Recorded(Box<Recording>),
}

fn mapper(
    opened: &Arc<Opened>,
    ledger: Snapshot,
    request: &super::Request,
    selection: Selection,
) -> Mapper {
    Mapper {
        opened: Arc::clone(opened),
        ledger,
        scope: request.scope,
        selection,
    }
}

fn rules(opened: &Opened, ledger: &Snapshot, since: Option<jiff::Timestamp>) -> Rules {
    let (plan, secret) = (Arc::clone(&opened.plan), ledger.secret().clone());
    let mode = match plan.mode() {
        Mode::Upsert => dispatch::Mode::Upsert,
        Mode::Create => dispatch::Mode::Create,
        Mode::Update => dispatch::Mode::Update,
        Mode::UpdateOrSkip => dispatch::Mode::UpdateOrSkip,
    };
    Rules {
        target: Arc::clone(plan.target()),
        mode,
        key_digest: Arc::new(move |values| plan.key_digest(values, &secret)),
        our_users: vec![opened.who.user],
        since,
    }
}

/// Tells what of a record differs, as the mapper does.
fn differ(opened: &Arc<Opened>, mapper: &Mapper) -> Differ {
    let (plan, secret, scope) = (
        Arc::clone(&opened.plan),
        mapper.ledger.secret().clone(),
        mapper.scope,
    );
    Arc::new(move |record, standing| {
        let digests = plan.column_digests(record, &secret);
        diff(standing, record, &digests, plan.target(), scope)
    })
}

/// Puts the stage that finds references between mapper and resolver, if the mapping has any.
#[expect(
    clippy::too_many_arguments,
    reason = "it joins what the pipe has in hand"
)]
fn refer(
    stages: &mut JoinSet<Option<Part>>,
    opened: &Opened,
    lane: &Lane<TableWriter>,
    rules: &Rules,
    differ: Differ,
    drafts: mpsc::Receiver<Draft>,
    outcomes: &mpsc::Sender<Outcome>,
    stop: &watch::Receiver<Stopping>,
) -> mpsc::Receiver<Draft> {
    let columns = &opened.plan.target().columns;
    let is_lookup = |kind: &ColumnKind| matches!(kind, ColumnKind::Lookup { .. });
    if !columns.iter().any(|column| is_lookup(&column.kind)) {
        return drafts;
    }
    let (settled_in, settled) = mpsc::channel(QUEUED);
    let key_digest = Arc::clone(&rules.key_digest);
    let (lane, outcomes, stop) = (lane.clone(), outcomes.clone(), stop.clone());
    let referring = dispatch::refer(lane, key_digest, differ, drafts, settled_in, outcomes, stop);
    stages.spawn(async move { Some(Part::Resolved(referring.await)) });
    settled
}

async fn forward(mut outcomes: mpsc::Receiver<Outcome>, notes: mpsc::Sender<Note>) -> Option<Part> {
    while let Some(outcome) = outcomes.recv().await {
        if notes.send(Note::Outcome(outcome)).await.is_err() {
            break;
        }
    }
    Some(Part::Forwarded)
}

async fn forward_foreseen(
    mut foreseen: mpsc::Receiver<Foreseen>,
    notes: mpsc::Sender<Note>,
) -> Option<Part> {
    while let Some(foreseen) = foreseen.recv().await {
        if notes.send(Note::Foreseen(foreseen)).await.is_err() {
            break;
        }
    }
    Some(Part::Forwarded)
}
