//! Dates and times as the Web API reads and writes them.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// The calendar of the service begins on 1 January of this year.
pub(crate) const FIRST_YEAR: i16 = 1753;
/// Seconds are counted from here. Not with a timestamp, which ends two hours before the calendar.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, what `Edm.DateTimeOffset` can say.
const SAYABLE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// 1753-01-01T00:00:00Z and 9999-12-30T23:59:59Z, what a column holds. The page tells only the
/// first; that the last day of all is out is the stricter reading.
const CALENDAR: std::ops::RangeInclusive<i64> = -6_847_804_800..=253_402_214_399;

/// `2024-05-01`, and nothing else.
pub(crate) fn date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let [_, _, _, _, b'-', _, _, b'-', _, _] = bytes else {
        return None;
    };
    let year = digits(text.get(0..4)?)?;
    let month = digits(text.get(5..7)?)?;
    let day = digits(text.get(8..10)?)?;
    let small = |number: i16| i8::try_from(number).ok();
    Date::new(year, small(month)?, small(day)?).ok()
}

/// `2024-05-01T20:00:00Z`, with an offset, or without a zone, which is read as UTC. Seconds since
/// 1970; fractions of a second are dropped.
pub(crate) fn date_time(text: &str) -> Option<i64> {
    let (day, rest) = text.split_once('T')?;
    let day = date(day)?;
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone)?;
    let offset = offset(zone)?;
    let at = DateTime::from_parts(day, time(clock)?);
    let seconds = at.duration_since(EPOCH).as_secs() - offset;
    SAYABLE.contains(&seconds).then_some(seconds)
}

/// `20:00`, `20:00:00`, `20:00:00.123`
fn time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let hour = two_digits(parts.next()?)?;
    let minute = two_digits(parts.next()?)?;
    let second = match parts.next() {
        Some(second) => {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, "0"));
            digits(fraction.get(..1)?)?;
            if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            two_digits(whole)?
        }
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

/// Seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if text.is_empty() || text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    Some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

fn two_digits(text: &str) -> Option<i8> {
    if text.len() != 2 {
        return None;
    }
    i8::try_from(digits(text)?).ok()
}

fn digits(text: &str) -> Option<i16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

pub(crate) fn is_in_calendar(seconds: i64) -> bool {
    CALENDAR.contains(&seconds)
}

/// `2024-05-01T20:00:00Z`
pub(crate) fn written(seconds: i64) -> String {
    civil(seconds).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The clock of UTC at that moment.
pub(crate) fn civil(seconds: i64) -> DateTime {
    let since = SignedDuration::from_secs(seconds);
    EPOCH.checked_add(since).unwrap_or(EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_have_an_offset_or_none() {
        let utc = date_time("2024-05-01T20:00:00Z").unwrap();
        assert_eq!(written(utc), "2024-05-01T20:00:00Z");
        assert_eq!(date_time("2024-05-01T12:00:00-08:00"), Some(utc));
        assert_eq!(date_time("2024-05-01T20:00:00"), Some(utc));
        assert_eq!(date_time("2024-05-01T20:00:00.999Z"), Some(utc));
        assert_eq!(date_time("2024-05-01T20:00Z"), Some(utc));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "2024-05-01",
            "2024-05-01 20:00:00Z",
            "2024-5-1T20:00:00Z",
            "2024-02-30T20:00:00Z",
            "2024-05-01T25:00:00Z",
            "2024-05-01T20:00:00+1",
            "2024-05-01T20:00:00.Z",
            "",
            "T",
            "2024-05-01T20:00:00+99:00",
            "2024-05-01T",
            "2024-05-01T20:00:00Zx",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
        assert_eq!(date("2024-05-01T00:00:00Z"), None);
        assert_eq!(date("2024-13-01"), None);
        assert_eq!(date("+024-01-01"), None);
    }

    #[test]
    fn the_calendar_has_a_first_and_a_last_second() {
        assert!(is_in_calendar(date_time("1753-01-01T00:00:00Z").unwrap()));
        assert!(!is_in_calendar(date_time("1752-12-31T23:59:59Z").unwrap()));
        let last = date_time("9999-12-30T23:59:59Z").unwrap();
        assert!(is_in_calendar(last));
        assert_eq!(written(last), "9999-12-30T23:59:59Z");
        assert!(!is_in_calendar(date_time("9999-12-31T23:59:59Z").unwrap()));
        assert!(!is_in_calendar(date_time("0001-01-01T00:00:00Z").unwrap()));
        assert_eq!(date_time("9999-12-31T23:59:59-08:00"), None);
        assert_eq!(date_time("0001-01-01T00:00:00+01:00"), None);
    }
}
