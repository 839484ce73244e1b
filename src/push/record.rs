//! The end of the pipe: outcomes into the ledger, then into the counts.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::held::{self, rejected};
use super::intake::Intake;
use super::owed::{Owed, References};
use super::preview::Change;
use super::removed::Removed;
use super::standing::{flags, grave, open_ends, refused, unrecorded, unsent};
use super::tally::Tally;
use super::{Progress, PushError, guard};
use crate::dispatch::{Foreseen, Stopping};
use crate::ledger::{HeldBack, Learned, Ledger, Page, Recorded, RunNumber, Slot, each_after};
use crate::mapping::{ColumnDigester, Plan, Threshold};
use crate::model::{
    Accepted, Action, ColumnState, Effect, KeyDigest, Operation, Outcome, RecordId, Reject, RowTag,
    Standing, StandingFlags, Value, Verdict,
};
use crate::report::{HeldRow, RejectWriter, RowCounts};

/// What became of a row.
pub(super) enum Note {
    /// The dispatcher or resolver has outcomes: those of one request.
    Outcomes(Vec<Outcome>),
    /// A dry run knows what would become of it.
    Foreseen(Foreseen),
    /// The row is a reject before anything was sent.
    Rejected(Reject),
    /// The row is not sent, since Dataverse refused it before.
    Held(KeyDigest, Box<HeldRow>),
    /// The row's cells differ, its values do not.
    Unchanged(RowTag, Box<Standing>),
    /// The row is marked for deletion: its record goes last.
    Marked(Condemned),
    /// The row is marked for deletion, and its record stays.
    Kept,
    /// The row is marked for deletion, and its record was deleted before.
    Buried(RowTag, Box<Standing>),
    /// Another row stands for the key.
    Superseded,
    /// `--limit` leaves it out.
    OutsideSelection,
    /// So many rows were not reached because the run is stopping.
    NotReached(u64),
    /// Something that cannot be.
    Defect(&'static str),
}

/// A record that is to be deleted for a row or for the lack of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condemned {
    pub(super) row: RowTag,
    /// Where the ledger holds it.
    pub(super) slot: Slot,
    pub(super) id: RecordId,
}

/// Takes notes until every sender is gone.
pub(super) struct Recorder {
    pub(super) plan: Arc<Plan>,
    /// None in a dry run.
    pub(super) ledger: Option<(Arc<Ledger>, RunNumber)>,
    pub(super) secret: crate::model::DigestSecret,
    /// As the survey left them.
    pub(super) before: RowCounts,
    pub(super) counts: RowCounts,
    pub(super) rejects: RejectWriter,
    /// More rejects stop the run.
    pub(super) most_rejects: Option<Threshold>,
    /// What everything before the recorder listens to.
    pub(super) brake: watch::Sender<Stopping>,
    /// The first changes of each kind, in a dry run.
    pub(super) preview: Vec<Change>,
    /// Records that were found by keys which the ledger does not know, in a dry run.
    pub(super) found: HashSet<RecordId>,
    pub(super) progress: Arc<Progress>,
    /// Rows that are marked for deletion; they count as not attempted until their records are gone.
    pub(super) marked: Vec<Condemned>,
    /// What a second pass has to do. In the second pass: what the first one left.
    pub(super) owed: Owed,
    pub(super) references: References,
    pub(super) pass: Pass,
    /// The file of removals, where records are removed.
    pub(super) removed: Option<Removed>,
    /// The rows that were refused before the run.
    pub(super) held: Arc<HeldBack>,
}

/// What the ledger is told, and what that takes.
struct Book<'a> {
    page: Page<'a>,
    digester: ColumnDigester,
}

/// Which of the passes over the rows it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Every row that is due.
    First,
    /// Those whose references could not be written before.
    Second,
    /// No rows: the records that left the extract.
    Vanished,
    /// Records that rows are marked to delete.
    Marked,
}

/// What the recorder hands back.
pub(super) struct Recording {
    pub(super) counts: RowCounts,
    pub(super) rejects: RejectWriter,
    pub(super) failed: Option<PushError>,
    pub(super) preview: Vec<Change>,
    pub(super) owed: Owed,
    pub(super) marked: Vec<Condemned>,
    pub(super) found: HashSet<RecordId>,
    pub(super) removed: Option<Removed>,
}

impl Recorder {
    /// The same for the second pass, after these counts and with what the first one left.
    pub(super) fn completing(mut self, counts: RowCounts, owed: &Owed) -> Self {
        self.pass = Pass::Second;
        self.counts = counts;
        self.owed = owed.clone();
        self
    }

