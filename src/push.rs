//! The whole flow of a run: open, lock, survey, guard, send, record, account.
//!
//! The one file that knows every room. Parses nothing, formats nothing, speaks no HTTP.

mod again;
mod error;
mod record;
mod request;
mod send;
mod survey;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};

pub use self::error::PushError;
use self::record::{Note, Recorder, Recording};
pub use self::request::{Report, Request};
use self::send::Mapper;
use crate::dataverse::{Dataverse, Who, WireOptions};
use crate::dispatch::{self, DispatchReport, Lane, ResolveReport, Rules, Stopping};
use crate::ledger::{Ending, Identity, Layout, LayoutColumn, Ledger, RunLock, RunNumber, Survey};
use crate::mapping::{CompileContext, Mode, Plan};
use crate::model::{Outcome, Source as _};
use crate::report::{ExitCode, RejectResults, RejectWriter, RowCounts, RunFolder};
use crate::source::Extract;

/// Drafts and operations that wait between two stages: a few batches, so that none starves.
const QUEUED: usize = 1_000;

/// Runs one mapping against one destination.
///
/// # Errors
/// What stops a run before it has a folder of its own; everything later is told by [`Report::stopped`].
///
/// # Cancellation
/// Not cancel-safe: dropped, answers that are on their way are not recorded, and the next run repeats their
/// operations. Stop it by `stop`.
pub async fn push(request: Request, stop: watch::Receiver<Stopping>) -> Result<Report, PushError> {
    let opened = open(&request).await?;
    let folder = RunFolder::create(&request.state, request.started, &request.mapping.name)
        .map_err(PushError::Results)?;
    let rejects = RejectWriter::create(folder.path()).map_err(PushError::Results)?;
    let mut run = Run {
        request,
        opened,
        folder,
        rows: RowCounts::default(),
        dispatched: None,
    };
    let (rejects, stopped) = match run.carry(rejects, stop).await {
        Ok((rejects, stopped)) => (Some(rejects), stopped),
        Err(error) => (None, Some(error)),
    };
    run.report(rejects, stopped)
}

/// Everything that is known before the first row is read.
struct Opened {
    extract: Arc<Extract>,
    environment: Dataverse,
    who: Who,
    plan: Arc<Plan>,
}

async fn open(request: &Request) -> Result<Opened, PushError> {
    let extract = Arc::new(Extract::open(&request.mapping.source)?);
    let environment = Dataverse::connect(&request.connection, &WireOptions::default()).await?;
    let who = environment.who().await?;
    let table = environment.table(&request.mapping.table.value).await?;
    let context = CompileContext {
        organisation: who.organization,
    };
    let plan = Arc::new(
        request
            .mapping
            .compile(&table, extract.columns(), &context)?,
    );
    Ok(Opened {
        extract,
        environment,
        who,
        plan,
    })
}

struct Run {
    request: Request,
    opened: Opened,
    folder: RunFolder,
    rows: RowCounts,
    dispatched: Option<DispatchReport>,
}

impl Run {
    /// Lock, survey, guard, send. The counts are complete when this returns, whatever it returns.
    async fn carry(
        &mut self,
        rejects: RejectWriter,
        stop: watch::Receiver<Stopping>,
    ) -> Result<(RejectWriter, Option<PushError>), PushError> {
        let target = self.opened.plan.target();
        let organisation = self.opened.who.organization;
        let run = self.folder.run_id().clone();
        let lock = RunLock::acquire(&self.request.state, organisation, &target.table, &run)?;
        let ledger = Arc::new(self.ledger()?);
        let number = ledger.begin_run(&run, self.began())?;
        let survey = self.survey(&ledger).await?;
        self.rows.read = survey.counts().read;
        self.rows.unchanged = survey.counts().unchanged;
        if let Err(error) = survey::judge(self.opened.plan.guard(), survey.counts()) {
            self.rows.not_attempted = self.rows.read - self.rows.unchanged;
            ledger.end_run(number, Ending::Settled)?;
            return Ok((rejects, Some(error)));
        }
        let (rejects, stopped) = self.send(&ledger, number, survey, rejects, stop).await?;
        let ending = if stopped.is_none() {
            Ending::Settled
        } else {
            Ending::Unsettled
        };
        ledger.end_run(number, ending)?;
        if let Ok(ledger) = Arc::try_unwrap(ledger) {
            spawn_blocking(move || ledger.fold())
                .await
                .map_err(|error| ended(&error))??;
        }
        drop(lock);
        Ok((rejects, stopped))
    }

