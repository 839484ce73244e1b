//! A record as JSON, written straight into the buffer of the request.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::literal::{joined, seconds};
use crate::model::Value;

/// Appends an object with these members. A number keeps its digits, a text is one line whatever it holds.
///
/// # Errors
/// If a value has no JSON (a number that is not finite); what was appended until then is of no use.
pub(super) fn write_object<'a>(
    members: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Serializer::new(out);
    let mut object = json.serialize_map(None)?;
    for (name, value) in members {
        match value {
            Value::Reference(reference) => {
                let name = format!("{}@odata.bind", reference.to.navigation);
                object.serialize_entry(&name, &Json(value))?;
            }
            _ => object.serialize_entry(name, &Json(value))?,
        }
    }
    object.end()
}

struct Json<'a>(&'a Value);

/// Source: Microsoft Learn, "Create a table row using the Web API", and the OData JSON format.
impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => json.serialize_unit(),
            Value::Text(text) => json.serialize_str(text),
            Value::Integer(number) => json.serialize_i64(*number),
            // With no detour through a binary number.
            Value::Decimal(number) => RawValue::from_string(number.to_string())
                .map_err(S::Error::custom)?
                .serialize(json),
            Value::Float(number) if number.is_finite() => json.serialize_f64(*number),
            Value::Float(_) => Err(S::Error::custom("the number is not finite")),
            Value::Boolean(answer) => json.serialize_bool(*answer),
            Value::Date(date) => json.collect_str(date),
            Value::Timestamp(instant) => json.serialize_str(&seconds(*instant)),
            Value::Choice(number) => json.serialize_i32(*number),
            Value::Choices(numbers) => json.serialize_str(&joined(numbers)),
            Value::Guid(id) => json.collect_str(id.as_hyphenated()),
            Value::Reference(reference) => match (reference.id(), reference.is_null()) {
                (Some(id), _) => {
                    let set = &reference.to.target.entity_set;
                    json.collect_str(&format_args!("/{set}({id})"))
                }
                (None, true) => json.serialize_unit(),
                // A null would clear what somebody may have meant.
                (None, false) => Err(S::Error::custom("the reference was not looked up")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    fn of(members: &[(&str, Value)]) -> Result<String, serde_json::Error> {
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

    proptest! {
        #[test]
        fn any_text_is_one_line(text in any::<String>()) {
            let json = of(&[("a", Value::Text(text.clone()))]).unwrap();
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
