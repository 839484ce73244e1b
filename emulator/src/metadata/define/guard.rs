//! What a customizer may not do: names without a prefix, and removing what others need.
//!
//! Codes and texts: Microsoft Learn, "Web service error codes".

use super::Node;
use crate::refusal::Refusal;
use crate::schema::{Schema, is_custom};

pub(super) fn exists(message: &str) -> Refusal {
    Refusal::new(400, "0x80047010", message)
}

/// Names of customizers begin with a publisher's prefix.
pub(super) fn require_prefix(name: &str, kind: &str) -> Result<(), Refusal> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_custom(name) && is_plain && name.len() <= 100 {
        return Ok(());
    }
    let message = format!(
        "The schema name {name} for type {kind} is invalid or missing. Custom attribute, entity, \
         entitykey, option set and relationship names must start with a valid customization \
         prefix. The prefix for a solution component should match the prefix that is specified \
         for the publisher of the solution."
    );
    Err(Refusal::new(400, "0x80044366", message))
}

pub(super) fn shadow() -> Refusal {
    let message = "The Child Attribute is not valid for deletion";
    Refusal::new(400, "0x80047016", message)
}

/// Refuses the removal of what is the service's own or what others need.
pub(super) fn removable(schema: &Schema, node: &Node<'_>) -> Result<(), Refusal> {
    let (name, needed_by) = match node {
        Node::Entity(table) => (
            &table.schema_name,
            schema.depends_on(&table.logical_name, None),
        ),
        Node::Attribute(attribute) => {
            let (table, column) = attribute.written().ok_or_else(shadow)?;
            let column_name = &column.logical_name;
            if Some(column_name) == table.primary_name.as_ref() || *column_name == table.primary_id
            {
                let message = "The Primary UI Attribute is not valid for deletion";
                return Err(Refusal::new(400, "0x80047002", message));
            }
            let needed_by = schema.depends_on(&table.logical_name, Some(column_name));
            (&column.schema_name, needed_by)
        }
        Node::Key(_, key) => (&key.schema_name, None),
        Node::Relationship(table, lookup) => {
            let column = table.column(&lookup.column);
            let schema_name = column.map_or(&lookup.schema_name, |it| &it.schema_name);
            let needed_by = schema.depends_on(&table.logical_name, Some(&lookup.column));
            (schema_name, needed_by)
        }
        Node::Intersect(_, intersect) => (&intersect.schema_name, None),
        Node::Choices(set) => return unused(schema, set.name()),
    };
    if !is_custom(name) {
        let message = format!(
            "The 'Delete' operation on the current component(name='{name}', id='{}') failed \
             during managed property evaluation of condition: 'Managed Property Name: \
             iscustomizable'",
            node.id()
        );
        return Err(Refusal::new(400, "0x8004f032", message));
    }
    let Some(needed_by) = needed_by else {
        return Ok(());
    };
    let message = format!(
        "The {kind}({id}) component cannot be deleted because it is referenced by 1 other \
         components ({needed_by}). For a list of referenced components, use the \
         RetrieveDependenciesForDeleteRequest.",
        kind = node.type_of().name,
        id = node.id(),
    );
    Err(Refusal::new(400, "0x8004f01f", message))
}

fn unused(schema: &Schema, name: &str) -> Result<(), Refusal> {
    let users: Vec<&str> = schema
        .tables
        .values()
        .filter(|table| {
            table
                .option_sets()
                .any(|set| set.global && set.name == name)
        })
        .map(|table| table.logical_name.as_str())
        .collect();
    if users.is_empty() && is_custom(name) {
        return Ok(());
    }
    let message = format!(
        "This option set cannot be deleted. The current set of entities that reference this \
         option set are: {}. These references must be removed before this option set can be \
         deleted",
        users.join(", ")
    );
    Err(Refusal::new(400, "0x80048417", message))
}
