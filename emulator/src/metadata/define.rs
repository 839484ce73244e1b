//! From a request that changes definitions to the step that the schema takes.
//!
//! Nothing is changed here: the path is resolved, the body is read, and what Dataverse does not
//! let a customizer do is refused. Source: Microsoft Learn, "Create and update table definitions
//! using the Web API", "Create and update column definitions using the Web API", "Create and
//! update table relationships using the Web API", "Work with alternate keys".

mod column;
mod guard;
mod label;
mod options;
mod relationship;
mod shared;
mod table;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::node::Node;
use super::path::{Path, root};
use super::resolve;
use crate::refusal::Refusal;
use crate::schema::{Change, ColumnKind, Schema, TableDef};
use guard::{exists, require_prefix};
pub(crate) use options::{Message as OptionMessage, step as option_step};
pub(crate) use shared::{Shared, step as shared_step};

/// A body or a part of one.
type Members = Map<String, Json>;

/// A step of the schema, and what the answer tells of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) change: Change,
    /// The id that a new definition has.
    pub(crate) id: Option<Uuid>,
    /// The table and the key whose index is to be built.
    pub(crate) index: Option<(String, String)>,
}

impl From<Change> for Step {
    fn from(change: Change) -> Self {
        Self {
            change,
            id: None,
            index: None,
        }
    }
}

/// Which privilege a request on this path needs; `None` if it is not about definitions.
pub(crate) fn privilege(method: &str, path: &str) -> Option<&'static str> {
    root(path)?;
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    let kind = last.split('(').next()?;
    Some(match (kind, method) {
        ("Attributes", "POST") => "prvCreateAttribute",
        ("Attributes", "DELETE") => "prvDeleteAttribute",
        ("Attributes", _) => "prvWriteAttribute",
        ("RelationshipDefinitions", "POST") => "prvCreateRelationship",
        ("RelationshipDefinitions", "DELETE") => "prvDeleteRelationship",
        ("RelationshipDefinitions", _) => "prvWriteRelationship",
        ("GlobalOptionSetDefinitions", "POST") => "prvCreateOptionSet",
        ("GlobalOptionSetDefinitions", "DELETE") => "prvDeleteOptionSet",
        ("GlobalOptionSetDefinitions", _) => "prvWriteOptionSet",
        ("EntityDefinitions", "POST") => "prvCreateEntity",
        ("EntityDefinitions", "DELETE") => "prvDeleteEntity",
        _ => "prvWriteEntity",
    })
}

/// What a request means. `path` is raw and about definitions; `body` is empty for a delete.
pub(crate) fn step(
    schema: &Schema,
    method: &str,
    path: &str,
    body: &Json,
) -> Result<Step, Refusal> {
    let root = root(path).ok_or_else(|| Refusal::no_segment(path))?;
    let parsed = Path::parse(root, path)?;
    match method {
        "POST" => create(schema, &parsed, members(body)?),
        "PUT" => update(schema, &resolve::one(schema, &parsed)?, members(body)?),
        "DELETE" => remove(schema, &resolve::one(schema, &parsed)?),
        _ => Err(Refusal::wrong_method(method)),
    }
}

/// `CreateEntities`: all of the tables, or none.
pub(crate) fn tables(schema: &Schema, body: &Json) -> Result<Step, Refusal> {
    let entities = body.get("Entities").and_then(Json::as_array);
    let entities = entities.filter(|entities| !entities.is_empty());
    let entities = entities.ok_or_else(|| unreadable("The parameter 'Entities' is missing."))?;
    let mut written = Vec::with_capacity(entities.len());
    for entity in entities {
        written.push(table::read(schema, members(entity)?)?.written);
    }
    Ok(Change::Add(Json::Array(written)).into())
}

fn create(schema: &Schema, path: &Path, body: &Members) -> Result<Step, Refusal> {
    let (last, before) = path.split_last();
    if last.key.is_some() {
        return Err(Refusal::wrong_method("POST"));
    }
    match (last.name.as_str(), before) {
        ("EntityDefinitions", None) => {
            let table = table::read(schema, body)?;
            Ok(Step {
                id: Some(super::parts::id(&format!("table/{}", table.logical_name))),
                ..Change::Add(table.written).into()
            })
        }
        ("RelationshipDefinitions", None) => relationship::read(schema, body),
        ("GlobalOptionSetDefinitions", None) => {
            let name = text(body, "Name")?;
            require_prefix(name, "OptionSet")?;
            if schema
                .option_sets()
                .any(|set| set.global && set.name == name)
            {
                return Err(exists("An object with the specified name already exists"));
            }
            Ok(Step {
                id: Some(super::parts::id(&format!("choice/{name}"))),
                ..choices(name, body)?
            })
        }
        ("Attributes", Some(parent)) => {
            let table = table_of(schema, &parent)?;
            let column = column::read(schema, body)?;
            column::check_new(table, &column)?;
            let id = super::parts::id(&format!(
                "column/{}/{}",
                table.logical_name,
                column.schema_name.to_lowercase()
            ));
            let written = json!({
                "table": table.logical_name,
                "columns": {column.schema_name: column.written},
            });
            Ok(Step {
                id: Some(id),
                ..Change::Add(written).into()
            })
        }
        ("Keys", Some(parent)) => table::key(table_of(schema, &parent)?, body),
        (segment, _) => Err(Refusal::no_segment(segment)),
    }
}

