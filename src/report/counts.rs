//! The conservation law: every row has exactly one outcome.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Effect, Verdict};

/// What became of the rows and the vanished keys of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows of the extract; 0 if the first reading did not come to its end, since then nothing was decided.
    pub read: u64,
    /// Keys that the ledger holds and the extract does not.
    pub vanished: u64,
    /// Nothing to do.
    pub unchanged: u64,
    /// Records made.
    pub created: u64,
    /// Records changed.
    pub updated: u64,
    /// Created or updated; the service did not say which.
    pub upserted: u64,
    /// Records deleted.
    pub deleted: u64,
    /// Records set inactive.
    pub deactivated: u64,
    /// Vanished keys and deletion marks whose records stay.
    pub kept: u64,
    /// Left alone, as the mapping or the command says.
    pub skipped: u64,
    /// To be mended at the source.
    pub rejected: u64,
    /// The run ended before; due again on the next run.
    pub not_attempted: u64,
}

/// Rows without an outcome, or with two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imbalance {
    /// Rows read and keys vanished.
    pub expected: u64,
    /// Outcomes.
    pub counted: u64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, counted } = self;
        write!(f, "{expected} rows and vanished keys, {counted} outcomes")
    }
}

impl std::error::Error for Imbalance {}

impl RowCounts {
    /// Counts one verdict.
    pub fn count(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Accepted(accepted) => match accepted.effect {
                Effect::Created => &mut self.created,
                Effect::Updated => &mut self.updated,
                Effect::Upserted => &mut self.upserted,
                Effect::Deleted => &mut self.deleted,
            },
            Verdict::Unchanged => &mut self.unchanged,
            Verdict::Skipped(_) => &mut self.skipped,
            Verdict::Rejected(_) => &mut self.rejected,
            Verdict::NotAttempted(_) => &mut self.not_attempted,
            Verdict::Partly { rest, .. } => return self.count(rest),
        };
        *counter += 1;
    }

    /// How many rows and vanished keys have their outcome.
    pub fn outcomes(&self) -> u64 {
        let outcomes = [
            self.unchanged,
            self.created,
            self.updated,
            self.upserted,
            self.deleted,
            self.deactivated,
            self.kept,
            self.skipped,
            self.rejected,
            self.not_attempted,
        ];
        outcomes.iter().sum()
    }

    /// Checks the conservation law: *rows read + vanished* equals the sum of the outcomes.
    ///
    /// # Errors
    /// If it does not: a defect of segue, never of the data.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let (expected, counted) = (self.read + self.vanished, self.outcomes());
        if expected == counted {
            Ok(())
        } else {
            Err(Imbalance { expected, counted })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Accepted, SkipReason};

    #[test]
    fn a_run_that_loses_a_row_is_out_of_balance() {
        let mut counts = RowCounts {
            read: 4,
            vanished: 1,
            kept: 1,
            unchanged: 1,
            ..RowCounts::default()
        };
        counts.count(&Verdict::Skipped(SkipReason::Exists));
        counts.count(&Verdict::NotAttempted(Box::default()));
        let imbalance = Imbalance {
            expected: 5,
            counted: 4,
        };
        assert_eq!(counts.balance(), Err(imbalance));
        counts.count(&Verdict::Accepted(Accepted {
            effect: Effect::Created,
            id: None,
            made: None,
        }));
        assert_eq!(counts.balance(), Ok(()));
        assert_eq!((counts.created, counts.skipped), (1, 1));
    }
}
