//! Problems as people and programs read them.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};

use super::{Mapping, Problem, Problems};

/// Columns of a terminal line; source lines are cut to it around the caret.
const WIDTH: usize = 80;

/// Whether a text is dressed for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Text alone.
    Plain,
    /// With the escape sequences of a terminal.
    Colour,
}

impl Problems {
    /// Each problem with its line and a caret, sorted by place, a blank line between two.
    pub fn render(&self, paint: Paint) -> String {
        let renderer = match paint {
            Paint::Plain => Renderer::plain(),
            Paint::Colour => Renderer::styled(),
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
        let reports: Vec<String> = self
            .problems
            .iter()
            .map(|problem| self.report(problem, &renderer))
            .collect();
        reports.join("\n\n")
    }

    /// The problems as data: a list of `{code, title, file, line, column, label, help}`.
    pub fn to_json(&self) -> Value {
        let problems = self.problems.iter();
        let data = problems.map(|problem| {
            let (line, column) = self.line_and_column(problem.at.start);
            json!({
                "code": problem.code.to_string(),
                "title": problem.title,
                "file": self.file,
                "line": line,
                "column": column,
                "label": problem.label,
                "help": problem.help,
            })
        });
        data.collect()
    }

    fn report(&self, problem: &Problem, renderer: &Renderer) -> String {
        let label = normalize_untrusted_str(&problem.label);
        let mut snippet = Snippet::source(self.text.as_str())
            .path(normalize_untrusted_str(&self.file))
            .annotation(
                AnnotationKind::Primary
                    .span(self.within(&problem.at))
                    .label(label),
            );
        if let Some((at, label)) = &problem.other {
            snippet = snippet.annotation(
                AnnotationKind::Context
                    .span(self.within(at))
                    .label(normalize_untrusted_str(label)),
            );
        }
        let mut group = Level::ERROR
            .primary_title(problem.title.as_str())
            .id(problem.code.to_string())
            .element(snippet);
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        renderer.render(&[group])
    }

    /// The place, cut to what the text has.
    fn within(&self, at: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(at.start.min(self.text.len()));
        let end = self.text.ceil_char_boundary(at.end.min(self.text.len()));
        start..end.max(start)
    }

    /// Both counted from one, the column in characters, as the caret stands.
    fn line_and_column(&self, place: usize) -> (usize, usize) {
        line_and_column(&self.text, place)
    }
}

fn line_and_column(text: &str, place: usize) -> (usize, usize) {
    let place = text.floor_char_boundary(place.min(text.len()));
    let before = text.get(..place).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl Mapping {
    /// Where a setting stands, as `contacts.yaml:14:3`.
    pub fn place(&self, at: &Range<usize>) -> String {
        let (line, column) = line_and_column(&self.text, at.start);
        format!("{}:{line}:{column}", self.file.display())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{}: {} ({})", self.file, only.title, only.code),
            problems => write!(f, "{}: {} problems", self.file, problems.len()),
        }
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::ProblemCode;

    fn problems(text: &str, at: Range<usize>) -> Problems {
        Problems {
            file: "mappings/contacts.yaml".to_owned(),
            text: text.to_owned(),
            problems: vec![Problem {
                code: ProblemCode(107),
                title: "table `contact` has no column `emailadress1`".to_owned(),
                at,
                label: "not in the table's schema".to_owned(),
                help: Some(
                    "did you mean `emailaddress1` (text, at most 100 characters)?".to_owned(),
                ),
                other: None,
            }],
        }
    }

    #[test]
    fn a_problem_shows_its_line_and_a_caret() {
        let text = format!("{}  emailadress1: email\n", "# line\n".repeat(13));
        let shown = problems(&text, 93..105).render(Paint::Plain);
        let expected = "\
error[SG0107]: table `contact` has no column `emailadress1`
  --> mappings/contacts.yaml:14:3
   |
14 |   emailadress1: email
   |   ^^^^^^^^^^^^ not in the table's schema
   |
   = help: did you mean `emailaddress1` (text, at most 100 characters)?";
        assert_eq!(shown, expected);
    }

    #[test]
    fn colour_is_asked_for() {
        let problems = problems("a: b\n", 0..1);
        assert!(problems.render(Paint::Colour).contains('\u{1b}'));
        assert!(!problems.render(Paint::Plain).contains('\u{1b}'));
    }

    #[test]
    fn a_place_beyond_the_text_is_cut() {
        for at in [3..99, 99..200, 1..2] {
            assert!(problems("é: b\n", at).render(Paint::Plain).contains('^'));
        }
        assert!(problems("", 0..0).render(Paint::Plain).contains("SG0107"));
    }

    #[test]
    fn data_has_the_place_of_the_caret() {
        let data = problems("a: 1\né: b\n", 8..9).to_json();
        assert_eq!(
            (&data[0]["line"], &data[0]["column"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(data[0]["code"], "SG0107");
    }
}
