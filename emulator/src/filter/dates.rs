//! The spans of time that query functions mean.
//!
//! Days are those of UTC, as the environment's users have no zone of their own; weeks begin on
//! Sunday. Fiscal periods are left out. Source: Microsoft Learn, "Web API Query Function
//! Reference".

use jiff::civil::{DateTime, Time, Weekday};
use jiff::{Span, ToSpan as _};

/// From one moment, as far as it is bounded, to just before another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: Option<DateTime>,
    pub(super) to: Option<DateTime>,
}

fn between(from: DateTime, to: DateTime) -> Period {
    Period {
        from: Some(from),
        to: Some(to),
    }
}

/// The span that a function of this name means; `None` if there is no such function, or time has
/// no such moment.
pub(super) fn period(name: &str, x: Option<i64>, now: DateTime) -> Option<Period> {
    let today = now.date().to_datetime(Time::midnight());
    let Some(x) = x else {
        return named(name, now);
    };
    let x = Some(x).filter(|x| *x > 0)?;
    if let Some(unit) = name.strip_prefix("LastX") {
        let (length, from) = length(unit, x, now)?;
        let just_after = now.checked_add(1.second()).ok()?;
        return Some(between(from.checked_sub(length).ok()?, just_after));
    }
    if let Some(unit) = name.strip_prefix("NextX") {
        let (length, from) = length(unit, x, now)?;
        let end = from.checked_add(length).ok()?;
        let is_whole = from == today;
        let end = if is_whole { day_after(end)? } else { end };
        return Some(between(now, end));
    }
    let unit = name.strip_prefix("OlderThanX")?;
    let (length, from) = length(unit, x, now)?;
    Some(Period {
        from: None,
        to: Some(from.checked_sub(length).ok()?),
    })
}

/// How long so many units are, and from where they are counted: larger ones from midnight.
fn length(unit: &str, x: i64, now: DateTime) -> Option<(Span, DateTime)> {
    let today = now.date().to_datetime(Time::midnight());
    let span = Span::new();
    let (length, from) = match unit {
        "Minutes" => (span.try_minutes(x), now),
        "Hours" => (span.try_hours(x), now),
        "Days" => (span.try_days(x), today),
        "Weeks" => (span.try_weeks(x), today),
        "Months" => (span.try_months(x), today),
        "Years" => (span.try_years(x), today),
        _ => return None,
    };
    Some((length.ok()?, from))
}

fn day_after(moment: DateTime) -> Option<DateTime> {
    moment.checked_add(1.day()).ok()
}

fn named(name: &str, now: DateTime) -> Option<Period> {
    let day = now.date();
    let since_sunday = i64::from(day.weekday().since(Weekday::Sunday));
    let (start, length) = match name {
        "Today" | "Yesterday" | "Tomorrow" => (day, 1.day()),
        "ThisWeek" | "LastWeek" | "NextWeek" => {
            (day.checked_sub(since_sunday.days()).ok()?, 1.week())
        }
        "ThisMonth" | "LastMonth" | "NextMonth" => (day.first_of_month(), 1.month()),
        "ThisYear" | "LastYear" | "NextYear" => (day.first_of_year(), 1.year()),
        "Last7Days" => return period("LastXDays", Some(7), now),
        "Next7Days" => return period("NextXDays", Some(7), now),
        _ => return None,
    };
    let start = if name.starts_with("Last") || name == "Yesterday" {
        start.checked_sub(length).ok()?
    } else if name.starts_with("Next") || name == "Tomorrow" {
        start.checked_add(length).ok()?
    } else {
        start
    };
    let start = start.to_datetime(Time::midnight());
    Some(between(start, start.checked_add(length).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, x: Option<i64>) -> String {
        // A Wednesday.
        let now = "2024-05-15T10:30:00".parse().unwrap();
        let Some(Period { from, to }) = period(name, x, now) else {
            return "none".to_owned();
        };
        let text = |moment: Option<DateTime>| moment.map_or(String::new(), |m| m.to_string());
        format!("{} {}", text(from), text(to)).replace("T00:00:00", "")
    }

    #[test]
    fn functions_mean_spans_of_time() {
        for (name, x, expected) in [
            ("Today", None, "2024-05-15 2024-05-16"),
            ("Yesterday", None, "2024-05-14 2024-05-15"),
            ("Tomorrow", None, "2024-05-16 2024-05-17"),
            ("ThisWeek", None, "2024-05-12 2024-05-19"),
            ("LastWeek", None, "2024-05-05 2024-05-12"),
            ("NextMonth", None, "2024-06-01 2024-07-01"),
            ("LastYear", None, "2023-01-01 2024-01-01"),
            ("Last7Days", None, "2024-05-08 2024-05-15T10:30:01"),
            ("LastXDays", Some(2), "2024-05-13 2024-05-15T10:30:01"),
            (
                "LastXHours",
                Some(2),
                "2024-05-15T08:30:00 2024-05-15T10:30:01",
            ),
            ("NextXDays", Some(1), "2024-05-15T10:30:00 2024-05-17"),
            (
                "NextXHours",
                Some(1),
                "2024-05-15T10:30:00 2024-05-15T11:30:00",
            ),
            ("OlderThanXMonths", Some(1), " 2024-04-15"),
            ("LastXDays", Some(0), "none"),
            ("LastXYears", Some(i64::MAX), "none"),
            ("LastXFiscalYears", Some(1), "none"),
            ("Sometimes", None, "none"),
        ] {
            assert_eq!(told(name, x), expected, "{name}");
        }
    }
}
