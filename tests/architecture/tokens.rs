//! Rust source as words and marks, without comments, texts, characters and lifetimes.

/// A word, `::`, or one other mark.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Stands in an item under `#[cfg(test)]`.
    pub(crate) is_test: bool,
}

/// The tokens of a file.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut scan = Scan {
        rest: source,
        line: 1,
    };
    let mut tokens = Vec::new();
    while let Some(token) = scan.next() {
        tokens.push(token);
    }
    mark_tests(&mut tokens);
    tokens
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
}

impl Scan<'_> {
    fn next(&mut self) -> Option<Token> {
        loop {
            let first = self.rest.chars().next()?;
            if self.rest.starts_with("//") {
                self.pass(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.pass_comment();
            } else if let Some(hashes) = self.raw_text() {
                let close = format!("\"{}", "#".repeat(hashes));
                self.pass(self.rest.find('"').unwrap() + 1);
                self.pass_behind(&close);
            } else if first == '"' {
                self.pass_quoted('"');
            } else if first == '\'' {
                self.pass_character();
            } else if is_word(first) {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                return Some(self.take(end));
            } else if self.rest.starts_with("::") {
                return Some(self.take(2));
            } else if first.is_whitespace() {
                self.pass(first.len_utf8());
            } else {
                return Some(self.take(first.len_utf8()));
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Token {
        let (text, _) = self.rest.split_at(bytes);
        let token = Token {
            text: text.to_owned(),
            line: self.line,
            is_test: false,
        };
        self.pass(bytes);
        token
    }

    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn pass_behind(&mut self, close: &str) {
        let end = self.rest.find(close).map(|at| at + close.len());
        self.pass(end.unwrap_or(self.rest.len()));
    }

    /// Comments nest.
    fn pass_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.pass(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.pass(2);
            } else if let Some(c) = self.rest.chars().next() {
                self.pass(c.len_utf8());
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// The number of `#` if a raw text begins here.
    fn raw_text(&self) -> Option<usize> {
        let behind = ["br", "cr", "r"]
            .iter()
            .find_map(|prefix| self.rest.strip_prefix(prefix))?;
        let text = behind.trim_start_matches('#');
        text.starts_with('"').then_some(behind.len() - text.len())
    }

    fn pass_quoted(&mut self, quote: char) {
        let mut is_escaped = true;
        let end = self.rest.find(|c| {
            let ends = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        self.pass(end.map_or(self.rest.len(), |end| end + 1));
    }

    /// A character, or the mark of a lifetime, whose name then follows as a word.
    fn pass_character(&mut self) {
        let mut behind = self.rest.chars().skip(1);
        let first = behind.next();
        if first == Some('\\') || behind.next() == Some('\'') {
            self.pass_quoted('\'');
        } else {
            self.pass(1);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Marks each item that stands under a `cfg` for tests.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let end = attribute_end(tokens, at);
        if end > at && is_test_attribute(&tokens[at..end]) {
            let item_end = item_end(tokens, end);
            for token in &mut tokens[at..item_end] {
                token.is_test = true;
            }
            at = item_end;
        } else {
            at = end.max(at + 1);
        }
    }
}

/// Where the attribute that begins here ends; the same place if none begins here.
fn attribute_end(tokens: &[Token], at: usize) -> usize {
    if !is(tokens, at, "#") || !is(tokens, at + 1, "[") {
        return at;
    }
    closing(tokens, at + 1)
}

fn is_test_attribute(attribute: &[Token]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token.text == word);
    is(attribute, 2, "cfg") && has("test") && !has("not")
}

/// Behind the item that begins here: its `;`, or the brace that closes it.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while attribute_end(tokens, at) > at {
        at = attribute_end(tokens, at);
    }
    let is_import = is(tokens, at, "use");
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            ")" | "]" | "}" => return at,
            "{" if !is_import => return closing(tokens, at),
            "(" | "[" | "{" => at = closing(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Behind the mark that closes the one that opens here.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Whether this token is the one given.
pub(crate) fn is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}
