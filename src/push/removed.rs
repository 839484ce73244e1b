//! What is told of each record that is removed, or would be: its line in the run's file, its count, its entry in the
//! ledger.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::open::Opened;
use super::preview::shown;
use super::record::{Pass, Recorder};
use super::removal::{counter, is_removable};
use super::stages::mapper;
use super::standing::refused;
use super::survey::Surveyed;
use super::{PushError, Run, ended};
use crate::ledger::{Entry, Recorded, Snapshot};
use crate::mapping::{Manner, Plan, Removal, Treatment};
use crate::model::{Operation, Outcome, Position, RecordId, Source as _, StandingFlags, Verdict};
use crate::report::{RemovalAction, RemovalOutcome, RemovalReason, RemovalRule, RemovalWriter};

/// The file of removals, and what the records have in common that are added to it.
pub(super) struct Removed {
    pub(super) writer: RemovalWriter,
    pub(super) rule: RemovalRule,
}

impl Removed {
    fn add(
        &mut self,
        id: RecordId,
        position: Position,
        outcome: RemovalOutcome,
    ) -> Result<(), PushError> {
        let Self { writer, rule } = self;
        let added = writer.add(rule, id, position, outcome);
        added.map_err(PushError::Results)
    }

    pub(super) fn flush(&mut self) -> Result<(), PushError> {
        self.writer.flush().map_err(PushError::Results)
    }
}

/// What becomes of records that left the extract.
pub(super) fn of_missing(plan: &Plan) -> RemovalRule {
    let (action, columns) = match plan.removal() {
        Removal::Keep | Removal::Delete(_) => (RemovalAction::Delete, String::new()),
        Removal::Write(treatment) => {
            let action = match treatment.manner {
                Manner::Deactivate => RemovalAction::Deactivate,
                Manner::Set => RemovalAction::Set,
            };
            (action, columns(treatment))
        }
    };
    RemovalRule {
        action,
        reason: RemovalReason::Missing,
        columns,
    }
}

/// `donotbulkemail=true`; without the primary id, which comes first.
fn columns(treatment: &Treatment) -> String {
    let columns = treatment.target.columns.iter().zip(&treatment.values);
    let columns = columns.skip(1).map(|(column, value)| {
        let value = shown(value).unwrap_or_default();
        format!("{}={value}", column.name)
    });
    columns.collect::<Vec<_>>().join(",")
}

/// What becomes of records whose rows are marked.
pub(super) fn of_marked() -> RemovalRule {
    RemovalRule {
        action: RemovalAction::Delete,
        reason: RemovalReason::DeleteWhen,
        columns: String::new(),
    }
}

impl Run {
    /// The file of removals, to be handed back.
    pub(super) fn removed(&mut self, opened: &Opened, rule: RemovalRule) -> Removed {
        let fresh = || {
            let table = &opened.plan.target().table;
            RemovalWriter::new(self.folder.path(), table, opened.extract.files())
        };
        let writer = self.removals.take().unwrap_or_else(fresh);
        Removed { writer, rule }
    }

    /// Writes down what a dry run would remove.
    pub(super) async fn foretell(
        &mut self,
        opened: &Opened,
        rule: RemovalRule,
        records: Vec<(RecordId, Position)>,
    ) -> Result<(), PushError> {
        let mut removed = self.removed(opened, rule);
        let writing = spawn_blocking(move || {
            let mut records = records.into_iter();
            let outcome = RemovalOutcome::Foreseen;
            let written = records.try_for_each(|(id, at)| removed.add(id, at, outcome));
            (removed.writer, written)
        });
        let (writer, written) = writing.await.map_err(|error| ended(&error))?;
        self.removals = Some(writer);
        written
    }

