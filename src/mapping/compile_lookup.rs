//! Checks of a lookup: where it points, by which columns its records are found, how it is written.

use std::sync::Arc;

use super::compile::Compiler;
use super::compile_codes as codes;
use super::compile_words::{closest, kind_in_words, listed};
use super::convert::{Conversion, shown};
use super::plan::PlannedColumn;
use super::plan_lookup::PlannedLookup;
use super::{ColumnMapping, LookupOrigin, Written};
use crate::model::{Column, ColumnKind, LogicalName, Lookup, Nulls, Table, Target, TargetColumn};

/// Where an owner may be a user or a team, the relationship is to both at once.
const OWNER: &str = "owner";

/// Columns by which a record is found, and the slots of their values with what is done to them.
type Parts = (Vec<TargetColumn>, Vec<(usize, Conversion)>);

impl Compiler<'_> {
    pub(super) fn lookup(
        &mut self,
        written: &ColumnMapping,
        column: &Column,
        origin: &LookupOrigin,
    ) -> Option<PlannedColumn> {
        self.no_steps(written);
        let ColumnKind::Lookup { targets } = &column.kind else {
            self.not_a_lookup(column, written);
            return None;
        };
        let wanted = origin.table.value.as_str();
        let is_target = targets.iter().any(|target| target.as_str() == wanted);
        let table = self
            .referenced
            .iter()
            .find(|table| table.name.as_str() == wanted);
        let navigation = table.and_then(|table| self.navigation(column, &table.name));
        let (Some(table), Some(navigation), true) = (table, navigation, is_target) else {
            self.cannot_point(origin, column, targets);
            return None;
        };
        let (columns, parts) = self.parts(origin, table)?;
        let key_is_primary_id = columns.len() == 1
            && columns
                .first()
                .is_some_and(|only| only.name == table.primary_id);
        let target = Target {
            table: table.name.clone(),
            entity_set: table.entity_set.clone(),
            primary_id: table.primary_id.clone(),
            key: (0..columns.len()).collect(),
            columns,
            key_is_primary_id,
        };
        let to = Arc::new(Lookup {
            column: column.name.clone(),
            target: Arc::new(target),
            navigation,
            absent: origin.absent,
        });
        Some(PlannedColumn::Lookup(PlannedLookup { to, parts }))
    }

    /// Steps work on a cell; a reference has `by` instead.
    fn no_steps(&mut self, written: &ColumnMapping) {
        for (step, at) in super::compile_column::steps_written(written) {
            self.tell(
                codes::STEP_MISFIT,
                &at,
                format!("`{step}` has nothing to work on beside `lookup`"),
                "a reference is taken as it is",
                format!("Leave `{step}` out."),
            );
        }
    }

    fn not_a_lookup(&mut self, column: &Column, written: &ColumnMapping) {
        self.tell(
            codes::NOT_A_LOOKUP,
            &written.target.at,
            format!("column `{}` does not refer to records", column.name),
            kind_in_words(&column.kind),
            "Take its value from a source column with `from`.".to_owned(),
        );
    }

    fn cannot_point(&mut self, origin: &LookupOrigin, column: &Column, targets: &[LogicalName]) {
        let names = targets.iter().map(LogicalName::as_str);
        self.tell(
            codes::NO_SUCH_TARGET,
            &origin.table.at,
            format!(
                "`{}` does not point to table `{}`",
                column.name,
                shown(&origin.table.value)
            ),
            "not one of its targets",
            format!("It points to {}.", listed(names)),
        );
    }

    fn navigation(&self, column: &Column, table: &LogicalName) -> Option<String> {
        let relationships = || {
            let all = self.table.relationships.iter();
            all.filter(|it| it.column == column.name)
        };
        let exact = relationships().find(|it| it.table == *table);
        let owner = || relationships().find(|it| it.table.as_str() == OWNER);
        exact.or_else(owner).map(|it| it.navigation.clone())
    }

    /// The columns by which a record is found, and the cells that hold their values.
    fn parts(&mut self, origin: &LookupOrigin, table: &Table) -> Option<Parts> {
        let mut columns = Vec::new();
        let mut parts = Vec::new();
        for (by, source) in &origin.by {
            let slot = self.slot(source);
            let Some(column) = table.column(&by.value) else {
                self.no_such_column(table, by);
                continue;
            };
            let Some(conversion) = Conversion::plain(&column.kind) else {
                self.tell(
                    codes::TYPE_NOT_SUPPORTED,
                    &by.at,
                    format!("records cannot be found by `{}`", column.name),
                    kind_in_words(&column.kind),
                    "Take an alternate key of the table, or its primary id.".to_owned(),
                );
                continue;
            };
            if let Some(slot) = slot {
                parts.push((slot, conversion));
                let (name, kind) = (column.name.clone(), column.kind.clone());
                columns.push(TargetColumn::new(name, kind, Nulls::Owned));
            }
        }
        (parts.len() == origin.by.len()).then_some((columns, parts))
    }

    fn no_such_column(&mut self, table: &Table, by: &Written<String>) {
        let names = || table.columns.iter().map(|column| column.name.as_str());
        let help = match closest(&by.value, names()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "Take an alternate key of that table, or its primary id.".to_owned(),
        };
        self.tell(
            codes::UNKNOWN_COLUMN,
            &by.at,
            format!(
                "table `{}` has no column `{}`",
                table.name,
                shown(&by.value)
            ),
            "not in the table's schema",
            help,
        );
    }
}
