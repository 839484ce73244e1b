//! What a mapping says about writing, and how its keys compare.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Action, ChoiceOption, ColumnKind, ColumnSet, KeyDigest, LogicalName, Made, Nulls, Operation,
    Record, RecordId, SkipReason, Target, TargetColumn, Value, When,
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

/// Tells the GUID that a create of a record carries: the same on every attempt and every run.
pub type IdDeriver = Arc<dyn Fn(&Record) -> RecordId + Send + Sync>;

/// What a mapping says about writing, and who we are.
#[derive(Clone)]
pub struct Rules {
    /// Where the mapping writes.
    pub target: Arc<Target>,
    /// What it may do there.
    pub mode: Mode,
    /// The digest of a key that was read back, equal to that of the row with this key.
    pub key_digest: KeyDigester,
    /// The GUID of a record that is to be created.
    pub derived_id: IdDeriver,
    /// The application users that we write as (`WhoAmI`).
    pub our_users: Vec<RecordId>,
    /// When the run began by the service's clock; what our users created since is ours.
    pub since: Option<Timestamp>,
    /// Whether an earlier run may have sent what nobody recorded; then `since` is its start.
    pub resumes: bool,
}

impl Rules {
    /// The columns of which it depends on the action or on each other whether they are written. Of a record without any
    /// of them, every write carries whatever is to be written.
    pub(super) fn conditional(&self) -> ColumnSet {
        let columns = self.target.columns.iter().enumerate();
        let conditional = columns.filter(|(_, column)| {
            column.is_state() || column.is_stamp || column.when != When::Always
        });
        conditional.map(|(index, _)| index).collect()
    }

    /// How these columns of a record whose GUID is unknown are written by its key; `None` if it must be looked up first.
    /// Only the [`Rules::conditional`] ones matter.
    pub(super) fn by_key(
        &self,
        record: &Record,
        columns: impl Iterator<Item = usize>,
    ) -> Option<Action> {
        let stands = record.key_stands_in_url(&self.target);
        match self.mode {
            Mode::Upsert if stands && self.depends(record, columns) => None,
            Mode::Upsert if stands => Some(Action::Upsert),
            Mode::Update | Mode::UpdateOrSkip if stands => Some(Action::UpdateByKey),
            Mode::Upsert | Mode::Create | Mode::Update | Mode::UpdateOrSkip => None,
        }
    }

    /// Whether it depends on the record's existence which of the columns are written, or how.
    fn depends(&self, record: &Record, mut columns: impl Iterator<Item = usize>) -> bool {
        columns.any(|index| match self.target.columns.get(index) {
            Some(column) if column.is_state() => !is_null(record, index),
            Some(column) => column.when != When::Always,
            None => false,
        })
    }

    /// Those of the columns that the action carries. Stamps are among them only if anything else is.
    pub(super) fn carried(&self, columns: &ColumnSet, action: Action) -> ColumnSet {
        let left_out: &[When] = match action {
            Action::Create(_) => &[When::Update, When::Return],
            Action::Update(_) | Action::UpdateByKey => &[When::Create],
            Action::Upsert | Action::Delete(_) => return columns.clone(),
        };
        let of_target = &self.target.columns;
        let column = |index: &usize| of_target.get(*index);
        let carried: ColumnSet = columns
            .iter()
            .filter(|index| column(index).is_some_and(|column| !left_out.contains(&column.when)))
            .collect();
        let is_stamp = |index: usize| column(&index).is_some_and(|column| column.is_stamp);
        if !matches!(action, Action::Create(_)) && carried.iter().all(is_stamp) {
            return ColumnSet::new();
        }
        carried
    }

    /// The columns that set the record's state.
    pub(super) fn states(&self, operation: &Operation) -> ColumnSet {
        let columns = operation.columns.iter();
        let is_state = |index: &usize| {
            let column = self.target.columns.get(*index);
            column.is_some_and(TargetColumn::is_state) && !is_null(&operation.record, *index)
        };
        columns.filter(is_state).collect()
    }

    /// Whether a create can bring the record into its state: the state is the one in which a new record is by all
    /// likelihood, and the reason says so too. The service refuses a reason of another state.
    pub(super) fn is_born_so(&self, operation: &Operation) -> bool {
        let states = self.states(operation);
        let number = |index: usize| match operation.record.values.get(index) {
            Some(Value::Choice(number)) => Some(*number),
            _ => None,
        };
        let reason = |index: usize| match &self.target.columns.get(index)?.kind {
            ColumnKind::Status { options } => {
                let is_it = |option: &&ChoiceOption| Some(option.value) == number(index);
                options.iter().find(is_it)?.state
            }
            _ => None,
        };
        states
            .iter()
            .filter_map(reason)
            .any(|state| state == FIRST_STATE)
    }

    /// What becomes of a record that was looked up and does not exist; `Err` if it is not to be made.
    pub(super) fn where_absent(&self, record: &Record) -> Result<Action, Absent> {
        match self.mode {
            Mode::Upsert | Mode::Create => Ok(Action::Create((self.derived_id)(record))),
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
        let travels = |index: usize, column: &TargetColumn| {
            let says_something =
                || !is_null(&operation.record, index) || column.nulls == Nulls::Clear;
            let is_usual = column.when != When::Return;
            operation.columns.contains(index) || is_usual && says_something()
        };
        target
            .columns
            .iter()
            .enumerate()
            .filter(|(index, _)| !target.key.contains(index))
            .filter(|(index, column)| travels(*index, column))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether this run of ours made the record.
    pub(super) fn made_by_us(&self, made: Made) -> bool {
        self.our_users.contains(&made.by) && self.since.is_some_and(|since| made.on >= since)
    }

    /// Whether a violated key is the mapping's own, or one that the service does not name.
    pub(super) fn may_be_own_key(&self, columns: &[(LogicalName, String)]) -> bool {
        columns.is_empty() || self.is_own_key(columns)
    }

    /// Whether those are the columns of the mapping's own key.
    pub(super) fn is_own_key(&self, columns: &[(LogicalName, String)]) -> bool {
        let target = &self.target;
        let mut own = target.key.iter().filter_map(|at| target.columns.get(*at));
        target.key.len() == columns.len()
            && own.all(|column| columns.iter().any(|(name, _)| *name == column.name))
    }
}

/// The state of new records, of nearly every table.
const FIRST_STATE: i32 = 0;

fn is_null(record: &Record, index: usize) -> bool {
    record.values.get(index).is_none_or(Value::is_null)
}

/// What becomes of a row without a record where none is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// A reject, *not found*.
    Reject,
    /// Left alone.
    Skip(SkipReason),
}
