//! Readings of due rows that hand nothing on: what guards want to know.

use tokio::sync::watch;

use super::record::Note;
use super::send::{End, Mapper, Step};
use super::{PushError, interrupted};
use crate::dispatch::Stopping;
use crate::ledger::{Finding, LedgerError, Survey, SurveyEntry};
use crate::model::Reject;

impl Mapper {
    /// How many known records really differ; nothing is handed on.
    pub(super) fn count_changes(
        &self,
        survey: &Survey,
        stop: &watch::Receiver<Stopping>,
    ) -> Result<u64, PushError> {
        let mut changes = 0;
        let mut entries = survey.entries().peekable();
        let ended = self.walk(survey.entries(), &mut entries, &mut |step| {
            if *stop.borrow() != Stopping::No {
                return Err(interrupted().into());
            }
            if let Step::Draft(draft) = step
                && draft.standing.is_some()
            {
                changes += 1;
            }
            Ok(())
        });
        match ended {
            Ok(()) | Err(End::Deaf) => Ok(changes),
            Err(End::Failed(error)) => Err(error),
        }
    }

    /// How many records are marked for deletion and would be deleted; nothing is handed on.
    pub(super) fn count_marks(
        &self,
        survey: &Survey,
        stop: &watch::Receiver<Stopping>,
    ) -> Result<u64, PushError> {
        let mut marks = 0;
        let mut entries = survey.entries().peekable();
        let ended = self.walk(survey.entries(), &mut entries, &mut |step| {
            if *stop.borrow() != Stopping::No {
                return Err(interrupted().into());
            }
            if let Step::Note(note) = step
                && let Note::Marked(_) = *note
            {
                marks += 1;
            }
            Ok(())
        });
        match ended {
            Ok(()) | Err(End::Deaf) => Ok(marks),
            Err(End::Failed(error)) => Err(error),
        }
    }

    /// The rejects that the survey knows of: rows without a key, and repeated keys. Tells how many there are.
    pub(super) fn known_rejects(
        &self,
        survey: &Survey,
        each: &mut dyn FnMut(&Reject) -> Result<(), PushError>,
    ) -> Result<u64, PushError> {
        let due = |entry: &Result<SurveyEntry, LedgerError>| match entry {
            Ok(entry) => matches!(entry.finding, Finding::Due { .. }),
            Err(_) => false,
        };
        let known = move || survey.entries().filter(move |entry| !due(entry));
        let mut rejects = 0;
        let ended = self.walk(known(), &mut known().peekable(), &mut |step| {
            if let Step::Note(note) = step
                && let Note::Rejected(reject) = &*note
            {
                rejects += 1;
                each(reject)?;
            }
            Ok(())
        });
        match ended {
            Ok(()) | Err(End::Deaf) => Ok(rejects),
            Err(End::Failed(error)) => Err(error),
        }
    }
}
