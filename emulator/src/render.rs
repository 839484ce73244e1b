//! Rows as JSON, with the annotations that a client asked for.
//!
//! Source: Microsoft Learn, "Web API properties" and "Compose HTTP requests and handle errors",
//! "Request annotations".

use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::engine::Engine;
use crate::model::Layout;
use crate::request::Annotations;
use crate::schema::{ColumnKind, OptionDef};
use crate::table::Row;
use crate::table::moment;
use crate::table::value::{Column, TableNumber, Value};

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
const LOGICAL_NAME: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";
const NAVIGATION: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";

/// Money is kept with four digits.
const MONEY_DIGITS: u32 = 4;

/// Which columns are shown.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    All,
    /// In the order in which they were asked for.
    Only(Vec<Column>),
}

/// How rows are shown.
pub(crate) struct View<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) layout: &'a Layout,
    pub(crate) shown: &'a Shown,
    pub(crate) annotations: &'a Annotations,
}

impl View<'_> {
    /// The row's members, without braces and without `@odata.context`.
    pub(crate) fn members(&self, id: Uuid, row: &Row, out: &mut String) {
        self.engine.tally.shown();
        out.push_str("\"@odata.etag\":");
        push_text(out, &etag(self.layout, row));
        match self.shown {
            Shown::All => {
                for (column, _) in self.layout.numbered_columns() {
                    self.member(id, row, column, out);
                }
            }
            Shown::Only(columns) => {
                for column in columns {
                    self.member(id, row, *column, out);
                }
                let id_column = self.layout.special.id;
                if let Some(column) = id_column.filter(|column| !columns.contains(column)) {
                    self.member(id, row, column, out);
                }
            }
        }
    }

    fn member(&self, id: Uuid, row: &Row, column: Column, out: &mut String) {
        let value = value_of(self.layout, id, row, column);
        out.push(',');
        self.member_of(&self.layout.property(column), column, value.as_ref(), out);
    }

    /// A value of a column under a name, with its annotations before it.
    pub(crate) fn member_of(
        &self,
        name: &str,
        column: Column,
        value: Option<&Value<'_>>,
        out: &mut String,
    ) {
        if let Some(value) = value {
            self.annotate(name, column, value, out);
        }
        push_text(out, name);
        out.push(':');
        push_value(self.layout, column, value, out);
    }

    fn annotate(&self, name: &str, column: Column, value: &Value<'_>, out: &mut String) {
        if self.annotations.is_empty() {
            return;
        }
        let mut annotation = |term: &str, text: &str| {
            if self.annotations.includes(term) {
                push_text(out, &format!("{name}@{term}"));
                out.push(':');
                push_text(out, text);
                out.push(',');
            }
        };
        if let Some(text) = self.formatted(column, value) {
            annotation(FORMATTED, &text);
        }
        if let Value::Reference { table, .. } = value
            && let Some(target) = self.engine.model.layout(*table)
        {
            annotation(LOGICAL_NAME, &target.def.logical_name);
            if let Some(navigation) = self.layout.navigation_of(column, *table) {
                annotation(NAVIGATION, navigation);
            }
        }
    }

    /// The value as people read it; `None` for text, which reads as it is.
    fn formatted(&self, column: Column, value: &Value<'_>) -> Option<String> {
        let kind = &self.layout.column(column)?.kind;
        match (kind, value) {
            (ColumnKind::Boolean { true_label, .. }, Value::Boolean(true)) => {
                Some(true_label.clone())
            }
            (ColumnKind::Boolean { false_label, .. }, _) => Some(false_label.clone()),
            (ColumnKind::Picklist { options }, Value::Integer(number)) => {
                label(&options.options, *number)
            }
            (
                ColumnKind::State { options } | ColumnKind::Status { options },
                Value::Integer(number),
            ) => label(options, *number),
            (ColumnKind::MultiSelect { options }, Value::Text(numbers)) => {
                let numbers = numbers.split(',').filter_map(|number| number.parse().ok());
                let labels = numbers.filter_map(|number| label(&options.options, number));
                Some(labels.collect::<Vec<_>>().join("; "))
            }
            (_, Value::Integer(number)) => Some(grouped(&number.to_string())),
            (_, Value::BigInt(number)) => Some(grouped(&number.to_string())),
            (ColumnKind::Money { precision, .. }, Value::Decimal(number)) => {
                let amount = with_digits(number.abs(), *precision);
                let sign = if number.is_sign_negative() { "-" } else { "" };
                Some(format!("{sign}${}", grouped(&amount)))
            }
            (ColumnKind::Decimal { precision, .. }, Value::Decimal(number)) => {
                Some(grouped(&with_digits(*number, *precision)))
            }
            (ColumnKind::Double { precision, .. }, Value::Double(number)) => {
                let digits = usize::try_from(*precision).unwrap_or_default();
                Some(grouped(&format!("{number:.digits$}")))
            }
            (_, Value::Date(date)) => {
                Some(format!("{}/{}/{}", date.month(), date.day(), date.year()))
            }
            (_, Value::DateTime(seconds)) => {
                let moment = moment::civil(*seconds);
                Some(moment.strftime("%-m/%-d/%Y %-I:%M %p").to_string())
            }
            (_, Value::Reference { table, id }) => self.name_of(*table, *id),
            _ => None,
        }
    }

    fn name_of(&self, table: TableNumber, id: Uuid) -> Option<String> {
        let target = self.engine.model.layout(table)?;
        let row = self.engine.row(target, id)?;
        row.cells.get(target.special.name?).map(|name| plain(&name))
    }
}

