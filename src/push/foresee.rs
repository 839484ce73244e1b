//! A dry run: everything but the last step. Nothing is sent or recorded.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};

use super::intake::{ANSWERED, Intake};
use super::kept::{Holding, Kept};
use super::open::Opened;
use super::pipe::{HANDED_ON, Part, QUEUED};
use super::record::Recorder;
use super::removal::{counter, taken};
use super::removed::{of_marked, of_missing};
use super::stages::{forward_foreseen, growing, map, mapper, record, refer, referring, rules};
use super::survey::Surveyed;
use super::{PushError, Run, ended, preview};
use crate::dispatch::{self, Draft, Entrance, Foreseen, Resolved, Stopping};
use crate::ledger::{Snapshot, Survey};
use crate::mapping::Removal;
use crate::model::{Action, KeyDigest, Position, RecordId, Source as _};

/// Records that were found by keys new to the ledger: so many are remembered, in some tens of megabytes. Of more, a dry
/// run may count as removed what the run would keep.
const MOST_FOUND: usize = 1_000_000;

impl Run {
    /// Tells what [`Run::pipe`] would do. Nothing is sent or recorded.
    pub(super) async fn foresee(
        &mut self,
        opened: &Arc<Opened>,
        ledger: Snapshot,
        surveyed: Surveyed,
    ) -> Result<(), PushError> {
        let Surveyed {
            survey,
            selection,
            keys,
            ..
        } = surveyed;
        let growing = growing(opened, &ledger, keys);
        let before = ledger.clone();
        let rules = Arc::new(rules(opened, &ledger, None));
        let lane = self.lane(opened);
        let (drafts_in, drafts) = mpsc::channel(HANDED_ON);
        let (foreseen_in, foreseen) = mpsc::channel(QUEUED);
        let (notes_in, notes) = mpsc::channel(QUEUED);
        let (brake, stop) = watch::channel(Stopping::No);
        let recorder = self.recorder(opened, &ledger, None, brake.clone());
        let held = Arc::clone(&self.held);
        let mapper = mapper(opened, ledger, &self.request, selection, held);

        let mut stages = JoinSet::new();
        let referring = referring(opened, &mapper, &rules, growing);
        let (outcomes_in, outcomes) = mpsc::channel(ANSWERED);
        let drafts = refer(
            &mut stages,
            opened,
            &lane,
            referring,
            drafts,
            &outcomes_in,
            &stop,
        );
        drop(outcomes_in);
        let foreseeing = dispatch::foresee(lane, rules, drafts, foreseen_in, stop);
        stages.spawn(async move { Some(Part::Resolved(foreseeing.await)) });
        stages.spawn(forward_foreseen(foreseen, notes_in.clone()));
        let vanished = survey.clone();
        map(
            &mut stages,
            mapper,
            survey,
            Entrance::to(drafts_in),
            notes_in,
        );
        record(&mut stages, recorder, Intake::new(outcomes, notes));
        let _owed = self.gather(stages, brake).await?;
        self.foresee_removals(opened, &before, &vanished).await?;
        let deadline = self.deadline();
        tokio::select! {
            () = preview::fill_in(&opened.environment, &opened.table, &mut self.preview) => {}
            () = super::stopping(self.stop.clone()) => return Err(super::interrupted()),
            // The counts are whole. What is there now stays unsaid.
            () = super::open::over(deadline) => {}
        }
        Ok(opened.extract.unchanged()?)
    }

