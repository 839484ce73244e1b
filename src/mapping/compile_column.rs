//! Checks of one line under `columns:`: both columns, whether the target can be written, nulls and literals.

use std::ops::Range;

use super::compile::Compiler;
use super::compile_codes as codes;
use super::compile_words::{closest, kind_in_words, listed, undivided, written_as};
use super::convert::{Canonical, Cell, Conversion, Scratch, Trim, is_readable, shown};
use super::plan::PlannedColumn;
use super::{ColumnMapping, Literal, Mode, Origin, Written};
use crate::model::{Column, ColumnKind, LogicalName, Nulls, Required, TargetColumn, Value};

impl Compiler<'_> {
    /// Checks every line under `columns:`, and compiles those that are sound.
    pub(super) fn columns(&mut self) -> Vec<(TargetColumn, PlannedColumn)> {
        let mapping = self.mapping;
        for (place, written) in mapping.columns.iter().enumerate() {
            let name = &written.target;
            let mut earlier = mapping.columns.iter().take(place);
            if let Some(first) = earlier.find(|it| it.target.value == name.value) {
                self.tell(
                    codes::COLUMN_SET_TWICE,
                    &name.at,
                    format!("column `{}` is set twice", name.value),
                    "set again",
                    "Keep one of the two lines.".to_owned(),
                );
                if let Some(problem) = self.problems.last_mut() {
                    problem.other = Some((first.target.at.clone(), "first set here".to_owned()));
                }
            }
        }
        let lines = mapping.columns.iter();
        lines.filter_map(|written| self.column(written)).collect()
    }

    fn column(&mut self, written: &ColumnMapping) -> Option<(TargetColumn, PlannedColumn)> {
        let table = self.table;
        let column = table.column(&written.target.value);
        if column.is_none() {
            self.unknown_column(&written.target);
        }
        let slot = match &written.origin {
            Origin::From(source) => self.slot(source),
            Origin::Value(_) | Origin::Lookup(_) | Origin::Stamp(_) => None,
        };
        let column = column.filter(|column| self.can_be_written(column, &written.target))?;
        let planned = match &written.origin {
            Origin::Lookup(origin) => self.lookup(written, column, origin),
            Origin::From(_) | Origin::Value(_) if !self.is_supported(column, &written.target) => {
                None
            }
            Origin::From(_) => self.cell(written, column, slot),
            Origin::Value(literal) => self.constant(written, column, literal),
            Origin::Stamp(stamp) => self.stamp(written, column, stamp),
        };
        let target = TargetColumn {
            name: column.name.clone(),
            kind: column.kind.clone(),
            nulls: self.nulls(written, column),
            when: self.when(written, column)?,
            is_stamp: matches!(written.origin, Origin::Stamp(_)),
        };
        planned.map(|planned| (target, planned))
    }

    fn cell(
        &mut self,
        written: &ColumnMapping,
        column: &Column,
        slot: Option<usize>,
    ) -> Option<PlannedColumn> {
        let conversion = self.conversion(&written.steps, column)?;
        let default = match &written.steps.default {
            Some(literal) => Some(self.literal(literal, column, Some(&conversion))?),
            None => None,
        };
        Some(PlannedColumn::Cell {
            slot: slot?,
            conversion,
            default,
        })
    }

    fn constant(
        &mut self,
        written: &ColumnMapping,
        column: &Column,
        literal: &Written<Literal>,
    ) -> Option<PlannedColumn> {
        self.steps_without_cells(written, "value", "a fixed value is taken as it is written");
        let value = self.literal(literal, column, None)?;
        if value.is_null() && column.required == Required::System {
            self.cleared_though_required(&literal.at, column);
        }
        Some(PlannedColumn::Constant(value))
    }

    /// Tells of steps beside an origin that has no cells.
    pub(super) fn steps_without_cells(&mut self, written: &ColumnMapping, origin: &str, why: &str) {
        for (step, at) in steps_written(written) {
            self.tell(
                codes::STEP_MISFIT,
                &at,
                format!("`{step}` has nothing to work on beside `{origin}`"),
                why,
                format!("Leave `{step}` out, or take the value from a source column with `from`."),
            );
        }
    }

    /// Where the batches will have the source column.
    pub(super) fn slot(&mut self, name: &Written<String>) -> Option<usize> {
        let columns = self.source.iter().enumerate();
        let mut same = columns.filter(|(_, column)| column.name == name.value);
        let Some((index, column)) = same.next() else {
            self.unknown_source_column(name);
            return None;
        };
        if same.next().is_some() {
            self.tell(
                codes::AMBIGUOUS_SOURCE_COLUMN,
                &name.at,
                format!("the extract has two columns `{}`", name.value),
                "which of them?",
                "Rename one of them in the export.".to_owned(),
            );
            return None;
        }
        if !is_readable(&column.data_type) {
            self.tell(
                codes::UNREADABLE_SOURCE_TYPE,
                &name.at,
                format!(
                    "cells of type {} in `{}` are not read",
                    column.data_type, name.value
                ),
                "of a type that is not read",
                "Export the column as text, number, yes/no, date or timestamp.".to_owned(),
            );
            return None;
        }
        let known = self.sources.iter().position(|source| *source == index);
        Some(known.unwrap_or_else(|| {
            self.sources.push(index);
            self.sources.len() - 1
        }))
    }

    fn unknown_source_column(&mut self, name: &Written<String>) {
        let names = || self.source.iter().map(|column| column.name.as_str());
        let undivided = undivided(names()).map(|delimiter| {
            format!(
                "The extract has one column, {}: say what stands between its cells, `csv: {{ delimiter: \"{delimiter}\" }}`.",
                listed(names())
            )
        });
        let help = undivided.unwrap_or_else(|| match closest(&name.value, names()) {
            Some(close) => format!("did you mean `{}`?", shown(close)),
            None => format!("The extract has {}.", listed(names())),
        });
        self.tell(
            codes::UNKNOWN_SOURCE_COLUMN,
            &name.at,
            format!("the extract has no column `{}`", shown(&name.value)),
            "not in the header",
            help,
        );
    }

    pub(super) fn unknown_column(&mut self, name: &Written<String>) {
        let columns = &self.table.columns;
        let names = columns.iter().map(|column| column.name.as_str());
        let close = closest(&name.value, names).and_then(|close| self.table.column(close));
        let help = match close {
            Some(column) => format!(
                "did you mean `{}` ({})?",
                column.name,
                kind_in_words(&column.kind)
            ),
            None => "Write a column's logical name, as the maker portal shows it under the \
                     table's columns."
                .to_owned(),
        };
        self.tell(
            codes::UNKNOWN_COLUMN,
            &name.at,
            format!(
                "table `{}` has no column `{}`",
                self.table.name,
                shown(&name.value)
            ),
            "not in the table's schema",
            help,
        );
    }

    fn can_be_written(&mut self, column: &Column, name: &Written<String>) -> bool {
        let is_key = self.is_key(&name.value);
        if column.name == self.table.primary_id && !is_key {
            self.tell(
                codes::PRIMARY_ID_BESIDE_KEY,
                &name.at,
                format!("`{}` is the primary id and not the key", column.name),
                "set by Dataverse",
                format!(
                    "Leave it out, or name it as `target.key: [{}]`.",
                    column.name
                ),
            );
            return false;
        }
        let mode = self.mapping.mode;
        let writable = match mode {
            Mode::Upsert => column.creatable || column.updatable,
            // A new record gets its state by a second write.
            Mode::Create if is_state(column) => column.updatable,
            Mode::Create => column.creatable,
            Mode::Update | Mode::UpdateOrSkip => column.updatable,
        };
        // A key column addresses a record; only a create needs to write it.
        if !writable && !is_key {
            let help = self.instead_of(column);
            self.tell(
                codes::NOT_WRITABLE,
                &name.at,
                format!("column `{}` cannot be written", column.name),
                match mode {
                    Mode::Upsert => "set by Dataverse itself",
                    Mode::Create => "not writable when a record is created",
                    Mode::Update | Mode::UpdateOrSkip => "not writable once a record exists",
                },
                help,
            );
            return false;
        }
        true
    }

    /// What to write in place of a column that cannot be written.
    fn instead_of(&self, column: &Column) -> String {
        let has = |name| self.table.column(name).is_some();
        let is_full_name = column.name.as_str() == "fullname";
        if is_full_name && has("firstname") && has("lastname") {
            return "Map `firstname` and `lastname`; Dataverse makes it of them.".to_owned();
        }
        "Leave it out.".to_owned()
    }

    pub(super) fn is_supported(&mut self, column: &Column, name: &Written<String>) -> bool {
        let supported = Conversion::plain(&column.kind).is_some();
        if let ColumnKind::Lookup { targets } = &column.kind {
            let table = targets.first().map_or("account", LogicalName::as_str);
            self.tell(
                codes::NOT_BY_ITSELF,
                &name.at,
                format!("column `{}` refers to a record", column.name),
                kind_in_words(&column.kind),
                format!(
                    "Write `{{ lookup: {table}, by: {{ column_of_{table}: source_column }} }}`."
                ),
            );
        } else if !supported {
            self.tell(
                codes::TYPE_NOT_SUPPORTED,
                &name.at,
                format!(
                    "column `{}` has a type that is not supported by this version",
                    column.name
                ),
                kind_in_words(&column.kind),
                "Leave it out.".to_owned(),
            );
        }
        supported
    }

    fn nulls(&mut self, written: &ColumnMapping, column: &Column) -> Nulls {
        let own = written.steps.nulls.as_ref();
        let nulls = own.map_or(self.mapping.nulls, |nulls| nulls.value);
        let is_key = self.is_key(column.name.as_str());
        let required = column.required == Required::System || is_state(column);
        if nulls == Nulls::Clear && required && !is_key && (own.is_some() || !is_state(column)) {
            let at = own.map_or(&written.target.at, |nulls| &nulls.at);
            self.cleared_though_required(at, column);
        }
        // A record is always in some state.
        if is_state(column) { Nulls::Skip } else { nulls }
    }

    fn cleared_though_required(&mut self, at: &Range<usize>, column: &Column) {
        self.tell(
            codes::REQUIRED_CLEARED,
            at,
            format!("column `{}` is required and cannot be cleared", column.name),
            "Dataverse refuses a null here",
            "Write `nulls: skip` for the column, or give it a `default`.".to_owned(),
        );
    }

    /// The value of a literal. It may be written as a cell would be, or plainly: a number with a point, a date as
    /// ISO 8601, an option by its number or label.
    pub(super) fn literal(
        &mut self,
        literal: &Written<Literal>,
        column: &Column,
        steps: Option<&Conversion>,
    ) -> Option<Value> {
        let Literal::Text(text) = &literal.value else {
            return Some(Value::Null);
        };
        let as_cell = |conversion: &Conversion| {
            let mut scratch = Scratch::default();
            let value = conversion.convert(Cell::Text(text), &mut scratch);
            value.map(Canonical::into_value)
        };
        if let Some(Ok(value)) = steps.map(as_cell) {
            return Some(value);
        }
        if let ColumnKind::Choice { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } = &column.kind
        {
            let at = Written {
                value: text.clone(),
                at: literal.at.clone(),
            };
            return self.option(&at, options, column).map(Value::Choice);
        }
        let mut plain = Conversion::plain(&column.kind)?;
        if let Conversion::Text(text) = &mut plain {
            text.trim = Trim::Nothing;
        }
        match as_cell(&plain) {
            Ok(value) => Some(value),
            Err(refusal) => {
                let value = shown(text);
                self.tell(
                    codes::BAD_LITERAL,
                    &literal.at,
                    refusal.reason(&value, &column.kind, &plain),
                    format!("not a value of `{}`", column.name),
                    format!(
                        "The column holds {}{}.",
                        kind_in_words(&column.kind),
                        written_as(&column.kind, refusal)
                    ),
                );
                None
            }
        }
    }
}

/// Whether the column is the state of a record or the reason of it.
pub(super) fn is_state(column: &Column) -> bool {
    matches!(
        column.kind,
        ColumnKind::State { .. } | ColumnKind::Status { .. }
    )
}

/// The steps of a line that only work on cells, by name and place.
pub(super) fn steps_written(written: &ColumnMapping) -> Vec<(&'static str, Range<usize>)> {
    let steps = &written.steps;
    let mut found = super::compile_steps::written_steps(steps);
    if let Some(default) = &steps.default {
        found.push(("default", default.at.clone()));
    }
    if let Some(max) = &steps.max {
        found.push(("max", max.at.clone()));
    }
    found
}
