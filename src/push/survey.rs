//! The first reading: every row's digests against the ledger, and the guards.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::effort;
use super::open::Opened;
use super::remembered::Gathering;
use super::removal::is_removable;
use super::selection::Selection;
use super::send::Mapper;
use super::sieve::KeySieve;
use super::{Progress, PushError, Run, Stage, ended, guard, interrupted, milliseconds};
use crate::dispatch::Stopping;
use crate::ledger::{
    Extent, Finding, HeldBack, Scope, Snapshot, StandingRow, Survey, SurveyBuilder, SurveyCounts,
    SurveyOptions,
};
use crate::mapping::{Duplicates, Mode, Removal};
use crate::model::{KeyDigest, KeyReading, Reading, RowDigest, Rows, Source as _};
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
    /// Up to so many bytes of rows stay in memory.
    pub(super) row_memory: usize,
    pub(super) held: Arc<HeldBack>,
    /// A folder for temporary files.
    pub(super) spill: PathBuf,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: watch::Receiver<Stopping>,
}

/// What the first reading found.
pub(super) struct Surveyed {
    pub(super) survey: Survey,
    pub(super) selection: Selection,
    /// The keys of the extract, where rows may refer to one another.
    pub(super) keys: Option<KeySieve>,
    pub(super) warnings: Vec<String>,
    /// The guard that stops the run.
    pub(super) tripped: Option<PushError>,
}

/// So many rows are named in a warning.
const PLACES: usize = 5;

impl Surveyor {
    /// Reads the whole extract and compares it with the ledger. Blocks.
    pub(super) fn run(self) -> Result<Surveyed, PushError> {
        let mut met = BTreeSet::new();
        let refers_to_itself = !self.opened.plan.references_to_itself().is_empty();
        let keys = refers_to_itself.then(KeySieve::new);
        let survey = self.read(&mut met, keys.as_ref())?;
        let mut warnings = self.selection.unmet(&met);
        self.progress.surveyed(survey.counts());
        warnings.extend(self.unread_keys(&survey)?);
        warnings.extend(self.lost_keys(&survey)?);
        warnings.extend(self.renamed_keys(&survey)?);
        let tripped = self.judge(&survey)?;
        if tripped.is_none() {
            warnings.extend(self.no_rows(survey.counts()));
        }
        Ok(Surveyed {
            survey,
            selection: self.selection,
            keys,
            warnings,
            tripped,
        })
    }

    /// A few threads take turns at decoding; while one decodes, the others digest what they have decoded.
    pub(super) fn read(
        &self,
        met: &mut BTreeSet<KeyDigest>,
        keys: Option<&KeySieve>,
    ) -> Result<Survey, PushError> {
        let began = Instant::now();
        let Opened { extract, plan, .. } = &*self.opened;
        let options = SurveyOptions {
            scope: self.scope,
            extent: self.extent,
            treatment: plan.removal().digest(),
            standing: match plan.duplicates() {
                Duplicates::Reject | Duplicates::First => StandingRow::First,
                Duplicates::Last => StandingRow::Last,
                Duplicates::Newest(_) => StandingRow::Newest,
            },
            memory: SurveyOptions::MEMORY,
            spill: self.spill.clone(),
        };
        let mut builder = self.ledger.survey(options)?;
        let reading = Reading {
            columns: plan.source_columns().to_vec(),
            only: None,
        };
        let gathering = Gathering::new(extract, reading.columns.len(), self.row_memory);
        let batches = Mutex::new(Some(extract.read(reading)?));
        let found = Mutex::new((&mut builder, met, gathering));
        let work = || {
            let worked = self.digest_batches(&batches, &found, keys);
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
        let (.., gathering) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(batches) = gathering.finish() {
            self.opened.remembered.get_or_init(|| batches);
        }
        let read_ms = milliseconds(began);
        let survey = effort::logged("sort", || builder.finish())?;
        let (rows, elapsed_ms) = (survey.counts().read, milliseconds(began));
        tracing::info!(rows, read_ms, elapsed_ms, "extract surveyed");
        Ok(survey)
    }

    /// Digests batch by batch, until there are no more.
    fn digest_batches(
        &self,
        batches: &Mutex<Option<impl Iterator<Item = Result<Rows, SourceError>>>>,
        found: &Mutex<(&mut SurveyBuilder, &mut BTreeSet<KeyDigest>, Gathering)>,
        keys: Option<&KeySieve>,
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
            let rows = rows?;
            plan.digest(&rows, self.ledger.secret(), &mut digests);
            let (builder, met, gathering) = &mut *held(found);
            for digest in &digests {
                self.selection.meet(digest.key, met);
                if let (Some(keys), KeyReading::Known(key)) = (keys, &digest.key) {
                    keys.add(key);
                }
                builder.add(*digest)?;
            }
            gathering.add(rows);
            self.progress.read(digests.len());
        }
    }

    /// An extract without rows is rarely meant. A guard that stops the run says more.
    fn no_rows(&self, counts: &SurveyCounts) -> Option<String> {
        let is_kept = *self.opened.plan.removal() == Removal::Keep;
        match counts.vanished {
            _ if counts.read > 0 => None,
            vanished if vanished > 0 && !is_kept => Some(format!(
                "the extract has a header and no rows: {vanished} records are not in it any more"
            )),
            _ => Some("the extract has a header and no rows: there is nothing to do".to_owned()),
        }
    }

    /// A row without a key may stand for any key: where records would be removed, that is worth a word.
    fn unread_keys(&self, survey: &Survey) -> Result<Option<String>, PushError> {
        let plan = &self.opened.plan;
        let (unread, vanished) = (survey.counts().unreadable_keys, survey.counts().vanished);
        if *plan.removal() == Removal::Keep || unread == 0 || vanished == 0 {
            return Ok(None);
        }
        let places = self.places(survey, Finding::Unreadable)?;
        Ok(Some(format!(
            "{vanished} records are not in the extract and stay all the same: the key of {unread} rows cannot be read ({places})"
        )))
    }