    fn ledger(&self) -> Result<Ledger, PushError> {
        let Opened { plan, who, .. } = &self.opened;
        let target = plan.target();
        let key = target
            .key
            .iter()
            .filter_map(|index| target.columns.get(*index));
        let base = self.request.base.clone();
        let file = &self.request.mapping.file;
        let identity = Identity {
            organisation: who.organization,
            table: target.table.clone(),
            key: key.map(|column| column.name.clone()).collect(),
            mapping: file.strip_prefix(&base).unwrap_or(file).to_owned(),
            base,
        };
        let columns = plan.layout().columns.into_iter();
        let layout = Layout {
            columns: columns
                .map(|(name, tag)| LayoutColumn {
                    name,
                    type_tag: tag.to_owned(),
                })
                .collect(),
        };
        Ok(Ledger::open(&self.ledger_folder(), &identity, &layout)?)
    }

    fn ledger_folder(&self) -> PathBuf {
        let Request {
            state,
            connection,
            mapping,
            ..
        } = &self.request;
        state.join(&connection.name).join(&mapping.name)
    }

    /// By the service's clock, where it tells.
    fn began(&self) -> Timestamp {
        self.opened.who.service_time.unwrap_or(self.request.started)
    }

    async fn survey(&self, ledger: &Ledger) -> Result<Survey, PushError> {
        let (extract, plan) = (
            Arc::clone(&self.opened.extract),
            Arc::clone(&self.opened.plan),
        );
        let (ledger, spill) = (ledger.snapshot().clone(), self.ledger_folder());
        let (scope, extent) = (self.request.scope, self.request.extent);
        let work = move || survey::survey(&extract, &plan, &ledger, scope, extent, spill);
        spawn_blocking(work).await.map_err(|error| ended(&error))?
    }

    fn rules(&self, ledger: &Ledger, number: RunNumber) -> Result<Rules, PushError> {
        let (plan, secret) = (
            Arc::clone(&self.opened.plan),
            ledger.snapshot().secret().clone(),
        );
        let mode = match plan.mode() {
            Mode::Upsert => dispatch::Mode::Upsert,
            Mode::Create => dispatch::Mode::Create,
            Mode::Update => dispatch::Mode::Update,
            Mode::UpdateOrSkip => dispatch::Mode::UpdateOrSkip,
        };
        let earlier = ledger.unfinished_run(number)?.map(|run| run.started);
        Ok(Rules {
            target: Arc::clone(plan.target()),
            mode,
            key_digest: Arc::new(move |values| plan.key_digest(values, &secret)),
            our_users: vec![self.opened.who.user],
            since: Some(earlier.unwrap_or_else(|| self.began())),
        })
    }

