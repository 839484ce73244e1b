//! `$filter` expressions: their grammar, and literals typed by the column that they meet.
//!
//! Source: Microsoft Learn, "Filter rows using OData".

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value as Json;

use crate::address::guid;
use crate::fold::Collation;
use crate::model::Layout;
use crate::moment;
use crate::pattern::Pattern;
use crate::refusal::Refusal;
use crate::schema::ColumnKind;
use crate::table::{FoldedKey, fold_value};
use crate::value::{Column, TableNumber, Value};
use crate::words::{Token, Words};

/// Parentheses and `not` may stand in each other only so deep.
const DEEPEST: usize = 64;

/// A condition on a row.
#[derive(Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        column: Column,
        operator: Operator,
        operand: Operand,
    },
    Like {
        column: Column,
        pattern: Pattern,
    },
    In {
        column: Column,
        values: Vec<Value<'static>>,
        /// The values as the collation folds them.
        folded: HashSet<FoldedKey>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug)]
pub(crate) enum Operand {
    Null,
    Value(Value<'static>),
    Column(Column),
}

/// Parameter aliases: `@p` and what stands for it.
pub(crate) type Aliases = Vec<(String, String)>;

/// Reads a decoded filter.
pub(crate) fn parse(
    layout: &Layout,
    collation: Collation,
    text: &str,
    aliases: &Aliases,
) -> Result<Filter, Refusal> {
    let mut parser = Parser {
        layout,
        collation,
        aliases,
        words: Words::of(text),
        depth: 0,
    };
    let filter = parser.any()?;
    if parser.words.is_at_end() {
        return Ok(filter);
    }
    Err(parser.words.syntax())
}

struct Parser<'a> {
    layout: &'a Layout,
    collation: Collation,
    aliases: &'a Aliases,
    words: Words<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Filter, Refusal> {
        let mut parts = vec![self.all()?];
        while self.words.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, Refusal> {
        let mut parts = vec![self.one()?];
        while self.words.keyword("and") {
            parts.push(self.one()?);
        }
        Ok(single(parts, Filter::All))
    }

    fn one(&mut self) -> Result<Filter, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.words.syntax());
        }
        let filter = self.factor();
        self.depth -= 1;
        filter
    }

    fn factor(&mut self) -> Result<Filter, Refusal> {
        if self.words.symbol('(') {
            let filter = self.any()?;
            self.words.expect(')')?;
            return Ok(filter);
        }
        if self.words.keyword("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        let before = self.words;
        let word = self.words.word()?;
        if self.words.symbol('(') {
            return self.function(word);
        }
        if word.contains('/') {
            return Err(Refusal::not_served("filters on related rows"));
        }
        let Some(column) = self.layout.readable(word) else {
            self.words = before;
            return self.literal_first();
        };
        let operator = self.operator()?;
        let operand = self.operand(column)?;
        Ok(Filter::Compare {
            column,
            operator,
            operand,
        })
    }

    /// `5 lt numberofemployees`
    fn literal_first(&mut self) -> Result<Filter, Refusal> {
        let name = self.words.word()?;
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_name && !matches!(name, "null" | "true" | "false") {
            return Err(Refusal::unknown_column(&self.layout.def.logical_name, name));
        }
        Err(self.words.syntax())
    }

    fn function(&mut self, name: &str) -> Result<Filter, Refusal> {
        match name {
            "contains" | "startswith" | "endswith" => {
                let word = self.words.word()?;
                let column = self.column(word)?;
                self.words.expect(',')?;
                let Token::Quoted(text) = self.words.token()? else {
                    return Err(self.words.syntax());
                };
                self.words.expect(')')?;
                let wanted = match name {
                    "contains" => format!("%{text}%"),
                    "startswith" => format!("{text}%"),
                    _ => format!("%{text}"),
                };
                let pattern = Pattern::new(self.collation, &wanted);
                Ok(Filter::Like { column, pattern })
            }
            "Microsoft.Dynamics.CRM.In" => self.in_list(),
            _ => Err(Refusal::not_served(&format!("the function '{name}'"))),
        }
    }

    fn column(&self, name: &str) -> Result<Column, Refusal> {
        let table = &self.layout.def.logical_name;
        self.layout
            .readable(name)
            .ok_or_else(|| Refusal::unknown_column(table, name))
    }

    /// `PropertyName='x',PropertyValues=["a","b"])`
    fn in_list(&mut self) -> Result<Filter, Refusal> {
        self.argument("PropertyName")?;
        let Token::Quoted(name) = self.words.token()? else {
            return Err(self.words.syntax());
        };
        let plain = self.layout.number_of(&name);
        let column = match plain {
            Some(column) => column,
            None => self.column(&name)?,
        };
        self.words.expect(',')?;
        self.argument("PropertyValues")?;
        let values = self.values()?;
        self.words.expect(')')?;
        let values = values.iter().map(|value| {
            let text = match value {
                Json::String(text) => Cow::Borrowed(text.as_str()),
                other => Cow::Owned(other.to_string()),
            };
            typed(self.layout, column, &text).ok_or_else(|| self.mismatch(&text))
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let folded = values.iter().map(|value| fold_value(self.collation, value));
        Ok(Filter::In {
            column,
            folded: folded.collect(),
            values,
        })
    }

    fn argument(&mut self, name: &str) -> Result<(), Refusal> {
        if self.words.word()? == name && self.words.symbol('=') {
            return Ok(());
        }
        Err(self.words.syntax())
    }

    /// A list in JSON, or an alias of one.
    fn values(&mut self) -> Result<Vec<Json>, Refusal> {
        if let Some(values) = self.words.json_list() {
            return Ok(values);
        }
        let name = self.words.word()?;
        let text = self.alias(name)?;
        serde_json::from_str(text).map_err(|_| self.words.syntax())
    }

    fn alias(&self, name: &str) -> Result<&'a str, Refusal> {
        let found = self.aliases.iter().find(|(alias, _)| alias == name);
        let text = found.map(|(_, text)| text.as_str());
        text.ok_or_else(|| self.words.syntax())
    }

    fn operator(&mut self) -> Result<Operator, Refusal> {
        Ok(match self.words.word()? {
            "eq" => Operator::Equal,
            "ne" => Operator::NotEqual,
            "gt" => Operator::Greater,
            "ge" => Operator::GreaterOrEqual,
            "lt" => Operator::Less,
            "le" => Operator::LessOrEqual,
            _ => return Err(self.words.syntax()),
        })
    }

    fn operand(&mut self, column: Column) -> Result<Operand, Refusal> {
        let layout = self.layout;
        let token = match self.words.token()? {
            Token::Word(alias) if alias.starts_with('@') => {
                let text = self.alias(alias)?;
                match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
                    Some(quoted) => Token::Quoted(quoted.replace("''", "'")),
                    None => Token::Word(text),
                }
            }
            token => token,
        };
        match token {
            Token::Word("null") => Ok(Operand::Null),
            Token::Quoted(text) => {
                let kind = layout.column(column).map(|def| &def.kind);
                // GUIDs of lookups are tolerated in quotes; other literals are what they look like.
                let is_text = matches!(
                    kind,
                    Some(
                        ColumnKind::Text { .. }
                            | ColumnKind::Memo { .. }
                            | ColumnKind::MultiSelect { .. }
                            | ColumnKind::Lookup { .. }
                    )
                );
                let value = if is_text {
                    typed(layout, column, &text)
                } else {
                    None
                };
                value
                    .map(Operand::Value)
                    .ok_or_else(|| self.mismatch(&text))
            }
            Token::Word(word) => {
                if let Some(other) = layout.readable(word) {
                    return Ok(Operand::Column(other));
                }
                let kind = layout.column(column).map(|def| &def.kind);
                let is_text = matches!(
                    kind,
                    Some(ColumnKind::Text { .. } | ColumnKind::Memo { .. })
                );
                let value = if is_text {
                    None
                } else {
                    typed(layout, column, word)
                };
                value.map(Operand::Value).ok_or_else(|| self.mismatch(word))
            }
        }
    }

    fn mismatch(&self, literal: &str) -> Refusal {
        Refusal::new(
            400,
            "0x80060888",
            format!(
                "The literal '{literal}' in '{}' is not of its column's type.",
                self.words.text()
            ),
        )
    }
}

fn single(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

/// A literal as the column's type has it.
fn typed(layout: &Layout, column: Column, text: &str) -> Option<Value<'static>> {
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
        ColumnKind::Guid => Value::Guid(guid(text)?),
        // Ids alone are compared; which table a lookup points to does not count.
        ColumnKind::Lookup { .. } => Value::Reference {
            table: TableNumber(u16::MAX),
            id: guid(text)?,
        },
    })
}
