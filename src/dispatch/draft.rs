//! Records before it is known how they are written, and where they go once it is known.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::account::unsaid;
use crate::model::{
    Action, ColumnSet, Operation, Outcome, Record, RecordId, Reject, RowTag, ServiceError,
    SkipReason, Standing, Verdict,
};

/// A record that is to be written, before it is known how.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The row it comes from.
    pub row: RowTag,
    /// The whole record.
    pub record: Arc<Record>,
    /// The columns that differ from what Dataverse holds.
    pub columns: ColumnSet,
    /// What the ledger holds of the key, if anything.
    pub standing: Option<Arc<Standing>>,
}

/// What would become of a draft.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// It is written so.
    Do(Action),
    /// Of what was to be sent, an update carries nothing to this record.
    Unchanged(RecordId),
    /// It is left alone.
    Skip(SkipReason),
    /// The operator must mend it.
    Reject(Reject),
    /// The run ended before it could be told.
    NotAttempted(ServiceError),
}

/// A draft and what would become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen {
    /// The draft.
    pub draft: Draft,
    /// `Do(Create)` would create, `Do(Update)` would update.
    pub resolved: Resolved,
}

/// Where drafts go once it is known what becomes of them.
pub(super) enum Exit {
    Send {
        operations: mpsc::Sender<Operation>,
        outcomes: mpsc::Sender<Vec<Outcome>>,
    },
    Foresee {
        foreseen: mpsc::Sender<Foreseen>,
    },
}

/// Whether the receiver is still there.
#[derive(PartialEq, Eq)]
pub(super) enum Gone {
    No,
    Yes,
}

pub(super) fn ended() -> ServiceError {
    unsaid("the run ended before this was done")
}

impl Exit {
    /// Until nobody takes anything any more.
    pub(super) async fn closed(&self) {
        match self {
            Self::Send { operations, .. } => operations.closed().await,
            Self::Foresee { foreseen } => foreseen.closed().await,
        }
    }

    /// Passes one draft on, and tells how many outcomes were lost and whether anybody takes more.
    pub(super) async fn pass(&self, draft: Draft, resolved: Resolved) -> (u64, Gone) {
        let (operations, outcomes) = match self {
            Self::Foresee { foreseen } => {
                let sent = foreseen.send(Foreseen { draft, resolved }).await;
                return if sent.is_ok() {
                    (0, Gone::No)
                } else {
                    (1, Gone::Yes)
                };
            }
            Self::Send {
                operations,
                outcomes,
            } => (operations, outcomes),
        };
        // It was not written, so no action is true of it; this one writes least.
        let mut unsent = Action::UpdateByKey;
        let verdict = match resolved {
            Resolved::Do(action) => {
                let Err(refused) = operations.send(draft.into_operation(action)).await else {
                    return (0, Gone::No);
                };
                let verdict = Verdict::NotAttempted(ended());
                let outcome = Outcome {
                    operation: refused.0,
                    verdict,
                };
                let lost = outcomes.send(vec![outcome]).await.is_err();
                return (u64::from(lost), Gone::Yes);
            }
            Resolved::Unchanged(id) => {
                unsent = Action::Update(id);
                Verdict::Unchanged
            }
            Resolved::Skip(reason) => Verdict::Skipped(reason),
            Resolved::Reject(reject) => Verdict::Rejected(reject),
            Resolved::NotAttempted(error) => Verdict::NotAttempted(error),
        };
        let operation = draft.into_operation(unsent);
        let outcome = Outcome { operation, verdict };
        let sent = outcomes.send(vec![outcome]).await;
        if sent.is_ok() {
            (0, Gone::No)
        } else {
            (1, Gone::Yes)
        }
    }
}

impl Draft {
    pub(super) fn into_operation(self, action: Action) -> Operation {
        Operation {
            row: self.row,
            record: self.record,
            columns: self.columns,
            action,
            standing: self.standing,
        }
    }
}
