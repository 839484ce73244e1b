//! Resource paths: entity set, key, and what follows.
//!
//! Two places hold keys and treat them differently. In a URL the server decodes the path before
//! its own checks, so some characters never work, encoded or not. In a bind string nothing is
//! decoded and only a few characters are refused. Source: Microsoft Learn, "Use an alternate key to
//! reference a record"; the rule of binds is as integrators report.

use std::borrow::Cow;

use jiff::civil::Date;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::model::Layout;
use crate::refusal::Refusal;
use crate::request::decoded;
use crate::schema::ColumnKind;
use crate::table::moment;
use crate::table::value::{Column, Value};

/// A path below the API's root, decoded: `contacts(emailaddress1='a')/fullname`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `contacts`, or another first segment.
    pub(crate) segment: String,
    /// What stands in its parentheses.
    pub(crate) key: Option<Predicate>,
    /// What follows, without the slash.
    pub(crate) rest: Option<String>,
}

/// A key as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Predicate {
    /// `()`
    Empty,
    /// `(00000000-…)`
    Id(Uuid),
    /// `(a='x',b=2)`
    Pairs(Vec<(String, Literal)>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    Quoted(String),
    Bare(String),
}

/// A key that the table has.
#[derive(Debug, PartialEq)]
pub(crate) enum RowKey {
    Id(Uuid),
    Alternate {
        /// The key's number.
        number: usize,
        /// In the key's order.
        values: Vec<(Column, Value<'static>)>,
    },
}

/// Where a path stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a request line, of HTTP or of a batch.
    Url,
    /// In the value of `@odata.bind`.
    Bind,
}

/// Never work in the keys of a URL.
const REFUSED_IN_URL: [char; 10] = ['/', '<', '>', '*', '%', '&', ':', '\\', '?', '+'];
const REFUSED_IN_BIND: [char; 3] = ['/', '\\', '#'];

impl RowKey {
    /// The id that a row gets by being created under this key, if the key says it.
    pub(crate) fn id(&self, layout: &Layout) -> Option<Uuid> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Alternate { values, .. } => {
                values.iter().find_map(|(column, value)| match value {
                    Value::Guid(id) if Some(*column) == layout.special.id => Some(*id),
                    _ => None,
                })
            }
        }
    }
}

impl Place {
    fn refuses(self, character: char) -> bool {
        let refused: &[char] = match self {
            Self::Url => &REFUSED_IN_URL,
            Self::Bind => &REFUSED_IN_BIND,
        };
        refused.contains(&character) || character.is_control()
    }
}

/// Reads a path below the API's root, still encoded.
pub(crate) fn parse(path: &str, place: Place) -> Result<Address, Refusal> {
    let path = match place {
        Place::Url => decoded(path).ok_or_else(Refusal::query_syntax)?,
        Place::Bind => Cow::Borrowed(path),
    };
    let end = path.find(['(', '/']).unwrap_or(path.len());
    let (segment, rest) = path.split_at_checked(end).unwrap_or((&path, ""));
    let (key, rest) = match rest.strip_prefix('(') {
        Some(inner) => {
            let (key, rest) = predicate(inner, place)?;
            (Some(key), rest)
        }
        None => (None, rest),
    };
    let rest = match rest.strip_prefix('/') {
        Some(rest) => Some(rest.to_owned()),
        None if rest.is_empty() => None,
        None => return Err(Refusal::query_syntax()),
    };
    Ok(Address {
        segment: segment.to_owned(),
        key,
        rest,
    })
}

/// Reads up to the closing parenthesis and returns what follows it.
fn predicate(text: &str, place: Place) -> Result<(Predicate, &str), Refusal> {
    if let Some(rest) = text.strip_prefix(')') {
        return Ok((Predicate::Empty, rest));
    }
    if let Some((inner, rest)) = text.split_once(')')
        && let Some(id) = guid(inner)
    {
        return Ok((Predicate::Id(id), rest));
    }
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=').ok_or_else(Refusal::query_syntax)?;
        if !is_name(name) {
            return Err(Refusal::query_syntax());
        }
        let (literal, after) = literal(after, place)?;
        pairs.push((name.to_owned(), literal));
        if let Some(after) = after.strip_prefix(')') {
            return Ok((Predicate::Pairs(pairs), after));
        }
        rest = after.strip_prefix(',').ok_or_else(Refusal::query_syntax)?;
    }
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = characters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_');
    starts && characters.all(|c| c.is_alphanumeric() || c == '_')
}