    /// Blocks; runs on a thread of its own. Goes on taking notes after a failure, so that nothing before it hangs.
    pub(super) fn run(mut self, mut intake: Intake) -> Recording {
        let mut failed = None;
        let mut taken = Vec::new();
        let ledger = self.ledger.clone();
        let mut book = ledger.as_ref().map(|(ledger, run)| Book {
            page: ledger.page(*run),
            digester: ColumnDigester::new(&self.secret),
        });
        while intake.wait(&mut taken) {
            if let Err(error) = self.take(&mut taken, book.as_mut(), failed.as_ref()) {
                self.stop();
                failed.get_or_insert(error);
            }
            self.progress.settled(&self.before, &self.counts);
        }
        let failed = failed.or_else(|| self.too_many());
        Recording {
            counts: self.counts,
            rejects: self.rejects,
            failed,
            preview: self.preview,
            owed: self.owed,
            marked: self.marked,
            found: self.found,
            removed: self.removed,
        }
    }

    /// Records first, counts then: what is counted as done is durable. Every note is counted.
    fn take(
        &mut self,
        notes: &mut Vec<Note>,
        book: Option<&mut Book<'_>>,
        failed: Option<&PushError>,
    ) -> Result<(), PushError> {
        let mut plain = Tally::default();
        let mut taken = self.write_down(notes, book, failed, &mut plain);
        plain.add_to(&mut self.counts);
        for note in notes.drain(..) {
            taken = taken.and(self.count(note));
        }
        if let Some(removed) = &mut self.removed {
            taken = taken.and(removed.flush());
        }
        if self.too_many().is_some() {
            self.stop();
        }
        taken
    }

    /// What the ledger cannot take becomes nobody's achievement: the next run repeats it, and counts it. Plain outcomes
    /// go from the notes into the tally.
    fn write_down(
        &self,
        notes: &mut [Note],
        book: Option<&mut Book<'_>>,
        failed: Option<&PushError>,
        plain: &mut Tally,
    ) -> Result<(), PushError> {
        let (Some((ledger, _)), Some(book)) = (&self.ledger, book) else {
            return Ok(());
        };
        if matches!(failed, Some(PushError::Ledger(_))) {
            unrecorded(notes);
            return Ok(());
        }
        let mut learned = Learned::default();
        for note in &mut *notes {
            match note {
                Note::Outcomes(outcomes) => outcomes.retain(|outcome| {
                    self.settle(outcome, book);
                    learned.refused.extend(held::refused(outcome));
                    self.pass != Pass::First || !plain.takes(outcome, &self.references)
                }),
                Note::Held(key, _) => learned.kept.push(*key),
                note => book.page.extend(&unsent(note)),
            }
        }
        let freed = book.page.keys().filter(|key| self.held.may_hold(key));
        learned.freed = freed.collect();
        if let Err(error) = ledger.record_page(&mut book.page) {
            plain.unrecorded();
            unrecorded(notes);
            return Err(error.into());
        }
        match self.pass {
            Pass::First | Pass::Second => Ok(ledger.note_refused(&learned)?),
            // The reject of a record that left the extract is about no row, and is found again anyway.
            Pass::Vanished | Pass::Marked => Ok(()),
        }
    }

    /// Enters what the ledger learns of an outcome.
    fn settle(&self, outcome: &Outcome, book: &mut Book<'_>) {
        match self.pass {
            Pass::First | Pass::Second => self.settle_row(outcome, book),
            Pass::Vanished => book.page.extend(&self.farewell(outcome)),
            Pass::Marked => book.page.extend(&grave(outcome)),
        }
    }

    fn settle_row(&self, outcome: &Outcome, Book { page, digester }: &mut Book<'_>) {
        let Outcome { operation, verdict } = outcome;
        match verdict {
            Verdict::Accepted(accepted) => {
                page.stands(self.recorded(operation, accepted, digester));
            }
            Verdict::Unchanged => page.stands(self.known(operation)),
            Verdict::Partly { done, .. } => {
                let mut recorded = self.recorded(operation, done, digester);
                recorded.flags = recorded.flags.with(StandingFlags::PENDING);
                page.stands(recorded);
            }
            // The second pass notes no doubt that a refusal could take back.
            Verdict::Skipped(_) | Verdict::Rejected(_) | Verdict::NotAttempted(_)
                if self.pass == Pass::First =>
            {
                page.extend(&refused(outcome));
            }
            Verdict::Skipped(_) | Verdict::Rejected(_) | Verdict::NotAttempted(_) => {}
        }
    }

