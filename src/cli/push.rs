//! `segue push`

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::journey::{Journey, Travelled};
use super::mappings::{self, MappingArguments};
use super::output;
use super::progress::Show;
use super::settings::SettingsArguments;
use super::stop::Stop;
use crate::mapping::Mapping;
use crate::push::{Patience, Purpose};
use crate::report::{self, ExitCode, PushResults, RunResults, Status};

/// Arguments of `segue push`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct PushArguments {
    #[command(flatten)]
    pub(super) mappings: MappingArguments,
    #[command(flatten)]
    pub(super) settings: SettingsArguments,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) patience: PatienceArguments,
    /// Do everything but the last step: tell what would happen, write nothing to Dataverse or the ledger.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Send every row, also those that the ledger calls unchanged.
    #[arg(long)]
    pub(super) full_refresh: bool,
    /// Write to a destination that is marked as production without being asked.
    #[arg(long)]
    pub(super) yes: bool,
    /// Print one JSON object instead of the summary.
    #[arg(long)]
    pub(super) json: bool,
    /// Keep the rows of an extract in memory between its two readings, if they take at most so many MiB.
    #[arg(long, value_name = "MIB", default_value_t = ROW_MEMORY_MIB)]
    pub(super) row_memory: u32,
    /// Whether to show progress on stderr.
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    pub(super) progress: Show,
    /// The reject file whose rows alone are pushed.
    #[arg(skip)]
    pub(super) rejects_of: Option<PathBuf>,
}

/// Half a million rows of ten columns fit.
pub(super) const ROW_MEMORY_MIB: u32 = 64;

/// Which rows; each of these makes the extract a part of the segment, and nothing is missing from a part.
#[derive(Args, Default)]
pub(super) struct Selection {
    /// Send at most this many due rows; the others count as skipped.
    #[arg(long, value_name = "ROWS", value_parser = rows, allow_negative_numbers = true)]
    pub(super) limit: Option<u64>,
    /// Send only the row with this key (`column=value,…` for a key of several columns); repeat for more.
    #[arg(long, value_name = "KEY")]
    pub(super) key: Vec<String>,
    /// The extract is only a part of the segment.
    #[arg(long)]
    pub(super) partial: bool,
    /// Read this file in place of the mapping's.
    #[arg(long, value_name = "FILE")]
    pub(super) extract: Option<PathBuf>,
}

/// How long to wait for what.
#[derive(Args)]
pub(super) struct PatienceArguments {
    /// Requests of one application user in flight at most [default: 52, the documented limit].
    #[arg(long, value_name = "REQUESTS", value_parser = requests, allow_negative_numbers = true)]
    concurrency: Option<NonZeroUsize>,
    /// End after this time, `30m` or `90s`; the next run resumes.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    deadline: Option<Duration>,
    /// Wait so long for another run of the same table.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    lock_wait: Duration,
    /// After an interrupt wait so long for answers that are on their way.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    grace: Duration,
}

impl PatienceArguments {
    /// How long a destination that another process has is waited for.
    pub(super) fn to_reach(&self) -> Duration {
        let deadline = self.deadline.unwrap_or(Duration::MAX);
        self.lock_wait.min(deadline)
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            lock_wait: self.lock_wait,
            grace: self.grace,
            deadline: self.deadline,
            concurrency: self.concurrency,
        }
    }
}

impl PushArguments {
    pub(super) fn purpose(&self) -> Purpose {
        if self.dry_run {
            Purpose::Rehearse
        } else {
            Purpose::Send
        }
    }
}

fn rows(written: &str) -> Result<u64, String> {
    let wrong = |_| "write a number of rows, as `100`".to_owned();
    written.parse().map_err(wrong)
}

fn requests(written: &str) -> Result<NonZeroUsize, String> {
    let wrong = |_| "write a number of requests, 1 or more".to_owned();
    written.parse().map_err(wrong)
}

/// `30m`, `90s`, `1h 30m`
pub(super) fn duration(written: &str) -> Result<Duration, String> {
    let wrong = || format!("`{written}` is no time; write `30m` or `90s`");
    let span: jiff::SignedDuration = written.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}

