//! The second walk through the rows: only those that are due, mapped and compared with what Dataverse holds.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::PushError;
use super::doubt::{DoubtBook, NOTED};
use super::held;
use super::open::Opened;
use super::owed::{Counted, Owed};
use super::record::{Condemned, Note};
use super::selection::Selection;
use crate::dispatch::{Draft, Entrance};
use crate::ledger::{
    Finding, HeldBack, LedgerError, Scope, Slot, Snapshot, Survey, SurveyEntry, after, diff,
};
use crate::mapping::{ColumnDigester, Duplicates, Ours, PlannedRows};
use crate::model::{
    ColumnSet, KeyDigest, Position, Record, Reject, RejectCode, RowTag, Source as _, Standing,
    StandingFlags, Value,
};

/// What the mapper needs to know.
pub(super) struct Mapper {
    pub(super) opened: Arc<Opened>,
    pub(super) ledger: Snapshot,
    pub(super) scope: Scope,
    pub(super) selection: Selection,
    /// In the second pass: the rows that it completes.
    pub(super) owed: Option<Arc<Owed>>,
    /// The rows that were refused before the run; none in the second pass.
    pub(super) held: Arc<HeldBack>,
    /// Where it is noted what is about to be sent; none where nothing is sent, where references have to be settled first,
    /// and in the second pass, whose records are pending already.
    pub(super) book: Option<DoubtBook>,
}

/// Why mapping ended.
pub(super) enum End {
    /// Nobody takes drafts any more: the run is stopping.
    Deaf,
    Failed(PushError),
}

impl<E: Into<PushError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What becomes of one entry of the survey.
pub(super) enum Step {
    Draft(Draft),
    Note(Box<Note>),
}

impl Step {
    /// Whether something is to be written for the row, now or last.
    pub(super) fn is_sent(&self) -> bool {
        match self {
            Self::Draft(_) => true,
            Self::Note(note) => matches!(**note, Note::Marked(_)),
        }
    }
}

impl Mapper {
    /// Walks through the due rows and turns each into a draft or a note. Blocks; runs on a thread of its own.
    ///
    /// Every entry of the survey that is not handed on as a draft is noted, also when the run is stopping.
    pub(super) fn run(
        self,
        survey: &Survey,
        drafts: &Entrance,
        notes: &mpsc::Sender<Note>,
    ) -> Result<(), PushError> {
        let wanted = || {
            let owed = self.owed.clone();
            survey.entries().filter(move |entry| match (entry, &owed) {
                (Ok(entry), Some(owed)) => owed.of(entry.position) != Counted::Not,
                _ => true,
            })
        };
        let mut entries = wanted().peekable();
        let (mut handed_on, mut waiting) = (0, Vec::new());
        let walked = self.walk(wanted(), &mut entries, &mut |step| {
            if drafts.is_closed() {
                return Err(End::Deaf);
            }
            match step {
                Step::Draft(draft) => {
                    waiting.push(draft);
                    if waiting.len() == NOTED {
                        self.hand_on(&mut waiting, drafts, &mut handed_on)?;
                    }
                }
                Step::Note(note) => {
                    let sent = notes.blocking_send(*note);
                    sent.map_err(|_| defect("the recorder"))?;
                    handed_on += 1;
                }
            }
            Ok(())
        });
        // Whatever ended it: these were mapped, and if nobody takes them, they are not reached.
        let rest = self.hand_on(&mut waiting, drafts, &mut handed_on);
        let ended = walked.and(rest);
        // Not counted off the entries: they end where they cannot be read.
        let counts = survey.counts();
        let left = (counts.read - counts.unchanged).saturating_sub(handed_on);
        // In the second pass they were counted before, and are pending.
        if left > 0 && self.owed.is_none() {
            // The recorder outlives the mapper: it takes notes until every sender is gone.
            notes
                .blocking_send(Note::NotReached(left))
                .map_err(|_| defect("the recorder"))?;
        }
        match ended {
            Ok(()) | Err(End::Deaf) => Ok(()),
            Err(End::Failed(error)) => Err(error),
        }
    }

    /// Hands drafts on, noted before they go.
    fn hand_on(
        &self,
        waiting: &mut Vec<Draft>,
        drafts: &Entrance,
        handed_on: &mut u64,
    ) -> Result<(), End> {
        if let Some(book) = &self.book {
            book.note(waiting)?;
        }
        let handed = drafts.hand_on(waiting.drain(..));
        *handed_on += handed.taken;
        if handed.left.is_empty() {
            return Ok(());
        }
        if let Some(book) = &self.book {
            book.take_back(&handed.left)?;
        }
        Err(End::Deaf)
    }

    pub(super) fn step(
        &self,
        rows: &mut PlannedRows<'_>,
        digester: &mut ColumnDigester,
        index: usize,
        entry: &SurveyEntry,
        sent: u64,
    ) -> Result<Step, End> {
        let note = match entry.finding {
            Finding::Unkeyed | Finding::Unreadable if self.selection.is_of_keys() => {
                Note::OutsideSelection
            }
            Finding::Unkeyed | Finding::Unreadable => unkeyed(rows, index),
            Finding::Duplicate { key, .. } if !self.selection.takes(key, 0) => {
                Note::OutsideSelection
            }
            Finding::Duplicate { standing, .. } => self.duplicate(entry.position, standing),
            Finding::Due { key, .. } if !self.selection.takes(key, sent) => Note::OutsideSelection,
            Finding::Due { key, slot } => match self.held_back(key, entry)? {
                Some(note) => note,
                None => return self.draft(rows, digester, index, entry, key, slot),
            },
        };
        Ok(Step::Note(Box::new(note)))
    }

