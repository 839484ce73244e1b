//! `segue state`

mod exchange;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use self::exchange::{ExportArguments, ImportArguments, exported, imported};
use self::show::{ShowArguments, show};
use super::journey::now;
use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::ledger::{Extent, LedgerError, RunLock, Scope, Unkeyed, overview, reset};
use crate::mapping::{Config, Mapping};
use crate::model::{LogicalName, RunId};
use crate::push::{
    Patience, Purpose, PushError, Request, Resting, StateError, adopt, forget, rekey,
};
use crate::report::ExitCode;

/// Arguments of `segue state`.
#[derive(Args)]
pub(super) struct StateArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what the ledgers hold: of all mappings, or of one.
    Show(ShowArguments),
    /// Fill a ledger from what Dataverse holds, before anything was pushed, so that a first push sends only differences.
    Adopt(LedgerArguments),
    /// Carry a ledger over to the key that the mapping has now; records are recognised by their GUIDs.
    Rekey(RekeyArguments),
    /// Forget one key: the next push sends all its columns.
    Forget(ForgetArguments),
    /// Remove a ledger: the next push sends every row, and finds existing records by their key.
    Reset(ResetArguments),
    /// Write a ledger as lines of JSON, to keep or to move it. The file is as confidential as the ledger.
    Export(ExportArguments),
    /// Make a ledger from what `export` wrote.
    Import(ImportArguments),
}

/// Whose ledger.
#[derive(Args)]
struct LedgerArguments {
    /// The mapping file.
    #[arg(long, short, value_name = "FILE")]
    mapping: PathBuf,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ForgetArguments {
    /// The key; `column=value,…` for a key of several columns.
    key: String,
    #[command(flatten)]
    ledger: LedgerArguments,
}

#[derive(Args)]
struct RekeyArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Forget records that have no value of the new key; the next push makes each of them a second time.
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
struct ResetArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Do it: what is removed cannot be brought back.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(arguments: StateArguments) -> Result<ExitCode, Stop> {
    match arguments.command {
        Command::Show(arguments) => show(&arguments),
        Command::Adopt(arguments) => adopted(&arguments).await,
        Command::Rekey(arguments) => rekeyed(&arguments).await,
        Command::Forget(arguments) => forgotten(&arguments).await,
        Command::Reset(arguments) => removed(&arguments),
        Command::Export(arguments) => exported(&arguments),
        Command::Import(arguments) => imported(&arguments),
    }
}

/// One ledger's place.
struct Place {
    destination: String,
    mapping: String,
    folder: PathBuf,
    config: Config,
}

impl LedgerArguments {
    /// Where the ledger of the mapping is; nobody is asked.
    fn place(&self) -> Result<Place, Stop> {
        let config = self.settings.read()?;
        let mapping = Mapping::read(&self.mapping)?;
        let destination = self.settings.choose(&config, Some(&mapping))?;
        let destination = destination.name().to_owned();
        Ok(Place {
            folder: config.state().join(&destination).join(&mapping.name),
            destination,
            mapping: mapping.name,
            config,
        })
    }

    /// Does something that needs the destination: the table's schema, the organisation, the records.
    async fn with<T>(
        &self,
        keys: Vec<String>,
        work: impl AsyncFnOnce(&Request) -> Result<T, StateError>,
    ) -> Result<T, Stop> {
        let config = self.settings.read()?;
        let mapping = Mapping::read(&self.mapping)?;
        let destination = self.settings.choose(&config, Some(&mapping))?;
        let reached = reach(&destination, config.state(), Duration::ZERO).await?;
        let request = Request {
            mapping,
            connection: reached.connection.clone(),
            state: config.state().to_owned(),
            base: config.base().to_owned(),
            started: now(),
            limit: None,
            keys,
            rejects_of: None,
            scope: Scope::Changed,
            extent: Extent::Whole,
            purpose: Purpose::Send,
            row_memory: 0,
            patience: Patience::default(),
            resting: Resting::default(),
        };
        let done = work(&request).await;
        reached.leave().await;
        Ok(done?)
    }

