//! The vanished: records of this mapping that are not in the extract any more.
//!
//! Comes after everything else was answered. Removes only what is this mapping's by proof or by its word, and nothing
//! that another key or another mapping holds.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use uuid::Uuid;

use super::doom::{Doom, Removing, rules};
use super::intake::{ANSWERED, Intake};
use super::kept::{Holding, Kept};
use super::open::Opened;
use super::pipe::{HANDED_ON, Part, QUEUED};
use super::record::{Condemned, Note, Pass};
use super::removed::{of_marked, of_missing};
use super::stages::record;
use super::{PushError, Run, ended};
use crate::dispatch::{self, Stopping};
use crate::ledger::{
    Entry, Holders, Ledger, LedgerError, Neighbourhood, RunNumber, Snapshot, Survey, Vanished,
};
use crate::mapping::{Manner, Ours, Plan, Removal};
use crate::model::{KeyDigest, RecordId, StandingFlags};
use crate::report::RowCounts;

/// Vanished keys that are judged together: some tens of megabytes.
const TOGETHER: usize = 200_000;

/// What becomes of some vanished keys; those that are not here are kept.
pub(super) struct Sorted {
    /// To be removed.
    pub(super) doomed: Vec<Vanished>,
    /// Their records are held by another key of the extract.
    retired: Vec<Vanished>,
    /// What stays for other reasons.
    pub(super) kept: Kept,
}

/// Whether a vanished key may be removed as far as it tells itself.
pub(super) fn is_removable(removal: &Removal, vanished: &Vanished) -> bool {
    let written = vanished.id.is_some() && !vanished.flags.has(StandingFlags::SEEN);
    match removal {
        Removal::Keep => false,
        Removal::Delete(Ours::Created) => {
            written && vanished.flags.has(StandingFlags::CREATED_BY_US)
        }
        Removal::Delete(Ours::Written) | Removal::Write(_) => written,
    }
}

/// What looks at vanished keys; blocks.
#[derive(Clone)]
pub(super) struct Sorter {
    plan: Arc<Plan>,
    snapshot: Snapshot,
    /// None in a dry run.
    ledger: Option<Arc<Ledger>>,
    state: PathBuf,
    folder: PathBuf,
    spill: PathBuf,
    organisation: Uuid,
}

impl Sorter {
    /// Of these records those that other keys of this ledger hold, and those that other mappings hold.
    pub(super) fn held(&self, ids: &[(KeyDigest, RecordId)]) -> Result<Holding, PushError> {
        let mut own = Holders::of(ids.iter().copied());
        own.look_into(&self.snapshot)?;
        if let Some(ledger) = &self.ledger {
            own.look_into_learned(ledger)?;
        }
        let mut others = Holders::of(ids.iter().copied());
        others.look_around(&Neighbourhood {
            state: &self.state,
            own: &self.folder,
            organisation: self.organisation,
            table: &self.plan.target().table,
            spill: &self.spill,
        })?;
        let (own, _) = own.held();
        let (others, by) = others.held();
        Ok(Holding { own, others, by })
    }

    fn sort(&self, vanished: Vec<Vanished>) -> Result<Sorted, PushError> {
        let removal = self.plan.removal();
        let (candidates, unproved): (Vec<_>, Vec<_>) = vanished
            .into_iter()
            .partition(|it| is_removable(removal, it));
        let ids = candidates.iter().filter_map(|it| Some((it.key, it.id?)));
        let Holding { own, others, by } = self.held(&ids.collect::<Vec<_>>())?;
        let is_in =
            |held: &HashSet<RecordId>, it: &Vanished| it.id.is_some_and(|id| held.contains(&id));
        let (retired, rest): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|it| is_in(&own, it));
        let (shared, doomed): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|it| is_in(&others, it));
        let kept = Kept {
            unproved: unproved.len() as u64,
            shared: shared.len() as u64,
            by,
            ..Kept::default()
        };
        Ok(Sorted {
            doomed,
            retired,
            kept,
        })
    }
}

impl Run {
    /// Removes what vanished, as the mapping says.
    pub(super) async fn remove(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        survey: &Survey,
    ) -> Result<(), PushError> {
        let sorter = self.sorter(opened, ledger.snapshot().clone(), Some(Arc::clone(ledger)));
        let mut vanished = survey.vanished();
        let mut kept = Kept::default();
        while let Some(together) = taken(&mut vanished)? {
            let mut fates = self.fates(&sorter, together).await?;
            kept.add(fates.kept);
            let ids = fates.doomed.iter().filter_map(|it| Some((it.key, it.id?)));
            let ids: Vec<(KeyDigest, RecordId)> = ids.collect();
            let moved = self.moved(opened, survey, ledger.snapshot().secret(), &ids);
            let moved = moved.await?;
            fates
                .doomed
                .retain(|it| !it.id.is_some_and(|id| moved.ids.contains(&id)));
            kept.moved += moved.ids.len() as u64;
            let retired = fates.retired.iter().map(|it| Entry::Forget(it.key));
            let forget: Vec<Entry> = retired.chain(moved.forgotten()).collect();
            ledger.record(number, &forget)?;
            let doom = Doom::of(&opened.plan);
            let doomed = fates.doomed.iter().filter_map(|it| doom.condemned(it));
            let doomed: Vec<Condemned> = doomed.collect();
            if !doomed.is_empty() {
                let removing = Removing {
                    pass: Pass::Vanished,
                    doom,
                    doomed,
                };
                self.remove_some(opened, ledger, number, removing).await?;
            }
        }
        self.warnings.extend(kept.warnings(opened.plan.removal()));
        Ok(())
    }

