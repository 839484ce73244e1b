//! `missing:` against the table: which state is the inactive one, which values are set.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::compile::Compiler;
use super::compile_codes as codes;
use super::compile_column::is_state;
use super::digest::Parts;
use super::plan::PlannedColumn;
use super::removal::{ACTIVE, Manner, Removal, Treatment};
use super::{Literal, Missing, Written};
use crate::model::{
    ChoiceOption, Column, ColumnKind, Nulls, SourceDigest, Target, TargetColumn, Value, When,
};

/// A column, and the value that it gets.
type Valued = (TargetColumn, Value);

impl Compiler<'_> {
    /// What becomes of records that left the extract; `None` if it cannot be done, which has been told. `columns` learn
    /// how one that returns is brought back: whoever reads the mapping now may have deactivated it under an older one.
    pub(super) fn removal(
        &mut self,
        columns: &mut Vec<(TargetColumn, PlannedColumn)>,
    ) -> Option<Removal> {
        let mapping = self.mapping;
        if !columns.iter().any(|(target, _)| target.is_state()) {
            columns.extend(self.active());
        }
        let (manner, valued) = match &mapping.missing.value {
            Missing::Keep => return Some(Removal::Keep),
            Missing::Delete(ours) => return Some(Removal::Delete(*ours)),
            Missing::Set(set) => (Manner::Set, self.values(set)?),
            Missing::Deactivate(named) => (Manner::Deactivate, self.inactive(named.as_ref())?),
        };
        Some(Removal::Write(self.treatment(manner, valued, columns)?))
    }

    fn treatment(
        &self,
        manner: Manner,
        valued: Vec<Valued>,
        columns: &[(TargetColumn, PlannedColumn)],
    ) -> Option<Treatment> {
        let id = self.table.column(self.table.primary_id.as_str())?;
        let id = TargetColumn::new(id.name.clone(), ColumnKind::Guid, Nulls::Skip);
        let mut parts = Parts::default();
        for (column, value) in &valued {
            parts.push(b'n', column.name.as_str().as_bytes());
            parts.push_value(value);
        }
        let place = |name| columns.iter().position(|(column, _)| column.name == name);
        let shared = valued
            .iter()
            .enumerate()
            .filter_map(|(index, (column, _))| {
                let own = place(column.name.clone())?;
                Some((index + 1, own))
            });
        let shared = shared.collect();
        let (targets, contents): (Vec<_>, Vec<_>) = valued.into_iter().unzip();
        Some(Treatment {
            manner,
            target: Arc::new(Target {
                table: self.table.name.clone(),
                entity_set: self.table.entity_set.clone(),
                primary_id: self.table.primary_id.clone(),
                columns: std::iter::once(id).chain(targets).collect(),
                key: vec![0],
                key_is_primary_id: true,
            }),
            values: std::iter::once(Value::Null).chain(contents).collect(),
            shared,
            digest: SourceDigest::of_wide(xxh3_128(&parts.0).to_be_bytes()),
        })
    }

    fn values(&mut self, set: &[(Written<String>, Written<Literal>)]) -> Option<Vec<Valued>> {
        let table = self.table;
        let mut valued = Vec::new();
        for (name, literal) in set {
            let Some(column) = table.column(&name.value) else {
                self.unknown_column(name);
                continue;
            };
            if self.is_key(&name.value) || !column.updatable {
                self.tell(
                    codes::REMOVAL,
                    &name.at,
                    format!("`missing` cannot set column `{}`", column.name),
                    "not writable once a record exists, or a part of the key",
                    "Take another column.".to_owned(),
                );
                continue;
            }
            if self.is_supported(column, name)
                && let Some(value) = self.literal(literal, column, None)
            {
                valued.push((plain(column), value));
            }
        }
        if let Some((name, _)) = set.last() {
            let valued: Vec<_> = valued
                .iter()
                .map(|(target, value)| (target, value))
                .collect();
            self.fit_state(&valued, &name.at);
        }
        (valued.len() == set.len()).then_some(valued)
    }

    /// The inactive state and its reason: the one that is named, or the only one.
    fn inactive(&mut self, named: Option<&Written<String>>) -> Option<Vec<Valued>> {
        let table = self.table;
        let states = table.columns.iter().find_map(|column| match &column.kind {
            ColumnKind::State { options } => Some((column, options)),
            _ => None,
        });
        let reasons = table.columns.iter().find_map(|column| match &column.kind {
            ColumnKind::Status { options } => Some((column, options)),
            _ => None,
        });
        let (Some((state, states)), Some((reason, reasons))) = (states, reasons) else {
            let title = format!("records of `{}` have no state", table.name);
            self.removal_problem(
                named,
                title,
                "there is no `statecode`",
                "Take `delete` or `set`.",
            );
            return None;
        };
        let found = match named {
            Some(named) => of_name(&named.value, states, reasons),
            None => only_inactive(states, reasons),
        };
        let [(state_number, reason_number)] = found.as_slice() else {
            let offered: Vec<String> = reasons
                .iter()
                .filter(|reason| reason.state.is_some_and(|state| state != ACTIVE))
                .filter_map(|reason| Some(format!("`{}`", reason.labels.first()?.text)))
                .collect();
            let title = format!("`{}` has no such inactive state", table.name);
            let title = match named {
                Some(_) => title,
                None => format!("`{}` has more than one inactive state, or none", table.name),
            };
            let help = format!(
                "Write `{{ deactivate: … }}` with one of {}.",
                offered.join(", ")
            );
            self.removal_problem(named, title, "which one?", &help);
            return None;
        };
        Some(vec![
            (plain(state), Value::Choice(*state_number)),
            (plain(reason), Value::Choice(*reason_number)),
        ])
    }

    fn removal_problem(
        &mut self,
        named: Option<&Written<String>>,
        title: String,
        label: &str,
        help: &str,
    ) {
        let at = named.map_or(&self.mapping.missing.at, |named| &named.at);
        let at = at.clone();
        self.tell(codes::REMOVAL, &at, title, label, help.to_owned());
    }

    /// How a record that returns is made active again: columns that nothing else carries.
    fn active(&self) -> Vec<(TargetColumn, PlannedColumn)> {
        let states = self.table.columns.iter().filter(|column| column.updatable);
        let back = states.filter_map(|column| {
            let number = match &column.kind {
                ColumnKind::State { .. } => ACTIVE,
                ColumnKind::Status { options } => {
                    options.iter().find(|it| it.state == Some(ACTIVE))?.value
                }
                _ => return None,
            };
            let column = TargetColumn {
                when: When::Return,
                ..plain(column)
            };
            Some((column, PlannedColumn::Constant(Value::Choice(number))))
        });
        let back: Vec<_> = back.collect();
        // A state without its reason, or the other way round, is refused.
        if back.len() == 2 { back } else { Vec::new() }
    }
}

