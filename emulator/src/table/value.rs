//! Typed values, and a row's values packed into one allocation.
//!
//! A million rows fit in memory because a row is one slice of bytes; the same bytes stand in the
//! data file. Checking values and writing them as JSON is left to others.

use std::borrow::Cow;

use jiff::civil::Date;
use rust_decimal::Decimal;
use uuid::Uuid;

/// A column of a table, by its place in the table's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Column(pub(crate) u16);

/// A table of the environment, by its place in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableNumber(pub(crate) u16);

/// One non-null value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// Text, memo, and the canonical form of several choices (`1,9`).
    Text(Cow<'a, str>),
    /// Whole numbers, choices, states and reasons.
    Integer(i32),
    BigInt(i64),
    /// Decimals and money.
    Decimal(Decimal),
    Double(f64),
    Boolean(bool),
    Date(Date),
    /// Seconds since 1970, UTC.
    DateTime(i64),
    Guid(Uuid),
    Reference {
        table: TableNumber,
        id: Uuid,
    },
}

impl Value<'_> {
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Integer(number) => Value::Integer(number),
            Self::BigInt(number) => Value::BigInt(number),
            Self::Decimal(number) => Value::Decimal(number),
            Self::Double(number) => Value::Double(number),
            Self::Boolean(answer) => Value::Boolean(answer),
            Self::Date(date) => Value::Date(date),
            Self::DateTime(seconds) => Value::DateTime(seconds),
            Self::Guid(id) => Value::Guid(id),
            Self::Reference { table, id } => Value::Reference { table, id },
        }
    }
}

const TEXT: u8 = 1;
const INTEGER: u8 = 2;
const BIG_INT: u8 = 3;
const DECIMAL: u8 = 4;
const DOUBLE: u8 = 5;
const FALSE: u8 = 6;
const TRUE: u8 = 7;
const DATE: u8 = 8;
const DATE_TIME: u8 = 9;
const GUID: u8 = 10;
const REFERENCE: u8 = 11;

/// The non-null values of a row, by column, packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cells(Box<[u8]>);

impl Cells {
    pub(crate) fn pack(values: &[(Column, Value<'_>)]) -> Self {
        let mut bytes = Vec::with_capacity(values.len() * 12);
        for (column, value) in values {
            bytes.extend_from_slice(&column.0.to_le_bytes());
            pack_value(&mut bytes, value);
        }
        Self(bytes.into_boxed_slice())
    }

    /// Bytes as a data file holds them; `None` if they are not a whole row.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            (_, rest) = unpack(rest)?;
        }
        Some(Self(bytes.into_boxed_slice()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Column, Value<'_>)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (cell, after) = unpack(rest)?;
            rest = after;
            Some(cell)
        })
    }

    pub(crate) fn get(&self, wanted: Column) -> Option<Value<'_>> {
        self.iter()
            .find_map(|(column, value)| (column == wanted).then_some(value))
    }

    /// The values, to be changed and packed again.
    pub(crate) fn unpacked(&self) -> Vec<(Column, Value<'static>)> {
        self.iter()
            .map(|(column, value)| (column, value.into_owned()))
            .collect()
    }
}

fn pack_value(bytes: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            bytes.push(TEXT);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Value::Integer(number) => tagged(bytes, INTEGER, &number.to_le_bytes()),
        Value::BigInt(number) => tagged(bytes, BIG_INT, &number.to_le_bytes()),
        Value::Decimal(number) => tagged(bytes, DECIMAL, &number.serialize()),
        Value::Double(number) => tagged(bytes, DOUBLE, &number.to_le_bytes()),
        Value::Boolean(false) => bytes.push(FALSE),
        Value::Boolean(true) => bytes.push(TRUE),
        Value::Date(date) => {
            tagged(bytes, DATE, &date.year().to_le_bytes());
            bytes.extend_from_slice(&date.month().to_le_bytes());
            bytes.extend_from_slice(&date.day().to_le_bytes());
        }
        Value::DateTime(seconds) => tagged(bytes, DATE_TIME, &seconds.to_le_bytes()),
        Value::Guid(id) => tagged(bytes, GUID, id.as_bytes()),
        Value::Reference { table, id } => {
            tagged(bytes, REFERENCE, &table.0.to_le_bytes());
            bytes.extend_from_slice(id.as_bytes());
        }
    }
}

