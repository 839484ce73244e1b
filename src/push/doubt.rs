//! What is about to be sent is doubted in the ledger first.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::record::Note;
use super::standing::{Returns, doubted, known};
use crate::dispatch::{Draft, Entrance};
use crate::ledger::{Ledger, LedgerError, RunNumber};

/// Drafts that are noted together, in one transaction, before they are handed on.
pub(super) const NOTED: usize = 1_000;

/// Where it is noted what is about to be sent.
#[derive(Clone)]
pub(super) struct DoubtBook {
    pub(super) ledger: Arc<Ledger>,
    pub(super) run: RunNumber,
}

impl DoubtBook {
    /// Notes of the records that the ledger knows that nobody can tell what became of them: where no answer is recorded, a
    /// later row must not pass for unchanged by being as the one before.
    pub(super) fn note(&self, drafts: &[Draft]) -> Result<(), LedgerError> {
        let doubts = drafts.iter().filter_map(|draft| {
            let standing = draft.standing.as_deref()?;
            let fills = |it| draft.columns.contains(it) && draft.record.gives(it);
            Some(doubted(draft.row, standing, Returns::AsItIs, fills))
        });
        self.ledger.record(self.run, &doubts.collect::<Vec<_>>())
    }

    /// Takes back what was noted of drafts that went nowhere: their records are as they were.
    pub(super) fn take_back(&self, drafts: &[Draft]) -> Result<(), LedgerError> {
        let known = |draft: &Draft| Some(known(draft.row, draft.standing.as_deref()?));
        let before = drafts.iter().filter_map(known);
        self.ledger.record(self.run, &before.collect::<Vec<_>>())
    }

    /// Notes drafts whose references are settled, and hands them on: a row whose reference leads nowhere is never sent,
    /// and nothing of it may count as filled. Blocks; runs on a thread of its own.
    ///
    /// Every draft that is not handed on is noted as not reached.
    pub(super) fn between(
        &self,
        mut settled: mpsc::Receiver<Vec<Draft>>,
        drafts: &Entrance,
        notes: &mpsc::Sender<Note>,
    ) -> Result<(), LedgerError> {
        let mut done = Ok(());
        let mut left = 0;
        while let Some(mut waiting) = settled.blocking_recv() {
            while waiting.len() < NOTED
                && let Ok(more) = settled.try_recv()
            {
                waiting.extend(more);
            }
            if done.is_ok() && !drafts.is_closed() {
                done = self.note(&waiting);
            }
            let unsent = match &done {
                Ok(()) => drafts.hand_on(waiting).left,
                Err(_) => waiting,
            };
            if !unsent.is_empty() {
                // Whoever settles references hears of it.
                settled.close();
                left += unsent.len() as u64;
                done = done.and_then(|()| self.take_back(&unsent));
            }
        }
        if left > 0 {
            // Without a recorder there is nobody to count them.
            notes.blocking_send(Note::NotReached(left)).ok();
        }
        done
    }
}
