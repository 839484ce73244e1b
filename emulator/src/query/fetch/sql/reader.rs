//! Reads a statement token by token.

use super::refused;
use super::tokens::{Token, near, tokens};
use crate::refusal::Refusal;

/// Words that are no names.
const RESERVED: [&str; 39] = [
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CROSS",
    "DESC",
    "DISTINCT",
    "EXCEPT",
    "EXISTS",
    "FETCH",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OPTION",
    "OR",
    "ORDER",
    "OUTER",
    "PERCENT",
    "RIGHT",
    "SELECT",
    "UNION",
    "WHERE",
];

/// A column, perhaps behind the alias of its table; both in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) table: Option<String>,
    pub(super) column: String,
}

pub(super) struct Reader {
    pub(super) tokens: Vec<Token>,
    pub(super) place: usize,
    /// How many parentheses are open.
    pub(super) depth: usize,
}

impl Reader {
    pub(super) fn of(text: &str) -> Result<Self, Refusal> {
        Ok(Self {
            tokens: tokens(text)?,
            place: 0,
            depth: 0,
        })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.place)
    }

    /// The next token, unlike any that is expected here.
    pub(super) fn unexpected(&self) -> Refusal {
        match self.peek() {
            None => refused("The statement ends too early."),
            Some(Token::Word(word)) if is_reserved(word) => {
                let word = word.to_ascii_uppercase();
                refused(format!("'{word}' isn't supported here."))
            }
            Some(Token::Word(word) | Token::Name(word) | Token::Number(word)) => near(word),
            Some(Token::Text(text)) => near(&format!("'{text}'")),
            Some(Token::Symbol(symbol)) => near(symbol),
        }
    }

    pub(super) fn end(&self) -> Result<(), Refusal> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected()),
        }
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        let is_it =
            matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.place += usize::from(is_it);
        is_it
    }

    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.place += usize::from(is_it);
        is_it
    }

    pub(super) fn require(&mut self, keyword: &str) -> Result<(), Refusal> {
        if self.keyword(keyword) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), Refusal> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn count(&mut self) -> Result<usize, Refusal> {
        let count = match self.peek() {
            Some(Token::Number(number)) => number.parse().ok(),
            _ => None,
        };
        let count = count.filter(|count: &usize| *count < 1_000_000_000);
        let count = count.ok_or_else(|| self.unexpected())?;
        self.place += 1;
        Ok(count)
    }

    pub(super) fn list<T>(
        &mut self,
        one: fn(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut all = vec![one(self)?];
        while self.symbol(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// `BY` and a list.
    pub(super) fn by<T>(
        &mut self,
        one: fn(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        self.require("BY")?;
        self.list(one)
    }

    /// A name as it is written.
    pub(super) fn word(&mut self) -> Result<String, Refusal> {
        let word = match self.peek() {
            Some(Token::Word(word)) if !is_reserved(word) => word.clone(),
            Some(Token::Name(name)) if !name.is_empty() => name.clone(),
            _ => return Err(self.unexpected()),
        };
        self.place += 1;
        Ok(word)
    }

    pub(super) fn name(&mut self) -> Result<Name, Refusal> {
        let first = self.word()?.to_lowercase();
        let name = if self.symbol(".") {
            if self.symbol("*") {
                return Err(everything());
            }
            Name {
                table: Some(first),
                column: self.word()?.to_lowercase(),
            }
        } else {
            Name {
                table: None,
                column: first,
            }
        };
        if self.symbol("(") {
            let function = name.column;
            return Err(refused(format!(
                "The function '{function}' isn't supported here."
            )));
        }
        Ok(name)
    }
}

pub(super) fn everything() -> Refusal {
    refused("SELECT * isn't supported. Name each column.")
}

pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(word))
}