fn plain(column: &Column) -> TargetColumn {
    let nulls = if is_state(column) {
        Nulls::Skip
    } else {
        Nulls::Clear
    };
    TargetColumn::new(column.name.clone(), column.kind.clone(), nulls)
}

/// State and reason by the label of a reason, else of a state.
fn of_name(name: &str, states: &[ChoiceOption], reasons: &[ChoiceOption]) -> Vec<(i32, i32)> {
    let is_named = |option: &&ChoiceOption| {
        let mut labels = option.labels.iter();
        labels.any(|label| label.text.to_lowercase() == name.trim().to_lowercase())
    };
    let inactive = |reason: &ChoiceOption| Some((reason.state?, reason.value));
    let by_reason: Vec<(i32, i32)> = reasons
        .iter()
        .filter(is_named)
        .filter_map(inactive)
        .filter(|(state, _)| *state != ACTIVE)
        .collect();
    if !by_reason.is_empty() {
        return by_reason;
    }
    let named = states.iter().filter(is_named);
    named
        .filter(|state| state.value != ACTIVE)
        .filter_map(|state| first_reason(state.value, reasons))
        .collect()
}

fn only_inactive(states: &[ChoiceOption], reasons: &[ChoiceOption]) -> Vec<(i32, i32)> {
    let inactive = states.iter().filter(|state| state.value != ACTIVE);
    inactive
        .filter_map(|state| first_reason(state.value, reasons))
        .collect()
}

fn first_reason(state: i32, reasons: &[ChoiceOption]) -> Option<(i32, i32)> {
    let reason = reasons.iter().find(|reason| reason.state == Some(state))?;
    Some((state, reason.value))
}
