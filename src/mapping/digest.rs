//! Digests under a ledger's secret: what goes in, in which bytes.
//!
//! Every part is its tag, its length and its bytes, so that no two lists of parts give the same bytes. Values enter
//! in canonical form: a number is the same however it was spelt or typed.

use rust_decimal::Decimal;
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::convert::{Canonical, Cell, CellColumn, Refusal, canonical, text_at};
use super::fold::fold;
use crate::model::{Collation, ColumnDigest, DigestSecret, Points, Reference, SourceDigest, Value};

/// What a digest is about; digests of different things never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Key = 1,
    Source = 2,
    Column = 3,
}

/// Gathers bytes behind the secret and digests them. Its buffer is used again for each digest.
pub(super) struct Digester {
    seed: u64,
    /// Length of what stands before the parts.
    preamble: usize,
    pub(super) parts: Parts,
}

impl Digester {
    pub(super) fn new(secret: &DigestSecret, about: About) -> Self {
        let seed = secret
            .0
            .first_chunk()
            .copied()
            .map_or(0, u64::from_le_bytes);
        let mut bytes = Vec::with_capacity(secret.0.len() + ROOM);
        bytes.extend_from_slice(&secret.0);
        bytes.push(about as u8);
        Self {
            seed,
            preamble: bytes.len(),
            parts: Parts(bytes),
        }
    }

    /// Forgets the parts that were added so far.
    pub(super) fn start(&mut self) -> &mut Parts {
        self.parts.0.truncate(self.preamble);
        &mut self.parts
    }

    pub(super) fn wide(&self) -> [u8; 16] {
        xxh3_128_with_seed(&self.parts.0, self.seed).to_be_bytes()
    }

    /// The digest of a row: the front of a wide one, of which the ledger's first format held the whole.
    pub(super) fn source(&self) -> SourceDigest {
        SourceDigest::of_wide(self.wide())
    }

    fn narrow(&self) -> u64 {
        xxh3_64_with_seed(&self.parts.0, self.seed)
    }

    /// What stands so far stands before the parts of each digest that follows.
    pub(super) fn keep(&mut self) {
        self.preamble = self.parts.0.len();
    }
}

/// Digests the values of columns, as the ledger holds them.
pub struct ColumnDigester(Digester);

impl ColumnDigester {
    /// Under a ledger's secret.
    pub fn new(secret: &DigestSecret) -> Self {
        Self(Digester::new(secret, About::Column))
    }

    /// The digest of a value.
    pub fn of(&mut self, value: &Value) -> ColumnDigest {
        self.0.start().push_value(value);
        ColumnDigest::from_hash(self.0.narrow())
    }
}

/// Bytes of the parts of most keys and cells.
pub(super) const ROOM: usize = 128;

/// Parts in their bytes: tag, length, content.
#[derive(Debug, Default)]
pub(super) struct Parts(pub(super) Vec<u8>);

impl Parts {
    /// With room for the parts of most keys: grown byte by byte they would be moved several times.
    pub(super) fn roomy() -> Self {
        Self(Vec::with_capacity(ROOM))
    }

    #[inline]
    pub(super) fn push(&mut self, tag: u8, content: &[u8]) {
        // Tag and length are the low nine bytes of one number, and are written in one go.
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let head = u128::from(length) << 8 | u128::from(tag);
        if let Some(head) = head.to_le_bytes().first_chunk::<9>() {
            self.0.extend_from_slice(head);
        }
        self.0.extend_from_slice(content);
    }

    #[inline]
    fn push_text(&mut self, text: &str) {
        self.push(b't', text.as_bytes());
    }