fn table_of<'a>(schema: &'a Schema, path: &Path) -> Result<&'a TableDef, Refusal> {
    match resolve::one(schema, path)? {
        Node::Entity(table) => Ok(table),
        _ => Err(Refusal::no_segment("Attributes")),
    }
}

fn update(schema: &Schema, node: &Node<'_>, body: &Members) -> Result<Step, Refusal> {
    match node {
        Node::Entity(table) => {
            let display = label::of(body, "DisplayName");
            let display = display.unwrap_or_else(|| table.display_name.clone());
            Ok(Change::Rename {
                table: table.logical_name.clone(),
                display,
            }
            .into())
        }
        Node::Attribute(attribute) => {
            let (table, definition) = attribute.written().ok_or_else(guard::shadow)?;
            let mut body = body.clone();
            body.insert("SchemaName".to_owned(), json!(definition.schema_name));
            let written = match definition.kind {
                ColumnKind::Lookup { .. } => column::of_lookup(&body, definition),
                _ => column::read(schema, &body)?.written,
            };
            Ok(Change::Column {
                table: table.logical_name.clone(),
                column: definition.schema_name.clone(),
                written,
            }
            .into())
        }
        Node::Choices(set) if set.is_global() => choices(set.name(), body),
        Node::Choices(_) | Node::Key(..) => Err(Refusal::wrong_method("PUT")),
        Node::Relationship(_, lookup) => relationship::update(lookup, body),
        Node::Intersect(..) => Err(Refusal::not_served("changes of relationships")),
    }
}

fn choices(name: &str, body: &Members) -> Result<Step, Refusal> {
    let options = column::options(body)?;
    Ok(Change::Choices {
        name: name.to_owned(),
        options,
    }
    .into())
}

fn remove(schema: &Schema, node: &Node<'_>) -> Result<Step, Refusal> {
    guard::removable(schema, node)?;
    let change = match node {
        Node::Entity(table) => Change::DropTable {
            table: table.logical_name.clone(),
        },
        Node::Attribute(attribute) => {
            let (table, column) = attribute.written().ok_or_else(guard::shadow)?;
            Change::DropColumn {
                table: table.logical_name.clone(),
                column: column.logical_name.clone(),
            }
        }
        Node::Key(table, key) => Change::DropKey {
            table: table.logical_name.clone(),
            key: key.logical_name.clone(),
        },
        Node::Relationship(table, lookup) => Change::DropColumn {
            table: table.logical_name.clone(),
            column: lookup.column.clone(),
        },
        Node::Intersect(table, _) => Change::DropTable {
            table: table.logical_name.clone(),
        },
        Node::Choices(set) => Change::DropChoices {
            name: set.name().to_owned(),
        },
    };
    Ok(change.into())
}

fn members(body: &Json) -> Result<&Members, Refusal> {
    let object = body.as_object();
    object.ok_or_else(|| unreadable("The request payload is not an object."))
}

fn unreadable(inner: &str) -> Refusal {
    Refusal::odata_payload("", inner)
}

/// A text that must be there.
fn text<'b>(body: &'b Members, name: &str) -> Result<&'b str, Refusal> {
    let text = body.get(name).and_then(Json::as_str);
    let text = text.filter(|text| !text.is_empty());
    text.ok_or_else(|| unreadable(&format!("The property '{name}' is missing or not a text.")))
}

/// `PicklistAttributeMetadata`, however the type is written.
fn type_of(body: &Members) -> Option<&str> {
    let name = body.get("@odata.type")?.as_str()?;
    let name = name.strip_prefix('#').unwrap_or(name);
    let name = name.strip_prefix("Microsoft.Dynamics.CRM.")?;
    Some(name.strip_prefix("Complex").unwrap_or(name))
}