fn literal(text: &str, place: Place) -> Result<(Literal, &str), Refusal> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find([',', ')']).ok_or_else(Refusal::query_syntax)?;
        let (bare, rest) = text
            .split_at_checked(end)
            .ok_or_else(Refusal::query_syntax)?;
        if bare
            .chars()
            .any(|c| place.refuses(c) || c == '@' || c == '\'')
        {
            return Err(Refusal::query_syntax());
        }
        return Ok((Literal::Bare(bare.to_owned()), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((place_of, character)) = characters.next() {
        if character != '\'' {
            if place.refuses(character) {
                return Err(Refusal::query_syntax());
            }
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            let rest = quoted.get(place_of + 1..).unwrap_or_default();
            return Ok((Literal::Quoted(value), rest));
        }
    }
    Err(Refusal::query_syntax())
}

/// A GUID as OData writes it: hyphens, no braces.
pub(crate) fn guid(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok()
}

/// Users and teams are kept under the id that they inherit as owners.
fn id_names(layout: &Layout) -> &str {
    match layout.def.logical_name.as_str() {
        "systemuser" | "team" => "ownerid",
        _ => &layout.def.primary_id,
    }
}

/// Finds the key of the table that a predicate means.
pub(crate) fn resolve(layout: &Layout, predicate: &Predicate) -> Result<RowKey, Refusal> {
    let wrong = || Refusal::wrong_key(&layout.def.logical_name);
    let pairs = match predicate {
        Predicate::Empty => return Err(wrong()),
        Predicate::Id(id) => return Ok(RowKey::Id(*id)),
        Predicate::Pairs(pairs) => pairs,
    };
    if let [(name, literal)] = pairs.as_slice()
        && name == id_names(layout)
    {
        return match literal {
            Literal::Bare(bare) => guid(bare).map(RowKey::Id),
            Literal::Quoted(_) => None,
        }
        .ok_or_else(Refusal::query_syntax);
    }
    let mut named = Vec::with_capacity(pairs.len());
    for (name, literal) in pairs {
        let column = layout.readable(name).ok_or_else(wrong)?;
        named.push((column, literal));
    }
    let is_meant = |columns: &[Column]| {
        columns.len() == named.len()
            && columns
                .iter()
                .all(|column| named.iter().any(|(named, _)| named == column))
    };
    let number = layout.keys.iter().position(|key| is_meant(&key.columns));
    let number = number.ok_or_else(wrong)?;
    let columns = layout.keys.get(number).map(|key| &*key.columns);
    let mut values = Vec::with_capacity(named.len());
    for column in columns.unwrap_or_default() {
        let literal = named.iter().find(|(named, _)| named == column);
        let (_, literal) = literal.ok_or_else(wrong)?;
        let value = key_value(layout, *column, literal).ok_or_else(Refusal::query_syntax)?;
        values.push((*column, value));
    }
    Ok(RowKey::Alternate { number, values })
}

fn key_value(layout: &Layout, column: Column, literal: &Literal) -> Option<Value<'static>> {
    let kind = &layout.column(column)?.kind;
    match (kind, literal) {
        (ColumnKind::Text { .. }, Literal::Quoted(text)) => {
            Some(Value::Text(Cow::Owned(text.clone())))
        }
        (ColumnKind::Integer { .. } | ColumnKind::Picklist { .. }, Literal::Bare(bare)) => {
            bare.parse().ok().map(Value::Integer)
        }
        (ColumnKind::Decimal { .. }, Literal::Bare(bare)) => {
            bare.parse::<Decimal>().ok().map(Value::Decimal)
        }
        (ColumnKind::Date, Literal::Bare(bare)) => bare.parse::<Date>().ok().map(Value::Date),
        // Only a day: the colons of a time never work in a URL.
        (ColumnKind::DateTime | ColumnKind::DateTimeIndependent, Literal::Bare(bare)) => {
            let midnight = || moment::date_time(&format!("{bare}T00:00:00Z"));
            let seconds = moment::date_time(bare).or_else(midnight)?;
            Some(Value::DateTime(seconds))
        }
        // Only the key of elastic tables has one: their id.
        (ColumnKind::Guid, Literal::Bare(bare)) => guid(bare).map(Value::Guid),
        (ColumnKind::Lookup { .. }, Literal::Bare(bare)) => {
            let id = guid(bare)?;
            let table = *layout.targets(column).first()?;
            Some(Value::Reference { table, id })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(path: &str) -> Vec<(String, Literal)> {
        match parse(path, Place::Url).unwrap().key {
            Some(Predicate::Pairs(pairs)) => pairs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_has_a_set_a_key_and_more() {
        let id = "00000000-0000-0000-0000-000000000001";
        let address = parse(&format!("accounts({id})/name"), Place::Url).unwrap();
        assert_eq!(address.segment, "accounts");
        assert_eq!(address.key, Some(Predicate::Id(Uuid::from_u128(1))));
        assert_eq!(address.rest.as_deref(), Some("name"));
    }

    #[test]
    fn quotes_are_doubled_and_separators_stay_inside_them() {
        assert_eq!(
            pairs("c(a='O''Br%27%27ian, (Joe)',b=2)"),
            [
                ("a".into(), Literal::Quoted("O'Br'ian, (Joe)".into())),
                ("b".into(), Literal::Bare("2".into())),
            ]
        );
    }

    #[test]
    fn some_characters_never_work_in_a_url() {
        for character in REFUSED_IN_URL {
            let encoded = format!("c(a='x%{:02X}y')", u32::from(character));
            assert_eq!(parse(&encoded, Place::Url), Err(Refusal::query_syntax()));
        }
        assert!(parse("c(a='x%23y@z.de')", Place::Url).is_ok());
        assert!(parse("c(a=@p)", Place::Url).is_err());
        assert!(parse("c({00000000-0000-0000-0000-000000000001})", Place::Url).is_err());
    }

    #[test]
    fn a_bind_is_not_decoded() {
        let address = parse("c(a='x%23*<>&:y')", Place::Bind).unwrap();
        let literal = Literal::Quoted("x%23*<>&:y".into());
        assert_eq!(
            address.key,
            Some(Predicate::Pairs(vec![("a".into(), literal)]))
        );
        for character in REFUSED_IN_BIND {
            assert!(parse(&format!("c(a='x{character}y')"), Place::Bind).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in ".{0,60}") {
            let _url = parse(&path, Place::Url);
            let _bind = parse(&path, Place::Bind);
        }
    }
}
