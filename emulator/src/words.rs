//! The words of a `$filter`: names, operators, literals in quotes.

use serde_json::Value as Json;

use crate::refusal::Refusal;

/// What is left of a filter's text.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    text: &'a str,
    rest: &'a str,
}

pub(crate) enum Token<'a> {
    Quoted(String),
    Word(&'a str),
}

impl<'a> Words<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.trim_start().is_empty()
    }

    pub(crate) fn syntax(&self) -> Refusal {
        let place = self.text.len().saturating_sub(self.rest.len());
        Refusal::new(
            400,
            "0x80060888",
            format!("Syntax error at position {place} in '{}'.", self.text),
        )
    }

    /// A list in JSON, if one stands here.
    pub(crate) fn json_list(&mut self) -> Option<Vec<Json>> {
        let rest = self.rest.trim_start();
        let mut lists = serde_json::Deserializer::from_str(rest).into_iter::<Vec<Json>>();
        let list = lists.next()?.ok()?;
        self.rest = rest.get(lists.byte_offset()..)?;
        Some(list)
    }

    pub(crate) fn symbol(&mut self, symbol: char) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(symbol) else {
            return false;
        };
        self.rest = rest;
        true
    }

    pub(crate) fn expect(&mut self, symbol: char) -> Result<(), Refusal> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.syntax())
    }

    pub(crate) fn keyword(&mut self, keyword: &str) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(keyword) else {
            return false;
        };
        if !rest.starts_with([' ', '(']) {
            return false;
        }
        self.rest = rest;
        true
    }

    /// `c` of `c:c/fullname eq 'x'`, with the colon.
    pub(crate) fn variable(&mut self) -> Option<&'a str> {
        let (name, rest) = self.rest.trim_start().split_once(':')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        self.rest = is_name.then_some(rest)?;
        Some(name)
    }

    pub(crate) fn word(&mut self) -> Result<&'a str, Refusal> {
        match self.token()? {
            Token::Word(word) => Ok(word),
            Token::Quoted(_) => Err(self.syntax()),
        }
    }

    pub(crate) fn token(&mut self) -> Result<Token<'a>, Refusal> {
        let text = self.rest.trim_start();
        if let Some(quoted) = text.strip_prefix('\'') {
            let mut value = String::new();
            let mut characters = quoted.char_indices().peekable();
            while let Some((place, character)) = characters.next() {
                if character != '\'' {
                    value.push(character);
                } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
                    value.push('\'');
                } else {
                    self.rest = quoted.get(place + 1..).unwrap_or_default();
                    return Ok(Token::Quoted(value));
                }
            }
            return Err(self.syntax());
        }
        let end = text
            .find([' ', '(', ')', ',', '=', '\''])
            .unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        if word.is_empty() {
            return Err(self.syntax());
        }
        self.rest = rest;
        Ok(Token::Word(word))
    }
}
