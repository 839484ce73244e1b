//! One cell of a record, typed and canonical.

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Reference, Text};

/// A canonical value of a column: what Dataverse would hold, not how a file spelt it.
///
/// Whole numbers and big integers share a variant, so do decimals and money; the column's
/// [`ColumnKind`](super::ColumnKind) tells them apart where it matters.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Text or memo; never empty (empty text is [`Value::Null`]).
    Text(Text),
    /// A whole number (32 bit on the wire) or big integer.
    Integer(i64),
    /// A decimal or money amount, within the column's precision, without trailing zeros.
    Decimal(Decimal),
    /// A floating point number; finite.
    Float(f64),
    /// Yes or no.
    Boolean(bool),
    /// A date without time and zone.
    Date(Date),
    /// An instant in UTC to the second; for time-zone independent columns the wall clock read as UTC.
    Timestamp(Timestamp),
    /// The number of a choice option.
    Choice(i32),
    /// The numbers of several options, ascending; never empty.
    Choices(Vec<i32>),
    /// A unique identifier.
    Guid(Uuid),
    /// The value of a lookup column.
    Reference(Box<Reference>),
}

impl Value {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Reference(reference) => reference.is_null(),
            _ => false,
        }
    }

    /// Whether this value can stand in the key of a URL.
    ///
    /// The characters `/ < > * % & : \ ? +` do not work there even when percent-encoded, `#` does not work in a
    /// bind, and no control character belongs into a request line; a time needs colons, a float has no exact text.
    /// Such keys are found by query and addressed by GUID.
    ///
    /// Source: Microsoft Learn, "Define alternate keys for a table", "Use an alternate key to reference a record".
    pub fn can_stand_in_url(&self) -> bool {
        let is_barred = |c: char| {
            let is_sign = matches!(
                c,
                '/' | '<' | '>' | '*' | '%' | '&' | ':' | '\\' | '?' | '+' | '#'
            );
            is_sign || c.is_control()
        };
        match self {
            // Most keys are letters and digits, which need no look at their characters.
            Self::Text(text) => {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
                !text.is_empty() && (text.bytes().all(is_plain) || !text.contains(is_barred))
            }
            Self::Null
            | Self::Float(_)
            | Self::Timestamp(_)
            | Self::Choices(_)
            | Self::Reference(_) => false,
            Self::Integer(_)
            | Self::Decimal(_)
            | Self::Boolean(_)
            | Self::Date(_)
            | Self::Choice(_)
            | Self::Guid(_) => true,
        }
    }
}
