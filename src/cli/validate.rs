//! `segue validate`

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::mappings::MappingArguments;
use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::mapping::Mapping;
use crate::push::{Validated, validate};
use crate::report::ExitCode;

/// Arguments of `segue validate`.
#[derive(Args)]
pub(super) struct ValidateArguments {
    #[command(flatten)]
    mappings: MappingArguments,
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
        match check(&file, &arguments.settings).await {
            Ok(validated) => {
                let line = line(&name, &validated);
                if arguments.json {
                    told.push(json!({ "mapping": name, "valid": true, "table": validated.table }));
                } else {
                    output::print(&line);
                }
            }
            Err(stop) => {
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

async fn check(file: &Path, settings: &SettingsArguments) -> Result<Validated, Stop> {
    let mapping = Mapping::read(file)?;
    let config = settings.read()?;
    let destination = settings.choose(&config, Some(&mapping))?;
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let validated = validate(&mapping, &reached.connection).await;
    reached.leave().await;
    Ok(validated?)
}

fn line(name: &str, validated: &Validated) -> String {
    format!(
        "{name}: valid; {} columns of `{}` by {}, from {} file{}",
        validated.columns,
        validated.table,
        validated.key.join(" + "),
        validated.files,
        if validated.files == 1 { "" } else { "s" },
    )
}
