//! YAML as a tree that knows its places.
//!
//! Scalars stay as they were written (`no`, `012`, `1.50`), repeated keys stay in file order: what they mean is for
//! the decoder to say. Anchors, aliases, tags and further documents are told as problems, each at its place.

use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, options};

use super::problem::{Problem, codes};

/// Deeper nesting is a syntax error, so recursion over the tree is safe.
const NESTING_LIMIT: usize = 32;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Bytes of the text; empty for block collections, which have no brackets to point at.
    pub(super) at: Range<usize>,
    pub(super) is: Is,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Is {
    /// Nothing at all, as after `key:`.
    Absent,
    /// An alias: told as a problem, so nobody needs to speak of it again.
    Refused,
    /// Text, `plain` without quotes.
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// Pairs in file order, repeated keys included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.is {
            Is::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is nothing, `null` or `~`.
    pub(super) fn is_null(&self) -> bool {
        match &self.is {
            Is::Absent => true,
            Is::Scalar { text, plain } => {
                *plain && matches!(text.as_str(), "null" | "Null" | "NULL" | "~")
            }
            _ => false,
        }
    }

    /// What it is, for the words beside a caret.
    pub(super) fn in_words(&self) -> &'static str {
        match &self.is {
            _ if self.is_null() => "there is no value",
            Is::Absent | Is::Refused => "there is no value",
            Is::Scalar { .. } => "this is text",
            Is::List(_) => "this is a list",
            Is::Map(_) => "these are settings of their own",
        }
    }
}

/// Reads a text that holds one document.
///
/// Nothing where the text is empty or is not YAML; the problems say so.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let options = options! {
        emit_comments: false,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: NESTING_LIMIT,
        block_nesting_limit: NESTING_LIMIT,
    };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        problems,
    };
    let documents = match reader.items(&mut (0..0)) {
        Ok(documents) => documents,
        Err(error) => {
            problems.push(syntax_problem(&error, text));
            return None;
        }
    };
    let mut documents = documents.into_iter();
    let first = documents.next().filter(|it| it.is != Is::Absent);
    if first.is_none() {
        problems.push(Problem {
            code: codes::EMPTY,
            title: "the file is empty".to_owned(),
            at: 0..0,
            label: "nothing is written here".to_owned(),
            help: Some("Begin with `version: 1`.".to_owned()),
            other: None,
        });
    }
    problems.extend(documents.map(|document| Problem {
        code: codes::SECOND_DOCUMENT,
        title: "a file holds one document".to_owned(),
        at: document.at,
        label: "a second one begins here".to_owned(),
        help: Some("Move it to a file of its own, or remove the `---` before it.".to_owned()),
        other: None,
    }));
    first
}

