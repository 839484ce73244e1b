//! `segue runs`

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::output;
use super::settings::SettingsArguments;
use super::stop::Stop;
use crate::report::{self, ExitCode, RunHistory, RunResults};

/// Arguments of `segue runs`.
#[derive(Args)]
pub(super) struct RunsArguments {
    /// The run to show in full.
    run: Option<String>,
    /// Print JSON: the list, or the run's results.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArguments,
}

pub(super) fn run(arguments: &RunsArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let RunHistory {
        mut runs,
        unfinished,
    } = RunHistory::read(config.state()).map_err(|error| unreadable(config.state(), &error))?;
    if let (None, Some(destination)) = (&arguments.run, arguments.settings.named()) {
        runs.retain(|run| run.destination == destination);
    }
    match &arguments.run {
        None if arguments.json => {
            let list = json!({ "schema": "segue.runs/1", "runs": runs, "unfinished": unfinished });
            output::print_json(&list);
        }
        None if runs.is_empty() && unfinished.is_empty() => {
            output::say(&format!("There are {}.", none_yet(&arguments.settings)));
        }
        None => output::print(&listed(&runs, &unfinished)),
        Some(wanted) => {
            let Some(results) = runs.iter().find(|run| run.run == *wanted) else {
                return Err(unknown(wanted, &unfinished));
            };
            if arguments.json {
                output::print_json(results);
            } else {
                output::print(&full(results));
            }
        }
    }
    Ok(ExitCode::Done)
}

/// The run that was named, otherwise the latest that read rows, to the destination that was named if one was; `None` if
/// there is none.
pub(super) fn chosen(
    state: &Path,
    wanted: Option<&str>,
    settings: &SettingsArguments,
) -> Result<Option<RunResults>, Stop> {
    let mut history = RunHistory::read(state).map_err(|error| unreadable(state, &error))?;
    match wanted {
        None => {
            let is_there =
                |run: &RunResults| settings.named().is_none_or(|it| run.destination == it);
            history.runs.retain(is_there);
            Ok(history.latest().cloned())
        }
        Some(wanted) => {
            let found = history.runs.into_iter().find(|run| run.run == *wanted);
            found
                .map(Some)
                .ok_or_else(|| unknown(wanted, &history.unfinished))
        }
    }
}

/// `no runs yet`
pub(super) fn none_yet(settings: &SettingsArguments) -> String {
    match settings.named() {
        Some(destination) => format!("no runs to `{destination}` yet"),
        None => "no runs yet".to_owned(),
    }
}

fn unreadable(state: &Path, error: &std::io::Error) -> Stop {
    Stop::new(
        format!(
            "the runs in the state folder {} cannot be read: {error}",
            state.display()
        ),
        "Let the user that runs segue read it, or name another folder as `state:` in segue.yaml.",
        ExitCode::Usage,
    )
}

fn unknown(run: &str, unfinished: &[String]) -> Stop {
    if unfinished.iter().any(|it| it == run) {
        return Stop::new(
            format!("the run `{run}` has no results: it is running, or was killed"),
            "If it was killed, push again with the same extract: that run completes what this one began.",
            ExitCode::Usage,
        );
    }
    Stop::new(
        format!("there is no run `{run}`"),
        "List the runs with `segue runs`.",
        ExitCode::Usage,
    )
}

/// One line for each run, the latest first, those among them that did not come to an end.
fn listed(runs: &[RunResults], unfinished: &[String]) -> String {
    let head = [
        "run",
        "to",
        "status",
        "exit",
        "read",
        "created",
        "updated",
        "unchanged",
        "rejected",
    ];
    let runs = runs.iter().map(|run| {
        let rows = &run.rows;
        let counts = [
            rows.read,
            rows.created,
            rows.updated,
            rows.unchanged,
            rows.rejected,
        ];
        let mut line = vec![
            run.run.clone(),
            run.destination.clone(),
            status(run),
            run.exit_code.to_string(),
        ];
        line.extend(counts.map(|count| count.to_string()));
        line
    });
    let told = |run: &String| vec![run.clone(), String::new(), "running or killed".to_owned()];
    let mut lines: Vec<Vec<String>> = unfinished.iter().map(told).chain(runs).collect();
    // A run's name begins with its start, to the second; of one second the order stays.
    let start = |line: &Vec<String>| {
        line.first()
            .and_then(|run| run.get(..START))
            .map(str::to_owned)
    };
    lines.sort_by_key(|line| std::cmp::Reverse(start(line)));
    lines.insert(0, head.map(str::to_owned).to_vec());
    output::columns(&lines)
}

/// So long is the start in a run's name: `20261120T231500Z`.
const START: usize = 16;

fn status(run: &RunResults) -> String {
    if run.dry_run {
        format!("{} (dry run)", run.status.word())
    } else {
        run.status.word().to_owned()
    }
}

fn full(run: &RunResults) -> String {
    format!(
        "{}\n\n  run {}   started {:.0}   {}, exit code {}",
        report::summary(run),
        run.run,
        run.started,
        status(run),
        run.exit_code
    )
}
