//! Actions that belong to no table, and the one that is bound to a lead.
//!
//! Source: Microsoft Learn, "Use Web API actions".

pub(crate) mod bulk_delete;
pub(crate) mod closing;
pub(crate) mod eligibility;
pub(crate) mod qualify;

use uuid::Uuid;

use crate::actions::closing::Closing;
use crate::context::Context;
use crate::engine::Engine;
use crate::refusal::Refusal;
use crate::request::{Call, Response};

/// Serves an action of the environment; `None` if the path names none. The caller takes back what
/// a refused one did.
pub(crate) fn answer(
    engine: &mut Engine,
    context: &Context<'_>,
    call: &Call<'_>,
    path: &str,
) -> Result<Option<Response>, Refusal> {
    let closing = Closing::of(path);
    let eligible = eligibility::action(path);
    if closing.is_none() && eligible.is_none() && path != bulk_delete::NAME {
        return Ok(None);
    }
    check_method(context, call, path)?;
    if let Some(action) = eligible {
        return Ok(Some(eligibility::serve(context, call, action)?));
    }
    let body = call.json()?;
    let response = match closing {
        Some(closing) => closing::close(engine, context, closing, body)?,
        None => bulk_delete::serve(engine, context, body)?,
    };
    Ok(Some(response))
}

/// Serves an action on a row; `name` stands behind the row's address.
pub(crate) fn bound(
    engine: &mut Engine,
    context: &Context<'_>,
    call: &Call<'_>,
    (id, name): (Uuid, &str),
) -> Result<Response, Refusal> {
    if name != qualify::NAME {
        return Err(Refusal::no_segment(name));
    }
    check_method(context, call, name)?;
    qualify::qualify(engine, context, id, call.json()?)
}

/// An action by another verb is nothing that the service knows.
fn check_method(context: &Context<'_>, call: &Call<'_>, path: &str) -> Result<(), Refusal> {
    if call.method == "POST" {
        return Ok(());
    }
    let uri = format!("{}/{path}", context.base());
    Err(Refusal::no_resource(&uri))
}
