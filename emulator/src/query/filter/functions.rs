//! The functions of a filter: of text, of many related rows, and those of Dataverse.
//!
//! Source: Microsoft Learn, "Filter rows using OData" and "Web API Query Function Reference".

use serde_json::Value as Json;
use uuid::Uuid;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::dates::{self, Period};
use super::literal::{typed, unquoted};
use super::{Filter, Operand, Operator, Parser};
use crate::query::filter::pattern::Pattern;
use crate::query::filter::words::{Token, Words};
use crate::query::related;
use crate::refusal::Refusal;
use crate::roles::Access;
use crate::schema::ColumnKind;
use crate::table::fold_value;
use crate::table::moment;
use crate::table::value::{Column, TableNumber, Value};

const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// A period without its year is looked for in these.
const FISCAL_YEARS: std::ops::RangeInclusive<i64> = 1900..=2100;

/// `PropertyName='x',PropertyValues=["a","b"]`
pub(super) struct Arguments {
    pub(super) column: Column,
    pub(super) values: Vec<String>,
}

impl<'a> Parser<'a> {
    /// Reads a function behind its opening parenthesis.
    pub(super) fn function(&mut self, name: &'a str) -> Result<Filter, Refusal> {
        if matches!(name, "contains" | "startswith" | "endswith") {
            return self.text_function(name);
        }
        if let Some((path, quantifier @ ("any" | "all"))) = name.rsplit_once('/') {
            return self.quantified(path, quantifier);
        }
        let unknown = || Refusal::not_served(&format!("the function '{name}'"));
        let name = name.strip_prefix(NAMESPACE).ok_or_else(unknown)?;
        let arguments = self.arguments()?;
        let filter = self.dataverse(name, &arguments)?;
        filter.ok_or_else(unknown)
    }

    fn text_function(&mut self, name: &str) -> Result<Filter, Refusal> {
        let word = self.words.word()?;
        let way = self.way(self.meant(word)?)?;
        let column = way.column()?;
        self.words.expect(',')?;
        let text = match self.words.token()? {
            Token::Quoted(text) => text,
            Token::Word(alias) => {
                let text = self.alias(alias)?;
                unquoted(text).ok_or_else(|| self.words.syntax())?
            }
        };
        self.words.expect(')')?;
        let wanted = match name {
            "contains" => format!("%{text}%"),
            "startswith" => format!("{text}%"),
            _ => format!("%{text}"),
        };
        let pattern = Pattern::new(self.ground.engine.collation, &wanted);
        Ok(way.at_its_end(Filter::Like { column, pattern }))
    }

    /// `contact_customer_accounts/any(c:c/lastname eq 'x')`
    fn quantified(&mut self, path: &'a str, quantifier: &str) -> Result<Filter, Refusal> {
        let (engine, context) = (self.ground.engine, self.ground.context);
        let way = self.way(path)?;
        let found = way.layout.collection(way.property);
        let target = found.and_then(|found| Some((found, context.model.layout(found.table())?)));
        let (collection, target) = target
            .ok_or_else(|| Refusal::unknown_column(&way.layout.def.logical_name, way.property))?;
        context.require(target, Access::Read)?;
        if quantifier == "any" && self.words.symbol(')') {
            let rows = related::owners(engine, collection, None);
            return Ok(way.at_its_end(Filter::Ids(rows)));
        }
        let variable = self.words.variable();
        let mut inside = Parser {
            layout: target,
            variable: Some(variable.ok_or_else(|| self.words.syntax())?),
            ..*self
        };
        let inner = inside.any()?;
        self.words = inside.words;
        self.words.expect(')')?;
        let filter = if quantifier == "any" {
            Filter::Ids(related::owners(engine, collection, Some(&inner)))
        } else {
            let unfit = Filter::Not(Box::new(inner));
            let rows = related::owners(engine, collection, Some(&unfit));
            Filter::Not(Box::new(Filter::Ids(rows)))
        };
        Ok(way.at_its_end(filter))
    }

    /// Reads named arguments and the closing parenthesis.
    fn arguments(&mut self) -> Result<Arguments, Refusal> {
        let mut property = None;
        let mut values = Vec::new();
        loop {
            let name = self.words.word()?;
            self.words.expect('=')?;
            match name {
                "PropertyName" => property = self.argument()?.pop(),
                "PropertyValue" | "PropertyValues" => values = self.argument()?,
                "PropertyValue1" | "PropertyValue2" => values.extend(self.argument()?),
                _ => return Err(self.words.syntax()),
            }
            if self.words.symbol(')') {
                break;
            }
            self.words.expect(',')?;
        }
        let name = property.ok_or_else(|| self.words.syntax())?;
        // Lookups go by the name of their column here, too.
        let column = self.layout.number_of(&name);
        let column = column.or_else(|| self.layout.readable(&name));
        let table = &self.layout.def.logical_name;
        let column = column.ok_or_else(|| Refusal::unknown_column(table, &name))?;
        Ok(Arguments { column, values })
    }

