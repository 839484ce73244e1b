//! Reads what upserts bring back: which record it was, and when and by whom it was created.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use memchr::memchr2;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use uuid::Uuid;

use super::body::label;
use crate::model::{Made, RecordId};

/// A reader of the records of one answer.
pub(super) struct Representations<'t> {
    primary_id: &'t str,
    label_of_id: String,
    // Most records of an answer were created in the same second, and by one user.
    on: Last<Timestamp>,
    by: Last<RecordId>,
}

impl<'t> Representations<'t> {
    /// The records of a table with that primary id.
    pub(super) fn new(primary_id: &'t str) -> Self {
        Self {
            primary_id,
            label_of_id: label(primary_id),
            on: Last::default(),
            by: Last::default(),
        }
    }

    /// What was asked back of an upsert: the primary id, and when and by whom the record was created.
    pub(super) fn read(&mut self, body: &[u8]) -> (Option<RecordId>, Option<Made>) {
        let wanted = Wanted {
            primary_id: self.primary_id,
            label_of_id: &self.label_of_id,
        };
        let Some(row) = wanted.of_texts(body).or_else(|| wanted.of_json(body)) else {
            return (None, None);
        };
        let made = row.createdon.zip(row.by).and_then(|(on, by)| {
            let on = self.on.or_read(&on, instant)?;
            let by = self.by.or_read(&by, id)?;
            Some(Made { on, by })
        });
        (row.id.and_then(|text| id(&text)), made)
    }
}

fn id(text: &[u8]) -> Option<RecordId> {
    Uuid::try_parse_ascii(text).ok().map(RecordId)
}

fn instant(text: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The text that was read last, and what it says.
struct Last<T> {
    text: Vec<u8>,
    value: Option<T>,
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            value: None,
        }
    }
}

impl<T: Copy> Last<T> {
    fn or_read(&mut self, text: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        if self.text != text {
            text.clone_into(&mut self.text);
            self.value = read(text);
        }
        self.value
    }
}

/// Picks the three members that were asked for; the rest is passed over.
#[derive(Clone, Copy)]
struct Wanted<'n> {
    primary_id: &'n str,
    /// The same as it stands in an object: `"contactid":`
    label_of_id: &'n str,
}

/// The text of a member, if it is there; borrowed where it has no escapes.
type Found<'a> = Option<Cow<'a, [u8]>>;

/// What was asked for of a record.
#[derive(Debug, PartialEq, Default)]
struct Row<'a> {
    id: Found<'a>,
    createdon: Found<'a>,
    by: Found<'a>,
}

impl Wanted<'_> {
    /// Reads the object that the service writes: each member is a text, and there is no blank between them. `None` where
    /// it is anything else, or where more would have to be known of JSON to read it.
    fn of_texts(self, body: &[u8]) -> Option<Row<'_>> {
        if has_oddities(body) {
            return None;
        }
        let mut row = Row::default();
        let mut rest = body.strip_prefix(b"{")?;
        loop {
            let value = if let Some((member, rest)) = self.labelled(rest, &mut row) {
                let value = Quoted::at_the_beginning_of(rest)?;
                *member = Some(Cow::Borrowed(value.without_escapes()?));
                value
            } else {
                let name = Quoted::at_the_beginning_of(rest)?;
                // With escapes it may be one of those that are wanted.
                name.without_escapes()?;
                Quoted::at_the_beginning_of(name.after.strip_prefix(b":")?)?
            };
            rest = match value.after {
                [b',', rest @ ..] => rest,
                [b'}', ..] => return Some(row),
                _ => return None,
            };
        }
    }

    /// Reads any object.
    fn of_json(self, body: &[u8]) -> Option<Row<'_>> {
        // Checked once as a whole, it need not be checked member by member.
        let body = std::str::from_utf8(body).ok()?;
        let mut json = serde_json::Deserializer::from_str(body);
        json.deserialize_map(self).ok()
    }

    /// The wanted member that stands there, and what follows its name.
    fn labelled<'r, 'a>(
        self,
        json: &'a [u8],
        row: &'r mut Row<'a>,
    ) -> Option<(&'r mut Found<'a>, &'a [u8])> {
        if let Some(rest) = json.strip_prefix(self.label_of_id.as_bytes()) {
            Some((&mut row.id, rest))
        } else if let Some(rest) = json.strip_prefix(b"\"createdon\":") {
            Some((&mut row.createdon, rest))
        } else {
            let rest = json.strip_prefix(b"\"_createdby_value\":")?;
            Some((&mut row.by, rest))
        }
    }

    fn member<'r, 'a>(self, name: &str, row: &'r mut Row<'a>) -> Option<&'r mut Found<'a>> {
        match name {
            name if name == self.primary_id => Some(&mut row.id),
            "createdon" => Some(&mut row.createdon),
            "_createdby_value" => Some(&mut row.by),
            _ => None,
        }
    }
}

