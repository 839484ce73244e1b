//! One definition, whatever its type: its properties, and the definitions it leads to.

use serde_json::Value;
use uuid::Uuid;

use super::attribute::{Attribute, attributes};
use super::entity;
use super::option_set::Choices;
use super::parts;
use super::path::Key;
use super::types::{
    ATTRIBUTE, BOOLEAN, BOOLEAN_OPTION_SET, ENTITY, KEY, Link, MANY_TO_MANY, ONE_TO_MANY,
    OPTION_SET, OPTION_SET_BASE, RELATIONSHIP, Type,
};
use crate::schema::{IntersectDef, KeyDef, RelationshipDef, Schema, TableDef};

/// A definition.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    Entity(&'a TableDef),
    Attribute(Attribute<'a>),
    Key(&'a TableDef, &'a KeyDef),
    /// A lookup of the table.
    Relationship(&'a TableDef, &'a RelationshipDef),
    /// The pairs that the table holds.
    Intersect(&'a TableDef, &'a IntersectDef),
    Choices(Choices<'a>),
}

/// Where a link leads.
#[derive(Debug)]
pub(super) enum Linked<'a> {
    Many(Vec<Node<'a>>),
    One(Option<Node<'a>>),
}

impl<'a> Node<'a> {
    /// The most derived type.
    pub(super) fn type_of(&self) -> &'static Type {
        match self {
            Self::Entity(_) => &ENTITY,
            Self::Attribute(attribute) => attribute.type_of(),
            Self::Key(..) => &KEY,
            Self::Relationship(..) => &ONE_TO_MANY,
            Self::Intersect(..) => &MANY_TO_MANY,
            Self::Choices(Choices::YesNo { .. }) => &BOOLEAN_OPTION_SET,
            Self::Choices(_) => &OPTION_SET,
        }
    }

    /// The value of a property; null if the type does not have it.
    pub(super) fn property(&self, schema: &Schema, name: &str) -> Value {
        let Some(plain) = self.type_of().property(name) else {
            return Value::Null;
        };
        plain
            .value()
            .or_else(|| self.given(schema, name))
            .unwrap_or_default()
    }

    /// A property that depends on the schema.
    pub(super) fn given(&self, schema: &Schema, name: &str) -> Option<Value> {
        match self {
            Self::Entity(table) => entity::of_table(table, name),
            Self::Attribute(attribute) => attribute.given(name),
            Self::Key(table, key) => entity::of_key(table, key, name),
            Self::Relationship(table, relationship) => {
                entity::of_relationship(schema, table, relationship, name)
            }
            Self::Intersect(table, intersect) => entity::of_intersect(table, intersect, name),
            Self::Choices(choices) => choices.given(name),
        }
    }

    pub(super) fn id(&self) -> Uuid {
        match self {
            Self::Entity(table) => parts::id(&entity::table_path(table)),
            Self::Attribute(attribute) => parts::id(&attribute.path()),
            Self::Key(table, key) => parts::id(&entity::key_path(table, key)),
            Self::Relationship(_, relationship) => {
                parts::id(&entity::relationship_path(relationship))
            }
            Self::Intersect(_, intersect) => parts::id(&entity::intersect_path(intersect)),
            Self::Choices(choices) => parts::id(&choices.path()),
        }
    }

    /// Whether a key in a path means this definition.
    pub(super) fn has_key(&self, key: &Key) -> bool {
        match key {
            Key::Id(id) => self.id() == *id,
            Key::Name { value, .. } => self.name() == value,
        }
    }

    /// What it is called in a path.
    fn name(&self) -> &str {
        match self {
            Self::Entity(table) => &table.logical_name,
            Self::Attribute(attribute) => attribute.name(),
            Self::Key(_, key) => &key.logical_name,
            Self::Relationship(_, relationship) => &relationship.schema_name,
            Self::Intersect(_, intersect) => &intersect.schema_name,
            Self::Choices(choices) => choices.name(),
        }
    }

    /// Follows a link.
    pub(super) fn follow(&self, schema: &'a Schema, link: Link) -> Linked<'a> {
        match (self, link) {
            (Self::Entity(table), Link::Attributes) => {
                Linked::Many(attributes(table).into_iter().map(Node::Attribute).collect())
            }
            (Self::Entity(table), Link::Keys) => {
                Linked::Many(table.keys.iter().map(|key| Node::Key(table, key)).collect())
            }
            (Self::Entity(table), Link::ManyToOne) => {
                let lookups = table.relationships.iter().filter(|it| it.is_told);
                Linked::Many(
                    lookups
                        .map(|lookup| Node::Relationship(table, lookup))
                        .collect(),
                )
            }
            (Self::Entity(table), Link::OneToMany) => {
                let lookups = schema.tables.values().flat_map(|referencing| {
                    let to_us = referencing
                        .relationships
                        .iter()
                        .filter(|it| it.is_told && it.target == table.logical_name);
                    to_us.map(move |lookup| Node::Relationship(referencing, lookup))
                });
                Linked::Many(lookups.collect())
            }
            (Self::Entity(table), Link::ManyToMany) => {
                let is_ours = |node: &Node<'_>| match node {
                    Node::Intersect(_, intersect) => {
                        let mut sides = intersect.sides.iter();
                        sides.any(|side| side.table == table.logical_name)
                    }
                    _ => false,
                };
                Linked::Many(intersects(schema).filter(is_ours).collect())
            }
            (Self::Attribute(attribute), Link::OptionSet) => {
                Linked::One(attribute.choices().map(Node::Choices))
            }
            (Self::Attribute(attribute), Link::GlobalOptionSet) => {
                let choices = attribute.choices().filter(Choices::is_global);
                Linked::One(choices.map(Node::Choices))
            }
            _ => Linked::Many(Vec::new()),
        }
    }
}

/// All many-to-many relationships.
pub(super) fn intersects(schema: &Schema) -> impl Iterator<Item = Node<'_>> {
    let tables = schema.tables.values();
    tables.filter_map(|table| Some(Node::Intersect(table, table.intersect()?)))
}

