//! `duplicates: { newest: column }`: cells as numbers whose order is the order of time.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::Offset;
use rust_decimal::prelude::ToPrimitive as _;

use super::convert::{Cell, clock_of};

/// The rank of what is later than any time that is known: open ends that other programs write.
pub(super) const LATEST: u64 = u64::MAX;

/// The rank of a cell: higher is newer. A null is oldest, and so is what is neither a number nor a date.
pub(super) fn rank(cell: Cell<'_>) -> u64 {
    let rank = match cell {
        Cell::Null => None,
        Cell::Text(text) => of_text(text.trim()),
        Cell::Integer(number) => Some(of_whole(number)),
        Cell::Float(number) => (!number.is_nan()).then(|| of_number(number, None)),
        Cell::Decimal(number) => number
            .to_f64()
            .map(|nearest| of_number(nearest, number.to_i64())),
        Cell::Boolean(yes) => Some(of_whole(i64::from(yes))),
        Cell::Date(date) => Some(of_clock(date.to_datetime(Time::midnight()))),
        Cell::WallClock(clock) => Some(of_clock(clock)),
        Cell::Instant(instant) => Some(of_instant(instant)),
    };
    rank.unwrap_or_default()
}

fn of_text(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse::<f64>() {
        let rank = || of_number(number, text.parse().ok());
        return number.is_finite().then(rank);
    }
    clock_of(text).map(of_clock)
}

/// The last hours of the year 9999, by which open ends are written, are instants of no zone.
fn of_clock(clock: DateTime) -> u64 {
    let instant = Offset::UTC.to_timestamp(clock);
    of_instant(instant.unwrap_or(if clock.year() > 0 {
        Timestamp::MAX
    } else {
        Timestamp::MIN
    }))
}

/// By nanoseconds in the 146 years around 1970 on either side, by microseconds beyond.
fn of_instant(instant: Timestamp) -> u64 {
    const FINE: i128 = 1 << 62;
    let count = instant.as_nanosecond();
    let fine = count.clamp(-FINE, FINE);
    let place = fine + (count - fine) / 1_000;
    of_whole(i64::try_from(place).unwrap_or(i64::MAX))
}

/// Never 0, which is the rank of a null.
fn of_whole(number: i64) -> u64 {
    (number.cast_unsigned() ^ (1 << 63)).max(1)
}

/// By the number nearest to it; where not every whole number is one of those, by the whole number.
fn of_number(nearest: f64, whole: Option<i64>) -> u64 {
    const DENSE: u64 = 1 << 53;
    const SPARSE: u64 = 9_007_199_254_740_992_f64.to_bits();
    /// The rest has room behind it, and nanoseconds since 1970 reach it in 2096.
    const MOST: u64 = 4_000_000_000_000_000_000;
    let bits = nearest.abs().to_bits();
    let whole = whole.or_else(|| nearest.to_i64()).map(i64::unsigned_abs);
    let size = match whole {
        _ if bits < SPARSE => bits,
        Some(whole @ DENSE..=MOST) => SPARSE + (whole - DENSE),
        _ => SPARSE + (MOST - DENSE) + ((bits - SPARSE) >> 5),
    };
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    of_whole(if nearest < 0.0 { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascending(cells: &[Cell<'_>]) {
        let ranks: Vec<u64> = cells.iter().map(|cell| rank(*cell)).collect();
        assert!(
            ranks.is_sorted_by(|one, next| one < next),
            "{cells:?} {ranks:?}"
        );
    }

    #[test]
    fn more_is_higher_whatever_it_is_written_as() {
        ascending(&[
            Cell::Null,
            Cell::Integer(i64::MIN + 1),
            Cell::Integer(-1),
            Cell::Integer(0),
            Cell::Integer(7),
        ]);
        ascending(&[
            Cell::Text("x"),
            Cell::Text("-1e300"),
            Cell::Text("-9007199254740993"),
            Cell::Text("-9007199254740992"),
            Cell::Text("-2.5"),
            Cell::Text("-1"),
            Cell::Text("0"),
            Cell::Text(" 10 "),
            Cell::Text("10.5"),
            Cell::Text("100"),
            Cell::Text("9007199254740991"),
            Cell::Text("9007199254740992"),
            Cell::Text("9007199254740993"),
            Cell::Text("1700000000123456788"),
            Cell::Text("1700000000123456789"),
            Cell::Text("1.8e18"),
            Cell::Text("9223372036854775807"),
            Cell::Text("20000000000000000000"),
            Cell::Text("1e300"),
        ]);
        let decimal =
            |number| Cell::Decimal(rust_decimal::Decimal::from_i128_with_scale(number, 0));
        ascending(&[
            decimal(-1_700_000_000_123_456_789),
            decimal(7),
            decimal(1_700_000_000_123_456_788),
            decimal(1_700_000_000_123_456_789),
            decimal(20_000_000_000_000_000_000),
        ]);
        ascending(&[
            Cell::Float(-1e300),
            Cell::Float(-0.5),
            Cell::Float(0.25),
            Cell::Float(f64::MAX),
        ]);
        assert_eq!(rank(Cell::Float(f64::NAN)), rank(Cell::Null));
    }

    #[test]
    fn later_is_higher_whatever_it_is_written_as() {
        ascending(&[
            Cell::Text(""),
            Cell::Text("1969-12-31"),
            Cell::Text("2026-01-01"),
            Cell::Text("2026-01-01T00:00:01"),
            Cell::Text("2026-01-01T02:00:00+01:00"),
            Cell::Text("2026-01-01 01:00:01 UTC"),
            Cell::Text("2026-01-01 01:00:01.000000001Z"),
            Cell::Text("2026-01-01 01:00:01.000000002 +0000"),
            Cell::Text("2026-01-01 04:00:02 +02:00"),
            Cell::Text("9998-12-31"),
            Cell::Text("9999-12-30"),
            Cell::Text("9999-12-31"),
        ]);
        ascending(&[
            Cell::Null,
            Cell::Date(jiff::civil::date(-9999, 1, 1)),
            Cell::Date(jiff::civil::date(1600, 1, 1)),
            Cell::Date(jiff::civil::date(2026, 1, 1)),
            Cell::Date(jiff::civil::date(9999, 12, 31)),
        ]);
    }
}
