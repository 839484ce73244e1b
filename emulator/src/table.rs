//! The rows of one table and the indexes of its keys.
//!
//! An alternate key is a unique index filtered on every column being non-null, compared by the
//! environment's collation. Source: Microsoft Learn, "Define alternate keys for a table".

pub(crate) mod fold;
pub(crate) mod moment;
pub(crate) mod value;

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use crate::model::Layout;
use crate::table::fold::Collation;
use crate::table::value::{Cells, Column, Value};

/// A row without its id.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) version: u64,
    pub(crate) cells: Cells,
}

impl Row {
    /// The row without the values of columns that were dropped.
    pub(crate) fn without_dropped(self, layout: &Layout) -> Self {
        let is_whole = |cells: &Cells| cells.iter().all(|(it, _)| layout.column(it).is_some());
        if is_whole(&self.cells) {
            return self;
        }
        let mut cells = self.cells.unpacked();
        cells.retain(|(column, _)| layout.column(*column).is_some());
        Self {
            cells: Cells::pack(&cells),
            ..self
        }
    }
}

/// The folded values of a key, with the key's number before them.
pub(crate) type FoldedKey = Box<[u8]>;

#[derive(Default)]
pub(crate) struct Rows {
    by_id: BTreeMap<Uuid, Row>,
    by_key: HashMap<FoldedKey, Uuid>,
}

impl Rows {
    pub(crate) fn get(&self, id: Uuid) -> Option<&Row> {
        self.by_id.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All rows in the order of their ids, those after `last` if it is given.
    pub(crate) fn after(&self, last: Option<Uuid>) -> impl Iterator<Item = (Uuid, &Row)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = last.map_or(Unbounded, Excluded);
        self.by_id
            .range((from, Unbounded))
            .map(|(id, row)| (*id, row))
    }

    pub(crate) fn find(&self, key: &FoldedKey) -> Option<Uuid> {
        self.by_key.get(key).copied()
    }

    /// Builds the indexes of all keys anew.
    pub(crate) fn reindex(&mut self, layout: &Layout, collation: Collation) {
        self.by_key.clear();
        for (id, row) in &self.by_id {
            for number in 0..layout.keys.len() {
                if let Some(folded) = fold_cells(layout, number, collation, *id, &row.cells) {
                    self.by_key.insert(folded, *id);
                }
            }
        }
    }

    /// Whether two rows have the same values in all of these columns, null nowhere.
    pub(crate) fn has_twins(&self, columns: &[Column], collation: Collation) -> bool {
        let mut seen = HashSet::new();
        self.by_id.values().any(|row| {
            let values = columns.iter().map(|column| row.cells.get(*column));
            fold_key(0, collation, values).is_some_and(|folded| !seen.insert(folded))
        })
    }

    /// Changes every row.
    pub(crate) fn change_all(&mut self, change: impl Fn(Row) -> Row) {
        for row in self.by_id.values_mut() {
            *row = change(row.clone());
        }
    }

    /// The number of a key that these cells would share with another row.
    pub(crate) fn violated(
        &self,
        layout: &Layout,
        collation: Collation,
        id: Uuid,
        cells: &Cells,
    ) -> Option<usize> {
        let taken = |folded: FoldedKey| self.find(&folded).is_some_and(|other| other != id);
        (0..layout.keys.len())
            .find(|number| fold_cells(layout, *number, collation, id, cells).is_some_and(taken))
    }

    /// Sets or removes a row, indexes included, and returns what stood there.
    pub(crate) fn put(
        &mut self,
        layout: &Layout,
        collation: Collation,
        id: Uuid,
        row: Option<Row>,
    ) -> Option<Row> {
        if let Some(old) = self.by_id.get(&id) {
            for number in 0..layout.keys.len() {
                if let Some(folded) = fold_cells(layout, number, collation, id, &old.cells) {
                    self.by_key.remove(&folded);
                }
            }
        }
        let Some(row) = row else {
            return self.by_id.remove(&id);
        };
        for number in 0..layout.keys.len() {
            if let Some(folded) = fold_cells(layout, number, collation, id, &row.cells) {
                self.by_key.insert(folded, id);
            }
        }
        self.by_id.insert(id, row)
    }
}

fn fold_cells(
    layout: &Layout,
    number: usize,
    collation: Collation,
    id: Uuid,
    cells: &Cells,
) -> Option<FoldedKey> {
    let key = layout.keys.get(number)?;
    let value = |column: &Column| {
        if Some(*column) == layout.special.id {
            // The id stands beside the cells.
            return Some(Value::Guid(id));
        }
        cells.get(*column)
    };
    fold_key(number, collation, key.columns.iter().map(value))
}

/// The folded form of a key's values, in the key's order; `None` if any of them is null.
pub(crate) fn fold_key<'a>(
    number: usize,
    collation: Collation,
    values: impl Iterator<Item = Option<Value<'a>>>,
) -> Option<FoldedKey> {
    let mut bytes = Vec::with_capacity(32);
    bytes.push(u8::try_from(number).ok()?);
    for value in values {
        push_folded(&mut bytes, collation, &value?);
    }
    Some(bytes.into_boxed_slice())
}

/// The folded form of one value: equal exactly if the values are.
pub(crate) fn fold_value(collation: Collation, value: &Value<'_>) -> FoldedKey {
    let mut bytes = Vec::with_capacity(16);
    push_folded(&mut bytes, collation, value);
    bytes.into_boxed_slice()
}

fn push_folded(bytes: &mut Vec<u8>, collation: Collation, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            let text = collation.fold(text);
            bytes.extend_from_slice(&text.len().to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Value::Integer(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::BigInt(number) | Value::DateTime(number) => {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        Value::Decimal(number) => bytes.extend_from_slice(&number.normalize().serialize()),
        Value::Double(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::Boolean(answer) => bytes.push(u8::from(*answer)),
        Value::Date(date) => {
            bytes.extend_from_slice(&date.year().to_le_bytes());
            bytes.extend_from_slice(&date.day_of_year().to_le_bytes());
        }
        // The column of a key on a lookup holds a GUID; which table it is of does not count.
        Value::Guid(id) | Value::Reference { id, .. } => bytes.extend_from_slice(id.as_bytes()),
    }
}
