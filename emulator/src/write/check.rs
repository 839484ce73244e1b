//! Values of a body against their columns: JSON kind first, then what the column allows.
//!
//! The first is the OData layer's work, whose errors never name the column; the second is the
//! table's. Source: Microsoft Learn, "Web API properties", "Column data types in Microsoft
//! Dataverse" and "Behavior and format of the date and time column".

use std::borrow::Cow;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::model::Layout;
use crate::odata::address::guid;
use crate::options::EmptyText;
use crate::refusal::Refusal;
use crate::schema::{ColumnDef, ColumnKind, OptionDef};
use crate::table::moment;
use crate::table::value::Value;

/// Choices in one column of several choices.
const MOST_CHOICES: usize = 150;

/// Reads the JSON text of a column's value; `None` is null.
pub(crate) fn read(
    layout: &Layout,
    column: &ColumnDef,
    json: &str,
    empty_text: EmptyText,
) -> Result<Option<Value<'static>>, Refusal> {
    if json == "null" {
        return Ok(None);
    }
    let token = Token {
        layout,
        column,
        json,
    };
    token.value(empty_text)
}

/// A JSON value and the column that it is meant for.
struct Token<'a> {
    layout: &'a Layout,
    column: &'a ColumnDef,
    json: &'a str,
}

