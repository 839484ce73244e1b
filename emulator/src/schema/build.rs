//! Puts tables together: what a file says, and the columns that come by themselves.

use std::collections::BTreeMap;

use super::column::{self, NewColumn};
use super::companions;
use super::nature;
use super::written::{
    Labels, Pairs, WrittenColumn, WrittenFullKey, WrittenKey, WrittenKeyStatus, WrittenOwnership,
    WrittenState, WrittenTable,
};
use super::{
    ColumnDef, ColumnKind, KeyDef, KeyIndexStatus, OptionDef, Ownership, RequiredLevel, Schema,
    SchemaError, TableDef, TableNature,
};

/// The tables as files; a global choice stands in the first table that has it.
pub(super) const BUILT_IN: [&str; 16] = [
    include_str!("../../schema/account.json"),
    include_str!("../../schema/contact.json"),
    include_str!("../../schema/lead.json"),
    include_str!("../../schema/opportunity.json"),
    include_str!("../../schema/incident.json"),
    include_str!("../../schema/task.json"),
    include_str!("../../schema/systemuser.json"),
    include_str!("../../schema/team.json"),
    include_str!("../../schema/product.json"),
    include_str!("../../schema/businessunit.json"),
    include_str!("../../schema/transactioncurrency.json"),
    include_str!("../../schema/organization.json"),
    include_str!("../../schema/related.json"),
    include_str!("../../schema/new_subscription.json"),
    include_str!("../../schema/service.json"),
    include_str!("../../schema/activities.json"),
];

const BASE: &str = include_str!("../../schema/block_base.json");
const OWNED: &str = include_str!("../../schema/block_owned.json");
pub(super) const CURRENCY: &str = include_str!("../../schema/block_currency.json");
const ADDRESS: &str = include_str!("../../schema/block_address.json");

/// Custom tables count from here; a few numbers are left to the built-in ones.
const FIRST_FREE_CODE: i32 = 10_100;

/// Adds the tables of one file.
pub(super) fn add(schema: &mut Schema, json: &str) -> Result<(), SchemaError> {
    let tables: Vec<WrittenTable> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json)?
    } else {
        vec![serde_json::from_str(json)?]
    };
    for written in tables {
        let table = match schema.tables.get(&written.table.to_lowercase()) {
            Some(known) => extended(schema, known.clone(), written)?,
            None => new_table(schema, written)?,
        };
        schema.tables.insert(table.logical_name.clone(), table);
    }
    Ok(())
}

fn extended(
    schema: &Schema,
    mut table: TableDef,
    written: WrittenTable,
) -> Result<TableDef, SchemaError> {
    let is_redefined = written.display.is_some()
        || written.set.is_some()
        || written.id.is_some()
        || written.name.is_some()
        || written.code.is_some()
        || written.ownership.is_some()
        || written.elastic.is_some()
        || written.bulk.is_some()
        || written.internal.is_some()
        || written.between.is_some()
        || written.addresses.is_some()
        || written.states.is_some();
    if is_redefined {
        let problem = "the table is there already, so only `columns` and `keys` can be added";
        return Err(SchemaError::Table {
            table: table.logical_name,
            problem: problem.into(),
        });
    }
    add_written_columns(schema, &mut table, written.columns)?;
    companions::of_money(schema, &mut table)?;
    companions::of_files(schema, &mut table)?;
    add_keys(&mut table, written.keys)?;
    Ok(table)
}

fn new_table(schema: &Schema, mut written: WrittenTable) -> Result<TableDef, SchemaError> {
    let columns = std::mem::take(&mut written.columns);
    let keys = std::mem::take(&mut written.keys);
    let states = written.states.take();
    let addresses = written.addresses.unwrap_or(0);
    let id = written
        .id
        .take()
        .unwrap_or_else(|| format!("{}Id", written.table));
    let name = written.name.take();
    let mut table = bare_table(schema, written, &id, name.as_deref())?;
    add_column(
        schema,
        &mut table,
        &id,
        typed("guid create-only system-required"),
    )?;
    let own = nature::columns(&table.nature);
    add_written_columns(schema, &mut table, own)?;
    add_written_columns(schema, &mut table, columns)?;
    if let Some(name) = name
        && table.column(&name.to_lowercase()).is_none()
    {
        add_column(schema, &mut table, &name, typed("text(100) required"))?;
    }
    for number in 1..=addresses {
        add_block(
            schema,
            &mut table,
            &ADDRESS.replace("{n}", &number.to_string()),
        )?;
    }
    companions::of_money(schema, &mut table)?;
    companions::of_files(schema, &mut table)?;
    add_states(&mut table, states)?;
    let base = match table.nature {
        TableNature::Intersect(_) => r#"{"VersionNumber": "bigint read-only"}"#,
        _ => BASE,
    };
    add_block(schema, &mut table, base)?;
    if table.ownership == Ownership::User {
        add_block(schema, &mut table, OWNED)?;
    }
    table.keys = nature::keys(&table);
    if table.is_elastic() && !keys.0.is_empty() {
        return Err(SchemaError::Table {
            table: table.logical_name,
            problem: "an elastic table has one key, and no other can be added".into(),
        });
    }
    add_keys(&mut table, keys)?;
    Ok(table)
}

