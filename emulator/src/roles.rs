//! Privileges: how they are named, who holds which, and the refusal of what is not held.
//!
//! A table has one privilege for each operation on it; all activities share theirs. Roles are
//! reduced to what they give: everything, nothing, or named privileges, always at global depth.
//! Source: Microsoft Learn, "Security roles and privileges", "`SecurityPrivilegeMetadata`" and
//! "Use Web API functions", "Bound functions".

pub(crate) mod access;
pub(crate) mod privileges;
pub(crate) mod users;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::model::Layout;
use crate::refusal::Refusal;
use crate::schema::{Ownership, Schema, TableDef};

/// Lets a user act as another one.
pub(crate) const ACT_ON_BEHALF: &str = "prvActOnBehalfOfAnotherUser";

/// Lets a user say when a row was created.
pub(crate) const OVERRIDE_CREATED_ON: &str = "prvOverrideCreatedOnCreatedBy";
/// Let a user pass by plug-ins and flows.
pub(crate) const BYPASS_LOGIC: &str = "prvBypassCustomBusinessLogic";
pub(crate) const BYPASS_PLUGINS: &str = "prvBypassCustomPlugins";

/// Privileges that belong to no table.
const OTHERS: [&str; 16] = [
    ACT_ON_BEHALF,
    OVERRIDE_CREATED_ON,
    BYPASS_LOGIC,
    BYPASS_PLUGINS,
    "prvCreateEntity",
    "prvWriteEntity",
    "prvDeleteEntity",
    "prvCreateAttribute",
    "prvWriteAttribute",
    "prvDeleteAttribute",
    "prvCreateRelationship",
    "prvWriteRelationship",
    "prvDeleteRelationship",
    "prvCreateOptionSet",
    "prvWriteOptionSet",
    "prvDeleteOptionSet",
];

/// What can be done with a table, as far as privileges tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Create,
    Read,
    Write,
    Delete,
    /// Its rows refer to others.
    Append,
    /// Rows of others refer to its rows.
    AppendTo,
    /// Its rows are given to an owner.
    Assign,
    Share,
}

impl Access {
    const ALL: [Self; 8] = [
        Self::Create,
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Append,
        Self::AppendTo,
        Self::Assign,
        Self::Share,
    ];

    /// `Create`, as definitions and privileges name it.
    fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Delete => "Delete",
            Self::Append => "Append",
            Self::AppendTo => "AppendTo",
            Self::Assign => "Assign",
            Self::Share => "Share",
        }
    }

    /// Only rows with an owner are assigned and shared; parties are their activity's affair.
    fn exists_for(self, table: &TableDef) -> bool {
        let needs_owner = matches!(self, Self::Assign | Self::Share);
        !table.holds_parties() && (!needs_owner || table.ownership == Ownership::User)
    }
}

/// `prvCreateContact`
fn name(table: &TableDef, access: Access) -> String {
    let noun = match table.logical_name.as_str() {
        _ if table.is_activity() => "Activity",
        "systemuser" => "User",
        _ => &table.schema_name,
    };
    format!("prv{}{noun}", access.name())
}

/// The same for the same name in every environment.
fn id(name: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"dataverse privileges");
    Uuid::new_v5(&namespace, name.as_bytes())
}

/// The privileges of a table, as its definition lists them.
pub(crate) fn definitions(table: &TableDef) -> Json {
    let existing = Access::ALL.into_iter().filter(|it| it.exists_for(table));
    let listed = existing.map(|access| {
        let name = name(table, access);
        json!({
            "CanBeBasic": table.ownership == Ownership::User,
            "CanBeDeep": table.ownership == Ownership::User,
            "CanBeGlobal": true,
            "CanBeLocal": table.ownership == Ownership::User,
            "CanBeEntityReference": false,
            "CanBeParentEntityReference": false,
            "Name": name,
            "PrivilegeId": id(&name),
            "PrivilegeType": access.name(),
        })
    });
    listed.collect()
}

/// The name of a privilege of this environment as it is written; case does not matter.
pub(crate) fn known(schema: &Schema, privilege: &str) -> Option<String> {
    let mut all = everything(schema).into_iter();
    all.find(|name| name.eq_ignore_ascii_case(privilege))
}

/// The names of all privileges of the environment.
fn everything(schema: &Schema) -> BTreeSet<String> {
    let tables = schema.tables.values();
    let names = tables.flat_map(|table| {
        let existing = Access::ALL.into_iter().filter(|it| it.exists_for(table));
        existing.map(|access| name(table, access))
    });
    names.chain(OTHERS.map(str::to_owned)).collect()
}

/// What a user's roles give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rights {
    /// As the System Administrator has.
    Everything,
    /// These privileges, by name.
    Only(BTreeSet<String>),
    /// No role at all.
    NoRole,
}

