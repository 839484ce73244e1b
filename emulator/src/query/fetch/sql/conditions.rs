//! The conditions of a `WHERE`: columns held against literals.

use super::reader::{Name, Reader, is_reserved};
use super::refused;
use super::tokens::Token;
use crate::refusal::Refusal;

/// Parentheses may stand in each other only so deep.
const DEEPEST: usize = 64;

pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    /// A column, an operator as `FetchXML` names it, and its values.
    Compare(Name, &'static str, Vec<String>),
}

impl Reader {
    pub(super) fn any(&mut self) -> Result<Condition, Refusal> {
        let mut parts = vec![self.all()?];
        while self.keyword("OR") {
            parts.push(self.all()?);
        }
        Ok(Condition::Any(parts))
    }

    fn all(&mut self) -> Result<Condition, Refusal> {
        let mut parts = vec![self.one()?];
        while self.keyword("AND") {
            parts.push(self.one()?);
        }
        Ok(Condition::All(parts))
    }

    fn one(&mut self) -> Result<Condition, Refusal> {
        if !self.symbol("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused("The parentheses stand too deep in each other."));
        }
        let inner = self.any()?;
        self.expect(")")?;
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Condition, Refusal> {
        if matches!(self.peek(), Some(Token::Text(_) | Token::Number(_))) {
            return Err(refused("A condition compares a column with a literal."));
        }
        let column = self.name()?;
        for (symbol, operator) in [
            ("=", "eq"),
            ("<>", "ne"),
            ("!=", "ne"),
            ("<=", "le"),
            (">=", "ge"),
            ("<", "lt"),
            (">", "gt"),
        ] {
            if self.symbol(symbol) {
                // Nothing equals null, nor does anything differ from it.
                if self.keyword("NULL") {
                    return Ok(Condition::Any(Vec::new()));
                }
                let value = self.literal()?;
                return Ok(Condition::Compare(column, operator, vec![value]));
            }
        }
        if self.keyword("IS") {
            let operator = if self.keyword("NOT") {
                "not-null"
            } else {
                "null"
            };
            self.require("NULL")?;
            return Ok(Condition::Compare(column, operator, Vec::new()));
        }
        let is_negated = self.keyword("NOT");
        let (operator, values) = match (self.keyword("LIKE"), is_negated) {
            (true, false) => ("like", vec![self.literal()?]),
            (true, true) => ("not-like", vec![self.literal()?]),
            (false, _) if self.keyword("IN") => {
                self.expect("(")?;
                if self.keyword("SELECT") {
                    return Err(refused("Subqueries aren't supported."));
                }
                let values = self.list(Self::literal)?;
                self.expect(")")?;
                let operator = if is_negated { "not-in" } else { "in" };
                (operator, values)
            }
            (false, false) if self.keyword("BETWEEN") => {
                let least = self.literal()?;
                self.require("AND")?;
                ("between", vec![least, self.literal()?])
            }
            (false, _) => return Err(self.unexpected()),
        };
        Ok(Condition::Compare(column, operator, values))
    }

    fn literal(&mut self) -> Result<String, Refusal> {
        let sign = if self.symbol("-") { "-" } else { "" };
        let literal = match self.peek() {
            Some(Token::Text(text)) if sign.is_empty() => text.clone(),
            Some(Token::Number(number)) => format!("{sign}{number}"),
            Some(Token::Word(word)) if !is_reserved(word) => {
                return Err(refused("A condition compares a column with a literal."));
            }
            _ => return Err(self.unexpected()),
        };
        self.place += 1;
        Ok(literal)
    }
}
