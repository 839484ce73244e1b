//! One cell of a batch, borrowed: what the source said, before any step.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Int8Type, Int16Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::Refusal;

/// A cell as the source holds it. Text formats have only [`Cell::Null`] and [`Cell::Text`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::mapping) enum Cell<'a> {
    Null,
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Decimal(Decimal),
    Boolean(bool),
    Date(Date),
    /// A point in time: the type has a zone.
    Instant(Timestamp),
    /// Date and time as on a clock: the type has no zone.
    WallClock(DateTime),
}

impl<'a> Cell<'a> {
    /// The cell as text: text as it is, everything else spelt in a plain way (`3003`, `true`, `2024-05-01`).
    /// `None` for a null.
    pub(in crate::mapping) fn text<'s>(self, buffer: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text),
            Self::Integer(number) => Some(spell(buffer, format_args!("{number}"))),
            Self::Float(number) => Some(spell(buffer, format_args!("{number}"))),
            Self::Decimal(number) => Some(spell(buffer, format_args!("{number}"))),
            Self::Boolean(yes) => Some(if yes { "true" } else { "false" }),
            Self::Date(date) => Some(spell_date(buffer, date)),
            Self::Instant(instant) => Some(spell(buffer, format_args!("{instant}"))),
            Self::WallClock(clock) => Some(spell(buffer, format_args!("{clock}"))),
        }
    }
}

/// Writes into a buffer that is used again for the next cell.
pub(super) fn spell<'s>(buffer: &'s mut String, words: fmt::Arguments<'_>) -> &'s str {
    buffer.clear();
    if fmt::write(buffer, words).is_err() {
        buffer.clear();
    }
    buffer
}

/// A date as it displays itself, which for most years is quickly written.
fn spell_date(buffer: &mut String, date: Date) -> &str {
    let Ok(year @ 0..=9999) = u16::try_from(date.year()) else {
        return spell(buffer, format_args!("{date}"));
    };
    buffer.clear();
    let parts = [
        (1000, year),
        (10, date.month().unsigned_abs().into()),
        (10, date.day().unsigned_abs().into()),
    ];
    for (mut place, number) in parts {
        if !buffer.is_empty() {
            buffer.push('-');
        }
        while place > 0 {
            let digit = u8::try_from(number / place % 10).unwrap_or(0);
            buffer.push(char::from(b'0' + digit));
            place /= 10;
        }
    }
    buffer
}

/// Whether cells of that type can be read.
pub(in crate::mapping) fn is_readable(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Decimal128(_, scale) => (0..=28).contains(scale),
        other => matches!(
            other,
            T::Null
                | T::Utf8
                | T::LargeUtf8
                | T::Utf8View
                | T::Int8
                | T::Int16
                | T::Int32
                | T::Int64
                | T::UInt8
                | T::UInt16
                | T::UInt32
                | T::UInt64
                | T::Float32
                | T::Float64
                | T::Boolean
                | T::Date32
                | T::Timestamp(..)
        ),
    }
}

