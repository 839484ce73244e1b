//! Hides whatever may be a secret in the text that problems show.
//!
//! Two readings of the same text, for each sees what the other cannot: the tree knows where values end, the lines are
//! there when the text is not YAML, and in comments. Hiding too much costs a caret its word; hiding too little costs a
//! secret.

use std::ops::Range;

use super::super::compile_words::closest;
use super::super::problem::{Problem, codes};
use super::super::yaml::{Is, Node};
use super::super::{FILE_CODES, MappingError, Problems};
use super::destination::{WAYS, is_variable};

/// The same error, for a file that could not be read as text.
pub(super) fn error(error: MappingError) -> MappingError {
    match error {
        MappingError::Problems(found) => problems(found, None).into(),
        other => other,
    }
}

/// The same problems with no secret in them. Places stay right: a hidden byte is shown as a star.
pub(super) fn problems(problems: Problems, root: Option<&Node>) -> Problems {
    let mask = Mask::of(&problems.text, root);
    let mut told = problems.problems;
    for problem in &mut told {
        mask.silence(problem);
    }
    Problems {
        text: mask.over(&problems.text),
        problems: told,
        file: problems.file,
    }
}

/// The bytes of a text that are not shown.
struct Mask {
    hidden: Vec<bool>,
}

impl Mask {
    fn of(text: &str, root: Option<&Node>) -> Self {
        let mut mask = Self {
            hidden: vec![false; text.len()],
        };
        mask.lines(text);
        if let Some(root) = root {
            mask.tree(root);
        }
        mask
    }

    /// The text with a star for every hidden byte, so that places stay what they are.
    fn over(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut indents = true;
        for (place, character) in text.char_indices() {
            indents = matches!(character, '\n' | '\r') || (indents && character == ' ');
            if indents || !self.touches(&(place..place + 1)) {
                shown.push(character);
            } else {
                shown.extend(std::iter::repeat_n('*', character.len_utf8()));
            }
        }
        shown
    }

    /// Words that were made from what stands at a hidden place are replaced by the title of the code.
    fn silence(&self, problem: &mut Problem) {
        let reads = problem.code < codes::LITERAL_SECRET && problem.code != codes::MISSING_SETTING;
        let title = FILE_CODES.iter().find(|(code, _)| *code == problem.code);
        if let Some((_, title)) = title
            && reads
            && self.touches(&problem.at)
        {
            (*title).clone_into(&mut problem.title);
        }
    }

    fn touches(&self, at: &Range<usize>) -> bool {
        let end = at
            .end
            .max(at.start.saturating_add(1))
            .min(self.hidden.len());
        let bytes = self.hidden.get(at.start..end);
        bytes.is_some_and(|bytes| bytes.contains(&true))
    }

    fn hide(&mut self, at: Range<usize>) {
        let end = at.end.min(self.hidden.len());
        if let Some(bytes) = self.hidden.get_mut(at.start..end) {
            bytes.fill(true);
        }
    }

    fn tree(&mut self, node: &Node) {
        match &node.is {
            Is::Absent | Is::Refused | Is::Scalar { .. } => {}
            Is::List(items) => items.iter().for_each(|it| self.tree(it)),
            Is::Map(pairs) => {
                for (key, value) in pairs {
                    if key.text().is_some_and(is_secret) {
                        self.secret(value);
                    } else {
                        self.tree(key);
                        self.tree(value);
                    }
                }
            }
        }
    }

    /// All that stands under the name of a secret, but for the place that it comes from.
    fn secret(&mut self, node: &Node) {
        match &node.is {
            Is::Absent | Is::Refused | Is::Scalar { .. } => self.hide(node.at.clone()),
            Is::List(items) => items.iter().for_each(|it| self.secret(it)),
            Is::Map(pairs) => {
                for (key, value) in pairs {
                    let way = key.text().filter(|it| WAYS.known.contains(it));
                    let shown = match way {
                        Some("env") => value.text().is_some_and(is_variable),
                        Some(_) => true,
                        None => false,
                    };
                    if !shown {
                        self.secret(value);
                    }
                    if way.is_none() {
                        self.secret(key);
                    }
                }
            }
        }
    }