    /// A list in JSON, a literal, or an alias of either.
    fn argument(&mut self) -> Result<Vec<String>, Refusal> {
        if let Some(list) = self.words.list() {
            return Ok(texts(&list));
        }
        match self.words.token()? {
            Token::Quoted(text) => Ok(vec![text]),
            Token::Word(word) if word.starts_with('@') => {
                let text = self.alias(word)?;
                if text.starts_with('[') {
                    let mut words = Words::of(text);
                    let list = words.list().filter(|_| words.is_at_end());
                    return list.map_or_else(|| Err(self.words.syntax()), |list| Ok(texts(&list)));
                }
                Ok(vec![unquoted(text).unwrap_or_else(|| text.to_owned())])
            }
            Token::Word(word) => Ok(vec![word.to_owned()]),
        }
    }

    /// The condition of a function of Dataverse; `None` if it is not served.
    pub(super) fn dataverse(
        &self,
        name: &str,
        arguments: &Arguments,
    ) -> Result<Option<Filter>, Refusal> {
        let column = arguments.column;
        let identity = self.ground.context.identity;
        Ok(Some(match name {
            "In" => self.among(arguments)?,
            "NotIn" => not(self.among(arguments)?),
            "Between" => self.in_between(arguments)?,
            "NotBetween" => not(self.in_between(arguments)?),
            "ContainValues" => self.choices(arguments)?,
            "DoesNotContainValues" => not(self.choices(arguments)?),
            "On" | "OnOrAfter" | "OnOrBefore" | "NotOn" => self.on(name, arguments)?,
            "EqualUserId" => equal(column, identity.user),
            "NotEqualUserId" => not(equal(column, identity.user)),
            "EqualBusinessId" => equal(column, identity.business_unit),
            "NotEqualBusinessId" => not(equal(column, identity.business_unit)),
            _ => {
                let hierarchy = self.hierarchy(name, arguments)?;
                return match hierarchy {
                    Some(filter) => Ok(Some(filter)),
                    None => self.dated(name, arguments),
                };
            }
        }))
    }