    /// Writes down what a guard counted that stops the run.
    pub(super) async fn list_removals(
        &mut self,
        opened: &Arc<Opened>,
        ledger: &Snapshot,
        surveyed: Surveyed,
    ) -> Result<(), PushError> {
        let Surveyed {
            survey, selection, ..
        } = surveyed;
        let held = Arc::clone(&self.held);
        let mapper = mapper(opened, ledger.clone(), &self.request, selection, held);
        let stop = self.stop.clone();
        let mut removed = self.removed(opened, of_marked());
        let listing = spawn_blocking(move || {
            let outcome = RemovalOutcome::Stopped;
            let plan = Arc::clone(&mapper.opened.plan);
            let mut list = || {
                if plan.has_marks() {
                    mapper.each_marked(&survey, &stop, &mut |marked| {
                        removed.add(marked.id, marked.row.position, outcome)
                    })?;
                }
                removed.rule = of_missing(&plan);
                for vanished in survey.vanished() {
                    let vanished = vanished?;
                    if let Some(id) = vanished.id
                        && is_removable(plan.removal(), &vanished)
                    {
                        removed.add(id, Position::NOWHERE, outcome)?;
                    }
                }
                Ok(())
            };
            let listed = list();
            (removed.writer, listed)
        });
        let (writer, listed) = listing.await.map_err(|error| ended(&error))?;
        self.removals = Some(writer);
        listed
    }
}

impl Recorder {
    /// Writes the line of a record that was to be removed.
    pub(super) fn note_removed(&mut self, outcome: &Outcome) -> Result<(), PushError> {
        let Outcome { operation, verdict } = outcome;
        let id = operation.standing.as_deref().and_then(|it| it.id);
        match (self.pass, &mut self.removed, id) {
            (Pass::Vanished | Pass::Marked, Some(removed), Some(id)) => {
                removed.add(id, operation.row.position, came_of_it(verdict))
            }
            _ => Ok(()),
        }
    }

    /// A vanished key was counted as kept until now.
    pub(super) fn count_removed(&mut self, verdict: &Verdict) {
        match verdict {
            // Gone already.
            Verdict::Unchanged | Verdict::Skipped(_) => {}
            Verdict::Accepted(_) => {
                self.counts.kept -= 1;
                *counter(self.plan.removal(), &mut self.counts) += 1;
            }
            Verdict::Rejected(_) | Verdict::NotAttempted(_) | Verdict::Partly { .. } => {
                self.counts.kept -= 1;
                self.counts.count(verdict);
            }
        }
    }

    /// What the ledger holds of a record that left the extract.
    pub(super) fn farewell(&self, outcome: &Outcome) -> Option<Entry> {
        let Outcome { operation, verdict } = outcome;
        let key = operation.row.key;
        match (verdict, self.plan.removal()) {
            (Verdict::Skipped(_), _) => Some(Entry::Forget(key)),
            (Verdict::Accepted(_), Removal::Write(treatment)) => self.treated(operation, treatment),
            (Verdict::Accepted(_), Removal::Delete(_)) => Some(Entry::Forget(key)),
            _ => refused(outcome),
        }
    }

    fn treated(&self, operation: &Operation, treatment: &Treatment) -> Option<Entry> {
        let standing = operation.standing.as_deref()?;
        let mut columns = standing.columns.clone();
        for (place, state) in self.plan.treated(treatment, &self.secret) {
            if let Some(column) = columns.get_mut(place) {
                *column = state;
            }
        }
        let mut flags = standing.flags.with(StandingFlags::REMOVED);
        if treatment.deactivates() {
            flags = flags.with(StandingFlags::DEACTIVATED);
        }
        Some(Entry::Standing(Recorded {
            row: operation.row,
            id: standing.id,
            flags,
            columns,
        }))
    }
}

fn came_of_it(verdict: &Verdict) -> RemovalOutcome {
    match verdict {
        Verdict::Accepted(_) => RemovalOutcome::Done,
        Verdict::Unchanged | Verdict::Skipped(_) => RemovalOutcome::Gone,
        Verdict::Rejected(_) => RemovalOutcome::Rejected,
        Verdict::NotAttempted(_) => RemovalOutcome::NotAttempted,
        Verdict::Partly { rest, .. } => came_of_it(rest),
    }
}
