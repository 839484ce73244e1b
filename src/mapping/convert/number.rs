//! Cells that become whole numbers, decimals, money and floating point numbers.
//!
//! All of them are read as exact decimals, so that no digit is lost or invented on the way.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use super::cell::spell;
use super::text::trimmed;
use super::{Cell, Refusal};
use crate::model::{ColumnKind, Value};

/// How numbers of one column are written, and what the column holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::mapping) struct NumberSteps {
    /// The decimal separator.
    pub(in crate::mapping) decimal: char,
    /// The thousands separator. Where a cell has one, groups are of three digits; a blank stands for every kind of
    /// blank that is used so.
    pub(in crate::mapping) thousands: Option<char>,
    pub(in crate::mapping) target: NumberTarget,
}

/// The type and limits of the column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::mapping) enum NumberTarget {
    Integer {
        min: i64,
        max: i64,
    },
    Decimal {
        min: Decimal,
        max: Decimal,
        precision: u32,
        whole: Whole,
    },
    Float {
        min: f64,
        max: f64,
        precision: u32,
    },
}

/// The least and the most whole number between two limits, if zero is between them. A number lies between zero and its
/// digits; where they are within, so is the number, and need not be compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::mapping) struct Whole(i64, i64);

impl Whole {
    pub(super) const ALL: Self = Self(i64::MIN, i64::MAX);

    fn between(min: Decimal, max: Decimal) -> Self {
        if min > Decimal::ZERO || max < Decimal::ZERO {
            return Self(1, 0);
        }
        let least = min.ceil().to_i64().unwrap_or(i64::MIN);
        Self(least, max.floor().to_i64().unwrap_or(i64::MAX))
    }

    fn has(self, digits: i64) -> bool {
        self.0 <= digits && digits <= self.1
    }
}

impl NumberSteps {
    /// `.` and no thousands: how numbers are written unless a mapping says otherwise.
    pub(in crate::mapping) fn plain(target: NumberTarget) -> Self {
        Self {
            decimal: '.',
            thousands: None,
            target,
        }
    }

    pub(super) fn convert(&self, cell: Cell<'_>, buffer: &mut String) -> Result<Value, Refusal> {
        let number = match cell {
            Cell::Null => return Ok(Value::Null),
            Cell::Text(text) => return self.read(text, buffer),
            Cell::Integer(mantissa) => {
                let number = Short { mantissa, scale: 0 };
                return self.target.hold_short(number, buffer);
            }
            Cell::Decimal(number) => number,
            // Fifteen digits are what a double means: `0.1 + 0.2` is 0.3.
            Cell::Float(number) => Decimal::from_f64(number).ok_or(Refusal::NumberRange)?,
            Cell::Boolean(_) | Cell::Date(_) | Cell::Instant(_) | Cell::WallClock(_) => {
                return Err(Refusal::NumberInvalid);
            }
        };
        self.target.hold(canonical(number), buffer)
    }

    /// What becomes of a text; a null where there is nothing but blanks.
    ///
    /// # Errors
    /// Why it is not a value of the column.
    #[inline]
    pub(in crate::mapping) fn take(
        &self,
        text: &str,
        buffer: &mut String,
    ) -> Result<Value, Refusal> {
        match trimmed(text) {
            "" => Ok(Value::Null),
            text => self.read(text, buffer),
        }
    }

    fn read(&self, text: &str, buffer: &mut String) -> Result<Value, Refusal> {
        if let Some(number) = Short::parse(text, self.decimal) {
            return self.target.hold_short(number, buffer);
        }
        let number = self.parse(text, buffer)?;
        self.target.hold(canonical(number), buffer)
    }

