//! The spans of time that query functions mean.
//!
//! Days are those of UTC, as the environment's users have no zone of their own; weeks begin on
//! Sunday. Fiscal years are calendar years and fiscal periods quarters, as in a new environment.
//! Source: Microsoft Learn, "Web API Query Function Reference", "Work with fiscal year settings".

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
    if let Some(period) = fiscal(name, x, now) {
        return Some(period);
    }
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

/// So many whole fiscal years or periods before this one, or behind it; or the year that is named.
fn fiscal(name: &str, x: i64, now: DateTime) -> Option<Period> {
    if name == "InFiscalYear" {
        return in_fiscal(None, x);
    }
    let (is_last, unit) = match name.strip_prefix("LastXFiscal") {
        Some(unit) => (true, unit),
        None => (false, name.strip_prefix("NextXFiscal")?),
    };
    let (start, one) = match unit {
        "Years" => (now.date().first_of_year(), 12),
        "Periods" => (first_of_quarter(now)?, 3),
        _ => return None,
    };
    let span = |count: i64| Span::new().try_months(one * count).ok();
    let (from, to) = if is_last {
        (start.checked_sub(span(x.min(100_000))?).ok()?, start)
    } else {
        let next = start.checked_add(span(1)?).ok()?;
        (next, next.checked_add(span(x.min(100_000))?).ok()?)
    };
    Some(days(from, to))
}

/// A fiscal year, or one of its four periods.
pub(super) fn in_fiscal(period: Option<i64>, year: i64) -> Option<Period> {
    let year = i16::try_from(year).ok().filter(|year| *year > 0)?;
    let start = jiff::civil::Date::new(year, 1, 1).ok()?;
    let Some(period) = period else {
        return Some(days(start, start.checked_add(1.year()).ok()?));
    };
    let period = (1..=4).contains(&period).then_some(period)?;
    let from = start.checked_add((3 * (period - 1)).months()).ok()?;
    Some(days(from, from.checked_add(3.months()).ok()?))
}

fn days(from: jiff::civil::Date, to: jiff::civil::Date) -> Period {
    let midnight = Time::midnight();
    between(from.to_datetime(midnight), to.to_datetime(midnight))
}

fn first_of_quarter(now: DateTime) -> Option<jiff::civil::Date> {
    let month = (now.month() - 1) / 3 * 3 + 1;
    jiff::civil::Date::new(now.year(), month, 1).ok()
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
        "ThisYear" | "LastYear" | "NextYear" | "ThisFiscalYear" | "LastFiscalYear"
        | "NextFiscalYear" => (day.first_of_year(), 1.year()),
        "ThisFiscalPeriod" | "LastFiscalPeriod" | "NextFiscalPeriod" => {
            (first_of_quarter(now)?, 3.months())
        }
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
            ("LastXFiscalYears", Some(2), "2022-01-01 2024-01-01"),
            ("NextXFiscalPeriods", Some(2), "2024-07-01 2025-01-01"),
            ("LastFiscalPeriod", None, "2024-01-01 2024-04-01"),
            ("ThisFiscalYear", None, "2024-01-01 2025-01-01"),
            ("InFiscalYear", Some(2020), "2020-01-01 2021-01-01"),
            ("LastXFiscalWeeks", Some(1), "none"),
            ("LastXFiscalYears", Some(i64::MAX), "none"),
            ("Sometimes", None, "none"),
        ] {
            assert_eq!(told(name, x), expected, "{name}");
        }
    }
}
