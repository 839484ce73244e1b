//! `$filter` on definitions: comparisons of properties with literals, and their combinations.

use serde_json::Value;
use uuid::Uuid;

use super::enums;
use super::node::Node;
use super::refusal::Refusal;
use super::types::{Plain, Type};
use crate::schema::Schema;

/// A request that nests deeper would cost stack; none that people write comes near.
const DEEPEST: usize = 64;

/// A condition.
#[derive(Debug)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        path: Vec<String>,
        operator: Operator,
        literal: Literal,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
}

/// A literal of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Flag(bool),
    Number(i64),
    Text(String),
    Id(Uuid),
    /// `Microsoft.Dynamics.CRM.AttributeTypeCode'Picklist'`
    Enum {
        type_name: String,
        member: String,
    },
}

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            next: 0,
        };
        let filter = parser.any(0)?;
        match parser.take() {
            None => Ok(filter),
            Some(token) => Err(unexpected(&token)),
        }
    }

    /// Refuses properties that the type does not have, whatever nodes there are.
    pub(super) fn check(&self, declared: &Type) -> Result<(), Refusal> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().try_for_each(|part| part.check(declared))
            }
            Self::Not(inner) => inner.check(declared),
            Self::Compare {
                path,
                literal,
                operator,
            } => {
                let name = path.first().map_or("", String::as_str);
                let Some(plain) = declared.property(name) else {
                    return Err(Refusal::property(name, declared.name));
                };
                if path.len() == 1 && matches!(plain, Plain::Managed(..)) {
                    let complex = "Microsoft.Dynamics.CRM.BooleanManagedProperty";
                    return Err(Refusal::types(
                        complex,
                        &literal.type_name(),
                        operator.name(),
                    ));
                }
                Ok(())
            }
        }
    }

    /// Whether a node meets the condition.
    pub(super) fn holds(&self, schema: &Schema, node: &Node<'_>) -> Result<bool, Refusal> {
        match self {
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(schema, node)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(schema, node)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(inner) => Ok(!inner.holds(schema, node)?),
            Self::Compare {
                path,
                operator,
                literal,
            } => {
                let is_equal = compare(schema, node, path, *operator, literal)?;
                Ok(is_equal == (*operator == Operator::Equal))
            }
        }
    }
}

fn compare(
    schema: &Schema,
    node: &Node<'_>,
    path: &[String],
    operator: Operator,
    literal: &Literal,
) -> Result<bool, Refusal> {
    let Some((name, inner)) = path.split_first() else {
        return Ok(false);
    };
    let mut value = node.property(schema, name);
    for member in inner {
        value = match value.get_mut(member) {
            Some(value) => value.take(),
            None => return Err(Refusal::property(member, &format!("{name}Value"))),
        };
    }
    let expected = enums::of(path);
    let mismatch = |found: &str| Err(Refusal::types(found, &literal.type_name(), operator.name()));
    if let (Some(expected), Literal::Text(member)) = (expected, literal) {
        enums::check_member(expected, member)?;
        return Ok(value == *member);
    }
    match (&value, literal) {
        (Value::Null, literal) => Ok(*literal == Literal::Null),
        (_, Literal::Null) => Ok(false),
        (Value::Bool(value), Literal::Flag(literal)) => Ok(value == literal),
        (Value::Number(value), Literal::Number(literal)) => Ok(value.as_i64() == Some(*literal)),
        (Value::String(value), Literal::Enum { type_name, member }) => match expected {
            Some(expected) if expected == type_name => Ok(value == member),
            Some(expected) => mismatch(&format!("Microsoft.Dynamics.CRM.{expected}")),
            None => mismatch("Edm.String"),
        },
        (Value::String(value), Literal::Id(id)) => Ok(*value == id.to_string()),
        (Value::String(_), _) if expected.is_some() => mismatch(&format!(
            "Microsoft.Dynamics.CRM.{}",
            expected.unwrap_or_default()
        )),
        (Value::String(_), Literal::Text(_)) if name == "MetadataId" => mismatch("Edm.Guid"),
        (Value::String(value), Literal::Text(literal)) => Ok(value == literal),
        (Value::Bool(_), _) => mismatch("Edm.Boolean"),
        (Value::Number(_), _) => mismatch("Edm.Int32"),
        (Value::String(_), _) => mismatch("Edm.String"),
        (Value::Array(_) | Value::Object(_), _) => mismatch("a complex type"),
    }
}

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::NotEqual => "NotEqual",
        }
    }
}

