//! Key folding: two texts that Dataverse compares as equal get the same bytes.
//!
//! The collation of an environment never looks at case or trailing blanks, and in most languages not at accents
//! either. Folding is canonical decomposition, without combining marks where accents do not count, simple lower
//! case, and no blanks (U+0020) at the end.
//!
//! Source: Microsoft Learn, "Dataverse language collations".

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::model::Collation;

/// Replaces what is in `folded` by the folded text.
pub(super) fn fold(text: &str, collation: Collation, folded: &mut Vec<u8>) {
    folded.clear();
    if text.is_ascii() {
        folded.extend_from_slice(text.as_bytes());
        folded.make_ascii_lowercase();
    } else {
        let counts = |c: &char| match collation {
            Collation::AccentInsensitive => !is_combining_mark(*c),
            Collation::AccentSensitive => true,
        };
        for c in text.nfd().filter(counts).map(lower) {
            folded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    while folded.last() == Some(&b' ') {
        folded.pop();
    }
}

/// The simple lower case: one character for one.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str, collation: Collation) -> String {
        let mut bytes = b"left over".to_vec();
        fold(text, collation, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn case_and_trailing_blanks_never_count() {
        for collation in [Collation::AccentInsensitive, Collation::AccentSensitive] {
            assert_eq!(folded("Ada@Example.COM  ", collation), "ada@example.com");
            assert_eq!(folded("ÅSA ", collation), folded("åsa", collation));
            assert_eq!(folded(" ada", collation), " ada");
        }
    }

    #[test]
    fn accents_count_where_the_collation_says_so() {
        let (without, with) = (Collation::AccentInsensitive, Collation::AccentSensitive);
        assert_eq!(folded("CAFÉ", without), "cafe");
        assert_eq!(folded("cafe\u{301}", without), "cafe");
        assert_eq!(folded("café", with), folded("CAFE\u{301}", with));
        assert_ne!(folded("café", with), folded("cafe", with));
    }

    #[test]
    fn folding_what_is_folded_changes_nothing() {
        for collation in [Collation::AccentInsensitive, Collation::AccentSensitive] {
            for c in ('\0'..=char::MAX).filter(|c| *c != ' ') {
                let once = folded(&c.to_string(), collation);
                assert_eq!(folded(&once, collation), once, "U+{:04X}", u32::from(c));
            }
        }
    }

    proptest! {
        #[test]
        fn ascii_takes_no_other_way(text in "[ -~]{0,20}") {
            let slow = folded(&format!("{text}é"), Collation::AccentInsensitive);
            let fast = folded(&format!("{text}e"), Collation::AccentInsensitive);
            prop_assert_eq!(slow, fast);
        }
    }
}
