//! What a mapping says about writing, and how its keys compare.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Action, ColumnSet, KeyDigest, LogicalName, Made, Nulls, Operation, Record, RecordId,
    SkipReason, Target, Value,
};

/// Which records a mapping may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Creates or updates.
    Upsert,
    /// Creates; a record that exists is skipped.
    Create,
    /// Updates; a row without a record is a reject.
    Update,
    /// Updates; a row without a record is skipped.
    UpdateOrSkip,
}

/// Digests the values of a key as the ledger does: folded as the environment compares.
pub type KeyDigester = Arc<dyn Fn(&[Value]) -> KeyDigest + Send + Sync>;

/// What a mapping says about writing, and who we are.
#[derive(Clone)]
pub struct Rules {
    /// Where the mapping writes.
    pub target: Arc<Target>,
    /// What it may do there.
    pub mode: Mode,
    /// The digest of a key that was read back, equal to that of the row with this key.
    pub key_digest: KeyDigester,
    /// The application users that we write as (`WhoAmI`).
    pub our_users: Vec<RecordId>,
    /// When the run began by the service's clock; what our users created since is ours.
    pub since: Option<Timestamp>,
}

impl Rules {
    /// How a record whose GUID is unknown is written by its key; `None` if it must be looked up first.
    pub(super) fn by_key(&self, record: &Record) -> Option<Action> {
        let stands = record.key_stands_in_url(&self.target);
        match self.mode {
            Mode::Upsert if stands => Some(Action::Upsert),
            Mode::Update | Mode::UpdateOrSkip if stands => Some(Action::UpdateByKey),
            Mode::Upsert | Mode::Create | Mode::Update | Mode::UpdateOrSkip => None,
        }
    }

    /// What becomes of a record that was looked up and does not exist; `Err` if it is not to be made.
    pub(super) fn where_absent(&self) -> Result<Action, Absent> {
        match self.mode {
            Mode::Upsert | Mode::Create => Ok(Action::Create),
            Mode::Update => Err(Absent::Reject),
            Mode::UpdateOrSkip => Err(Absent::Skip(SkipReason::NotFound)),
        }
    }

    /// What becomes of a record that was looked up and exists; `Err` if it is to be left alone.
    pub(super) fn where_present(&self, id: RecordId) -> Result<Action, SkipReason> {
        match self.mode {
            Mode::Create => Err(SkipReason::Exists),
            Mode::Upsert | Mode::Update | Mode::UpdateOrSkip => Ok(Action::Update(id)),
        }
    }

    /// The columns of a record that is written whole: what was to be sent anyway, every value, and nulls
    /// where a null always clears. Never the key columns.
    pub(super) fn whole(&self, operation: &Operation) -> ColumnSet {
        let target = &self.target;
        let travels = |index: usize, clears: bool| {
            let null = operation
                .record
                .values
                .get(index)
                .is_none_or(Value::is_null);
            operation.columns.contains(index) || !null || clears
        };
        target
            .columns
            .iter()
            .enumerate()
            .filter(|(index, _)| !target.key.contains(index))
            .filter(|(index, column)| travels(*index, column.nulls == Nulls::Clear))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether this run of ours made the record.
    pub(super) fn made_by_us(&self, made: Made) -> bool {
        self.our_users.contains(&made.by) && self.since.is_some_and(|since| made.on >= since)
    }

    /// Whether those are the columns of the mapping's own key.
    pub(super) fn is_own_key(&self, columns: &[(LogicalName, String)]) -> bool {
        let target = &self.target;
        let mut own = target.key.iter().filter_map(|at| target.columns.get(*at));
        target.key.len() == columns.len()
            && own.all(|column| columns.iter().any(|(name, _)| *name == column.name))
    }
}

/// What becomes of a row without a record where none is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// A reject, *not found*.
    Reject,
    /// Left alone.
    Skip(SkipReason),
}
