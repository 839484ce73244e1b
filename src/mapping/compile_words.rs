//! Words that problems are made of: what a column holds, which names are close, which there are.

use strsim::damerau_levenshtein;

use super::convert::{Refusal, shown};
use crate::model::{ColumnKind, DateTimeBehavior, LogicalName};

/// What a column of that type holds.
pub fn kind_in_words(kind: &ColumnKind) -> String {
    match kind {
        ColumnKind::Text { max_length } => format!("text, at most {max_length} characters"),
        ColumnKind::Memo { max_length } => {
            format!("text of several lines, at most {max_length} characters")
        }
        ColumnKind::Integer { min, max } => format!("a whole number, {min} to {max}"),
        ColumnKind::BigInt => "a big integer".to_owned(),
        ColumnKind::Decimal {
            min,
            max,
            precision,
        } => format!(
            "a decimal, {} to {}, {precision} digits behind the point",
            min.normalize(),
            max.normalize()
        ),
        ColumnKind::Money {
            min,
            max,
            precision,
        } => format!(
            "money, {} to {}, {precision} digits behind the point",
            min.normalize(),
            max.normalize()
        ),
        ColumnKind::Float {
            min,
            max,
            precision,
        } => {
            format!("a floating point number, {min} to {max}, {precision} digits behind the point")
        }
        ColumnKind::Boolean { .. } => "yes or no".to_owned(),
        ColumnKind::Date => "a date".to_owned(),
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::UserLocal,
        } => "a date and time".to_owned(),
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::TimeZoneIndependent,
        } => "a date and time without zone".to_owned(),
        ColumnKind::Choice { options } => format!("a choice of {} options", options.len()),
        ColumnKind::Choices { .. } => "several options of a choice".to_owned(),
        ColumnKind::State { .. } => "the state of the record".to_owned(),
        ColumnKind::Status { .. } => "the status reason of the record".to_owned(),
        ColumnKind::Guid => "a GUID".to_owned(),
        ColumnKind::Lookup { targets } => {
            format!(
                "a lookup to {}",
                listed(targets.iter().map(LogicalName::as_str))
            )
        }
        ColumnKind::Other(name) => format!("of the type {name}"),
    }
}

/// How a fixed value of such a column is written, for one that cannot be read.
pub(super) fn written_as(kind: &ColumnKind, refusal: Refusal) -> &'static str {
    let is_unreadable = matches!(
        refusal,
        Refusal::DateInvalid | Refusal::NumberInvalid | Refusal::WordUnknown
    );
    match kind {
        _ if !is_unreadable => "",
        ColumnKind::Date => "; write it as `2025-12-31`",
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::UserLocal,
        } => "; write it as `2025-12-31T14:05:00Z`",
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::TimeZoneIndependent,
        } => "; write it as `2025-12-31T14:05:00`",
        ColumnKind::Integer { .. } | ColumnKind::BigInt => "; write digits alone, as `45000`",
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } | ColumnKind::Float { .. } => {
            "; write it with a point and nothing between thousands, as `45000.5`"
        }
        ColumnKind::Boolean { .. } => "; write `true` or `false`",
        ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::Choices { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. }
        | ColumnKind::Guid
        | ColumnKind::Lookup { .. }
        | ColumnKind::Other(_) => "",
    }
}

/// Names in backticks, the first dozen of them.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let quoted: Vec<String> = names.map(|name| format!("`{}`", shown(name))).collect();
    match quoted.get(MOST..) {
        Some(rest) if !rest.is_empty() => {
            let first: Vec<&str> = quoted.iter().take(MOST).map(String::as_str).collect();
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ if quoted.is_empty() => "none".to_owned(),
        _ => quoted.join(", "),
    }
}

/// The name that was probably meant.
pub(super) fn closest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bare = |name: &str| name.to_lowercase().replace(['_', ' ', '-'], "");
    let wanted = bare(written);
    let most = 1 + wanted.chars().count() / 4;
    names
        .map(|name| (damerau_levenshtein(&wanted, &bare(name)), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What seems to stand between the cells of a header that was read as a single column, as YAML writes it in quotes.
pub(super) fn undivided<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let only = names.next()?;
    let delimiters = [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")];
    let found = delimiters
        .iter()
        .find(|(delimiter, _)| only.contains(*delimiter));
    found
        .filter(|_| names.next().is_none())
        .map(|(_, written)| *written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
        let words = listed(names.iter().map(String::as_str));
        assert!(words.ends_with("`c11` and 8 more"), "{words}");
        assert_eq!(listed(["a", "b"].into_iter()), "`a`, `b`");
    }
}
