//! Settings that take one of a few words, or a form of their own in braces.

use super::super::compile_words::{closest, listed};
use super::super::convert::shown;
use super::{Decoder, Entry};
use crate::mapping::Written;

impl Decoder {
    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        entry: Entry<'_>,
        words: &[(&str, T)],
        later: &[&str],
    ) -> Option<Written<T>> {
        self.word_or(entry, words, later, "")
    }

    /// One of a few words. `forms` tells what else may stand there, with what joins it.
    pub(super) fn word_or<T: Copy>(
        &mut self,
        entry: Entry<'_>,
        words: &[(&str, T)],
        later: &[&str],
        forms: &str,
    ) -> Option<Written<T>> {
        let names = || words.iter().map(|(word, _)| *word);
        let Some(text) = entry.node.text().filter(|_| !entry.node.is_null()) else {
            self.misfit(
                entry,
                "takes one word",
                format!("Write one of {}{forms}.", listed(names())),
            );
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(entry.written(*value));
        }
        if later.contains(&text) {
            self.unsupported(entry.place(), &format!("{}: {text}", entry.name));
            return None;
        }
        let meant = closest(text, names())
            .filter(|_| words.len() > 1)
            .map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        let help = format!("{meant}It takes {}{forms}.", listed(names()));
        self.bad(entry, &format!("cannot be `{}`", shown(text)), help);
        None
    }
}
