//! `segue state show`

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::super::output;
use super::super::settings::SettingsArguments;
use super::super::stop::Stop;
use super::{Place, no_ledger, stop};
use crate::ledger::{LedgerError, Overview, overview};
use crate::mapping::{Config, Mapping};
use crate::report::{ExitCode, RunHistory, RunResults};

/// Arguments of `segue state show`.
#[derive(Args)]
pub(super) struct ShowArguments {
    /// A mapping file; all ledgers of the state folder otherwise.
    #[arg(long, short, value_name = "FILE")]
    mapping: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn show(arguments: &ShowArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let places = match &arguments.mapping {
        None => {
            let mut places = ledgers_in(&config)?;
            if let Some(named) = arguments.settings.named() {
                places.retain(|place| place.destination == named);
            }
            places
        }
        Some(mapping) => {
            let mapping = Mapping::read(mapping)?;
            let destination = arguments.settings.choose(&config, Some(&mapping))?;
            let destination = destination.name().to_owned();
            let folder = config.state().join(&destination).join(&mapping.name);
            let place = Place {
                folder,
                destination,
                mapping: mapping.name,
                config: config.clone(),
            };
            if !place.folder.join("catalogue.db").exists() {
                return Err(no_ledger(&place));
            }
            vec![place]
        }
    };
    if places.is_empty() && !arguments.json {
        let state = config.state().display();
        output::say(&format!(
            "there is no ledger yet in {state}; the first push makes one"
        ));
    }
    let history = RunHistory::read(config.state()).unwrap_or_default();
    let mut shown = Vec::new();
    let mut code = ExitCode::Done;
    for place in places {
        let last = history.runs.iter().find(|run| {
            run.mapping == place.mapping && run.destination == place.destination && !run.dry_run
        });
        match seen(&place.folder, &place.folder) {
            Ok(None) => {}
            Ok(Some(held)) if arguments.json => shown.push(machine(&place, &held, last)),
            Ok(Some(held)) => output::print(&people(&place, &held, last)),
            Err(error) => code = stop(error).tell(),
        }
    }
    if arguments.json {
        output::print_json(&json!({ "schema": "segue.state/1", "ledgers": shown }));
    }
    Ok(code)
}

/// A ledger whose last run did not end is put in order in temporary files as large as itself: in `room`, or where that
/// cannot be written, in the system's folder for such files. Whoever may only read a ledger sees it as well.
fn seen(folder: &Path, room: &Path) -> Result<Option<Overview>, LedgerError> {
    match overview(folder, room) {
        Err(LedgerError::Io { .. }) => overview(folder, &std::env::temp_dir()),
        seen => seen,
    }
}

/// By destination and mapping.
fn ledgers_in(config: &Config) -> Result<Vec<Place>, Stop> {
    let name = |folder: &Path| -> Option<String> {
        let name = folder.file_name()?.to_str()?.to_owned();
        (!name.starts_with('.')).then_some(name)
    };
    let mut places = Vec::new();
    for above in folders(config.state())? {
        for folder in folders(&above)? {
            if let (Some(destination), Some(mapping)) = (name(&above), name(&folder))
                && folder.join("catalogue.db").exists()
            {
                places.push(Place {
                    destination,
                    mapping,
                    folder,
                    config: config.clone(),
                });
            }
        }
    }
    Ok(places)
}

/// The folders in a folder, by name. What cannot be looked into is not taken for empty.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, Stop> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        Ok(folders)
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| {
            Stop::new(
                format!("{} cannot be read: {error}", folder.display()),
                "Let the user that runs segue read it, or name another folder as `state:` in segue.yaml.",
                ExitCode::Usage,
            )
        }),
    }
}

fn machine(place: &Place, held: &Overview, last: Option<&RunResults>) -> Value {
    let runs = held
        .runs
        .iter()
        .map(|run| json!({ "run": run.run, "started": run.started, "ending": run.ending }));
    json!({
        "destination": place.destination, "mapping": place.mapping, "file": held.mapping,
        "organisation": held.organisation, "table": held.table, "key": held.key,
        "generation": held.generation, "records": held.records, "created": held.created,
        "pending": held.pending, "incomplete": held.incomplete, "never_written": held.seen,
        "removed": held.removed, "rejected": last.map_or(0, |run| run.rows.rejected),
        "held_back": held.held.waiting, "set_aside": held.held.set_aside,
        "bytes": held.bytes, "runs": runs.collect::<Vec<_>>(),
    })
}

fn people(place: &Place, held: &Overview, last: Option<&RunResults>) -> String {
    let row = |name: &str, value: String| vec![format!("  {name}"), value];
    let mut rows = vec![
        row(
            "table",
            format!("{} by {}", held.table, held.key.join(" + ")),
        ),
        row("mapping file", held.mapping.clone()),
        row("organisation", held.organisation.to_string()),
        row(
            "records",
            format!(
                "{}: created by this mapping {}, pending {}, lookups open {}, never written {}",
                held.records, held.created, held.pending, held.incomplete, held.seen
            ),
        ),
        row("removed", held.removed.to_string()),
        row(
            "refused before",
            format!(
                "held back {}, set aside {}",
                held.held.waiting, held.held.set_aside
            ),
        ),
        row(
            "files",
            format!("{} bytes, generation {}", held.bytes, held.generation),
        ),
    ];
    for run in &held.runs {
        let ending = run
            .ending
            .as_deref()
            .unwrap_or("did not end, or is running");
        rows.push(row("run", format!("{}, {ending}", run.run)));
    }
    if let Some(last) = last {
        let rejected = last.rows.rejected;
        rows.push(row("rejected", format!("{rejected} in {}", last.run)));
    }
    format!(
        "{} → {}\n{}",
        place.mapping,
        place.destination,
        output::columns(&rows)
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::ledger::{Entry, Identity, Layout, Ledger, Recorded};
    use crate::model::{
        KeyDigest, LogicalName, Position, RowTag, RunId, SourceDigest, StandingFlags,
    };

    #[test]
    fn a_ledger_that_is_out_of_order_is_seen_where_nothing_can_be_written_beside_it() {
        let base = tempfile::tempdir().unwrap();
        let name = |name: &str| LogicalName::parse(name).unwrap();
        let identity = Identity {
            organisation: Uuid::from_u128(1),
            table: name("account"),
            key: vec![name("accountnumber")],
            mapping: "accounts.yaml".into(),
            base: base.path().to_owned(),
        };
        let folder = base.path().join("state/prod/accounts");
        let layout = Layout {
            columns: Vec::new(),
        };
        let ledger = Ledger::open(&folder, &identity, &layout).unwrap();
        let run = ledger.begin_run(&RunId::new("r"), Timestamp::UNIX_EPOCH);
        let recorded = Entry::Standing(Recorded {
            row: RowTag {
                position: Position::new(0, 2),
                key: KeyDigest([1; 16]),
                source: SourceDigest(0),
            },
            id: None,
            flags: StandingFlags::default(),
            columns: Vec::new(),
        });
        ledger.record(run.unwrap(), &[recorded]).unwrap();
        drop(ledger);
        let no_room = base.path().join("file");
        std::fs::write(&no_room, "").unwrap();
        assert!(overview(&folder, &no_room.join("room")).is_err());
        let held = seen(&folder, &no_room.join("room")).unwrap().unwrap();
        assert_eq!(held.records, 1);
    }
}
