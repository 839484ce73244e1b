//! `$filter` expressions: their grammar, and literals typed by the column that they meet.
//!
//! Source: Microsoft Learn, "Filter rows using OData".

mod dates;
mod fetched;
mod functions;
mod hierarchy;
mod literal;
pub(crate) mod pattern;
pub(crate) mod words;

use std::collections::{BTreeSet, HashSet};

use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::query::filter::pattern::Pattern;
use crate::query::filter::words::{Token, Words};
use crate::query::related;
use crate::refusal::Refusal;
use crate::schema::ColumnKind;
use crate::table::FoldedKey;
use crate::table::value::{Column, TableNumber, Value};
pub(crate) use fetched::fetched;
use literal::typed;

/// Parentheses and `not` may stand in each other only so deep.
const DEEPEST: usize = 64;

/// And a way may lead over only so many lookups.
const FARTHEST: usize = 8;

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
    /// A multi-select holds one of these choices.
    Choices {
        column: Column,
        numbers: Vec<i32>,
    },
    /// A condition on the row that a lookup points to; without one its columns are null.
    Related {
        lookup: Column,
        target: TableNumber,
        inner: Box<Filter>,
    },
    /// Written after this version.
    Since(u64),
    /// One of these rows.
    Ids(BTreeSet<Uuid>),
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

/// What a filter is read against.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) context: &'a Context<'a>,
    pub(crate) aliases: &'a Aliases,
}

/// Reads a decoded filter on rows of a table.
pub(crate) fn parse(ground: Ground<'_>, layout: &Layout, text: &str) -> Result<Filter, Refusal> {
    let mut parser = Parser {
        ground,
        layout,
        variable: None,
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
    ground: Ground<'a>,
    layout: &'a Layout,
    /// Inside `any` and `all`: what stands for the related row.
    variable: Option<&'a str>,
    words: Words<'a>,
    depth: usize,
}

/// The way to a property: over the rows that lookups point to.
struct Way<'a> {
    hops: Vec<(Column, TableNumber)>,
    /// The table that the way ends at.
    layout: &'a Layout,
    property: &'a str,
}

impl Way<'_> {
    fn column(&self) -> Result<Column, Refusal> {
        let table = &self.layout.def.logical_name;
        let column = self.layout.readable(self.property);
        column.ok_or_else(|| Refusal::unknown_column(table, self.property))
    }

    /// A condition at the way's end, seen from where it begins.
    fn at_its_end(self, filter: Filter) -> Filter {
        let hops = self.hops.into_iter().rev();
        hops.fold(filter, |inner, (lookup, target)| Filter::Related {
            lookup,
            target,
            inner: Box::new(inner),
        })
    }
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
        let word = self.words.word()?;
        if self.words.symbol('(') {
            return self.function(word);
        }
        let word = self.meant(word)?;
        if !is_name(word) {
            // `5 lt numberofemployees`
            return Err(self.words.syntax());
        }
        let way = self.way(word)?;
        let column = way.column()?;
        let operator = self.operator()?;
        let operand = self.operand(&way, column)?;
        Ok(way.at_its_end(Filter::Compare {
            column,
            operator,
            operand,
        }))
    }

    /// Follows `primarycontactid/fullname` to the table of its last part.
    fn way(&self, word: &'a str) -> Result<Way<'a>, Refusal> {
        let inside = match self.variable {
            None => Some(word),
            Some(variable) => {
                let rest = word.strip_prefix(variable);
                rest.and_then(|rest| rest.strip_prefix('/'))
            }
        };
        let mut way = Way {
            hops: Vec::new(),
            layout: self.layout,
            property: inside.ok_or_else(|| self.words.syntax())?,
        };
        while let Some((step, rest)) = way.property.split_once('/') {
            if way.hops.len() >= FARTHEST {
                return Err(self.words.syntax());
            }
            let (lookup, target) = related::target(self.ground.context, way.layout, step)?;
            way.hops.push((lookup, target.number));
            way.layout = target;
            way.property = rest;
        }
        Ok(way)
    }

    /// A word, or what its alias stands for: aliases may name properties too.
    fn meant(&self, word: &'a str) -> Result<&'a str, Refusal> {
        if word.starts_with('@') {
            self.alias(word)
        } else {
            Ok(word)
        }
    }

    fn alias(&self, name: &str) -> Result<&'a str, Refusal> {
        let found = self.ground.aliases.iter().find(|(alias, _)| alias == name);
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

    fn operand(&mut self, way: &Way<'_>, column: Column) -> Result<Operand, Refusal> {
        let token = match self.words.token()? {
            Token::Word(alias) if alias.starts_with('@') => {
                let text = self.alias(alias)?;
                match literal::unquoted(text) {
                    Some(quoted) => Token::Quoted(quoted),
                    None => Token::Word(text),
                }
            }
            token => token,
        };
        let kind = way.layout.column(column).map(|def| &def.kind);
        let (text, fits) = match token {
            Token::Word("null") => return Ok(Operand::Null),
            // GUIDs of lookups are tolerated in quotes; other literals are what they look like.
            Token::Quoted(text) => {
                let is_text = literal::is_text(kind);
                let fits = is_text || matches!(kind, Some(ColumnKind::Lookup { .. }));
                (text, fits)
            }
            Token::Word(word) => {
                let other = self.sibling(way, word);
                if let Some(other) = other {
                    return Ok(Operand::Column(other));
                }
                (word.to_owned(), !literal::is_text(kind))
            }
        };
        let value = fits.then(|| typed(way.layout, column, &text)).flatten();
        value
            .map(Operand::Value)
            .ok_or_else(|| self.mismatch(&text))
    }

    /// Another column of the row that a way leads to, where the way has no hops.
    fn sibling(&self, way: &Way<'_>, word: &'a str) -> Option<Column> {
        let other = self.way(word).ok()?;
        let both_near = way.hops.is_empty() && other.hops.is_empty();
        other.layout.readable(other.property).filter(|_| both_near)
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

fn is_name(word: &str) -> bool {
    let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name && !matches!(word, "null" | "true" | "false")
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