impl Token<'_> {
    fn value(&self, empty_text: EmptyText) -> Result<Option<Value<'static>>, Refusal> {
        let value = match &self.column.kind {
            ColumnKind::Text { max_length } | ColumnKind::Memo { max_length } => {
                return self.stored_text(*max_length, empty_text);
            }
            ColumnKind::MultiSelect { options } => return self.choices(&options.options),
            ColumnKind::Integer { min, max } => {
                let number: i32 = self.whole("Edm.Int32")?;
                if number < *min || number > *max {
                    return Err(self.out_of_range("0x8004432f"));
                }
                Value::Integer(number)
            }
            ColumnKind::BigInt => Value::BigInt(self.whole("Edm.Int64")?),
            ColumnKind::Decimal {
                min,
                max,
                precision,
            }
            | ColumnKind::Money {
                min,
                max,
                precision,
            } => Value::Decimal(self.decimal(*min, *max, *precision)?),
            ColumnKind::Double {
                min,
                max,
                precision,
            } => Value::Double(self.double(*min, *max, *precision)?),
            ColumnKind::Boolean { .. } => match self.json {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                _ => return Err(self.not_a("Edm.Boolean")),
            },
            ColumnKind::Picklist { options } => self.choice(&options.options)?,
            ColumnKind::State { options } | ColumnKind::Status { options } => {
                self.choice(options).map_err(Refusal::of_state)?
            }
            ColumnKind::Date => self.date()?,
            ColumnKind::DateTime => self.date_time()?,
            ColumnKind::DateTimeIndependent => self.wall_clock()?,
            ColumnKind::Guid => {
                let text = self.text("Edm.Guid")?;
                Value::Guid(guid(&text).ok_or_else(|| self.not_a("Edm.Guid"))?)
            }
            ColumnKind::Lookup { .. } => return Err(Refusal::reference_as_value()),
            ColumnKind::File { .. } => {
                let column = &self.column.logical_name;
                let inner = format!("The file of '{column}' is not written with its row.");
                return Err(Refusal::odata_payload(&self.layout.def.entity_set, &inner));
            }
        };
        Ok(Some(value))
    }

    fn is_text(&self) -> bool {
        self.json.starts_with('"')
    }

    fn is_number(&self) -> bool {
        self.json
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    fn text(&self, edm: &str) -> Result<String, Refusal> {
        if !self.is_text() {
            return Err(self.not_a(edm));
        }
        serde_json::from_str(self.json).map_err(|_| self.not_a(edm))
    }

    /// The OData layer's conversion errors: they do not say which column.
    fn not_a(&self, edm: &str) -> Refusal {
        let is_number = matches!(edm, "Edm.Int32" | "Edm.Int64" | "Edm.Decimal");
        let inner = if self.is_text() && is_number {
            format!(
                "Cannot convert a value to target type '{edm}' because of conflict between input \
                 format string/number and parameter 'IEEE754Compatible' false/true."
            )
        } else if self.json.starts_with(['{', '[']) {
            let found = if self.json.starts_with('{') {
                "StartObject"
            } else {
                "StartArray"
            };
            format!(
                "An unexpected '{found}' node was found when reading from the JSON reader. A \
                 'PrimitiveValue' node was expected."
            )
        } else {
            let literal: String = serde_json::from_str(self.json).unwrap_or(self.json.to_owned());
            format!("Cannot convert the literal '{literal}' to the expected type '{edm}'.")
        };
        Refusal::odata_payload(&self.layout.def.entity_set, &inner)
    }

    fn stored_text(
        &self,
        max_length: usize,
        empty_text: EmptyText,
    ) -> Result<Option<Value<'static>>, Refusal> {
        let text = self.text("Edm.String")?;
        if text.is_empty() && empty_text == EmptyText::Null {
            return Ok(None);
        }
        self.check_text(&text, max_length)?;
        Ok(Some(Value::Text(Cow::Owned(text))))
    }

    fn check_text(&self, text: &str, max_length: usize) -> Result<(), Refusal> {
        let column = &self.column.logical_name;
        if text.encode_utf16().count() > max_length {
            let table = &self.layout.def.logical_name;
            return Err(Refusal::new(
                400,
                "0x80044331",
                format!(
                    "A validation error occurred.  The length of the '{column}' attribute of the \
                     '{table}' entity exceeded the maximum allowed length of '{max_length}'."
                ),
            ));
        }
        let is_refused = |c: char| {
            (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
        };
        if text.contains(is_refused) {
            return Err(Refusal::new(
                400,
                "0x80040278",
                format!("The field '{column}' contains one or more invalid characters."),
            ));
        }
        Ok(())
    }

    fn whole<N: std::str::FromStr>(&self, edm: &str) -> Result<N, Refusal> {
        if !self.is_number() {
            return Err(self.not_a(edm));
        }
        self.json.parse().map_err(|_| self.not_a(edm))
    }

    fn out_of_range(&self, code: &'static str) -> Refusal {
        Refusal::new(
            400,
            code,
            format!(
                "A validation error occurred. The value {} of '{}' on record of type '{}' is \
                 outside the valid range.",
                self.json, self.column.logical_name, self.layout.def.logical_name
            ),
        )
    }

    fn decimal(&self, min: Decimal, max: Decimal, precision: u32) -> Result<Decimal, Refusal> {
        if !self.is_number() {
            return Err(self.not_a("Edm.Decimal"));
        }
        let number = if self.json.contains(['e', 'E']) {
            Decimal::from_scientific(self.json).ok()
        } else {
            self.json.parse().ok()
        };
        let number = number.ok_or_else(|| self.not_a("Edm.Decimal"))?;
        if number < min || number > max {
            return Err(self.out_of_range("0x80044330"));
        }
        let rounding = RoundingStrategy::MidpointAwayFromZero;
        Ok(number.round_dp_with_strategy(precision, rounding))
    }

    fn double(&self, min: f64, max: f64, precision: u32) -> Result<f64, Refusal> {
        if !self.is_number() {
            return Err(self.not_a("Edm.Double"));
        }
        let number: f64 = self.json.parse().map_err(|_| self.not_a("Edm.Double"))?;
        if !number.is_finite() || number < min || number > max {
            return Err(self.out_of_range("0x80044330"));
        }
        let scale = 10f64.powi(i32::try_from(precision).unwrap_or(0));
        Ok((number * scale).round() / scale)
    }

    fn choice(&self, options: &[OptionDef]) -> Result<Value<'static>, Refusal> {
        let number: i32 = self.whole("Edm.Int32")?;
        if options.iter().any(|option| option.value == number) {
            return Ok(Value::Integer(number));
        }
        Err(self.not_accepted(&number.to_string(), options))
    }

    /// `"1,9"`; blanks after the commas are accepted.
    fn choices(&self, options: &[OptionDef]) -> Result<Option<Value<'static>>, Refusal> {
        let text = self.text("Edm.String")?;
        if text.is_empty() {
            return Ok(None);
        }
        let mut numbers: Vec<i32> = Vec::new();
        for piece in text.split(',').map(str::trim) {
            let known = |number: &i32| options.iter().any(|option| option.value == *number);
            let Some(number) = piece.parse().ok().filter(known) else {
                return Err(self.not_accepted(piece, options));
            };
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        if numbers.len() > MOST_CHOICES {
            return Err(self.not_accepted(&text, options));
        }
        numbers.sort_unstable();
        let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
        Ok(Some(Value::Text(numbers.join(",").into())))
    }

    fn not_accepted(&self, value: &str, options: &[OptionDef]) -> Refusal {
        let accepted: Vec<String> = options.iter().map(|o| o.value.to_string()).collect();
        Refusal::new(
            400,
            "0x8004431a",
            format!(
                "A validation error occurred. The value {value} of '{}' on record of type '{}' is \
                 outside the valid range. Accepted Values: {}",
                self.column.logical_name,
                self.layout.def.logical_name,
                accepted.join(",")
            ),
        )
    }

    fn date(&self) -> Result<Value<'static>, Refusal> {
        let text = self.text("Edm.Date")?;
        let date = moment::date(&text).ok_or_else(|| self.not_a("Edm.Date"))?;
        if date.year() < moment::FIRST_YEAR {
            return Err(outside_calendar());
        }
        Ok(Value::Date(date))
    }

    /// A time without a zone: an offset other than zero would say a time in one.
    fn wall_clock(&self) -> Result<Value<'static>, Refusal> {
        let edm = "Edm.DateTimeOffset";
        let text = self.text(edm)?;
        let zone = text.get(10..).and_then(|rest| rest.find(['+', '-']));
        let zone = zone.and_then(|place| text.get(place + 11..));
        if zone.is_some_and(|zone| zone != "00:00") {
            return Err(outside_calendar());
        }
        self.date_time()
    }

    fn date_time(&self) -> Result<Value<'static>, Refusal> {
        let edm = "Edm.DateTimeOffset";
        let text = self.text(edm)?;
        let seconds = moment::date_time(&text).ok_or_else(|| self.not_a(edm))?;
        if !moment::is_in_calendar(seconds) {
            return Err(outside_calendar());
        }
        Ok(Value::DateTime(seconds))
    }
}

fn outside_calendar() -> Refusal {
    Refusal::new(
        400,
        "0x80040239",
        "The date-time format is invalid, or value is outside the supported range.",
    )
}
