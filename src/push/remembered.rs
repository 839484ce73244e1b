//! The rows of an extract that is small enough to stay in memory between its two readings.

use std::mem::size_of_val;

use crate::model::{FaultKind, Rows, Source as _};
use crate::source::Extract;

/// What the first reading gives, gathered as long as it is not too much.
pub(super) struct Gathering {
    /// None once they are too many.
    batches: Option<Vec<Rows>>,
    /// How many bytes more there is room for.
    room: usize,
}

impl Gathering {
    /// At most so many bytes of these columns.
    pub(super) fn new(extract: &Extract, columns: usize, most: usize) -> Self {
        // Rows take hardly less room in memory than in their files, unless these are packed: what will be too much is not
        // begun.
        let share = extract.bytes() / extract.columns().len().max(1) as u64;
        let may_fit = share.saturating_mul(columns as u64) <= most as u64;
        Self {
            batches: may_fit.then(Vec::new),
            room: most,
        }
    }

    /// Adds a batch. They may come in any order.
    pub(super) fn add(&mut self, rows: Rows) {
        match self.room.checked_sub(bytes_of(&rows)) {
            Some(room) => self.room = room,
            None => self.batches = None,
        }
        if let Some(batches) = &mut self.batches {
            batches.push(rows);
        }
    }

    /// All of them in the order of the extract, unless they were too many.
    pub(super) fn finish(self) -> Option<Vec<Rows>> {
        let mut batches = self.batches?;
        batches.sort_by_key(|rows| rows.positions.first().copied());
        Some(batches)
    }
}

/// About as many bytes as a batch takes, and rather more than fewer.
fn bytes_of(rows: &Rows) -> usize {
    let raw = rows.faults.iter().flat_map(|fault| match &fault.kind {
        FaultKind::Ragged { raw, .. } | FaultKind::Misquoted { raw, .. } => raw.as_slice(),
        FaultKind::Undecodable { .. } => &[],
    });
    let raw: usize = raw.map(|cell| cell.len() + size_of_val(cell)).sum();
    rows.batch.get_array_memory_size()
        + size_of_val(rows.positions.as_slice())
        + size_of_val(rows.faults.as_slice())
        + raw
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;

    use super::*;
    use crate::model::{CsvDialect, ExtractSpec, Fault, Position};

    fn extract(text: &str) -> Extract {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), text).unwrap();
        let spec = ExtractSpec {
            path: "a.csv".to_owned(),
            base: folder.path().to_owned(),
            format: None,
            csv: CsvDialect::default(),
        };
        Extract::open(&spec).unwrap()
    }

    fn at(line: u64) -> Rows {
        Rows {
            batch: RecordBatch::new_empty(arrow_schema::Schema::empty().into()),
            positions: vec![Position::new(0, line)],
            faults: Vec::new(),
        }
    }

    #[test]
    fn batches_stand_in_the_order_of_the_extract_however_they_came() {
        let mut gathering = Gathering::new(&extract("a,b\n1,2\n"), 2, 1 << 20);
        for line in [3, 1, 2] {
            gathering.add(at(line));
        }
        let lines = gathering
            .finish()
            .unwrap()
            .into_iter()
            .map(|rows| rows.positions[0].line());
        assert_eq!(lines.collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_is_too_much_is_let_go() {
        let mut gathering = Gathering::new(&extract("a,b\n1,2\n"), 2, 2 * bytes_of(&at(1)));
        for line in [1, 2] {
            gathering.add(at(line));
        }
        assert_eq!(gathering.batches.as_ref().map(Vec::len), Some(2));
        gathering.add(at(3));
        assert!(gathering.batches.is_none());
        gathering.add(at(4));
        assert!(gathering.finish().is_none());
    }

    #[test]
    fn what_the_files_say_to_be_too_much_is_not_begun() {
        let large = extract(&format!("a,b\n1,{}\n", "2".repeat(1_000)));
        assert!(Gathering::new(&large, 2, 900).batches.is_none());
        assert!(
            Gathering::new(&large, 1, 900).batches.is_some(),
            "one of two columns"
        );
        assert!(Gathering::new(&large, 2, 2_000).batches.is_some());
        assert!(Gathering::new(&large, 2, 0).batches.is_none());
    }

    #[test]
    fn cells_that_are_shown_of_a_malformed_row_count() {
        let mut rows = at(1);
        let before = bytes_of(&rows);
        rows.faults.push(Fault {
            row: 0,
            column: None,
            kind: FaultKind::Ragged {
                cells: 1,
                expected: 2,
                raw: vec!["x".repeat(1_000)],
            },
        });
        assert!(bytes_of(&rows) > before + 1_000);
    }
}