/// One column of a batch. The types of most columns are told apart once, and not for each cell.
#[derive(Clone, Copy)]
pub(in crate::mapping) enum CellColumn<'a> {
    Text(&'a StringArray),
    Integer(&'a Int32Array),
    Long(&'a Int64Array),
    Float(&'a Float64Array),
    Decimal(&'a Decimal128Array, u32),
    Date(&'a Date32Array),
    Typed(&'a dyn Array),
}

impl<'a> CellColumn<'a> {
    pub(in crate::mapping) fn of(array: &'a dyn Array) -> Self {
        let known = match array.data_type() {
            DataType::Utf8 => array.as_string_opt().map(Self::Text),
            DataType::Int32 => array.as_primitive_opt().map(Self::Integer),
            DataType::Int64 => array.as_primitive_opt().map(Self::Long),
            DataType::Float64 => array.as_primitive_opt().map(Self::Float),
            DataType::Date32 => array.as_primitive_opt().map(Self::Date),
            DataType::Decimal128(_, scale) => u32::try_from(*scale)
                .ok()
                .zip(array.as_primitive_opt())
                .map(|(scale, array)| Self::Decimal(array, scale)),
            _ => None,
        };
        known.unwrap_or(Self::Typed(array))
    }

    /// The cell of a row.
    ///
    /// # Errors
    /// [`Refusal::CellUnsupported`] if there is no such row, or the cell has no counterpart among ours (a decimal
    /// of more than 28 digits, a date beyond the year 9999).
    #[inline]
    pub(in crate::mapping) fn at(&self, row: usize) -> Result<Cell<'a>, Refusal> {
        match self {
            Self::Text(array) => Ok(text_at(array, row)?.map_or(Cell::Null, Cell::Text)),
            Self::Integer(array) => {
                there(array, row, || Some(Cell::Integer(array.value(row).into())))
            }
            Self::Long(array) => there(array, row, || Some(Cell::Integer(array.value(row)))),
            Self::Float(array) => there(array, row, || Some(Cell::Float(array.value(row)))),
            Self::Decimal(array, scale) => there(array, row, || decimal(array.value(row), *scale)),
            Self::Date(array) => there(array, row, || date(array.value(row))),
            Self::Typed(array) => there(*array, row, || typed(*array, row)),
        }
    }
}

impl CellColumn<'_> {
    /// Whether the cell of a row is a day or an instant so late that it has no counterpart among ours.
    pub(in crate::mapping) fn is_too_late(&self, row: usize) -> bool {
        let is_late = match self {
            Self::Date(array) => row < array.len() && array.value(row) > 0,
            Self::Typed(array) => match array.data_type() {
                DataType::Timestamp(unit, _) if row < array.len() => {
                    count(*array, row, *unit).is_some_and(|it| it > 0)
                }
                _ => false,
            },
            _ => false,
        };
        is_late && self.at(row).is_err()
    }
}

/// The text of a row, unless it is null.
///
/// # Errors
/// [`Refusal::CellUnsupported`] if there is no such row.
#[inline]
pub(in crate::mapping) fn text_at(
    array: &StringArray,
    row: usize,
) -> Result<Option<&str>, Refusal> {
    if row >= array.len() {
        return Err(Refusal::CellUnsupported);
    }
    Ok((!array.is_null(row)).then(|| array.value(row)))
}

/// The cell of a row that there is.
#[inline]
fn there<'a, A: Array + ?Sized>(
    array: &A,
    row: usize,
    cell: impl FnOnce() -> Option<Cell<'a>>,
) -> Result<Cell<'a>, Refusal> {
    if row >= array.len() {
        return Err(Refusal::CellUnsupported);
    }
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    cell().ok_or(Refusal::CellUnsupported)
}

/// A cell that is there, of any type that has no variant of its own.
fn typed(array: &dyn Array, row: usize) -> Option<Cell<'_>> {
    match array.data_type() {
        DataType::Null => Some(Cell::Null),
        DataType::LargeUtf8 => Some(Cell::Text(array.as_string_opt::<i64>()?.value(row))),
        DataType::Utf8View => Some(Cell::Text(array.as_string_view_opt()?.value(row))),
        DataType::Int8 => integer::<Int8Type>(array, row),
        DataType::Int16 => integer::<Int16Type>(array, row),
        DataType::UInt8 => integer::<UInt8Type>(array, row),
        DataType::UInt16 => integer::<UInt16Type>(array, row),
        DataType::UInt32 => integer::<UInt32Type>(array, row),
        DataType::UInt64 => {
            let number = native::<UInt64Type>(array, row)?;
            Some(i64::try_from(number).map_or(Cell::Decimal(number.into()), Cell::Integer))
        }
        DataType::Float32 => Some(single(native::<Float32Type>(array, row)?)),
        DataType::Boolean => Some(Cell::Boolean(array.as_boolean_opt()?.value(row))),
        DataType::Timestamp(unit, zone) => {
            let instant = timestamp(array, row, *unit)?;
            Some(match zone {
                Some(_) => Cell::Instant(instant),
                None => Cell::WallClock(Offset::UTC.to_datetime(instant)),
            })
        }
        _ => None,
    }
}

fn native<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Option<T::Native> {
    Some(array.as_primitive_opt::<T>()?.value(row))
}

fn integer<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Option<Cell<'_>>
where
    T::Native: Into<i64>,
{
    native::<T>(array, row).map(|number| Cell::Integer(number.into()))
}

/// A single-precision number means its seven digits: `0.1`, not `0.10000000149011612`.
fn single(number: f32) -> Cell<'static> {
    Decimal::from_f32(number).map_or(Cell::Float(f64::from(number)), Cell::Decimal)
}

fn decimal(mantissa: i128, scale: u32) -> Option<Cell<'static>> {
    let number = Decimal::try_from_i128_with_scale(mantissa, scale);
    number.ok().map(Cell::Decimal)
}

fn date(days: i32) -> Option<Cell<'static>> {
    const EPOCH: Date = Date::constant(1970, 1, 1);
    let span = Span::new().try_days(days).ok()?;
    EPOCH.checked_add(span).ok().map(Cell::Date)
}