    /// A number as text: an optional sign, digits with or without a decimal point, an exponent only for floating
    /// point columns.
    fn parse(&self, text: &str, buffer: &mut String) -> Result<Decimal, Refusal> {
        let (mantissa, exponent) = match self.target {
            NumberTarget::Float { .. } => split_exponent(text).ok_or(Refusal::NumberInvalid)?,
            NumberTarget::Integer { .. } | NumberTarget::Decimal { .. } => (text, 0),
        };
        self.spell_plainly(mantissa, buffer)
            .ok_or(Refusal::NumberInvalid)?;
        let digits_behind = buffer.split_once('.').map_or(0, |(_, behind)| behind.len());
        let number = Decimal::from_str_exact(buffer).map_err(|_| {
            // More digits than a decimal has: too precise, or too large.
            if digits_behind > 28 {
                self.target.too_precise()
            } else {
                Refusal::NumberRange
            }
        })?;
        shift(number, exponent).ok_or(if exponent < 0 {
            self.target.too_precise()
        } else {
            Refusal::NumberRange
        })
    }

    /// Rewrites a number as `-1234.5`: no thousands, `.` as separator, no zeros at the end.
    fn spell_plainly(&self, text: &str, buffer: &mut String) -> Option<()> {
        buffer.clear();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if text.starts_with('-') {
            buffer.push('-');
        }
        let (whole, fraction) = match unsigned.split_once(self.decimal) {
            Some((whole, fraction)) => (whole, fraction),
            None => (unsigned, ""),
        };
        if !fraction.bytes().all(|b| b.is_ascii_digit())
            || (whole.is_empty() && fraction.is_empty())
        {
            return None;
        }
        self.push_whole(whole, buffer)?;
        let fraction = fraction.trim_end_matches('0');
        if !fraction.is_empty() {
            buffer.push('.');
            buffer.push_str(fraction);
        }
        Some(())
    }

    fn push_whole(&self, whole: &str, buffer: &mut String) -> Option<()> {
        if whole.is_empty() {
            buffer.push('0');
            return Some(());
        }
        for (place, group) in whole.split(|c| self.separates_thousands(c)).enumerate() {
            let alone = group.len() == whole.len();
            let fits = alone || group.len() == 3 || (place == 0 && (1..3).contains(&group.len()));
            if !fits || !group.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            buffer.push_str(group);
        }
        Some(())
    }

    fn separates_thousands(&self, c: char) -> bool {
        let blank = |c| matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}');
        self.thousands
            .is_some_and(|separator| c == separator || (blank(separator) && blank(c)))
    }

    pub(super) fn describe(&self, program: &mut String) {
        program.push(self.decimal);
        program.extend(self.thousands);
    }
}

impl NumberTarget {
    /// What a column of that type holds, if it holds numbers.
    pub(in crate::mapping) fn of(kind: &ColumnKind) -> Option<Self> {
        match *kind {
            ColumnKind::Integer { min, max } => Some(Self::Integer { min, max }),
            ColumnKind::BigInt => Some(Self::Integer {
                min: i64::MIN,
                max: i64::MAX,
            }),
            ColumnKind::Decimal {
                min,
                max,
                precision,
            }
            | ColumnKind::Money {
                min,
                max,
                precision,
            } => Some(Self::Decimal {
                min,
                max,
                precision,
                whole: Whole::between(min, max),
            }),
            ColumnKind::Float {
                min,
                max,
                precision,
            } => Some(Self::Float {
                min,
                max,
                precision,
            }),
            _ => None,
        }
    }

    #[inline]
    fn hold_short(self, number: Short, buffer: &mut String) -> Result<Value, Refusal> {
        let number = number.canonical();
        match self {
            Self::Integer { .. } if number.scale > 0 => Err(self.too_precise()),
            Self::Integer { min, max } => within(number.mantissa, min, max).map(Value::Integer),
            Self::Decimal {
                precision, whole, ..
            } if number.scale <= precision && whole.has(number.mantissa) => {
                Ok(Value::Decimal(number.into()))
            }
            Self::Decimal { .. } | Self::Float { .. } => self.hold(number.into(), buffer),
        }
    }

