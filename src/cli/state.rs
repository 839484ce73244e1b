//! `segue state`

mod show;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::show::{ShowArguments, show};
use super::journey::now;
use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::ledger::{
    Extent, LedgerError, RunLock, Scope, Unkeyed, export, import, overview, reset,
};
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

#[derive(Args)]
struct ExportArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    /// The file to write, readable by its owner only; stdout otherwise.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct ImportArguments {
    /// What `export` wrote.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Replace the ledger that is there.
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
/// run may write to any.
fn lock(place: &Place) -> Result<Vec<RunLock>, Stop> {
    let (state, run) = (place.config.state(), RunId::new("state"));
    let held = match overview(&place.folder, &place.folder) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(held)) => LogicalName::parse(&held.table).map(|table| (held.organisation, table)),
        Err(_) => return RunLock::acquire_all(state, &run).map_err(stop),
    };
    let Ok((organisation, table)) = held else {
        return RunLock::acquire_all(state, &run).map_err(stop);
    };
    let lock = RunLock::acquire(state, organisation, &table, &run).map_err(stop)?;
    Ok(vec![lock])
}

fn removed(arguments: &ResetArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let lock = lock(&place)?;
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

fn exported(arguments: &ExportArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let Some(file) = &arguments.out else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let records = export(&place.folder, &place.folder, &mut out).map_err(stop)?;
        out.flush().ok();
        return records
            .map(|_| ExitCode::Done)
            .ok_or_else(|| no_ledger(&place));
    };
    let unwritable = |error: std::io::Error| {
        let text = format!("{} cannot be written: {error}", file.display());
        Stop::new(text, "Name a file that can be written.", ExitCode::Usage)
    };
    if overview(&place.folder, &place.folder)
        .map_err(stop)?
        .is_none()
    {
        return Err(no_ledger(&place));
    }
    let mut out = BufWriter::new(private(file).map_err(unwritable)?);
    let records = export(&place.folder, &place.folder, &mut out).map_err(stop)?;
    let written = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    written
        .and_then(|file| file.sync_all())
        .map_err(unwritable)?;
    let records = records.unwrap_or_default();
    let words = format!("{records} records written to {}", file.display());
    let counts = json!({ "records": records });
    Ok(arguments.ledger.tell(&place, "export", &counts, &words))
}

fn private(file: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn imported(arguments: &ImportArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let text = File::open(&arguments.from).map_err(|error| {
        let text = format!("{} cannot be read: {error}", arguments.from.display());
        let help = "Name a file that `segue state export` wrote.";
        Stop::new(text, help, ExitCode::Usage)
    })?;
    let lock = lock(&place)?;
    let is_there = place.folder.join("catalogue.db").exists();
    if is_there && !arguments.yes {
        return Err(Stop::new(
            format!(
                "the ledger in {} would be replaced, and nobody agreed",
                place.folder.display()
            ),
            "Keep a copy with `segue state export` if you want one, then add --yes.",
            ExitCode::Usage,
        ));
    }
    let records = import(&place.folder, &arguments.from, BufReader::new(text));
    let records = records.map_err(not_imported)?;
    drop(lock);
    let words = format!("the ledger holds {records} records");
    let counts = json!({ "records": records });
    Ok(arguments.ledger.tell(&place, "import", &counts, &words))
}

/// What is wrong with the file is no damage of the ledger.
fn not_imported(error: LedgerError) -> Stop {
    match error {
        LedgerError::Torn { path, what } | LedgerError::Foreign { path, what } => Stop::new(
            format!("{} cannot be imported: {what}", path.display()),
            "Take a whole file that `segue state export` wrote of this ledger; nothing was changed. To put another in its \
             place, remove this one first: `segue state reset`.",
            ExitCode::Usage,
        ),
        error => stop(error),
    }
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