pub(super) async fn run(arguments: PushArguments) -> ExitCode {
    let mut told = Told::default();
    let mut journey = match Journey::new(&arguments) {
        Ok(journey) => journey,
        Err(stop) => return stop.tell(),
    };
    // All of them are read before the first is run: nothing is sent while one has a mistake.
    let mappings = gather(&arguments, &mut journey, &mut told);
    if told.codes.is_empty() {
        let mut failed: Vec<(Mapping, ExitCode)> = Vec::new();
        for mapping in mappings::in_order(mappings) {
            let parent = failed
                .iter()
                .find(|(it, _)| mappings::is_parent_of(it, &mapping));
            if let Some((parent, code)) = parent {
                let stop = held_back(&mapping, parent, *code);
                journey.note(&mapping, &stop);
                told.stopped(stop, &arguments);
                failed.push((mapping, *code));
                continue;
            }
            let before = told.codes.len();
            match journey.travel(mapping.clone()).await {
                Ok(travelled) => told.travelled(travelled, &arguments),
                Err(stop) => told.stopped(stop, &arguments),
            }
            let worst = ExitCode::worst(told.codes.iter().skip(before).copied());
            if worst.status() != Status::Done {
                failed.push((mapping, worst));
            }
        }
    }
    journey.end().await;
    let code = ExitCode::worst(told.codes.iter().copied());
    if arguments.json {
        output::print_json(&told.into_results(code));
    }
    code
}

/// The results of a command without a run.
pub(super) fn nothing(code: ExitCode, errors: Vec<Value>) -> PushResults {
    let told = Told {
        errors,
        ..Told::default()
    };
    told.into_results(code)
}

fn held_back(child: &Mapping, parent: &Mapping, code: ExitCode) -> Stop {
    Stop::new(
        format!(
            "`{}` was held back: it refers to `{}`, and the run of `{}` did not end well",
            child.name, parent.table.value, parent.name
        ),
        "Mend what stopped that run, then push again; both go on where they ended.",
        code,
    )
}

/// The selected mappings; what cannot be read is told.
fn gather(arguments: &PushArguments, journey: &mut Journey<'_>, told: &mut Told) -> Vec<Mapping> {
    let files = arguments.mappings.files().unwrap_or_else(|stop| {
        told.stopped(stop, arguments);
        Vec::new()
    });
    let mut mappings = Vec::new();
    for file in files {
        match read(&file, arguments.selection.extract.as_deref()) {
            Ok(mapping) if arguments.mappings.selects(&mapping) => mappings.push(mapping),
            Ok(_) => {}
            Err(stop) => {
                journey.note_unread(&file, &stop);
                told.stopped(stop, arguments);
            }
        }
    }
    if mappings.is_empty() && told.codes.is_empty() {
        let help = "Look at the `tags:` of the mappings.";
        let stop = Stop::new("no mapping has that tag", help, ExitCode::Usage);
        told.stopped(stop, arguments);
    }
    mappings
}

fn read(file: &Path, extract: Option<&Path>) -> Result<Mapping, Stop> {
    let mut mapping = Mapping::read(file)?;
    if let Some(extract) = extract {
        extract
            .to_string_lossy()
            .as_ref()
            .clone_into(&mut mapping.source.path);
        mapping.source.base = PathBuf::new();
        mapping.partial = true;
    }
    Ok(mapping)
}

/// What the runs came to.
#[derive(Default)]
struct Told {
    codes: Vec<ExitCode>,
    runs: Vec<RunResults>,
    errors: Vec<Value>,
}

impl Told {
    fn stopped(&mut self, stop: Stop, arguments: &PushArguments) {
        self.codes.push(stop.code());
        if arguments.json {
            self.errors.push(stop.to_json());
        }
        stop.tell();
    }

    fn travelled(&mut self, travelled: Travelled, arguments: &PushArguments) {
        let Travelled {
            results,
            code,
            stopped,
            warnings,
            preview,
        } = travelled;
        for warning in warnings {
            output::warn(&warning);
        }
        if let Some(stop) = stopped {
            stop.tell();
        }
        if !arguments.json {
            output::print(&report::summary(&results));
            if !preview.is_empty() {
                output::print(&preview);
            }
        }
        self.codes.push(code);
        self.runs.push(results);
    }

    fn into_results(self, code: ExitCode) -> PushResults {
        PushResults {
            schema: "segue.push/1".to_owned(),
            exit_code: code.code(),
            runs: self.runs,
            errors: self.errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(duration("30m"), Ok(Duration::from_mins(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert!(duration("soon").is_err() && duration("-5s").is_err() && duration("5").is_err());
    }
}
