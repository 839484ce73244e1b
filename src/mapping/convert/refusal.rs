//! Why a cell is not a value of its column, and how that is told.

use std::borrow::Cow;

use super::{ChoiceSteps, Conversion, suggest};
use crate::mapping::Parse;
use crate::model::{ChoiceOption, ColumnKind, RejectCode};

/// Why a cell is refused. Small and without text: the survey only asks whether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) enum Refusal {
    /// The cell has no counterpart among ours, such as a decimal of more than 28 digits.
    CellUnsupported,
    /// A key column without a value, or with one that the service compares as empty.
    KeyNull,
    /// A key column's text is longer than the column.
    KeyTooLong {
        /// In UTF-16 units.
        length: usize,
    },
    /// Text is longer than the column.
    TextTooLong {
        /// In UTF-16 units.
        length: usize,
    },
    /// Text with a character that the service refuses.
    TextInvalidCharacter(char),
    /// Not a number.
    NumberInvalid,
    /// More digits behind the point than the column has.
    NumberPrecision,
    /// A fraction where only whole numbers go.
    NumberFraction,
    /// Outside the column's range.
    NumberRange,
    /// Not a date, or none as the mapping says it is written.
    DateInvalid,
    /// Before what Dataverse holds, or at the very end of the calendar.
    DateRange,
    /// A time of day where a date is wanted.
    DateTimeOfDay,
    /// An offset where a wall clock is wanted.
    DateOffset,
    /// The zone's clocks skip that time.
    DateSkipped,
    /// The zone's clocks show that time twice.
    DateRepeated,
    /// Neither yes nor no.
    WordUnknown,
    /// None of the options.
    OptionUnknown,
    /// Not a GUID.
    GuidInvalid,
}

impl Refusal {
    /// What the refusal of a key column's cell is called: a key is never cut.
    pub(in crate::mapping) fn of_key(self) -> Self {
        match self {
            Self::TextTooLong { length } => Self::KeyTooLong { length },
            other => other,
        }
    }

    /// Whether such a cell can be the key of no record at all; others may stand for any key.
    pub(in crate::mapping) fn rules_out_any_record(self) -> bool {
        matches!(
            self,
            Self::KeyNull
                | Self::KeyTooLong { .. }
                | Self::TextTooLong { .. }
                | Self::TextInvalidCharacter(_)
        )
    }

    pub(in crate::mapping) fn code(self) -> RejectCode {
        RejectCode(match self {
            Self::CellUnsupported => "cell_unsupported",
            Self::KeyNull => "key_null",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::TextTooLong { .. } => "text_too_long",
            Self::TextInvalidCharacter(_) => "text_invalid_character",
            Self::NumberInvalid => "number_invalid",
            Self::NumberPrecision => "number_precision",
            Self::NumberFraction => "number_fraction",
            Self::NumberRange => "number_range",
            Self::DateInvalid => "date_invalid",
            Self::DateRange => "date_range",
            Self::DateTimeOfDay => "date_time_of_day",
            Self::DateOffset => "date_offset",
            Self::DateSkipped => "date_skipped",
            Self::DateRepeated => "date_ambiguous",
            Self::WordUnknown => "yes_no_unknown",
            Self::OptionUnknown => "choice_unknown",
            Self::GuidInvalid => "guid_invalid",
        })
    }

    /// What is wrong, with the value as [`shown`].
    pub(in crate::mapping) fn reason(
        self,
        value: &str,
        kind: &ColumnKind,
        conversion: &Conversion,
    ) -> String {
        match self {
            Self::CellUnsupported => "the cell is beyond what can be read".to_owned(),
            Self::KeyNull => "the key is empty".to_owned(),
            Self::KeyTooLong { length } | Self::TextTooLong { length } => format!(
                "`{value}` has {length} characters, the column holds at most {}",
                text_limit(kind)
            ),
            Self::TextInvalidCharacter(bad) => format!(
                "`{value}` has the character U+{:04X}, which Dataverse refuses",
                u32::from(bad)
            ),
            Self::NumberInvalid => format!("`{value}` is not a number"),
            Self::NumberPrecision => format!(
                "`{value}` has more than the {} digits behind the point that the column holds",
                precision(kind)
            ),
            Self::NumberFraction => format!("`{value}` is not a whole number"),
            Self::NumberRange => format!("`{value}` is outside of {}", range(kind)),
            Self::DateInvalid => match conversion {
                Conversion::Date(steps) => format!("`{value}` is not {}", steps.expects()),
                _ => format!("`{value}` is not a date"),
            },
            Self::DateRange => {
                format!("`{value}` is before 1753-01-01 or after 9999-12-30 22:00 UTC")
            }
            Self::DateTimeOfDay => format!("`{value}` has a time of day, the column holds a date"),
            Self::DateOffset => {
                format!("`{value}` has an offset, the column holds a time without zone")
            }
            Self::DateSkipped => format!("`{value}` is a time that the zone's clocks skip"),
            Self::DateRepeated => format!("`{value}` is a time that the zone's clocks show twice"),
            Self::WordUnknown => format!("`{value}` is neither yes nor no"),
            Self::OptionUnknown => unknown_option(value, kind, conversion),
            Self::GuidInvalid => format!("`{value}` is not a GUID"),
        }
    }

