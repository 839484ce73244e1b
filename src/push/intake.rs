//! What the recorder takes: outcomes by the request, notes one by one.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::record::Note;
use crate::model::Outcome;

/// Answered requests that wait to be recorded: more than are answered while the disk does one transaction, and little
/// beside those that are in flight.
pub(super) const ANSWERED: usize = 32;

/// With so many rows the recorder waits for no more: a few MiB of operations.
const TOGETHER: usize = 8_192;

/// So long the recorder waits for what it can record together with the first answer. Each transaction costs a sync of
/// the disk, and a fold has to merge what each of them wrote.
const WITHIN: Duration = Duration::from_millis(25);

/// The two queues before the recorder.
pub(super) struct Intake {
    outcomes: mpsc::Receiver<Vec<Outcome>>,
    notes: mpsc::Receiver<Note>,
    /// Outcomes on their way from the one queue to the recorder.
    settled: Vec<Vec<Outcome>>,
}

impl Intake {
    pub(super) fn new(outcomes: mpsc::Receiver<Vec<Outcome>>, notes: mpsc::Receiver<Note>) -> Self {
        Self {
            outcomes,
            notes,
            settled: Vec::new(),
        }
    }

    /// Waits for something to record, and a moment longer for what may come with it. False once every sender is
    /// gone. Blocks; for a thread of the runtime that may.
    pub(super) fn wait(&mut self, taken: &mut Vec<Note>) -> bool {
        Handle::current().block_on(self.gather(taken))
    }

    /// # Cancellation
    /// Cancel-safe: what was received is in `taken`.
    async fn gather(&mut self, taken: &mut Vec<Note>) -> bool {
        let Some(mut rows) = self.take(taken).await else {
            return false;
        };
        let end = Instant::now() + WITHIN;
        while rows < TOGETHER
            && let Ok(Some(more)) = timeout_at(end, self.take(taken)).await
        {
            rows += more;
        }
        true
    }

    /// Takes what is there, or the next that comes, and tells about how many rows it is; `None` once every sender is
    /// gone.
    ///
    /// # Cancellation
    /// Cancel-safe: nothing is received before this is ready.
    async fn take(&mut self, taken: &mut Vec<Note>) -> Option<usize> {
        let outcomes_come = !(self.outcomes.is_closed() && self.outcomes.is_empty());
        let notes_come = !(self.notes.is_closed() && self.notes.is_empty());
        let mut rows = tokio::select! {
            _ = self.outcomes.recv_many(&mut self.settled, ANSWERED), if outcomes_come => 0,
            notes = self.notes.recv_many(taken, TOGETHER), if notes_come => notes,
            else => return None,
        };
        for outcomes in self.settled.drain(..) {
            rows += outcomes.len();
            taken.push(Note::Outcomes(outcomes));
        }
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct House {
        outcomes: mpsc::Sender<Vec<Outcome>>,
        notes: mpsc::Sender<Note>,
        intake: Intake,
    }

    fn house() -> House {
        let (outcomes, answered) = mpsc::channel(ANSWERED);
        let (notes, other) = mpsc::channel(2 * TOGETHER);
        House {
            outcomes,
            notes,
            intake: Intake::new(answered, other),
        }
    }

    /// How many notes are taken at a time until every sender is gone.
    async fn taken(mut intake: Intake) -> Vec<usize> {
        let (mut counts, mut notes) = (Vec::new(), Vec::new());
        while intake.gather(&mut notes).await {
            counts.push(notes.drain(..).count());
        }
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_within_a_moment_is_taken_together() {
        let house = house();
        let (outcomes, notes) = (house.outcomes, house.notes);
        let coming = async move {
            for pause in [0, 10, 10, 10, 100] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                outcomes.send(Vec::new()).await.unwrap();
                notes.send(Note::Kept).await.unwrap();
            }
        };
        let (counts, ()) = tokio::join!(taken(house.intake), coming);
        assert_eq!(counts, [6, 2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_once_every_sender_is_gone_or_there_is_enough() {
        let house = house();
        for _ in 0..TOGETHER + 3 {
            house.notes.try_send(Note::Kept).unwrap();
        }
        drop((house.outcomes, house.notes));
        let begun = Instant::now();
        assert_eq!(taken(house.intake).await, [TOGETHER, 3]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
