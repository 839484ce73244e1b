//! A record as JSON, written straight into the buffer of the request.

use serde::Serialize;
use uuid::Uuid;

use super::digits;
use super::literal::joined;
use crate::model::{Reference, Value};

/// Why an operation cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwritable(pub(super) &'static str);

/// An object that is being written. A number keeps its digits, a text is one line whatever it holds.
///
/// Source: Microsoft Learn, "Create a table row using the Web API", and the OData JSON format.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// Where it begins. Each member has a comma before it, and at the end the first one becomes the brace.
    begin: usize,
}

/// What stands before the value of a member, for a name that has no sign that would have to be escaped.
pub(super) fn label(name: &str) -> String {
    format!("\"{name}\":")
}

/// The label of a member with all that stands between it and the member before.
pub(super) struct Label {
    /// `,"lastname":`
    before_value: String,
    /// `,"lastname":"`
    before_text: String,
}

impl Label {
    /// For a name that has no sign that would have to be escaped.
    pub(super) fn new(name: &str) -> Self {
        let label = label(name);
        Self {
            before_value: format!(",{label}"),
            before_text: format!(",{label}\""),
        }
    }
}

impl<'o> Object<'o> {
    /// Appends it to what is there.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        let begin = out.len();
        Self { out, begin }
    }

    /// Writes a member.
    ///
    /// # Errors
    /// If the value has no JSON (a number that is not finite); what was appended until then is of no use.
    pub(super) fn member(&mut self, label: &Label, value: &Value) -> Result<(), Unwritable> {
        match value {
            Value::Text(words) => self.text(label, words),
            Value::Reference(reference) => {
                self.out.push(b',');
                text(&format!("{}@odata.bind", reference.to.navigation), self.out)?;
                self.out.push(b':');
                bind(reference, self.out)
            }
            _ => {
                self.out.extend_from_slice(label.before_value.as_bytes());
                write_value(value, self.out)
            }
        }
    }

    /// Most texts stand as they are; only the others are taken apart.
    fn text(&mut self, label: &Label, words: &str) -> Result<(), Unwritable> {
        if has_escapes(words) {
            self.out.extend_from_slice(label.before_value.as_bytes());
            return json(words, self.out);
        }
        for piece in [&label.before_text, words, "\""] {
            self.out.extend_from_slice(piece.as_bytes());
        }
        Ok(())
    }

    /// Writes a member that is rendered already.
    pub(super) fn rendered(&mut self, member: &str) {
        self.out.push(b',');
        self.out.extend_from_slice(member.as_bytes());
    }

    /// Ends it.
    pub(super) fn end(self) {
        match self.out.get_mut(self.begin) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    match value {
        Value::Null => null(out),
        Value::Text(words) => text(words, out)?,
        Value::Integer(number) => digits::integer(*number, out),
        // With no detour through a binary number.
        Value::Decimal(number) => digits::decimal(number, out),
        Value::Float(number) if number.is_finite() => json(number, out)?,
        Value::Float(_) => return Err(Unwritable("a number of the record is not finite")),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Date(date) => digits::date(*date, out),
        Value::Timestamp(instant) => digits::instant(*instant, out),
        Value::Choice(number) => digits::integer(i64::from(*number), out),
        Value::Choices(numbers) => text(&joined(numbers), out)?,
        Value::Guid(id) => {
            let mut digits = Uuid::encode_buffer();
            quoted(id.as_hyphenated().encode_lower(&mut digits), out);
        }
        Value::Reference(reference) => return bind(reference, out),
    }
    Ok(())
}

fn bind(reference: &Reference, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    match (reference.id(), reference.is_null()) {
        (Some(id), _) => {
            let set = reference.to.target.entity_set.as_str();
            let mut digits = Uuid::encode_buffer();
            let id = id.0.as_hyphenated().encode_lower(&mut digits);
            for piece in ["\"/", set, "(", id, ")\""] {
                out.extend_from_slice(piece.as_bytes());
            }
        }
        (None, true) => null(out),
        // A null would clear what somebody may have meant.
        (None, false) => {
            return Err(Unwritable("a reference of the record was not looked up"));
        }
    }
    Ok(())
}

fn text(words: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    if has_escapes(words) {
        return json(words, out);
    }
    quoted(words, out);
    Ok(())
}

fn quoted(words: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(words.as_bytes());
    out.push(b'"');
}

/// Whether a text has a byte that JSON writes otherwise: below the blank, a quote or a backslash.
fn has_escapes(words: &str) -> bool {
    let words = words.as_bytes();
    let (eights, rest) = words.as_chunks::<8>();
    if eights.iter().copied().any(has_escape) {
        return true;
    }
    // What is left of a text that is not short is looked at with some of what was before.
    match words.last_chunk::<8>() {
        Some(last) => has_escape(*last),
        None => rest
            .iter()
            .any(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\'),
    }
}

/// The same of eight bytes at once. A byte has its highest bit set where it is below a limit: it borrowed when the
/// limit was taken from it, and had not been large itself. It is a sign where it is below one once that sign is taken out.
fn has_escape(eight: [u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_ne_bytes(eight);
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit));
    let is = |sign: u8| below(word ^ (EACH * u64::from(sign)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & !word & (EACH << 7) != 0
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) -> Result<(), Unwritable> {
    serde_json::to_writer(out, value).map_err(|_| Unwritable("a value of the record has no JSON"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn of(members: &[(&str, Value)]) -> Result<String, Unwritable> {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        for (name, value) in members {
            object.member(&Label::new(name), value)?;
        }
        object.end();
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_type_is_written_as_the_service_reads_it() {
        let json = of(&[
            ("a", Value::Text("x\r\n\"y\"".into())),
            ("b", Value::Integer(-7)),
            (
                "c",
                Value::Decimal(Decimal::from_str_exact("922337203685477.5807").unwrap()),
            ),
            ("d", Value::Float(1.5)),
            ("e", Value::Boolean(true)),
            ("f", Value::Date("2024-05-01".parse().unwrap())),
            (
                "g",
                Value::Timestamp("2024-05-01T20:00:00Z".parse().unwrap()),
            ),
            ("h", Value::Choice(100_000_000)),
            ("i", Value::Guid(Uuid::from_u128(1))),
            ("j", Value::Null),
        ]);
        assert_eq!(
            json.unwrap(),
            r#"{"a":"x\r\n\"y\"","b":-7,"c":922337203685477.5807,"d":1.5,"e":true,"f":"2024-05-01","g":"2024-05-01T20:00:00Z","h":100000000,"i":"00000000-0000-0000-0000-000000000001","j":null}"#
        );
        assert_eq!(of(&[]).unwrap(), "{}");
    }

    #[test]
    fn a_number_that_is_not_finite_is_never_a_null() {
        assert!(of(&[("a", Value::Float(f64::NAN))]).is_err());
        assert!(of(&[("a", Value::Float(f64::INFINITY))]).is_err());
    }

    #[test]
    fn a_byte_is_escaped_wherever_it_stands() {
        for byte in 0..0x80_u8 {
            for place in 0..20 {
                let mut text = ["\u{7f}", "~", "!", "é"].map(|it| it.repeat(20)).concat();
                text.truncate(40);
                text.insert(place, char::from(byte));
                let json = of(&[("a", Value::Text(text.as_str().into()))]).unwrap();
                assert_eq!(json, serde_json::json!({ "a": text }).to_string());
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_line(text in any::<String>()) {
            let json = of(&[("a", Value::Text(text.as_str().into()))]).unwrap();
            prop_assert!(!json.contains(['\r', '\n', '\0']));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read["a"].as_str().unwrap(), text);
        }

    }
}