    /// Counts what [`Run::remove_marked`] and [`Run::remove`] would do.
    async fn foresee_removals(
        &mut self,
        opened: &Arc<Opened>,
        snapshot: &Snapshot,
        survey: &Survey,
    ) -> Result<(), PushError> {
        let sorter = self.sorter(opened, snapshot.clone(), None);
        let found = std::mem::take(&mut self.found);
        let marked = std::mem::take(&mut self.marked);
        if !marked.is_empty() {
            let ids = marked.iter().map(|it| (it.row.key, it.id));
            let ids: Vec<(KeyDigest, RecordId)> = ids.collect();
            let moved = self.moved(opened, survey, snapshot.secret(), &ids).await?;
            let sorter = sorter.clone();
            let holding = spawn_blocking(move || sorter.held(&ids)).await;
            let Holding { own, others, .. } = holding.map_err(|error| ended(&error))??;
            let is_held = |id: &RecordId| {
                let held = [&own, &others, &found, &moved.ids];
                held.into_iter().any(|held| held.contains(id))
            };
            let all = marked.len() as u64;
            let doomed = marked.into_iter().filter(|it| !is_held(&it.id));
            let doomed: Vec<(RecordId, Position)> =
                doomed.map(|it| (it.id, it.row.position)).collect();
            self.rows.not_attempted -= all;
            self.rows.kept += all - doomed.len() as u64;
            self.rows.deleted += doomed.len() as u64;
            self.foretell(opened, of_marked(), doomed).await?;
        }
        if *opened.plan.removal() == Removal::Keep {
            return Ok(());
        }
        let mut vanished = survey.vanished();
        let mut kept = Kept::default();
        while let Some(together) = taken(&mut vanished)? {
            let fates = self.fates(&sorter, together).await?;
            kept.add(fates.kept);
            let doomed = fates.doomed.iter().filter_map(|it| Some((it.key, it.id?)));
            let doomed: Vec<(KeyDigest, RecordId)> =
                doomed.filter(|(_, id)| !found.contains(id)).collect();
            let moved = self
                .moved(opened, survey, snapshot.secret(), &doomed)
                .await?;
            kept.moved += moved.ids.len() as u64;
            let doomed = doomed.into_iter().filter(|(_, id)| !moved.ids.contains(id));
            let doomed: Vec<(RecordId, Position)> =
                doomed.map(|(_, id)| (id, Position::NOWHERE)).collect();
            let many = doomed.len() as u64;
            self.rows.kept -= many;
            *counter(opened.plan.removal(), &mut self.rows) += many;
            self.foretell(opened, of_missing(&opened.plan), doomed)
                .await?;
        }
        self.warnings.extend(kept.warnings(opened.plan.removal()));
        Ok(())
    }
}

impl Recorder {
    /// Counts what would become of a row.
    pub(super) fn foreseen(
        &mut self,
        Foreseen { draft, resolved }: Foreseen,
    ) -> Result<(), PushError> {
        match resolved {
            Resolved::Do(action) => {
                let counter = match action {
                    Action::Create(_) => &mut self.counts.created,
                    Action::Upsert => &mut self.counts.upserted,
                    Action::UpdateByKey | Action::Update(_) => &mut self.counts.updated,
                    Action::Delete(_) => &mut self.counts.deleted,
                };
                *counter += 1;
                if let Action::Update(id) = action {
                    self.find(&draft, id);
                }
                preview::note(&mut self.preview, &draft, action, self.plan.target());
            }
            Resolved::Unchanged(id) => {
                self.find(&draft, id);
                self.counts.unchanged += 1;
            }
            Resolved::Skip(_) => self.counts.skipped += 1,
            Resolved::Reject(reject) => {
                self.counts.rejected += 1;
                self.reject(&reject)?;
            }
            Resolved::NotAttempted(_) => self.counts.not_attempted += 1,
        }
        Ok(())
    }

    /// The run would learn that this record is the key's, and keep it if another key of it vanished.
    fn find(&mut self, draft: &Draft, id: RecordId) {
        let is_new = draft.standing.as_ref().is_none_or(|it| it.id.is_none());
        let may_matter = self.counts.vanished > 0 || self.plan.has_marks();
        if is_new && may_matter && self.found.len() < MOST_FOUND {
            self.found.insert(id);
        }
    }
}
