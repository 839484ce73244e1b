//! The second walk through the rows as a pipe: mapper, resolver (for what does not address itself), dispatcher, recorder; each
//! queue is bounded.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::doubt::DoubtBook;
use super::intake::{ANSWERED, Intake};
use super::open::Opened;
use super::owed::{Owed, References};
use super::record::{Pass, Recorder, Recording};
use super::selection::Selection;
use super::send::Mapper;
use super::stages::{doubt, growing, map, mapper, record, refer, referring, refers, rules, write};
use super::survey::Surveyed;
use super::{PushError, Run, Stage, ended};
use crate::dataverse::TableWriter;
use crate::dispatch::{
    self, DispatchReport, Entrance, Growing, Lane, ResolveReport, Rules, Stopping, TOGETHER,
    together,
};
use crate::ledger::{Ledger, LedgerError, RunNumber, Snapshot, Survey};
use crate::mapping::Removal;
use crate::model::{Envelopes, Source as _, Target};

/// Rows that wait between two stages: a few batches, so that none starves.
pub(super) const QUEUED: usize = 1_000;

/// As many in handfuls.
pub(super) const HANDED_ON: usize = QUEUED / TOGETHER;

/// No answer comes later, and a clock can be asked for it.
const LONGEST_GRACE: Duration = Duration::from_hours(24);

impl Run {
    /// Sends what is due and records what was accepted; then the references that had to wait for it.
    pub(super) async fn pipe(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        surveyed: Surveyed,
    ) -> Result<(), PushError> {
        let Surveyed {
            survey,
            selection,
            keys,
            ..
        } = surveyed;
        let earlier = ledger.unfinished_run(number)?.map(|run| run.started);
        let snapshot = ledger.snapshot().clone();
        let resumes = earlier.is_some();
        let since = earlier.unwrap_or_else(|| self.started(opened));
        let rules = Rules {
            resumes,
            ..rules(opened, &snapshot, Some(since))
        };
        let held = Arc::clone(&self.held);
        let book = DoubtBook {
            ledger: Arc::clone(ledger),
            run: number,
        };
        let first = Passing {
            survey: survey.clone(),
            rules: rules.clone(),
            mapper: mapper(opened, snapshot.clone(), &self.request, selection, held),
            book: Some(book),
            growing: growing(opened, &snapshot, keys),
        };
        let owed = self.pass(opened, ledger, number, first).await?;
        if !owed.is_empty() {
            let rules = Rules {
                mode: dispatch::Mode::Update,
                ..rules
            };
            let everything = Selection::default();
            let held = Arc::default();
            let mut mapper = mapper(opened, snapshot.clone(), &self.request, everything, held);
            mapper.owed = Some(Arc::new(owed));
            let second = Passing {
                survey: survey.clone(),
                rules,
                mapper,
                book: None,
                growing: None,
            };
            self.pass(opened, ledger, number, second).await?;
        }
        // What was sent comes from this extract only if it is still the one that was read.
        opened.extract.unchanged()?;
        let left = self.rows.not_attempted - self.marked.len() as u64;
        let may_remove = left == 0 && *self.stop.borrow() == Stopping::No;
        if may_remove && !self.marked.is_empty() {
            self.remove_marked(opened, ledger, number, &survey).await?;
        }
        if may_remove && *opened.plan.removal() != Removal::Keep {
            self.remove(opened, ledger, number, &survey).await?;
        }
        Ok(())
    }

    /// One pass over due rows; tells which of them it could not complete.
    async fn pass(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        passing: Passing,
    ) -> Result<Owed, PushError> {
        let Passing {
            survey,
            rules,
            mut mapper,
            book,
            growing,
        } = passing;
        let rules = Arc::new(rules);
        let lane = self.lane(opened);
        let (drafts_in, drafts) = queue(&lane);
        let (operations_in, operations) = queue(&lane);
        let (outcomes_in, outcomes) = mpsc::channel(ANSWERED);
        let (notes_in, notes) = mpsc::channel(QUEUED);
        let (brake, stop) = watch::channel(Stopping::No);
        let book_of = Some((Arc::clone(ledger), number));
        let recorder = self.recorder(opened, ledger.snapshot(), book_of, brake.clone());
        let recorder = match &mapper.owed {
            Some(owed) => recorder.map(|it| it.completing(self.rows, owed)),
            None => recorder,
        };

        let mut stages = JoinSet::new();
        let referring = referring(opened, &mapper, &rules, growing);
        let settled = refer(
            &mut stages,
            opened,
            &lane,
            referring,
            drafts,
            &outcomes_in,
            &stop,
        );
        let past = |drafts| Entrance::past(drafts, operations_in.clone(), &lane, &rules);
        let (entrance, drafts) = match book {
            Some(book) if refers(opened) => {
                let (doubted_in, doubted) = queue(&lane);
                let notes = notes_in.clone();
                doubt(&mut stages, book, settled, notes, past(doubted_in));
                (Entrance::to(drafts_in), doubted)
            }
            None if refers(opened) => (Entrance::to(drafts_in), settled),
            book => {
                mapper.book = book;
                (past(drafts_in), settled)
            }
        };
        let operations = (operations_in, operations);
        write(
            &mut stages,
            lane,
            rules,
            drafts,
            operations,
            outcomes_in,
            stop,
        );
        map(&mut stages, mapper, survey, entrance, notes_in);
        record(&mut stages, recorder, Intake::new(outcomes, notes));
        self.gather(stages, brake).await
    }

