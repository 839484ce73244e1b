//! How the environment compares text: its collation, which its base language fixes.
//!
//! Source: Microsoft Learn, "Dataverse language collations". SQL Server equates more than this
//! folding does (full-width forms, `ß` and `ss`); that is not imitated.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Whether accents tell two texts apart. Case and trailing blanks never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collation {
    /// `cafe` and `café` are one key.
    AccentInsensitive,
    /// They are two keys.
    AccentSensitive,
}

/// Base languages whose collation tells accents apart (`_CI_AS`).
const ACCENT_SENSITIVE: [i32; 23] = [
    1035, 1048, 1050, 1051, 1053, 1054, 1057, 1058, 1060, 1061, 1062, 1063, 1066, 1069, 1081, 1086,
    1087, 1110, 2055, 2064, 2074, 3079, 3081,
];

impl Collation {
    /// The collation of an environment with this base language.
    pub fn of_language(language_code: i32) -> Self {
        if ACCENT_SENSITIVE.contains(&language_code) {
            Self::AccentSensitive
        } else {
            Self::AccentInsensitive
        }
    }

    /// The form in which two texts are equal exactly if the environment holds them for equal.
    pub(crate) fn fold(self, text: &str) -> Cow<'_, str> {
        let text = text.trim_end_matches(' ');
        if text.is_ascii() {
            if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Cow::Owned(text.to_ascii_lowercase());
            }
            return Cow::Borrowed(text);
        }
        let keeps = |mark: &char| self == Self::AccentSensitive || !is_combining_mark(*mark);
        // Lower case may decompose (`İ`), so the text is decomposed once more after it.
        let lower: String = text.nfd().filter(keeps).map(simple_lower).collect();
        Cow::Owned(lower.nfd().filter(keeps).collect())
    }
}

/// Unicode's simple lower case: one character for one character.
fn simple_lower(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        (Some('i'), Some(_)) => 'i',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AI: Collation = Collation::AccentInsensitive;
    const AS: Collation = Collation::AccentSensitive;

    #[test]
    fn case_and_trailing_blanks_do_not_matter() {
        assert_eq!(AI.fold("Ann@X.Example  "), "ann@x.example");
        assert_eq!(AS.fold("ÄRGER "), AS.fold("ärger"));
        assert_eq!(AI.fold(" a"), " a");
    }

    #[test]
    fn accents_matter_where_the_language_says_so() {
        assert_eq!(AI.fold("café"), AI.fold("CAFE"));
        assert_ne!(AS.fold("café"), AS.fold("cafe"));
        assert_eq!(AS.fold("cafe\u{301}"), AS.fold("caf\u{e9}"));
        assert_eq!(Collation::of_language(1033), AI);
        assert_eq!(Collation::of_language(1053), AS);
    }

    #[test]
    fn only_the_blank_is_trimmed() {
        assert_ne!(AI.fold("a\u{a0}"), AI.fold("a"));
        assert_ne!(AI.fold("a\t"), AI.fold("a"));
    }
}
