//! Numbers, dates and instants in digits, written straight into the buffer of a request.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use rust_decimal::Decimal;

/// Appends a whole number.
pub(super) fn whole(number: u64, out: &mut Vec<u8>) {
    padded(number, 1, out);
}

/// Appends a whole number with its sign.
pub(super) fn integer(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    whole(number.unsigned_abs(), out);
}

/// Appends a number with all its digits, zeros at its end included.
pub(super) fn decimal(number: &Decimal, out: &mut Vec<u8>) {
    let scale = number.scale() as usize;
    let digits = match u64::try_from(number.mantissa().unsigned_abs()) {
        Ok(digits) if scale < MOST_DIGITS => digits,
        _ => return display(number, out),
    };
    if number.is_sign_negative() {
        out.push(b'-');
    }
    // Of a number below one there is a zero before the point.
    padded(digits, scale + 1, out);
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
}

/// Appends a date in quotes.
pub(super) fn date(date: Date, out: &mut Vec<u8>) {
    out.push(b'"');
    day(date, out);
    out.push(b'"');
}

/// Appends an instant in quotes as the service writes it: UTC, to the second.
pub(super) fn instant(instant: Timestamp, out: &mut Vec<u8>) {
    let told = Offset::UTC.to_datetime(instant);
    out.push(b'"');
    day(told.date(), out);
    for (sign, number) in [
        (b'T', told.hour()),
        (b':', told.minute()),
        (b':', told.second()),
    ] {
        out.push(sign);
        padded(u64::from(number.unsigned_abs()), 2, out);
    }
    out.extend_from_slice(b"Z\"");
}

fn day(date: Date, out: &mut Vec<u8>) {
    if date.year() < 0 {
        return display(date, out);
    }
    padded(u64::from(date.year().unsigned_abs()), 4, out);
    for number in [date.month(), date.day()] {
        out.push(b'-');
        padded(u64::from(number.unsigned_abs()), 2, out);
    }
}

/// The digits of the largest number.
const MOST_DIGITS: usize = 20;

/// Appends a number with zeros before it, so that it has so many digits at least: no more than any number can have.
fn padded(mut number: u64, least: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; MOST_DIGITS];
    let mut begin = digits.len();
    for digit in digits.iter_mut().rev() {
        let lowest = (number % 10) as u8;
        *digit += lowest;
        number /= 10;
        begin -= 1;
        if number == 0 {
            break;
        }
    }
    let begin = begin.min(digits.len().saturating_sub(least));
    out.extend_from_slice(digits.get(begin..).unwrap_or_default());
}

fn display(value: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    write!(out, "{value}").ok();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::literal::seconds;
    use super::*;

    fn of(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn zero_has_a_digit_and_the_ends_have_all() {
        for number in [0, 7, 10, -1, i64::MAX, i64::MIN] {
            assert_eq!(of(|out| integer(number, out)), number.to_string());
        }
        assert_eq!(of(|out| whole(u64::MAX, out)), u64::MAX.to_string());
        for number in [
            Decimal::MAX,
            Decimal::MIN,
            Decimal::ZERO,
            -Decimal::ZERO,
            Decimal::new(1, 28),
            Decimal::new(0, 4),
        ] {
            assert_eq!(of(|out| decimal(&number, out)), number.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_number_keeps_its_digits(number: i64) {
            prop_assert_eq!(of(|out| integer(number, out)), number.to_string());
        }

        #[test]
        fn any_decimal_keeps_its_digits(digits: i64, more in -1_000_000_000_i128..1_000_000_000, scale in 0u32..=28) {
            for digits in [i128::from(digits), more, i128::from(digits) * 1_000_000_000] {
                let number = Decimal::from_i128_with_scale(digits, scale);
                prop_assert_eq!(of(|out| decimal(&number, out)), number.to_string());
            }
        }

        #[test]
        fn any_day_is_written_in_full(year in -9999i16..=9999, month in 1i8..=12, number in 1i8..=28) {
            let day = Date::new(year, month, number).unwrap();
            prop_assert_eq!(of(|out| date(day, out)), format!("\"{day}\""));
        }

        #[test]
        fn any_instant_is_told_to_the_second(second in -60_000_000_000_i64..=250_000_000_000, part in 0..1_000_000_000) {
            let time = Timestamp::new(second, part).unwrap();
            prop_assert_eq!(of(|out| instant(time, out)), format!("\"{}\"", seconds(time)));
        }
    }
}
