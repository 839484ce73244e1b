//! The tokens of a SQL statement.

use crate::refusal::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a name.
    Word(String),
    /// A name in brackets or double quotes; never a keyword.
    Name(String),
    /// What stands between single quotes.
    Text(String),
    /// Digits, perhaps with a sign and a point.
    Number(String),
    Symbol(&'static str),
}

/// Longer ones first.
const SYMBOLS: [&str; 14] = [
    "<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", "*", "-", ";",
];

/// The tokens of a statement without its blanks and comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' => quoted(rest, '\'').map(|(text, after)| (Some(Token::Text(text)), after)),
            '"' => quoted(rest, '"').map(|(name, after)| (Some(Token::Name(name)), after)),
            '[' => quoted(rest, ']').map(|(name, after)| (Some(Token::Name(name)), after)),
            'N' | 'n' if rest.get(1..).is_some_and(|rest| rest.starts_with('\'')) => {
                let text = rest.get(1..).and_then(|rest| quoted(rest, '\''));
                text.map(|(text, after)| (Some(Token::Text(text)), after))
            }
            _ if rest.starts_with("--") => {
                let end = rest.find('\n').unwrap_or(rest.len());
                rest.get(end..).map(|after| (None, after))
            }
            _ if rest.starts_with("/*") => {
                let end = rest.split_once("*/");
                end.map(|(_, after)| (None, after))
            }
            _ => plain(rest, first).map(|(token, after)| (Some(token), after)),
        }
        .ok_or_else(|| near(rest))?;
        found.extend(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn plain(rest: &str, first: char) -> Option<(Token, &str)> {
    let until = |ends: fn(char) -> bool| {
        let end = rest.find(ends).unwrap_or(rest.len());
        rest.split_at_checked(end)
    };
    if first.is_ascii_digit() {
        let (number, after) = until(|c| !c.is_ascii_digit() && c != '.')?;
        let is_whole = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        return is_whole.then(|| (Token::Number(number.to_owned()), after));
    }
    if first.is_alphabetic() || first == '_' {
        let (word, after) = until(|c| !c.is_alphanumeric() && c != '_')?;
        return Some((Token::Word(word.to_owned()), after));
    }
    let symbol = SYMBOLS
        .into_iter()
        .find(|symbol| rest.starts_with(symbol))?;
    Some((Token::Symbol(symbol), rest.get(symbol.len()..)?))
}

/// What stands up to `end`, which is doubled where it is meant.
fn quoted(text: &str, end: char) -> Option<(String, &str)> {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((place, character)) = characters.next() {
        if character != end {
            inside.push(character);
        } else if characters.next_if(|(_, next)| *next == end).is_some() {
            inside.push(end);
        } else {
            return Some((inside, text.get(place + end.len_utf8()..)?));
        }
    }
    None
}

/// A statement that stops making sense here.
pub(super) fn near(rest: &str) -> Refusal {
    let near: String = rest.chars().take(40).collect();
    super::refused(format!("Incorrect syntax near '{near}'."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_quotes_are_read() {
        let found = tokens("a -- x\n/* y */ [b c]<>N'it''s' 1.5*\"d\"").unwrap();
        let word = |text: &str| Token::Word(text.to_owned());
        let name = |text: &str| Token::Name(text.to_owned());
        assert_eq!(
            found,
            [
                word("a"),
                name("b c"),
                Token::Symbol("<>"),
                Token::Text("it's".to_owned()),
                Token::Number("1.5".to_owned()),
                Token::Symbol("*"),
                name("d"),
            ]
        );
        for broken in ["'open", "[open", "/* open", "#", "1a"] {
            assert!(tokens(broken).is_err(), "{broken}");
        }
    }
}