    /// A row that lost its key is not a person who left.
    fn lost_keys(&self, survey: &Survey) -> Result<Option<String>, PushError> {
        let nameless = survey.counts().nameless;
        if *self.opened.plan.removal() == Removal::Keep || nameless == 0 {
            return Ok(None);
        }
        let places = self.places(survey, Finding::Unkeyed)?;
        Ok(Some(format!(
            "{nameless} records are not in the extract and stay all the same: rows without a key are otherwise theirs ({places}); \
             fill these keys at the source, or leave the rows out of the extract"
        )))
    }

    /// The first rows of which that was found.
    fn places(&self, survey: &Survey, finding: Finding) -> Result<String, PushError> {
        let mut places = Vec::new();
        for entry in survey.entries() {
            let entry = entry?;
            if entry.finding == finding {
                let files = self.opened.extract.files();
                places.push(entry.position.display(files).to_string());
            }
            if places.len() == PLACES {
                break;
            }
        }
        Ok(places.join(", "))
    }

    /// A key that changed at the source makes a second record and leaves the first one behind, where records are made.
    fn renamed_keys(&self, survey: &Survey) -> Result<Option<String>, PushError> {
        let plan = &self.opened.plan;
        let makes = matches!(plan.mode(), Mode::Upsert | Mode::Create);
        if !(makes && plan.reads_more_than_keys()) {
            return Ok(None);
        }
        let renamed = survey.renamed()?;
        if renamed.keys == 0 {
            return Ok(None);
        }
        let files = self.opened.extract.files();
        let places = renamed
            .places
            .iter()
            .map(|it| it.display(files).to_string());
        let mut places: Vec<String> = places.collect();
        if renamed.keys > places.len() as u64 {
            places.push("…".to_owned());
        }
        let (keys, places) = (renamed.keys, places.join(", "));
        Ok(Some(if keys == 1 {
            format!(
                "1 new key stands in a row that is, but for the key, that of a key which has vanished ({places}): if the key was \
                 changed, this record is written a second time; choose a key that never changes"
            )
        } else {
            format!(
                "{keys} new keys stand in rows that are, but for the key, those of keys which have vanished ({places}): if their \
                 keys were changed, each of these records is written a second time; choose a key that never changes"
            )
        }))
    }

    /// Tells what the second reading would find.
    fn mapper(&self) -> Mapper {
        Mapper {
            opened: Arc::clone(&self.opened),
            ledger: self.ledger.clone(),
            // Values that are sent again because somebody asked for it are no changes.
            scope: Scope::Changed,
            selection: self.selection.clone(),
            owed: None,
            held: Arc::clone(&self.held),
            book: None,
        }
    }

    fn judge(&self, survey: &Survey) -> Result<Option<PushError>, PushError> {
        let (plan, counts) = (&self.opened.plan, survey.counts());
        if let Err(tripped) = guard::judge(plan, counts) {
            return Ok(Some(tripped));
        }
        if *plan.removal() != Removal::Keep || plan.has_marks() {
            let mut removals = 0;
            if plan.has_marks() {
                self.mapper().each_marked(survey, &self.stop, &mut |_| {
                    removals += 1;
                    Ok(())
                })?;
            }
            for vanished in survey.vanished() {
                removals += u64::from(is_removable(plan.removal(), &vanished?));
            }
            if let Err(tripped) = guard::judge_removals(plan, removals, counts) {
                return Ok(Some(tripped));
            }
        }
        if !guard::must_count_changes(plan, counts) {
            return Ok(None);
        }
        let changes = self.mapper().count_changes(survey, &self.stop)?;
        Ok(guard::judge_changes(plan, changes, counts).err())
    }
}

/// A thread that panicked ends the survey, whatever it left behind.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// The first reading, and the guards. Nothing has been sent.
    pub(super) async fn survey(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Snapshot,
    ) -> Result<Surveyed, PushError> {
        self.progress.enter(Stage::Surveying);
        let (request, selection) = (&self.request, Selection::new(&self.request));
        let surveyor = Surveyor {
            opened: Arc::clone(opened),
            ledger: ledger.clone(),
            selection: selection.resolve(opened, ledger.secret())?,
            scope: request.scope,
            extent: request.extent,
            row_memory: request.row_memory,
            held: Arc::clone(&self.held),
            spill: self.folder.path().to_owned(),
            progress: Arc::clone(&self.progress),
            stop: self.stop.clone(),
        };
        let surveyed = spawn_blocking(move || surveyor.run()).await;
        let mut surveyed = surveyed.map_err(|error| ended(&error))??;
        let counts = *surveyed.survey.counts();
        self.rows.read = counts.read;
        self.rows.unchanged = counts.unchanged;
        self.rows.vanished = counts.vanished;
        self.rows.kept = counts.vanished;
        // Until something becomes of them.
        self.rows.not_attempted = counts.read - counts.unchanged;
        self.warnings.append(&mut surveyed.warnings);
        if let Some(tripped) = surveyed.tripped.take() {
            // Whoever is told that there are too many wants to see them.
            if tripped.is_guard(guard::MAX_REJECTS) {
                self.keep_rejects(opened, ledger, surveyed.survey).await?;
            } else if tripped.is_guard(guard::MAX_DELETES) {
                self.list_removals(opened, ledger, surveyed).await?;
            }
            return Err(tripped);
        }
        Ok(surveyed)
    }

    /// Puts the rejects that the survey knows of into the reject file.
    async fn keep_rejects(
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
            owed: None,
            held: Arc::default(),
            book: None,
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
