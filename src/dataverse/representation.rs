//! Reads what upserts bring back: which record it was, and when and by whom it was created.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use memchr::memchr2;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::body::label;
use crate::model::{Made, RecordId};

/// A reader of the records of one answer.
pub(super) struct Representations<'t> {
    primary_id: &'t str,
    label_of_id: String,
    // Most records of an answer begin alike, and were created in the same second and by one user.
    opening: Option<Vec<u8>>,
    on: Last<Timestamp>,
    by: Last<RecordId>,
}

impl<'t> Representations<'t> {
    /// The records of a table with that primary id.
    pub(super) fn new(primary_id: &'t str) -> Self {
        Self {
            primary_id,
            label_of_id: label(primary_id),
            opening: None,
            on: Last::default(),
            by: Last::default(),
        }
    }

    /// What was asked back of an upsert: the primary id, and when and by whom the record was created.
    pub(super) fn read(&mut self, body: &[u8]) -> (Option<RecordId>, Option<Made>) {
        let mut wanted = Wanted {
            primary_id: self.primary_id,
            label_of_id: &self.label_of_id,
            usual: Usual::default(),
        };
        let opening = self.opening.get_or_insert_with(|| {
            let opening = wanted.opening_of(body);
            opening.unwrap_or_default().to_vec()
        });
        wanted.usual = Usual {
            opening,
            on: self.on.readable(),
            by: self.by.readable(),
        };
        let Some(row) = wanted.of_texts(body).or_else(|| wanted.of_json(body)) else {
            return (None, None);
        };
        let on = row.createdon.and_then(|on| self.on.or_read(&on, instant));
        let by = row.by.and_then(|by| self.by.or_read(&by, id));
        let made = on.zip(by).map(|(on, by)| Made { on, by });
        (row.id, made)
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
    /// The text, if it says something; then it has neither quotes nor escapes.
    fn readable(&self) -> Option<&[u8]> {
        self.value.map(|_| self.text.as_slice())
    }

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
    usual: Usual<'n>,
}

/// What a record is likely to have in common with the one before.
#[derive(Clone, Copy, Default)]
struct Usual<'n> {
    /// What stands before its first member that was asked for, or a part of it.
    opening: &'n [u8],
    on: Option<&'n [u8]>,
    by: Option<&'n [u8]>,
}

/// The text of a member, if it is there; borrowed where it has no escapes.
type Found<'a> = Option<Cow<'a, [u8]>>;

/// What was asked for of a record.
#[derive(Debug, PartialEq, Default)]
struct Row<'a> {
    id: Option<RecordId>,
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
        rest = rest.strip_prefix(self.usual.opening).unwrap_or(rest);
        loop {
            rest = match self.member_of_texts(rest, &mut row)? {
                [b',', rest @ ..] => rest,
                [b'}', ..] => return Some(row),
                _ => return None,
            };
        }
    }

    /// Reads the member at the beginning of what is left of an object; returns what follows it.
    fn member_of_texts<'a>(self, json: &'a [u8], row: &mut Row<'a>) -> Option<&'a [u8]> {
        if let Some(json) = json.strip_prefix(self.label_of_id.as_bytes()) {
            if let Some((id, after)) = hyphenated(json) {
                row.id = Some(id);
                return Some(after);
            }
            let value = Quoted::at_the_beginning_of(json)?;
            row.id = id(value.without_escapes()?);
            return Some(value.after);
        }
        let (member, usual, json) = if let Some(json) = json.strip_prefix(CREATED_ON.as_bytes()) {
            (&mut row.createdon, self.usual.on, json)
        } else if let Some(json) = json.strip_prefix(CREATED_BY.as_bytes()) {
            (&mut row.by, self.usual.by, json)
        } else {
            return passed_over(json);
        };
        let value = match usual.and_then(|usual| Quoted::of(usual, json)) {
            Some(usual) => usual,
            None => Quoted::at_the_beginning_of(json)?,
        };
        *member = Some(Cow::Borrowed(value.without_escapes()?));
        Some(value.after)
    }

    /// What a record begins with that was not asked for: its first member, if another one follows.
    fn opening_of(self, body: &[u8]) -> Option<&[u8]> {
        let json = body.strip_prefix(b"{")?;
        let wanted = [self.label_of_id, CREATED_ON, CREATED_BY];
        if wanted
            .iter()
            .any(|label| json.starts_with(label.as_bytes()))
        {
            return None;
        }
        let after = passed_over(json)?.strip_prefix(b",")?;
        json.get(..json.len() - after.len())
    }

    /// Reads any object.
    fn of_json(self, body: &[u8]) -> Option<Row<'_>> {
        // Checked once as a whole, it need not be checked member by member.
        let body = std::str::from_utf8(body).ok()?;
        let mut json = serde_json::Deserializer::from_str(body);
        json.deserialize_map(self).ok()
    }
}

