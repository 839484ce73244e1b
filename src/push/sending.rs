//! What the meter tells, in the words of the results.

use std::time::Duration;

use crate::dataverse::ServiceLimit;
use crate::dispatch::{Latency, Measured, Point, Wait, WaitCause};
use crate::report::{CurveResults, LatencyResults, SendingResults, WaitReason, WaitResults};

/// How sending went.
pub(super) fn results(measured: &Measured) -> SendingResults {
    let seconds = measured.time.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "fewer rows than 2^52")]
    let rows = measured.rows as f64;
    SendingResults {
        seconds: rounded(measured.time),
        rows: measured.rows,
        rows_per_second: if seconds > 0.0 {
            (rows / seconds * 10.0).round() / 10.0
        } else {
            0.0
        },
        most_in_flight: measured.most_in_flight as u64,
        latency: latency(&measured.latency),
        waits: measured.waits.iter().map(wait).collect(),
        curve: curve(&measured.curve),
    }
}

fn latency(latency: &Latency) -> LatencyResults {
    LatencyResults {
        requests: latency.requests,
        p50: rounded(latency.p50),
        p90: rounded(latency.p90),
        p99: rounded(latency.p99),
        max: rounded(latency.max),
    }
}

fn wait(wait: &Wait) -> WaitResults {
    let (cause, code) = match &wait.cause {
        WaitCause::Throttled(code) => {
            let cause = match ServiceLimit::of(code) {
                ServiceLimit::Requests => WaitReason::RequestsLimit,
                ServiceLimit::Time => WaitReason::TimeLimit,
                ServiceLimit::Concurrency => WaitReason::ConcurrencyLimit,
                ServiceLimit::Other => WaitReason::Throttled,
            };
            (cause, Some(code.clone()).filter(|code| !code.is_empty()))
        }
        WaitCause::BackingOff => (WaitReason::BackOff, None),
        WaitCause::LookingUp => (WaitReason::LookingUp, None),
    };
    WaitResults {
        cause,
        code,
        times: wait.times,
        seconds: rounded(wait.time),
    }
}

fn curve(points: &[Point]) -> CurveResults {
    let every = match points {
        [] => Duration::ZERO,
        [_] => Point::FINEST,
        [first, second, ..] => second.at.saturating_sub(first.at),
    };
    CurveResults {
        every: rounded(every),
        in_flight: points.iter().map(|point| point.in_flight as u64).collect(),
        rows: points.iter().map(|point| point.rows).collect(),
    }
}

/// In seconds; nobody reads more than the microseconds.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_sent_nothing_has_no_speed() {
        let nothing = results(&Measured::default());
        assert_eq!(nothing, SendingResults::default());
    }

    #[test]
    fn the_causes_of_waits_are_told_by_the_codes_of_the_service() {
        let told = |code: &str| {
            let told = wait(&Wait {
                cause: WaitCause::Throttled(code.to_owned()),
                times: 1,
                time: Duration::from_millis(1500),
            });
            assert!((told.seconds - 1.5).abs() < 1e-9);
            (told.cause, told.code)
        };
        assert_eq!(
            told("0x80072321"),
            (WaitReason::TimeLimit, Some("0x80072321".to_owned()))
        );
        assert_eq!(told(""), (WaitReason::Throttled, None));
    }
}