impl Rights {
    pub(crate) fn hold(&self, privilege: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(names) => names.contains(privilege),
            Self::NoRole => false,
        }
    }

    /// The names of what is held.
    fn names(&self, schema: &Schema) -> BTreeSet<String> {
        match self {
            Self::Everything => everything(schema),
            Self::Only(names) => names.clone(),
            Self::NoRole => BTreeSet::new(),
        }
    }

    pub(crate) fn grant(&mut self, schema: &Schema, privilege: String) {
        let mut names = self.names(schema);
        names.insert(privilege);
        *self = Self::Only(names);
    }

    pub(crate) fn revoke(&mut self, schema: &Schema, privilege: &str) {
        let mut names = self.names(schema);
        names.remove(privilege);
        *self = Self::Only(names);
    }

    /// The answer of the functions that tell a user's privileges; `only` names one.
    pub(crate) fn listed(&self, schema: &Schema, unit: Uuid, only: Option<&str>) -> Json {
        let held = self.names(schema).into_iter();
        let held = held.filter(|name| only.is_none_or(|only| name.eq_ignore_ascii_case(only)));
        let listed = held.map(|name| {
            json!({
                "Depth": "Global",
                "PrivilegeId": id(&name),
                "BusinessUnitId": unit,
                "PrivilegeName": name,
                "RecordFilterId": Uuid::nil(),
                "RecordFilterUniqueName": "",
            })
        });
        listed.collect()
    }
}

/// Who makes a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// `systemuserid`
    pub(crate) user: Uuid,
    pub(crate) business_unit: Uuid,
    pub(crate) rights: Arc<Rights>,
}

impl Caller {
    /// Refuses what the caller lacks the privilege for.
    pub(crate) fn require(&self, layout: &Layout, access: Access) -> Result<(), Refusal> {
        // Most callers hold everything; they should not pay for names.
        if *self.rights == Rights::Everything || !access.exists_for(&layout.def) {
            return Ok(());
        }
        let name = name(&layout.def, access);
        if self.rights.hold(&name) {
            return Ok(());
        }
        Err(self.lacks(layout, &name))
    }

    /// The same for a privilege that belongs to no table.
    pub(crate) fn require_named(&self, privilege: &str) -> Result<(), Refusal> {
        if *self.rights == Rights::Everything || self.rights.hold(privilege) {
            return Ok(());
        }
        let user = self.user;
        let message = format!(
            "Principal user (Id={user}, type=8) is missing {privilege} privilege (Id={}). \
             context.Caller={user}.",
            id(privilege)
        );
        Err(Refusal::new(403, "0x80040220", message))
    }

    fn lacks(&self, layout: &Layout, privilege: &str) -> Refusal {
        let held = match &*self.rights {
            Rights::Only(names) => names.len(),
            Rights::Everything | Rights::NoRole => 0,
        };
        let user = self.user;
        let table = &layout.def;
        let message = format!(
            "Principal user (Id={user}, type=8, roleCount=1, privilegeCount={held}, \
             accessMode=4) is missing {privilege} privilege (Id={id}) on OTC={code} for entity \
             '{name}' (LocalizedName='{label}'). context.Caller={user}. Consider adding missed \
             privilege to one of the principal (user/team) roles.",
            id = id(privilege),
            code = table.type_code,
            name = table.logical_name,
            label = table.display_name,
        );
        Refusal::new(403, "0x80040220", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_named_as_the_service_names_them() {
        let schema = Schema::built_in().unwrap();
        let named = |table: &str, access| name(&schema.tables[table], access);
        assert_eq!(named("contact", Access::Create), "prvCreateContact");
        assert_eq!(named("task", Access::AppendTo), "prvAppendToActivity");
        assert_eq!(named("systemuser", Access::Read), "prvReadUser");
        assert_eq!(
            named("new_subscription", Access::Write),
            "prvWritenew_Subscription"
        );
    }

    #[test]
    fn only_rows_with_an_owner_are_assigned() {
        let schema = Schema::built_in().unwrap();
        assert!(known(&schema, "prvassigncontact").is_some());
        assert!(known(&schema, "prvAssignProduct").is_none());
        assert!(known(&schema, "prvCreateNothing").is_none());
    }

    #[test]
    fn a_revoked_privilege_leaves_the_others() {
        let schema = Schema::built_in().unwrap();
        let mut rights = Rights::Everything;
        rights.revoke(&schema, "prvCreateContact");
        assert!(!rights.hold("prvCreateContact"));
        assert!(rights.hold("prvWriteContact"));
        rights.grant(&schema, "prvCreateContact".to_owned());
        assert!(rights.hold("prvCreateContact"));
    }
}
