//! Log lines on stderr: how many, and in which shape.

use std::io::{self, Write, stderr};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::{Loudness, output, progress};
use crate::mapping::Paint;

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts to write log lines. `SEGUE_LOG` (`debug`, `segue::dispatch=trace`) wins over the switches.
pub(super) fn start(loudness: &Loudness) {
    let level = match (loudness.quiet, loudness.verbose) {
        (true, _) => "error",
        (false, 0) => "error",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let wanted = std::env::var("SEGUE_LOG").ok().filter(|it| !it.is_empty());
    // Other people's crates are not asked: what they log is for others to keep free of secrets.
    let filter = wanted.unwrap_or_else(|| format!("segue={level}"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(|| Beside)
        .with_ansi(output::paint() == Paint::Colour);
    // A second subscriber in one process is refused, and the first goes on.
    match loudness.log_format {
        Shape::Text => subscriber.try_init().ok(),
        Shape::Json => subscriber.json().with_ansi(false).try_init().ok(),
    };
}

/// Stderr, where the line of progress makes way.
struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whole: what is a log line must not be parted by the line of progress.
        progress::beside(|| stderr().lock().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().lock().flush()
    }
}
