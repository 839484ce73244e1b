//! `segue describe`

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::dataverse::{Dataverse, TableName, WireOptions};
use crate::mapping::kind_in_words;
use crate::model::{
    AlternateKey, ChoiceOption, Column, ColumnKind, Connection, KeyStatus, LogicalName, Required,
    Table,
};
use crate::report::ExitCode;

/// Arguments of `segue describe`.
#[derive(Args)]
pub(super) struct DescribeArguments {
    /// The table, by logical name or entity set name [default: list the tables].
    table: Option<String>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: DescribeArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let destination = arguments.settings.choose(&config, None)?;
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let described = look(&arguments, &reached.connection).await;
    reached.leave().await;
    output::print(&described?);
    Ok(ExitCode::Done)
}

async fn look(arguments: &DescribeArguments, connection: &Connection) -> Result<String, Stop> {
    let environment = Dataverse::connect(connection, &WireOptions::default()).await?;
    let Some(name) = &arguments.table else {
        let tables = environment.tables().await?;
        return Ok(if arguments.json {
            json!({ "schema": "segue.tables/1", "tables": tables.iter().map(named).collect::<Vec<_>>() })
                .to_string()
        } else {
            listed(&tables)
        });
    };
    let table = environment.table(name).await?;
    Ok(if arguments.json {
        as_json(&table).to_string()
    } else {
        for_people(&table)
    })
}

fn named(table: &TableName) -> Value {
    json!({ "name": table.name, "entity_set": table.entity_set, "label": table.display_name })
}

fn listed(tables: &[TableName]) -> String {
    let line = |table: &TableName| {
        vec![
            table.name.clone(),
            table.entity_set.clone().unwrap_or_default(),
            table.display_name.clone().unwrap_or_default(),
        ]
    };
    output::columns(&tables.iter().map(line).collect::<Vec<_>>())
}

fn for_people(table: &Table) -> String {
    let label = table.display_name.as_deref().unwrap_or_default();
    let head = format!("{} ({label}), {} in URLs", table.name, table.entity_set);
    let keys = table.keys.iter().map(|key| {
        let columns: Vec<&str> = key.columns.iter().map(LogicalName::as_str).collect();
        format!("  [{}]  {}", columns.join(", "), status(key))
    });
    let keys: Vec<String> = std::iter::once(format!("  [{}]  primary id", table.primary_id))
        .chain(keys)
        .collect();
    let columns: Vec<Vec<String>> = table.columns.iter().map(line).collect();
    format!(
        "{head}\n\nkeys\n{}\n\ncolumns\n{}",
        keys.join("\n"),
        output::columns(&columns)
    )
}

fn status(key: &AlternateKey) -> &'static str {
    match key.status {
        KeyStatus::Active => "active",
        KeyStatus::Pending => "pending",
        KeyStatus::InProgress => "being built",
        KeyStatus::Failed => "failed",
    }
}

fn line(column: &Column) -> Vec<String> {
    let writable = match (column.creatable, column.updatable) {
        (true, true) => "",
        (true, false) => "on create only",
        (false, true) => "on update only",
        (false, false) => "read-only",
    };
    let mut kind = kind_in_words(&column.kind);
    if let Some(options) = options(&column.kind).filter(|options| options.len() <= 12) {
        let shown: Vec<String> = options.iter().map(option_in_words).collect();
        kind = format!("{kind}: {}", shown.join(", "));
    }
    vec![
        format!("  {}", column.name),
        required(column).to_owned(),
        writable.to_owned(),
        kind,
    ]
}

fn option_in_words(option: &ChoiceOption) -> String {
    // Any language would do; English is what the maker portal's own names are in.
    let english = option.labels.iter().find(|label| label.language == 1033);
    let label = english.or(option.labels.first());
    let label = label.map(|label| label.text.as_str());
    format!("{} {}", option.value, label.unwrap_or_default())
}

fn required(column: &Column) -> &'static str {
    match column.required {
        Required::No => "",
        Required::Business | Required::System => "required",
    }
}

fn options(kind: &ColumnKind) -> Option<&[ChoiceOption]> {
    match kind {
        ColumnKind::Choice { options }
        | ColumnKind::Choices { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } => Some(options),
        _ => None,
    }
}

fn as_json(table: &Table) -> Value {
    let column = |column: &Column| {
        let options = options(&column.kind).map(|options| {
            let option = |option: &ChoiceOption| {
                let labels = option.labels.iter().map(|label| &label.text);
                json!({ "value": option.value, "labels": labels.collect::<Vec<_>>() })
            };
            options.iter().map(option).collect::<Vec<_>>()
        });
        let targets = match &column.kind {
            ColumnKind::Lookup { targets } => Some(targets.iter().map(LogicalName::as_str)),
            _ => None,
        };
        json!({
            "name": column.name.as_str(),
            "label": column.display_name,
            "type": kind_in_words(&column.kind),
            "creatable": column.creatable,
            "updatable": column.updatable,
            "required": !required(column).is_empty(),
            "options": options,
            "targets": targets.map(Iterator::collect::<Vec<_>>),
        })
    };
    let key = |key: &AlternateKey| {
        let columns: Vec<&str> = key.columns.iter().map(LogicalName::as_str).collect();
        json!({ "name": key.name, "columns": columns, "status": status(key) })
    };
    json!({
        "schema": "segue.table/1",
        "name": table.name.as_str(),
        "entity_set": table.entity_set.as_str(),
        "label": table.display_name,
        "primary_id": table.primary_id.as_str(),
        "keys": table.keys.iter().map(key).collect::<Vec<_>>(),
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
    })
}