    /// One value of a column, as it is.
    pub(super) fn push_value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.push_text(text),
            Value::Null => self.push(b'0', &[]),
            Value::Integer(number) => self.push(b'i', &number.to_le_bytes()),
            Value::Decimal(number) => self.push_decimal(b'd', *number),
            Value::Float(number) => self.push_float(b'f', *number),
            Value::Boolean(yes) => self.push(b'b', &[u8::from(*yes)]),
            Value::Date(date) => self.push_date(b'D', *date),
            Value::Timestamp(instant) => {
                self.push(b'T', &instant.as_second().to_le_bytes());
            }
            Value::Choice(number) => self.push(b'c', &number.to_le_bytes()),
            Value::Choices(numbers) => {
                let bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
                self.push(b'C', &bytes);
            }
            Value::Guid(guid) => self.push(b'g', guid.as_bytes()),
            Value::Reference(reference) => self.push_reference(reference),
        }
    }

    /// What was looked for, and not what was found: a record that was made again elsewhere is the same reference. Texts
    /// that no environment tells apart find the same record.
    fn push_reference(&mut self, reference: &Reference) {
        match reference.points {
            Points::Nowhere | Points::Missing(None) => self.push(b'0', &[]),
            Points::Missing(Some(default)) => self.push(b'g', default.0.as_bytes()),
            Points::Sought | Points::Found(_) | Points::Later => {
                let target = &reference.to.target;
                let mut folded = Vec::with_capacity(ROOM);
                self.push(b'r', target.table.as_str().as_bytes());
                for (column, value) in target.columns.iter().zip(&reference.key) {
                    self.push(b'n', column.name.as_str().as_bytes());
                    self.push_key(&value.into(), Collation::AccentSensitive, &mut folded);
                }
            }
        }
    }

    /// One part of a key, as the environment compares it. Tells whether there was anything to compare.
    pub(super) fn push_key(
        &mut self,
        value: &Canonical<'_>,
        collation: Collation,
        folded: &mut Vec<u8>,
    ) -> KeyPart {
        let text = match value {
            Canonical::Text(text) => *text,
            Canonical::Value(Value::Text(text)) => text,
            Canonical::Value(other) => {
                self.push_value(other);
                return if is_nothing(other) {
                    KeyPart::Empty
                } else {
                    KeyPart::There
                };
            }
        };
        self.push_key_text(text, collation, folded)
    }

    /// One text of a key, as the environment compares it.
    #[inline]
    pub(super) fn push_key_text(
        &mut self,
        text: &str,
        collation: Collation,
        folded: &mut Vec<u8>,
    ) -> KeyPart {
        fold(text, collation, folded);
        self.push(b't', folded);
        if folded.is_empty() {
            KeyPart::Empty
        } else {
            KeyPart::There
        }
    }

    /// The cell of a row as the reader gave it. Most are texts, and need not be made cells for it.
    #[inline]
    pub(super) fn push_cell_of(&mut self, cells: &CellColumn<'_>, row: usize) {
        match cells {
            CellColumn::Text(array) => match text_at(array, row) {
                Ok(Some(text)) => self.push_text(text),
                Ok(None) => self.push(b'0', &[]),
                Err(_) => self.push(b'?', &[]),
            },
            cells => self.push_cell(cells.at(row)),
        }
    }

    /// One cell of the extract as the reader gave it.
    pub(super) fn push_cell(&mut self, cell: Result<Cell<'_>, Refusal>) {
        match cell {
            Err(_) => self.push(b'?', &[]),
            Ok(Cell::Null) => self.push(b'0', &[]),
            Ok(Cell::Text(text)) => self.push(b't', text.as_bytes()),
            Ok(Cell::Integer(number)) => self.push(b'i', &number.to_le_bytes()),
            Ok(Cell::Float(number)) => self.push_float(b'f', number),
            Ok(Cell::Decimal(number)) => self.push_decimal(b'd', number),
            Ok(Cell::Boolean(yes)) => self.push(b'b', &[u8::from(yes)]),
            Ok(Cell::Date(date)) => self.push_date(b'D', date),
            Ok(Cell::Instant(instant)) => self.push(b'T', &instant.as_nanosecond().to_le_bytes()),
            Ok(Cell::WallClock(clock)) => {
                self.push_date(b'W', clock.date());
                let time = clock.time().duration_since(jiff::civil::Time::midnight());
                self.push(b'w', &time.as_nanos().to_le_bytes());
            }
        }
    }

    fn push_decimal(&mut self, tag: u8, number: Decimal) {
        let number = canonical(number);
        let mut content = [0; 20];
        let (mantissa, scale) = content.split_at_mut(16);
        mantissa.copy_from_slice(&number.mantissa().to_le_bytes());
        scale.copy_from_slice(&number.scale().to_le_bytes());
        self.push(tag, &content);
    }

    fn push_float(&mut self, tag: u8, number: f64) {
        // Zero has two spellings in bits, and one meaning.
        let number = if number == 0.0 { 0.0 } else { number };
        self.push(tag, &number.to_bits().to_le_bytes());
    }

    fn push_date(&mut self, tag: u8, date: jiff::civil::Date) {
        let [low, high] = date.year().to_le_bytes();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        self.push(tag, &[low, high, month, day]);
    }
}

