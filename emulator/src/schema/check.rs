//! What must hold between the parts of a schema.

use std::collections::BTreeSet;

use super::{
    ColumnDef, ColumnKind, KeyDef, LookupFlavor, OptionDef, OptionSet, Schema, SchemaError,
    TableDef,
};

/// Microsoft Learn, "Define alternate keys for a table": at most this many keys on a table.
const MOST_KEYS: usize = 10;
/// An index has at most this many columns and bytes (SQL Server).
const MOST_KEY_COLUMNS: usize = 16;
const MOST_KEY_BYTES: usize = 900;

/// Checks every table; the first problem is told.
pub(super) fn check(schema: &Schema) -> Result<(), SchemaError> {
    let mut sets = BTreeSet::new();
    for table in schema.tables.values() {
        let in_table = |problem| SchemaError::Table {
            table: table.logical_name.clone(),
            problem,
        };
        if !sets.insert(&table.entity_set) {
            return Err(in_table(format!(
                "the set `{}` is another table's",
                table.entity_set
            )));
        }
        primary_columns(table).map_err(in_table)?;
        keys(table).map_err(in_table)?;
        for column in &table.columns {
            check_column(schema, table, column).map_err(|problem| SchemaError::Column {
                table: table.logical_name.clone(),
                column: column.logical_name.clone(),
                problem,
            })?;
        }
    }
    relationship_names(schema)
}

fn primary_columns(table: &TableDef) -> Result<(), String> {
    match table.column(&table.primary_id) {
        Some(ColumnDef {
            kind: ColumnKind::Guid,
            ..
        }) => {}
        _ => {
            return Err(format!(
                "the primary id `{}` must be a guid column",
                table.primary_id
            ));
        }
    }
    let Some(name) = &table.primary_name else {
        return Ok(());
    };
    match table.column(name) {
        Some(ColumnDef {
            kind: ColumnKind::Text { .. },
            ..
        }) => Ok(()),
        _ => Err(format!("the primary name `{name}` must be a text column")),
    }
}

fn keys(table: &TableDef) -> Result<(), String> {
    if table.keys.len() > MOST_KEYS {
        return Err(format!(
            "{} keys are more than {MOST_KEYS}",
            table.keys.len()
        ));
    }
    table.keys.iter().try_for_each(|key| check_key(table, key))
}

fn check_key(table: &TableDef, key: &KeyDef) -> Result<(), String> {
    let name = &key.logical_name;
    if key.columns.is_empty() || key.columns.len() > MOST_KEY_COLUMNS {
        return Err(format!(
            "the key `{name}` must have 1 to {MOST_KEY_COLUMNS} columns"
        ));
    }
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for column in &key.columns {
        let Some(definition) = table.column(column) else {
            return Err(format!(
                "the key `{name}` has a column `{column}` that does not exist"
            ));
        };
        if !seen.insert(column) {
            return Err(format!("the key `{name}` has the column `{column}` twice"));
        }
        bytes += match definition.kind {
            ColumnKind::Text { max_length } => 2 * max_length,
            ColumnKind::Integer { .. } | ColumnKind::Picklist { .. } => 4,
            ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeIndependent => 8,
            ColumnKind::Decimal { .. } => 13,
            ColumnKind::Lookup { .. } => 16,
            ColumnKind::Guid if table.is_elastic() => 16,
            _ => {
                return Err(format!(
                    "`{column}` has a type that the key `{name}` cannot hold"
                ));
            }
        };
    }
    if bytes > MOST_KEY_BYTES {
        return Err(format!(
            "the key `{name}` takes {bytes} bytes, more than {MOST_KEY_BYTES}"
        ));
    }
    Ok(())
}

fn check_column(schema: &Schema, table: &TableDef, column: &ColumnDef) -> Result<(), String> {
    match &column.kind {
        ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options } => choice(options),
        ColumnKind::State { options } => unique_values(options),
        ColumnKind::Status { options } => status(table, options),
        ColumnKind::Lookup { flavor } => lookup(schema, table, column, *flavor),
        _ => Ok(()),
    }
}

fn choice(set: &OptionSet) -> Result<(), String> {
    unique_values(&set.options)?;
    match set.default {
        Some(default) if !set.options.iter().any(|option| option.value == default) => {
            Err(format!("the default {default} is not an option"))
        }
        _ => Ok(()),
    }
}

fn unique_values(options: &[OptionDef]) -> Result<(), String> {
    if options.is_empty() {
        return Err("there must be an option".into());
    }
    let mut values = BTreeSet::new();
    match options.iter().find(|option| !values.insert(option.value)) {
        None => Ok(()),
        Some(option) => Err(format!("the option {} is there twice", option.value)),
    }
}

/// Every reason has a state that exists, and every state a reason to begin with.
fn status(table: &TableDef, reasons: &[OptionDef]) -> Result<(), String> {
    unique_values(reasons)?;
    let Some(ColumnDef {
        kind: ColumnKind::State { options: states },
        ..
    }) = table.column("statecode")
    else {
        return Err("a status needs a state".into());
    };
    for reason in reasons {
        if !states.iter().any(|state| Some(state.value) == reason.state) {
            return Err(format!("the reason {} belongs to no state", reason.value));
        }
    }
    match states
        .iter()
        .find(|state| reasons.iter().all(|r| r.state != Some(state.value)))
    {
        None => Ok(()),
        Some(state) => Err(format!("the state {} has no reason", state.value)),
    }
}

fn lookup(
    schema: &Schema,
    table: &TableDef,
    column: &ColumnDef,
    flavor: LookupFlavor,
) -> Result<(), String> {
    let mut targets = BTreeSet::new();
    for relationship in &table.relationships {
        if relationship.column != column.logical_name {
            continue;
        }
        let target = &relationship.target;
        if !schema.tables.contains_key(target) {
            return Err(format!(
                "it points to a table `{target}` that does not exist"
            ));
        }
        if !targets.insert(target) {
            return Err(format!("it points to the table `{target}` twice"));
        }
        let shared = table
            .relationships
            .iter()
            .filter(|other| other.navigation == relationship.navigation)
            .count();
        // Only the owner is written by one name for all of its tables.
        if flavor != LookupFlavor::Owner && shared > 1 {
            let navigation = &relationship.navigation;
            return Err(format!(
                "the navigation property `{navigation}` stands for two lookups"
            ));
        }
    }
    if targets.is_empty() {
        Err("a lookup must point to a table".into())
    } else {
        Ok(())
    }
}

fn relationship_names(schema: &Schema) -> Result<(), SchemaError> {
    let mut names = BTreeSet::new();
    let mut collections = BTreeSet::new();
    for table in schema.tables.values() {
        for relationship in &table.relationships {
            let name = &relationship.schema_name;
            let is_new = names.insert(name.to_lowercase())
                && collections.insert((&relationship.target, &relationship.collection));
            if !is_new {
                return Err(SchemaError::Column {
                    table: table.logical_name.clone(),
                    column: relationship.column.clone(),
                    problem: format!("the relationship `{name}` is there already"),
                });
            }
        }
    }
    Ok(())
}
