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
