//! Application users: the rows by which an application may act in the environment.
//!
//! Source: Microsoft Learn, "Manage application users in the Power Platform admin center" and
//! "Impersonate another user using the Web API".

use std::sync::Arc;

use uuid::Uuid;

use crate::context::{Context, Identity};
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::odata::address::guid;
use crate::refusal::Refusal;
use crate::request::Headers;
use crate::roles::{ACT_ON_BEHALF, Caller, Rights};
use crate::service::seed;
use crate::table::Row;
use crate::table::value::{Cells, Value};
use crate::token::clients::{Registry, UserState};

/// A user as far as it decides who may ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) business_unit: Option<Uuid>,
    pub(crate) is_disabled: bool,
}

impl User {
    fn of(users: &Layout, id: Uuid, row: &Row) -> Self {
        let disabled = users.number_of("isdisabled");
        let disabled = disabled.and_then(|column| row.cells.get(column));
        Self {
            id,
            business_unit: seed::reference(users, row, "businessunitid"),
            is_disabled: disabled == Some(Value::Boolean(true)),
        }
    }
}

/// The user of an application; `hint` is where it was found last.
pub(crate) fn of_client(engine: &Engine, client: Uuid, hint: Option<Uuid>) -> Option<User> {
    let column = "applicationid";
    let users = engine.model.of_name("systemuser")?;
    if let Some(row) = hint.and_then(|id| engine.row(users, id))
        && has(users, row, column, client)
    {
        return hint.map(|id| User::of(users, id, row));
    }
    find(engine, users, column, client)
}

fn find(engine: &Engine, users: &Layout, column: &str, value: Uuid) -> Option<User> {
    let mut rows = engine.rows(users)?.after(None);
    let (id, row) = rows.find(|(_, row)| has(users, row, column, value))?;
    Some(User::of(users, id, row))
}

fn has(users: &Layout, row: &Row, column: &str, value: Uuid) -> bool {
    let column = users.number_of(column);
    column.and_then(|column| row.cells.get(column)) == Some(Value::Guid(value))
}

/// Who makes a request with a token of this application.
pub(crate) fn caller(
    engine: &Engine,
    registry: &Registry,
    client: Uuid,
    headers: &Headers<'_>,
    identity: &Identity,
) -> Result<Caller, Refusal> {
    let known = registry.get(client);
    let hint = known.as_ref().and_then(|known| known.user);
    let user = of_client(engine, client, hint).ok_or_else(not_a_member)?;
    if hint != Some(user.id) {
        registry.remember_user(client, user.id);
    }
    let enabled = enabled(user)?;
    let rights = known.map_or_else(|| Arc::new(Rights::NoRole), |known| known.rights);
    if *rights == Rights::NoRole {
        let message = "The user has not been assigned any roles.";
        return Err(Refusal::new(403, "0x80042f09", message));
    }
    let caller = Caller {
        user: enabled.id,
        business_unit: enabled.business_unit.unwrap_or(identity.business_unit),
        rights,
    };
    impersonated(engine, headers, caller)
}

fn not_a_member() -> Refusal {
    let message = "The user is not a member of the organization.";
    Refusal::new(403, "0x80072560", message)
}

fn enabled(user: User) -> Result<User, Refusal> {
    if user.is_disabled {
        let message = "The specified user is either disabled or is not a member of any business \
                       unit.";
        return Err(Refusal::new(403, "0x80040225", message));
    }
    Ok(user)
}

/// The user that the headers name in the caller's place. Its own roles are not known here, so it
/// may do what the caller may.
fn impersonated(engine: &Engine, headers: &Headers<'_>, caller: Caller) -> Result<Caller, Refusal> {
    let object = headers.get("CallerObjectId");
    let Some(named) = object.or_else(|| headers.get("MSCRMCallerID")) else {
        return Ok(caller);
    };
    if !caller.rights.hold(ACT_ON_BEHALF) {
        let message = "User does not have the privilege to act on behalf another user.";
        return Err(Refusal::new(403, "0x8004a110", message));
    }
    let Some(named) = guid(named) else {
        let message = "Invalid argument. The id of the user to act as is not a GUID.";
        return Err(Refusal::new(400, "0x80040203", message));
    };
    let users = engine.model.of_name("systemuser");
    let found = users.and_then(|users| {
        if object.is_some() {
            return find(engine, users, "azureactivedirectoryobjectid", named);
        }
        let row = engine.row(users, named)?;
        Some(User::of(users, named, row))
    });
    let user = enabled(found.ok_or_else(not_a_member)?)?;
    Ok(Caller {
        user: user.id,
        business_unit: user.business_unit.unwrap_or(caller.business_unit),
        rights: caller.rights,
    })
}

/// What the roles of a user give, and its business unit. Of the people of the environment nothing
/// is known; they have no role.
pub(crate) fn rights_of(engine: &Engine, context: &Context<'_>, user: Uuid) -> (Arc<Rights>, Uuid) {
    let client = || {
        let users = engine.model.of_name("systemuser")?;
        let row = engine.row(users, user)?;
        let unit = User::of(users, user, row).business_unit;
        match row.cells.get(users.number_of("applicationid")?) {
            Some(Value::Guid(client)) => Some((context.registry.get(client)?.rights, unit)),
            _ => None,
        }
    };
    let (rights, unit) = client().unwrap_or_else(|| (Arc::new(Rights::NoRole), None));
    (rights, unit.unwrap_or(context.identity.business_unit))
}

/// Puts the user of an application there, removes it, or switches it off. The journal does not
/// tell of it.
pub(crate) fn set(
    engine: &mut Engine,
    identity: &Identity,
    client: Uuid,
    state: UserState,
    milliseconds: u64,
) -> Result<(), rusqlite::Error> {
    let model = Arc::clone(&engine.model);
    let Some(users) = model.of_name("systemuser") else {
        return Ok(());
    };
    let before = engine.mark();
    let user = of_client(engine, client, None);
    match (state, user) {
        (UserState::Missing, None) => return Ok(()),
        (UserState::Missing, Some(user)) => engine.delete(users, user.id),
        (UserState::Present | UserState::Disabled, user) => {
            let user = user.map(|user| user.id);
            let user =
                user.unwrap_or_else(|| seed::plant_user(engine, *identity, client, milliseconds));
            switch(engine, users, user, state);
        }
    }
    let committed = engine.commit_silently();
    if committed.is_err() {
        engine.roll_back_to(before);
    }
    committed
}

fn switch(engine: &mut Engine, users: &Layout, user: Uuid, state: UserState) {
    let (Some(row), Some(column)) = (engine.row(users, user), users.number_of("isdisabled")) else {
        return;
    };
    let mut cells = row.cells.unpacked();
    cells.retain(|(known, _)| *known != column);
    cells.push((column, Value::Boolean(state == UserState::Disabled)));
    cells.sort_by_key(|(column, _)| *column);
    // The row keeps its key, so it collides with no other.
    drop(engine.update(users, user, Cells::pack(&cells), Written::new()));
}
