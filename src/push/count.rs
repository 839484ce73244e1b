//! Readings of due rows that hand nothing on: what guards want to know.

use tokio::sync::watch;

use super::record::{Condemned, Note};
use super::send::{End, Mapper, Step};
use super::{PushError, interrupted};
use crate::dispatch::{Draft, Stopping};
use crate::ledger::{Finding, LedgerError, Survey, SurveyEntry};
use crate::model::{Reject, Standing, StandingFlags, When};

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
                && let Some(standing) = &draft.standing
                && !self.follows_a_create(&draft, standing)
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

    /// Whether nothing differs but what an earlier run left out of the create: that is new, and no change.
    fn follows_a_create(&self, draft: &Draft, standing: &Standing) -> bool {
        let target = self.opened.plan.target();
        let follows = |index: usize| {
            let column = target.columns.get(index);
            let state = standing.columns.get(index);
            column.zip(state).is_some_and(|(column, state)| {
                column.is_stamp || column.when == When::Update && state.is_never_sent()
            })
        };
        standing.flags.has(StandingFlags::PENDING) && draft.columns.iter().all(follows)
    }

    /// The records that are marked for deletion and would be deleted; nothing is handed on.
    pub(super) fn each_marked(
        &self,
        survey: &Survey,
        stop: &watch::Receiver<Stopping>,
        each: &mut dyn FnMut(&Condemned) -> Result<(), PushError>,
    ) -> Result<(), PushError> {
        let mut entries = survey.entries().peekable();
        let ended = self.walk(survey.entries(), &mut entries, &mut |step| {
            if *stop.borrow() != Stopping::No {
                return Err(interrupted().into());
            }
            if let Step::Note(note) = step
                && let Note::Marked(marked) = &*note
            {
                each(marked)?;
            }
            Ok(())
        });
        match ended {
            Ok(()) | Err(End::Deaf) => Ok(()),
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
