//! Tables and keys as clients define them, in the words of a schema file.

use serde_json::{Value as Json, json};

use super::guard::{exists, require_prefix};
use super::{Members, Step, column, label, members, text, unreadable};
use crate::metadata::parts;
use crate::refusal::Refusal;
use crate::schema::{Change, Schema, TableDef};

/// A table in the words of a schema file.
pub(super) struct Table {
    pub(super) logical_name: String,
    pub(super) written: Json,
}

/// Reads the definition of a new table with its columns.
pub(super) fn read(schema: &Schema, body: &Members) -> Result<Table, Refusal> {
    let schema_name = text(body, "SchemaName")?;
    require_prefix(schema_name, "Entity")?;
    let logical_name = schema_name.to_lowercase();
    if schema.tables.contains_key(&logical_name) {
        return Err(exists("An object with the specified name already exists"));
    }
    if body.get("IsActivity") == Some(&Json::Bool(true)) {
        return Err(Refusal::not_served("new activity tables"));
    }
    let mut columns = serde_json::Map::new();
    let mut name = None;
    let attributes = body.get("Attributes").and_then(Json::as_array);
    for attribute in attributes.into_iter().flatten() {
        let column = column::read(schema, members(attribute)?)?;
        require_prefix(&column.schema_name, "Attribute")?;
        if column.is_primary_name {
            name = Some(column.schema_name.clone());
        }
        if columns.insert(column.schema_name, column.written).is_some() {
            let message = "An attribute with the specified name already exists";
            return Err(Refusal::new(400, "0x80047013", message));
        }
    }
    let name = name.ok_or_else(|| {
        let message = format!("PrimaryName attribute not found for Entity: {schema_name}");
        Refusal::new(400, "0x80044355", message)
    })?;
    let display = label::of(body, "DisplayName");
    let display =
        display.ok_or_else(|| unreadable("The property 'DisplayName' is missing or no label."))?;
    let set = body.get("EntitySetName").and_then(Json::as_str);
    let set = set.map_or_else(|| plural(&logical_name), str::to_owned);
    let written = json!({
        "table": schema_name,
        "set": set,
        "id": format!("{schema_name}Id"),
        "name": name,
        "display": display,
        "ownership": ownership(body)?,
        "elastic": is_elastic(body)?,
        "columns": columns,
    });
    Ok(Table {
        logical_name,
        written,
    })
}

fn ownership(body: &Members) -> Result<&'static str, Refusal> {
    match body.get("OwnershipType").and_then(Json::as_str) {
        None | Some("UserOwned") => Ok("user"),
        Some("OrganizationOwned") => Ok("organization"),
        Some(other) => Err(unreadable(&format!(
            "A table cannot be created with the OwnershipType '{other}'."
        ))),
    }
}

fn is_elastic(body: &Members) -> Result<bool, Refusal> {
    match body.get("TableType").and_then(Json::as_str) {
        None | Some("Standard") => Ok(false),
        Some("Elastic") => Ok(true),
        Some(other) => Err(Refusal::not_served(&format!("{other} tables"))),
    }
}

/// The set's name, unless the client chooses one.
fn plural(name: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&["s", "x", "z", "ch", "sh"]) {
        return format!("{name}es");
    }
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{name}s"),
    }
}

/// Reads the definition of a new key; its index is built later.
pub(super) fn key(table: &TableDef, body: &Members) -> Result<Step, Refusal> {
    let schema_name = text(body, "SchemaName")?;
    require_prefix(schema_name, "EntityKey")?;
    let logical_name = schema_name.to_lowercase();
    let name = &table.logical_name;
    if table
        .keys
        .iter()
        .any(|key| key.logical_name == logical_name)
    {
        let message =
            format!("An entity key with the name {logical_name} already exists on entity {name}.");
        return Err(Refusal::new(400, "0x80060893", message));
    }
    let columns = body.get("KeyAttributes").and_then(Json::as_array);
    let columns = columns.ok_or_else(|| unreadable("The property 'KeyAttributes' is missing."))?;
    let mut named = Vec::with_capacity(columns.len());
    for column in columns {
        let column = column.as_str().unwrap_or_default();
        if table.column(column).is_none() {
            let message = format!("Could not find an attribute with name {column}.");
            return Err(Refusal::new(400, "0x80041103", message));
        }
        named.push(column.to_owned());
    }
    let same = |known: &[String]| {
        known.len() == named.len() && known.iter().all(|column| named.contains(column))
    };
    if table.keys.iter().any(|key| same(&key.columns)) {
        let message = "An entity key with the selected attributes already exists on entity.";
        return Err(Refusal::new(400, "0x80060894", message));
    }
    if table.is_elastic() || !table.is_writable() {
        return Err(unreadable("The table cannot get an alternate key."));
    }
    let mut key = json!({"columns": named, "status": "pending"});
    if let (Some(label), Some(key)) = (label::of(body, "DisplayName"), key.as_object_mut()) {
        key.insert("label".to_owned(), label.into());
    }
    let written = json!({"table": name, "keys": {schema_name: key}});
    Ok(Step {
        change: Change::Add(written),
        id: Some(parts::id(&format!("key/{name}/{logical_name}"))),
        index: Some((name.clone(), logical_name)),
    })
}
