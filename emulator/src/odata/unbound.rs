//! What stands beside the tables: the service document, `$metadata`, functions and actions of the
//! environment.
//!
//! Source: Microsoft Learn, "Use Web API functions", "Use Web API actions".

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use crate::actions::eligibility;
use crate::context::Context;
use crate::engine::Engine;
use crate::metadata::{self, changes, csdl};
use crate::odata::Answer;
use crate::refusal::Refusal;
use crate::request::{Call, Response, decoded};
use crate::table::Rows;

/// What `RetrieveVersion` tells.
const VERSION: &str = "9.2.25114.00137";

/// A function with what stands in its parentheses, decoded.
struct Function {
    name: String,
    arguments: String,
    aliases: HashMap<String, String>,
}

impl Function {
    fn read(path: &str, query: &str) -> Result<Self, Refusal> {
        let path = decoded(path).ok_or_else(Refusal::query_syntax)?;
        let (name, arguments) = path.split_once('(').unwrap_or((&path, ")"));
        let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
        let mut aliases = HashMap::new();
        for piece in query.split('&') {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let value = value.replace('+', " ");
            let name = decoded(name).ok_or_else(Refusal::query_syntax)?;
            let value = decoded(&value).ok_or_else(Refusal::query_syntax)?;
            aliases.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            aliases,
        })
    }

    /// The value of an argument, or what its alias stands for.
    fn argument(&self, name: &str) -> Option<&str> {
        let rest = self.arguments.split_once(name)?.1;
        let value = rest.trim_start().strip_prefix('=')?.trim();
        Some(self.aliases.get(value).map_or(value, String::as_str))
    }
}

/// Answers a request that is not about rows; `None` if it is.
pub(crate) fn answer(
    engine: &Engine,
    context: &Context<'_>,
    call: &Call<'_>,
    path: &str,
    query: &str,
) -> Result<Option<Answer>, Refusal> {
    let is_get = call.method == "GET";
    let response = match path {
        "" if is_get => service_document(context),
        "" => return Err(Refusal::wrong_method(call.method)),
        "$metadata" if is_get => model(context),
        "$metadata" => return Err(Refusal::wrong_method(call.method)),
        "$batch" => {
            return Err(Refusal::odata_payload(
                "",
                "A batch request cannot stand inside a batch request.",
            ));
        }
        _ => match definitions(context, path, query) {
            Some(response) => response,
            None => return function(engine, context, call, path, query),
        },
    };
    Ok(Some(response.into()))
}

