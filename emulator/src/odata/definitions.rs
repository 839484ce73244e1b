//! Requests that change definitions: rights, the step itself, and the answer.
//!
//! What a body means is read elsewhere. A change of definitions stands at once and is not taken
//! back with a batch that fails later; in a change set it is refused. Source: Microsoft Learn,
//! "Use the Web API with table definitions".

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::context::{Context, Enclosure};
use crate::engine::Engine;
use crate::metadata::define::{self, OptionMessage, Shared, Step};
use crate::odata::Answer;
use crate::refusal::Refusal;
use crate::request::{Call, Response};
use crate::schema::{Change, KeyIndexStatus};

const CREATE_ENTITIES: &str = "CreateEntities";
const REACTIVATE: &str = "ReactivateEntityKey";
/// Customizations of the Web API are public at once.
const PUBLISH: [&str; 2] = ["PublishAllXml", "PublishXml"];

/// Answers a request that changes definitions; `None` if it is none.
pub(crate) fn answer(
    engine: &mut Engine,
    context: &Context<'_>,
    call: &Call<'_>,
    path: &str,
) -> Result<Option<Answer>, Refusal> {
    let option = OptionMessage::of(path);
    let shared = Shared::of(path);
    let is_action = path == CREATE_ENTITIES
        || path == REACTIVATE
        || PUBLISH.contains(&path)
        || option.is_some()
        || shared.is_some();
    let privilege = match define::privilege(call.method, path) {
        _ if is_action && call.method != "POST" => {
            let uri = format!("{}/{path}", context.base());
            return Err(Refusal::no_resource(&uri));
        }
        Some(_) if call.method == "GET" => return Ok(None),
        Some(privilege) => privilege,
        None if path == CREATE_ENTITIES => "prvCreateEntity",
        None if option.is_some() => "prvWriteOptionSet",
        None if shared.is_some() => "prvCreateRelationship",
        None if is_action => "prvWriteEntity",
        None => return Ok(None),
    };
    context.caller.require_named(privilege)?;
    if context.place == Enclosure::ChangeSet {
        let message = "Definitions cannot be changed in a change set.";
        return Err(Refusal::new(400, "0x80040203", message));
    }
    if PUBLISH.contains(&path) {
        return Ok(Some(Response::odata(204).into()));
    }
    let body = body(call)?;
    if let Some(message) = option {
        let (step, value) = define::option_step(context.schema, message, &body)?;
        engine.redefine(&step.change)?;
        return Ok(Some(changed_option(context, message, value)));
    }
    if let Some(shared) = shared {
        let (step, ids) = define::shared_step(context.schema, shared, &body)?;
        engine.redefine(&step.change)?;
        let told = json!({"AttributeId": step.id, "RelationshipIds": ids});
        return Ok(Some(response_of(context, path, told)));
    }
    let step = match path {
        CREATE_ENTITIES => define::tables(context.schema, &body)?,
        REACTIVATE => reactivation(context, &body)?,
        _ => define::step(context.schema, call.method, path, &body)?,
    };
    engine.redefine(&step.change)?;
    if let Some((table, key)) = &step.index {
        let time = context.key_index_time;
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        engine.build_later(table, key, context.milliseconds.saturating_add(time));
        if time == Duration::ZERO.as_secs() {
            engine.work_off(context.milliseconds);
        }
    }
    Ok(Some(told(context, path, &step)))
}

fn changed_option(context: &Context<'_>, message: OptionMessage, value: i32) -> Answer {
    let name = match message {
        OptionMessage::Insert => "InsertOptionValue",
        OptionMessage::InsertStatus => "InsertStatusValue",
        OptionMessage::Update | OptionMessage::Order | OptionMessage::Delete => {
            return Response::odata(204).into();
        }
    };
    response_of(context, name, json!({"NewOptionValue": value}))
}

/// The answer of an action that tells something.
fn response_of(context: &Context<'_>, action: &str, mut body: Json) -> Answer {
    let base = context.base();
    let shape = format!("{base}/$metadata#Microsoft.Dynamics.CRM.{action}Response");
    if let Some(body) = body.as_object_mut() {
        body.insert("@odata.context".to_owned(), shape.into());
    }
    Response::json(200, body.to_string()).into()
}

fn body(call: &Call<'_>) -> Result<Json, Refusal> {
    if call.method == "DELETE" {
        return Ok(Json::Null);
    }
    serde_json::from_slice(call.json()?).map_err(|error| {
        let inner = format!("The request payload is not JSON: {error}");
        Refusal::odata_payload("", &inner)
    })
}

fn told(context: &Context<'_>, path: &str, step: &Step) -> Answer {
    if path == CREATE_ENTITIES {
        let base = context.base();
        let shape = format!("{base}/$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse");
        let body = json!({"@odata.context": shape});
        return Response::json(200, body.to_string()).into();
    }
    let response = Response::odata(204);
    match step.id {
        Some(id) => {
            let path = path.trim_matches('/');
            let address = format!("{}/{path}({id})", context.base());
            response.header("OData-EntityId", address).into()
        }
        None => response.into(),
    }
}

/// `ReactivateEntityKey`: only for a key whose index could not be built.
fn reactivation(context: &Context<'_>, body: &Json) -> Result<Step, Refusal> {
    let text = |name: &str| {
        let text = body.get(name).and_then(Json::as_str);
        text.ok_or_else(|| {
            let inner = format!("The parameter '{name}' is missing or not a text.");
            Refusal::odata_payload(REACTIVATE, &inner)
        })
    };
    let (table, key) = (text("EntityLogicalName")?, text("EntityKeyLogicalName")?);
    let definition = context.schema.tables.get(table).ok_or_else(|| {
        let message = format!("Could not find an entity with name {table}.");
        Refusal::new(404, "0x80041102", message)
    })?;
    let mut keys = definition.keys.iter();
    let found = keys.find(|it| it.logical_name == key).ok_or_else(|| {
        let message = "The specified entitykey was not found.";
        Refusal::new(404, "0x80041140", message)
    })?;
    if found.status != KeyIndexStatus::Failed {
        let message = "Reactivate entity key is only supported for failed job";
        return Err(Refusal::new(400, "0x80060897", message));
    }
    Ok(Step {
        index: Some((table.to_owned(), key.to_owned())),
        ..Change::Key {
            table: table.to_owned(),
            key: key.to_owned(),
            status: KeyIndexStatus::Pending,
        }
        .into()
    })
}