    fn lines(&mut self, text: &str) {
        let mut start = 0;
        let mut open = Open::Nothing;
        for line in text.split_inclusive('\n') {
            let indent = line.len() - line.trim_start_matches([' ', '-', '?', '\t']).len();
            if line.trim().is_empty() {
                // What is open stays open.
            } else if open.holds(line, indent) {
                self.hide(start..start + line.len());
                open = open.after(line);
            } else {
                if !matches!(open, Open::Under { indent: above, .. } if indent > above) {
                    open = Open::Nothing;
                }
                self.user_of_address(line, start);
                if let Some(value) = secret_in(line) {
                    let written = line.get(value..).unwrap_or_default();
                    if !is_bare(written) {
                        let from = line.len() - written.trim_start().len();
                        self.hide(start + from..start + line.len());
                    }
                    open = Open::behind(written, indent);
                }
            }
            start += line.len();
        }
    }

    /// A user and a password before the host of an address.
    fn user_of_address(&mut self, line: &str, start: usize) {
        let Some(end) = line.rfind('@') else { return };
        let before = line.get(..end).unwrap_or_default();
        let from = match before.find("://") {
            Some(scheme) => scheme + 3,
            None => before.rfind([' ', '\t', '"', '\'']).map_or(0, |it| it + 1),
        };
        self.hide(start + from..start + end);
    }
}

/// What a line leaves open for the next one.
#[derive(Clone, Copy)]
enum Open {
    Nothing,
    /// A value in these quotes.
    Quote {
        quote: char,
        indent: usize,
    },
    /// A value that goes on in deeper lines; `begun` once there is some of it.
    Under {
        indent: usize,
        begun: Begun,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Begun {
    Yes,
    No,
}

impl Open {
    /// What a value that begins on the line of its name leaves open.
    fn behind(value: &str, indent: usize) -> Self {
        let quote = value.trim_start().chars().next();
        match quote.filter(|it| matches!(it, '"' | '\'')) {
            Some(quote) if is_odd(value, quote) => Self::Quote { quote, indent },
            _ => {
                let begun = if is_bare(value) {
                    Begun::No
                } else {
                    Begun::Yes
                };
                Self::Under { indent, begun }
            }
        }
    }

    /// Whether the line belongs to the value.
    fn holds(self, line: &str, indent: usize) -> bool {
        let text = line.trim();
        match self {
            Self::Nothing => false,
            Self::Quote { .. } => true,
            Self::Under { indent: above, .. } if indent > above => !is_way(text),
            Self::Under { begun, .. } => begun == Begun::No && !is_setting(text),
        }
    }

    fn after(self, line: &str) -> Self {
        match self {
            Self::Quote { quote, indent } if is_odd(line, quote) => Self::Under {
                indent,
                begun: Begun::Yes,
            },
            Self::Under { indent, .. } => Self::Under {
                indent,
                begun: Begun::Yes,
            },
            other => other,
        }
    }
}

/// Where the value of the first secret in a line begins.
fn secret_in(line: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let first = line.find(char::is_alphanumeric);
    let mut place = 0;
    while let Some(from) = line.get(place..)?.find(part).map(|it| it + place) {
        let rest = line.get(from..)?;
        let end = from + rest.find(|c| !part(c)).unwrap_or(rest.len());
        place = end;
        let word = line.get(from..end)?;
        if !is_secret(word) {
            continue;
        }
        let behind = line.get(end..)?;
        let separator = behind.trim_start_matches(['"', '\'', ' ', '\t']);
        let skipped = behind.len() - separator.len();
        if separator.starts_with([':', '=']) {
            let value = end + skipped + 1;
            if is_place(line.get(value..)?) {
                continue;
            }
            return Some(value);
        }
        // A line that begins with the name may lack its colon, and a line that ends with it may have it below.
        if first.is_some_and(|first| from <= first && first < end) || separator.trim().is_empty() {
            return Some(end);
        }
    }
    None
}

/// Whether a value says where the secret is: `{ env: NAME }`.
fn is_place(value: &str) -> bool {
    value.trim_start().strip_prefix('{').is_some_and(is_way)
}

/// Whether a text begins as `env: NAME`, `file: …` or `command: …` does.
fn is_way(text: &str) -> bool {
    let text = text.trim_start_matches(['{', ' ', '\t', '"', '\'']);
    WAYS.known.iter().any(|way| {
        let rest = text.strip_prefix(way).unwrap_or_default();
        let rest = rest.trim_start_matches(['"', '\'', ' ']);
        let Some(value) = rest.strip_prefix(':') else {
            return false;
        };
        let value = value.trim_start_matches([' ', '"', '\'']);
        let end = value.find([' ', '"', '\'', ',', '}', '\r', '\n']);
        *way != "env" || is_variable(value.get(..end.unwrap_or(value.len())).unwrap_or_default())
    })
}

/// Whether a line begins another setting.
fn is_setting(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '?', ' ', '"', '\'']);
    let end = text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    let rest = end.and_then(|end| text.get(end..)).unwrap_or_default();
    let rest = rest.trim_start_matches(['"', '\'']);
    end != Some(0) && (rest == ":" || rest.starts_with(": "))
}

