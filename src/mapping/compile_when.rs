//! Checks of `when:` and `stamp:`, and what follows from the state of a record.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::compile::Compiler;
use super::compile_codes as codes;
use super::compile_column::is_state;
use super::compile_words::kind_in_words;
use super::convert::{Conversion, option_in_words};
use super::plan::PlannedColumn;
use super::{ColumnMapping, Mode, Stamp, Written};
use crate::model::{ChoiceOption, Column, ColumnKind, Nulls, TargetColumn, Value, When};

impl Compiler<'_> {
    /// Which writes carry the column; `None` if it cannot be as written, which has been told.
    pub(super) fn when(&mut self, written: &ColumnMapping, column: &Column) -> Option<When> {
        if self.is_key(column.name.as_str()) {
            return Some(When::Always);
        }
        let mode = self.mapping.mode;
        let Some(wanted) = &written.steps.when else {
            return Some(match mode {
                // The other writes would be refused, or take no notice of it.
                Mode::Upsert if is_state(column) => When::Always,
                Mode::Upsert if !column.updatable => When::Create,
                Mode::Upsert if !column.creatable => When::Update,
                Mode::Upsert | Mode::Create | Mode::Update | Mode::UpdateOrSkip => When::Always,
            });
        };
        let refusal = match (wanted.value, mode) {
            (When::Create, Mode::Update | Mode::UpdateOrSkip) => "the mapping creates nothing",
            (When::Update, Mode::Create) => "the mapping only creates",
            (When::Create, _) if !column.creatable && !is_state(column) => {
                "not writable when a record is created"
            }
            (When::Update, _) if !column.updatable => "not writable once a record exists",
            (When::Always, Mode::Upsert)
                if !(is_state(column) || column.creatable && column.updatable) =>
            {
                "not writable by every write"
            }
            // What every write of the mapping does needs no telling apart.
            (When::Create, Mode::Create) | (When::Update, Mode::Update | Mode::UpdateOrSkip) => {
                return Some(When::Always);
            }
            (when, _) => return Some(when),
        };
        self.tell(
            codes::WHEN_NEVER,
            &wanted.at,
            format!("`when` does not fit column `{}`", column.name),
            refusal,
            "Leave `when` out, or leave the column out.".to_owned(),
        );
        None
    }

    /// The value that every record gets that is written for another reason.
    pub(super) fn stamp(
        &mut self,
        written: &ColumnMapping,
        column: &Column,
        stamp: &Written<Stamp>,
    ) -> Option<PlannedColumn> {
        self.steps_without_cells(written, "stamp", "a stamp is the same for every row");
        let Stamp::Run = stamp.value;
        let Some(value) = stamped(&column.kind, self.started) else {
            self.tell(
                codes::STAMP_TYPE,
                &stamp.at,
                format!("column `{}` cannot hold a stamp", column.name),
                kind_in_words(&column.kind),
                "Take a column of date, or of date and time.".to_owned(),
            );
            return None;
        };
        Some(PlannedColumn::Constant(value))
    }

    /// Tells of a state and a reason, each the same for every row, that the table does not have together.
    pub(super) fn fit_states(&mut self, columns: &[(TargetColumn, PlannedColumn)]) {
        let fixed = columns
            .iter()
            .filter_map(|(target, planned)| match planned {
                PlannedColumn::Constant(value) if target.is_state() => Some((target, value)),
                _ => None,
            });
        let mapping = self.mapping;
        let at = |target: &TargetColumn| {
            let lines = mapping.columns.iter();
            let mut lines = lines.filter(|line| line.target.value == target.name.as_str());
            lines.next().map(|line| &line.target.at)
        };
        if let [one, other] = fixed.collect::<Vec<_>>().as_slice()
            && one.0.when == other.0.when
            && let Some(at) = at(other.0)
        {
            self.fit_state(&[*one, *other], at);
        }
    }

    /// Tells of a state and a reason that the table does not have together.
    pub(super) fn fit_state(&mut self, valued: &[(&TargetColumn, &Value)], at: &Range<usize>) {
        let mut states = valued
            .iter()
            .filter_map(|(target, value)| match (&target.kind, value) {
                (ColumnKind::State { options }, Value::Choice(number)) => Some((options, *number)),
                _ => None,
            });
        let mut reasons = valued
            .iter()
            .filter_map(|(target, value)| match (&target.kind, value) {
                (ColumnKind::Status { options }, Value::Choice(number)) => {
                    let reason = options.iter().find(|option| option.value == *number)?;
                    Some((options, reason))
                }
                _ => None,
            });
        let (Some((states, state)), Some((reasons, reason))) = (states.next(), reasons.next())
        else {
            return;
        };
        let Some(owner) = reason.state.filter(|owner| *owner != state) else {
            return;
        };
        let in_words = |options: &[ChoiceOption], number: i32| {
            let option = options.iter().find(|option| option.value == number);
            option.map_or_else(|| number.to_string(), option_in_words)
        };
        let of_state = reasons.iter().filter(|it| it.state == Some(state));
        let offered: Vec<String> = of_state
            .map(|it| format!("`{}`", option_in_words(it)))
            .collect();
        let title = format!(
            "`{}` is no reason of the state `{}`",
            option_in_words(reason),
            in_words(states, state)
        );
        let label = format!("a reason of `{}`", in_words(states, owner));
        let help = format!("The reasons of that state are {}.", offered.join(", "));
        self.tell(codes::STATE_MISFIT, at, title, label, help);
    }

    /// State and reason are written together: where a mapping has one of the two, the other follows from it as far as
    /// the table's schema says. The service does not infer a state from its reason, and refuses one of another state.
    pub(super) fn complete_state(&self, columns: &mut Vec<(TargetColumn, PlannedColumn)>) {
        let mut states = columns.iter().filter(|(target, _)| target.is_state());
        let (Some((target, planned)), None) = (states.next(), states.next()) else {
            return;
        };
        let other = self.table.columns.iter().find(|column| match target.kind {
            ColumnKind::State { .. } => matches!(column.kind, ColumnKind::Status { .. }),
            _ => matches!(column.kind, ColumnKind::State { .. }),
        });
        let Some(other) = other.filter(|column| column.updatable) else {
            return;
        };
        let pairs = pairs(&target.kind, &other.kind);
        let follows = |value: &Value| match value {
            Value::Choice(number) => pairs
                .iter()
                .find(|(from, _)| from == number)
                .map_or(Value::Null, |(_, to)| Value::Choice(*to)),
            _ => Value::Null,
        };
        let planned = match planned {
            PlannedColumn::Constant(value) => PlannedColumn::Constant(follows(value)),
            PlannedColumn::Cell {
                slot,
                conversion: Conversion::Choice(steps),
                default,
            } => PlannedColumn::Cell {
                slot: *slot,
                conversion: Conversion::Choice(steps.clone().followed_by(&pairs)),
                default: default.as_ref().map(follows),
            },
            PlannedColumn::Cell { .. } | PlannedColumn::Lookup(_) => return,
        };
        let completed = TargetColumn {
            when: target.when,
            ..TargetColumn::new(other.name.clone(), other.kind.clone(), Nulls::Skip)
        };
        columns.push((completed, planned));
    }
}

