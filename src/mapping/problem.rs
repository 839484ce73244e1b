//! Problems of a mapping or configuration file: shown all at once, each with its place and a way out.

use std::ops::Range;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `SG0107`
    pub code: ProblemCode,
    /// What is wrong: lower case, no final stop.
    pub title: String,
    /// Where, in bytes of the file's text.
    pub at: Range<usize>,
    /// Short words beside the caret.
    pub label: String,
    /// What to do, one sentence; none where the title says it.
    pub help: Option<String>,
    /// A second place that belongs to it (where it was set before).
    pub other: Option<(Range<usize>, String)>,
}

/// Stable code of a kind of problem, `SG0107`. Codes are added, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProblemCode(pub u16);

impl std::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SG{:04}", self.0)
    }
}

/// All problems of one file, sorted by place. Never empty where it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file as the user named it.
    pub file: String,
    /// Its text, secrets masked.
    pub text: String,
    /// Sorted by place.
    pub problems: Vec<Problem>,
}

/// The kinds of problem that reading a mapping or `segue.yaml` can find, by their stable codes.
pub(super) mod codes {
    use super::ProblemCode;

    macro_rules! codes {
        ($($name:ident = $number:literal, $title:literal;)*) => {
            $(pub(in crate::mapping) const $name: ProblemCode = ProblemCode($number);)*

            /// Every code of reading, with its title in one line.
            pub const FILE_CODES: &[(ProblemCode, &str)] = &[$(($name, $title)),*];
        };
    }

    codes! {
        SYNTAX = 1, "the file is not YAML";
        YAML_FEATURE = 2, "anchors, aliases, tags and merge keys are not used";
        SECOND_DOCUMENT = 3, "a file holds one document";
        UNKNOWN_SETTING = 4, "there is no such setting";
        SET_TWICE = 5, "a setting is set twice";
        WRONG_TYPE = 6, "the value has the wrong shape";
        MISSING_SETTING = 7, "a setting is missing";
        BAD_VALUE = 8, "the setting does not take this value";
        NOT_SUPPORTED = 9, "the setting is not supported by this version";
        NOT_TEXT = 10, "the file is not UTF-8 text";
        CONFLICT = 11, "settings exclude each other";
        EMPTY = 12, "the file is empty";
        LITERAL_SECRET = 201, "a secret does not belong in the file";
        PLAIN_HTTP = 202, "an address must be reached by https";
        UNKNOWN_DESTINATION = 204, "there is no such destination";
        BAD_ADDRESS = 203, "the address cannot be used";
    }
}