    fn hold(self, number: Decimal, buffer: &mut String) -> Result<Value, Refusal> {
        match self {
            Self::Integer { min, max } => {
                if number.scale() > 0 {
                    return Err(self.too_precise());
                }
                let number = i64::try_from(number.mantissa());
                within(number.map_err(|_| Refusal::NumberRange)?, min, max).map(Value::Integer)
            }
            Self::Decimal {
                min,
                max,
                precision,
                ..
            } => {
                if number.scale() > precision {
                    return Err(self.too_precise());
                }
                within(number, min, max).map(Value::Decimal)
            }
            Self::Float {
                min,
                max,
                precision,
            } => {
                if number.scale() > precision {
                    return Err(self.too_precise());
                }
                // By way of text, which rounds rightly.
                let nearest = spell(buffer, format_args!("{number}")).parse::<f64>();
                within(nearest.map_err(|_| Refusal::NumberInvalid)?, min, max).map(Value::Float)
            }
        }
    }

    fn too_precise(self) -> Refusal {
        match self {
            Self::Integer { .. } => Refusal::NumberFraction,
            Self::Decimal { .. } | Self::Float { .. } => Refusal::NumberPrecision,
        }
    }
}

/// A number of few digits: most are, and then no arithmetic is cheaper.
#[derive(Debug, Clone, Copy)]
struct Short {
    mantissa: i64,
    scale: u32,
}

impl Short {
    /// A text of at most 18 digits and nothing but a sign and a separator, which needs no second spelling.
    fn parse(text: &str, decimal: char) -> Option<Self> {
        let (sign, unsigned) = match text.as_bytes() {
            [b'-', unsigned @ ..] => (-1, unsigned),
            [b'+', unsigned @ ..] | unsigned => (1, unsigned),
        };
        let (mut mantissa, mut digits, mut whole) = (0_i64, 0_u32, None);
        for byte in unsigned {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 && digits < 18 {
                mantissa = mantissa * 10 + i64::from(digit);
                digits += 1;
            } else if char::from(*byte) == decimal && whole.is_none() {
                whole = Some(digits);
            } else {
                return None;
            }
        }
        (digits > 0).then_some(Self {
            mantissa: sign * mantissa,
            scale: whole.map_or(0, |whole| digits - whole),
        })
    }

    /// Without zeros at the end, and with one zero only.
    #[inline]
    fn canonical(self) -> Self {
        let Self {
            mut mantissa,
            mut scale,
        } = self;
        while scale > 0 && mantissa % 10 == 0 {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        Self { mantissa, scale }
    }
}

impl From<Short> for Decimal {
    fn from(number: Short) -> Self {
        Self::new(number.mantissa, number.scale)
    }
}

/// Without zeros at the end, and with one zero only.
pub(in crate::mapping) fn canonical(number: Decimal) -> Decimal {
    let scale = number.scale();
    match i64::try_from(number.mantissa()) {
        Ok(0) => Decimal::ZERO,
        Ok(mantissa) if scale == 0 || mantissa % 10 != 0 => number,
        Ok(mantissa) => Short { mantissa, scale }.canonical().into(),
        Err(_) => number.normalize(),
    }
}

fn within<T: PartialOrd + Copy>(number: T, min: T, max: T) -> Result<T, Refusal> {
    if number < min || number > max {
        return Err(Refusal::NumberRange);
    }
    Ok(number)
}

/// `1.5e-3` is `1.5` and -3. `None` if what follows the `e` is no exponent.
fn split_exponent(text: &str) -> Option<(&str, i32)> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Some((text, 0));
    };
    exponent.parse().ok().map(|exponent| (mantissa, exponent))
}

