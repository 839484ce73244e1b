//! `$apply`: rows counted and summed, in groups.
//!
//! `groupby`, `aggregate` and a `filter` before them are served; columns of related rows are not.
//! Options beside it would mean the rows that it gives, and are refused. Source: Microsoft Learn,
//! "Aggregate data using OData".

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::{Asked, Listing};
use crate::model::Layout;
use crate::query::filter::{self, Filter, Ground};
use crate::query::scan::{Scan, compare};
use crate::refusal::Refusal;
use crate::render::{Shown, View, push_text, push_value, value_of};
use crate::request::Preferences;
use crate::schema::ColumnKind;
use crate::table::fold::Collation;
use crate::table::value::{Column, Value};
use crate::table::{FoldedKey, fold_value};

/// Rows that may be aggregated.
const MOST_ROWS: usize = 50_000;

/// What is done to the rows, in this order.
pub(super) struct Pipeline {
    filter: Option<Filter>,
    groups: Vec<Column>,
    measures: Vec<Measure>,
}

/// `annualincome with sum as total`
struct Measure {
    alias: String,
    /// `None` counts the rows.
    of: Option<(Column, Method)>,
}

/// What is made of the values of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Sum,
    Average,
    Least,
    Greatest,
    Distinct,
}

/// Rows with the same values: these values, and for each measure those of its column.
struct Group {
    values: Vec<Option<Value<'static>>>,
    rows: usize,
    measured: Vec<Vec<Value<'static>>>,
}

impl Pipeline {
    /// Reads `filter(statecode eq 0)/groupby((statuscode),aggregate($count as count))`.
    pub(super) fn parse(ground: Ground<'_>, layout: &Layout, text: &str) -> Result<Self, Refusal> {
        let mut pipeline = Self {
            filter: None,
            groups: Vec::new(),
            measures: Vec::new(),
        };
        let mut rest = text.trim();
        if let Some(after) = rest.strip_prefix("filter(") {
            let (inner, after) = enclosed(after)?;
            pipeline.filter = Some(filter::parse(ground, layout, inner)?);
            rest = after.strip_prefix('/').ok_or_else(Refusal::query_syntax)?;
        }
        let aggregate = if let Some(after) = rest.strip_prefix("groupby(") {
            let (inner, after) = enclosed(after)?;
            if !after.is_empty() {
                return Err(Refusal::not_served("what follows groupby"));
            }
            let columns = inner.trim().strip_prefix('(');
            let (columns, rest) = enclosed(columns.ok_or_else(Refusal::query_syntax)?)?;
            for name in columns.split(',').map(str::trim) {
                let column = column(layout, name)?;
                let kind = layout.column(column).map(|def| &def.kind);
                if matches!(
                    kind,
                    Some(ColumnKind::DateTime | ColumnKind::DateTimeIndependent)
                ) {
                    let message =
                        format!("Grouping by the date and time '{name}' isn't supported.");
                    return Err(Refusal::new(400, "0x80060888", message));
                }
                pipeline.groups.push(column);
            }
            match rest.trim() {
                "" => "",
                rest => rest
                    .strip_prefix(',')
                    .ok_or_else(Refusal::query_syntax)?
                    .trim(),
            }
        } else {
            rest
        };
        if !aggregate.is_empty() {
            let inner = aggregate.strip_prefix("aggregate(");
            let (inner, after) = enclosed(inner.ok_or_else(Refusal::query_syntax)?)?;
            if !after.trim().is_empty() {
                return Err(Refusal::not_served("what follows aggregate"));
            }
            let measures = inner.split(',').map(|text| Measure::parse(layout, text));
            pipeline.measures = measures.collect::<Result<_, _>>()?;
        }
        if pipeline.groups.is_empty() && pipeline.measures.is_empty() {
            return Err(Refusal::query_syntax());
        }
        Ok(pipeline)
    }