    /// What the ledger holds of a record that was written.
    fn recorded(
        &self,
        operation: &Operation,
        accepted: &Accepted,
        digester: &mut ColumnDigester,
    ) -> Recorded<impl Iterator<Item = ColumnState>> {
        let standing = operation.standing.as_deref();
        let mut digest = |value: &Value| digester.of(value);
        let mut flags = flags(standing, accepted, operation, &self.plan, &self.references);
        // A new record has nothing of the one that was there before.
        let before = standing.filter(|_| accepted.effect != Effect::Created);
        if self.references.await_update(operation, before, &mut digest) {
            flags = flags.with(StandingFlags::PENDING);
        }
        Recorded {
            row: operation.row,
            id: accepted.id.or(standing.and_then(|standing| standing.id)),
            flags,
            columns: each_after(before, &operation.record, digest, &operation.columns),
        }
    }

    /// What the ledger holds of a record that was there and needed nothing.
    fn known(&self, operation: &Operation) -> Recorded<impl Iterator<Item = ColumnState>> {
        let standing = operation.standing.as_deref();
        let found = match operation.action {
            Action::Update(id) => Some(id),
            Action::Upsert | Action::UpdateByKey | Action::Create(_) | Action::Delete(_) => None,
        };
        Recorded {
            row: operation.row,
            id: standing.and_then(|standing| standing.id).or(found),
            flags: open_ends(
                standing.map_or_else(StandingFlags::default, |standing| standing.flags),
                &operation.record,
                &self.references,
            ),
            columns: standing
                .into_iter()
                .flat_map(|it| it.columns.iter().copied()),
        }
    }

    fn count(&mut self, note: Note) -> Result<(), PushError> {
        match note {
            Note::Outcomes(outcomes) => {
                let mut counted = Ok(());
                for outcome in &outcomes {
                    counted = counted.and(self.count_outcome(outcome));
                }
                counted?;
            }
            Note::Foreseen(foreseen) => self.foreseen(foreseen)?,
            Note::Rejected(reject) => {
                self.counts.rejected += 1;
                self.reject(&reject)?;
            }
            Note::Held(_, row) => {
                self.counts.rejected += 1;
                self.rejects.hold(*row).map_err(PushError::Results)?;
            }
            Note::Unchanged(..) => self.counts.unchanged += 1,
            Note::Marked(condemned) => {
                self.counts.not_attempted += 1;
                self.marked.push(condemned);
            }
            Note::Kept => self.counts.kept += 1,
            Note::Buried(..) => self.counts.unchanged += 1,
            Note::Superseded | Note::OutsideSelection => self.counts.skipped += 1,
            Note::NotReached(rows) => {
                self.counts.not_attempted += rows;
                if self.pass == Pass::Vanished {
                    self.counts.kept -= rows;
                }
            }
            Note::Defect(what) => return Err(PushError::Defect(what.to_owned())),
        }
        Ok(())
    }

    fn count_outcome(&mut self, outcome: &Outcome) -> Result<(), PushError> {
        let Outcome { operation, verdict } = outcome;
        match self.pass {
            Pass::First => {
                self.owed.note(outcome, &self.references);
                self.counts.count(verdict);
            }
            Pass::Second => self.complete(outcome),
            Pass::Vanished => self.count_removed(verdict),
            Pass::Marked => self.counts.count(verdict),
        }
        let noted = self.note_removed(outcome);
        if let Some(reject) = rejected(verdict) {
            self.reject(&held::placed(reject, operation, self.pass))?;
        }
        noted
    }

    /// The row was counted in the first pass already: with success nothing changes.
    fn complete(&mut self, outcome: &Outcome) {
        match outcome.verdict {
            Verdict::Accepted(_) | Verdict::Unchanged => {}
            Verdict::Skipped(_)
            | Verdict::Rejected(_)
            | Verdict::NotAttempted(_)
            | Verdict::Partly { .. } => {
                let counted = self.owed.of(outcome.operation.row.position);
                counted.undo(&mut self.counts);
                self.counts.count(&outcome.verdict);
            }
        }
    }

    fn too_many(&self) -> Option<PushError> {
        let (rejected, read) = (self.counts.rejected, self.counts.read);
        let most = self.most_rejects.as_ref()?;
        guard::exceeds(most, rejected, read).then(|| guard::too_many_rejects(most, rejected, read))
    }

    /// Lets nothing more be taken.
    fn stop(&self) {
        self.brake.send_if_modified(|level| {
            let louder = *level == Stopping::No;
            *level = Stopping::Drain.max(*level);
            louder
        });
    }

    pub(super) fn reject(&mut self, reject: &Reject) -> Result<(), PushError> {
        self.rejects.add(reject).map_err(PushError::Results)
    }
}
