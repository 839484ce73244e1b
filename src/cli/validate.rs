//! `segue validate`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::describe::snapshot_file;
use super::mappings::MappingArguments;
use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::mapping::Mapping;
use crate::push::{PushError, Validated, validate, validate_offline};
use crate::report::ExitCode;
use crate::snapshot::Snapshot;

/// Arguments of `segue validate`.
#[derive(Args)]
pub(super) struct ValidateArguments {
    #[command(flatten)]
    mappings: MappingArguments,
    /// Ask nobody: take the tables' schemas from what `segue describe TABLE --snapshot FILE` stored.
    #[arg(long)]
    offline: bool,
    /// With --offline: the file [default: what is stored in the state folder].
    #[arg(long, value_name = "FILE", requires = "offline")]
    snapshot: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: ValidateArguments) -> ExitCode {
    let mut codes = Vec::new();
    let mut told: Vec<Value> = Vec::new();
    let files = match arguments.mappings.files() {
        Ok(files) => files,
        Err(stop) => return stop.tell(),
    };
    for file in files {
        let name = file.display().to_string();
        match check(&file, &arguments).await {
            Ok(validated) => {
                let line = line(&name, &validated);
                if arguments.json {
                    told.push(json!({ "mapping": name, "valid": true, "table": validated.table }));
                } else {
                    output::print(&line);
                }
            }
            Err(stop) => {
                // Of several mappings nobody could tell otherwise which one it is.
                let stop = stop.at(name.clone());
                told.push(json!({ "mapping": name, "valid": false, "error": stop.to_json() }));
                codes.push(stop.tell());
            }
        }
    }
    let code = ExitCode::worst(codes);
    if arguments.json {
        let object = json!({
            "schema": "segue.validate/1",
            "exit_code": code.code(),
            "mappings": told,
        });
        output::print_json(&object);
    }
    code
}

async fn check(file: &Path, arguments: &ValidateArguments) -> Result<Validated, Stop> {
    let settings = &arguments.settings;
    let mapping = Mapping::read(file)?;
    let config = settings.read()?;
    let destination = settings.choose(&config, Some(&mapping))?;
    if arguments.offline {
        let kept = || snapshot_file(config.state(), destination.name());
        let file = arguments.snapshot.clone().unwrap_or_else(kept);
        let Some(snapshot) = Snapshot::read(&file)? else {
            let table = mapping.table.value;
            return Err(PushError::NotStored { table }.into());
        };
        let validated = validate_offline(&mapping, &snapshot).await;
        return validated.map_err(|error| Stop::about(&mapping, error));
    }
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let validated = validate(&mapping, &reached.connection).await;
    reached.leave().await;
    validated.map_err(|error| Stop::about(&mapping, error))
}

fn line(name: &str, validated: &Validated) -> String {
    format!(
        "{name}: valid; {} column{} of `{}` by {}, from {} file{}",
        validated.columns,
        if validated.columns == 1 { "" } else { "s" },
        validated.table,
        validated.key.join(" + "),
        validated.files,
        if validated.files == 1 { "" } else { "s" },
    )
}
