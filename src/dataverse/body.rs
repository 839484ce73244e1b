//! A record as JSON, written straight into the buffer of the request.

use std::io::Write;

use serde::Serialize;

use super::literal::{joined, seconds};
use crate::model::{Reference, Value};

/// Why an operation cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwritable(pub(super) &'static str);

/// Appends an object with these members. A number keeps its digits, a text is one line whatever it holds.
///
/// # Errors
/// If a value has no JSON (a number that is not finite); what was appended until then is of no use.
///
/// Source: Microsoft Learn, "Create a table row using the Web API", and the OData JSON format.
pub(super) fn write_object<'a>(
    members: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
) -> Result<(), Unwritable> {
    out.push(b'{');
    for (place, (name, value)) in members.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match value {
            Value::Reference(reference) => {
                text(&format!("{}@odata.bind", reference.to.navigation), out)?;
            }
            // A name has no sign that would have to be escaped.
            _ => quoted(name, out),
        }
        out.push(b':');
        write_value(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    match value {
        Value::Null => null(out),
        Value::Text(words) => text(words, out)?,
        Value::Integer(number) => json(number, out)?,
        // With no detour through a binary number.
        Value::Decimal(number) => display(format_args!("{number}"), out),
        Value::Float(number) if number.is_finite() => json(number, out)?,
        Value::Float(_) => return Err(Unwritable("a number of the record is not finite")),
        Value::Boolean(answer) => json(answer, out)?,
        Value::Date(date) => display(format_args!("\"{date}\""), out),
        Value::Timestamp(instant) => text(&seconds(*instant), out)?,
        Value::Choice(number) => json(number, out)?,
        Value::Choices(numbers) => text(&joined(numbers), out)?,
        Value::Guid(id) => display(format_args!("\"{}\"", id.as_hyphenated()), out),
        Value::Reference(reference) => return bind(reference, out),
    }
    Ok(())
}

fn bind(reference: &Reference, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    match (reference.id(), reference.is_null()) {
        (Some(id), _) => {
            let set = &reference.to.target.entity_set;
            display(format_args!("\"/{set}({id})\""), out);
        }
        (None, true) => null(out),
        // A null would clear what somebody may have meant.
        (None, false) => {
            return Err(Unwritable("a reference of the record was not looked up"));
        }
    }
    Ok(())
}

/// Most texts stand as they are; only the others are taken apart.
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
    let (eights, rest) = words.as_bytes().as_chunks::<8>();
    let is_escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    eights.iter().copied().any(has_escape) || rest.iter().any(is_escaped)
}

/// The same of eight bytes at once. A byte has its highest bit set where it is below a limit: it borrowed when the
/// limit was taken from it, and had not been large itself.
fn has_escape(eight: [u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_ne_bytes(eight);
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & (EACH << 7) != 0
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) -> Result<(), Unwritable> {
    serde_json::to_writer(out, value).map_err(|_| Unwritable("a value of the record has no JSON"))
}

fn display(words: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    out.write_fmt(words).ok();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    fn of(members: &[(&str, Value)]) -> Result<String, Unwritable> {
        let mut out = Vec::new();
        write_object(members.iter().map(|(name, value)| (*name, value)), &mut out)?;
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

        #[test]
        fn any_decimal_keeps_its_digits(mantissa in any::<i64>(), scale in 0u32..=10) {
            let number = Decimal::new(mantissa, scale);
            prop_assert_eq!(of(&[("a", Value::Decimal(number))]).unwrap(), format!("{{\"a\":{number}}}"));
        }
    }
}
