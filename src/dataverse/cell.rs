//! Values as answers and people write them, as typed values of a column.

use std::str::FromStr;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::model::{ColumnKind, Value};

/// A value of an answer, as JSON; `None` if it is not one of the column's type.
pub(super) fn from_json(kind: &ColumnKind, json: &str) -> Option<Value> {
    if json.trim() == "null" {
        return Some(Value::Null);
    }
    match kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::Choices { .. } => {
            read::<String>(json).map(text)
        }
        ColumnKind::Integer { .. } | ColumnKind::BigInt => read(json).map(Value::Integer),
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => decimal(json).map(Value::Decimal),
        ColumnKind::Float { .. } => read(json).map(Value::Float),
        ColumnKind::Boolean { .. } => read(json).map(Value::Boolean),
        ColumnKind::Date => read::<String>(json)?.parse().ok().map(Value::Date),
        ColumnKind::DateTime { .. } => instant(&read::<String>(json)?).map(Value::Timestamp),
        ColumnKind::Choice { .. } | ColumnKind::State { .. } | ColumnKind::Status { .. } => {
            read(json).map(Value::Choice)
        }
        ColumnKind::Guid | ColumnKind::Lookup { .. } => read(json).map(Value::Guid),
        ColumnKind::Other(_) => None,
    }
}

/// A value as a person writes it on the command line; `None` if it is not one of the column's type.
pub(super) fn from_text(kind: &ColumnKind, written: &str) -> Option<Value> {
    match kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::Choices { .. } => {
            Some(text(written.to_owned()))
        }
        ColumnKind::Integer { .. } | ColumnKind::BigInt => written.parse().ok().map(Value::Integer),
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => {
            decimal(written).map(Value::Decimal)
        }
        ColumnKind::Float { .. } => written.parse().ok().map(Value::Float),
        ColumnKind::Boolean { .. } => written.parse().ok().map(Value::Boolean),
        ColumnKind::Date => written.parse().ok().map(Value::Date),
        ColumnKind::DateTime { .. } => instant(written).map(Value::Timestamp),
        ColumnKind::Choice { .. } | ColumnKind::State { .. } | ColumnKind::Status { .. } => {
            written.parse().ok().map(Value::Choice)
        }
        ColumnKind::Guid | ColumnKind::Lookup { .. } => {
            Uuid::from_str(written).ok().map(Value::Guid)
        }
        ColumnKind::Other(_) => None,
    }
}

/// A number with all its digits; the service writes trailing zeros, which mean nothing.
pub(super) fn decimal(written: &str) -> Option<Decimal> {
    Decimal::from_str_exact(written)
        .or_else(|_| Decimal::from_scientific(written))
        .ok()
        .map(|number| number.normalize())
}

fn text(text: String) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::Text(text.into())
    }
}

fn instant(written: &str) -> Option<Timestamp> {
    let instant: Timestamp = written.parse().ok()?;
    Timestamp::from_second(instant.as_second()).ok()
}

fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DateTimeBehavior;

    fn money() -> ColumnKind {
        ColumnKind::Money {
            min: Decimal::MIN,
            max: Decimal::MAX,
            precision: 4,
        }
    }

    #[test]
    fn a_money_amount_keeps_its_digits_and_loses_its_zeros() {
        let read = |json| from_json(&money(), json);
        assert_eq!(
            read("1000.5000"),
            Some(Value::Decimal(Decimal::new(10005, 1)))
        );
        assert_eq!(
            read("922337203685477.5807"),
            Some(Value::Decimal(
                Decimal::from_str_exact("922337203685477.5807").unwrap()
            ))
        );
        assert_eq!(read("1E+3"), Some(Value::Decimal(Decimal::new(1000, 0))));
        assert_eq!(read("\"1\""), None);
        assert_eq!(read("null"), Some(Value::Null));
    }

    #[test]
    fn each_type_is_read() {
        let text = ColumnKind::Text { max_length: 9 };
        let time = ColumnKind::DateTime {
            behavior: DateTimeBehavior::UserLocal,
        };
        let choice = ColumnKind::Choice {
            options: Vec::new(),
        };
        assert_eq!(
            from_json(&text, r#""a\"b""#),
            Some(Value::Text("a\"b".into()))
        );
        assert_eq!(from_json(&text, "\"\""), Some(Value::Null));
        assert_eq!(from_json(&text, "1"), None);
        assert_eq!(from_json(&choice, "7"), Some(Value::Choice(7)));
        assert_eq!(
            from_json(&ColumnKind::BigInt, "9007199254740993"),
            Some(Value::Integer(9_007_199_254_740_993))
        );
        assert_eq!(
            from_json(&time, "\"2024-05-01T20:00:00.9Z\""),
            Some(Value::Timestamp("2024-05-01T20:00:00Z".parse().unwrap()))
        );
        assert_eq!(
            from_json(&ColumnKind::Date, "\"2024-05-01\""),
            Some(Value::Date("2024-05-01".parse().unwrap()))
        );
        assert_eq!(
            from_text(&ColumnKind::Guid, "{00000000-0000-0000-0000-000000000001}"),
            Some(Value::Guid(Uuid::from_u128(1)))
        );
        assert_eq!(from_text(&choice, "gold"), None);
    }
}
