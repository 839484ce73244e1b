//! Rows that a second pass completes: references to their own table that nobody could follow in the first one.

use crate::model::{
    ColumnDigest, Effect, Operation, Outcome, Points, Position, Record, Standing, Target,
    TargetColumn, Value, Verdict, When,
};
use crate::report::RowCounts;

/// The rows, and what each was counted as; a byte per row of the extract at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Owed {
    /// By file, then by line.
    files: Vec<Vec<Counted>>,
}

/// What a row was counted as in the first pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Counted {
    /// The row owes nothing.
    #[default]
    Not,
    Created,
    Updated,
    Upserted,
    Unchanged,
}

impl Counted {
    /// Takes it back: the row gets another outcome.
    pub(super) fn undo(self, counts: &mut RowCounts) {
        let counter = match self {
            Self::Not => return,
            Self::Created => &mut counts.created,
            Self::Updated => &mut counts.updated,
            Self::Upserted => &mut counts.upserted,
            Self::Unchanged => &mut counts.unchanged,
        };
        *counter -= 1;
    }
}

/// The columns of a target that a write can leave open: references, and what only records get that are there.
#[derive(Debug, Clone)]
pub(super) struct References {
    lookups: Vec<usize>,
    updates: Vec<usize>,
}

impl References {
    pub(super) fn of(target: &Target) -> Self {
        let those = |is_one: fn(&TargetColumn) -> bool| {
            let columns = target.columns.iter().enumerate();
            let those = columns.filter(|(_, column)| is_one(column));
            those.map(|(index, _)| index).collect()
        };
        Self {
            lookups: those(TargetColumn::is_lookup),
            updates: those(|column| column.when == When::Update && !column.is_stamp),
        }
    }

    /// Whether the record, made or not by this write, still lacks a value that only records get that are there. `before` is
    /// what the ledger held of it, if it is the same record.
    pub(super) fn await_update(
        &self,
        operation: &Operation,
        before: Option<&Standing>,
        mut digest: impl FnMut(&Value) -> ColumnDigest,
    ) -> bool {
        self.updates.iter().any(|index| {
            let value = operation.record.values.get(*index);
            let Some(value) = value.filter(|value| !value.is_null()) else {
                return false;
            };
            let held = || before?.columns.get(*index)?.held();
            !operation.columns.contains(*index) && held() != Some(digest(value))
        })
    }

    /// Whether the record was written without a reference that can be written later.
    pub(super) fn owe(&self, record: &Record) -> bool {
        self.any(record, |points| points == Points::Later)
    }

    /// Whether the record was written without a reference since there is no such record.
    pub(super) fn miss(&self, record: &Record) -> bool {
        self.any(record, |points| matches!(points, Points::Missing(_)))
    }

    fn any(&self, record: &Record, point: impl Fn(Points) -> bool) -> bool {
        let mut values = self
            .lookups
            .iter()
            .filter_map(|index| record.values.get(*index));
        values.any(|value| matches!(value, Value::Reference(it) if point(it.points)))
    }
}

impl Owed {
    /// Notes that a row owes a reference; only what was written or needed nothing can.
    pub(super) fn note(
        &mut self,
        Outcome { operation, verdict }: &Outcome,
        references: &References,
    ) {
        if !references.owe(&operation.record) {
            return;
        }
        let counted = match verdict {
            Verdict::Accepted(accepted) => match accepted.effect {
                Effect::Created => Counted::Created,
                Effect::Updated => Counted::Updated,
                Effect::Upserted => Counted::Upserted,
                Effect::Deleted => return,
            },
            Verdict::Unchanged => Counted::Unchanged,
            Verdict::Skipped(_)
            | Verdict::Rejected(_)
            | Verdict::NotAttempted(_)
            | Verdict::Partly { .. } => return,
        };
        let position = operation.row.position;
        let (file, line) = place(position);
        if self.files.len() <= file {
            self.files.resize(file + 1, Vec::new());
        }
        if let Some(lines) = self.files.get_mut(file) {
            if lines.len() <= line {
                lines.resize(line + 1, Counted::Not);
            }
            if let Some(counter) = lines.get_mut(line) {
                *counter = counted;
            }
        }
    }

    /// What the row was counted as.
    pub(super) fn of(&self, position: Position) -> Counted {
        let (file, line) = place(position);
        let lines = self.files.get(file);
        let counted = lines.and_then(|lines| lines.get(line));
        counted.copied().unwrap_or_default()
    }

    /// Whether no row owes anything.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

fn place(position: Position) -> (usize, usize) {
    let line = usize::try_from(position.line()).unwrap_or(usize::MAX);
    (usize::from(position.file()), line)
}
