//! From the YAML tree to settings: every reader notes what is wrong and goes on, so that one look tells it all.

mod columns;
mod csv;
mod mapping;
mod words;

pub(super) use mapping::decode;

use std::ops::Range;

use super::Written;
use super::compile_words::{closest, listed};
use super::convert::shown;
use super::problem::{Problem, ProblemCode, codes};
use super::yaml::{Is, Node};

/// The names that a group of settings has.
pub(super) struct Settings {
    pub(super) known: &'static [&'static str],
    /// Part of the language, not of this version.
    pub(super) later: &'static [&'static str],
}

/// One setting that is written.
#[derive(Clone, Copy)]
pub(super) struct Entry<'n> {
    pub(super) key: &'n Node,
    pub(super) name: &'n str,
    pub(super) node: &'n Node,
}

impl Entry<'_> {
    /// Where a problem with the value points: the value, or the name where there is nothing to point at.
    pub(super) fn place(&self) -> Range<usize> {
        if self.node.at.is_empty() {
            self.key.at.clone()
        } else {
            self.node.at.clone()
        }
    }

    fn written<T>(&self, value: T) -> Written<T> {
        Written {
            value,
            at: self.place(),
        }
    }
}

/// Settings that belong together, each name once.
pub(super) struct Form<'n> {
    pub(super) entries: Vec<Entry<'n>>,
    /// Where a problem with the whole points.
    pub(super) at: Range<usize>,
}

impl<'n> Form<'n> {
    pub(super) fn get(&self, name: &str) -> Option<Entry<'n>> {
        self.entries.iter().find(|it| it.name == name).copied()
    }
}

/// Gathers the problems of one file.
#[derive(Default)]
pub(super) struct Decoder {
    pub(super) problems: Vec<Problem>,
}

