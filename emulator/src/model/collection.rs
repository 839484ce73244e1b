//! The navigation properties of many: by which lookups and intersects rows belong to a row.

use crate::model::Layout;
use crate::table::value::{Column, TableNumber};

/// Rows of another table that belong to a row, by a navigation property of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    /// One to many: the rows whose lookup points to the row.
    Many { table: TableNumber, column: Column },
    /// Many to many: the rows that are paired with it.
    Across {
        table: TableNumber,
        /// The intersect that holds the pairs.
        pairs: TableNumber,
        /// Its column with the id of the row.
        here: Column,
        /// Its column with the id of the other row.
        there: Column,
    },
}

impl Collection {
    /// The table of the rows that it holds.
    pub(crate) fn table(self) -> TableNumber {
        match self {
            Self::Many { table, .. } | Self::Across { table, .. } => table,
        }
    }
}

/// Tells each table which others point to it.
pub(crate) fn link(layouts: &mut [Layout]) {
    let place = |name: &str| layouts.iter().position(|l| l.def.logical_name == name);
    let mut links = Vec::new();
    for layout in &*layouts {
        let table = layout.number;
        for lookup in &layout.def.relationships {
            if let (Some(target), Some(column)) =
                (place(&lookup.target), layout.number_of(&lookup.column))
            {
                let collection = Collection::Many { table, column };
                let on_delete = Some((table, column, lookup.on_delete));
                links.push((target, lookup.collection.clone(), collection, on_delete));
            }
        }
        let sides = layout.def.intersect().map(|intersect| &intersect.sides);
        for [here, there] in sides.into_iter().flat_map(|[a, b]| [[a, b], [b, a]]) {
            let columns = (
                layout.number_of(&here.column),
                layout.number_of(&there.column),
            );
            if let (Some(from), Some(to)) = (place(&here.table), place(&there.table))
                && let (Some(here_column), Some(there_column)) = columns
                && let Some(other) = layouts.get(to)
            {
                let collection = Collection::Across {
                    table: other.number,
                    pairs: table,
                    here: here_column,
                    there: there_column,
                };
                let on_delete = None;
                links.push((from, here.navigation.clone(), collection, on_delete));
            }
        }
    }
    for (target, name, collection, on_delete) in links {
        if let Some(layout) = layouts.get_mut(target) {
            layout.collections.insert(name, collection);
            layout.referencing.extend(on_delete);
        }
    }
}
