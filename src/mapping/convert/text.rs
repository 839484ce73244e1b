//! Cells that become text.
//!
//! Blank means Unicode white space. The order of the steps: trim, null for an empty text, letter case, length.

use arrow_array::StringArray;

use super::{Canonical, Cell, Refusal, Scratch};
use crate::mapping::{Case, TooLong};
use crate::model::Value;

/// The steps of one text column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) struct TextSteps {
    pub(in crate::mapping) trim: Trim,
    pub(in crate::mapping) case: Option<Case>,
    /// In UTF-16 units.
    pub(in crate::mapping) max_length: usize,
    pub(in crate::mapping) too_long: TooLong,
}

/// Whether blanks around the text go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) enum Trim {
    Blanks,
    Nothing,
}

/// What is known of the signs of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) enum Signs {
    /// None is one that the service refuses.
    Taken,
    Unknown,
}

impl Signs {
    /// Of all texts of a column: to look at them at once costs less than to look at each.
    pub(in crate::mapping) fn of(texts: &StringArray) -> Self {
        let ends = texts.value_offsets();
        let ends = ends.first().zip(ends.last());
        let part = ends.and_then(|(from, to)| {
            let part = usize::try_from(*from).ok()?..usize::try_from(*to).ok()?;
            texts.value_data().get(part)
        });
        match part {
            Some(bytes) if !may_be_barred(bytes) => Self::Taken,
            _ => Self::Unknown,
        }
    }
}

impl TextSteps {
    /// Trimmed, and refused if it is too long.
    pub(in crate::mapping) fn plain(max_length: usize) -> Self {
        Self {
            trim: Trim::Blanks,
            case: None,
            max_length,
            too_long: TooLong::Reject,
        }
    }

    #[inline]
    pub(super) fn convert<'s>(
        &self,
        cell: Cell<'s>,
        scratch: &'s mut Scratch,
    ) -> Result<Canonical<'s>, Refusal> {
        let text = match cell.text(&mut scratch.cell) {
            Some(text) => self.take(text, Signs::Unknown, &mut scratch.text)?,
            None => "",
        };
        Ok(match text {
            "" => Canonical::Value(Value::Null),
            text => Canonical::Text(text),
        })
    }

    /// What becomes of a text; nothing where it is empty then.
    ///
    /// # Errors
    /// Why it is not a value of the column.
    #[inline]
    pub(in crate::mapping) fn take<'s>(
        &self,
        text: &'s str,
        signs: Signs,
        buffer: &'s mut String,
    ) -> Result<&'s str, Refusal> {
        let text = match self.trim {
            Trim::Blanks => trimmed(text),
            Trim::Nothing => text,
        };
        if signs == Signs::Unknown && may_be_barred(text.as_bytes()) {
            only_taken(text)?;
        }
        // No text has more UTF-16 units than bytes.
        if self.case.is_none() && text.len() <= self.max_length {
            return Ok(text);
        }
        self.take_further(text, buffer)
    }

    #[inline(never)]
    fn take_further<'s>(&self, text: &'s str, buffer: &'s mut String) -> Result<&'s str, Refusal> {
        let text = match self.case {
            Some(case) => in_case(text, case, buffer),
            None => text,
        };
        self.within_length(text)
    }

    /// Cuts between characters, and takes blanks at the cut away.
    fn within_length<'s>(&self, text: &'s str) -> Result<&'s str, Refusal> {
        if text.len() <= self.max_length {
            return Ok(text);
        }
        let length = text.encode_utf16().count();
        match self.too_long {
            _ if length <= self.max_length => Ok(text),
            TooLong::Reject => Err(Refusal::TextTooLong { length }),
            TooLong::Truncate => Ok(cut(text, self.max_length).trim_end()),
        }
    }

    pub(super) fn describe(&self, program: &mut String) {
        program.push_str(match self.trim {
            Trim::Blanks => "trim",
            Trim::Nothing => "as-is",
        });
        program.push_str(match self.case {
            None => "",
            Some(Case::Lower) => " lower",
            Some(Case::Upper) => " upper",
            Some(Case::Title) => " title",
        });
        if self.too_long == TooLong::Truncate {
            program.push_str(" cut ");
            program.push_str(&self.max_length.to_string());
        }
    }
}

/// The text without blanks around it. Nearly none has any, and then its first and last byte tell.
#[inline]
pub(super) fn trimmed(text: &str) -> &str {
    let mut bytes = text.bytes();
    let ends = bytes
        .next()
        .map(|first| (first, bytes.next_back().unwrap_or(first)));
    match ends {
        Some((first, last)) if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        Some(_) => without_blanks(text),
        None => text,
    }
}

/// Apart from what nearly every text takes, as are the other functions that few texts need.
#[cold]
fn without_blanks(text: &str) -> &str {
    text.trim()
}

/// What XML does not know: controls below the blank except tab and line ends, and the two non-characters.
///
/// Source: Dataverse error `0x80040278`, "contains one or more invalid characters".
fn is_barred(c: char) -> bool {
    (c < ' ' && !matches!(c, '\t' | '\r' | '\n')) || matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cold]
fn only_taken(text: &str) -> Result<(), Refusal> {
    match text.chars().find(|c| is_barred(*c)) {
        Some(bad) => Err(Refusal::TextInvalidCharacter(bad)),
        None => Ok(()),
    }
}

/// Whether any byte could be of such a character. Nearly no text has one: it is looked at to its end whatever is found, so
/// that many bytes are looked at at once.
fn may_be_barred(bytes: &[u8]) -> bool {
    // The first byte of both non-characters.
    const BEYOND: u8 = 0xEF;
    let found = bytes.iter().map(|byte| *byte < b' ' || *byte == BEYOND);
    found.fold(false, |any, found| any | found)
}

