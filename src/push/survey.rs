//! The first reading: every row's digests against the ledger, and the guards.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::open::Opened;
use super::selection::Selection;
use super::send::Mapper;
use super::{Progress, PushError, Run, ended, guard, interrupted, milliseconds};
use crate::dispatch::Stopping;
use crate::ledger::{Extent, Scope, Snapshot, Survey, SurveyBuilder, SurveyOptions};
use crate::model::{KeyDigest, Reading, RowDigest, Rows, Source as _};
use crate::source::SourceError;

/// More threads than this would wait for each other: only one can decode at a time.
const MOST_WORKERS: usize = 4;

/// What the first reading needs to know.
pub(super) struct Surveyor {
    pub(super) opened: Arc<Opened>,
    pub(super) ledger: Snapshot,
    pub(super) selection: Selection,
    pub(super) scope: Scope,
    pub(super) extent: Extent,
    /// A folder for temporary files.
    pub(super) spill: PathBuf,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: watch::Receiver<Stopping>,
}

/// What the first reading found.
pub(super) struct Surveyed {
    pub(super) survey: Survey,
    pub(super) selection: Selection,
    pub(super) warnings: Vec<String>,
    /// The guard that stops the run.
    pub(super) tripped: Option<PushError>,
}

impl Surveyor {
    /// Reads the whole extract and compares it with the ledger. Blocks.
    pub(super) fn run(self) -> Result<Surveyed, PushError> {
        let mut met = BTreeSet::new();
        let survey = self.read(&mut met)?;
        let mut warnings = self.selection.unmet(&met);
        if survey.counts().read == 0 {
            warnings
                .push("the extract has a header and no rows: there is nothing to do".to_owned());
        }
        self.progress.surveyed(survey.counts());
        let tripped = self.judge(&survey)?;
        Ok(Surveyed {
            survey,
            selection: self.selection,
            warnings,
            tripped,
        })
    }

    /// A few threads take turns at decoding; while one decodes, the others digest what they have decoded.
    pub(super) fn read(&self, met: &mut BTreeSet<KeyDigest>) -> Result<Survey, PushError> {
        let began = Instant::now();
        let Opened { extract, plan, .. } = &*self.opened;
        let options = SurveyOptions {
            scope: self.scope,
            extent: self.extent,
            memory: SurveyOptions::MEMORY,
            spill: self.spill.clone(),
        };
        let mut builder = self.ledger.survey(options)?;
        let reading = Reading {
            columns: plan.source_columns().to_vec(),
            only: None,
        };
        let batches = Mutex::new(Some(extract.read(reading)?));
        let found = Mutex::new((&mut builder, met));
        let work = || {
            let worked = self.digest_batches(&batches, &found);
            if worked.is_err() {
                // The others have no more to do either.
                *held(&batches) = None;
            }
            worked
        };
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, NonZero::get);
            let mut started = Vec::new();
            for _ in 1..cores.min(MOST_WORKERS) {
                let thread = thread::Builder::new().name("digests".to_owned());
                let handle = thread.spawn_scoped(scope, work);
                started.push(handle.map_err(|error| PushError::Defect(error.to_string()))?);
            }
            let ours = work();
            let others = started.into_iter().map(thread::ScopedJoinHandle::join);
            others
                .map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .fold(ours, Result::and)
        })?;
        extract.unchanged()?;
        let read_ms = milliseconds(began);
        let survey = builder.finish()?;
        let (rows, elapsed_ms) = (survey.counts().read, milliseconds(began));
        tracing::info!(rows, read_ms, elapsed_ms, "extract surveyed");
        Ok(survey)
    }

    /// Digests batch by batch, until there are no more.
    fn digest_batches(
        &self,
        batches: &Mutex<Option<impl Iterator<Item = Result<Rows, SourceError>>>>,
        found: &Mutex<(&mut SurveyBuilder, &mut BTreeSet<KeyDigest>)>,
    ) -> Result<(), PushError> {
        let mut digests: Vec<RowDigest> = Vec::new();
        loop {
            let Some(rows) = held(batches).as_mut().and_then(Iterator::next) else {
                return Ok(());
            };
            if *self.stop.borrow() != Stopping::No {
                return Err(interrupted());
            }
            digests.clear();
            let plan = &self.opened.plan;
            plan.digest(&rows?, self.ledger.secret(), &mut digests);
            let (builder, met) = &mut *held(found);
            for digest in &digests {
                self.selection.meet(digest.key, met);
                builder.add(*digest)?;
            }
            self.progress.read(digests.len());
        }
    }

    fn judge(&self, survey: &Survey) -> Result<Option<PushError>, PushError> {
        let (plan, counts) = (&self.opened.plan, survey.counts());
        if let Err(tripped) = guard::judge(plan, counts) {
            return Ok(Some(tripped));
        }
        if !guard::must_count_changes(plan, counts) {
            return Ok(None);
        }
        let mapper = Mapper {
            opened: Arc::clone(&self.opened),
            ledger: self.ledger.clone(),
            // Values that are sent again because somebody asked for it are no changes.
            scope: Scope::Changed,
            selection: self.selection.clone(),
        };
        let changes = mapper.count_changes(survey, &self.stop)?;
        Ok(guard::judge_changes(plan, changes, counts.standing_before).err())
    }
}

/// A thread that panicked ends the survey, whatever it left behind.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Puts the rejects that the survey knows of into the reject file: whoever is told that there are too many wants
    /// to see them.
    pub(super) async fn keep_rejects(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Snapshot,
        survey: Survey,
    ) -> Result<(), PushError> {
        let Some(mut rejects) = self.rejects.take() else {
            return Ok(());
        };
        let mapper = Mapper {
            opened: Arc::clone(opened),
            ledger: ledger.clone(),
            scope: Scope::Changed,
            selection: Selection::default(),
        };
        let keeping = spawn_blocking(move || {
            let kept = mapper.known_rejects(&survey, &mut |reject| {
                rejects.add(reject).map_err(PushError::Results)
            });
            (rejects, kept)
        });
        let (rejects, kept) = keeping.await.map_err(|error| ended(&error))?;
        self.rejects = Some(rejects);
        let kept = kept?;
        self.rows.rejected += kept;
        self.rows.not_attempted -= kept;
        Ok(())
    }
}