/// An owner behind a property that leads to users and teams: a principal, which has but its id.
pub(crate) fn push_principal(layout: &Layout, id: Uuid, row: &Row, out: &mut String) {
    let kind = format!("#Microsoft.Dynamics.CRM.{}", layout.def.logical_name);
    out.push_str("\"@odata.type\":");
    push_text(out, &kind);
    out.push_str(",\"@odata.etag\":");
    push_text(out, &etag(layout, row));
    out.push_str(",\"ownerid\":");
    push_text(out, &id.to_string());
}

/// The tag of a row's version. Elastic rows have those of another store.
pub(crate) fn etag(layout: &Layout, row: &Row) -> String {
    if layout.special.partition.is_none() {
        return format!("W/\"{}\"", row.version);
    }
    let (low, high) = (row.version & 0xffff_ffff, row.version >> 32);
    format!("W/\"{low:08x}-0000-0200-0000-{high:012x}\"")
}

/// A column of a row; the id and the version stand beside the cells, and the user or the team that
/// owns the row is told from its owner.
pub(crate) fn value_of<'r>(
    layout: &Layout,
    id: Uuid,
    row: &'r Row,
    column: Column,
) -> Option<Value<'r>> {
    if Some(column) == layout.special.id {
        return Some(Value::Guid(id));
    }
    if Some(column) == layout.special.version {
        return i64::try_from(row.version).ok().map(Value::BigInt);
    }
    let mut owning = layout.owning.iter();
    if let Some((_, kind)) = owning.find(|(owning, _)| *owning == column) {
        let owner = row.cells.get(layout.special.owner?);
        return owner
            .filter(|owner| matches!(owner, Value::Reference { table, .. } if table == kind));
    }
    row.cells.get(column)
}

fn label(options: &[OptionDef], number: i32) -> Option<String> {
    let option = options.iter().find(|option| option.value == number)?;
    option.labels.get(&1033).cloned()
}

/// Digits in groups of three.
fn grouped(number: &str) -> String {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = match rest.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (rest, None),
    };
    let mut text = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A decimal with exactly so many digits after the point.
fn with_digits(number: Decimal, digits: u32) -> String {
    let mut number = number;
    number.rescale(digits);
    number.to_string()
}

pub(crate) fn push_text(out: &mut String, text: &str) {
    match serde_json::to_string(text) {
        Ok(json) => out.push_str(&json),
        Err(_) => out.push_str("\"\""),
    }
}

pub(crate) fn push_value(
    layout: &Layout,
    column: Column,
    value: Option<&Value<'_>>,
    out: &mut String,
) {
    let kind = layout.column(column).map(|def| &def.kind);
    let written = match value {
        None => write!(out, "null"),
        Some(Value::Text(text)) => {
            push_text(out, text);
            Ok(())
        }
        Some(Value::Integer(number)) => write!(out, "{number}"),
        Some(Value::BigInt(number)) => write!(out, "{number}"),
        Some(Value::Decimal(number)) => {
            let digits = match kind {
                Some(ColumnKind::Decimal { precision, .. }) => *precision,
                _ => MONEY_DIGITS,
            };
            write!(out, "{}", with_digits(*number, digits))
        }
        Some(Value::Double(number)) => match serde_json::Number::from_f64(*number) {
            Some(number) => write!(out, "{number}"),
            None => write!(out, "null"),
        },
        Some(Value::Boolean(answer)) => write!(out, "{answer}"),
        Some(Value::Date(date)) => write!(out, "\"{date}\""),
        Some(Value::DateTime(seconds)) => write!(out, "\"{}\"", moment::written(*seconds)),
        Some(Value::Guid(id) | Value::Reference { id, .. }) => write!(out, "\"{id}\""),
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// A value as JSON of its own, as the Web API would show it.
pub(crate) fn json(layout: &Layout, column: Column, value: Option<&Value<'_>>) -> Json {
    let mut text = String::new();
    push_value(layout, column, value, &mut text);
    serde_json::from_str(&text).unwrap_or(Json::Null)
}

/// A value as bare text.
pub(crate) fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(answer) => answer.to_string(),
        Value::Date(date) => date.to_string(),
        Value::DateTime(seconds) => moment::written(*seconds),
        Value::Guid(id) | Value::Reference { id, .. } => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        for (number, text) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.50", "-1,234,567.50"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