    /// A row that Dataverse refused before, unless it is due again or somebody asks for it.
    fn held_back(&self, key: KeyDigest, entry: &SurveyEntry) -> Result<Option<Note>, LedgerError> {
        if self.scope == Scope::Everything || self.selection.names(key) {
            return Ok(None);
        }
        let found = self.held.of(key, entry.source)?;
        Ok(found.map(|found| Note::Held(key, Box::new(held::row(entry.position, found)))))
    }

    /// What becomes of a row that is marked for deletion.
    fn marked(&self, row: RowTag, slot: Option<Slot>) -> Result<Note, End> {
        let Some(slot) = slot else {
            return Ok(Note::OutsideSelection);
        };
        let standing = self.ledger.standing(slot)?;
        let Some(id) = standing.id else {
            // Deleted for this mark before: the ledger remembers no record.
            return Ok(Note::Buried(row, Box::new(standing)));
        };
        let ours = match self.opened.plan.marks_delete() {
            Ours::Created => standing.flags.has(StandingFlags::CREATED_BY_US),
            Ours::Written => !standing.flags.has(StandingFlags::SEEN),
        };
        Ok(if ours {
            Note::Marked(Condemned { row, slot, id })
        } else {
            Note::Kept
        })
    }

    /// Of columns that differ the ones that the first pass wrote, and what the second one writes: all references to the
    /// table itself. One that does not differ was cleared in Dataverse, since its record was gone.
    fn parted(&self, columns: &ColumnSet, record: &Record) -> (ColumnSet, ColumnSet) {
        let of_itself = self.opened.plan.references_to_itself();
        let written = columns.iter().filter(|it| !of_itself.contains(it));
        let owing = of_itself.iter().copied();
        let owing = owing.filter(|it| columns.contains(*it) || record.gives(*it));
        (written.collect(), owing.collect())
    }

    fn duplicate(&self, position: Position, standing: Position) -> Note {
        let files = self.opened.extract.files();
        match self.opened.plan.duplicates() {
            Duplicates::First | Duplicates::Last | Duplicates::Newest(_) => Note::Superseded,
            Duplicates::Reject => Note::Rejected(Reject {
                position,
                column: None,
                code: RejectCode("duplicate_row"),
                reason: format!(
                    "the key of {} stands at {} already",
                    position.display(files),
                    standing.display(files)
                ),
                advice: "Keep one row per key, or say `duplicates: first` in the mapping.".into(),
                service: None,
            }),
        }
    }

    fn draft(
        &self,
        rows: &mut PlannedRows<'_>,
        digester: &mut ColumnDigester,
        index: usize,
        entry: &SurveyEntry,
        key: KeyDigest,
        slot: Option<Slot>,
    ) -> Result<Step, End> {
        let row = RowTag {
            position: entry.position,
            key,
            source: entry.source,
        };
        match self.opened.plan.is_marked(rows.rows(), index) {
            Ok(false) => {}
            Ok(true) => return Ok(Step::Note(Box::new(self.marked(row, slot)?))),
            Err(reject) => return Ok(Step::Note(Box::new(Note::Rejected(reject)))),
        }
        let mut record = match rows.record(index) {
            Ok(record) => record,
            Err(reject) => return Ok(Step::Note(Box::new(Note::Rejected(reject)))),
        };
        let standing = slot.map(|slot| self.ledger.standing(slot)).transpose()?;
        let returns = |it: &Standing| it.flags.has(StandingFlags::DEACTIVATED);
        let plan = &self.opened.plan;
        if standing.as_ref().is_some_and(returns) {
            plan.activate(&mut record);
        }
        let target = plan.target();
        let mut digest = |value: &Value| digester.of(value);
        let mut columns = diff(standing.as_ref(), &record, &mut digest, target, self.scope);
        let mut standing = standing;
        if let Some(owed) = &self.owed {
            let counted = owed.of(entry.position);
            let (written, owing) = self.parted(&columns, &record);
            let flags = standing_flags(standing.as_ref(), counted);
            standing = Some(Standing {
                id: standing.as_ref().and_then(|standing| standing.id),
                flags,
                columns: after(standing.as_ref(), &record, digest, &written),
            });
            columns = owing;
        }
        if let Some(standing) = standing.as_ref().filter(|_| columns.is_empty()) {
            return Ok(Step::Note(Box::new(Note::Unchanged(
                row,
                Box::new(standing.clone()),
            ))));
        }
        Ok(Step::Draft(Draft {
            row,
            record,
            columns,
            standing: standing.map(Arc::<Standing>::new),
        }))
    }
}

fn unkeyed(rows: &mut PlannedRows<'_>, index: usize) -> Note {
    match rows.record(index) {
        Err(reject) => Note::Rejected(reject),
        Ok(_) => Note::Defect("a row without a key was mapped"),
    }
}

/// What the ledger holds of a record that the first pass wrote.
fn standing_flags(before: Option<&Standing>, counted: Counted) -> StandingFlags {
    let flags = before.map_or_else(StandingFlags::default, |standing| standing.flags);
    let flags = flags.without(StandingFlags::PENDING);
    match counted {
        Counted::Created => flags.with(StandingFlags::CREATED_BY_US),
        Counted::Not | Counted::Updated | Counted::Upserted | Counted::Unchanged => flags,
    }
}

fn defect(part: &str) -> PushError {
    PushError::Defect(format!("{part} ended early"))
}
