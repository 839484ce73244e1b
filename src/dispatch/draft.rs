//! Records before it is known how they are written, and where they go once it is known.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::account::unsaid;
use crate::model::{
    Action, ColumnSet, Operation, Outcome, Record, RecordId, Reject, RowTag, ServiceError,
    SkipReason, Standing, Verdict,
};

/// So many drafts or operations go together from one stage to the next: each by itself would wait for room and wake the
/// next stage for itself. A queue counts them as one.
pub const TOGETHER: usize = 64;

/// A record that is to be written, before it is known how.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The row it comes from.
    pub row: RowTag,
    /// The whole record.
    pub record: Record,
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
    Reject(Box<Reject>),
    /// The run ended before it could be told.
    NotAttempted(Box<ServiceError>),
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
        operations: mpsc::Sender<Vec<Operation>>,
        outcomes: mpsc::Sender<Vec<Outcome>>,
    },
    Foresee {
        foreseen: mpsc::Sender<Foreseen>,
    },
}

/// Drafts of which it is known what becomes of them, as they go out.
pub(super) struct Leaving {
    ready: Vec<Operation>,
    settled: Vec<Outcome>,
    foreseen: Vec<Foreseen>,
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

    /// Room for so many drafts that leave together.
    pub(super) fn leaving(&self, most: usize) -> Leaving {
        let (ready, foreseen) = match self {
            Self::Send { .. } => (most, 0),
            Self::Foresee { .. } => (0, most),
        };
        Leaving {
            ready: Vec::with_capacity(ready),
            settled: Vec::new(),
            foreseen: Vec::with_capacity(foreseen),
        }
    }

    /// Adds a draft to those that leave.
    #[inline]
    pub(super) fn add(&self, draft: Draft, resolved: Resolved, leaving: &mut Leaving) {
        match self {
            Self::Send { .. } => match ended_as(draft, resolved) {
                Ok(operation) => leaving.ready.push(operation),
                Err(outcome) => leaving.settled.push(*outcome),
            },
            Self::Foresee { .. } => leaving.foreseen.push(Foreseen { draft, resolved }),
        }
    }

    /// Passes drafts on, and tells how many outcomes were lost and whether anybody takes more. Each is tried, even if
    /// nobody took the one before: each owes an outcome.
    pub(super) async fn pass(&self, leaving: Leaving) -> (u64, Gone) {
        let mut lost = 0;
        match self {
            Self::Foresee { foreseen } => {
                for one in leaving.foreseen {
                    lost += u64::from(foreseen.send(one).await.is_err());
                }
                (lost, Gone::if_any(lost))
            }
            Self::Send {
                operations,
                outcomes,
            } => {
                lost += tell(outcomes, leaving.settled).await;
                let mut gone = Gone::if_any(lost);
                for ready in handfuls(leaving.ready) {
                    let Err(refused) = operations.send(ready).await else {
                        continue;
                    };
                    let unsent = refused.0.into_iter().map(|operation| Outcome {
                        operation,
                        verdict: Verdict::untouched(ended()),
                    });
                    lost += tell(outcomes, unsent.collect()).await;
                    gone = Gone::Yes;
                }
                (lost, gone)
            }
        }
    }
}

/// All of them, as many at a time as go together.
pub fn handfuls<T>(all: impl IntoIterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    handfuls_of(TOGETHER, all)
}

/// All of them, so many at a time.
pub(super) fn handfuls_of<T>(
    together: usize,
    all: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = Vec<T>> {
    let mut all = all.into_iter();
    std::iter::from_fn(move || {
        let together: Vec<T> = all.by_ref().take(together).collect();
        (!together.is_empty()).then_some(together)
    })
}

impl Gone {
    fn if_any(lost: u64) -> Self {
        if lost > 0 { Self::Yes } else { Self::No }
    }
}

/// Hands outcomes over, and tells how many nobody took.
async fn tell(outcomes: &mpsc::Sender<Vec<Outcome>>, settled: Vec<Outcome>) -> u64 {
    if settled.is_empty() {
        return 0;
    }
    match outcomes.send(settled).await {
        Ok(()) => 0,
        Err(refused) => refused.0.len() as u64,
    }
}

/// The operation that writes the draft, or the outcome of one that is not written.
#[inline]
fn ended_as(draft: Draft, resolved: Resolved) -> Result<Operation, Box<Outcome>> {
    // It was not written, so no action is true of it; this one writes least.
    let mut unsent = Action::UpdateByKey;
    let verdict = match resolved {
        Resolved::Do(action) => return Ok(draft.into_operation(action)),
        Resolved::Unchanged(id) => {
            unsent = Action::Update(id);
            Verdict::Unchanged
        }
        Resolved::Skip(reason) => Verdict::Skipped(reason),
        Resolved::Reject(reject) => Verdict::Rejected(reject),
        Resolved::NotAttempted(error) => Verdict::untouched(*error),
    };
    let operation = draft.into_operation(unsent);
    Err(Box::new(Outcome { operation, verdict }))
}

impl From<Operation> for Draft {
    fn from(operation: Operation) -> Self {
        Self {
            row: operation.row,
            record: operation.record,
            columns: operation.columns,
            standing: operation.standing,
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
