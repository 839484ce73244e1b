//! Columns that come along with others: currencies with amounts, names with files.

use super::build::{CURRENCY, add_block, add_column, typed};
use super::{ColumnDef, ColumnKind, Schema, SchemaError, TableDef};

/// Money brings the row's currency, its rate and an amount in the base currency.
pub(super) fn of_money(schema: &Schema, table: &mut TableDef) -> Result<(), SchemaError> {
    let is_base = |column: &ColumnDef| column.logical_name.ends_with("_base");
    let amounts: Vec<(String, String)> = table
        .columns
        .iter()
        .filter(|column| matches!(column.kind, ColumnKind::Money { .. }) && !is_base(column))
        .map(|column| (column.schema_name.clone(), column.display_name.clone()))
        .collect();
    if amounts.is_empty() {
        return Ok(());
    }
    for (schema_name, label) in amounts {
        let shadow = format!("{schema_name}_Base");
        if table.column(&shadow.to_lowercase()).is_none() {
            let mut written = typed("money(4) read-only");
            written.label = Some(format!("{label} (Base)"));
            add_column(schema, table, &shadow, written)?;
        }
    }
    add_block(schema, table, CURRENCY)
}

/// A file has a name.
pub(super) fn of_files(schema: &Schema, table: &mut TableDef) -> Result<(), SchemaError> {
    let files = table.columns.iter();
    let files = files.filter(|column| matches!(column.kind, ColumnKind::File { .. }));
    let names: Vec<String> = files.map(|it| format!("{}_Name", it.schema_name)).collect();
    for name in names {
        if table.column(&name.to_lowercase()).is_none() {
            add_column(schema, table, &name, typed("text(255) read-only"))?;
        }
    }
    Ok(())
}