fn cut(text: &str, max_length: usize) -> &str {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > max_length {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

#[inline(never)]
fn in_case<'s>(text: &'s str, case: Case, buffer: &'s mut String) -> &'s str {
    buffer.clear();
    match case {
        Case::Lower if text.is_ascii() => {
            buffer.push_str(text);
            buffer.make_ascii_lowercase();
        }
        // The whole text at once: a final sigma depends on its neighbours.
        Case::Lower => buffer.push_str(&text.to_lowercase()),
        Case::Upper => buffer.extend(text.chars().flat_map(char::to_uppercase)),
        Case::Title => title(text, buffer),
    }
    buffer
}

/// The first letter of each word upper, all others lower. Words begin after blanks and hyphens, and after an
/// apostrophe that follows the first letter of a word: `O'Brien`, `D'Angelo`, `Jean-Luc`, but `Children's`.
fn title(text: &str, buffer: &mut String) {
    let mut letters = 0_usize;
    for c in text.chars() {
        if c.is_whitespace() || is_hyphen(c) {
            letters = 0;
            buffer.push(c);
        } else if matches!(c, '\'' | '\u{2019}') {
            letters = if letters == 1 { 0 } else { 2 };
            buffer.push(c);
        } else if c.is_alphabetic() && letters == 0 {
            letters = 1;
            buffer.extend(c.to_uppercase());
        } else {
            letters += usize::from(c.is_alphanumeric());
            buffer.extend(c.to_lowercase());
        }
    }
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}')
}

/// Whether two words are the same but for case.
pub(in crate::mapping) fn same_word(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    let lower = |word: &str| {
        word.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    lower(one) == lower(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: TextSteps = TextSteps {
        trim: Trim::Blanks,
        case: None,
        max_length: 10,
        too_long: TooLong::Reject,
    };

    fn read(steps: TextSteps, text: &str) -> Result<Value, Refusal> {
        let mut scratch = Scratch::default();
        steps
            .convert(Cell::Text(text), &mut scratch)
            .map(Canonical::into_value)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn blanks_around_a_text_go_unless_told_otherwise() {
        assert_eq!(read(PLAIN, " \u{a0}Ada\t"), Ok(text("Ada")));
        let kept = TextSteps {
            trim: Trim::Nothing,
            ..PLAIN
        };
        assert_eq!(read(kept, " Ada "), Ok(text(" Ada ")));
    }

    #[test]
    fn an_empty_text_is_null() {
        assert_eq!(read(PLAIN, "  "), Ok(Value::Null));
        assert_eq!(read(PLAIN, ""), Ok(Value::Null));
    }

    #[test]
    fn case_follows_unicode() {
        let cased = |case| TextSteps {
            case: Some(case),
            max_length: 100,
            ..PLAIN
        };
        assert_eq!(read(cased(Case::Lower), "ΟΔΟΣ Ada"), Ok(text("οδος ada")));
        assert_eq!(read(cased(Case::Upper), "straße"), Ok(text("STRASSE")));
        let title = cased(Case::Title);
        assert_eq!(
            read(title, "jean-luc o'brien"),
            Ok(text("Jean-Luc O'Brien"))
        );
        assert_eq!(
            read(title, "THE CHILDREN'S HOME"),
            Ok(text("The Children's Home"))
        );
        assert_eq!(read(title, "élodie d’angelo"), Ok(text("Élodie D’Angelo")));
        assert_eq!(
            read(title, "(ACME) 3RD street"),
            Ok(text("(Acme) 3rd Street"))
        );
    }

    #[test]
    fn length_counts_utf16_units() {
        assert_eq!(read(PLAIN, "éééééééééé"), Ok(text("éééééééééé")));
        assert_eq!(
            read(PLAIN, "😀😀😀😀😀😀"),
            Err(Refusal::TextTooLong { length: 12 })
        );
    }

    #[test]
    fn a_cut_keeps_characters_whole_and_leaves_no_blank() {
        let cut = |max_length| TextSteps {
            max_length,
            too_long: TooLong::Truncate,
            ..PLAIN
        };
        assert_eq!(read(cut(5), "😀😀😀"), Ok(text("😀😀")));
        assert_eq!(read(cut(4), "Ada Lovelace"), Ok(text("Ada")));
        assert_eq!(read(cut(12), "Ada Lovelace"), Ok(text("Ada Lovelace")));
    }

    #[test]
    fn control_characters_are_refused_but_for_tab_and_line_ends() {
        assert_eq!(read(PLAIN, "a\tb\r\nc"), Ok(text("a\tb\r\nc")));
        // Real street names have C1 controls, left over from another encoding.
        assert_eq!(read(PLAIN, "a\u{81}b"), Ok(text("a\u{81}b")));
        for bad in ['\0', '\u{1f}', '\u{fffe}'] {
            assert_eq!(
                read(PLAIN, &format!("a{bad}b")),
                Err(Refusal::TextInvalidCharacter(bad))
            );
        }
    }

    proptest! {
        #[test]
        fn a_cut_text_always_fits(text in "\\PC*", max_length in 1_usize..12) {
            let steps = TextSteps { max_length, too_long: TooLong::Truncate, ..PLAIN };
            if let Value::Text(cut) = read(steps, &text).unwrap() {
                prop_assert!(cut.encode_utf16().count() <= max_length);
                prop_assert!(text.trim().starts_with(&*cut));
                prop_assert_eq!(cut.trim(), &*cut);
            }
        }
    }
}