/// Whether nothing of a value stands on the line of its name.
fn is_bare(value: &str) -> bool {
    let value = value.trim();
    value.is_empty() || matches!(value, "{" | "{}" | ":" | "|" | ">" | "|-" | ">-")
}

fn is_odd(text: &str, quote: char) -> bool {
    let mut odd = false;
    let mut escaped = false;
    for character in text.chars() {
        odd ^= character == quote && !(escaped && quote == '"');
        escaped = character == '\\' && !escaped;
    }
    odd
}

/// Whether a secret may stand under this name, misspelt names included.
fn is_secret(name: &str) -> bool {
    const PARTS: &[&str] = &[
        "secret",
        "passw",
        "pwd",
        "passphrase",
        "token",
        "credential",
    ];
    const WHOLE: &[&str] = &["key", "apikey", "accesskey", "clientkey", "privatekey"];
    let bare = name.to_lowercase().replace(['_', '-', ' '], "");
    PARTS.iter().any(|part| bare.contains(part))
        || WHOLE.contains(&bare.as_str())
        || closest(name, ["client_secret", "secret", "password"].into_iter()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is shown where the text is not YAML.
    fn text(text: &str) -> String {
        Mask::of(text, None).over(text)
    }

    #[test]
    fn the_value_of_a_secret_is_masked_and_its_place_is_not() {
        for (written, shown) in [
            ("client_secret: pä\n", "client_secret: ***\n"),
            (
                "a: { client_secret: x, b: y }\n",
                "a: { client_secret: *********\n",
            ),
            (
                "client_secret: |\n  ab\n  c\nurl: x\n",
                "client_secret: |\n  **\n  *\nurl: x\n",
            ),
            (
                "client_secret:\n  ab\nurl: x\n",
                "client_secret:\n  **\nurl: x\n",
            ),
            ("url: https://me:x@a.b\n", "url: https://****@a.b\n"),
        ] {
            assert_eq!(text(written), shown);
        }
    }

    #[test]
    fn the_place_of_a_secret_is_shown() {
        for written in [
            "  client_secret: { env: NAME }\n  url: x\n",
            "client_secret:\n  env: X\nurl: x\n",
            "client_secret: {\n  \"file\": x }\n",
            "client_secret:\nurl: x\n",
            "client_secret: { command: [pass, show] }\n",
        ] {
            assert_eq!(text(written), written);
        }
    }

    #[test]
    fn none_of_our_settings_is_taken_for_a_secret() {
        for name in [
            "version",
            "state",
            "destinations",
            "sources",
            "url",
            "tenant_id",
            "client_id",
            "authority",
            "production",
            "sandbox",
            "data",
            "clients",
            "prod",
            "test",
        ] {
            assert!(!is_secret(name), "{name}");
        }
        for name in [
            "client_secret",
            "clientSecret",
            "client_secert",
            "PASSWORD",
            "api-key",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }
}
