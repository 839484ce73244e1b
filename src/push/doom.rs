//! How vanished and marked records are removed: what is sent for each of them.

use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::PushError;
use super::open::Opened;
use super::record::{Condemned, Pass};
use super::standing::{Returns, doubted, known};
use crate::dispatch::{self, Rules, handfuls};
use crate::ledger::{Ledger, RunNumber, Snapshot, Vanished};
use crate::mapping::{Plan, Removal};
use crate::model::{
    Action, ColumnKind, ColumnSet, KeyDigest, Nulls, Operation, Position, Record, RecordId, RowTag,
    SourceDigest, Target, TargetColumn, Value,
};

/// Records that are noted together, in one transaction, before they are sent.
const TOGETHER: usize = 1_000;

/// What one phase of removing needs.
pub(super) struct Removing {
    pub(super) pass: Pass,
    pub(super) doom: Doom,
    pub(super) doomed: Vec<Condemned>,
}

/// How each of the records is removed.
pub(super) struct Doom {
    pub(super) target: Arc<Target>,
    values: Vec<Value>,
    columns: ColumnSet,
    /// Of the mapping's columns those that get a value.
    fills: ColumnSet,
    deletes: bool,
    returns: Returns,
    digest: SourceDigest,
}

impl Doom {
    pub(super) fn of(plan: &Plan) -> Self {
        let digest = plan.removal().digest().unwrap_or(SourceDigest(0));
        if let Removal::Write(treatment) = plan.removal() {
            return Self {
                target: Arc::clone(&treatment.target),
                columns: (1..treatment.values.len()).collect(),
                fills: treatment.fills().collect(),
                values: treatment.values.clone(),
                deletes: false,
                returns: if treatment.deactivates() {
                    Returns::Activated
                } else {
                    Returns::AsItIs
                },
                digest,
            };
        }
        Self {
            digest,
            ..Self::delete(plan)
        }
    }

    /// The record is deleted.
    pub(super) fn delete(plan: &Plan) -> Self {
        let own = plan.target();
        let id = TargetColumn::new(own.primary_id.clone(), ColumnKind::Guid, Nulls::Skip);
        Self {
            target: Arc::new(Target {
                columns: vec![id],
                key: vec![0],
                key_is_primary_id: true,
                ..Target::clone(own)
            }),
            values: vec![Value::Null],
            columns: ColumnSet::new(),
            fills: ColumnSet::new(),
            deletes: true,
            returns: Returns::AsItIs,
            digest: SourceDigest(0),
        }
    }

    /// A vanished key as something to be removed; `None` without a record.
    pub(super) fn condemned(&self, vanished: &Vanished) -> Option<Condemned> {
        Some(Condemned {
            row: RowTag {
                position: Position::NOWHERE,
                key: vanished.key,
                source: self.digest,
            },
            slot: vanished.slot,
            id: vanished.id?,
        })
    }

    /// Hands operations on. Before they go, the ledger notes that nobody knows what became of their records: a run that
    /// dies before it records the answers must not leave the ledger saying that all is as it was. Tells how many were
    /// not handed on. Blocks.
    pub(super) fn feed(
        &self,
        ledger: &Ledger,
        number: RunNumber,
        doomed: &[Condemned],
        operations: &mpsc::Sender<Vec<Operation>>,
    ) -> (Result<(), PushError>, u64) {
        let mut left = doomed.len() as u64;
        for together in doomed.chunks(TOGETHER) {
            let made = together
                .iter()
                .map(|it| self.operation(ledger.snapshot(), it));
            let made: Result<Vec<Operation>, PushError> = made.collect();
            let noted = made.and_then(|made| {
                let doubts = made.iter().filter_map(|it| {
                    let standing = it.standing.as_deref()?;
                    let fills = |it| self.fills.contains(it);
                    Some(doubted(it.row, standing, self.returns, fills))
                });
                ledger.record(number, &doubts.collect::<Vec<_>>())?;
                Ok(made)
            });
            let made = match noted {
                Ok(made) => made,
                Err(error) => return (Err(error), left),
            };
            let mut handfuls = handfuls(made);
            while let Some(together) = handfuls.next() {
                let many = together.len() as u64;
                if let Err(unsent) = operations.blocking_send(together) {
                    let unsent = unsent.0.into_iter().chain(handfuls.flatten());
                    let before =
                        unsent.filter_map(|it| Some(known(it.row, it.standing.as_deref()?)));
                    let taken_back = ledger.record(number, &before.collect::<Vec<_>>());
                    return (taken_back.map_err(PushError::from), left);
                }
                left -= many;
            }
        }
        (Ok(()), left)
    }

    fn operation(
        &self,
        snapshot: &Snapshot,
        condemned: &Condemned,
    ) -> Result<Operation, PushError> {
        let Condemned { row, slot, id } = *condemned;
        let mut values = self.values.clone();
        if let Some(primary) = values.first_mut() {
            *primary = Value::Guid(id.0);
        }
        Ok(Operation {
            row,
            record: Record { values },
            columns: self.columns.clone(),
            action: if self.deletes {
                Action::Delete(id)
            } else {
                Action::Update(id)
            },
            standing: Some(Arc::new(snapshot.standing(slot)?)),
        })
    }
}

/// A record that is gone already is not made again.
pub(super) fn rules(opened: &Opened, doom: &Doom) -> Rules {
    let target = Arc::clone(&doom.target);
    Rules {
        target: Arc::clone(&doom.target),
        mode: dispatch::Mode::UpdateOrSkip,
        key_digest: Arc::new(|values| match values.first() {
            Some(Value::Guid(id)) => KeyDigest(id.into_bytes()),
            _ => KeyDigest([0; 16]),
        }),
        // Nothing is created here, and the key is the GUID.
        derived_id: Arc::new(move |record| {
            let id = record.primary_id(&target);
            id.unwrap_or(RecordId(Uuid::nil()))
        }),
        our_users: opened.our_users(),
        since: None,
        resumes: false,
    }
}
