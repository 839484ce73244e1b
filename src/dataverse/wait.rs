//! How long an answer asks to wait.
//!
//! Source: RFC 9110, "Retry-After": whole seconds, or the time of day to wait for.

use std::time::Duration;

/// How long `Retry-After` asks to wait, if it can be read.
///
/// A time of day is counted from what the service itself calls now, its `Date`: this machine's clock may be another one.
pub(super) fn told(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let told = retry_after.trim();
    if let Ok(seconds) = told.parse() {
        return Some(Duration::from_secs(seconds));
    }
    if let Ok(seconds) = told.parse() {
        // Some gateways tell fractions, which the standard does not know.
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let seconds = (time(told)? - time(date?)?).get_seconds();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// `Sat, 21 Nov 2026 03:33:38 GMT`
fn time(date: &str) -> Option<jiff::Timestamp> {
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
        assert_eq!(told("Sat, 21 Nov 2026 03:35:40 GMT", None), None);
    }
}