    pub(super) fn answer(
        &self,
        listing: &Listing<'_>,
        asked: &Asked,
        preferences: &Preferences,
    ) -> Result<String, Refusal> {
        let is_alone = matches!(asked.shown, Shown::All)
            && asked.order.is_empty()
            && asked.expands.is_empty()
            && asked.cookie.is_none();
        if !is_alone {
            let message = "The query options beside $apply are not supported.";
            return Err(Refusal::new(400, "0x80060888", message));
        }
        let (engine, layout) = (listing.engine, listing.layout);
        let scan = Scan {
            engine,
            layout,
            filter: self.filter.as_ref(),
        };
        // Rows of a collection come with a filter of their own.
        let only: Option<HashSet<_>> = asked.filter.as_ref().map(|filter| {
            let scan = Scan {
                filter: Some(filter),
                ..scan
            };
            scan.rows(None).map(|(id, _)| id).collect()
        });
        let groups = self.grouped(scan, only.as_ref())?;
        let context = format!("{}/$metadata#{}", listing.base, layout.def.entity_set);
        let mut body = String::from("{\"@odata.context\":");
        push_text(&mut body, &context);
        body.push_str(",\"value\":[");
        let view = View {
            engine,
            layout,
            shown: &Shown::All,
            annotations: &preferences.annotations,
        };
        for (number, group) in groups.iter().enumerate() {
            body.push_str(if number == 0 { "{" } else { ",{" });
            self.object(&view, group, &mut body)?;
            body.push('}');
        }
        body.push_str("]}");
        Ok(body)
    }

    fn grouped(
        &self,
        scan: Scan<'_>,
        only: Option<&HashSet<uuid::Uuid>>,
    ) -> Result<Vec<Group>, Refusal> {
        let collation = scan.engine.collation;
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Vec<Option<FoldedKey>>, usize> = HashMap::new();
        if self.groups.is_empty() {
            places.insert(Vec::new(), 0);
            groups.push(self.empty(Vec::new()));
        }
        let rows = scan.rows(None);
        let rows = rows.filter(|(id, _)| only.is_none_or(|only| only.contains(id)));
        for (number, (id, row)) in rows.enumerate() {
            if number >= MOST_ROWS {
                let message = "The maximum record limit is exceeded. Reduce the number of records.";
                return Err(Refusal::new(400, "0x8004e023", message));
            }
            let value = |column: &Column| value_of(scan.layout, id, row, *column);
            let values: Vec<_> = self.groups.iter().map(value).collect();
            let fold = |value: &Option<Value<'_>>| value.as_ref().map(|v| fold_value(collation, v));
            let key = values.iter().map(fold).collect();
            let place = *places.entry(key).or_insert_with(|| {
                let values = values.into_iter().map(|v| v.map(Value::into_owned));
                groups.push(self.empty(values.collect()));
                groups.len() - 1
            });
            let Some(group) = groups.get_mut(place) else {
                continue;
            };
            group.rows += 1;
            for (measure, measured) in self.measures.iter().zip(&mut group.measured) {
                let found = measure.of.and_then(|(column, _)| value(&column));
                measured.extend(found.map(Value::into_owned));
            }
        }
        Ok(groups)
    }

    fn empty(&self, values: Vec<Option<Value<'static>>>) -> Group {
        Group {
            values,
            rows: 0,
            measured: self.measures.iter().map(|_| Vec::new()).collect(),
        }
    }

    fn object(&self, view: &View<'_>, group: &Group, out: &mut String) -> Result<(), Refusal> {
        let collation = view.engine.collation;
        let mut comma = "";
        for (column, value) in self.groups.iter().zip(&group.values) {
            out.push_str(comma);
            view.member_of(&view.layout.property(*column), *column, value.as_ref(), out);
            comma = ",";
        }
        for (measure, values) in self.measures.iter().zip(&group.measured) {
            out.push_str(comma);
            comma = ",";
            push_text(out, &measure.alias);
            out.push(':');
            match measure.of {
                None => out.push_str(&group.rows.to_string()),
                Some((_, Method::Distinct)) => {
                    let distinct = values.iter().map(|value| fold_value(collation, value));
                    out.push_str(&distinct.collect::<HashSet<_>>().len().to_string());
                }
                Some((column, method)) => {
                    let value = method.of(collation, values)?;
                    push_value(view.layout, column, value.as_ref(), out);
                }
            }
        }
        Ok(())
    }
}