/// Whether there is anything but ASCII that can be printed: no text of JSON may have control characters, and others take
/// several bytes. It is looked at to its end whatever is found, so that many bytes are looked at at once.
fn has_oddities(body: &[u8]) -> bool {
    let is_odd = |byte: u8| !(b' '..0x7f).contains(&byte);
    body.iter()
        .fold(0, |any, byte| any | u8::from(is_odd(*byte)))
        != 0
}

/// A text of JSON as it is written.
struct Quoted<'a> {
    /// What stands between its quotes.
    inside: &'a [u8],
    escapes: usize,
    /// What follows it.
    after: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// `None` if no text is there, or if it has no end, or an escape of more than one character.
    fn at_the_beginning_of(json: &'a [u8]) -> Option<Self> {
        let text = json.strip_prefix(b"\"")?;
        let mut end = memchr2(b'"', b'\\', text)?;
        let mut escapes = 0;
        while let [b'\\', escaped, rest @ ..] = text.get(end..)? {
            if !b"\"\\/bfnrt".contains(escaped) {
                return None;
            }
            escapes += 1;
            end += 2 + memchr2(b'"', b'\\', rest)?;
        }
        Some(Self {
            inside: text.get(..end)?,
            escapes,
            after: text.get(end + 1..)?,
        })
    }

    fn without_escapes(&self) -> Option<&'a [u8]> {
        (self.escapes == 0).then_some(self.inside)
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    fn bytes(self) -> Cow<'a, [u8]> {
        match self.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Row<'de>, A::Error> {
        let mut row = Row::default();
        while let Some(Text(name)) = members.next_key()? {
            match self.member(&name, &mut row) {
                Some(member) => {
                    *member = members.next_value::<Option<Text<'_>>>()?.map(Text::bytes);
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: Wanted<'static> = Wanted {
        primary_id: "contactid",
        label_of_id: "\"contactid\":",
    };

    /// As the service answers an upsert.
    const USUAL: &str = r#"{"@odata.context":"https://o/api/data/v9.2/$metadata#contacts(contactid,createdon,_createdby_value)/$entity","@odata.etag":"W/\"71004878\"","contactid":"0000000a-0000-0000-0000-000000000000","createdon":"2026-11-21T03:00:00Z","_createdby_value":"00000000-0000-0000-0000-00000000000b"}"#;

    #[test]
    fn what_the_service_usually_writes_is_read_at_once() {
        let row = WANTED.of_texts(USUAL.as_bytes()).unwrap();
        assert_eq!(
            row.id.as_deref(),
            Some(&b"0000000a-0000-0000-0000-000000000000"[..])
        );
        assert_eq!(row.createdon.as_deref(), Some(&b"2026-11-21T03:00:00Z"[..]));
        assert_eq!(Some(row), WANTED.of_json(USUAL.as_bytes()));
    }

    #[test]
    fn each_record_is_told_for_itself() {
        let mut records = Representations::new("contactid");
        let (id, first) = records.read(USUAL.as_bytes());
        assert_eq!(
            id,
            Some(RecordId(
                "0000000a-0000-0000-0000-000000000000".parse().unwrap()
            ))
        );
        let later = USUAL.replace("T03:00:00Z", "T03:00:01Z");
        let (_, second) = records.read(later.as_bytes());
        assert_eq!(
            second.unwrap().on.as_second() - first.unwrap().on.as_second(),
            1
        );
        let unreadable = USUAL.replace("T03:00:00Z", "T03");
        assert_eq!(records.read(unreadable.as_bytes()), (id, None));
        assert_eq!(records.read(unreadable.as_bytes()), (id, None));
        assert_eq!(records.read(USUAL.as_bytes()), (id, first));
    }

    proptest! {
        /// Whatever is read without a reader of JSON is read as that one does.
        #[test]
        fn both_readings_agree(pieces in proptest::collection::vec(
            prop_oneof![
                Just("{"), Just("}"), Just(","), Just(":"), Just("\""), Just("\\"), Just(" "), Just("\n"), Just("null"),
                Just("\"contactid\""), Just("\"createdon\":"), Just("\"_createdby_value\":\"x\""), Just("\"a\":\"b\""),
                Just("\"\\\"\""), Just("\"a\\u0041\""), Just("\"é\""), Just("\u{1}"), Just("[1,{}]"), Just("7"), Just("\\x"),
            ],
            0..12,
        ), whole: bool) {
            let inside = pieces.concat();
            let body = if whole { format!("{{{inside}}}") } else { inside };
            if let Some(row) = WANTED.of_texts(body.as_bytes()) {
                prop_assert_eq!(Some(row), WANTED.of_json(body.as_bytes()));
            }
        }

        #[test]
        fn members_in_any_order_are_read_alike(members in proptest::collection::vec(
            ("contactid|createdon|_createdby_value|[a-z\\\\\"]{0,4}", "[ -~é\\t]{0,6}|a\\\\\"b"), 0..6,
        )) {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
            let body = format!("{{{}}}", members.join(","));
            if let Some(row) = WANTED.of_texts(body.as_bytes()) {
                prop_assert_eq!(Some(row), WANTED.of_json(body.as_bytes()));
            }
        }
    }
}
