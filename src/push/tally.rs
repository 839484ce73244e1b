//! Outcomes of which nothing is to be done but to count them, once they are recorded.

use super::owed::References;
use crate::model::{Outcome, Verdict};
use crate::report::RowCounts;

/// How many there are of each kind. Their operations need not be kept until the disk is done: by then the processor
/// would have to fetch them anew.
#[derive(Debug, Default)]
pub(super) struct Tally(RowCounts);

impl Tally {
    /// Takes an outcome of a first pass; false if there is more to it, and it was not taken.
    pub(super) fn takes(
        &mut self,
        Outcome { operation, verdict }: &Outcome,
        references: &References,
    ) -> bool {
        let is_plain = match verdict {
            Verdict::Accepted(_) | Verdict::Unchanged => !references.owe(&operation.record),
            Verdict::Skipped(_)
            | Verdict::Rejected(_)
            | Verdict::NotAttempted(_)
            | Verdict::Partly { .. } => false,
        };
        if is_plain {
            self.0.count(verdict);
        }
        is_plain
    }

    /// What was accepted is not recorded: whoever runs next does it again.
    pub(super) fn unrecorded(&mut self) {
        let Self(counts) = self;
        let accepted = [
            &mut counts.created,
            &mut counts.updated,
            &mut counts.upserted,
            &mut counts.deleted,
        ];
        counts.not_attempted += accepted.into_iter().map(std::mem::take).sum::<u64>();
    }

    pub(super) fn add_to(self, counts: &mut RowCounts) {
        let Self(tally) = self;
        counts.unchanged += tally.unchanged;
        counts.created += tally.created;
        counts.updated += tally.updated;
        counts.upserted += tally.upserted;
        counts.deleted += tally.deleted;
        counts.not_attempted += tally.not_attempted;
    }
}