    /// The second reading, through mapper, resolver, dispatcher and recorder; each queue is bounded.
    async fn send(
        &mut self,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        survey: Survey,
        rejects: RejectWriter,
        stop: watch::Receiver<Stopping>,
    ) -> Result<(RejectWriter, Option<PushError>), PushError> {
        let Opened {
            extract,
            environment,
            who,
            plan,
        } = &self.opened;
        let rules = Arc::new(self.rules(ledger, number)?);
        let options = dispatch::Options::default();
        let options = match who.recommended_concurrency.and_then(NonZeroUsize::new) {
            Some(hint) => options.recommended(hint),
            None => options,
        };
        let lane = Lane::new(
            Arc::new(environment.writer(Arc::clone(plan.target()))),
            options,
        );
        let (drafts_in, drafts) = mpsc::channel(QUEUED);
        let (operations_in, operations) = mpsc::channel(QUEUED);
        let (outcomes_in, outcomes) = mpsc::channel(QUEUED);
        let (notes_in, notes) = mpsc::channel(QUEUED);
        let mapper = Mapper {
            extract: Arc::clone(extract),
            plan: Arc::clone(plan),
            ledger: ledger.snapshot().clone(),
            scope: self.request.scope,
            limit: self.request.limit,
        };
        let recorder = Recorder {
            plan: Arc::clone(plan),
            ledger: Some((Arc::clone(ledger), number)),
            secret: ledger.snapshot().secret().clone(),
            counts: self.rows,
            rejects,
        };
        let mut stages = JoinSet::new();
        let resolving = dispatch::resolve(
            lane.clone(),
            Arc::clone(&rules),
            drafts,
            operations_in,
            outcomes_in.clone(),
            stop.clone(),
        );
        stages.spawn(async move { Stage::Resolved(resolving.await) });
        let dispatching = dispatch::dispatch(lane, rules, operations, outcomes_in, stop);
        stages.spawn(async move { Stage::Dispatched(dispatching.await) });
        stages.spawn(forward(outcomes, notes_in.clone()));
        stages.spawn_blocking(move || Stage::Mapped(mapper.run(&survey, &drafts_in, &notes_in)));
        stages.spawn_blocking(move || Stage::Recorded(Box::new(recorder.run(notes))));
        self.gather(stages).await
    }

    /// Waits for every stage, then tells what stopped the run, the gravest first.
    async fn gather(
        &mut self,
        mut stages: JoinSet<Stage>,
    ) -> Result<(RejectWriter, Option<PushError>), PushError> {
        let mut rejects = None;
        let mut causes: Vec<PushError> = Vec::new();
        while let Some(stage) = stages.join_next().await {
            match stage.map_err(|error| ended(&error))? {
                Stage::Mapped(result) => causes.extend(result.err()),
                Stage::Resolved(report) => causes.extend(report.stopped.map(PushError::Stopped)),
                Stage::Dispatched(report) => {
                    causes.extend(report.stopped.clone().map(PushError::Stopped));
                    self.dispatched = Some(report);
                }
                Stage::Forwarded => {}
                Stage::Recorded(recording) => {
                    let Recording {
                        counts,
                        rejects: writer,
                        failed,
                    } = *recording;
                    self.rows = counts;
                    rejects = Some(writer);
                    causes.extend(failed);
                }
            }
        }
        let stopped = causes
            .into_iter()
            .min_by_key(|cause| cause.exit_code().rank());
        let rejects =
            rejects.ok_or_else(|| PushError::Defect("the recorder is gone".to_owned()))?;
        Ok((rejects, stopped))
    }

    /// Checks the conservation law and closes the reject file.
    fn report(
        self,
        rejects: Option<RejectWriter>,
        mut stopped: Option<PushError>,
    ) -> Result<Report, PushError> {
        if let Err(imbalance) = self.rows.balance()
            && stopped
                .as_ref()
                .is_none_or(|error| error.exit_code() != ExitCode::Defect)
            && rejects.is_some()
        {
            stopped = Some(PushError::Unbalanced(imbalance.to_string()));
        }
        let extract = &self.opened.extract;
        let rejects = match rejects {
            Some(writer) => writer
                .finish(extract.files(), &again::names(extract), |due| {
                    again::rows(extract, due)
                })
                .map_err(PushError::Results)?,
            None => RejectResults::default(),
        };
        Ok(Report {
            run: self.folder.run_id().clone(),
            folder: self.folder.path().to_owned(),
            rows: self.rows,
            dispatched: self.dispatched,
            requests: self.opened.environment.requests(),
            rejects,
            stopped,
        })
    }
}

enum Stage {
    Mapped(Result<(), PushError>),
    Resolved(ResolveReport),
    Dispatched(DispatchReport),
    Forwarded,
    Recorded(Box<Recording>),
}

async fn forward(mut outcomes: mpsc::Receiver<Outcome>, notes: mpsc::Sender<Note>) -> Stage {
    while let Some(outcome) = outcomes.recv().await {
        if notes.send(Note::Outcome(outcome)).await.is_err() {
            break;
        }
    }
    Stage::Forwarded
}

fn ended(error: &JoinError) -> PushError {
    PushError::Defect(error.to_string())
}