/// The table itself, without columns.
fn bare_table(
    schema: &Schema,
    written: WrittenTable,
    id: &str,
    name: Option<&str>,
) -> Result<TableDef, SchemaError> {
    let logical_name = written.table.to_lowercase();
    let refuse = |problem: &str| {
        Err(SchemaError::Table {
            table: logical_name.clone(),
            problem: problem.into(),
        })
    };
    if !column::is_name(&written.table) {
        return refuse("a name is made of letters, digits and `_`, and begins with a letter");
    }
    if written.addresses > Some(3) {
        return refuse("there are at most 3 address blocks");
    }
    let (nature, bulk) = nature::of(schema, &written)?;
    Ok(TableDef {
        nature,
        bulk,
        entity_set: written.set.unwrap_or_else(|| format!("{logical_name}s")),
        display_name: written
            .display
            .unwrap_or_else(|| column::words(&written.table)),
        primary_id: id.to_lowercase(),
        primary_name: name.map(str::to_lowercase),
        type_code: written.code.unwrap_or_else(|| free_code(schema)),
        ownership: match written.ownership {
            None | Some(WrittenOwnership::User) => Ownership::User,
            Some(WrittenOwnership::Organization) => Ownership::Organization,
            Some(WrittenOwnership::None) => Ownership::None,
        },
        schema_name: written.table,
        columns: Vec::new(),
        keys: Vec::new(),
        relationships: Vec::new(),
        logical_name,
    })
}

pub(super) fn typed(phrase: &str) -> WrittenColumn {
    WrittenColumn {
        phrase: phrase.to_owned(),
        ..WrittenColumn::default()
    }
}

fn free_code(schema: &Schema) -> i32 {
    let taken = schema
        .tables
        .values()
        .map(|table| table.type_code.saturating_add(1));
    taken.fold(FIRST_FREE_CODE, i32::max)
}

fn add_written_columns(
    schema: &Schema,
    table: &mut TableDef,
    columns: Pairs<WrittenColumn>,
) -> Result<(), SchemaError> {
    for (schema_name, written) in columns.0 {
        let column = schema_name.to_lowercase();
        if table.column(&column).is_some() {
            return Err(SchemaError::Column {
                table: table.logical_name.clone(),
                column,
                problem: "the column is there already".into(),
            });
        }
        add_column(schema, table, &schema_name, written)?;
    }
    Ok(())
}

/// Adds the columns of a block that the file itself has not declared.
pub(super) fn add_block(
    schema: &Schema,
    table: &mut TableDef,
    template: &str,
) -> Result<(), SchemaError> {
    // Activities suffix the navigation properties that every table has.
    let suffix = if table.is_activity() {
        format!("_{}", table.logical_name)
    } else {
        String::new()
    };
    let json = template
        .replace("{table}", &table.logical_name)
        .replace("{suffix}", &suffix);
    let block: Pairs<WrittenColumn> = serde_json::from_str(&json)?;
    for (schema_name, written) in block.0 {
        if table.column(&schema_name.to_lowercase()).is_none() {
            add_column(schema, table, &schema_name, written)?;
        }
    }
    Ok(())
}

pub(super) fn add_column(
    schema: &Schema,
    table: &mut TableDef,
    schema_name: &str,
    written: WrittenColumn,
) -> Result<(), SchemaError> {
    let NewColumn {
        column,
        relationships,
    } = column::read(schema, table, schema_name, written).map_err(|problem| {
        SchemaError::Column {
            table: table.logical_name.clone(),
            column: schema_name.to_lowercase(),
            problem,
        }
    })?;
    table.columns.push(column);
    table.relationships.extend(relationships);
    Ok(())
}