const CREATED_ON: &str = "\"createdon\":";

const CREATED_BY: &str = "\"_createdby_value\":";

/// What follows a member that was not asked for. With escapes its name may be one of those that were.
fn passed_over(json: &[u8]) -> Option<&[u8]> {
    if let Some(after) = version(json) {
        return Some(after);
    }
    let name = Quoted::at_the_beginning_of(json)?;
    name.without_escapes()?;
    let value = Quoted::at_the_beginning_of(name.after.strip_prefix(b":")?)?;
    Some(value.after)
}

/// What follows the version of a record as the service writes it: nearly every record has one, and no two the same.
fn version(json: &[u8]) -> Option<&[u8]> {
    let version = json.strip_prefix(br#""@odata.etag":"W/\""#)?;
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
    version.get(digits.count()..)?.strip_prefix(br#"\"""#)
}

/// A GUID in its quotes as the service writes it, and what follows it.
fn hyphenated(json: &[u8]) -> Option<(RecordId, &[u8])> {
    let text = json.strip_prefix(b"\"")?;
    let (digits, rest) = text.split_at_checked(Hyphenated::LENGTH)?;
    Some((id(digits)?, rest.strip_prefix(b"\"")?))
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
    /// That text, which has neither quotes nor escapes; `None` if it is not there.
    fn of(text: &[u8], json: &'a [u8]) -> Option<Self> {
        let inside = json.strip_prefix(b"\"")?;
        let after = inside.strip_prefix(text)?.strip_prefix(b"\"")?;
        Some(Self {
            inside: inside.get(..text.len())?,
            escapes: 0,
            after,
        })
    }

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
            let member = match &*name {
                name if name == self.primary_id => {
                    let text = members.next_value::<Option<Text<'_>>>()?;
                    row.id = text.and_then(|text| id(&text.bytes()));
                    continue;
                }
                "createdon" => &mut row.createdon,
                "_createdby_value" => &mut row.by,
                _ => {
                    let IgnoredAny = members.next_value()?;
                    continue;
                }
            };
            *member = members.next_value::<Option<Text<'_>>>()?.map(Text::bytes);
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
        usual: Usual {
            opening: b"",
            on: None,
            by: None,
        },
    };

    /// After a record that had something in common with others.
    const LIKE_OTHERS: Wanted<'static> = Wanted {
        usual: Usual {
            opening: b"\"a\":\"b\",",
            on: Some(b"a"),
            by: Some(b"x"),
        },
        ..WANTED
    };

    /// As the service answers an upsert.
    const USUAL: &str = r#"{"@odata.context":"https://o/api/data/v9.2/$metadata#contacts(contactid,createdon,_createdby_value)/$entity","@odata.etag":"W/\"71004878\"","contactid":"0000000a-0000-0000-0000-000000000000","createdon":"2026-11-21T03:00:00Z","_createdby_value":"00000000-0000-0000-0000-00000000000b"}"#;

    #[test]
    fn what_the_service_usually_writes_is_read_at_once() {
        let row = WANTED.of_texts(USUAL.as_bytes()).unwrap();
        assert_eq!(row.id, id(b"0000000a-0000-0000-0000-000000000000"));
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
                Just("\"@odata.etag\":\"W/\\\"7\\\"\""), Just("\"@odata.etag\":\"W/\\\""),
                Just("\"\\\"\""), Just("\"a\\u0041\""), Just("\"é\""), Just("\u{1}"), Just("[1,{}]"), Just("7"), Just("\\x"),
            ],
            0..12,
        ), whole: bool) {
            let inside = pieces.concat();
            let body = if whole { format!("{{{inside}}}") } else { inside };
            let row = WANTED.of_texts(body.as_bytes());
            prop_assert_eq!(&row, &LIKE_OTHERS.of_texts(body.as_bytes()));
            if row.is_some() {
                prop_assert_eq!(row, WANTED.of_json(body.as_bytes()));
            }
        }

        #[test]
        fn members_in_any_order_are_read_alike(members in proptest::collection::vec(
            ("contactid|createdon|_createdby_value|[a-z\\\\\"]{0,4}", "[ -~é\\t]{0,6}|a\\\\\"b"), 0..6,
        )) {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
            let body = format!("{{{}}}", members.join(","));
            let row = WANTED.of_texts(body.as_bytes());
            prop_assert_eq!(&row, &LIKE_OTHERS.of_texts(body.as_bytes()));
            if row.is_some() {
                prop_assert_eq!(row, WANTED.of_json(body.as_bytes()));
            }
        }
    }
}
