//! Cells that become dates and times.
//!
//! What the language leaves open is decided here:
//!
//! - A time without zone is taken in the column's `timezone`, in UTC where none is named. One that the zone's clocks
//!   skip or show twice is refused, never guessed.
//! - A *time-zone independent* column takes the clock as written; a cell with an offset other than zero is refused.
//! - A *date only* column takes the date as written. Where `timezone` is named and the cell is a point in time, the
//!   date counts in that zone. Without `parse` only midnight is taken for a date; a cell with another time of day
//!   wants `parse`, by which its author says that the time may go.
//! - Dataverse keeps seconds: fractions are cut towards the past. It knows no time before 1753.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::cell::spell;
use super::number::{NumberSteps, NumberTarget, Whole};
use super::{Cell, Refusal};
use crate::mapping::Parse;
use crate::model::{ColumnKind, DateTimeBehavior, Value};

/// The earliest day that Dataverse takes.
const FIRST_DAY: Date = Date::constant(1753, 1, 1);

/// How dates of one column are written, and what the column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mapping) struct DateSteps {
    /// ISO 8601 unless a mapping says otherwise.
    pub(in crate::mapping) parse: Option<Parse>,
    pub(in crate::mapping) zone: Option<TimeZone>,
    pub(in crate::mapping) target: DateTarget,
}

/// What the column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) enum DateTarget {
    /// A date.
    Date,
    /// A point in time.
    Instant,
    /// A clock, the same for everybody.
    WallClock,
}

impl DateTarget {
    /// What a column of that type holds, if it holds dates.
    pub(in crate::mapping) fn of(kind: &ColumnKind) -> Option<Self> {
        match kind {
            ColumnKind::Date => Some(Self::Date),
            ColumnKind::DateTime {
                behavior: DateTimeBehavior::UserLocal,
            } => Some(Self::Instant),
            ColumnKind::DateTime {
                behavior: DateTimeBehavior::TimeZoneIndependent,
            } => Some(Self::WallClock),
            _ => None,
        }
    }
}

/// What a cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Date(Date),
    WallClock(DateTime),
    WallClockAt(DateTime, Offset),
    Instant(Timestamp),
}

impl DateSteps {
    /// ISO 8601, in UTC where no zone is given.
    pub(in crate::mapping) fn plain(target: DateTarget) -> Self {
        Self {
            parse: None,
            zone: None,
            target,
        }
    }

    pub(super) fn convert(&self, cell: Cell<'_>, buffer: &mut String) -> Result<Value, Refusal> {
        let moment = match (cell, &self.parse) {
            (Cell::Null, _) => return Ok(Value::Null),
            (Cell::Text(text), None | Some(Parse::Iso8601)) => iso8601(text, buffer)?,
            (Cell::Text(text), Some(Parse::Format(format))) => formatted(format, text)?,
            (cell, Some(Parse::Epoch)) => Moment::Instant(epoch(cell, 1_000_000_000, buffer)?),
            (cell, Some(Parse::EpochMs)) => Moment::Instant(epoch(cell, 1_000_000, buffer)?),
            (Cell::Date(date), _) => Moment::Date(date),
            (Cell::Instant(instant), _) => Moment::Instant(instant),
            (Cell::WallClock(clock), _) => Moment::WallClock(clock),
            (Cell::Integer(_) | Cell::Float(_) | Cell::Decimal(_) | Cell::Boolean(_), _) => {
                return Err(Refusal::DateInvalid);
            }
        };
        match self.target {
            DateTarget::Date => self.date(moment).map(Value::Date),
            DateTarget::Instant => self.instant(moment).map(Value::Timestamp),
            DateTarget::WallClock => wall_clock(moment).map(Value::Timestamp),
        }
    }

