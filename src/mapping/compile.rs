//! From the mapping as written to a [`Plan`]: everything is checked against the table and the extract's header, and
//! all problems are told at once.

use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::digest::Parts;
use super::plan::{Plan, PlannedColumn, type_tag};
use super::{Mapping, Mode, Problem, ProblemCode, Problems};
use crate::model::{LogicalName, Nulls, SourceColumn, Table, Target, TargetColumn, Value};

/// What compiling needs to know besides the table and the extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileContext {
    /// The organisation that the records go to: part of the ids that creates carry.
    pub organisation: Uuid,
}

impl Mapping {
    /// Checks the mapping against the table and the header of the extract.
    ///
    /// # Errors
    /// Every problem there is, sorted by place.
    pub fn compile(
        &self,
        table: &Table,
        source: &[SourceColumn],
        context: &CompileContext,
    ) -> Result<Plan, Problems> {
        let mut compiler = Compiler {
            mapping: self,
            table,
            source,
            sources: Vec::new(),
            problems: Vec::new(),
        };
        let columns = compiler.columns();
        let key = compiler.key();
        let sources = compiler.sources;
        let (Some(key), true) = (key, compiler.problems.is_empty()) else {
            return Err(self.told(compiler.problems));
        };
        Ok(self.plan(table, context, &key, columns, sources))
    }

    fn told(&self, mut problems: Vec<Problem>) -> Problems {
        problems.sort_by_key(|problem| problem.at.start);
        Problems {
            file: self.file.display().to_string(),
            text: self.text.clone(),
            problems,
        }
    }

    fn plan(
        &self,
        table: &Table,
        context: &CompileContext,
        key: &TargetKey,
        columns: Vec<(TargetColumn, PlannedColumn)>,
        sources: Vec<usize>,
    ) -> Plan {
        let program = program(self.mode, &columns);
        let (target_columns, planned): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let place = |name: &LogicalName| target_columns.iter().position(|it| it.name == *name);
        let key_places: Vec<usize> = key.columns.iter().filter_map(place).collect();
        let mut digested: Vec<usize> = planned
            .iter()
            .enumerate()
            .filter(|(place, _)| !key_places.contains(place))
            .filter_map(|(_, column)| match column {
                PlannedColumn::Constant(_) => None,
                PlannedColumn::Cell { slot, .. } => Some(*slot),
            })
            .collect();
        digested.sort_unstable();
        digested.dedup();
        Plan {
            target: Arc::new(Target {
                table: table.name.clone(),
                entity_set: table.entity_set.clone(),
                primary_id: table.primary_id.clone(),
                columns: target_columns,
                key: key_places,
                key_is_primary_id: key.is_primary_id,
            }),
            columns: planned,
            sources,
            digested,
            program,
            collation: table.collation,
            organisation: context.organisation,
            mapping: self.name.clone(),
            mode: self.mode,
            duplicates: self.duplicates,
            missing: self.missing,
            guard: self.guard.clone(),
        }
    }
}

/// The key that a mapping names.
pub(super) struct TargetKey {
    /// In the order in which the table defines the key.
    pub(super) columns: Vec<LogicalName>,
    pub(super) is_primary_id: bool,
}

/// Gathers what it finds while it goes through a mapping.
pub(super) struct Compiler<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) table: &'a Table,
    pub(super) source: &'a [SourceColumn],
    /// The source columns in use, by index, in the order in which they were met.
    pub(super) sources: Vec<usize>,
    pub(super) problems: Vec<Problem>,
}

impl Compiler<'_> {
    pub(super) fn tell(
        &mut self,
        code: ProblemCode,
        at: &Range<usize>,
        title: String,
        label: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.problems.push(Problem {
            code,
            title,
            at: at.clone(),
            label: label.into(),
            help: help.into(),
            other: None,
        });
    }

    /// Whether the column, by its logical name, is part of the mapping's key.
    pub(super) fn is_key(&self, column: &str) -> bool {
        self.mapping.key.iter().any(|name| name.value == column)
    }
}

/// Digest of what the mapping does to cells. Two mappings with the same program turn the same row into the same
/// record and write it in the same way.
fn program(mode: Mode, columns: &[(TargetColumn, PlannedColumn)]) -> [u8; 16] {
    let mut parts = Parts::default();
    parts.push(
        b'm',
        match mode {
            Mode::Upsert => b"upsert",
            Mode::Create => b"create",
            Mode::Update => b"update",
            Mode::UpdateOrSkip => b"update or skip",
        },
    );
    for (target, planned) in columns {
        parts.push(b'n', target.name.as_str().as_bytes());
        parts.push(b'k', type_tag(&target.kind).as_bytes());
        parts.push(
            b'o',
            match target.nulls {
                Nulls::Owned => b"owned",
                Nulls::Clear => b"clear",
                Nulls::Skip => b"skip",
            },
        );
        match planned {
            PlannedColumn::Constant(value) => parts.push_value(&value.into()),
            PlannedColumn::Cell {
                slot,
                conversion,
                default,
            } => {
                let mut steps = format!("{slot} ");
                conversion.describe(&mut steps);
                parts.push(b's', steps.as_bytes());
                parts.push_value(&default.as_ref().unwrap_or(&Value::Null).into());
            }
        }
    }
    xxh3_128(&parts.0).to_be_bytes()
}