/// Which option of the one column goes with which of the other; none where the schema leaves a choice.
fn pairs(from: &ColumnKind, to: &ColumnKind) -> Vec<(i32, i32)> {
    match (from, to) {
        (ColumnKind::Status { options }, _) => options
            .iter()
            .filter_map(|reason| Some((reason.value, reason.state?)))
            .collect(),
        (ColumnKind::State { options }, ColumnKind::Status { options: reasons }) => {
            let only_reason = |state: &ChoiceOption| {
                let of_state = |reason: &&ChoiceOption| reason.state == Some(state.value);
                let mut reasons = reasons.iter().filter(of_state);
                match (reasons.next(), reasons.next()) {
                    (Some(only), None) => Some((state.value, only.value)),
                    _ => None,
                }
            };
            options.iter().filter_map(only_reason).collect()
        }
        _ => Vec::new(),
    }
}

/// The run's start as a value of the column; `None` if it holds no time.
fn stamped(kind: &ColumnKind, started: Timestamp) -> Option<Value> {
    let second = Timestamp::from_second(started.as_second()).ok()?;
    match kind {
        ColumnKind::Date => Some(Value::Date(started.to_zoned(TimeZone::UTC).date())),
        ColumnKind::DateTime { .. } => Some(Value::Timestamp(second)),
        _ => None,
    }
}
