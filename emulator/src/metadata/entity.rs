//! Tables, their keys and their relationships as definitions.

use serde_json::{Value, json};

use super::parts::{id, label};
use crate::schema::{
    IntersectDef, KeyDef, KeyIndexStatus, OnDelete, Ownership, RelationshipDef, Schema, TableDef,
    TableNature, is_custom,
};

pub(super) fn table_path(table: &TableDef) -> String {
    format!("table/{}", table.logical_name)
}

pub(super) fn key_path(table: &TableDef, key: &KeyDef) -> String {
    format!("key/{}/{}", table.logical_name, key.logical_name)
}

pub(super) fn relationship_path(relationship: &RelationshipDef) -> String {
    format!("relationship/{}", relationship.schema_name)
}

/// A property of `EntityMetadata`.
pub(super) fn of_table(table: &TableDef, name: &str) -> Option<Value> {
    let path = table_path(table);
    Some(match name {
        "MetadataId" => json!(id(&path)),
        "LogicalName" => json!(table.logical_name),
        "SchemaName" => json!(table.schema_name),
        "EntitySetName" | "LogicalCollectionName" => json!(table.entity_set),
        "CollectionSchemaName" => json!(plural(&table.schema_name)),
        "DisplayName" => label(&table.display_name, &path),
        "DisplayCollectionName" => {
            label(&plural(&table.display_name), &format!("{path}/collection"))
        }
        "PrimaryIdAttribute" => json!(table.primary_id),
        "PrimaryNameAttribute" => json!(table.primary_name),
        "ObjectTypeCode" => json!(table.type_code),
        "OwnershipType" => json!(match table.ownership {
            Ownership::User => "UserOwned",
            Ownership::Organization => "OrganizationOwned",
            Ownership::None => "None",
        }),
        "TableType" if table.is_elastic() => json!("Elastic"),
        "IsOptimisticConcurrencyEnabled" => json!(table.intersect().is_none()),
        "ChangeTrackingEnabled" => json!(table.nature == TableNature::Standard),
        "IsIntersect" => json!(table.intersect().is_some()),
        "TableType" if table.is_activity() => json!("Activity"),
        "TableType" => json!("Standard"),
        "IsActivity" => json!(table.is_activity()),
        "IsCustomEntity" => json!(is_custom(&table.schema_name)),
        "IsManaged" => json!(!is_custom(&table.schema_name)),
        "Privileges" => crate::roles::definitions(table),
        "IsStateModelAware" => json!(table.column("statecode").is_some()),
        _ => return None,
    })
}

/// A property of `EntityKeyMetadata`.
pub(super) fn of_key(table: &TableDef, key: &KeyDef, name: &str) -> Option<Value> {
    let path = key_path(table, key);
    Some(match name {
        "MetadataId" => json!(id(&path)),
        "LogicalName" => json!(key.logical_name),
        "SchemaName" => json!(key.schema_name),
        "DisplayName" => label(&key.display_name, &path),
        "EntityLogicalName" => json!(table.logical_name),
        "KeyAttributes" => json!(key.columns),
        "EntityKeyIndexStatus" => json!(match key.status {
            KeyIndexStatus::Pending => "Pending",
            KeyIndexStatus::InProgress => "InProgress",
            KeyIndexStatus::Active => "Active",
            KeyIndexStatus::Failed => "Failed",
        }),
        _ => return None,
    })
}

/// A property of `OneToManyRelationshipMetadata`; `table` holds the lookup.
pub(super) fn of_relationship(
    schema: &Schema,
    table: &TableDef,
    relationship: &RelationshipDef,
    name: &str,
) -> Option<Value> {
    Some(match name {
        "MetadataId" => json!(id(&relationship_path(relationship))),
        "SchemaName" => json!(relationship.schema_name),
        "ReferencedEntity" => json!(relationship.target),
        "ReferencedAttribute" => {
            json!(
                schema
                    .tables
                    .get(&relationship.target)
                    .map(|target| &target.primary_id)
            )
        }
        "ReferencingEntity" => json!(table.logical_name),
        "ReferencingAttribute" => json!(relationship.column),
        "ReferencedEntityNavigationPropertyName" => json!(relationship.collection),
        "ReferencingEntityNavigationPropertyName" => json!(relationship.navigation),
        "IsCustomRelationship" => json!(is_custom(&relationship.schema_name)),
        "RelationshipType" => json!("OneToManyRelationship"),
        "CascadeConfiguration" => json!({
            "Assign": "NoCascade",
            "Delete": match relationship.on_delete {
                OnDelete::RemoveLink => "RemoveLink",
                OnDelete::Restrict => "Restrict",
                OnDelete::Cascade => "Cascade",
            },
            "Merge": "NoCascade",
            "Reparent": "NoCascade",
            "Share": "NoCascade",
            "Unshare": "NoCascade",
            "RollupView": "NoCascade",
        }),
        _ => return None,
    })
}

/// The path of a many-to-many relationship.
pub(super) fn intersect_path(intersect: &IntersectDef) -> String {
    format!("relationship/{}", intersect.schema_name)
}

/// A property of `ManyToManyRelationshipMetadata`; `table` holds the pairs.
pub(super) fn of_intersect(
    table: &TableDef,
    intersect: &IntersectDef,
    name: &str,
) -> Option<Value> {
    let [first, second] = &intersect.sides;
    Some(match name {
        "MetadataId" => json!(id(&intersect_path(intersect))),
        "SchemaName" => json!(intersect.schema_name),
        "IntersectEntityName" => json!(table.logical_name),
        "Entity1LogicalName" => json!(first.table),
        "Entity1IntersectAttribute" => json!(first.column),
        "Entity1NavigationPropertyName" => json!(first.navigation),
        "Entity2LogicalName" => json!(second.table),
        "Entity2IntersectAttribute" => json!(second.column),
        "Entity2NavigationPropertyName" => json!(second.navigation),
        "IsCustomRelationship" => json!(is_custom(&intersect.schema_name)),
        "RelationshipType" => json!("ManyToManyRelationship"),
        _ => return None,
    })
}

fn plural(name: &str) -> String {
    match name.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{name}s"),
    }
}
