//! The functions by which a client reads what a user may do.
//!
//! Source: Microsoft Learn, "Use Web API functions", "Bound functions"; "`RetrieveUserPrivileges`
//! function" and "`RetrieveUserPrivilegeByPrivilegeName` function".

use serde_json::json;
use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::odata::address::guid;
use crate::refusal::Refusal;
use crate::request::{Call, Response, decoded};
use crate::roles::users;
use crate::roles::{self, Access};

const NAMESPACE: &str = "/Microsoft.Dynamics.CRM.";

/// Answers the function, or nothing if the path is about something else.
pub(crate) fn answer(
    engine: &Engine,
    context: &Context<'_>,
    call: &Call<'_>,
    path: &str,
    query: &str,
) -> Result<Option<Response>, Refusal> {
    let Some((user, function)) = bound(path) else {
        return Ok(None);
    };
    let (name, arguments) = function.split_once('(').unwrap_or((function, ")"));
    let only = match name {
        "RetrieveUserPrivileges" => None,
        "RetrieveUserPrivilegeByPrivilegeName" => Some(privilege(context, arguments, query)?),
        _ => return Ok(None),
    };
    if call.method != "GET" {
        let uri = format!("{}/{path}", context.base());
        return Err(Refusal::no_resource(&uri));
    }
    let Some(users) = context.model.of_name("systemuser") else {
        return Ok(None);
    };
    context.require(users, Access::Read)?;
    if engine.row(users, user).is_none() {
        return Err(Refusal::no_such_row("systemuser", user));
    }
    let (rights, unit) = users::rights_of(engine, context, user);
    let body = json!({
        "@odata.context":
            format!("{}/$metadata#Microsoft.Dynamics.CRM.{name}Response", context.base()),
        "RolePrivileges": rights.listed(context.schema, unit, only.as_deref()),
    });
    Ok(Some(Response::json(200, body.to_string())))
}

/// The user and the function of `systemusers(<id>)/Microsoft.Dynamics.CRM.<function>`.
fn bound(path: &str) -> Option<(Uuid, &str)> {
    let (user, rest) = path.strip_prefix("systemusers(")?.split_once(')')?;
    Some((guid(user)?, rest.strip_prefix(NAMESPACE)?))
}

/// The name of an existing privilege, from `PrivilegeName='prvReadContact')` or `PrivilegeName=@p)`.
fn privilege(context: &Context<'_>, arguments: &str, query: &str) -> Result<String, Refusal> {
    let syntax = Refusal::query_syntax;
    let arguments = arguments.strip_suffix(')').ok_or_else(syntax)?;
    let mut pairs = arguments
        .split(',')
        .filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find(|(name, _)| *name == "PrivilegeName");
    let mut value = value.ok_or_else(syntax)?.1;
    if value.starts_with('@') {
        let mut aliases = query.split('&').filter_map(|pair| pair.split_once('='));
        let alias = aliases.find(|(name, _)| *name == value);
        value = alias.ok_or_else(syntax)?.1;
    }
    let value = decoded(value).ok_or_else(syntax)?;
    let name = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''));
    let name = name.ok_or_else(syntax)?;
    roles::known(context.schema, name).ok_or_else(|| {
        let message = format!("privilege With Name = {name} Does Not Exist");
        Refusal::new(404, "0x80040217", message)
    })
}
