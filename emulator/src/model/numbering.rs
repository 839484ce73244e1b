//! The numbers that tables and columns have in packed rows: given once, never given again.

use crate::schema::{
    ColumnDef, ColumnKind, Ownership, RequiredLevel, Schema, TableDef, TableNature,
};

/// The numbers that a data file has given: tables in order, each with its columns in order.
pub(crate) type Numbering = Vec<(String, Vec<String>)>;

/// Stands in a numbering for a table or a column that was dropped; no name is like it.
pub(crate) const DROPPED: &str = "-";

/// A data file knows a table or column that the schema lacks.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) table: String,
    pub(crate) column: Option<String>,
}

/// The tables in the order of their numbers: those of the file first.
pub(crate) fn tables(schema: &Schema, known: &Numbering) -> Result<Vec<String>, Missing> {
    let mut numbers: Vec<String> = Vec::with_capacity(schema.tables.len());
    for (table, _) in known {
        if table != DROPPED && !schema.tables.contains_key(table) {
            return Err(Missing {
                table: table.clone(),
                column: None,
            });
        }
        numbers.push(table.clone());
    }
    for table in schema.tables.keys() {
        if !known.iter().any(|(name, _)| name == table) {
            numbers.push(table.clone());
        }
    }
    Ok(numbers)
}

/// The table with the file's columns first, in the file's order.
pub(crate) fn in_order(def: &TableDef, known: &[String]) -> Result<TableDef, Missing> {
    let mut columns: Vec<ColumnDef> = Vec::with_capacity(def.columns.len());
    for name in known {
        if name == DROPPED {
            columns.push(dropped_column());
            continue;
        }
        let Some(column) = def.columns.iter().find(|c| &c.logical_name == name) else {
            return Err(Missing {
                table: def.logical_name.clone(),
                column: Some(name.clone()),
            });
        };
        columns.push(column.clone());
    }
    let new = |column: &&ColumnDef| !known.contains(&column.logical_name);
    columns.extend(def.columns.iter().filter(new).cloned());
    Ok(TableDef {
        columns,
        ..def.clone()
    })
}

/// Keeps the number of a column that was dropped; nothing finds it.
fn dropped_column() -> ColumnDef {
    ColumnDef {
        logical_name: DROPPED.to_owned(),
        schema_name: DROPPED.to_owned(),
        display_name: DROPPED.to_owned(),
        kind: ColumnKind::BigInt,
        creatable: false,
        updatable: false,
        required: RequiredLevel::None,
    }
}

/// The same for a table.
pub(crate) fn dropped_table() -> TableDef {
    TableDef {
        logical_name: DROPPED.to_owned(),
        schema_name: DROPPED.to_owned(),
        entity_set: DROPPED.to_owned(),
        display_name: DROPPED.to_owned(),
        primary_id: DROPPED.to_owned(),
        primary_name: None,
        type_code: 0,
        ownership: Ownership::None,
        nature: TableNature::Internal,
        bulk: false,
        columns: Vec::new(),
        keys: Vec::new(),
        relationships: Vec::new(),
    }
}