/// All lookups, as relationships.
pub(super) fn lookups(schema: &Schema) -> impl Iterator<Item = Node<'_>> {
    schema.tables.values().flat_map(|table| {
        let lookups = table.relationships.iter().filter(|it| it.is_told);
        lookups.map(move |lookup| Node::Relationship(table, lookup))
    })
}

/// The type that a link of `from` leads to.
pub(super) fn type_of_link(from: &Type, link: Link) -> &'static Type {
    match link {
        Link::Attributes => &ATTRIBUTE,
        Link::Keys => &KEY,
        Link::ManyToOne | Link::OneToMany => &ONE_TO_MANY,
        Link::ManyToMany => &MANY_TO_MANY,
        Link::OptionSet if from.is(&BOOLEAN) => &BOOLEAN_OPTION_SET,
        Link::OptionSet => &OPTION_SET,
        Link::GlobalOptionSet if from.is(&BOOLEAN) => &BOOLEAN_OPTION_SET,
        Link::GlobalOptionSet => &OPTION_SET,
    }
}

/// The property by which a definition is named in a path.
pub(super) fn key_property(declared: &Type) -> &'static str {
    if declared.is(&RELATIONSHIP) {
        "SchemaName"
    } else if declared.is(&OPTION_SET_BASE) {
        "Name"
    } else {
        "LogicalName"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metadata::types::Plain;

    fn all(schema: &Schema) -> Vec<Node<'_>> {
        let mut nodes = Vec::new();
        for table in schema.tables.values() {
            let entity = Node::Entity(table);
            for link in [Link::Attributes, Link::Keys, Link::ManyToOne] {
                let Linked::Many(linked) = entity.follow(schema, link) else {
                    panic!("many")
                };
                nodes.extend(linked);
            }
            nodes.push(entity);
        }
        nodes
    }

    #[test]
    fn every_definition_has_all_properties_of_its_type() {
        let schema = Schema::built_in().unwrap();
        let mut nodes = all(&schema);
        for node in all(&schema) {
            if let Linked::One(Some(choices)) = node.follow(&schema, Link::OptionSet) {
                nodes.push(choices);
            }
        }
        for node in nodes {
            for name in node.type_of().names() {
                if let Some(Plain::Given) = node.type_of().property(name) {
                    assert!(node.given(&schema, name).is_some(), "{name} of {node:?}");
                }
            }
        }
    }

    #[test]
    fn ids_are_unique() {
        let schema = Schema::built_in().unwrap();
        let mut ids = BTreeSet::new();
        assert!(all(&schema).iter().all(|node| ids.insert(node.id())));
    }
}
