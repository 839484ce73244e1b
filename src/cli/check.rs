//! `segue check`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use super::{journey, output};
use crate::check::{Finding, Step, check};
use crate::dataverse::Lacking;
use crate::mapping::Mapping;
use crate::report::ExitCode;

/// Arguments of `segue check`.
#[derive(Args)]
pub(super) struct CheckArguments {
    /// A destination of segue.yaml; the same as --destination.
    #[arg(value_name = "DESTINATION", conflicts_with = "destination")]
    wanted: Option<String>,
    /// A mapping whose table and privileges are looked at too; repeat for several.
    #[arg(long, short, value_name = "FILE")]
    mapping: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: CheckArguments) -> Result<ExitCode, Stop> {
    let looked = look(&arguments).await;
    if let (Err(stop), true) = (&looked, arguments.json) {
        output::print_json(&json!({
            "schema": "segue.check/1",
            "exit_code": stop.code().code(),
            "destination": null,
            "steps": [],
            "errors": [stop.to_json()],
        }));
    }
    looked
}

async fn look(arguments: &CheckArguments) -> Result<ExitCode, Stop> {
    let mappings = arguments.mapping.iter().map(|file| Mapping::read(file));
    let mappings: Vec<Mapping> = mappings.collect::<Result<_, _>>()?;
    let config = arguments.settings.read()?;
    let destination = match &arguments.wanted {
        Some(name) => config.choose(Some(name), None)?,
        None => arguments.settings.choose(&config, mappings.first())?,
    };
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let steps = check(&reached.connection, &mappings, journey::now).await;
    reached.leave().await;
    let told: Vec<Told> = steps.into_iter().map(Told::of).collect();
    let code = ExitCode::worst(told.iter().map(|told| told.code));
    if arguments.json {
        let object = json!({
            "schema": "segue.check/1",
            "exit_code": code.code(),
            "destination": destination.name(),
            "steps": told.iter().map(Told::to_json).collect::<Vec<_>>(),
        });
        output::print_json(&object);
    } else {
        let lines: Vec<String> = told.iter().map(Told::line).collect();
        output::print(&lines.join("\n"));
    }
    Ok(code)
}

/// A step in words.
struct Told {
    name: &'static str,
    mark: char,
    status: &'static str,
    what: String,
    help: Option<String>,
    code: ExitCode,
}

impl Told {
    fn of(step: Step) -> Self {
        let name = step.name;
        let (mark, status, what, help, code) = match step.finding {
            Finding::Holds(what) => ('✓', "ok", what, None, ExitCode::Done),
            Finding::Doubtful { what, help } => ('!', "warning", what, Some(help), ExitCode::Done),
            Finding::Skipped(why) => ('–', "skipped", why, None, ExitCode::Done),
            Finding::Fails(error) => {
                let help = error.help().into_owned();
                let what = error.to_string();
                let code = Stop::from(error).code();
                ('✗', "failed", what, Some(help), code)
            }
            Finding::Lacks(missing) => {
                let place = |it: &Lacking| format!("{} on table `{}`", it.privilege, it.table);
                let names: Vec<&str> = missing.iter().map(|it| it.privilege.as_str()).collect();
                let places: Vec<String> = missing.iter().map(place).collect();
                let what = format!("the application user lacks {}", places.join(", "));
                let names = names.join(", ");
                let help = format!("Grant {names} in a security role of the application user.");
                ('✗', "failed", what, Some(help), ExitCode::Connection)
            }
        };
        Self {
            name,
            mark,
            status,
            what,
            help,
            code,
        }
    }

    fn line(&self) -> String {
        let line = format!("{} {:10}  {}", self.mark, self.name, self.what);
        match &self.help {
            Some(help) => format!("{line}\n  help: {help}"),
            None => line,
        }
    }

    fn to_json(&self) -> Value {
        json!({ "step": self.name, "status": self.status, "what": self.what, "help": self.help })
    }
}