    fn date(&self, moment: Moment) -> Result<Date, Refusal> {
        let in_zone = |instant| match &self.zone {
            Some(zone) => zone.to_datetime(instant),
            None => Offset::UTC.to_datetime(instant),
        };
        let clock = match moment {
            Moment::Date(date) => date.to_datetime(Time::midnight()),
            Moment::WallClock(clock) => clock,
            Moment::WallClockAt(clock, offset) if self.zone.is_some() => {
                in_zone(offset.to_timestamp(clock).map_err(|_| Refusal::DateRange)?)
            }
            Moment::WallClockAt(clock, _) => clock,
            Moment::Instant(instant) => in_zone(instant),
        };
        if self.parse.is_none() && clock.time() != Time::midnight() {
            return Err(Refusal::DateTimeOfDay);
        }
        in_range(clock).map(DateTime::date)
    }

    fn instant(&self, moment: Moment) -> Result<Timestamp, Refusal> {
        let instant = match moment {
            Moment::Date(date) => self.placed(date.to_datetime(Time::midnight()))?,
            Moment::WallClock(clock) => self.placed(clock)?,
            Moment::WallClockAt(clock, offset) => {
                offset.to_timestamp(clock).map_err(|_| Refusal::DateRange)?
            }
            Moment::Instant(instant) => instant,
        };
        to_the_second(Offset::UTC.to_datetime(instant))
    }

    /// The instant of a clock in the column's zone.
    fn placed(&self, clock: DateTime) -> Result<Timestamp, Refusal> {
        let utc = TimeZone::UTC;
        let zone = self.zone.as_ref().unwrap_or(&utc);
        let ambiguous = zone.to_ambiguous_timestamp(clock);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                offset.to_timestamp(clock).map_err(|_| Refusal::DateRange)
            }
            AmbiguousOffset::Gap { .. } => Err(Refusal::DateSkipped),
            AmbiguousOffset::Fold { .. } => Err(Refusal::DateRepeated),
        }
    }

    /// What a cell should look like, in words.
    pub(super) fn expects(&self) -> String {
        let what = match self.target {
            DateTarget::Date => "a date",
            DateTarget::Instant | DateTarget::WallClock => "a date and time",
        };
        match &self.parse {
            None | Some(Parse::Iso8601) => format!("{what} as ISO 8601 writes it"),
            Some(Parse::Epoch) => "a number of seconds since 1970".to_owned(),
            Some(Parse::EpochMs) => "a number of milliseconds since 1970".to_owned(),
            Some(Parse::Format(format)) => format!("{what} as `{format}` writes it"),
        }
    }

    pub(super) fn describe(&self, program: &mut String) {
        match &self.parse {
            None => program.push_str("plain"),
            Some(Parse::Iso8601) => program.push_str("iso8601"),
            Some(Parse::Epoch) => program.push_str("epoch"),
            Some(Parse::EpochMs) => program.push_str("epoch_ms"),
            Some(Parse::Format(format)) => super::describe_text(program, format),
        }
        if let Some(name) = self.zone.as_ref().and_then(TimeZone::iana_name) {
            program.push_str(" in ");
            program.push_str(name);
        }
    }
}

/// A date `YYYY-MM-DD`, alone or with a time behind `T` or a blank, with or without fraction and zone. As warehouses
/// write it, a blank may stand before the zone, and `UTC` for `Z`. The forms of ISO 8601 without hyphens, by week or
/// by day of the year are not taken: they look like numbers.
fn iso8601(text: &str, buffer: &mut String) -> Result<Moment, Refusal> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_extended = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    if !is_extended || ![0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(is_digit) || text.contains('[') {
        return Err(Refusal::DateInvalid);
    }
    let text = match text.rsplit_once(' ') {
        Some((time, "UTC")) => spell(buffer, format_args!("{time}Z")),
        Some((time, zone)) if zone.starts_with(['+', '-', 'Z']) => {
            spell(buffer, format_args!("{time}{zone}"))
        }
        _ => text,
    };
    let pieces = Pieces::parse(text).map_err(|_| Refusal::DateInvalid)?;
    let Some(time) = pieces.time() else {
        return Ok(Moment::Date(pieces.date()));
    };
    let clock = pieces.date().to_datetime(time);
    Ok(match pieces.to_numeric_offset() {
        Some(offset) => Moment::WallClockAt(clock, offset),
        None => Moment::WallClock(clock),
    })
}