fn tagged(bytes: &mut Vec<u8>, tag: u8, payload: &[u8]) {
    bytes.push(tag);
    bytes.extend_from_slice(payload);
}

fn unpack(bytes: &[u8]) -> Option<((Column, Value<'_>), &[u8])> {
    let (column, rest) = bytes.split_first_chunk::<2>()?;
    let (tag, rest) = rest.split_first()?;
    let (value, rest) = unpack_value(*tag, rest)?;
    Some(((Column(u16::from_le_bytes(*column)), value), rest))
}

fn unpack_value(tag: u8, bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    Some(match tag {
        TEXT => {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            let text = std::str::from_utf8(text).ok()?;
            (Value::Text(Cow::Borrowed(text)), rest)
        }
        INTEGER => {
            let (number, rest) = bytes.split_first_chunk()?;
            (Value::Integer(i32::from_le_bytes(*number)), rest)
        }
        BIG_INT => {
            let (number, rest) = bytes.split_first_chunk()?;
            (Value::BigInt(i64::from_le_bytes(*number)), rest)
        }
        DECIMAL => {
            let (number, rest) = bytes.split_first_chunk()?;
            (Value::Decimal(Decimal::deserialize(*number)), rest)
        }
        DOUBLE => {
            let (number, rest) = bytes.split_first_chunk()?;
            (Value::Double(f64::from_le_bytes(*number)), rest)
        }
        FALSE => (Value::Boolean(false), bytes),
        TRUE => (Value::Boolean(true), bytes),
        DATE => {
            let ([low, high, month, day], rest) = bytes.split_first_chunk()?;
            let year = i16::from_le_bytes([*low, *high]);
            let month = i8::from_le_bytes([*month]);
            let day = i8::from_le_bytes([*day]);
            (Value::Date(Date::new(year, month, day).ok()?), rest)
        }
        DATE_TIME => {
            let (seconds, rest) = bytes.split_first_chunk()?;
            (Value::DateTime(i64::from_le_bytes(*seconds)), rest)
        }
        GUID => {
            let (id, rest) = bytes.split_first_chunk()?;
            (Value::Guid(Uuid::from_bytes(*id)), rest)
        }
        REFERENCE => {
            let (table, rest) = bytes.split_first_chunk()?;
            let (id, rest) = rest.split_first_chunk()?;
            let table = TableNumber(u16::from_le_bytes(*table));
            let id = Uuid::from_bytes(*id);
            (Value::Reference { table, id }, rest)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value<'static>> {
        prop_oneof![
            ".*".prop_map(|text| Value::Text(text.into())),
            any::<i32>().prop_map(Value::Integer),
            any::<i64>().prop_map(Value::BigInt),
            (any::<i64>(), 0u32..10).prop_map(|(n, scale)| Value::Decimal(Decimal::new(n, scale))),
            (-1e15..1e15f64).prop_map(Value::Double),
            any::<bool>().prop_map(Value::Boolean),
            (1753i16..9999, 1i8..13, 1i8..29)
                .prop_map(|(y, m, d)| Value::Date(Date::new(y, m, d).unwrap())),
            any::<i64>().prop_map(Value::DateTime),
            any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))),
            (any::<u16>(), any::<u128>()).prop_map(|(table, id)| Value::Reference {
                table: TableNumber(table),
                id: Uuid::from_u128(id)
            }),
        ]
    }

    proptest! {
        #[test]
        fn any_row_survives_packing(values in prop::collection::vec((any::<u16>(), any_value()), 0..12)) {
            let values: Vec<_> = values.into_iter().map(|(n, v)| (Column(n), v)).collect();
            let cells = Cells::pack(&values);
            prop_assert_eq!(&cells.unpacked(), &values);
            let again = Cells::from_bytes(cells.as_bytes().to_vec());
            prop_assert_eq!(again, Some(cells));
        }

        #[test]
        fn any_bytes_are_a_row_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(cells) = Cells::from_bytes(bytes) {
                cells.unpacked();
            }
        }
    }
}
