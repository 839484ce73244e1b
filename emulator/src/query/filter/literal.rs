//! Literals, typed by the column that they meet.

use std::borrow::Cow;

use crate::model::Layout;
use crate::odata::address::guid;
use crate::schema::ColumnKind;
use crate::table::moment;
use crate::table::value::{Column, TableNumber, Value};

/// Whether literals of such a column stand in quotes.
pub(super) fn is_text(kind: Option<&ColumnKind>) -> bool {
    use ColumnKind::{Memo, MultiSelect, Text};
    matches!(kind, Some(Text { .. } | Memo { .. } | MultiSelect { .. }))
}

/// What stands between single quotes.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

/// A literal as the column's type has it.
pub(super) fn typed(layout: &Layout, column: Column, text: &str) -> Option<Value<'static>> {
    Some(match &layout.column(column)?.kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::MultiSelect { .. } => {
            Value::Text(Cow::Owned(text.to_owned()))
        }
        ColumnKind::Integer { .. }
        | ColumnKind::Picklist { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => Value::Integer(text.parse().ok()?),
        ColumnKind::BigInt => Value::BigInt(text.parse().ok()?),
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => Value::Decimal(text.parse().ok()?),
        ColumnKind::Double { .. } => Value::Double(text.parse().ok()?),
        ColumnKind::Boolean { .. } => Value::Boolean(text.parse().ok()?),
        ColumnKind::Date => Value::Date(moment::date(text)?),
        ColumnKind::DateTime | ColumnKind::DateTimeIndependent => {
            let midnight = || moment::date_time(&format!("{text}T00:00:00Z"));
            Value::DateTime(moment::date_time(text).or_else(midnight)?)
        }
        ColumnKind::Guid | ColumnKind::File { .. } => Value::Guid(guid(text)?),
        // Ids alone are compared; which table a lookup points to does not count.
        ColumnKind::Lookup { .. } => Value::Reference {
            table: TableNumber(u16::MAX),
            id: guid(text)?,
        },
    })
}
