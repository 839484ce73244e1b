//! Values inside URLs: in keys and in filters.
//!
//! Everything outside RFC 3986's unreserved characters is percent-encoded, so that no value can end a literal, a
//! path or a request line.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{ColumnKind, Target, TargetColumn, Value};

/// All but letters, digits, `-`, `.`, `_` and `~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whether a text stands in a URL as it is.
fn is_unreserved(text: &str) -> bool {
    let is_sign = |byte| matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}

/// The text that a value is, if nothing of it has to be encoded.
fn as_it_stands(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(&**text).filter(|text| !text.is_empty() && is_unreserved(text)),
        _ => None,
    }
}

/// Appends text, encoded.
pub(super) fn encode(text: &str, out: &mut String) {
    if is_unreserved(text) {
        out.push_str(text);
    } else {
        out.extend(utf8_percent_encode(text, RESERVED));
    }
}

/// Appends a value as a literal: text quoted, everything else bare.
///
/// Source: Microsoft Learn, "Use an alternate key to reference a record", "Filter rows using OData".
pub(super) fn literal(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Text(text) => {
            out.push('\'');
            if text.contains('\'') {
                encode(&text.replace('\'', "''"), out);
            } else {
                encode(text, out);
            }
            out.push('\'');
        }
        Value::Integer(number) => display(number, out),
        Value::Decimal(number) => display(number, out),
        // An exponent may have a plus, which means a blank where it is not encoded.
        Value::Float(number) => encode(&number.to_string(), out),
        Value::Boolean(answer) => display(answer, out),
        Value::Date(date) => display(date, out),
        Value::Timestamp(instant) => encode(&seconds(*instant), out),
        Value::Choice(number) => display(number, out),
        Value::Choices(numbers) => {
            out.push('\'');
            encode(&joined(numbers), out);
            out.push('\'');
        }
        Value::Guid(id) => display(id.as_hyphenated(), out),
        Value::Reference(reference) => match reference.id() {
            Some(id) => display(id, out),
            None => out.push_str("null"),
        },
    }
}

/// Several options as the service writes them: `1,2`.
pub(super) fn joined(numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(",")
}

/// An instant as the service writes it: UTC, to the second.
pub(super) fn seconds(instant: jiff::Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Under which name a column is read and filtered.
pub(super) fn read_name(column: &TargetColumn) -> String {
    let mut name = String::new();
    push_read_name(column, &mut name);
    name
}

fn push_read_name(column: &TargetColumn, out: &mut String) {
    let name = column.name.as_str();
    match column.kind {
        ColumnKind::Lookup { .. } => out.extend(["_", name, "_value"]),
        _ => out.push_str(name),
    }
}

/// Appends `(emailaddress1='a%40x.example')`, or `(<guid>)` where the primary id is the key.
///
/// `None` if a part of the key cannot stand in a URL; then nothing usable was appended.
pub(super) fn key<'a>(
    target: &Target,
    values: impl Iterator<Item = &'a Value>,
    out: &mut String,
) -> Option<()> {
    let mut separator = '(';
    let mut parts = 0;
    for (index, value) in target.key.iter().zip(values) {
        out.push(separator);
        separator = ',';
        if !target.key_is_primary_id {
            push_read_name(target.columns.get(*index)?, out);
            out.push('=');
        }
        // Most keys are numbers and letters, and nothing of them has to be looked at twice.
        if let Some(text) = as_it_stands(value) {
            out.extend(["'", text, "'"]);
        } else if value.can_stand_in_url() {
            literal(value, out);
        } else {
            return None;
        }
        parts += 1;
    }
    out.push(')');
    (parts > 0 && parts == target.key.len()).then_some(())
}

fn display(value: impl std::fmt::Display, out: &mut String) {
    // Writing into a string cannot fail.
    match write!(out, "{value}") {
        Ok(()) | Err(std::fmt::Error) => {}
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    fn of(value: &Value) -> String {
        let mut out = String::new();
        literal(value, &mut out);
        out
    }

    #[test]
    fn text_is_quoted_doubled_and_encoded() {
        assert_eq!(of(&Value::Text("ABC123".into())), "'ABC123'");
        assert_eq!(of(&Value::Text("O'Brian".into())), "'O%27%27Brian'");
        assert_eq!(of(&Value::Text("a b#é".into())), "'a%20b%23%C3%A9'");
        assert_eq!(
            of(&Value::Text("x\r\nHost: y".into())),
            "'x%0D%0AHost%3A%20y'"
        );
    }

    #[test]
    fn everything_else_is_bare() {
        assert_eq!(of(&Value::Integer(-2)), "-2");
        assert_eq!(of(&Value::Decimal(Decimal::new(1250, 3))), "1.250");
        assert_eq!(of(&Value::Choice(100_000_000)), "100000000");
        assert_eq!(of(&Value::Boolean(true)), "true");
        assert_eq!(
            of(&Value::Date("2024-05-01".parse().unwrap())),
            "2024-05-01"
        );
        assert_eq!(
            of(&Value::Timestamp("2024-05-01T20:00:00.7Z".parse().unwrap())),
            "2024-05-01T20%3A00%3A00Z"
        );
        assert_eq!(
            of(&Value::Guid(Uuid::from_u128(1))),
            "00000000-0000-0000-0000-000000000001"
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_its_literal(text in any::<String>()) {
            let literal = of(&Value::Text(text.as_str().into()));
            prop_assert!(literal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%'".contains(&byte)));
            let inner = literal.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
            prop_assert!(!inner.contains('\''));
            let decoded = percent_decode_str(inner).decode_utf8().unwrap();
            prop_assert_eq!(decoded.replace("''", "'"), text);
        }
    }
}
