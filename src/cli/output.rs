//! What people read: data on stdout, everything else on stderr.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::mapping::Paint;
use crate::report::ExitCode;

/// Prints data.
pub(super) fn print(text: &str) {
    // A reader that went away is not an error of ours: `segue runs | head`.
    writeln!(stdout().lock(), "{text}").ok();
}

/// Prints data that need not be text.
pub(super) fn print_bytes(bytes: &[u8]) {
    stdout().lock().write_all(bytes).ok();
}

/// Prints one JSON object on one line.
pub(super) fn print_json(object: &impl serde::Serialize) {
    let mut out = stdout().lock();
    if serde_json::to_writer(&mut out, object).is_ok() {
        writeln!(out).ok();
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
    writeln!(stderr().lock(), "{text}").ok();
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
pub(super) fn usage(error: &clap::Error) -> ExitCode {
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