impl Measure {
    fn parse(layout: &Layout, text: &str) -> Result<Self, Refusal> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (alias, of) = match words.as_slice() {
            ["$count", "as", alias] => (*alias, None),
            [name, "with", method, "as", alias] => {
                let method = match *method {
                    "sum" => Method::Sum,
                    "average" => Method::Average,
                    "min" => Method::Least,
                    "max" => Method::Greatest,
                    "countdistinct" => Method::Distinct,
                    _ => return Err(Refusal::query_syntax()),
                };
                (*alias, Some((column(layout, name)?, method)))
            }
            _ => return Err(Refusal::query_syntax()),
        };
        let alias = alias.to_owned();
        Ok(Self { alias, of })
    }
}

impl Method {
    /// Null for no values.
    pub(crate) fn of(
        self,
        collation: Collation,
        values: &[Value<'static>],
    ) -> Result<Option<Value<'static>>, Refusal> {
        let Some(first) = values.first() else {
            return Ok(None);
        };
        if matches!(self, Self::Least | Self::Greatest) {
            let mut found = first;
            for value in values {
                let order = compare(collation, value, found);
                let is_better = order.is_some_and(|order| match self {
                    Self::Least => order.is_lt(),
                    _ => order.is_gt(),
                });
                if is_better {
                    found = value;
                }
            }
            return Ok(Some(found.clone()));
        }
        let (whole, decimal, double) = total(values).ok_or_else(|| {
            let message = "The aggregate method does not support the type of the column.";
            Refusal::new(400, "0x80060888", message)
        })?;
        let count = values.len();
        let average = self == Self::Average;
        Ok(Some(match first {
            Value::Double(_) if average => Value::Double(double / count_as_float(count)),
            Value::Double(_) => Value::Double(double),
            Value::Decimal(_) if average => Value::Decimal(
                decimal
                    .checked_div(Decimal::from(count))
                    .unwrap_or_default(),
            ),
            Value::Decimal(_) => Value::Decimal(decimal),
            _ if average => {
                let whole = Decimal::from(whole).checked_div(Decimal::from(count));
                Value::Decimal(whole.unwrap_or_default())
            }
            _ => Value::BigInt(whole),
        }))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "at most 50,000 rows are aggregated"
)]
fn count_as_float(count: usize) -> f64 {
    count as f64
}

/// The sum as whole number, decimal and float; one of them counts. `None` if the values are no
/// numbers or too great.
fn total(values: &[Value<'_>]) -> Option<(i64, Decimal, f64)> {
    let (mut whole, mut decimal, mut double) = (0_i64, Decimal::ZERO, 0.0);
    for value in values {
        match value {
            Value::Integer(number) => whole = whole.checked_add(i64::from(*number))?,
            Value::BigInt(number) => whole = whole.checked_add(*number)?,
            Value::Decimal(number) => decimal = decimal.checked_add(*number)?,
            Value::Double(number) => double += number,
            _ => return None,
        }
    }
    Some((whole, decimal, double))
}

fn column(layout: &Layout, name: &str) -> Result<Column, Refusal> {
    if name.contains('/') {
        return Err(Refusal::not_served("aggregates over related rows"));
    }
    let found = layout.readable(name);
    found.ok_or_else(|| Refusal::unknown_column(&layout.def.logical_name, name))
}

/// Splits at the parenthesis that closes the one before the text.
fn enclosed(text: &str) -> Result<(&str, &str), Refusal> {
    let mut depth = 0_usize;
    let mut is_quoted = false;
    for (place, character) in text.char_indices() {
        match character {
            '\'' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ')' => {
                let inner = text.get(..place).unwrap_or_default();
                return Ok((inner, text.get(place + 1..).unwrap_or_default()));
            }
            _ => {}
        }
    }
    Err(Refusal::query_syntax())
}
