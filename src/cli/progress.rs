//! One line that lives while a run does, on a terminal only.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::output;
use crate::push::{Progress, Seen, Stage};

/// Whether to show progress.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Show {
    /// On a terminal.
    Auto,
    /// Not at all.
    Never,
}

/// Four times a second: smooth enough to read, cheap enough to forget.
const BETWEEN: Duration = Duration::from_millis(250);

/// Shows progress until it is dropped; what each stage came to stays as a line.
pub(super) async fn show(progress: Arc<Progress>, wanted: Show) {
    if wanted == Show::Never || output::is_quiet() || !stderr().is_terminal() {
        return std::future::pending().await;
    }
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        line.set_style(style);
    }
    let mut ticks = tokio::time::interval(BETWEEN);
    let mut before = progress.seen();
    loop {
        ticks.tick().await;
        let seen = progress.seen();
        if seen.stage != before.stage {
            line.println(text(&Seen {
                stage: before.stage,
                ..seen
            }));
        }
        let speed = per_second(&before, &seen);
        line.set_message(format!("{}{speed}", text(&seen)));
        line.tick();
        before = seen;
    }
}

fn per_second(before: &Seen, now: &Seen) -> String {
    let settled = now.settled.saturating_sub(before.settled);
    let each_second = settled * 1000 / u64::try_from(BETWEEN.as_millis()).unwrap_or(1).max(1);
    if now.stage != Stage::Sending || each_second == 0 {
        return String::new();
    }
    let left = now.due.saturating_sub(now.settled) / each_second;
    format!("   {each_second} per second, about {left} s left")
}

fn text(seen: &Seen) -> String {
    let Seen { read, due, .. } = seen;
    match seen.stage {
        Stage::Opening => "opening: mapping, table, extract".to_owned(),
        Stage::Waiting => "waiting for another run of this table".to_owned(),
        Stage::Surveying => format!("reading: {read} rows"),
        Stage::Sending => {
            let mut text = format!(
                "sending: {} of {due} done, {} unchanged, {} rejected, {} in flight",
                seen.settled, seen.unchanged, seen.rejected, seen.traffic.in_flight
            );
            if !seen.traffic.pause.is_zero() {
                let pause = seen.traffic.pause.as_secs_f64();
                text = format!("{text}, throttled for {pause:.0} s more");
            }
            text
        }
        Stage::Finishing => "writing the results".to_owned(),
    }
}