    pub(super) fn value(&self, column: Column, text: &str) -> Result<Value<'static>, Refusal> {
        typed(self.layout, column, text).ok_or_else(|| self.mismatch(text))
    }

    fn among(&self, arguments: &Arguments) -> Result<Filter, Refusal> {
        let Arguments { column, values } = arguments;
        let values = values.iter().map(|text| self.value(*column, text));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let collation = self.ground.engine.collation;
        Ok(Filter::In {
            column: *column,
            folded: values
                .iter()
                .map(|value| fold_value(collation, value))
                .collect(),
            values,
        })
    }

    fn in_between(&self, arguments: &Arguments) -> Result<Filter, Refusal> {
        let [from, to] = arguments.values.as_slice() else {
            return Err(self.words.syntax());
        };
        let column = arguments.column;
        let bound = |operator, text| {
            let value = self.value(column, text)?;
            Ok::<_, Refusal>(compared(column, operator, value))
        };
        Ok(Filter::All(vec![
            bound(Operator::GreaterOrEqual, from)?,
            bound(Operator::LessOrEqual, to)?,
        ]))
    }

    fn choices(&self, arguments: &Arguments) -> Result<Filter, Refusal> {
        let column = arguments.column;
        let kind = self.layout.column(column).map(|def| &def.kind);
        let numbers = arguments.values.iter().map(|text| {
            let number = text.trim().parse().ok();
            number.ok_or_else(|| self.mismatch(text))
        });
        let numbers = numbers.collect::<Result<Vec<i32>, _>>()?;
        if !matches!(kind, Some(ColumnKind::MultiSelect { .. })) {
            return Err(self.mismatch(&arguments.values.join(",")));
        }
        Ok(Filter::Choices { column, numbers })
    }

    fn on(&self, name: &str, arguments: &Arguments) -> Result<Filter, Refusal> {
        let [text] = arguments.values.as_slice() else {
            return Err(self.words.syntax());
        };
        let day = text.split('T').next().and_then(moment::date);
        let day = day.ok_or_else(|| self.mismatch(text))?;
        let from = day.to_datetime(Time::midnight());
        let to = from.checked_add(1.day());
        let to = to.map_err(|_| self.mismatch(text))?;
        let (from, to) = match name {
            "OnOrAfter" => (Some(from), None),
            "OnOrBefore" => (None, Some(to)),
            _ => (Some(from), Some(to)),
        };
        let filter = self.within(arguments.column, &Period { from, to })?;
        Ok(if name == "NotOn" { not(filter) } else { filter })
    }

    fn dated(&self, name: &str, arguments: &Arguments) -> Result<Option<Filter>, Refusal> {
        if let Some(filter) = self.fiscal(name, arguments)? {
            return Ok(Some(filter));
        }
        let x = match arguments.values.as_slice() {
            [] => None,
            [x] => Some(x.parse().map_err(|_| self.mismatch(x))?),
            _ => return Err(self.words.syntax()),
        };
        let now = Timestamp::from_second(self.ground.context.now()).unwrap_or_default();
        let now = now.to_zoned(TimeZone::UTC).datetime();
        match (dates::period(name, x, now), x) {
            (Some(period), _) => self.within(arguments.column, &period).map(Some),
            (None, Some(x)) if dates::period(name, Some(1), now).is_some() => {
                let message = format!("The value '{x}' is not one that '{name}' takes.");
                Err(Refusal::new(400, "0x80060888", message))
            }
            (None, _) => Ok(None),
        }
    }

    /// The functions that name a fiscal period, alone or with its year.
    fn fiscal(&self, name: &str, arguments: &Arguments) -> Result<Option<Filter>, Refusal> {
        let numbers = arguments.values.iter().map(|text| {
            let number = text.parse::<i64>().ok();
            number.ok_or_else(|| self.mismatch(text))
        });
        let years = match name {
            "InFiscalPeriod" => FISCAL_YEARS,
            "InFiscalPeriodAndYear"
            | "InOrAfterFiscalPeriodAndYear"
            | "InOrBeforeFiscalPeriodAndYear" => 0..=0,
            _ => return Ok(None),
        };
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let periods = match numbers.as_slice() {
            [period] if name == "InFiscalPeriod" => years
                .map(|year| dates::in_fiscal(Some(*period), year))
                .collect(),
            [period, year] if name != "InFiscalPeriod" => {
                vec![dates::in_fiscal(Some(*period), *year)]
            }
            _ => return Err(self.words.syntax()),
        };
        let periods: Option<Vec<Period>> = periods.into_iter().collect();
        let mut any = Vec::new();
        for Period { from, to } in periods.ok_or_else(|| self.words.syntax())? {
            let period = match name {
                "InOrAfterFiscalPeriodAndYear" => Period { from, to: None },
                "InOrBeforeFiscalPeriodAndYear" => Period { from: None, to },
                _ => Period { from, to },
            };
            any.push(self.within(arguments.column, &period)?);
        }
        Ok(Some(Filter::Any(any)))
    }

    /// Whether a date lies in a period.
    fn within(&self, column: Column, period: &Period) -> Result<Filter, Refusal> {
        let bounds = [
            (Operator::GreaterOrEqual, period.from),
            (Operator::Less, period.to),
        ];
        let mut parts = Vec::new();
        for (operator, moment) in bounds {
            let Some(moment) = moment else { continue };
            let value = self.moment(column, operator, moment);
            let value = value.ok_or_else(|| self.mismatch(self.layout.column_name(column)))?;
            parts.push(compared(column, operator, value));
        }
        Ok(Filter::All(parts))
    }

    fn moment(
        &self,
        column: Column,
        operator: Operator,
        moment: DateTime,
    ) -> Option<Value<'static>> {
        match &self.layout.column(column)?.kind {
            // A day that has begun counts as a whole.
            ColumnKind::Date if operator == Operator::Less && moment.time() != Time::midnight() => {
                Some(Value::Date(moment.date().tomorrow().ok()?))
            }
            ColumnKind::Date => Some(Value::Date(moment.date())),
            ColumnKind::DateTime | ColumnKind::DateTimeIndependent => {
                let moment = moment.to_zoned(TimeZone::UTC).ok()?;
                Some(Value::DateTime(moment.timestamp().as_second()))
            }
            _ => None,
        }
    }
}

fn texts(list: &[Json]) -> Vec<String> {
    let texts = list.iter().map(|value| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    });
    texts.collect()
}

pub(super) fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

pub(super) fn compared(column: Column, operator: Operator, value: Value<'static>) -> Filter {
    Filter::Compare {
        column,
        operator,
        operand: Operand::Value(value),
    }
}

fn equal(column: Column, id: Uuid) -> Filter {
    let table = TableNumber(u16::MAX);
    compared(column, Operator::Equal, Value::Reference { table, id })
}
