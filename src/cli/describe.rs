//! `segue describe`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use super::{mappings, output};
use crate::dataverse::{Dataverse, TableName, WireOptions};
use crate::mapping::Mapping;
use crate::model::{
    AlternateKey, ChoiceOption, Column, ColumnKind, Connection, DateTimeBehavior, KeyStatus, Label,
    LogicalName, Required, Table,
};
use crate::report::ExitCode;
use crate::snapshot::Snapshot;

/// Arguments of `segue describe`.
#[derive(Args)]
pub(super) struct DescribeArguments {
    /// A table, by logical name or entity set name; without it, all tables are listed.
    table: Option<String>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
    /// Store the table's schema in this file and in the state folder: for `segue validate --offline`.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// With --snapshot: a mapping, or a folder of them, whose tables are stored; repeat for more.
    #[arg(
        long,
        short,
        value_name = "FILE",
        requires = "snapshot",
        conflicts_with = "table"
    )]
    mapping: Vec<PathBuf>,
}

pub(super) async fn run(arguments: DescribeArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let destination = arguments.settings.choose(&config, None)?;
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let told = if arguments.snapshot.is_some() {
        let kept = snapshot_file(config.state(), destination.name());
        store(&arguments, &reached.connection, &kept).await
    } else {
        describe(&arguments, &reached.connection).await
    };
    reached.leave().await;
    output::print(&told?);
    Ok(ExitCode::Done)
}

/// Where the schemas of a destination's tables are kept.
pub(super) fn snapshot_file(state: &Path, destination: &str) -> PathBuf {
    state.join(destination).join("schema.json")
}

async fn store(
    arguments: &DescribeArguments,
    connection: &Connection,
    kept: &Path,
) -> Result<String, Stop> {
    let mut names: Vec<String> = arguments.table.iter().cloned().collect();
    for file in mappings::files_of(&arguments.mapping)? {
        let mapping = Mapping::read(&file)?;
        names.push(mapping.table.value.clone());
        names.extend(mapping.references().into_iter().map(str::to_owned));
    }
    if names.is_empty() {
        let text = "a snapshot is of a table";
        let help = "Name one, or mappings with `--mapping`.";
        return Err(Stop::new(text, help, ExitCode::Usage));
    }
    let environment = Dataverse::connect(connection, &WireOptions::default()).await?;
    let mut snapshot = Snapshot::new(environment.who().await?.organization);
    names.sort_unstable();
    names.dedup();
    for name in &names {
        let mut table = environment.table(name).await?;
        table.relationships = environment.relationships(&table).await?;
        snapshot.add(table);
    }
    let wanted = arguments.snapshot.as_deref();
    for path in wanted.into_iter().chain([kept]) {
        snapshot.store(path)?;
    }
    if arguments.json {
        let object = json!({ "schema": "segue.snapshot/1", "file": wanted, "tables": names });
        return Ok(object.to_string());
    }
    let file = wanted.unwrap_or(kept).display();
    Ok(format!("{file}: {}", names.join(", ")))
}

async fn describe(arguments: &DescribeArguments, connection: &Connection) -> Result<String, Stop> {
    let environment = Dataverse::connect(connection, &WireOptions::default()).await?;
    let Some(name) = &arguments.table else {
        let tables = environment.tables().await?;
        return Ok(if arguments.json {
            tables_json(&tables).to_string()
        } else {
            tables_text(&tables)
        });
    };
    let table = environment.table(name).await?;
    Ok(if arguments.json {
        table_json(&table).to_string()
    } else {
        table_text(&table)
    })
}

fn tables_text(tables: &[TableName]) -> String {
    let row = |table: &TableName| {
        vec![
            table.logical_name.clone(),
            table.entity_set.clone().unwrap_or_default(),
            table.display_name.clone().unwrap_or_default(),
        ]
    };
    let head = vec![head(&["table", "entity set", "display name"])];
    let rows = head.into_iter().chain(tables.iter().map(row));
    output::columns(&rows.collect::<Vec<_>>())
}

fn tables_json(tables: &[TableName]) -> Value {
    let table = |table: &TableName| {
        json!({
            "table": table.logical_name,
            "entity_set": table.entity_set,
            "display_name": table.display_name,
        })
    };
    let tables: Vec<Value> = tables.iter().map(table).collect();
    json!({ "schema": "segue.tables/1", "tables": tables })
}

fn table_text(table: &Table) -> String {
    let label = table.display_name.as_deref().unwrap_or_default();
    let title = format!(
        "{} ({})  {label}",
        table.name.as_str(),
        table.entity_set.as_str()
    );
    let mut columns = vec![head(&["column", "type", "required", "writable", "limits"])];
    columns.extend(table.columns.iter().map(|column| {
        vec![
            column.name.as_str().to_owned(),
            type_name(&column.kind).to_owned(),
            required(column.required).to_owned(),
            writable(column).to_owned(),
            limits(&column.kind),
        ]
    }));
    let mut keys = vec![head(&["alternate key", "status", "columns"])];
    keys.extend(table.keys.iter().map(|key| {
        vec![
            key.name.clone(),
            status(key.status).to_owned(),
            key_columns(key).join(" + "),
        ]
    }));
    let columns = output::columns(&columns);
    let keys = if table.keys.is_empty() {
        "no alternate keys".to_owned()
    } else {
        output::columns(&keys)
    };
    format!("{}\n\n{columns}\n\n{keys}", title.trim_end())
}