/// When that is, by the clock of UTC; a time without zone is taken as written.
pub(in crate::mapping) fn clock_of(text: &str) -> Option<DateTime> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Offset::UTC.to_datetime(instant));
    }
    Some(match iso8601(text, &mut String::new()).ok()? {
        Moment::Date(date) => date.to_datetime(Time::midnight()),
        Moment::WallClock(clock) => clock,
        Moment::WallClockAt(clock, offset) => match offset.to_timestamp(clock) {
            Ok(instant) => Offset::UTC.to_datetime(instant),
            Err(_) => clock,
        },
        Moment::Instant(instant) => Offset::UTC.to_datetime(instant),
    })
}

fn formatted(format: &str, text: &str) -> Result<Moment, Refusal> {
    let parts = BrokenDownTime::parse(format, text).map_err(|_| Refusal::DateInvalid)?;
    if let Some(instant) = parts.timestamp() {
        return Ok(Moment::Instant(instant));
    }
    let clock = parts.to_datetime().map_err(|_| Refusal::DateInvalid)?;
    Ok(match parts.offset() {
        Some(offset) => Moment::WallClockAt(clock, offset),
        None => Moment::WallClock(clock),
    })
}

/// A count since 1970, each `nanoseconds` long.
fn epoch(cell: Cell<'_>, nanoseconds: i128, buffer: &mut String) -> Result<Timestamp, Refusal> {
    let count = NumberSteps::plain(NumberTarget::Decimal {
        min: rust_decimal::Decimal::MIN,
        max: rust_decimal::Decimal::MAX,
        precision: 28,
        whole: Whole::ALL,
    });
    let count = match count.convert(cell, buffer) {
        Ok(Value::Decimal(count)) => count,
        Err(Refusal::NumberRange) => return Err(Refusal::DateRange),
        _ => return Err(Refusal::DateInvalid),
    };
    let divisor = 10_i128.checked_pow(count.scale()).unwrap_or(i128::MAX);
    count
        .mantissa()
        .checked_mul(nanoseconds)
        .map(|scaled| scaled.div_euclid(divisor))
        .and_then(|total| Timestamp::from_nanosecond(total).ok())
        .ok_or(Refusal::DateRange)
}

fn wall_clock(moment: Moment) -> Result<Timestamp, Refusal> {
    to_the_second(match moment {
        Moment::Date(date) => date.to_datetime(Time::midnight()),
        Moment::WallClock(clock) => clock,
        Moment::WallClockAt(clock, Offset::UTC) => clock,
        Moment::WallClockAt(..) => return Err(Refusal::DateOffset),
        Moment::Instant(instant) => Offset::UTC.to_datetime(instant),
    })
}

fn in_range(clock: DateTime) -> Result<DateTime, Refusal> {
    if clock.date() < FIRST_DAY {
        return Err(Refusal::DateRange);
    }
    Ok(clock)
}

/// The clock read as UTC, without its fraction.
fn to_the_second(clock: DateTime) -> Result<Timestamp, Refusal> {
    let whole = in_range(clock)?.with().subsec_nanosecond(0).build();
    whole
        .and_then(|whole| Offset::UTC.to_timestamp(whole))
        .map_err(|_| Refusal::DateRange)
}

/// What a strptime format reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) enum FormatReads {
    /// Date or time without a zone.
    WallClock,
    /// A point in time.
    Instant,
}

