//! What a user may do with a table.
//!
//! The names of a table's privileges come from its definition: activities share theirs, custom tables have their own.
//! The functions of this file are read as Microsoft's pages describe them; an environment that does not serve them
//! tells nothing, which is not the same as a privilege that is missing.
//!
//! Source: Microsoft Learn, "`EntityMetadata`" (`Privileges`) and "`RetrieveUserPrivileges` function".

use std::collections::HashSet;

use serde::Deserialize;
use uuid::Uuid;

use super::address::BASE;
use super::http::{Answer, Http, Request};
use super::{DataverseError, metadata};
use crate::model::{LogicalName, RecordId};

/// What is to be done with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// `contact`
    pub table: LogicalName,
    /// `Create`, `Read`, `Write`, …
    pub accesses: Vec<&'static str>,
}

/// A privilege that is needed and not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// `contact`
    pub table: LogicalName,
    /// `prvCreateContact`
    pub privilege: String,
}

/// What a user may do, as far as the environment tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privileges {
    /// The environment told.
    Told {
        /// What is missing.
        missing: Vec<Lacking>,
    },
    /// The environment does not tell.
    NotTold {
        /// Why not.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    privileges: Option<Vec<TablePrivilege>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TablePrivilege {
    name: String,
    privilege_id: Uuid,
    privilege_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Held {
    role_privileges: Vec<RolePrivilege>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RolePrivilege {
    privilege_id: Uuid,
}

/// Compares what is needed with what the user holds, at whatever depth.
pub(super) async fn privileges(
    http: &Http,
    user: RecordId,
    needed: &[Needed],
) -> Result<Privileges, DataverseError> {
    let user = user.0;
    let path =
        format!("{BASE}/systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
    let answer = http
        .read_patiently(&Request::Get { path, prefer: None })
        .await?;
    if not_served(&answer) {
        let said = answer.said().error;
        let why = format!("the environment does not tell the user's privileges ({said})");
        return Ok(Privileges::NotTold { why });
    }
    let held: Held = metadata::parse(&answer, "the user's privileges")?;
    let held: HashSet<Uuid> = held
        .role_privileges
        .iter()
        .map(|privilege| privilege.privilege_id)
        .collect();
    let mut missing = Vec::new();
    for Needed { table, accesses } in needed {
        let path = format!("{BASE}/EntityDefinitions(LogicalName='{table}')?$select=Privileges");
        let answer = http
            .read_patiently(&Request::Get { path, prefer: None })
            .await?;
        let definition: Definition = metadata::parse(&answer, table.as_str())?;
        let defined = definition.privileges.unwrap_or_default();
        if defined.is_empty() {
            let why = format!("the environment does not list the privileges of `{table}`");
            return Ok(Privileges::NotTold { why });
        }
        let lacking = defined.into_iter().filter(|privilege| {
            accesses.contains(&privilege.privilege_type.as_str())
                && !held.contains(&privilege.privilege_id)
        });
        missing.extend(lacking.map(|privilege| Lacking {
            table: table.clone(),
            privilege: privilege.name,
        }));
    }
    Ok(Privileges::Told { missing })
}

/// A user who may not read users cannot read what is granted to itself either.
fn not_served(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 403 | 404 | 501)
}

#[cfg(test)]
mod tests {
    use super::super::loopback::{Loopback, json};
    use super::*;

    const DEFINED: &str = r#"{"Privileges":[
        {"Name":"prvCreateContact","PrivilegeId":"00000000-0000-0000-0000-000000000001","PrivilegeType":"Create"},
        {"Name":"prvWriteContact","PrivilegeId":"00000000-0000-0000-0000-000000000002","PrivilegeType":"Write"},
        {"Name":"prvDeleteContact","PrivilegeId":"00000000-0000-0000-0000-000000000003","PrivilegeType":"Delete"}]}"#;

    async fn asked(definition: &'static str, status: &'static str, held: &str) -> Privileges {
        let held = held.to_owned();
        let server = Loopback::environment(move |asked, _| {
            if asked.line.contains("EntityDefinitions") {
                json("200 OK", definition)
            } else {
                json(status, &held)
            }
        })
        .await;
        let user = RecordId(Uuid::from_u128(9));
        let needed = Needed {
            table: LogicalName::parse("contact").unwrap(),
            accesses: vec!["Create", "Write"],
        };
        privileges(&server.http(), user, &[needed]).await.unwrap()
    }

    #[tokio::test]
    async fn a_missing_privilege_is_named_and_one_not_wanted_is_not() {
        let held = r#"{"RolePrivileges":[{"Depth":"Global","PrivilegeId":"00000000-0000-0000-0000-000000000001"}]}"#;
        let missing = vec![Lacking {
            table: LogicalName::parse("contact").unwrap(),
            privilege: "prvWriteContact".to_owned(),
        }];
        assert_eq!(
            asked(DEFINED, "200 OK", held).await,
            Privileges::Told { missing }
        );
    }

    #[tokio::test]
    async fn an_environment_that_does_not_tell_denies_nothing() {
        for (definition, status) in [
            (r#"{"Privileges":[]}"#, "200 OK"),
            (DEFINED, "404 Not Found"),
            (DEFINED, "403 Forbidden"),
        ] {
            let told = asked(definition, status, r#"{"RolePrivileges":[]}"#).await;
            assert!(matches!(told, Privileges::NotTold { .. }), "{told:?}");
        }
    }
}