    /// Tells what was done, for people or for machines.
    fn tell(&self, place: &Place, done: &str, counts: &Value, words: &str) -> ExitCode {
        if self.json {
            let mut object = json!({
                "schema": "segue.state/1", "done": done,
                "destination": place.destination, "mapping": place.mapping,
            });
            if let (Some(object), Some(counts)) = (object.as_object_mut(), counts.as_object()) {
                object.extend(counts.clone());
            }
            output::print_json(&object);
        } else {
            output::print(&format!(
                "{} → {}: {words}",
                place.mapping, place.destination
            ));
        }
        ExitCode::Done
    }
}

async fn adopted(arguments: &LedgerArguments) -> Result<ExitCode, Stop> {
    let place = arguments.place()?;
    let done = arguments
        .with(Vec::new(), async |request: &Request| adopt(request).await)
        .await?;
    let left_out = done.seen.saturating_sub(done.adopted + done.unkeyed);
    let mut others = Vec::new();
    match done.unkeyed {
        0 => {}
        1 => others.push("1 has no key".to_owned()),
        unkeyed => others.push(format!("{unkeyed} have no key")),
    }
    match left_out {
        0 => {}
        1 => others.push("the other one is not in the extract".to_owned()),
        _ => others.push(format!("the other {left_out} are not in the extract")),
    }
    let words = format!("adopted {} of {} records", done.adopted, done.seen);
    let words = match others.as_slice() {
        [] => words,
        others => format!("{words}; {}", others.join(", ")),
    };
    let counts = json!({ "seen": done.seen, "adopted": done.adopted, "unkeyed": done.unkeyed });
    Ok(arguments.tell(&place, "adopt", &counts, &words))
}

async fn rekeyed(arguments: &RekeyArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let those_without = if arguments.yes {
        Unkeyed::Forget
    } else {
        Unkeyed::Stop
    };
    let work = async |request: &Request| rekey(request, those_without).await;
    let done = arguments.ledger.with(Vec::new(), work).await?;
    let words = format!(
        "records under the mapping's key: {}, forgotten: {}",
        done.carried, done.forgotten
    );
    let counts = json!({ "carried": done.carried, "forgotten": done.forgotten });
    Ok(arguments.ledger.tell(&place, "rekey", &counts, &words))
}

async fn forgotten(arguments: &ForgetArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let keys = vec![arguments.key.clone()];
    let done = arguments
        .ledger
        .with(keys, async |request: &Request| forget(request).await)
        .await?;
    let key = &arguments.key;
    if done == 0 {
        return Err(Stop::new(
            format!("the ledger does not hold `{key}`"),
            "Compare the key with the extract's; `segue state show` tells what the ledger is about.",
            ExitCode::Rejects,
        ));
    }
    let words = format!("forgot `{key}`");
    let counts = json!({ "forgotten": done });
    Ok(arguments.ledger.tell(&place, "forget", &counts, &words))
}

/// Whoever changes a ledger as a whole keeps runs out. Of a ledger that cannot be read nobody knows the table: then no
/// run may write to any. Where there is none, it is the table of the one that is coming, if any.
fn lock(place: &Place, coming: Option<(Uuid, LogicalName)>) -> Result<Vec<RunLock>, Stop> {
    let (state, run) = (place.config.state(), RunId::new("state"));
    let named = |name: &str| LogicalName::parse(name).ok();
    let held = match overview(&place.folder, &place.folder) {
        Ok(None) => match coming {
            None => return Ok(Vec::new()),
            coming => coming,
        },
        Ok(Some(held)) => named(&held.table).map(|table| (held.organisation, table)),
        Err(_) => None,
    };
    let Some((organisation, table)) = held else {
        return RunLock::acquire_all(state, &run).map_err(stop);
    };
    let lock = RunLock::acquire(state, organisation, &table, &run).map_err(stop)?;
    Ok(vec![lock])
}

fn removed(arguments: &ResetArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let lock = lock(&place, None)?;
    if !arguments.yes {
        return Err(Stop::new(
            format!(
                "the ledger in {} would be removed, and nobody agreed",
                place.folder.display()
            ),
            "Keep a copy with `segue state export` if you want one, then add --yes.",
            ExitCode::Usage,
        ));
    }
    if !reset(&place.folder).map_err(stop)? {
        return Err(no_ledger(&place));
    }
    drop(lock);
    let words = "the ledger is removed; the next push sends every row";
    Ok(arguments.ledger.tell(&place, "reset", &json!({}), words))
}

fn no_ledger(place: &Place) -> Stop {
    let folder = place.folder.clone();
    StateError::NoLedger { folder }.into()
}

fn stop(error: LedgerError) -> Stop {
    PushError::from(error).into()
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Push(error) => error.into(),
            other => Self::of(&other, &other.help(), other.exit_code()),
        }
    }
}
