//! Relationships as clients define them, in the words of a schema file.

use serde_json::{Value as Json, json};

use super::guard::{exists, require_prefix};
use super::{Members, Step, column, label, members, text, type_of, unreadable};
use crate::metadata::parts;
use crate::refusal::Refusal;
use crate::schema::{Change, OnDelete, RelationshipDef, Schema, TableDef};

/// Reads the definition of a new relationship, with the lookup that it brings.
pub(super) fn read(schema: &Schema, body: &Members) -> Result<Step, Refusal> {
    let schema_name = text(body, "SchemaName")?;
    check_new(schema, schema_name)?;
    let written = match type_of(body) {
        Some("OneToManyRelationshipMetadata") => many(schema, schema_name, body)?,
        Some("ManyToManyRelationshipMetadata") => across(schema, schema_name, body)?,
        _ => {
            return Err(unreadable(
                "The abstract type 'Microsoft.Dynamics.CRM.RelationshipMetadataBase' cannot be \
                 instantiated; the payload must name a derived type.",
            ));
        }
    };
    Ok(Step {
        id: Some(parts::id(&format!("relationship/{schema_name}"))),
        ..Change::Add(written).into()
    })
}

/// Whether a relationship may have this name.
pub(super) fn check_new(schema: &Schema, schema_name: &str) -> Result<(), Refusal> {
    require_prefix(schema_name, "Relationship")?;
    let is_taken = schema.tables.values().any(|table| {
        let mut lookups = table.relationships.iter();
        let pairs = table.intersect().map(|it| it.schema_name.as_str());
        lookups.any(|it| it.schema_name.eq_ignore_ascii_case(schema_name))
            || pairs.is_some_and(|it| it.eq_ignore_ascii_case(schema_name))
    });
    if is_taken {
        return Err(exists("An object with the specified name already exists"));
    }
    Ok(())
}

pub(super) fn known<'s>(
    schema: &'s Schema,
    body: &Members,
    name: &str,
) -> Result<&'s TableDef, Refusal> {
    let table = text(body, name)?;
    schema.tables.get(table).ok_or_else(|| {
        let message = format!("Could not find an entity with name {table}.");
        Refusal::new(400, "0x80041102", message)
    })
}

/// A name that the client may leave to the service.
pub(super) fn given<'b>(body: &'b Members, name: &str, usual: &'b str) -> &'b str {
    let given = body.get(name).and_then(Json::as_str);
    given.filter(|given| !given.is_empty()).unwrap_or(usual)
}

fn many(schema: &Schema, schema_name: &str, body: &Members) -> Result<Json, Refusal> {
    let referenced = known(schema, body, "ReferencedEntity")?;
    let referencing = known(schema, body, "ReferencingEntity")?;
    let lookup = body.get("Lookup").map(members).transpose()?;
    let lookup = lookup.ok_or_else(|| unreadable("The property 'Lookup' is missing."))?;
    let lookup_name = text(lookup, "SchemaName")?;
    let is_new = column::Column {
        schema_name: lookup_name.to_owned(),
        written: Json::Null,
        is_primary_name: false,
    };
    column::check_new(referencing, &is_new)?;
    let mut target = json!({
        "relationship": schema_name,
        "navigation": given(body, "ReferencingEntityNavigationPropertyName", lookup_name),
        "collection": given(body, "ReferencedEntityNavigationPropertyName", schema_name),
    });
    if let Some(target) = target.as_object_mut() {
        target.insert("delete".to_owned(), on_delete(body)?.into());
    }
    let mut written = json!({
        "type": format!("lookup {}", column::required(lookup)?),
        "to": {&referenced.logical_name: target},
    });
    if let (Some(label), Some(written)) =
        (label::of(lookup, "DisplayName"), written.as_object_mut())
    {
        written.insert("label".to_owned(), label.into());
    }
    Ok(json!({"table": referencing.logical_name, "columns": {lookup_name: written}}))
}

/// What may be changed of a relationship: what a delete does.
pub(super) fn update(lookup: &RelationshipDef, body: &Members) -> Result<Step, Refusal> {
    let on_delete = match on_delete(body)? {
        "restrict" => OnDelete::Restrict,
        "cascade" => OnDelete::Cascade,
        _ => OnDelete::RemoveLink,
    };
    Ok(Change::Delete {
        relationship: lookup.schema_name.clone(),
        on_delete,
    }
    .into())
}

pub(super) fn on_delete(body: &Members) -> Result<&'static str, Refusal> {
    let cascade = body.get("CascadeConfiguration");
    let delete = cascade
        .and_then(|it| it.get("Delete"))
        .and_then(Json::as_str);
    match delete {
        None | Some("RemoveLink") => Ok("remove-link"),
        Some("Restrict") => Ok("restrict"),
        Some("Cascade") => Ok("cascade"),
        Some(other) => Err(unreadable(&format!(
            "The value '{other}' is not allowed for the cascade of Delete."
        ))),
    }
}

fn across(schema: &Schema, schema_name: &str, body: &Members) -> Result<Json, Refusal> {
    let first = known(schema, body, "Entity1LogicalName")?;
    let second = known(schema, body, "Entity2LogicalName")?;
    if first.logical_name == second.logical_name {
        return Err(Refusal::not_served(
            "many-to-many relationships of a table with itself",
        ));
    }
    let intersect = given(body, "IntersectEntityName", schema_name);
    require_prefix(intersect, "Entity")?;
    if schema.tables.contains_key(&intersect.to_lowercase()) {
        return Err(exists("An object with the specified name already exists"));
    }
    let sides = json!({
        &first.logical_name: given(body, "Entity1NavigationPropertyName", schema_name),
        &second.logical_name: given(body, "Entity2NavigationPropertyName", schema_name),
    });
    Ok(json!({
        "table": intersect,
        "set": format!("{}set", intersect.to_lowercase()),
        "ownership": "none",
        "states": [],
        "between": {"relationship": schema_name, "tables": sides},
    }))
}