fn timestamp(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<Timestamp> {
    let count = count(array, row, unit)?;
    match unit {
        TimeUnit::Second => Timestamp::from_second(count),
        TimeUnit::Millisecond => Timestamp::from_millisecond(count),
        TimeUnit::Microsecond => Timestamp::from_microsecond(count),
        TimeUnit::Nanosecond => Timestamp::from_nanosecond(i128::from(count)),
    }
    .ok()
}

/// So many units since 1970.
fn count(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => native::<TimestampSecondType>(array, row),
        TimeUnit::Millisecond => native::<TimestampMillisecondType>(array, row),
        TimeUnit::Microsecond => native::<TimestampMicrosecondType>(array, row),
        TimeUnit::Nanosecond => native::<TimestampNanosecondType>(array, row),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BooleanArray, DurationSecondArray, Float32Array, Int8Array, LargeStringArray,
        NullArray, StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray,
        TimestampSecondArray, UInt64Array,
    };

    use super::*;

    fn first(array: impl Array + 'static) -> (bool, Result<String, Refusal>) {
        let array: ArrayRef = Arc::new(array);
        let mut buffer = String::new();
        let cell = CellColumn::of(&array).at(0);
        let text = cell.map(|cell| format!("{cell:?} {:?}", cell.text(&mut buffer)));
        (is_readable(array.data_type()), text)
    }

    fn reads(array: impl Array + 'static, expected: &str) {
        assert_eq!(first(array), (true, Ok(expected.to_owned())));
    }

    #[test]
    fn every_readable_type_becomes_a_cell() {
        reads(StringArray::from(vec!["a"]), r#"Text("a") Some("a")"#);
        reads(LargeStringArray::from(vec!["a"]), r#"Text("a") Some("a")"#);
        reads(StringViewArray::from(vec!["a"]), r#"Text("a") Some("a")"#);
        reads(Int8Array::from(vec![-7]), r#"Integer(-7) Some("-7")"#);
        reads(Int64Array::from(vec![7]), r#"Integer(7) Some("7")"#);
        reads(UInt64Array::from(vec![7]), r#"Integer(7) Some("7")"#);
        let most = UInt64Array::from(vec![u64::MAX]);
        reads(
            most,
            r#"Decimal(18446744073709551615) Some("18446744073709551615")"#,
        );
        reads(Float32Array::from(vec![0.1]), r#"Decimal(0.1) Some("0.1")"#);
        reads(
            Float64Array::from(vec![3003.0]),
            r#"Float(3003.0) Some("3003")"#,
        );
        let decimal = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2);
        reads(decimal.unwrap(), r#"Decimal(12.50) Some("12.50")"#);
        reads(
            BooleanArray::from(vec![true]),
            r#"Boolean(true) Some("true")"#,
        );
        reads(
            Date32Array::from(vec![-1]),
            r#"Date(1969-12-31) Some("1969-12-31")"#,
        );
        reads(
            TimestampSecondArray::from(vec![60]),
            r#"WallClock(1970-01-01T00:01:00) Some("1970-01-01T00:01:00")"#,
        );
        reads(
            TimestampMicrosecondArray::from(vec![-1]).with_timezone("Europe/Amsterdam"),
            r#"Instant(1969-12-31T23:59:59.999999Z) Some("1969-12-31T23:59:59.999999Z")"#,
        );
        reads(
            TimestampNanosecondArray::from(vec![0]).with_timezone_utc(),
            r#"Instant(1970-01-01T00:00:00Z) Some("1970-01-01T00:00:00Z")"#,
        );
        reads(NullArray::new(1), "Null None");
        reads(Int64Array::from(vec![None]), "Null None");
    }

    #[test]
    fn a_date_is_spelt_as_it_displays_itself() {
        for days in (-4_400_000..2_932_896)
            .step_by(997)
            .chain([-719_528, 2_932_896])
        {
            if let Some(Cell::Date(date)) = super::date(days) {
                let mut buffer = "left over".to_owned();
                assert_eq!(Cell::Date(date).text(&mut buffer), Some(&*date.to_string()));
            }
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        let refused = |readable| (readable, Err(Refusal::CellUnsupported));
        assert_eq!(first(DurationSecondArray::from(vec![1])), refused(false));
        assert_eq!(first(Date32Array::from(vec![i32::MAX])), refused(true));
        assert_eq!(
            first(TimestampSecondArray::from(vec![i64::MAX])),
            refused(true)
        );
        assert_eq!(first(Decimal128Array::from(vec![i128::MAX])), refused(true));
        assert_eq!(first(Int64Array::from(Vec::<i64>::new())), refused(true));
        assert_eq!(first(StringArray::from(Vec::<&str>::new())), refused(true));
    }
}
