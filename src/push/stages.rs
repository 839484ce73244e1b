//! What the stages of the pipe are made of.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::doubt::DoubtBook;
use super::effort;
use super::intake::Intake;
use super::open::Opened;
use super::pipe::{HANDED_ON, Part};
use super::record::{Note, Recorder};
use super::selection::Selection;
use super::send::Mapper;
use super::sieve::KeySieve;
use crate::dataverse::TableWriter;
use crate::dispatch::{self, Draft, Entrance, Foreseen, Growing, Lane, Referring, Rules, Stopping};
use crate::ledger::{HeldBack, Snapshot, Survey, diff};
use crate::mapping::{ColumnDigester, Mode};
use crate::model::{Operation, Outcome, TargetColumn, Value};

pub(super) fn mapper(
    opened: &Arc<Opened>,
    ledger: Snapshot,
    request: &super::Request,
    selection: Selection,
    held: Arc<HeldBack>,
) -> Mapper {
    Mapper {
        opened: Arc::clone(opened),
        ledger,
        scope: request.scope,
        selection,
        owed: None,
        held,
        book: None,
    }
}

pub(super) fn rules(opened: &Opened, ledger: &Snapshot, since: Option<jiff::Timestamp>) -> Rules {
    let (plan, secret) = (Arc::clone(&opened.plan), ledger.secret().clone());
    let deriving = Arc::clone(&opened.plan);
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
        derived_id: Arc::new(move |record| deriving.derived_id(record)),
        our_users: opened.our_users(),
        since,
        resumes: false,
    }
}

/// How references are settled; tells what of a record differs as the mapper does.
pub(super) fn referring(
    opened: &Arc<Opened>,
    mapper: &Mapper,
    rules: &Rules,
    growing: Option<Growing>,
) -> Referring {
    let (plan, secret, scope) = (
        Arc::clone(&opened.plan),
        mapper.ledger.secret().clone(),
        mapper.scope,
    );
    Referring {
        key_digest: Arc::clone(&rules.key_digest),
        differ: Arc::new(move |record, standing| {
            let mut digester = ColumnDigester::new(&secret);
            let digest = |value: &Value| digester.of(value);
            diff(standing, record, digest, plan.target(), scope)
        }),
        growing,
    }
}

/// Which references may be to records that this run makes.
pub(super) fn growing(
    opened: &Opened,
    ledger: &Snapshot,
    keys: Option<KeySieve>,
) -> Option<Growing> {
    let (plan, secret, keys) = (Arc::clone(&opened.plan), ledger.secret().clone(), keys?);
    Some(Arc::new(move |reference| {
        plan.refers_to_own_key(&reference.to) && keys.has(&plan.key_digest(&reference.key, &secret))
    }))
}

/// Whether the mapping has references: their rows may be refused before anything is sent.
pub(super) fn refers(opened: &Opened) -> bool {
    let columns = &opened.plan.target().columns;
    columns.iter().any(TargetColumn::is_lookup)
}

/// Puts the stage that finds references between mapper and resolver, if the mapping has any.
pub(super) fn refer(
    stages: &mut JoinSet<Option<Part>>,
    opened: &Opened,
    lane: &Lane<TableWriter>,
    referring: Referring,
    drafts: mpsc::Receiver<Vec<Draft>>,
    outcomes: &mpsc::Sender<Vec<Outcome>>,
    stop: &watch::Receiver<Stopping>,
) -> mpsc::Receiver<Vec<Draft>> {
    if !refers(opened) {
        return drafts;
    }
    let (settled_in, settled) = mpsc::channel(HANDED_ON);
    let (lane, outcomes, stop) = (lane.clone(), outcomes.clone(), stop.clone());
    let referring = dispatch::refer(lane, referring, drafts, settled_in, outcomes, stop);
    stages.spawn(async move { Some(Part::Resolved(referring.await)) });
    settled
}

/// Puts the stage that doubts what is about to be sent before the resolver, on a thread that may block.
pub(super) fn doubt(
    stages: &mut JoinSet<Option<Part>>,
    book: DoubtBook,
    settled: mpsc::Receiver<Vec<Draft>>,
    notes: mpsc::Sender<Note>,
    drafts: Entrance,
) {
    stages.spawn_blocking(move || {
        let done = effort::logged("doubter", || book.between(settled, &drafts, &notes));
        Some(Part::Doubted(done))
    });
}

/// Starts the stage that reads and maps, on a thread that may block.
pub(super) fn map(
    stages: &mut JoinSet<Option<Part>>,
    mapper: Mapper,
    survey: Survey,
    drafts: Entrance,
    notes: mpsc::Sender<Note>,
) {
    stages.spawn_blocking(move || {
        let done = effort::logged("mapper", || mapper.run(&survey, &drafts, &notes));
        Some(Part::Mapped(done))
    });
}

/// Starts the stages that resolve drafts and send operations.
pub(super) fn write(
    stages: &mut JoinSet<Option<Part>>,
    lane: Lane<TableWriter>,
    rules: Arc<Rules>,
    drafts: mpsc::Receiver<Vec<Draft>>,
    (resolved, operations): (mpsc::Sender<Vec<Operation>>, mpsc::Receiver<Vec<Operation>>),
    outcomes: mpsc::Sender<Vec<Outcome>>,
    stop: watch::Receiver<Stopping>,
) {
    let (to, by, until) = (lane.clone(), Arc::clone(&rules), stop.clone());
    let resolving = dispatch::resolve(to, by, drafts, resolved, outcomes.clone(), until);
    stages.spawn(async move { Some(Part::Resolved(resolving.await)) });
    let dispatching = dispatch::dispatch(lane, rules, operations, outcomes, stop);
    stages.spawn(async move { Some(Part::Dispatched(dispatching.await)) });
}

/// Starts the stage that records, on a thread that may block.
pub(super) fn record(
    stages: &mut JoinSet<Option<Part>>,
    recorder: Option<Recorder>,
    intake: Intake,
) {
    stages.spawn_blocking(move || {
        let recorder = recorder?;
        let recording = effort::logged("recorder", || recorder.run(intake));
        Some(Part::Recorded(Box::new(recording)))
    });
}

pub(super) async fn forward_foreseen(
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
