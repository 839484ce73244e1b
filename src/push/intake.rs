//! What the recorder takes: outcomes by the request, notes one by one.

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::record::Note;
use crate::model::Outcome;

/// Answered requests that wait to be recorded: more than are answered while the disk does one transaction, and little
/// beside those that are in flight.
pub(super) const ANSWERED: usize = 32;

/// Notes that are recorded together at most, in one transaction; the outcomes of a request are one note.
const TOGETHER: usize = 1_000;

/// The two queues before the recorder.
pub(super) struct Intake {
    pub(super) outcomes: mpsc::Receiver<Vec<Outcome>>,
    pub(super) notes: mpsc::Receiver<Note>,
}

impl Intake {
    /// Waits for something to record, then takes all that is there: what comes while one transaction is written goes
    /// into the next one. False once every sender is gone. Blocks; for a thread of the runtime that may.
    pub(super) fn wait(&mut self, taken: &mut Vec<Note>) -> bool {
        Handle::current().block_on(self.take(taken))
    }

    /// # Cancellation
    /// Not cancel-safe: outcomes that were taken are forgotten.
    async fn take(&mut self, taken: &mut Vec<Note>) -> bool {
        let mut settled = Vec::new();
        while settled.is_empty() && taken.is_empty() {
            let outcomes_come = !(self.outcomes.is_closed() && self.outcomes.is_empty());
            let notes_come = !(self.notes.is_closed() && self.notes.is_empty());
            tokio::select! {
                _ = self.outcomes.recv_many(&mut settled, ANSWERED), if outcomes_come => {}
                _ = self.notes.recv_many(taken, TOGETHER), if notes_come => {}
                else => return false,
            }
        }
        taken.extend(settled.into_iter().map(Note::Outcomes));
        while taken.len() < TOGETHER
            && let Ok(note) = self.notes.try_recv()
        {
            taken.push(note);
        }
        while taken.len() < TOGETHER
            && let Ok(outcomes) = self.outcomes.try_recv()
        {
            taken.push(Note::Outcomes(outcomes));
        }
        true
    }
}