    /// Deletes what rows are marked for; what others hold stays.
    pub(super) async fn remove_marked(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        survey: &Survey,
    ) -> Result<(), PushError> {
        let marked = std::mem::take(&mut self.marked);
        let sorter = self.sorter(opened, ledger.snapshot().clone(), Some(Arc::clone(ledger)));
        let ids = marked.iter().map(|it| (it.row.key, it.id));
        let ids: Vec<(KeyDigest, RecordId)> = ids.collect();
        let moved = self.moved(opened, survey, ledger.snapshot().secret(), &ids);
        let moved = moved.await?;
        ledger.record(number, &moved.forgotten().collect::<Vec<_>>())?;
        let holding = spawn_blocking(move || sorter.held(&ids)).await;
        let Holding { own, others, by } = holding.map_err(|error| ended(&error))??;
        let is_held = |it: &Condemned| {
            let held = [&own, &others, &moved.ids];
            held.into_iter().any(|held| held.contains(&it.id))
        };
        let (held, doomed): (Vec<_>, Vec<_>) = marked.into_iter().partition(is_held);
        let shared = held.iter().filter(|it| others.contains(&it.id)).count() as u64;
        self.rows.not_attempted -= (held.len() + doomed.len()) as u64;
        self.rows.kept += held.len() as u64;
        let kept = Kept {
            shared,
            by,
            moved: moved.ids.len() as u64,
            ..Kept::default()
        };
        self.warnings.extend(kept.warnings(opened.plan.removal()));
        if doomed.is_empty() {
            return Ok(());
        }
        let removing = Removing {
            pass: Pass::Marked,
            doom: Doom::delete(&opened.plan),
            doomed,
        };
        self.remove_some(opened, ledger, number, removing).await
    }

    pub(super) fn sorter(
        &self,
        opened: &Opened,
        snapshot: Snapshot,
        ledger: Option<Arc<Ledger>>,
    ) -> Sorter {
        let (folder, ..) = self.ledger(opened);
        Sorter {
            plan: Arc::clone(&opened.plan),
            snapshot,
            ledger,
            state: self.request.state.clone(),
            folder,
            spill: self.folder.path().to_owned(),
            organisation: opened.who.organization,
        }
    }

    pub(super) async fn fates(
        &self,
        sorter: &Sorter,
        together: Vec<Vanished>,
    ) -> Result<Sorted, PushError> {
        if *self.stop.borrow() != Stopping::No {
            return Err(super::interrupted());
        }
        let sorter = sorter.clone();
        let sorting = spawn_blocking(move || sorter.sort(together)).await;
        sorting.map_err(|error| ended(&error))?
    }

    async fn remove_some(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Arc<Ledger>,
        number: RunNumber,
        removing: Removing,
    ) -> Result<(), PushError> {
        let Removing { pass, doom, doomed } = removing;
        let rules = Arc::new(rules(opened, &doom));
        let lane = self.lane_to(opened, &doom.target);
        let (operations_in, operations) = mpsc::channel(HANDED_ON);
        let (outcomes_in, outcomes) = mpsc::channel(ANSWERED);
        let (notes_in, notes) = mpsc::channel(QUEUED);
        let (brake, stop) = watch::channel(Stopping::No);
        let book = Some((Arc::clone(ledger), number));
        let rule = match pass {
            Pass::Marked => of_marked(),
            Pass::First | Pass::Second | Pass::Vanished => of_missing(&opened.plan),
        };
        let mut recorder = self.recorder(opened, ledger.snapshot(), book, brake.clone());
        if let Some(recorder) = &mut recorder {
            recorder.removed = Some(self.removed(opened, rule));
            recorder.pass = pass;
            recorder.counts = self.rows;
        }
        let mut stages = JoinSet::new();
        let dispatching = dispatch::dispatch(lane, rules, operations, outcomes_in, stop);
        stages.spawn(async move { Some(Part::Dispatched(dispatching.await)) });
        let ledger = Arc::clone(ledger);
        stages.spawn_blocking(move || {
            let (fed, left) = doom.feed(&ledger, number, &doomed, &operations_in);
            if left > 0 {
                notes_in.blocking_send(Note::NotReached(left)).ok();
            }
            Some(Part::Mapped(fed))
        });
        record(&mut stages, recorder, Intake::new(outcomes, notes));
        self.gather(stages, brake).await.map(drop)
    }
}

/// The next vanished keys; none when all were taken.
pub(super) fn taken(
    vanished: &mut impl Iterator<Item = Result<Vanished, LedgerError>>,
) -> Result<Option<Vec<Vanished>>, PushError> {
    let together: Vec<Vanished> = vanished.take(TOGETHER).collect::<Result<_, _>>()?;
    Ok((!together.is_empty()).then_some(together))
}

/// What a removed record is counted as.
pub(super) fn counter<'a>(removal: &Removal, rows: &'a mut RowCounts) -> &'a mut u64 {
    match removal {
        Removal::Keep => &mut rows.kept,
        Removal::Delete(_) => &mut rows.deleted,
        Removal::Write(treatment) => match treatment.manner {
            Manner::Deactivate => &mut rows.deactivated,
            Manner::Set => &mut rows.updated,
        },
    }
}
