//! `source.csv`: how delimited text is written.

use super::super::yaml::Is;
use super::{Decoder, Entry, Settings};
use crate::model::{CsvDialect, Header, Ragged};

const CSV: Settings = Settings {
    known: &[
        "delimiter",
        "quote",
        "escape",
        "header",
        "encoding",
        "null_text",
        "comment",
        "skip_rows",
        "ragged",
    ],
    later: &[],
};

impl Decoder {
    pub(super) fn csv(&mut self, entry: Entry<'_>) -> Option<CsvDialect> {
        let form = self.form(entry, &CSV)?;
        let standard = CsvDialect::default();
        let quote = match form.get("quote") {
            Some(entry) if entry.node.text() == Some("none") => None,
            Some(entry) => self.byte(entry).or(standard.quote),
            None => standard.quote,
        };
        let delimiter = form.get("delimiter").and_then(|it| self.byte(it));
        let escape = form.get("escape").and_then(|it| self.byte(it));
        let comment = form.get("comment").and_then(|it| self.byte(it));
        for (name, byte) in [("quote", quote), ("comment", comment)] {
            if let (Some(byte), Some(entry)) = (byte, form.get("delimiter"))
                && delimiter == Some(byte)
            {
                let title = format!("cannot be the same as `{name}`");
                self.bad(entry, &title, "Give each a character of its own.");
            }
        }
        let header = form.get("header").and_then(|it| self.header(it));
        let encoding = form.get("encoding").and_then(|it| self.text(it));
        let null_text = form.get("null_text").and_then(|it| self.texts(it));
        let skip_rows = form.get("skip_rows").and_then(|it| self.count(it));
        let words = &[("reject", Ragged::Reject), ("pad", Ragged::Pad)];
        let ragged = form.get("ragged").and_then(|it| self.word(it, words, &[]));
        Some(CsvDialect {
            delimiter,
            quote,
            escape,
            header: header.unwrap_or(standard.header),
            encoding: encoding.map_or(standard.encoding, |it| it.value),
            null_text: null_text.map_or(standard.null_text, |texts| {
                texts.into_iter().map(|it| it.value).collect()
            }),
            comment,
            skip_rows: skip_rows.unwrap_or(standard.skip_rows),
            ragged: ragged.map_or(standard.ragged, |it| it.value),
        })
    }

    /// A character that is one byte in every encoding that is read, and that no line ends with.
    fn byte(&mut self, entry: Entry<'_>) -> Option<u8> {
        let character = self.character(entry)?.value;
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(byte),
            _ => {
                let help = "Take one such as `,` `;` `|` or a tab, `\"\\t\"`.";
                self.bad(entry, "takes an ASCII character", help);
                None
            }
        }
    }

    fn header(&mut self, entry: Entry<'_>) -> Option<Header> {
        if matches!(entry.node.is, Is::List(_)) {
            let names = self.texts(entry)?;
            if names.is_empty() || names.iter().any(|it| it.value.is_empty()) {
                let help = "Write `true`, `false`, or the names of all columns.";
                self.bad(entry, "names every column", help);
                return None;
            }
            return Some(Header::Names(
                names.into_iter().map(|it| it.value).collect(),
            ));
        }
        let found = self.flag(entry)?.value;
        Some(if found {
            Header::FirstRow
        } else {
            Header::None
        })
    }
}
