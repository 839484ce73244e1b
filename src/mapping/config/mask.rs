//! No secret in a snippet: what may be one is shown as asterisks, wherever a caret points.

use super::super::{MappingError, Problems};

/// Names whose values are not shown.
const SECRETS: [&str; 4] = ["secret", "password", "token", "api_key"];

pub(super) fn error(error: MappingError) -> MappingError {
    match error {
        MappingError::Problems(found) => problems(found).into(),
        other => other,
    }
}

/// The same problems over a text in which the values of secrets are asterisks. Places stay right: a character is
/// replaced by as many bytes as it had.
pub(super) fn problems(problems: Problems) -> Problems {
    let text = text(&problems.text);
    Problems { text, ..problems }
}

/// Line by line, since the text may not be YAML at all. What follows a secret's name is masked, and so are deeper
/// lines below it, unless its value says where it comes from.
fn text(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut under: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if under.is_some_and(|outer| indent <= outer && !line.trim().is_empty()) {
            under = None;
        }
        if under.is_some() {
            stars(line, &mut masked);
            continue;
        }
        let Some(value) = secret_value(line) else {
            masked.push_str(line);
            continue;
        };
        let (name, written) = line.split_at(value);
        masked.push_str(name);
        if names_a_place(written) {
            masked.push_str(written);
        } else {
            stars(written, &mut masked);
            under = Some(indent);
        }
    }
    masked
}

/// Where the value of the first secret of a line begins.
fn secret_value(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let ends = SECRETS
        .iter()
        .filter_map(|name| lower.find(name).map(|at| at + name.len()));
    let name_ends = ends.min()?;
    let colon = line.get(name_ends..)?.find(':')?;
    Some(name_ends + colon + 1)
}

/// `{ env: … }`, or nothing on this line: the lines below are settings then.
fn names_a_place(value: &str) -> bool {
    let value = value.trim();
    let inner = value.trim_start_matches('{').trim_start();
    let named = ["env:", "file:", "command:"];
    value.is_empty() || value.starts_with('#') || {
        value.starts_with('{') && named.iter().any(|name| inner.starts_with(name))
    }
}

fn stars(text: &str, masked: &mut String) {
    for character in text.chars() {
        if matches!(character, '\n' | '\r' | ' ' | '\t') {
            masked.push(character);
        } else {
            (0..character.len_utf8()).for_each(|_| masked.push('*'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_value_of_a_secret_is_masked_and_its_place_is_not() {
        assert_eq!(
            text("client_secret: pässword\n"),
            "client_secret: *********\n"
        );
        assert_eq!(
            text("  client_secret: { env: NAME }\n"),
            "  client_secret: { env: NAME }\n"
        );
        assert_eq!(
            text("a: { client_secret: x, url: y }\n"),
            "a: { client_secret: ** **** * *\n"
        );
        assert_eq!(
            text("client_secret: |\n  ab\n  c\nurl: x\n"),
            "client_secret: *\n  **\n  *\nurl: x\n"
        );
        assert_eq!(
            text("client_secret:\n  env: X\n"),
            "client_secret:\n  env: X\n"
        );
    }
}