/// Tries a format: what it writes of a sample must be read by it again, and hold a date.
///
/// # Errors
/// Why the format cannot be used, in a few words.
pub(in crate::mapping) fn try_format(format: &str) -> Result<FormatReads, String> {
    let sample = jiff::civil::date(2024, 11, 23)
        .at(19, 45, 58, 0)
        .to_zoned(TimeZone::UTC)
        .map_err(|error| error.to_string())?;
    let text = jiff::fmt::strtime::format(format, &sample).map_err(|error| error.to_string())?;
    let parts = BrokenDownTime::parse(format, &text).map_err(|error| error.to_string())?;
    if parts.iana_time_zone().is_some() {
        return Err("names of zones inside cells are not read".to_owned());
    }
    if parts.timestamp().is_some() {
        return Ok(FormatReads::Instant);
    }
    let clock = parts.to_datetime().map_err(|error| error.to_string())?;
    // The sample's hour is 19: it came back as another one.
    if clock.hour() == 7 {
        return Err(
            "`%I` needs `%p`, otherwise 7 in the evening reads as 7 in the morning".to_owned(),
        );
    }
    Ok(match parts.offset() {
        Some(_) => FormatReads::Instant,
        None => FormatReads::WallClock,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn steps(target: DateTarget) -> DateSteps {
        DateSteps::plain(target)
    }

    fn amsterdam(target: DateTarget, parse: Option<Parse>) -> DateSteps {
        DateSteps {
            parse,
            zone: Some(TimeZone::get("Europe/Amsterdam").unwrap()),
            target,
        }
    }

    fn format(target: DateTarget, format: &str) -> DateSteps {
        DateSteps {
            parse: Some(Parse::Format(format.to_owned())),
            ..steps(target)
        }
    }

    fn read(steps: &DateSteps, text: &str) -> Result<Value, Refusal> {
        steps.convert(Cell::Text(text), &mut String::new())
    }

    fn date(text: &str) -> Value {
        Value::Date(text.parse().unwrap())
    }

    fn instant(text: &str) -> Value {
        Value::Timestamp(text.parse().unwrap())
    }

    #[test]
    fn a_date_may_carry_midnight() {
        let steps = steps(DateTarget::Date);
        assert_eq!(read(&steps, "1945-12-30"), Ok(date("1945-12-30")));
        assert_eq!(
            read(&steps, "1945-12-30 00:00:00.000"),
            Ok(date("1945-12-30"))
        );
        assert_eq!(
            read(&steps, "1945-12-30T00:00:00+02:00"),
            Ok(date("1945-12-30"))
        );
        assert_eq!(
            read(&steps, "1945-12-30 10:00:00"),
            Err(Refusal::DateTimeOfDay)
        );
    }

    #[test]
    fn parse_allows_a_time_of_day_to_go() {
        let iso = DateSteps {
            parse: Some(Parse::Iso8601),
            ..steps(DateTarget::Date)
        };
        assert_eq!(read(&iso, "2024-05-01T23:30:00Z"), Ok(date("2024-05-01")));
        let local = amsterdam(DateTarget::Date, Some(Parse::Iso8601));
        assert_eq!(read(&local, "2024-05-01T23:30:00Z"), Ok(date("2024-05-02")));
        assert_eq!(read(&local, "2024-05-01 23:30"), Ok(date("2024-05-01")));
    }

    #[test]
    fn only_the_extended_form_of_iso_8601_is_a_date() {
        let steps = steps(DateTarget::Date);
        for bad in [
            "19451230",
            "1945-W52-7",
            "30-12-1945",
            "1945-13-01",
            "2023-02-29",
            "",
            "x",
        ] {
            assert_eq!(read(&steps, bad), Err(Refusal::DateInvalid), "{bad}");
        }
        assert_eq!(
            read(&steps, "2024-05-01T00:00[Europe/Amsterdam]"),
            Err(Refusal::DateInvalid)
        );
    }

    #[test]
    fn a_time_without_zone_is_utc_unless_a_zone_is_named() {
        let utc = steps(DateTarget::Instant);
        assert_eq!(
            read(&utc, "2024-05-01 20:00:00"),
            Ok(instant("2024-05-01T20:00:00Z"))
        );
        assert_eq!(
            read(&utc, "2024-05-01"),
            Ok(instant("2024-05-01T00:00:00Z"))
        );
        let local = amsterdam(DateTarget::Instant, None);
        assert_eq!(
            read(&local, "2024-05-01T20:00:00"),
            Ok(instant("2024-05-01T18:00:00Z"))
        );
        assert_eq!(
            read(&local, "2024-05-01T20:00:00-08:00"),
            Ok(instant("2024-05-02T04:00:00Z"))
        );
    }

    #[test]
    fn warehouses_put_a_blank_before_the_zone() {
        let steps = steps(DateTarget::Instant);
        for text in [
            "2024-05-01 20:00:00.0000000 +02:00",
            "2024-05-01 18:00:00 UTC",
            "2024-05-01 18:00:00 Z",
            "2024-05-01 20:00:00+02",
        ] {
            assert_eq!(
                read(&steps, text),
                Ok(instant("2024-05-01T18:00:00Z")),
                "{text}"
            );
        }
        for bad in [
            "2024-05-01 +02:00",
            "2024-05-01 UTC",
            "2024-05-01 18:00 CET",
        ] {
            assert_eq!(read(&steps, bad), Err(Refusal::DateInvalid), "{bad}");
        }
    }

    #[test]
    fn hours_that_clocks_skip_or_repeat_are_refused() {
        let local = amsterdam(DateTarget::Instant, None);
        assert_eq!(read(&local, "2026-03-29 02:30"), Err(Refusal::DateSkipped));
        assert_eq!(read(&local, "2026-10-25 02:30"), Err(Refusal::DateRepeated));
        assert_eq!(
            read(&local, "2026-10-25 02:30+02:00"),
            Ok(instant("2026-10-25T00:30:00Z"))
        );
    }

    #[test]
    fn a_wall_clock_column_takes_the_clock_as_written() {
        let steps = steps(DateTarget::WallClock);
        assert_eq!(
            read(&steps, "2024-05-01 20:00"),
            Ok(instant("2024-05-01T20:00:00Z"))
        );
        assert_eq!(
            read(&steps, "2024-05-01 20:00Z"),
            Ok(instant("2024-05-01T20:00:00Z"))
        );
        assert_eq!(
            read(&steps, "2024-05-01 20:00+02:00"),
            Err(Refusal::DateOffset)
        );
    }

    #[test]
    fn fractions_are_cut_towards_the_past() {
        let steps = steps(DateTarget::Instant);
        assert_eq!(
            read(&steps, "2024-05-01T20:00:00.999Z"),
            Ok(instant("2024-05-01T20:00:00Z"))
        );
        assert_eq!(
            read(&steps, "1945-12-30T10:00:00.500"),
            Ok(instant("1945-12-30T10:00:00Z"))
        );
        let epoch = DateSteps {
            parse: Some(Parse::EpochMs),
            ..steps.clone()
        };
        assert_eq!(read(&epoch, "-1"), Ok(instant("1969-12-31T23:59:59Z")));
    }

    #[test]
    fn times_that_dataverse_does_not_know_are_refused() {
        assert_eq!(
            read(&steps(DateTarget::Date), "1752-12-31"),
            Err(Refusal::DateRange)
        );
        assert_eq!(
            read(&steps(DateTarget::Date), "9999-12-31"),
            Ok(date("9999-12-31"))
        );
        let time = steps(DateTarget::Instant);
        assert_eq!(read(&time, "1752-12-31T23:59:59Z"), Err(Refusal::DateRange));
        assert_eq!(read(&time, "9999-12-31T23:59:59Z"), Err(Refusal::DateRange));
        assert_eq!(
            read(&time, "1753-01-01"),
            Ok(instant("1753-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn counts_since_1970_are_read() {
        let epoch = DateSteps {
            parse: Some(Parse::Epoch),
            ..steps(DateTarget::Instant)
        };
        assert_eq!(
            read(&epoch, "1714593600.75"),
            Ok(instant("2024-05-01T20:00:00Z"))
        );
        assert_eq!(read(&epoch, "soon"), Err(Refusal::DateInvalid));
        assert_eq!(
            read(&epoch, "99999999999999999999999"),
            Err(Refusal::DateRange)
        );
        let typed = epoch.convert(Cell::Integer(1_714_593_600), &mut String::new());
        assert_eq!(typed, Ok(instant("2024-05-01T20:00:00Z")));
    }

    #[test]
    fn formats_read_what_they_say() {
        let american = format(DateTarget::Date, "%m/%d/%Y");
        assert_eq!(read(&american, "12/30/1945"), Ok(date("1945-12-30")));
        assert_eq!(read(&american, "30/12/1945"), Err(Refusal::DateInvalid));
        assert_eq!(read(&american, "2/30/1945"), Err(Refusal::DateInvalid));
        let zoned = format(DateTarget::Instant, "%d.%m.%Y %H:%M %z");
        assert_eq!(
            read(&zoned, "01.05.2024 20:00 +0200"),
            Ok(instant("2024-05-01T18:00:00Z"))
        );
    }

    #[test]
    fn a_format_is_tried_before_it_is_used() {
        assert_eq!(try_format("%m/%d/%Y"), Ok(FormatReads::WallClock));
        assert_eq!(try_format("%d %B %Y, %I:%M %p"), Ok(FormatReads::WallClock));
        assert_eq!(try_format("%F %T%.f %z"), Ok(FormatReads::Instant));
        assert_eq!(try_format("%s"), Ok(FormatReads::Instant));
        for bad in [
            "%m/%d", "%H:%M", "%Y-%m-%!", "%Y", "", "%F %Z", "%F %Q", "%F %I:%M",
        ] {
            assert!(try_format(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn typed_cells_are_dates_already() {
        let read = |steps: &DateSteps, cell| steps.convert(cell, &mut String::new());
        let day = jiff::civil::date(2024, 5, 1);
        let clock = day.at(20, 0, 0, 0);
        assert_eq!(
            read(&steps(DateTarget::Date), Cell::Date(day)),
            Ok(date("2024-05-01"))
        );
        let wall = Cell::WallClock(clock);
        assert_eq!(
            read(&amsterdam(DateTarget::Instant, None), wall),
            Ok(instant("2024-05-01T18:00:00Z"))
        );
        let point = Cell::Instant("2024-05-01T22:30:00Z".parse().unwrap());
        assert_eq!(
            read(&amsterdam(DateTarget::Date, Some(Parse::Iso8601)), point),
            Ok(date("2024-05-02"))
        );
        for cell in [
            Cell::Integer(1),
            Cell::Boolean(true),
            Cell::Decimal(Decimal::ONE),
        ] {
            assert_eq!(
                read(&steps(DateTarget::Date), cell),
                Err(Refusal::DateInvalid)
            );
        }
    }

    proptest! {
        #[test]
        fn a_time_reads_as_it_was_written(second in -6_000_000_000_i64..200_000_000_000) {
            let moment = Timestamp::from_second(second).unwrap();
            let spelt = moment.to_string();
            prop_assert_eq!(read(&steps(DateTarget::Instant), &spelt), Ok(Value::Timestamp(moment)));
            let bare = spelt.replace('T', " ").replace('Z', "");
            prop_assert_eq!(read(&steps(DateTarget::WallClock), &bare), Ok(Value::Timestamp(moment)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", pattern in "[%a-zA-Z0-9 :/.-]{0,12}") {
            for target in [DateTarget::Date, DateTarget::Instant, DateTarget::WallClock] {
                for parse in [None, Some(Parse::Iso8601), Some(Parse::Epoch), Some(Parse::EpochMs), Some(Parse::Format(pattern.clone()))] {
                    drop(read(&amsterdam(target, parse), &text));
                }
            }
            drop(try_format(&pattern));
        }
    }
}
