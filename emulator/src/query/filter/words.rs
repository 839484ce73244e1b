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

    /// A list in JSON, if one stands here; its texts may stand in single quotes, too, as integrators
    /// write them.
    pub(crate) fn list(&mut self) -> Option<Vec<Json>> {
        let mut rest = self.rest.trim_start().strip_prefix('[')?.trim_start();
        let mut list = Vec::new();
        while !rest.starts_with(']') {
            if !list.is_empty() {
                rest = rest.strip_prefix(',')?.trim_start();
            }
            let (value, after) = if rest.starts_with('\'') {
                let (text, after) = quoted(rest)?;
                (Json::String(text), after)
            } else {
                let mut values = serde_json::Deserializer::from_str(rest).into_iter();
                (values.next()?.ok()?, rest.get(values.byte_offset()..)?)
            };
            list.push(value);
            rest = after.trim_start();
        }
        self.rest = rest.strip_prefix(']')?;
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
        if text.starts_with('\'') {
            let (value, rest) = quoted(text).ok_or_else(|| self.syntax())?;
            self.rest = rest;
            return Ok(Token::Quoted(value));
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

/// A text in single quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('\'')?;
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        if character != '\'' {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            return Some((value, quoted.get(place + 1..)?));
        }
    }
    None
}
