//! From a path and its options to the body of the answer.

use serde_json::{Map, Value, json};

use super::node::{Linked, Node, intersects, key_property, lookups, type_of_link};
use super::option_set;
use super::path::{Key, Path, Root, Segment};
use super::query::Options;
use super::refusal::Refusal;
use super::types::{ATTRIBUTE, ENTITY, OPTION_SET_BASE, RELATIONSHIP, Type};
use crate::schema::Schema;

/// What a path has led to so far.
struct Place<'a> {
    found: Found<'a>,
    /// The type that the path declares; what is found may be of a derived one.
    declared: &'static Type,
    /// How the context names the set: `EntityDefinitions('contact')/Attributes`.
    context: String,
    /// The key of the definition in that set; the context shows it once a link was followed.
    key: String,
}

enum Found<'a> {
    Many(Vec<Node<'a>>),
    One(Node<'a>),
}

/// Answers a request.
pub(super) fn resolve(
    schema: &Schema,
    base_url: &str,
    path: &Path,
    options: &Options,
) -> Result<Value, Refusal> {
    if path.root == Root::GlobalOptionSets && options.filter.is_some() {
        return Err(Refusal::option("$filter"));
    }
    let place = walk(schema, path)?;
    let context = format!(
        "{base_url}/$metadata#{}{}",
        place.context,
        options.described()
    );
    match place.found {
        Found::Many(nodes) => {
            let value = show_all(schema, nodes, place.declared, options)?;
            let mut body = Map::new();
            body.insert("@odata.context".into(), json!(context));
            if options.wants_count {
                body.insert(
                    "@odata.count".into(),
                    json!(value.as_array().map_or(0, Vec::len)),
                );
            }
            body.insert("value".into(), value);
            Ok(Value::Object(body))
        }
        Found::One(_) if options.filter.is_some() => Err(Refusal::option("$filter")),
        Found::One(node) => {
            check(place.declared, options)?;
            let mut object = show(schema, &node, place.declared, options)?;
            object.insert("@odata.context".into(), json!(format!("{context}/$entity")));
            Ok(Value::Object(object))
        }
    }
}

/// The one definition that a path leads to.
pub(super) fn one<'a>(schema: &'a Schema, path: &Path) -> Result<Node<'a>, Refusal> {
    match walk(schema, path)?.found {
        Found::One(node) => Ok(node),
        Found::Many(_) => Err(Refusal::syntax(
            "The request is not supported for a collection of definitions.",
        )),
    }
}

fn walk<'a>(schema: &'a Schema, path: &Path) -> Result<Place<'a>, Refusal> {
    let mut segments = path.segments.iter();
    let root = segments.next().ok_or_else(|| Refusal::segment(""))?;
    let (nodes, declared): (Vec<Node<'_>>, _) = match path.root {
        Root::Entities => (schema.tables.values().map(Node::Entity).collect(), &ENTITY),
        Root::GlobalOptionSets => (
            option_set::global(schema)
                .into_iter()
                .map(Node::Choices)
                .collect(),
            &OPTION_SET_BASE,
        ),
        Root::Relationships => {
            let all = lookups(schema).chain(intersects(schema));
            (all.collect(), &RELATIONSHIP)
        }
    };
    let found = Found::Many(nodes);
    let mut place = Place {
        found,
        declared,
        context: root.name.clone(),
        key: String::new(),
    };
    place = place.keyed(root)?;
    for segment in segments {
        place = match Type::of_cast(&segment.name) {
            Some(cast) => place.cast(segment, cast)?,
            None => place.follow(schema, segment)?,
        };
        place = place.keyed(segment)?;
    }
    Ok(place)
}

impl<'a> Place<'a> {
    /// Picks the definition that the key of a segment means.
    fn keyed(self, segment: &Segment) -> Result<Self, Refusal> {
        let Some(wanted) = &segment.key else {
            return Ok(self);
        };
        let Found::Many(nodes) = self.found else {
            return Err(Refusal::segment(&segment.name));
        };
        let (key, name) = match wanted {
            Key::Id(id) => (format!("({id})"), id.to_string()),
            Key::Name { property, .. } if property != key_property(self.declared) => {
                return Err(Refusal::key(self.declared.name));
            }
            Key::Name { value, .. } => (format!("('{value}')"), value.clone()),
        };
        let node = nodes
            .into_iter()
            .find(|node| node.has_key(wanted))
            .ok_or_else(|| Refusal::missing(self.declared.name, &name))?;
        Ok(Self {
            found: Found::One(node),
            key,
            ..self
        })
    }