/// The number times ten to the power of the exponent; `None` where that has too many digits.
fn shift(number: Decimal, exponent: i32) -> Option<Decimal> {
    if exponent == 0 || number.is_zero() {
        return Some(number);
    }
    let scale = i64::from(number.scale()) - i64::from(exponent);
    if let Ok(scale) = u32::try_from(scale) {
        return Decimal::try_from_i128_with_scale(number.mantissa(), scale).ok();
    }
    let factor = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
    let mantissa = number.mantissa().checked_mul(factor)?;
    Decimal::try_from_i128_with_scale(mantissa, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money() -> NumberTarget {
        NumberTarget::Decimal {
            min: Decimal::ZERO,
            max: Decimal::from(100_000_000_000_000_i64),
            precision: 4,
            whole: Whole(0, 100_000_000_000_000),
        }
    }

    /// Limits within which there is no zero, few whole numbers, or more than can be counted.
    #[test]
    fn digits_within_the_limits_are_enough_only_where_zero_is_too() {
        let decimal = |number, scale| Decimal::new(number, scale);
        for (min, max) in [
            (decimal(-15, 1), decimal(25, 1)),
            (decimal(5, 1), decimal(900, 0)),
            (decimal(-900, 0), decimal(-5, 1)),
            (Decimal::MIN, Decimal::MAX),
            (decimal(0, 0), decimal(9, 1)),
        ] {
            let whole = Whole::between(min, max);
            for digits in (-1_000..1_000).chain([i64::MIN, i64::MAX]) {
                let within = |scale| (min..=max).contains(&decimal(digits, scale));
                let all = [0, 1, 4].into_iter().all(within);
                assert!(all || !whole.has(digits), "{digits} in {min} to {max}");
            }
        }
        assert!(Whole::between(decimal(-15, 1), decimal(25, 1)).has(2));
    }

    fn integer() -> NumberTarget {
        NumberTarget::Integer {
            min: -10,
            max: 1_000_000_000,
        }
    }

    fn float() -> NumberTarget {
        NumberTarget::Float {
            min: -180.0,
            max: 180.0,
            precision: 5,
        }
    }

    fn read(steps: NumberSteps, text: &str) -> Result<Value, Refusal> {
        steps.convert(Cell::Text(text), &mut String::new())
    }

    fn plain(target: NumberTarget, text: &str) -> Result<Value, Refusal> {
        read(NumberSteps::plain(target), text)
    }

    fn decimal(text: &str) -> Value {
        Value::Decimal(Decimal::from_str_exact(text).unwrap())
    }

    #[test]
    fn zeros_behind_the_point_do_not_count() {
        assert_eq!(plain(money(), "40000.0000"), Ok(decimal("40000")));
        assert_eq!(
            plain(money(), "1.50000000000000000000000000000000"),
            Ok(decimal("1.5"))
        );
        assert_eq!(plain(integer(), "2.0"), Ok(Value::Integer(2)));
        let spelt = plain(money(), "12.30").unwrap();
        assert!(matches!(spelt, Value::Decimal(number) if number.to_string() == "12.3"));
    }

    #[test]
    fn a_point_may_stand_at_either_end() {
        assert_eq!(plain(money(), ".5000"), Ok(decimal("0.5")));
        assert_eq!(plain(money(), "+5."), Ok(decimal("5")));
        assert_eq!(plain(money(), "-0.0"), Ok(decimal("0")));
        for bad in [
            "", ".", "-", "1.2.3", "1_000", "0x10", "1e3", "NaN", "--1", "1 000", "١",
        ] {
            assert_eq!(plain(money(), bad), Err(Refusal::NumberInvalid), "{bad}");
        }
    }

    #[test]
    fn more_digits_than_the_column_has_are_refused() {
        assert_eq!(plain(money(), "1.23456"), Err(Refusal::NumberPrecision));
        assert_eq!(plain(integer(), "2.5"), Err(Refusal::NumberFraction));
        assert_eq!(plain(float(), "4.123456"), Err(Refusal::NumberPrecision));
        let fine = format!("0.{}1", "0".repeat(40));
        assert_eq!(plain(money(), &fine), Err(Refusal::NumberPrecision));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(plain(money(), "-1"), Err(Refusal::NumberRange));
        assert_eq!(plain(money(), &"9".repeat(60)), Err(Refusal::NumberRange));
        assert_eq!(plain(integer(), "-11"), Err(Refusal::NumberRange));
        assert_eq!(
            plain(integer(), "99999999999999999999"),
            Err(Refusal::NumberRange)
        );
        assert_eq!(plain(float(), "180.00001"), Err(Refusal::NumberRange));
        assert_eq!(plain(float(), "1e400"), Err(Refusal::NumberRange));
    }

    #[test]
    fn exponents_are_for_floating_point_columns() {
        assert_eq!(plain(float(), "1.5e-3"), Ok(Value::Float(0.0015)));
        assert_eq!(plain(float(), "-1.2E+2"), Ok(Value::Float(-120.0)));
        assert_eq!(plain(float(), "1e-400"), Err(Refusal::NumberPrecision));
        assert_eq!(plain(float(), "0e99999"), Ok(Value::Float(0.0)));
        assert_eq!(plain(float(), "1e"), Err(Refusal::NumberInvalid));
    }

    #[test]
    fn separators_are_as_the_mapping_says() {
        let german = NumberSteps {
            decimal: ',',
            thousands: Some('.'),
            target: money(),
        };
        assert_eq!(read(german, "1.234.567,89"), Ok(decimal("1234567.89")));
        assert_eq!(read(german, "1234567,89"), Ok(decimal("1234567.89")));
        // Groups are of three: what was meant as a decimal point is never taken for thousands.
        for bad in ["1.5", "12.34,5", ".500", "1.234.", "1..234", "1,234.5"] {
            assert_eq!(read(german, bad), Err(Refusal::NumberInvalid), "{bad}");
        }
        let french = NumberSteps {
            decimal: ',',
            thousands: Some(' '),
            target: money(),
        };
        assert_eq!(
            read(french, "1\u{202f}234\u{a0}567,5"),
            Ok(decimal("1234567.5"))
        );
    }

    #[test]
    fn typed_cells_are_numbers_already() {
        let read = |target, cell| NumberSteps::plain(target).convert(cell, &mut String::new());
        assert_eq!(read(integer(), Cell::Integer(7)), Ok(Value::Integer(7)));
        assert_eq!(read(integer(), Cell::Float(7.0)), Ok(Value::Integer(7)));
        assert_eq!(read(money(), Cell::Float(0.1 + 0.2)), Ok(decimal("0.3")));
        assert_eq!(
            read(money(), Cell::Decimal(Decimal::new(1250, 2))),
            Ok(decimal("12.5"))
        );
        assert_eq!(read(float(), Cell::Integer(3)), Ok(Value::Float(3.0)));
        assert_eq!(
            read(float(), Cell::Float(f64::NAN)),
            Err(Refusal::NumberRange)
        );
        assert_eq!(
            read(integer(), Cell::Boolean(true)),
            Err(Refusal::NumberInvalid)
        );
    }

    proptest! {
        #[test]
        fn a_short_number_is_what_its_long_spelling_is(text in "[-+]{0,2}[0-9]{0,12}[.,]{0,2}[0-9]{0,12}") {
            for decimal in ['.', ','] {
                let steps = NumberSteps { decimal, ..NumberSteps::plain(money()) };
                if let Some(number) = Short::parse(&text, decimal) {
                    let mut buffer = String::new();
                    prop_assert!(steps.spell_plainly(&text, &mut buffer).is_some());
                    prop_assert_eq!(Decimal::from(number), Decimal::from_str_exact(&buffer).unwrap());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_the_normalized_one(units: i128, shift in 0_u32..120, scale in 0_u32..=28) {
            if let Ok(number) = Decimal::try_from_i128_with_scale(units >> shift, scale) {
                let (found, expected) = (canonical(number), number.normalize());
                prop_assert_eq!((found.mantissa(), found.scale()), (expected.mantissa(), expected.scale()));
            }
        }

        #[test]
        fn an_amount_reads_as_it_was_written(units in 0_i64..1_000_000_000_000_000, scale in 0_u32..=4) {
            let amount = Decimal::new(units, scale);
            prop_assume!(amount <= Decimal::from(100_000_000_000_000_i64));
            prop_assert_eq!(plain(money(), &amount.to_string()), Ok(Value::Decimal(canonical(amount))));
            let german = NumberSteps { decimal: ',', thousands: None, target: money() };
            let spelt = amount.to_string().replace('.', ",");
            prop_assert_eq!(read(german, &spelt), Ok(Value::Decimal(canonical(amount))));
        }

        #[test]
        fn a_big_integer_reads_as_it_was_written(number: i64) {
            let target = NumberTarget::Integer { min: i64::MIN, max: i64::MAX };
            prop_assert_eq!(plain(target, &number.to_string()), Ok(Value::Integer(number)));
        }
    }
}