fn function(
    engine: &Engine,
    context: &Context<'_>,
    call: &Call<'_>,
    path: &str,
    query: &str,
) -> Result<Option<Answer>, Refusal> {
    let function = Function::read(path, query)?;
    let is_get = call.method == "GET";
    let response = match function.name.as_str() {
        "WhoAmI"
        | "RetrieveVersion"
        | "RetrieveCurrentOrganization"
        | "RetrieveTotalRecordCount"
        | "RetrieveMetadataChanges"
        | "RetrieveAvailableLanguages"
        | "RetrieveProvisionedLanguages"
        | "RetrieveInstalledLanguagePacks"
            if call.method != "GET" =>
        {
            let uri = format!("{}/{path}", context.base());
            return Err(Refusal::no_resource(&uri));
        }
        "WhoAmI" => who_am_i(context),
        "RetrieveVersion" => told(context, "RetrieveVersion", json!({"Version": VERSION})),
        "RetrieveCurrentOrganization" => organization(context),
        "RetrieveTotalRecordCount" => total(engine, context, &function)?,
        "RetrieveAvailableLanguages" => languages(engine, context, "LocaleIds", &function),
        name @ ("RetrieveProvisionedLanguages" | "RetrieveInstalledLanguagePacks") => {
            languages(engine, context, name, &function)
        }
        "RetrieveMetadataChanges" => {
            let base = context.base();
            let (arguments, aliases) = (&function.arguments, &function.aliases);
            rendered(&changes::answer(context.schema, &base, arguments, aliases))
        }
        name if is_get => match eligibility::list(context, name) {
            Some(listed) => told(context, name, listed),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(response.into()))
}

fn definitions(context: &Context<'_>, path: &str, query: &str) -> Option<Response> {
    let answer = metadata::answer(context.schema, &context.base(), path, query)?;
    Some(rendered(&answer))
}

fn rendered(answer: &metadata::Answer) -> Response {
    let body = answer.body.to_string();
    if answer.status == 200 {
        return Response::json(200, body);
    }
    let mut response = Response::new(answer.status).header(
        "Content-Type",
        "application/json; odata.metadata=minimal".to_owned(),
    );
    response.headers.push(("OData-Version", "4.0".to_owned()));
    response.body = body.into();
    response
}

fn model(context: &Context<'_>) -> Response {
    let mut response = Response::odata(200).header("Content-Type", "application/xml".to_owned());
    response.body = csdl::document(context.schema).into();
    response
}

fn service_document(context: &Context<'_>) -> Response {
    let sets = context.model.layouts().map(|layout| {
        let set = &layout.def.entity_set;
        json!({"name": set, "kind": "EntitySet", "url": set})
    });
    let sets: Vec<_> = sets.collect();
    let body = json!({
        "@odata.context": format!("{}/$metadata", context.base()),
        "value": sets,
    });
    Response::json(200, body.to_string())
}

/// The answer of a function: an object of its own type.
fn told(context: &Context<'_>, function: &str, mut body: Json) -> Response {
    let shape = format!(
        "{}/$metadata#Microsoft.Dynamics.CRM.{function}Response",
        context.base()
    );
    if let Some(body) = body.as_object_mut() {
        body.insert("@odata.context".to_owned(), json!(shape));
    }
    Response::json(200, body.to_string())
}

fn who_am_i(context: &Context<'_>) -> Response {
    let identity = context.identity;
    let body = json!({
        "BusinessUnitId": identity.business_unit,
        "UserId": identity.user,
        "OrganizationId": identity.organization,
    });
    told(context, "WhoAmI", body)
}

fn organization(context: &Context<'_>) -> Response {
    let origin = context.origin;
    let service = |path: &str| format!("{origin}{path}");
    let body = json!({"Detail": {
        "OrganizationId": context.identity.organization,
        "FriendlyName": "segue emulator",
        "OrganizationVersion": VERSION,
        "EnvironmentId": context.identity.organization,
        "Geo": null,
        "TenantId": crate::options::TENANT_ID,
        "UrlName": "segue",
        "UniqueName": "segue",
        "State": "Enabled",
        "Endpoints": {
            "Count": 1,
            "IsReadOnly": false,
            "Keys": ["WebApplication"],
            "Values": [service("/")],
        },
    }});
    told(context, "RetrieveCurrentOrganization", body)
}

/// The languages that labels can have: English, and the base language.
fn languages(
    engine: &Engine,
    context: &Context<'_>,
    member: &str,
    function: &Function,
) -> Response {
    let mut languages = vec![1033];
    let organizations = context.model.of_name("organization");
    let rows = organizations.and_then(|layout| Some((layout, engine.rows(layout)?)));
    if let Some((layout, rows)) = rows
        && let Some((_, row)) = rows.after(None).next()
        && let Some(language) = crate::service::seed::language(layout, row)
        && !languages.contains(&language)
    {
        languages.push(language);
    }
    told(context, &function.name, json!({member: languages}))
}

/// `RetrieveTotalRecordCount(EntityNames=['contact'])`
fn total(engine: &Engine, context: &Context<'_>, function: &Function) -> Result<Response, Refusal> {
    let names = function.argument("EntityNames");
    let names = names.ok_or_else(Refusal::query_syntax)?.replace('\'', "\"");
    let names: Vec<String> = serde_json::from_str(&names).map_err(|_| Refusal::query_syntax())?;
    let mut values = Vec::with_capacity(names.len());
    for name in &names {
        let layout = context.model.of_name(name).ok_or_else(|| {
            let message = format!("The entity with a name = '{name}' was not found.");
            Refusal::new(404, "0x80041102", message)
        })?;
        values.push(engine.rows(layout).map_or(0, Rows::len));
    }
    let body = json!({"EntityRecordCountCollection": {
        "Count": names.len(),
        "IsReadOnly": false,
        "Keys": names,
        "Values": values,
    }});
    Ok(told(context, "RetrieveTotalRecordCount", body))
}