    /// What to do about it; where the value tells how it is written, that as well.
    pub(in crate::mapping) fn advice(
        self,
        value: &str,
        conversion: &Conversion,
    ) -> Cow<'static, str> {
        let setting = match (self, conversion) {
            (Self::NumberInvalid, _) => suggest::separators(value),
            (Self::DateInvalid, Conversion::Date(steps))
                if matches!(steps.parse, None | Some(Parse::Iso8601)) =>
            {
                suggest::parse(value)
            }
            _ => None,
        };
        match setting {
            Some(setting) => format!(
                "Mend it at the source, or say for the column how it is written: {setting}."
            )
            .into(),
            None => Cow::Borrowed(self.usual_advice()),
        }
    }

    fn usual_advice(self) -> &'static str {
        match self {
            Self::CellUnsupported => "Export the column in a smaller type, or as text.",
            Self::KeyNull => "Fill the key at the source, or leave the row out of the extract.",
            Self::KeyTooLong { .. } => {
                "Use a key that fits into the column; a key is never shortened."
            }
            Self::TextTooLong { .. } => {
                "Shorten it at the source, or write `max: truncate` for the column."
            }
            Self::TextInvalidCharacter(_) => "Remove the character at the source.",
            Self::NumberInvalid => {
                "Mend it at the source, or name its separators with `decimal` and `thousands`."
            }
            Self::NumberPrecision => "Round it in the query that makes the extract.",
            Self::NumberFraction => "Round it at the source, or write to a decimal column.",
            Self::NumberRange => "Mend it at the source, or widen the column's range.",
            Self::DateInvalid => "Mend it at the source, or say with `parse` how it is written.",
            Self::DateRange => {
                "Mend the date at the source, or leave the cell empty where it stands for none."
            }
            Self::DateTimeOfDay => "Export a date, or write `parse: iso8601` to let the time go.",
            Self::DateOffset => "Export the time without an offset.",
            Self::DateSkipped | Self::DateRepeated => "Export the time in UTC or with its offset.",
            Self::WordUnknown => "Mend it at the source, or add it to `yes_words` or `no_words`.",
            Self::OptionUnknown => {
                "Mend it at the source, or pair the cells with options: `choice: { CELL: OPTION, … }`."
            }
            Self::GuidInvalid => "Export the GUID with its hyphens.",
        }
    }
}

/// A value as messages show it: at most 60 characters, control characters escaped.
pub(in crate::mapping) fn shown(value: &str) -> String {
    const MOST: usize = 60;
    let visible = |c: char| c.is_control().then(|| c.escape_default().to_string());
    let mut out: String = value
        .chars()
        .take(MOST)
        .map(|c| visible(c).unwrap_or_else(|| c.to_string()))
        .collect();
    if value.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

fn text_limit(kind: &ColumnKind) -> usize {
    match kind {
        ColumnKind::Text { max_length } | ColumnKind::Memo { max_length } => *max_length,
        _ => 0,
    }
}

fn precision(kind: &ColumnKind) -> u32 {
    match kind {
        ColumnKind::Decimal { precision, .. }
        | ColumnKind::Money { precision, .. }
        | ColumnKind::Float { precision, .. } => *precision,
        _ => 0,
    }
}

fn range(kind: &ColumnKind) -> String {
    match kind {
        ColumnKind::Integer { min, max } => format!("{min} to {max}"),
        ColumnKind::Decimal { min, max, .. } | ColumnKind::Money { min, max, .. } => {
            format!("{} to {}", min.normalize(), max.normalize())
        }
        ColumnKind::Float { min, max, .. } => format!("{min} to {max}"),
        _ => "what a big integer holds".to_owned(),
    }
}

fn unknown_option(value: &str, kind: &ColumnKind, conversion: &Conversion) -> String {
    let (ColumnKind::Choice { options }
    | ColumnKind::State { options }
    | ColumnKind::Status { options }) = kind
    else {
        return format!("`{value}` is none of the options");
    };
    match conversion {
        Conversion::Choice(ChoiceSteps::Labels(_)) => {
            format!("`{value}` is no label of an option ({})", few(options))
        }
        Conversion::Choice(ChoiceSteps::Listed { .. }) => {
            format!("`{value}` is not among the cells that the mapping lists")
        }
        _ => format!("`{value}` is no option's number ({})", few(options)),
    }
}

/// The first options of a list, as `1 Male, 2 Female`.
fn few(options: &[ChoiceOption]) -> String {
    const MOST: usize = 8;
    let mut names: Vec<String> = options.iter().take(MOST).map(option_in_words).collect();
    if options.len() > MOST {
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// An option by its number and first label.
pub(in crate::mapping) fn option_in_words(option: &ChoiceOption) -> String {
    match option.labels.first() {
        Some(label) => format!("{} {}", option.value, label.text),
        None => option.value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_value_is_short_and_has_no_control_characters() {
        assert_eq!(shown("a\r\n\u{1b}[31m"), "a\\r\\n\\u{1b}[31m");
        let long = shown(&"é".repeat(200));
        assert_eq!(long.chars().count(), 61);
        assert!(long.ends_with('…'));
    }
}
