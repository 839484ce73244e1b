//! Lookups that lead to several tables, with the relationships that they bring.
//!
//! Source: Microsoft Learn, "Use multi-table lookup columns", "`CreateCustomerRelationships` action".

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{Members, Step, column, label, members, relationship, text, unreadable};
use crate::metadata::parts;
use crate::refusal::Refusal;
use crate::schema::{Change, Schema};

/// The two actions that make such lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// An account or a contact.
    Customer,
    Polymorphic,
}

impl Shared {
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "CreateCustomerRelationships" => Self::Customer,
            "CreatePolymorphicLookupAttribute" => Self::Polymorphic,
            _ => return None,
        })
    }
}

/// What such a request means, and the ids of its relationships.
pub(crate) fn step(
    schema: &Schema,
    shared: Shared,
    body: &Json,
) -> Result<(Step, Vec<Uuid>), Refusal> {
    let body = members(body)?;
    let lookup = body.get("Lookup").map(members).transpose()?;
    let lookup = lookup.ok_or_else(|| unreadable("The parameter 'Lookup' is missing."))?;
    let relationships = body.get("OneToManyRelationships").and_then(Json::as_array);
    let relationships = relationships.filter(|all| !all.is_empty()).ok_or_else(|| {
        unreadable("The parameter 'OneToManyRelationships' is missing or has no relationship.")
    })?;
    let name = text(lookup, "SchemaName")?;
    let mut table = None;
    let mut to = Map::new();
    let mut ids = Vec::with_capacity(relationships.len());
    for one in relationships {
        let one = members(one)?;
        let schema_name = text(one, "SchemaName")?;
        relationship::check_new(schema, schema_name)?;
        let referencing = relationship::known(schema, one, "ReferencingEntity")?;
        let first = *table.get_or_insert(referencing);
        let referenced = relationship::known(schema, one, "ReferencedEntity")?;
        let target = &referenced.logical_name;
        let is_fit =
            shared == Shared::Polymorphic || matches!(target.as_str(), "account" | "contact");
        if first.logical_name != referencing.logical_name || !is_fit || to.contains_key(target) {
            return Err(unreadable(
                "The relationships of a lookup begin at one table and lead to different ones; \
                 those of a customer lead to accounts and contacts.",
            ));
        }
        to.insert(target.clone(), target_of(one, name, target, schema_name)?);
        ids.push(parts::id(&format!("relationship/{schema_name}")));
    }
    let Some(table) = table else {
        return Err(unreadable(
            "The parameter 'OneToManyRelationships' is missing.",
        ));
    };
    let new = column::Column {
        schema_name: name.to_owned(),
        written: Json::Null,
        is_primary_name: false,
    };
    column::check_new(table, &new)?;
    let kind = match shared {
        Shared::Customer => "customer",
        Shared::Polymorphic => "lookup",
    };
    let mut written = json!({"type": format!("{kind} {}", column::required(lookup)?), "to": to});
    if let (Some(label), Some(written)) =
        (label::of(lookup, "DisplayName"), written.as_object_mut())
    {
        written.insert("label".to_owned(), label.into());
    }
    let table = &table.logical_name;
    let step = Step {
        id: Some(parts::id(&format!(
            "column/{table}/{}",
            name.to_lowercase()
        ))),
        ..Change::Add(json!({"table": table, "columns": {name: written}})).into()
    };
    Ok((step, ids))
}

fn target_of(
    one: &Members,
    lookup: &str,
    target: &str,
    schema_name: &str,
) -> Result<Json, Refusal> {
    let usual = format!("{lookup}_{target}");
    Ok(json!({
        "relationship": schema_name,
        "navigation": relationship::given(one, "ReferencingEntityNavigationPropertyName", &usual),
        "collection": relationship::given(one, "ReferencedEntityNavigationPropertyName", schema_name),
        "delete": relationship::on_delete(one)?,
    }))
}
