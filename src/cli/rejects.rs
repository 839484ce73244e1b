//! `segue rejects`

use std::collections::BTreeMap;

use clap::Args;

use super::output;
use super::runs::{chosen, none_yet};
use super::settings::SettingsArguments;
use super::stop::Stop;
use crate::report::{ExitCode, RejectFile, RejectLine, RunResults};
use crate::source::encode;

/// Arguments of `segue rejects`.
#[derive(Args)]
pub(super) struct RejectsArguments {
    /// The run [default: the latest that read rows].
    run: Option<String>,
    /// Print the rows as the extract has them, to mend and push with --extract.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    settings: SettingsArguments,
}

/// Rows of one reason that are shown; the file has them all.
const SHOWN: usize = 3;

pub(super) fn run(arguments: &RejectsArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let Some(run) = chosen(
        config.state(),
        arguments.run.as_deref(),
        &arguments.settings,
    )?
    else {
        output::say(&format!("There are {}.", none_yet(&arguments.settings)));
        return Ok(ExitCode::Done);
    };
    let Some(file) = &run.rejects.file else {
        output::say(&format!("{} has no rejects.", run.run));
        return Ok(ExitCode::Done);
    };
    if !std::path::Path::new(file).exists() {
        return Err(not_kept(&run.run));
    }
    let unreadable = |error: std::io::Error| {
        let text = format!("{file} cannot be read: {error}");
        let help = "Check that you may read it; a push makes a new one.";
        Stop::new(text, help, ExitCode::Usage)
    };
    let rejects = RejectFile::open(file.as_ref()).map_err(unreadable)?;
    if arguments.csv {
        let rows = rejects.rows(&run.extract).map_err(unreadable)?;
        output::print_bytes(&encode(&rows, &run.extract.encoding));
    } else {
        let text = grouped(&run, file, rejects).map_err(unreadable)?;
        output::print(text.trim_end());
    }
    Ok(ExitCode::Done)
}

/// Rejects hold rows of the extract, and are kept for a while only.
pub(super) fn not_kept(run: &str) -> Stop {
    Stop::new(
        format!("the rejects of {run} are not kept any more"),
        "Name a later run; `segue runs` lists them.",
        ExitCode::Usage,
    )
}

#[derive(Default)]
struct Group {
    rows: u64,
    first: Vec<String>,
    advice: String,
}

fn grouped(run: &RunResults, file: &str, rejects: RejectFile) -> std::io::Result<String> {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    for line in rejects {
        let line = line?;
        let group = groups
            .entry((line.code.clone(), line.column.clone()))
            .or_default();
        group.rows += 1;
        if group.first.len() < SHOWN {
            group.first.push(shown(&line));
            group.advice = line.advice;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.rows));
    let mut lines = vec![format!("{}: {} rejected", run.run, run.rows.rejected)];
    for ((code, column), group) in groups {
        let about = if column.is_empty() {
            String::new()
        } else {
            format!(" in `{column}`")
        };
        lines.push(format!("\n{} × {code}{about}", group.rows));
        let more = group.rows - group.first.len() as u64;
        lines.extend(group.first.iter().map(|row| format!("  {row}")));
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines.push(format!("  what to do: {}", group.advice));
    }
    lines.push(format!("\nall of them, with their rows: {file}"));
    Ok(lines.join("\n"))
}

fn shown(line: &RejectLine) -> String {
    let RejectLine {
        position,
        key,
        reason,
        ..
    } = line;
    if key.is_empty() {
        format!("{position}: {reason}")
    } else {
        format!("{position} ({key}): {reason}")
    }
}
