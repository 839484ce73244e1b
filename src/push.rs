//! The whole flow of a run: open, lock, survey, guard, send, record, account.
//!
//! The one file that knows every room. Parses nothing, formats nothing, speaks no HTTP.

mod again;
mod count;
mod doom;
mod doubt;
mod effort;
mod error;
mod foresee;
mod guard;
mod held;
mod intake;
mod kept;
mod moved;
mod open;
mod owed;
mod pipe;
mod preview;
mod progress;
mod record;
mod remembered;
mod removal;
mod removed;
mod request;
mod resting;
mod results;
mod selection;
mod send;
mod sending;
mod sieve;
mod stages;
mod standing;
mod state;
mod survey;
mod tally;
mod users;
mod walk;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

pub use self::error::PushError;
pub use self::open::{Validated, validate, validate_offline};
pub use self::preview::{Change, ColumnChange};
pub use self::progress::{Progress, Seen, Stage, Waiting};
pub use self::request::{Patience, Purpose, Report, Request};
pub use self::resting::Resting;
pub use self::state::{Adopted, StateError, adopt, forget, rekey};

use self::open::Opened;
use self::record::Condemned;
use crate::dataverse::TableWriter;
use crate::dispatch::{Lane, StopCause, Stopping};
use crate::ledger::{
    Breadth, Ending, HeldBack, Identity, Layout, LayoutColumn, Ledger, LedgerError, RunLock,
    Snapshot,
};
use crate::model::RecordId;
use crate::report::{RejectWriter, RemovalWriter, RowCounts, RunFolder, retire};

/// Between two looks at a lock that another run holds.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs one mapping against one destination. Its results are written whatever the outcome.
///
/// # Errors
/// Only if the run's folder cannot be made or its results cannot be written; everything else that stops a run is
/// told by [`Report::stopped`].
///
/// # Cancellation
/// Not cancel-safe: dropped, answers that are on their way are not recorded, and the next run repeats their
/// operations. Stop it by `stop`.
pub async fn push(
    request: Request,
    progress: Arc<Progress>,
    stop: watch::Receiver<Stopping>,
) -> Result<Report, PushError> {
    let began = Instant::now();
    let folder = RunFolder::create(&request.state, request.started, &request.mapping.name)
        .map_err(PushError::Results)?;
    if request.purpose == Purpose::Send
        && let Err(error) = retire(&request.state, request.started)
    {
        tracing::warn!(error = %error, "old runs not removed");
    }
    let mut run = Run {
        request,
        began,
        folder,
        progress,
        stop,
        opened: None,
        rows: RowCounts::default(),
        rejects: None,
        removals: None,
        retried: 0,
        marked: Vec::new(),
        lane: None,
        preview: Vec::new(),
        found: HashSet::new(),
        warnings: Vec::new(),
        held: Arc::default(),
    };
    let stopped = run.carry().await.err();
    results::report(run, stopped).await
}

struct Run {
    request: Request,
    began: Instant,
    folder: RunFolder,
    progress: Arc<Progress>,
    stop: watch::Receiver<Stopping>,
    opened: Option<Arc<Opened>>,
    /// The way to the environment: what is learned of it in one part of the run lasts for the next.
    lane: Option<Lane<TableWriter>>,
    rows: RowCounts,
    rejects: Option<RejectWriter>,
    removals: Option<RemovalWriter>,
    /// Operations that were sent again.
    retried: u64,
    /// Rows whose records are to be deleted last.
    marked: Vec<Condemned>,
    preview: Vec<Change>,
    /// In a dry run: records that were found by keys which the ledger does not know.
    found: HashSet<RecordId>,
    warnings: Vec<String>,
    /// The rows that Dataverse refused before the run.
    held: Arc<HeldBack>,
}

impl Run {
    /// The counts are complete when this returns, whatever it returns.
    async fn carry(&mut self) -> Result<(), PushError> {
        let opened = self.open().await?;
        self.warnings.extend_from_slice(&opened.warnings);
        self.opened = Some(Arc::clone(&opened));
        let rejects = RejectWriter::create(self.folder.path()).map_err(PushError::Results)?;
        self.rejects = Some(rejects);
        match self.request.purpose {
            Purpose::Send => self.send(&opened).await,
            Purpose::Rehearse => self.rehearse(&opened).await,
        }
    }

    /// Lock, survey, guard, send, record.
    async fn send(&mut self, opened: &Arc<Opened>) -> Result<(), PushError> {
        let (lock, waited) = self.lock(opened).await?;
        let again = match waited {
            Waited::Yes => self.reopen().await?,
            Waited::No => None,
        };
        let opened = again.as_ref().unwrap_or(opened);
        let (folder, identity, layout) = self.ledger(opened);
        let (ledger, held) = blocking(move || {
            let ledger = Ledger::open(&folder, &identity, &layout)?;
            Ok((ledger, HeldBack::read(&folder)?))
        })
        .await?;
        self.held = Arc::new(held);
        let ledger = Arc::new(ledger);
        let number = ledger.begin_run(self.folder.run_id(), self.started(opened))?;
        let was_settled = ledger.unfinished_run(number)?.is_none();
        let surveyed = match self.survey(opened, ledger.snapshot()).await {
            Ok(surveyed) => surveyed,
            Err(error) => {
                // Nothing was sent: the next run need not wonder what became of it. It may, if that cannot be noted.
                ledger
                    .end_run(
                        number,
                        if was_settled {
                            Ending::Settled
                        } else {
                            Ending::Unsettled
                        },
                    )
                    .ok();
                return Err(error);
            }
        };
        let sent = self.pipe(opened, &ledger, number, surveyed).await;
        self.progress.enter(Stage::Finishing);
        let run = self.folder.run_id().clone();
        let in_order = sent.is_ok() && self.rows.not_attempted == 0;
        let breadth = in_order.then(|| held::breadth(&self.request));
        let settles = breadth.is_some_and(|it| it == Breadth::Whole || was_settled);
        let ending = if settles {
            Ending::Settled
        } else {
            Ending::Unsettled
        };
        let put_in_order = blocking(move || {
            let began = Instant::now();
            if let Some(breadth) = breadth {
                ledger.settle_refused(&run, breadth)?;
            }
            ledger.end_run(number, ending)?;
            // Nobody else has it: every part of the pipe has ended.
            let ledger = Arc::into_inner(ledger);
            effort::logged_alone("fold", || ledger.map_or(Ok(()), Ledger::fold))?;
            tracing::info!(elapsed_ms = milliseconds(began), "ledger folded");
            Ok(())
        });
        let put_in_order = put_in_order.await;
        drop(lock);
        sent.and(put_in_order)
    }