    /// Narrows to a derived type.
    fn cast(self, segment: &Segment, cast: &'static Type) -> Result<Self, Refusal> {
        let nowhere = || Refusal::segment(&segment.name);
        if !cast.is(self.declared) {
            return Err(nowhere());
        }
        let found = match self.found {
            Found::Many(nodes) => Found::Many(
                nodes
                    .into_iter()
                    .filter(|node| node.type_of().is(cast))
                    .collect(),
            ),
            Found::One(node) if node.type_of().is(cast) => Found::One(node),
            Found::One(_) => return Err(nowhere()),
        };
        let context = format!("{}/{}", self.context, segment.name);
        Ok(Self {
            found,
            declared: cast,
            context,
            ..self
        })
    }

    fn follow(self, schema: &'a Schema, segment: &Segment) -> Result<Self, Refusal> {
        let nowhere = || Refusal::segment(&segment.name);
        let link = self.declared.link(&segment.name).ok_or_else(nowhere)?;
        let Found::One(node) = self.found else {
            return Err(nowhere());
        };
        let found = match node.follow(schema, link) {
            Linked::Many(nodes) => Found::Many(nodes),
            Linked::One(node) => Found::One(node.ok_or_else(nowhere)?),
        };
        let context = format!("{}{}/{}", self.context, self.key, segment.name);
        let declared = type_of_link(self.declared, link);
        Ok(Self {
            found,
            declared,
            context,
            key: String::new(),
        })
    }
}

/// Refuses names that the type does not have, even if there is nothing to show.
fn check(declared: &Type, options: &Options) -> Result<(), Refusal> {
    for name in options.select.iter().flatten() {
        if declared.property(name).is_none() {
            return Err(Refusal::property(name, declared.name));
        }
    }
    if let Some(filter) = &options.filter {
        filter.check(declared)?;
    }
    for expand in &options.expand {
        let link = declared
            .link(&expand.link)
            .ok_or_else(|| Refusal::property(&expand.link, declared.name))?;
        check(type_of_link(declared, link), &expand.options)?;
    }
    Ok(())
}

fn show_all(
    schema: &Schema,
    nodes: Vec<Node<'_>>,
    declared: &'static Type,
    options: &Options,
) -> Result<Value, Refusal> {
    check(declared, options)?;
    let mut shown = Vec::new();
    for node in nodes {
        let is_wanted = match &options.filter {
            Some(filter) => filter.holds(schema, &node)?,
            None => true,
        };
        if is_wanted {
            shown.push(Value::Object(show(schema, &node, declared, options)?));
        }
    }
    Ok(Value::Array(shown))
}

fn show(
    schema: &Schema,
    node: &Node<'_>,
    declared: &'static Type,
    options: &Options,
) -> Result<Map<String, Value>, Refusal> {
    let mut object = Map::new();
    let actual = node.type_of();
    if actual.name != declared.name {
        object.insert(
            "@odata.type".into(),
            json!(format!("#Microsoft.Dynamics.CRM.{}", actual.name)),
        );
    }
    object.insert("MetadataId".into(), json!(node.id()));
    if let Some(names) = &options.select {
        for name in names {
            object.insert(name.clone(), node.property(schema, name));
        }
    } else {
        // The pages show what is particular to a type of column only behind a cast.
        let shown = if declared.is(&ATTRIBUTE) {
            declared
        } else {
            actual
        };
        for name in shown.names() {
            object.insert(name.into(), node.property(schema, name));
        }
    }
    for expand in &options.expand {
        let Some(link) = declared.link(&expand.link) else {
            continue;
        };
        let target = type_of_link(declared, link);
        let value = match node.follow(schema, link) {
            Linked::Many(nodes) => show_all(schema, nodes, target, &expand.options)?,
            Linked::One(Some(node)) => Value::Object(show(schema, &node, target, &expand.options)?),
            Linked::One(None) => Value::Null,
        };
        object.insert(expand.link.clone(), value);
    }
    Ok(object)
}