    pub(super) fn lane(&mut self, opened: &Opened) -> Lane<TableWriter> {
        self.lane_in(opened, opened.plan.target(), opened.envelopes)
    }

    /// A lane on which each record is answered for itself.
    pub(super) fn lane_to(&mut self, opened: &Opened, target: &Arc<Target>) -> Lane<TableWriter> {
        let envelopes = match opened.envelopes {
            Envelopes::Single => Envelopes::Single,
            Envelopes::Batch | Envelopes::Bulk | Envelopes::Auto => Envelopes::Batch,
        };
        self.lane_in(opened, target, envelopes)
    }

    fn lane_in(
        &mut self,
        opened: &Opened,
        target: &Arc<Target>,
        envelopes: Envelopes,
    ) -> Lane<TableWriter> {
        let patience = &self.request.patience;
        let mut options = dispatch::Options {
            grace: patience.grace.min(LONGEST_GRACE),
            deadline: self.deadline(),
            envelopes,
            ..dispatch::Options::default()
        };
        if let Some(size) = self.request.mapping.write.batch_size {
            options.batch_operations = size;
        }
        let hint = opened.who.recommended_concurrency;
        if let Some(hint) = hint.and_then(NonZeroUsize::new) {
            options = options.recommended(hint, opened.users.len());
        }
        if let Some(concurrency) = patience.concurrency {
            options.concurrency = concurrency;
        }
        let writers = opened.writers(target);
        let lane = match &self.lane {
            Some(lane) => lane.toward(writers, options),
            None => opened.first_lane(writers, options, self.progress.meter()),
        };
        self.lane = Some(lane.clone());
        let seen = lane.clone();
        self.progress.gauge(Box::new(move || seen.traffic()));
        self.progress.enter(Stage::Sending);
        lane
    }

    pub(super) fn recorder(
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
            found: HashSet::new(),
            progress: Arc::clone(&self.progress),
            owed: Owed::default(),
            references: References::of(opened.plan.target()),
            marked: Vec::new(),
            pass: Pass::First,
            removed: None,
            held: Arc::clone(&self.held),
        })
    }

    /// Waits for every part, then tells what stopped the run, the gravest first. Meanwhile whoever says to stop is
    /// heard: the brake is what the parts listen to.
    pub(super) async fn gather(
        &mut self,
        mut parts: JoinSet<Option<Part>>,
        brake: watch::Sender<Stopping>,
    ) -> Result<Owed, PushError> {
        let mut causes: Vec<PushError> = Vec::new();
        let mut owed = Owed::default();
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
                Ok(Some(part)) => self.take(part, &mut owed, &mut causes),
                Ok(None) => causes.push(PushError::Defect("the rejects have no file".to_owned())),
                // The others find their queues closed and end too; the ledger is theirs until then.
                Err(error) => causes.push(ended(&error)),
            }
        }
        let gravest = causes
            .into_iter()
            .min_by_key(|cause| cause.exit_code().rank());
        gravest.map_or(Ok(owed), Err)
    }

    fn take(&mut self, part: Part, left: &mut Owed, causes: &mut Vec<PushError>) {
        match part {
            Part::Mapped(result) => causes.extend(result.err()),
            Part::Doubted(result) => causes.extend(result.err().map(PushError::from)),
            Part::Resolved(report) => causes.extend(report.stopped.map(PushError::Stopped)),
            Part::Dispatched(report) => {
                self.retried += report.retried;
                causes.extend(report.stopped.map(PushError::Stopped));
            }
            Part::Forwarded => {}
            Part::Recorded(recording) => {
                let Recording {
                    counts,
                    rejects,
                    failed,
                    preview,
                    owed,
                    marked,
                    found,
                    removed,
                } = *recording;
                if let Some(removed) = removed {
                    self.removals = Some(removed.writer);
                }
                *left = owed;
                self.marked.extend(marked);
                self.found = found;
                self.rows = counts;
                self.rejects = Some(rejects);
                self.preview = preview;
                causes.extend(failed);
            }
        }
    }
}

/// A queue of rows that go together on their way to this lane.
fn queue<T>(lane: &Lane<TableWriter>) -> (mpsc::Sender<Vec<T>>, mpsc::Receiver<Vec<T>>) {
    mpsc::channel((QUEUED / together(lane)).max(2))
}

/// What one pass needs.
struct Passing {
    survey: Survey,
    rules: Rules,
    mapper: Mapper,
    /// None in the second pass, whose records are pending already.
    book: Option<DoubtBook>,
    growing: Option<Growing>,
}

pub(super) enum Part {
    Mapped(Result<(), PushError>),
    Doubted(Result<(), LedgerError>),
    Resolved(ResolveReport),
    Dispatched(DispatchReport),
    Forwarded,
    Recorded(Box<Recording>),
}
