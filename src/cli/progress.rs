//! One line that lives while a run does, on a terminal only.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::output;
use crate::dataverse::ServiceLimit;
use crate::push::{Progress, Seen, Stage, Waiting};

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

/// How far back its speed is looked at: a few batches, since rows come by the hundred.
const LATELY: Duration = Duration::from_secs(5);

/// Shows progress until it is dropped; what each stage came to stays as a line.
pub(super) async fn show(progress: Arc<Progress>, wanted: Show) {
    if wanted == Show::Never || output::is_quiet() || !stderr().is_terminal() {
        return std::future::pending().await;
    }
    let line = Line::shown();
    let Line(line) = &line;
    let mut ticks = tokio::time::interval(BETWEEN);
    let mut before = progress.seen();
    let mut speed = Speed::default();
    loop {
        ticks.tick().await;
        let seen = progress.seen();
        if seen.stage != before.stage {
            line.println(text(&Seen {
                stage: before.stage,
                ..seen
            }));
            speed = Speed::default();
        }
        speed.look(Instant::now(), &seen);
        line.set_message(format!("{}{}", text(&seen), speed.text(&seen)));
        line.tick();
        before = seen;
    }
}

/// The line, for whatever else goes to the terminal while it is shown.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn now_shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to stderr; the line of progress makes way meanwhile.
pub(super) fn beside<T>(write: impl FnOnce() -> T) -> T {
    let line = now_shown().clone();
    match line {
        Some(line) => line.suspend(write),
        None => write(),
    }
}

/// The line, which goes when it is dropped.
struct Line(ProgressBar);

impl Line {
    fn shown() -> Self {
        let line = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            line.set_style(style);
        }
        *now_shown() = Some(line.clone());
        Self(line)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        *now_shown() = None;
        self.0.finish_and_clear();
    }
}

/// How fast it was in the last seconds.
#[derive(Default)]
struct Speed {
    /// When so many rows were answered and so many settled.
    looks: VecDeque<(Instant, u64, u64)>,
}

impl Speed {
    fn look(&mut self, now: Instant, seen: &Seen) {
        self.looks.push_back((now, seen.answered, seen.settled));
        let is_old = |first: &(Instant, u64, u64)| now - first.0 > LATELY;
        while self.looks.len() > 2 && self.looks.front().is_some_and(is_old) {
            self.looks.pop_front();
        }
    }

    /// `   580 sent per second, about 7 s left`; nothing where nothing moves.
    fn text(&self, seen: &Seen) -> String {
        let (Some(first), Some(last)) = (self.looks.front(), self.looks.back()) else {
            return String::new();
        };
        let passed = u64::try_from((last.0 - first.0).as_millis()).unwrap_or(u64::MAX);
        let each_second = |rows: u64| (rows * 1000).checked_div(passed).unwrap_or(0);
        let (sent, settled) = (
            each_second(last.1.saturating_sub(first.1)),
            each_second(last.2.saturating_sub(first.2)),
        );
        if seen.stage != Stage::Sending || sent == 0 {
            return String::new();
        }
        let left = seen.due.saturating_sub(seen.settled);
        match left.checked_div(settled) {
            None => format!("   {sent} sent per second"),
            Some(left) => format!("   {sent} sent per second, about {left} s left"),
        }
    }
}

fn text(seen: &Seen) -> String {
    let Seen { read, due, .. } = seen;
    match seen.stage {
        Stage::Opening => "opening: mapping, table, extract".to_owned(),
        Stage::Waiting => "waiting for another run of this table".to_owned(),
        Stage::Surveying => format!("reading: {read} rows"),
        Stage::Sending => format!(
            "sending: {} of {due} done, {} unchanged, {} rejected, {} in flight{}",
            seen.settled,
            seen.unchanged,
            seen.rejected,
            seen.traffic.in_flight,
            waiting(seen.waiting)
        ),
        Stage::Finishing => "writing the results".to_owned(),
    }
}

/// `, throttled for 17 s more (requests in five minutes)`
fn waiting(waiting: Waiting) -> String {
    match waiting {
        Waiting::No => String::new(),
        Waiting::Throttled { limit, left } => {
            let of = match limit {
                ServiceLimit::Requests => " (requests in five minutes)",
                ServiceLimit::Time => " (execution time in five minutes)",
                ServiceLimit::Concurrency => " (requests at a time)",
                ServiceLimit::Other => "",
            };
            format!(", throttled for {:.0} s more{of}", left.as_secs_f64())
        }
        Waiting::BackingOff { left } => format!(
            ", the service failed, tried again in {:.0} s",
            left.as_secs_f64()
        ),
        Waiting::LookingUp => ", looking up records".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(answered: u64, settled: u64) -> Seen {
        Seen {
            stage: Stage::Sending,
            due: 10_000,
            answered,
            settled,
            ..Seen::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn speed_is_that_of_the_last_seconds() {
        let mut speed = Speed::default();
        for tick in 0..100 {
            let rows = if tick < 50 { 0 } else { (tick - 50) * 100 };
            speed.look(Instant::now(), &sending(rows, rows / 2));
            tokio::time::advance(BETWEEN).await;
        }
        let text = speed.text(&sending(4900, 2450));
        assert_eq!(text, "   400 sent per second, about 37 s left");
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_moves_nothing_is_foretold() {
        let mut speed = Speed::default();
        speed.look(Instant::now(), &sending(50, 50));
        assert_eq!(speed.text(&sending(50, 50)), "");
        tokio::time::advance(BETWEEN).await;
        speed.look(Instant::now(), &sending(50, 50));
        assert_eq!(speed.text(&sending(50, 50)), "");
    }

    #[test]
    fn the_line_tells_what_is_waited_for_and_how_long() {
        let line = |waiting| {
            text(&Seen {
                waiting,
                ..sending(0, 0)
            })
        };
        let left = Duration::from_secs(17);
        let limit = ServiceLimit::Requests;
        let throttled = line(Waiting::Throttled { limit, left });
        let expected = "0 in flight, throttled for 17 s more (requests in five minutes)";
        assert!(throttled.ends_with(expected), "{throttled}");
        let failed = line(Waiting::BackingOff { left });
        assert!(failed.ends_with("tried again in 17 s"), "{failed}");
        assert!(line(Waiting::LookingUp).ends_with("looking up records"));
        assert!(line(Waiting::No).ends_with("0 in flight"));
    }
}