struct Reader<'a, 'p> {
    events: Parser<'a, StrInput<'a>>,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Reader<'a, '_> {
    /// The nodes up to the end of the collection (or of the stream), whose place grows to its closing bracket.
    fn items(&mut self, at: &mut Range<usize>) -> Result<Vec<Node>, ScanError> {
        let mut items = Vec::new();
        while let Some(event) = self.events.next_event() {
            let (event, span) = event?;
            let here = span.byte_range().unwrap_or_default();
            if event.is_alias() || matches!(event, Event::Anchor(..)) {
                self.refuse(here.clone(), "anchors and aliases are not used here");
            }
            if let Some(tag) = span.tag_span().and_then(|tag| tag.byte_range()) {
                self.refuse(tag, "tags are not used here");
            }
            match event {
                Event::SequenceEnd | Event::MappingEnd | Event::StreamEnd => {
                    if at.start < at.end {
                        at.end = here.end;
                    }
                    break;
                }
                event if event.is_node() => items.push(self.node(&event, here)?),
                _ => {}
            }
        }
        Ok(items)
    }

    fn node(&mut self, event: &Event<'a>, mut at: Range<usize>) -> Result<Node, ScanError> {
        let is = match event {
            Event::Scalar(_, ScalarStyle::Plain, ..) if at.is_empty() => Is::Absent,
            Event::Scalar(text, style, ..) => Is::Scalar {
                text: text.to_string(),
                plain: *style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => Is::List(self.items(&mut at)?),
            Event::MappingStart(..) => {
                let mut items = self.items(&mut at)?.into_iter();
                Is::Map(std::iter::from_fn(|| items.next().zip(items.next())).collect())
            }
            _ => Is::Refused,
        };
        Ok(Node { at, is })
    }

    fn refuse(&mut self, at: Range<usize>, title: &str) {
        self.problems.push(Problem {
            code: codes::YAML_FEATURE,
            title: title.to_owned(),
            at,
            label: "not read".to_owned(),
            help: Some("Write the value itself; quote it if it begins with this sign.".to_owned()),
            other: None,
        });
    }
}

fn syntax_problem(error: &ScanError, text: &str) -> Problem {
    let place = error.marker().byte_offset().unwrap_or(text.len());
    let place = text.floor_char_boundary(place.min(text.len()));
    let (title, help) = in_words(error.kind());
    let before = text.get(..place).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line_start..).and_then(|it| it.lines().next());
    let help = match line {
        Some(line) if line.contains("{{") => "Put text with `{{ … }}` in quotes.",
        Some(line) if line.contains('\\') && line.contains('"') => {
            "In double quotes a backslash means something else: put paths in single quotes, or write them with `/`."
        }
        _ => help,
    };
    Problem {
        code: codes::SYNTAX,
        title,
        at: place..place,
        label: "reading stopped here".to_owned(),
        help: Some(help.to_owned()),
        other: None,
    }
}

fn in_words(kind: &ErrorKind) -> (String, &'static str) {
    let (title, help) = match kind {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
            ("a tab cannot indent", "Indent with blanks.")
        }
        ErrorKind::UnexpectedCharacter { .. } => (
            "a value cannot begin with this character",
            "Put the value in quotes.",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            "a setting is a name, a colon, a blank and a value",
            "Write `name: value`, and close every quote.",
        ),
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey => (
            "the line does not fit in with those above",
            "Give settings that belong together the same indentation, and quote text with `:` or `#`.",
        ),
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::MismatchedFlowCollectionEnd { .. }
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => (
            "a bracket or a comma is missing",
            "Close every `[` and `{`, and put commas between entries.",
        ),
        other => {
            let title = format!("this is not YAML: {other}");
            let help = "Check indentation, quotes, brackets, and the blank after each `:`, here and in the line above.";
            return (title, help);
        }
    };
    (title.to_owned(), help)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        read(text, &mut problems);
        let line = |it: &Problem| format!("{} {} {:?}", it.code, it.title, it.at);
        problems.iter().map(line).collect()
    }

    #[test]
    fn scalars_stay_as_they_were_written() {
        let mut problems = Vec::new();
        let node = read("a: 012\nb: \"no\"\nc:\na: ~\n", &mut problems).unwrap();
        let Is::Map(pairs) = node.is else { panic!() };
        let values: Vec<_> = pairs.iter().map(|(_, value)| value).collect();
        assert_eq!((values[0].text(), &values[0].at), (Some("012"), &(3..6)));
        assert_eq!((values[1].text(), &values[1].at), (Some("no"), &(10..14)));
        assert_eq!(values[2].is, Is::Absent);
        assert!(values[3].is_null());
        assert!(problems.is_empty());
    }

    #[test]
    fn anchors_aliases_tags_and_documents_are_refused_at_their_place() {
        let told = problems_of("a: &x 1\nb: *x\nc: !t 2\n---\nd: 1\n");
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[0], "SG0002 anchors and aliases are not used here 3..5");
        assert_eq!(
            told[1],
            "SG0002 anchors and aliases are not used here 11..13"
        );
        assert_eq!(told[2], "SG0002 tags are not used here 17..19");
        assert!(told[3].starts_with("SG0003"));
    }

    #[test]
    fn a_syntax_error_is_one_problem() {
        for text in [
            "a: [1\n",
            "a: 'x\n",
            "a:\n\tb: 1\n",
            "a: b: c\n",
            "a: @x\n",
            "a: {{ b }} c",
        ] {
            let told = problems_of(text);
            assert_eq!(told.len(), 1, "{text:?} {told:?}");
            assert!(told[0].starts_with("SG0001"), "{text:?} {told:?}");
        }
    }

    #[test]
    fn what_people_often_forget_is_told() {
        let help_of = |text: &str| {
            let mut problems = Vec::new();
            read(text, &mut problems);
            problems.remove(0).help.unwrap()
        };
        let forgotten = help_of("columns:\n  a:number\n  b: name\n");
        assert!(
            forgotten.contains("the blank after each `:`"),
            "{forgotten}"
        );
        let path = help_of("path: \"C:\\data\\a.csv\"\n");
        assert!(path.contains("single quotes"), "{path}");
    }

    #[test]
    fn an_empty_file_is_a_problem() {
        assert!(problems_of("")[0].starts_with("SG0012"));
        assert!(problems_of("# only a comment\n")[0].starts_with("SG0012"));
    }

    proptest! {
        #[test]
        fn places_are_within_the_text(text in "[a-c:{}\\[\\]\"'&*!,|>~\t\n -é]{0,60}") {
            let mut problems = Vec::new();
            read(&text, &mut problems);
            for problem in problems {
                prop_assert!(text.get(problem.at.clone()).is_some(), "{problem:?}");
            }
        }
    }
}
