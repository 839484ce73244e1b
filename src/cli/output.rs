//! What people read: data on stdout, everything else on stderr.

use std::io::{Error, ErrorKind, IsTerminal as _, Write as _, stderr, stdout};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::{ContextKind, ContextValue};

use super::progress;
use crate::mapping::Paint;
use crate::report::ExitCode;

/// Prints data.
pub(super) fn print(text: &str) {
    note(writeln!(stdout().lock(), "{text}"));
}

/// Prints data that need not be text.
pub(super) fn print_bytes(bytes: &[u8]) {
    let mut out = stdout().lock();
    note(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Prints one JSON object on one line.
pub(super) fn print_json(object: &impl serde::Serialize) {
    let mut out = stdout().lock();
    let written = serde_json::to_writer(&mut out, object).map_err(Error::from);
    note(written.and_then(|()| writeln!(out)));
}

/// What kept data from being printed, if anything did.
static UNPRINTED: OnceLock<Error> = OnceLock::new();

fn note(written: std::io::Result<()>) {
    match written {
        // A reader that went away is not an error of ours: `segue runs | head`.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            UNPRINTED.set(error).ok();
        }
        _ => {}
    }
}

/// How a command ends whose data did not all reach stdout: whoever reads the file must not take it for whole.
pub(super) fn printed(code: ExitCode) -> ExitCode {
    match UNPRINTED.get() {
        None => code,
        Some(error) => {
            say(&format!(
                "error: what was to be printed could not be written to stdout: {error}\n  help: Make room where it goes, then run the command again."
            ));
            ExitCode::worst([code, ExitCode::Extract])
        }
    }
}

/// Set once, before anything is printed.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Prints errors only from now on.
pub(super) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only errors are printed.
pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints what somebody should look at, unless only errors are wanted.
pub(super) fn warn(text: &str) {
    if !is_quiet() {
        say(&format!("warning: {text}"));
    }
}

/// Prints a remark.
pub(super) fn say(text: &str) {
    progress::beside(|| writeln!(stderr().lock(), "{text}").ok());
}

/// Whether remarks may have colours.
pub(super) fn paint() -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && stderr().is_terminal() {
        Paint::Colour
    } else {
        Paint::Plain
    }
}

/// Prints clap's own words: help goes to stdout with 0, mistakes to stderr with 2.
pub(super) fn usage(mut error: clap::Error) -> ExitCode {
    if let Some(ContextValue::String(it)) = error.get(ContextKind::InvalidArg)
        && error.kind() == clap::error::ErrorKind::UnknownArgument
        && Path::new(it)
            .extension()
            .is_some_and(|it| it == "yaml" || it == "yml")
        && error.to_string().contains("--mapping <FILE>")
    {
        let tip = format!("write '--mapping {it}'");
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error.print().ok();
    if error.use_stderr() {
        ExitCode::Usage
    } else {
        ExitCode::Done
    }
}

/// Lines of cells below each other, the last column left as it is.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            columns(&[row(["é", "b"]), row(["long", ""])]),
            "é     b\nlong"
        );
    }
}