impl Decoder {
    /// Notes a problem: what is wrong, words beside the caret, and what to do.
    pub(super) fn tell(
        &mut self,
        code: ProblemCode,
        at: Range<usize>,
        title: String,
        label: &str,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem {
            code,
            title,
            at,
            label: label.to_owned(),
            help: Some(help.into()),
            other: None,
        });
    }

    /// The settings of a whole file.
    pub(super) fn file<'n>(&mut self, root: &'n Node, settings: &Settings) -> Option<Form<'n>> {
        let Is::Map(pairs) = &root.is else {
            self.tell(
                codes::WRONG_TYPE,
                root.at.clone(),
                "a file holds settings".to_owned(),
                root.in_words(),
                "Write `name: value`, one setting a line; begin with `version: 1`.",
            );
            return None;
        };
        let mut form = self.pairs(pairs, root.at.clone());
        form.at = form
            .entries
            .first()
            .map_or(form.at, |first| first.key.at.clone());
        self.only(&mut form, settings);
        Some(form)
    }

    /// Settings under a setting.
    pub(super) fn form<'n>(&mut self, entry: Entry<'n>, settings: &Settings) -> Option<Form<'n>> {
        let mut form = self.names(entry, || {
            format!("It takes {}.", listed(settings.known.iter().copied()))
        })?;
        self.only(&mut form, settings);
        Some(form)
    }

    /// Entries under a setting whose names are for the user to choose.
    pub(super) fn names<'n>(
        &mut self,
        entry: Entry<'n>,
        help: impl FnOnce() -> String,
    ) -> Option<Form<'n>> {
        if let Is::Map(pairs) = &entry.node.is {
            return Some(self.pairs(pairs, entry.key.at.clone()));
        }
        self.misfit(entry, "holds settings of its own", help());
        None
    }

    fn pairs<'n>(&mut self, pairs: &'n [(Node, Node)], at: Range<usize>) -> Form<'n> {
        let mut entries: Vec<Entry<'n>> = Vec::new();
        for (key, node) in pairs {
            let Some(name) = key.text() else {
                self.unnamed(key, &at);
                continue;
            };
            if name == "<<" {
                self.tell(
                    codes::YAML_FEATURE,
                    key.at.clone(),
                    "merge keys are not used here".to_owned(),
                    "not read",
                    "Write the settings themselves.",
                );
                continue;
            }
            if let Some(first) = entries.iter().find(|it| it.name == name) {
                self.problems.push(Problem {
                    code: codes::SET_TWICE,
                    title: format!("`{}` is set twice", shown(name)),
                    at: key.at.clone(),
                    label: "set again here".to_owned(),
                    help: Some("Keep one of the two.".to_owned()),
                    other: Some((first.key.at.clone(), "first set here".to_owned())),
                });
                continue;
            }
            entries.push(Entry { key, name, node });
        }
        Form { entries, at }
    }

    fn unnamed(&mut self, key: &Node, around: &Range<usize>) {
        if key.is == Is::Refused {
            return;
        }
        let at = match &key.is {
            _ if !key.at.is_empty() => &key.at,
            // Nothing but what stands in it first shows where it begins.
            Is::Map(pairs) => pairs.first().map_or(around, |(first, _)| &first.at),
            Is::List(items) => items.first().map_or(around, |first| &first.at),
            _ => around,
        };
        let help = match &key.is {
            Is::Map(_) => "Put text with `{{ … }}` in quotes.",
            _ => "Write a name before the colon.",
        };
        self.tell(
            codes::WRONG_TYPE,
            at.clone(),
            "the name of a setting is text".to_owned(),
            "not a name",
            help,
        );
    }

    fn only(&mut self, form: &mut Form<'_>, settings: &Settings) {
        form.entries.retain(|entry| {
            let known = settings.known.contains(&entry.name);
            if !known && settings.later.contains(&entry.name) {
                self.unsupported(entry.key.at.clone(), entry.name);
            } else if !known {
                self.unknown(*entry, settings);
            }
            known
        });
    }

    fn unknown(&mut self, entry: Entry<'_>, settings: &Settings) {
        let names = || settings.known.iter().chain(settings.later).copied();
        let help = closest(entry.name, names()).map_or_else(
            || format!("There are {}.", listed(settings.known.iter().copied())),
            |meant| format!("did you mean `{meant}`?"),
        );
        self.tell(
            codes::UNKNOWN_SETTING,
            entry.key.at.clone(),
            format!("there is no setting `{}` here", shown(entry.name)),
            "not known",
            help,
        );
    }

    /// Part of the language, not of this version.
    pub(super) fn unsupported(&mut self, at: Range<usize>, what: &str) {
        self.tell(
            codes::NOT_SUPPORTED,
            at,
            format!("`{}` is not supported by this version", shown(what)),
            "not supported yet",
            "Leave it out.",
        );
    }

    /// A setting that must be there.
    pub(super) fn required<'n>(
        &mut self,
        form: &Form<'n>,
        name: &str,
        help: &str,
    ) -> Option<Entry<'n>> {
        let entry = form.get(name);
        if entry.is_none() {
            self.tell(
                codes::MISSING_SETTING,
                form.at.clone(),
                format!("`{name}` is missing"),
                "must be set here",
                help,
            );
        }
        entry
    }

    /// The value has the wrong shape.
    pub(super) fn misfit(&mut self, entry: Entry<'_>, needs: &str, help: impl Into<String>) {
        let label = match &entry.node.is {
            Is::Refused => return,
            _ => entry.node.in_words(),
        };
        let templated = match &entry.node.is {
            Is::Map(pairs) => pairs.iter().any(|(key, _)| matches!(key.is, Is::Map(_))),
            _ => false,
        };
        let help = if templated {
            "Put text with `{{ … }}` in quotes.".to_owned()
        } else {
            help.into()
        };
        self.tell(
            codes::WRONG_TYPE,
            entry.place(),
            format!("`{}` {needs}", shown(entry.name)),
            label,
            help,
        );
    }

    /// The value has the right shape, but is none of those that the setting takes.
    pub(super) fn bad(&mut self, entry: Entry<'_>, needs: &str, help: impl Into<String>) {
        self.tell(
            codes::BAD_VALUE,
            entry.place(),
            format!("`{}` {needs}", shown(entry.name)),
            "not taken",
            help,
        );
    }

    /// Text that says something.
    pub(super) fn text(&mut self, entry: Entry<'_>) -> Option<Written<String>> {
        let text = entry.node.text().filter(|_| !entry.node.is_null());
        match text {
            Some(text) if !text.trim().is_empty() => Some(entry.written(text.to_owned())),
            Some(_) => {
                self.bad(
                    entry,
                    "must not be empty",
                    "Write the text, or leave the setting out.",
                );
                None
            }
            None => {
                self.misfit(entry, "takes one text", "Write one text after the colon.");
                None
            }
        }
    }

    /// Plain `true` or `false`.
    pub(super) fn flag(&mut self, entry: Entry<'_>) -> Option<Written<bool>> {
        self.word(entry, &[("true", true), ("false", false)], &[])
    }

    /// A whole number from zero.
    pub(super) fn count(&mut self, entry: Entry<'_>) -> Option<u64> {
        let text = entry.node.text().filter(|_| !entry.node.is_null());
        let count = text.and_then(|text| text.parse().ok());
        match text {
            Some(_) if count.is_none() => {
                self.bad(
                    entry,
                    "takes a whole number",
                    "Write digits alone, as `1000`.",
                );
            }
            None => self.misfit(
                entry,
                "takes a whole number",
                "Write digits alone, as `1000`.",
            ),
            Some(_) => {}
        }
        count
    }

    /// One character.
    pub(super) fn character(&mut self, entry: Entry<'_>) -> Option<Written<char>> {
        const HELP: &str = "Write it in double quotes: `\"|\"`, `\"\\t\"` for a tab.";
        let Some(text) = entry.node.text() else {
            self.misfit(entry, "takes one character", HELP);
            return None;
        };
        let mut characters = text.chars();
        if let (Some(character), None) = (characters.next(), characters.next()) {
            return Some(entry.written(character));
        }
        self.bad(entry, "takes one character", HELP);
        None
    }

    /// A list of texts, or one text; a text may be empty where it is quoted.
    pub(super) fn texts(&mut self, entry: Entry<'_>) -> Option<Vec<Written<String>>> {
        let nodes = match &entry.node.is {
            Is::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(entry.node),
        };
        let mut texts = Vec::new();
        for node in nodes {
            let entry = Entry { node, ..entry };
            match node.text() {
                Some(text) if !node.is_null() => texts.push(entry.written(text.to_owned())),
                _ => {
                    let help = "Write texts alone, with commas: `[one, two]`.";
                    self.misfit(entry, "takes texts", help);
                }
            }
        }
        (texts.len() == nodes.len()).then_some(texts)
    }
}