/// Whether a part of a key holds anything that the service compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPart {
    There,
    Empty,
}

/// Whether the service compares a text as an empty one.
#[inline]
pub(super) fn is_empty_key(text: &str, collation: Collation, folded: &mut Vec<u8>) -> bool {
    // Folding leaves such a sign, and nearly every key begins with one.
    let begins_with_sign = text.bytes().next().is_some_and(|it| it.is_ascii_graphic());
    if !begins_with_sign {
        fold(text, collation, folded);
    }
    !begins_with_sign && folded.is_empty()
}

/// Whether a value other than a text is none to the service, which takes a nil GUID for none.
pub(super) fn is_nothing(value: &Value) -> bool {
    value.is_null() || *value == Value::Guid(Uuid::nil())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(secret: u8, about: About, values: &[Value]) -> [u8; 16] {
        let mut digester = Digester::new(&DigestSecret([secret; 32]), about);
        let parts = digester.start();
        for value in values {
            parts.push_value(value);
        }
        digester.wide()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |values: &[Value]| digest(1, About::Key, values);
        assert_ne!(of(&[text("ab"), text("c")]), of(&[text("a"), text("bc")]));
        assert_ne!(of(&[Value::Null]), of(&[text("")]));
        assert_ne!(of(&[Value::Integer(1)]), of(&[Value::Choice(1)]));
    }

    #[test]
    fn secret_and_purpose_change_a_digest() {
        let of = |secret, about| digest(secret, about, &[text("ada")]);
        assert_eq!(of(1, About::Key), of(1, About::Key));
        assert_ne!(of(1, About::Key), of(2, About::Key));
        assert_ne!(of(1, About::Key), of(1, About::Source));
    }

    #[test]
    fn equal_numbers_have_one_digest() {
        let of = |value: Value| digest(1, About::Column, &[value]);
        let decimal = |number, scale| Value::Decimal(Decimal::new(number, scale));
        assert_eq!(of(decimal(1250, 2)), of(decimal(125, 1)));
        assert_eq!(of(decimal(0, 3)), of(decimal(0, 0)));
        assert_eq!(of(Value::Float(-0.0)), of(Value::Float(0.0)));
    }

    /// What digests are taken of is on disk in every ledger.
    #[test]
    fn the_bytes_of_the_parts_never_change() {
        let mut parts = Parts::default();
        parts.push_value(&text("Löb"));
        parts.push_value(&Value::Decimal(Decimal::new(1250, 2)));
        parts.push_value(&Value::Integer(-2));
        parts.push_value(&Value::Null);
        let mut expected = b"t\x04\0\0\0\0\0\0\0L\xC3\xB6b".to_vec();
        expected.extend(b"d\x14\0\0\0\0\0\0\0\x7D\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0");
        expected.extend(b"i\x08\0\0\0\0\0\0\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        expected.extend(b"0\0\0\0\0\0\0\0\0");
        assert_eq!(parts.0, expected);
        let of_value = ColumnDigester::new(&DigestSecret([7; 32])).of(&text("Löb"));
        assert_eq!(of_value, ColumnDigest::from_hash(5_123_291_014_521_605_162));
    }

    #[test]
    fn a_buffer_that_is_used_again_forgets() {
        let mut digester = Digester::new(&DigestSecret([7; 32]), About::Key);
        digester.start().push(b't', b"first");
        digester.start().push(b't', b"second");
        let again = digester.wide();
        let mut fresh = Digester::new(&DigestSecret([7; 32]), About::Key);
        fresh.start().push(b't', b"second");
        assert_eq!(again, fresh.wide());
    }
}
