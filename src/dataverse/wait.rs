//! How long an answer asks to wait.
//!
//! Source: RFC 9110, "Retry-After": whole seconds, or the time of day to wait for.

use std::time::Duration;

use jiff::Timestamp;

/// Longer waits are as good as this one. Any clock can tell when it ends.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// How long `Retry-After` asks to wait, if it can be read: a year at most.
///
/// A time of day is counted from what the service itself calls now, its `Date`: this machine's clock may be another one.
/// Where there is no `Date`, this machine's clock has to do, unless it says that the time is over already.
pub(super) fn told(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    Some(read(retry_after.trim(), date)?.min(LONGEST))
}

fn read(told: &str, date: Option<&str>) -> Option<Duration> {
    if !told.is_empty() && told.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(told.parse().map_or(LONGEST, Duration::from_secs));
    }
    if let Ok(seconds) = told.parse() {
        // Some gateways tell fractions, which the standard does not know.
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = time(told)?;
    match date.and_then(time) {
        Some(now) => {
            let seconds = (until - now).get_seconds();
            Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
        }
        // Beside the start of a run the only time of the calendar that is asked of this machine: there is no other one.
        None => until.duration_since(Timestamp::now()).try_into().ok(),
    }
}

/// `Sat, 21 Nov 2026 03:33:38 GMT`
fn time(date: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Option<&str> = Some("Sat, 21 Nov 2026 03:33:38 GMT");

    #[test]
    fn seconds_are_told_with_and_without_a_fraction() {
        for (text, milliseconds) in [("37", 37_000), (" 2 ", 2_000), ("0", 0), ("1.5", 1_500)] {
            assert_eq!(told(text, None), Some(Duration::from_millis(milliseconds)));
        }
        for unreadable in ["", "soon", "-5", "NaN", "inf", "1e300", "-0.5"] {
            assert_eq!(told(unreadable, NOW), None, "{unreadable}");
        }
    }

    #[test]
    fn a_time_of_day_is_counted_from_the_clock_of_the_service() {
        let minutes = |text| told(text, NOW);
        assert_eq!(
            minutes("Sat, 21 Nov 2026 03:35:40 GMT"),
            Some(Duration::from_secs(122))
        );
        assert_eq!(
            minutes("Sat, 21 Nov 2026 03:33:00 GMT"),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn a_wait_that_no_clock_could_tell_is_as_good_as_a_year() {
        for long in [
            "99999999999",
            "18446744073709551615",
            "99999999999999999999",
            "1e18",
        ] {
            assert_eq!(told(long, NOW), Some(LONGEST), "{long}");
        }
        assert_eq!(told("Wed, 01 Dec 9999 00:00:00 GMT", NOW), Some(LONGEST));
    }

    #[test]
    fn without_a_clock_of_the_service_this_machines_clock_has_to_do() {
        assert_eq!(told("Wed, 01 Dec 9999 00:00:00 GMT", None), Some(LONGEST));
        assert_eq!(told("Sat, 01 Jan 2000 00:00:00 GMT", None), None);
    }
}
