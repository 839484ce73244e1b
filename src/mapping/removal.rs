//! What becomes of records that are not in the extract any more, compiled against their table.

use std::sync::Arc;

use super::convert::{BooleanSteps, Cell, shown, trimmed};
use super::digest::ColumnDigester;
use super::plan::{cell_of, faults_of, position_of};
use super::reject::faulty;
use super::{Ours, Plan};
use crate::model::{
    ColumnKind, ColumnState, DigestSecret, Record, Reject, RejectCode, Rows, SourceDigest, Target,
    Value,
};

/// The state of new records, of nearly every table.
pub(super) const ACTIVE: i32 = 0;

/// What becomes of records that are not in the extract any more.
#[derive(Debug, Clone, PartialEq)]
pub enum Removal {
    /// Nothing.
    Keep,
    /// They are deleted.
    Delete(Ours),
    /// They stay, with other values.
    Write(Treatment),
}

/// Values that are written into records that left the extract.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    /// What such a record is counted as.
    pub manner: Manner,
    /// The table, by its primary id, and the columns.
    pub target: Arc<Target>,
    /// One per column of that target; a null in place of the primary id.
    pub values: Vec<Value>,
    /// Of those columns the ones that the mapping writes too: their places here and in the plan's target.
    pub shared: Vec<(usize, usize)>,
    /// Tells this treatment from others.
    pub digest: SourceDigest,
}

/// Which kind of treatment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The record is set inactive.
    Deactivate,
    /// The record gets fixed values.
    Set,
}

impl Treatment {
    /// Whether the record is inactive afterwards.
    pub fn deactivates(&self) -> bool {
        let columns = self.target.columns.iter().zip(&self.values);
        let mut states = columns.filter(|it| matches!(it.0.kind, ColumnKind::State { .. }));
        states.any(|(_, value)| matches!(value, Value::Choice(state) if *state != ACTIVE))
    }

    /// The places in the plan's target of the columns that get a value.
    pub fn fills(&self) -> impl Iterator<Item = usize> {
        let is_given = |place: usize| self.values.get(place).is_some_and(|it| !it.is_null());
        let shared = self.shared.iter();
        shared.filter_map(move |(place, own)| is_given(*place).then_some(*own))
    }
}

impl Removal {
    /// By what a key says how it was treated; `None` where nothing is done.
    pub fn digest(&self) -> Option<SourceDigest> {
        match self {
            Self::Keep => None,
            // A deleted record is forgotten, so there is nothing to tell apart.
            Self::Delete(_) => Some(SourceDigest(u64::MAX)),
            Self::Write(treatment) => Some(treatment.digest),
        }
    }
}

impl Plan {
    /// Whether rows can be marked for deletion.
    pub fn has_marks(&self) -> bool {
        self.mark.is_some()
    }

    /// Whether a row is marked for deletion. A null is no mark.
    ///
    /// # Errors
    /// A reject if the cell is neither a yes nor a no word, or cannot be read.
    #[expect(
        clippy::result_large_err,
        reason = "a reject is moved once, into its outcome"
    )]
    pub fn is_marked(&self, rows: &Rows, index: usize) -> Result<bool, Reject> {
        let Some(slot) = self.mark else {
            return Ok(false);
        };
        let mut faults = faults_of(rows, index).iter();
        if let Some(fault) = faults.find(|it| it.column.is_none_or(|column| column == slot)) {
            return Err(faulty(position_of(rows, index), fault, None));
        }
        let cell = trimmed(cell_of(rows, slot, index).unwrap_or(Cell::Null));
        let steps = BooleanSteps::default();
        match steps.convert(cell, &mut String::new()) {
            Ok(Value::Boolean(yes)) => Ok(yes),
            Ok(_) => Ok(false),
            Err(_) => {
                let mut buffer = String::new();
                let text = cell.text(&mut buffer).unwrap_or_default();
                Err(Reject {
                    position: position_of(rows, index),
                    column: None,
                    code: RejectCode("mark_invalid"),
                    reason: format!("`{}` does not say whether to delete", shown(text.trim())),
                    advice:
                        "Write yes or no, true or false, 1 or 0 into the column of `delete_when`."
                            .into(),
                    service: None,
                })
            }
        }
    }

    /// Which records marks delete: those that count as this mapping's.
    pub fn marks_delete(&self) -> Ours {
        match self.removal {
            Removal::Delete(ours) => ours,
            Removal::Keep | Removal::Write(_) => Ours::Created,
        }
    }

    /// Makes a record that returns an active one, where its row leaves the state open: a mapping that has the state itself
    /// says nothing by an empty cell.
    pub fn activate(&self, record: &mut Record) {
        let columns = self.target.columns.iter().zip(&mut record.values);
        let mut open: Vec<_> = columns.filter(|(column, _)| column.is_state()).collect();
        let is_open = !open.is_empty() && open.iter().all(|(_, value)| value.is_null());
        for (column, value) in open.iter_mut().filter(|_| is_open) {
            let number = match &column.kind {
                ColumnKind::Status { options } => {
                    let active = options.iter().find(|it| it.state == Some(ACTIVE));
                    active.map(|it| it.value)
                }
                _ => Some(ACTIVE),
            };
            **value = number.map_or(Value::Null, Value::Choice);
        }
    }

    /// How columns of the plan stand once a treatment was written: their places and states.
    pub fn treated(
        &self,
        treatment: &Treatment,
        secret: &DigestSecret,
    ) -> Vec<(usize, ColumnState)> {
        let mut digester = ColumnDigester::new(secret);
        let shared = treatment.shared.iter().filter_map(|(place, own)| {
            let value = treatment.values.get(*place)?;
            let digest = digester.of(value);
            let state = if value.is_null() {
                ColumnState::null_sent(digest)
            } else {
                ColumnState::value_sent(digest)
            };
            Some((*own, state))
        });
        shared.collect()
    }
}
