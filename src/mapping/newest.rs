//! `duplicates: { newest: column }`: cells as numbers whose order is the order of time.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::prelude::ToPrimitive as _;

use super::convert::Cell;

/// The rank of a cell: higher is newer. A null is oldest, and so is what is neither a number nor a date.
pub(super) fn rank(cell: Cell<'_>) -> u64 {
    let rank = match cell {
        Cell::Null => None,
        Cell::Text(text) => of_text(text.trim()),
        Cell::Integer(number) => Some(of_whole(number)),
        Cell::Float(number) => Some(of_float(number)),
        Cell::Decimal(number) => number.to_f64().map(of_float),
        Cell::Boolean(yes) => Some(of_whole(i64::from(yes))),
        Cell::Date(date) => of_date(date),
        Cell::WallClock(clock) => of_clock(clock),
        Cell::Instant(instant) => Some(of_whole(instant.as_microsecond())),
    };
    rank.unwrap_or_default()
}

fn of_text(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then(|| of_float(number));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(of_whole(instant.as_microsecond()));
    }
    if let Ok(clock) = text.parse::<DateTime>() {
        return of_clock(clock);
    }
    text.parse::<Date>().ok().and_then(of_date)
}

fn of_date(date: Date) -> Option<u64> {
    of_clock(date.to_datetime(jiff::civil::Time::midnight()))
}

fn of_clock(clock: DateTime) -> Option<u64> {
    let instant = clock.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(of_whole(instant.as_microsecond()))
}

/// Never 0, which is the rank of a null.
fn of_whole(number: i64) -> u64 {
    (number.cast_unsigned() ^ (1 << 63)).max(1)
}

fn of_float(number: f64) -> u64 {
    let bits = number.to_bits();
    let ordered = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    ordered.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_is_higher_whatever_it_is_written_as() {
        let ascending = |cells: &[Cell<'_>]| {
            let ranks: Vec<u64> = cells.iter().map(|cell| rank(*cell)).collect();
            assert!(
                ranks.is_sorted_by(|one, next| one < next),
                "{cells:?} {ranks:?}"
            );
        };
        ascending(&[
            Cell::Null,
            Cell::Integer(i64::MIN + 1),
            Cell::Integer(-1),
            Cell::Integer(0),
            Cell::Integer(7),
        ]);
        ascending(&[
            Cell::Text("x"),
            Cell::Text("-2.5"),
            Cell::Text("-1"),
            Cell::Text("0"),
            Cell::Text(" 10 "),
            Cell::Text("100"),
        ]);
        ascending(&[
            Cell::Text(""),
            Cell::Text("1969-12-31"),
            Cell::Text("2026-01-01"),
            Cell::Text("2026-01-01T00:00:01"),
            Cell::Text("2026-01-01T02:00:00+01:00"),
            Cell::Text("9998-12-31"),
        ]);
        ascending(&[
            Cell::Float(-1e300),
            Cell::Float(-0.5),
            Cell::Float(0.25),
            Cell::Float(f64::MAX),
        ]);
    }
}
