//! The third reading: rejected rows only, with all their columns, for the reject file.

use super::open::Opened;
use crate::model::{FaultKind, Position, Reading, Rows, Source as _};
use crate::source::{Extract, SourceError, cell_text};

/// Which of the extract's columns make the key.
pub(super) fn key_columns(opened: &Opened) -> Vec<usize> {
    let slots = opened.plan.key_slots().into_iter().flatten();
    let columns = opened.plan.source_columns();
    slots
        .filter_map(|slot| columns.get(slot).copied())
        .collect()
}

pub(super) fn names(extract: &Extract) -> Vec<String> {
    extract
        .columns()
        .iter()
        .map(|column| column.name.clone())
        .collect()
}

/// The cells of some rows, all columns, as the extract has them: a third reading, of rejected rows only.
pub(super) fn rows(
    extract: &Extract,
    due: &[Position],
) -> Result<Vec<(Position, Vec<String>)>, SourceError> {
    let columns = (0..extract.columns().len()).collect();
    let due: Vec<Position> = due.to_vec();
    let mut found = Vec::with_capacity(due.len());
    let only: Box<dyn Iterator<Item = Position> + Send> = Box::new(due.into_iter());
    for rows in extract.read(Reading {
        columns,
        only: Some(only),
    })? {
        let rows = rows?;
        for (index, position) in rows.positions.iter().enumerate() {
            found.push((*position, cells_as_text(&rows, index)));
        }
    }
    Ok(found)
}

fn cells_as_text(rows: &Rows, row: usize) -> Vec<String> {
    let malformed = rows.faults.iter().find_map(|fault| match &fault.kind {
        FaultKind::Ragged { raw, .. } | FaultKind::Misquoted { raw, .. } if fault.row == row => {
            Some(raw.clone())
        }
        FaultKind::Ragged { .. } | FaultKind::Misquoted { .. } | FaultKind::Undecodable { .. } => {
            None
        }
    });
    malformed.unwrap_or_else(|| {
        let columns = rows.batch.columns().iter();
        columns.map(|column| cell_text(column, row)).collect()
    })
}
