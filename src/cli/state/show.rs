//! `segue state show`

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::super::output;
use super::super::settings::SettingsArguments;
use super::super::stop::Stop;
use super::{Place, no_ledger, stop};
use crate::ledger::{Overview, overview};
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
        match overview(&place.folder, &place.folder) {
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
