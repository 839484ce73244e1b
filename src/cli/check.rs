//! `segue check`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::journey::now;
use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::dataverse::{Dataverse, DataverseError, Who, WireOptions};
use crate::mapping::Mapping;
use crate::model::Connection;
use crate::push::validate;
use crate::report::ExitCode;

/// Arguments of `segue check`.
#[derive(Args)]
pub(super) struct CheckArguments {
    /// Check this mapping against the environment too; repeat for more.
    #[arg(long, short, value_name = "FILE")]
    mapping: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Tokens and signatures of the cloud do not bear clocks that differ by more.
const MOST_SKEW_SECONDS: i64 = 300;

/// The steps before the tables, in the order in which a connection needs them.
const STEPS: [&str; 4] = ["settings", "connection", "sign-in", "user"];

struct Step {
    name: String,
    said: Result<String, Stop>,
}

pub(super) async fn run(arguments: CheckArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let destination = arguments.settings.choose(&config, None)?;
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let steps = walk(&arguments, &reached.connection).await;
    let name = reached.connection.name.clone();
    reached.leave().await;
    let codes = steps.iter().filter_map(|step| step.said.as_ref().err());
    let code = ExitCode::worst(codes.map(Stop::code));
    if arguments.json {
        let object = json!({
            "schema": "segue.check/1",
            "exit_code": code.code(),
            "destination": name,
            "steps": steps.iter().map(as_json).collect::<Vec<_>>(),
        });
        output::print_json(&object);
    } else {
        output::print(&name);
        steps.into_iter().for_each(tell);
    }
    Ok(code)
}

/// Each step needs the one before: the first that fails is the last.
async fn walk(arguments: &CheckArguments, connection: &Connection) -> Vec<Step> {
    let environment = match Dataverse::connect(connection, &WireOptions::default()).await {
        Ok(environment) => environment,
        Err(error) => return failed_at(0, error, connection),
    };
    let who = match environment.who().await {
        Ok(who) => who,
        Err(error) => return failed_at(failed_step(&error), error, connection),
    };
    let mut steps = passed(STEPS.len(), connection, Some(&who));
    steps.push(clock(&who));
    for file in &arguments.mapping {
        let checked = match Mapping::read(file) {
            Ok(mapping) => validate(&mapping, connection).await.map_err(Stop::from),
            Err(error) => Err(error.into()),
        };
        steps.push(Step {
            name: file.display().to_string(),
            said: checked.map(|it| format!("{} columns of {} fit", it.columns, it.table)),
        });
    }
    steps
}

fn failed_step(error: &DataverseError) -> usize {
    match error {
        DataverseError::Setting { .. }
        | DataverseError::LoginHostUnknown { .. }
        | DataverseError::Secret { .. }
        | DataverseError::Client(_) => 0,
        DataverseError::SignIn { .. } => 2,
        DataverseError::Refused { .. } | DataverseError::Unexpected { .. } => 3,
        _ => 1,
    }
}

fn failed_at(step: usize, error: DataverseError, connection: &Connection) -> Vec<Step> {
    let mut steps = passed(step, connection, None);
    steps.push(Step {
        name: STEPS.get(step).copied().unwrap_or_default().to_owned(),
        said: Err(error.into()),
    });
    steps
}

fn passed(count: usize, connection: &Connection, who: Option<&Who>) -> Vec<Step> {
    let user = who.map_or_else(String::new, |who| {
        format!("{} of organisation {}", who.user, who.organization)
    });
    let said = [
        "address, tenant, client and secret are there".to_owned(),
        connection.url.clone(),
        format!(
            "client {} of tenant {}",
            connection.client_id, connection.tenant_id
        ),
        user,
    ];
    let steps = STEPS.iter().zip(said).take(count);
    let step = |(name, said): (&&str, String)| Step {
        name: (*name).to_owned(),
        said: Ok(said),
    };
    steps.map(step).collect()
}

fn clock(who: &Who) -> Step {
    let skew = who
        .service_time
        .map_or(0, |time| (now().as_second() - time.as_second()).abs());
    let said = if skew <= MOST_SKEW_SECONDS {
        Ok(format!("within {} s of the service's", skew.max(1)))
    } else {
        let text = format!("this machine's clock is {skew} s away from the service's");
        let help = "Set the clock, or let the system keep it by NTP.";
        Err(Stop::new(text, help, ExitCode::Connection))
    };
    Step {
        name: "clock".to_owned(),
        said,
    }
}

fn tell(step: Step) {
    match step.said {
        Ok(said) => output::print(&format!("  ✓ {:<11} {said}", step.name)),
        Err(failure) => {
            output::print(&format!("  ✗ {}", step.name));
            failure.tell();
        }
    }
}

fn as_json(step: &Step) -> Value {
    match &step.said {
        Ok(said) => json!({ "step": step.name, "ok": true, "said": said }),
        Err(failure) => {
            json!({ "step": step.name, "ok": false, "error": failure.to_json() })
        }
    }
}