fn add_states(table: &mut TableDef, states: Option<Vec<WrittenState>>) -> Result<(), SchemaError> {
    let states = states.unwrap_or_else(active_and_inactive);
    if states.is_empty() {
        return Ok(());
    }
    let mut state_options = Vec::new();
    let mut reasons = Vec::new();
    for state in states {
        let of_state = column::options(state.reasons, Some(state.value)).map_err(|problem| {
            let column = "statuscode".to_owned();
            SchemaError::Column {
                table: table.logical_name.clone(),
                column,
                problem,
            }
        })?;
        reasons.extend(of_state);
        let Labels(labels) = state.label;
        state_options.push(OptionDef {
            value: state.value,
            labels,
            state: None,
        });
    }
    table.columns.push(state_column(
        "StateCode",
        "Status",
        RequiredLevel::System,
        ColumnKind::State {
            options: state_options,
        },
    ));
    table.columns.push(state_column(
        "StatusCode",
        "Status Reason",
        RequiredLevel::None,
        ColumnKind::Status { options: reasons },
    ));
    Ok(())
}

fn state_column(
    schema_name: &str,
    display_name: &str,
    required: RequiredLevel,
    kind: ColumnKind,
) -> ColumnDef {
    ColumnDef {
        logical_name: schema_name.to_lowercase(),
        schema_name: schema_name.to_owned(),
        display_name: display_name.to_owned(),
        kind,
        creatable: true,
        updatable: true,
        required,
    }
}

fn active_and_inactive() -> Vec<WrittenState> {
    let labels = |text: &str| Labels(BTreeMap::from([(1033, text.to_owned())]));
    let state = |value: i32, text: &str, reason: &str| WrittenState {
        value,
        label: labels(text),
        reasons: Pairs(vec![(reason.to_owned(), labels(text))]),
    };
    vec![state(0, "Active", "1"), state(1, "Inactive", "2")]
}

fn add_keys(table: &mut TableDef, keys: Pairs<WrittenKey>) -> Result<(), SchemaError> {
    for (name, written) in keys.0 {
        let logical_name = name.to_lowercase();
        if table
            .keys
            .iter()
            .any(|key| key.logical_name == logical_name)
        {
            return Err(SchemaError::Table {
                table: table.logical_name.clone(),
                problem: format!("the key `{logical_name}` is there already"),
            });
        }
        let full = match written {
            WrittenKey::Full(full) => full,
            WrittenKey::Columns(columns) => WrittenFullKey {
                columns,
                label: None,
                status: WrittenKeyStatus::Active,
            },
        };
        table.keys.push(KeyDef {
            display_name: full.label.unwrap_or_else(|| column::words(&name)),
            schema_name: name,
            logical_name,
            columns: full
                .columns
                .iter()
                .map(|column| column.to_lowercase())
                .collect(),
            status: match full.status {
                WrittenKeyStatus::Pending => KeyIndexStatus::Pending,
                WrittenKeyStatus::InProgress => KeyIndexStatus::InProgress,
                WrittenKeyStatus::Active => KeyIndexStatus::Active,
                WrittenKeyStatus::Failed => KeyIndexStatus::Failed,
            },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_are_columns() {
        for template in [BASE, OWNED, CURRENCY, ADDRESS] {
            let block: Pairs<WrittenColumn> = serde_json::from_str(template).unwrap();
            assert!(!block.0.is_empty());
        }
    }

    #[test]
    fn money_brings_the_currency_and_a_base_amount() {
        let schema = Schema::built_in().unwrap();
        let table = &schema.tables["new_subscription"];
        let base = table.column("new_amount_base").unwrap();
        assert!(!base.creatable && !base.updatable);
        assert_eq!(base.schema_name, "new_Amount_Base");
        assert!(table.column("exchangerate").is_some());
        assert!(table.column("transactioncurrencyid").is_some());
        assert!(schema.tables["team"].column("exchangerate").is_none());
    }

    #[test]
    fn activities_suffix_inherited_navigation_properties() {
        let schema = Schema::built_in().unwrap();
        let navigation = |table: &str, column: &str| -> Vec<String> {
            let relationships = &schema.tables[table].relationships;
            let of_column = relationships.iter().filter(|r| r.column == column);
            of_column.map(|r| r.navigation.clone()).collect()
        };
        assert_eq!(navigation("task", "ownerid"), ["ownerid_task"; 3]);
        assert_eq!(navigation("contact", "ownerid"), ["ownerid"; 3]);
        assert_eq!(navigation("task", "createdby"), ["createdby_task"]);
    }
}
