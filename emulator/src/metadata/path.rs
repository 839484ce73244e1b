//! The path of a request: `EntityDefinitions(LogicalName='contact')/Attributes`.

use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::refusal::Refusal;

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Entities,
    GlobalOptionSets,
    Relationships,
}

/// A path, decoded.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) root: Root,
    pub(super) segments: Vec<Segment>,
}

/// `Attributes(LogicalName='name')`
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) key: Option<Key>,
}

/// What stands in parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A metadata id.
    Id(Uuid),
    /// `LogicalName='name'`
    Name {
        /// `LogicalName`
        property: String,
        /// `name`
        value: String,
    },
}

/// Tells from the first segment whether the path is about definitions.
pub(super) fn root(path: &str) -> Option<Root> {
    let first = path.trim_start_matches('/').split(['/', '(']).next()?;
    match first {
        "EntityDefinitions" => Some(Root::Entities),
        "RelationshipDefinitions" => Some(Root::Relationships),
        "GlobalOptionSetDefinitions" => Some(Root::GlobalOptionSets),
        _ => None,
    }
}

impl Path {
    pub(super) fn parse(root: Root, path: &str) -> Result<Self, Refusal> {
        let segments = path
            .trim_start_matches('/')
            .trim_end_matches('/')
            .split('/')
            .map(Segment::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { root, segments })
    }

    /// The last segment, and the path before it, if there is one.
    pub(super) fn split_last(&self) -> (Segment, Option<Self>) {
        let (last, before) = match self.segments.split_last() {
            Some((last, before)) => (last.clone(), before.to_vec()),
            None => (Segment::default(), Vec::new()),
        };
        let before = (!before.is_empty()).then_some(Self {
            root: self.root,
            segments: before,
        });
        (last, before)
    }
}

impl Segment {
    fn parse(raw: &str) -> Result<Self, Refusal> {
        let text = percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| bad_syntax())?;
        let Some((name, rest)) = text.split_once('(') else {
            return Ok(Self {
                name: text.into_owned(),
                key: None,
            });
        };
        let key = rest.strip_suffix(')').ok_or_else(bad_syntax)?;
        Ok(Self {
            name: name.to_owned(),
            key: Some(Key::parse(key.trim())?),
        })
    }
}

impl Key {
    fn parse(text: &str) -> Result<Self, Refusal> {
        // Uuid also reads braces and plain digits, which the service does not.
        if text.len() == 36
            && let Ok(id) = Uuid::try_parse(text)
        {
            return Ok(Self::Id(id));
        }
        let (property, literal) = text.split_once('=').ok_or_else(bad_syntax)?;
        let quoted = literal
            .trim()
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''))
            .ok_or_else(bad_syntax)?;
        let value = quoted.replace("''", "'");
        Ok(Self::Name {
            property: property.trim().to_owned(),
            value,
        })
    }
}

fn bad_syntax() -> Refusal {
    Refusal::syntax("Bad Request - Error in query syntax.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(raw: &str) -> Option<Key> {
        Segment::parse(raw).ok().and_then(|segment| segment.key)
    }

    #[test]
    fn a_path_about_rows_is_not_ours() {
        assert_eq!(root("contacts(1)"), None);
        assert_eq!(root("EntityDefinitionsX"), None);
        assert_eq!(
            root("/EntityDefinitions(LogicalName='a')/Keys"),
            Some(Root::Entities)
        );
    }

    #[test]
    fn keys_are_names_or_ids() {
        let named = |value: &str| {
            Some(Key::Name {
                property: "LogicalName".into(),
                value: value.into(),
            })
        };
        assert_eq!(key("E(LogicalName='contact')"), named("contact"));
        assert_eq!(key("E(LogicalName=%27a%2Fb%27)"), named("a/b"));
        assert_eq!(key("E(LogicalName='O''Brian')"), named("O'Brian"));
        let id = "70816501-edb9-4740-a16c-6a5efbc05d84";
        assert_eq!(key(&format!("E({id})")), Some(Key::Id(id.parse().unwrap())));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for raw in [
            "E(",
            "E()",
            "E(x)",
            "E(LogicalName=contact)",
            "E(a='b",
            "E%FF",
            "E(a=')",
        ] {
            assert!(Segment::parse(raw).is_err(), "{raw}");
        }
    }
}
