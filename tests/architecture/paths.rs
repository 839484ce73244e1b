//! The paths that a source file names, in `use` trees and in code, seen from the root of its crate.

use crate::tokens::{Token, closing, is, tokens};

/// One source file.
pub(crate) struct Module {
    /// As people know it: `src/source/extract.rs`.
    pub(crate) file: String,
    /// Where it stands in its crate: `source`, `extract`.
    pub(crate) path: Vec<String>,
    pub(crate) tokens: Vec<Token>,
    lines: usize,
}

/// A path that a file names.
pub(crate) struct Named {
    /// Begins with `crate` if it leads into our own crate.
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) is_test: bool,
}

impl Named {
    pub(crate) fn first(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The path below our own crate's root, by whichever name the crate goes.
    pub(crate) fn within(&self) -> Option<&[String]> {
        let (first, rest) = self.path.split_first()?;
        (first == "crate" || first == "segue").then_some(rest)
    }
}

impl Module {
    pub(crate) fn read(source: &str, file: String, folder: &str) -> Self {
        let inside = file.strip_prefix(folder).unwrap().trim_end_matches(".rs");
        let mut path: Vec<String> = inside.split('/').map(str::to_owned).collect();
        let last = path.last().map_or("", String::as_str);
        if last == "mod" || ["lib", "main"].contains(&inside) {
            path.pop();
        }
        Self {
            path,
            tokens: tokens(source),
            lines: source.lines().count(),
            file,
        }
    }

    /// How many lines stand above the tests.
    pub(crate) fn lines_above_tests(&self) -> usize {
        let name = self
            .tokens
            .windows(2)
            .position(|pair| pair[0].is_test && pair[0].text == "mod" && pair[1].text == "tests");
        let Some(name) = name else { return self.lines };
        let above = self.tokens[..name].iter().rposition(|token| !token.is_test);
        let first = above.map_or(0, |last| last + 1);
        self.tokens[first].line - 1
    }

    /// The modules in files of their own that are compiled for tests only.
    pub(crate) fn test_files(&self) -> Vec<Vec<String>> {
        let declared = self
            .tokens
            .windows(3)
            .filter(|three| three[0].is_test && three[0].text == "mod" && three[2].text == ";");
        declared
            .map(|three| [&self.path[..], &[three[1].text.clone()]].concat())
            .collect()
    }

    /// Every path that the file names.
    pub(crate) fn named(&self) -> Vec<Named> {
        let mut named = Vec::new();
        self.walk(0, self.tokens.len(), &self.path, &mut named);
        named
    }

    /// Goes along the tokens of one module; `inside` is where that module stands in the crate.
    fn walk(&self, mut at: usize, end: usize, inside: &[String], named: &mut Vec<Named>) {
        while at < end {
            let word = self.tokens[at].text.as_str();
            if word == "mod" && is(&self.tokens, at + 2, "{") {
                let below = [inside, &[self.tokens[at + 1].text.clone()]].concat();
                let close = closing(&self.tokens, at + 2);
                self.walk(at + 3, close - 1, &below, named);
                at = close;
            } else if word == "use" && !is(&self.tokens, at + 1, "<") {
                at = self.tree(at + 1, &[], inside, named);
            } else if word == "extern" && is(&self.tokens, at + 1, "crate") {
                at = self.tree(at + 2, &[], inside, named);
            } else if is_name(word) && is(&self.tokens, at + 1, "::") {
                at = self.path_in_code(at, inside, named);
            } else {
                at += 1;
            }
        }
    }

    /// Reads one branch of a `use` tree; gives the place behind it.
    fn tree(
        &self,
        mut at: usize,
        stem: &[String],
        inside: &[String],
        named: &mut Vec<Named>,
    ) -> usize {
        let mut path = stem.to_vec();
        let start = at;
        while let Some(token) = self.tokens.get(at) {
            match token.text.as_str() {
                "{" => {
                    let close = closing(&self.tokens, at);
                    at += 1;
                    while at < close - 1 {
                        at = self.tree(at, &path, inside, named);
                        at += usize::from(is(&self.tokens, at, ","));
                    }
                    return close;
                }
                "," | ";" | "}" => break,
                // What an import is called here does not matter.
                "as" => at += 2,
                "::" => at += 1,
                word => {
                    path.push(word.to_owned());
                    at += 1;
                }
            }
        }
        named.push(self.seen(start, path, inside));
        at
    }

    /// Reads a path in code; gives the place behind it.
    fn path_in_code(&self, start: usize, inside: &[String], named: &mut Vec<Named>) -> usize {
        let mut at = start;
        let mut path = vec![self.tokens[at].text.clone()];
        while is(&self.tokens, at + 1, "::") {
            at += 2;
            match self.tokens.get(at) {
                Some(token) if is_name(&token.text) => path.push(token.text.clone()),
                _ => break,
            }
        }
        named.push(self.seen(start, path, inside));
        at.max(start + 1)
    }

    /// A path as seen from the root of the crate.
    fn seen(&self, at: usize, path: Vec<String>, inside: &[String]) -> Named {
        let token = &self.tokens[at];
        let ups = path.iter().take_while(|word| *word == "super").count();
        let first = path.first().map_or("", String::as_str);
        let path = if ups > 0 || first == "self" {
            let skip = ups.max(1);
            let here = &inside[..inside.len().saturating_sub(ups)];
            let root = ["crate".to_owned()];
            [&root, here, &path[skip..]].concat()
        } else {
            path
        };
        Named {
            path,
            line: token.line,
            is_test: token.is_test,
        }
    }
}

/// Whether a path can begin or go on with this word; before a leading `::` other words may stand.
fn is_name(word: &str) -> bool {
    let other = [
        "as", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move",
        "mut", "ref", "return", "where", "while", "yield",
    ];
    word.starts_with(|c: char| c.is_alphabetic() || c == '_') && !other.contains(&word)
}