fn table_json(table: &Table) -> Value {
    let column = |column: &Column| {
        let mut object = json!({
            "column": column.name.as_str(),
            "display_name": column.display_name,
            "type": type_name(&column.kind),
            "required": required(column.required),
            "creatable": column.creatable,
            "updatable": column.updatable,
        });
        if let (Some(object), Value::Object(limits)) =
            (object.as_object_mut(), limits_json(&column.kind))
        {
            object.extend(limits);
        }
        object
    };
    let key = |key: &AlternateKey| json!({ "key": key.name, "columns": key_columns(key), "status": status(key.status) });
    json!({
        "schema": "segue.table/1",
        "table": table.name.as_str(),
        "entity_set": table.entity_set.as_str(),
        "display_name": table.display_name,
        "primary_id": table.primary_id.as_str(),
        "primary_name": table.primary_name.as_ref().map(LogicalName::as_str),
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
        "keys": table.keys.iter().map(key).collect::<Vec<_>>(),
    })
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_uppercase()).collect()
}

fn key_columns(key: &AlternateKey) -> Vec<&str> {
    key.columns.iter().map(LogicalName::as_str).collect()
}

fn type_name(kind: &ColumnKind) -> &str {
    match kind {
        ColumnKind::Text { .. } => "text",
        ColumnKind::Memo { .. } => "memo",
        ColumnKind::Integer { .. } => "integer",
        ColumnKind::BigInt => "big integer",
        ColumnKind::Decimal { .. } => "decimal",
        ColumnKind::Float { .. } => "float",
        ColumnKind::Money { .. } => "money",
        ColumnKind::Boolean { .. } => "boolean",
        ColumnKind::Date => "date",
        ColumnKind::DateTime { .. } => "date and time",
        ColumnKind::Choice { .. } => "choice",
        ColumnKind::Choices { .. } => "choices",
        ColumnKind::State { .. } => "state",
        ColumnKind::Status { .. } => "status",
        ColumnKind::Guid => "guid",
        ColumnKind::Lookup { .. } => "lookup",
        ColumnKind::Other(name) => name,
    }
}

fn required(required: Required) -> &'static str {
    match required {
        Required::No => "no",
        Required::Business => "business",
        Required::System => "system",
    }
}

fn writable(column: &Column) -> &'static str {
    match (column.creatable, column.updatable) {
        (true, true) => "create, update",
        (true, false) => "create",
        (false, true) => "update",
        (false, false) => "no",
    }
}

fn status(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Pending => "pending",
        KeyStatus::InProgress => "in progress",
        KeyStatus::Active => "active",
        KeyStatus::Failed => "failed",
    }
}

fn behavior(behavior: DateTimeBehavior) -> &'static str {
    match behavior {
        DateTimeBehavior::UserLocal => "user local",
        DateTimeBehavior::TimeZoneIndependent => "time zone independent",
    }
}

fn limits(kind: &ColumnKind) -> String {
    match kind {
        ColumnKind::Text { max_length } | ColumnKind::Memo { max_length } => {
            format!("at most {max_length}")
        }
        ColumnKind::Integer { min, max } => format!("{min} to {max}"),
        ColumnKind::Decimal {
            min,
            max,
            precision,
        }
        | ColumnKind::Money {
            min,
            max,
            precision,
        } => {
            format!("{min} to {max}, {precision} digits")
        }
        ColumnKind::Float {
            min,
            max,
            precision,
        } => {
            format!("{min} to {max}, {precision} digits")
        }
        ColumnKind::Boolean { yes, no } => format!("1 {}, 0 {}", label(yes), label(no)),
        ColumnKind::DateTime { behavior: meant } => behavior(*meant).to_owned(),
        ColumnKind::Choice { options }
        | ColumnKind::Choices { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } => {
            let option =
                |option: &ChoiceOption| format!("{} {}", option.value, label(&option.labels));
            options.iter().map(option).collect::<Vec<_>>().join(", ")
        }
        ColumnKind::Lookup { targets } => {
            let targets: Vec<&str> = targets.iter().map(LogicalName::as_str).collect();
            format!("to {}", targets.join(", "))
        }
        ColumnKind::BigInt | ColumnKind::Date | ColumnKind::Guid | ColumnKind::Other(_) => {
            String::new()
        }
    }
}

/// Decimals travel as text, so that no reader rounds them.
fn limits_json(kind: &ColumnKind) -> Value {
    match kind {
        ColumnKind::Text { max_length } | ColumnKind::Memo { max_length } => {
            json!({ "max_length": max_length })
        }
        ColumnKind::Integer { min, max } => json!({ "min": min, "max": max }),
        ColumnKind::Decimal {
            min,
            max,
            precision,
        }
        | ColumnKind::Money {
            min,
            max,
            precision,
        } => {
            json!({ "min": min.to_string(), "max": max.to_string(), "precision": precision })
        }
        ColumnKind::Float {
            min,
            max,
            precision,
        } => {
            json!({ "min": min, "max": max, "precision": precision })
        }
        ColumnKind::Boolean { yes, no } => json!({ "yes": label(yes), "no": label(no) }),
        ColumnKind::DateTime { behavior: meant } => json!({ "behavior": behavior(*meant) }),
        ColumnKind::Choice { options }
        | ColumnKind::Choices { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } => {
            let option = |option: &ChoiceOption| json!({ "value": option.value, "label": label(&option.labels), "state": option.state });
            json!({ "options": options.iter().map(option).collect::<Vec<_>>() })
        }
        ColumnKind::Lookup { targets } => {
            let targets: Vec<&str> = targets.iter().map(LogicalName::as_str).collect();
            json!({ "targets": targets })
        }
        ColumnKind::BigInt | ColumnKind::Date | ColumnKind::Guid | ColumnKind::Other(_) => {
            json!({})
        }
    }
}

fn label(labels: &[Label]) -> &str {
    labels.first().map_or("", |label| &label.text)
}