    /// Survey and guard as in [`Run::send`], then everything but the last step. Takes no lock.
    async fn rehearse(&mut self, opened: &Arc<Opened>) -> Result<(), PushError> {
        let (folder, identity, layout) = self.ledger(opened);
        let spill = self.folder.path().to_owned();
        let (ledger, held) = blocking(move || {
            let ledger = Snapshot::read(&folder, &identity, &layout, &spill)?;
            Ok((ledger, HeldBack::read(&folder)?))
        })
        .await?;
        self.held = Arc::new(held);
        let surveyed = self.survey(opened, &ledger).await?;
        self.foresee(opened, ledger, surveyed).await
    }

    /// Whoever waited reads what is there now: the extract of yesterday may be today's by then.
    async fn reopen(&mut self) -> Result<Option<Arc<Opened>>, PushError> {
        if self.request.mapping.source.path == "-" {
            // It can be read only once.
            return Ok(None);
        }
        let opened = self.open().await?;
        self.opened = Some(Arc::clone(&opened));
        Ok(Some(opened))
    }

    async fn lock(&mut self, opened: &Opened) -> Result<(RunLock, Waited), PushError> {
        let mut has_waited = Waited::No;
        let waited = Instant::now().checked_add(self.request.patience.lock_wait);
        let until = [waited, self.deadline()].into_iter().flatten().min();
        let may_wait = || until.is_none_or(|until| Instant::now() < until);
        let (organisation, table) = (opened.who.organization, &opened.plan.target().table);
        loop {
            let lock = RunLock::acquire(
                &self.request.state,
                organisation,
                table,
                self.folder.run_id(),
            );
            match lock {
                Err(LedgerError::Held { .. }) if may_wait() => {
                    has_waited = Waited::Yes;
                    self.progress.enter(Stage::Waiting);
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                        () = stopping(self.stop.clone()) => return Err(interrupted()),
                    }
                }
                other => return Ok((other?, has_waited)),
            }
        }
    }

    /// When the run must end; a time that no clock can tell never comes.
    fn deadline(&self) -> Option<Instant> {
        self.began.checked_add(self.request.patience.deadline?)
    }

    fn ledger(&self, opened: &Opened) -> (PathBuf, Identity, Layout) {
        place_of(&self.request, opened)
    }

    /// When the run began, by the service's clock where it tells.
    fn started(&self, opened: &Opened) -> Timestamp {
        opened.who.service_time.unwrap_or(self.request.started)
    }
}

/// Whether a run had to wait for another one.
enum Waited {
    Yes,
    No,
}

/// Where the ledger is, and what it must be the ledger of.
fn place_of(request: &Request, opened: &Opened) -> (PathBuf, Identity, Layout) {
    let Request {
        state,
        base,
        connection,
        mapping,
        ..
    } = request;
    let target = opened.plan.target();
    let key = target.key.iter();
    let key = key.filter_map(|index| target.columns.get(*index));
    let file = within(base, &mapping.file);
    let identity = Identity {
        organisation: opened.who.organization,
        table: target.table.clone(),
        key: key.map(|column| column.name.clone()).collect(),
        mapping: file,
        base: base.clone(),
    };
    let columns = opened.plan.layout().columns.into_iter();
    let columns = columns.map(|(name, tag)| LayoutColumn {
        name,
        type_tag: tag.to_owned(),
    });
    let layout = Layout {
        columns: columns.collect(),
    };
    let folder = state.join(&connection.name).join(&mapping.name);
    (folder, identity, layout)
}

/// The file as seen from the folder, however both were spelt: `./a.yaml` and `../here/a.yaml` are one file.
fn within(base: &Path, file: &Path) -> PathBuf {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (base, file) = (whole(base), whole(file));
    file.strip_prefix(base).map_or(file.clone(), Path::to_owned)
}

/// Runs what reads or writes files on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, PushError> {
    Ok(spawn_blocking(work)
        .await
        .map_err(|error| ended(&error))??)
}

/// Until somebody says to stop.
async fn stopping(mut stop: watch::Receiver<Stopping>) {
    let told = stop.wait_for(|level| *level != Stopping::No).await.is_ok();
    if !told {
        std::future::pending::<()>().await;
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn interrupted() -> PushError {
    PushError::Stopped(StopCause::Interrupted)
}

fn ended(error: &JoinError) -> PushError {
    PushError::Defect(error.to_string())
}