impl Literal {
    fn type_name(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Flag(_) => "Edm.Boolean".into(),
            Self::Number(_) => "Edm.Int32".into(),
            Self::Text(_) => "Edm.String".into(),
            Self::Id(_) => "Edm.Guid".into(),
            Self::Enum { type_name, .. } => format!("Microsoft.Dynamics.CRM.{type_name}"),
        }
    }

    fn bare(word: &str) -> Option<Self> {
        match word {
            "null" => Some(Self::Null),
            "true" => Some(Self::Flag(true)),
            "false" => Some(Self::Flag(false)),
            _ if word.len() == 36 => word.parse().ok().map(Self::Id),
            _ => word.parse().ok().map(Self::Number),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    /// Text in quotes, with the word directly before it.
    Quoted {
        prefix: String,
        text: String,
    },
}

fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut quoted = String::new();
            loop {
                match chars.next() {
                    None => {
                        return Err(Refusal::syntax("There is an unterminated string literal."));
                    }
                    Some('\'') if chars.next_if_eq(&'\'').is_none() => break,
                    Some(c) => quoted.push(c),
                }
            }
            tokens.push(Token::Quoted {
                prefix: std::mem::take(&mut word),
                text: quoted,
            });
            continue;
        }
        if !(c.is_whitespace() || c == '(' || c == ')') {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(Token::Word(std::mem::take(&mut word)));
        }
        match c {
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            _ => {}
        }
    }
    if !word.is_empty() {
        tokens.push(Token::Word(word));
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn skip(&mut self, expected: &str) -> bool {
        let is_next = matches!(self.tokens.get(self.next), Some(Token::Word(w)) if w == expected);
        self.next += usize::from(is_next);
        is_next
    }

    fn any(&mut self, depth: usize) -> Result<Filter, Refusal> {
        let mut parts = vec![self.all(depth)?];
        while self.skip("or") {
            parts.push(self.all(depth)?);
        }
        Ok(Filter::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, Refusal> {
        let mut parts = vec![self.one(depth)?];
        while self.skip("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Filter::All(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Refusal> {
        if depth > DEEPEST {
            return Err(Refusal::syntax("The filter is nested too deeply."));
        }
        if self.skip("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        match self.take() {
            Some(Token::Open) => {
                let inner = self.any(depth + 1)?;
                match self.take() {
                    Some(Token::Close) => Ok(inner),
                    Some(token) => Err(unexpected(&token)),
                    None => Err(ended()),
                }
            }
            Some(Token::Word(path)) => self.comparison(&path),
            Some(token) => Err(unexpected(&token)),
            None => Err(ended()),
        }
    }

    fn comparison(&mut self, path: &str) -> Result<Filter, Refusal> {
        let operator = match self.take() {
            Some(Token::Word(word)) if word == "eq" => Operator::Equal,
            Some(Token::Word(word)) if word == "ne" => Operator::NotEqual,
            // `contains(` and its like, and the other comparisons.
            Some(Token::Open) => return Err(unsupported(path)),
            Some(Token::Word(word)) => return Err(unsupported(&word)),
            Some(token) => return Err(unexpected(&token)),
            None => return Err(ended()),
        };
        let literal = match self.take() {
            Some(Token::Quoted { prefix, text }) => match prefix.as_str() {
                "" => Literal::Text(text),
                prefix => match prefix.strip_prefix("Microsoft.Dynamics.CRM.") {
                    Some(name) => Literal::Enum {
                        type_name: name.to_owned(),
                        member: text,
                    },
                    None => return Err(unsupported(prefix)),
                },
            },
            Some(Token::Word(word)) => {
                Literal::bare(&word).ok_or_else(|| unexpected(&Token::Word(word)))?
            }
            Some(token) => return Err(unexpected(&token)),
            None => return Err(ended()),
        };
        let path = path.split('/').map(str::to_owned).collect();
        Ok(Filter::Compare {
            path,
            operator,
            literal,
        })
    }
}

fn unexpected(token: &Token) -> Refusal {
    let text = match token {
        Token::Open => "(",
        Token::Close => ")",
        Token::Word(word) => word,
        Token::Quoted { text, .. } => text,
    };
    Refusal::syntax(format!(
        "Syntax error: '{text}' was not expected in the filter."
    ))
}

fn unsupported(what: &str) -> Refusal {
    Refusal::syntax(format!(
        "'{what}' is not supported in the filter of definitions."
    ))
}

fn ended() -> Refusal {
    Refusal::syntax("Expression expected at the end of the filter.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Literal {
        let Ok(Filter::Any(any)) = Filter::parse(text) else {
            panic!("{text}")
        };
        match any.as_slice() {
            [Filter::All(all)] => match all.as_slice() {
                [Filter::Compare { literal, .. }] => literal.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn literals_have_types() {
        assert_eq!(
            literal("A eq 'O''Brian or (b'"),
            Literal::Text("O'Brian or (b".into())
        );
        assert_eq!(literal("A eq false"), Literal::Flag(false));
        assert_eq!(literal("A eq -1"), Literal::Number(-1));
        assert_eq!(literal("A ne null"), Literal::Null);
        assert_eq!(
            literal("A eq Microsoft.Dynamics.CRM.AttributeTypeCode'Picklist'"),
            Literal::Enum {
                type_name: "AttributeTypeCode".into(),
                member: "Picklist".into()
            }
        );
    }

    #[test]
    fn conditions_combine() {
        assert!(Filter::parse("(A eq 1 or B ne 2) and not (C/Value eq true)").is_ok());
    }

    #[test]
    fn what_definitions_do_not_support_is_refused() {
        for text in [
            "",
            "A",
            "A eq",
            "A gt 1",
            "contains(A,'b')",
            "A eq 'b",
            "A eq b",
            "(A eq 1",
            "A eq 1)",
            "A eq 1 B eq 2",
            "A eq Other.Enum'B'",
            "'a' eq A",
            "and",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&"(".repeat(30_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(30_000)).is_err());
    }
}
