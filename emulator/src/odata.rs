//! One operation of the Web API: reads and writes of rows, and the few resources beside them.
//!
//! A request of its own and a part of a batch come here alike. Source: Microsoft Learn, "Create a
//! table row using the Web API", "Update and delete table rows using the Web API", "Retrieve a
//! table row using the Web API".

pub(crate) mod address;
pub(crate) mod definitions;
pub(crate) mod files;
pub(crate) mod parameters;
pub(crate) mod payload;
pub(crate) mod property;
pub(crate) mod unbound;

use uuid::Uuid;

use crate::actions;
use crate::bulk::{Bulk, Message, NAMESPACE};
use crate::context::{Context, Enclosure};
use crate::engine::Engine;
use crate::model::Layout;
use crate::odata::address::{Address, Place, Predicate};
use crate::odata::payload::Purpose;
use crate::odata::property::Property;
use crate::query::fetch;
use crate::query::related::Related;
use crate::query::{self, Asked, Listing};
use crate::refusal::Refusal;
use crate::render;
use crate::request::{Call, Condition, Preferences, Response, decoded};
use crate::roles::privileges;
use crate::write::deep;
use crate::write::removal;
use crate::write::{self, Done};

const LONGEST_URL: usize = 32_768;
const LONGEST_URL_IN_BATCH: usize = 65_536;

/// The answer of an operation, and the row that it wrote.
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// Entity set and id; `None` if nothing was written or the answer does not tell its id.
    pub(crate) written: Option<(String, Uuid)>,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            response,
            written: None,
        }
    }
}

/// Serves one operation; `target` stands below the API's root. A refused operation has no effect.
pub(crate) fn execute(
    engine: &mut Engine,
    context: &Context<'_>,
    call: &Call<'_>,
) -> Result<Answer, Refusal> {
    engine.tally.operation();
    let longest = match context.place {
        Enclosure::Request => LONGEST_URL,
        Enclosure::Batch | Enclosure::ChangeSet => LONGEST_URL_IN_BATCH,
    };
    if call.target.len() > longest {
        return Err(Refusal::new(414, "", "The request URI is too long."));
    }
    let target = call.target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(answer) = definitions::answer(engine, context, call, path)? {
        return Ok(answer);
    }
    if let Some(answer) = unbound::answer(engine, context, call, path, query)? {
        return Ok(answer);
    }
    if let Some(answer) = privileges::answer(engine, context, call, path, query)? {
        return Ok(answer.into());
    }
    let mark = engine.mark();
    let acted = actions::answer(engine, context, call, path);
    if acted.is_err() {
        engine.roll_back_to(mark);
    }
    if let Some(response) = acted? {
        return Ok(response.into());
    }
    // A function that is not served says so, whatever stands in its parentheses.
    let segment = path.split(['(', '/']).next().unwrap_or_default();
    let segment = decoded(segment).ok_or_else(Refusal::query_syntax)?;
    if !segment.contains(['(', '/']) && context.model.of_set(&segment).is_none() {
        return Err(Refusal::no_segment(&segment));
    }
    let address = address::parse(path, Place::Url)?;
    let layout = context.model.of_set(&address.segment);
    let layout = layout.ok_or_else(|| Refusal::no_segment(&address.segment))?;
    context.admit_request(layout, call, address.rest.as_deref())?;
    check_writable(layout, call.method, address.rest.as_deref())?;
    let operation = Operation {
        context,
        call,
        layout,
        path,
        query,
        preferences: call.headers.preferences(),
    };
    let mut answer = operation.run(engine, &address);
    match &mut answer {
        Ok(answer) if layout.def.is_elastic() => {
            let token = format!("207:1#{}#7=-1", engine.version());
            let headers = &mut answer.response.headers;
            headers.push(("x-ms-session-token", token));
        }
        Ok(_) => {}
        Err(_) => engine.roll_back_to(mark),
    }
    answer
}

/// What stands behind a row is of its own kind.
fn check_writable(layout: &Layout, method: &str, rest: Option<&str>) -> Result<(), Refusal> {
    match (method, rest) {
        ("POST", None) => layout.check_writable("Create"),
        ("PATCH" | "PUT", _) => layout.check_writable("Update"),
        ("DELETE", None) => layout.check_writable("Delete"),
        ("DELETE", Some(_)) => layout.check_writable("Update"),
        _ => Ok(()),
    }
}

/// An operation on a table.
struct Operation<'a> {
    context: &'a Context<'a>,
    call: &'a Call<'a>,
    layout: &'a Layout,
    /// Still encoded.
    path: &'a str,
    query: &'a str,
    preferences: Preferences,
}

impl Operation<'_> {
    fn run(&self, engine: &mut Engine, address: &Address) -> Result<Answer, Refusal> {
        let method = self.call.method;
        match (&address.key, address.rest.as_deref(), method) {
            (None, None, "GET") => Ok(self.list(engine)?.into()),
            (None, None, "POST") => self.create(engine),
            (None, Some("$count"), "GET") => Ok(self.count(engine)?.into()),
            (Some(key), None, "GET") => Ok(self.read(engine, key)?.into()),
            (Some(key), None, "PATCH") => self.upsert(engine, key),
            (Some(key), None, "DELETE") => Ok(self.delete(engine, key)?.into()),
            (_, None, _) | (None, Some("$count"), _) => Err(Refusal::wrong_method(method)),
            (None, Some(rest), _) => self.message(engine, rest),
            (Some(key), Some(rest), _) => self.property(engine, key, rest),
        }
    }

    fn asked(&self, engine: &Engine) -> Result<Asked, Refusal> {
        Asked::parse(engine, self.context, self.layout, self.query)
    }

    fn list(&self, engine: &Engine) -> Result<Response, Refusal> {
        let (context, layout) = (self.context, self.layout);
        if fetch::written(self.query, "sql").is_some() {
            let body = fetch::select(engine, context, layout, self.query, &self.preferences)?;
            return Ok(Response::json(200, body));
        }
        if let Some(text) = fetch::written(self.query, "fetchXml") {
            let body = fetch::list(engine, context, layout, &text?, &self.preferences)?;
            return Ok(Response::json(200, body));
        }
        let kept = fetch::saved(engine, context, layout, self.query, &self.preferences)?;
        if let Some(body) = kept {
            return Ok(Response::json(200, body));
        }
        let asked = self.asked(engine)?;
        let asked = asked.tracked(engine, self.context, self.layout, &self.preferences)?;
        let body = query::list(&self.listing(engine), &asked, &self.preferences)?;
        let mut response = Response::json(200, body);
        if self.preferences.track_changes {
            let applied = "odata.track-changes".to_owned();
            response.headers.push(("Preference-Applied", applied));
        }
        Ok(response)
    }

    fn listing<'e>(&'e self, engine: &'e Engine) -> Listing<'e> {
        Listing {
            engine,
            schema: (self.call.method == "GET").then_some(self.context.schema),
            layout: self.layout,
            base: self.context.base(),
            path: self.layout.def.entity_set.clone(),
        }
    }

    fn count(&self, engine: &Engine) -> Result<Response, Refusal> {
        let asked = self.asked(engine)?;
        let asked = asked.tracked(engine, self.context, self.layout, &self.preferences)?;
        Ok(query::counted_changes(engine, self.layout, &asked))
    }

    fn create(&self, engine: &mut Engine) -> Result<Answer, Refusal> {
        let asked = self.asked(engine)?;
        let body = self.call.json()?;
        let purpose = Purpose::Create;
        let assignments = payload::assignments(engine, self.context, self.layout, body, purpose)?;
        let done = deep::create(engine, self.context, self.layout, assignments)?;
        let address = self.address_of(done.id());
        Ok(self.written(engine, &asked, done, address))
    }

    fn upsert(&self, engine: &mut Engine, key: &Predicate) -> Result<Answer, Refusal> {
        let mut asked = self.asked(engine)?;
        // On updates `$expand` says nothing.
        asked.expands.clear();
        let condition = self.call.headers.condition()?;
        let key = address::resolve(self.layout, key)?;
        let body = self.call.json()?;
        let purpose = Purpose::Upsert;
        let assignments = payload::assignments(engine, self.context, self.layout, body, purpose)?;
        let address = format!("{}/{}", self.context.base(), as_header(self.path));
        let done = write::upsert(
            engine,
            self.context,
            self.layout,
            key,
            condition,
            assignments,
        )?;
        Ok(self.written(engine, &asked, done, address))
    }

    /// An action on the whole set.
    fn message(&self, engine: &mut Engine, name: &str) -> Result<Answer, Refusal> {
        let message = Message::of(name).ok_or_else(|| Refusal::no_segment(name))?;
        if self.call.method != "POST" {
            let uri = format!("{}/{}", self.context.base(), self.path);
            return Err(Refusal::no_resource(&uri));
        }
        let bulk = Bulk {
            context: self.context,
            layout: self.layout,
            message,
        };
        let response = bulk.serve(engine, self.call.json()?, &self.preferences.annotations)?;
        Ok(response.into())
    }

    fn address_of(&self, id: Uuid) -> String {
        let set = &self.layout.def.entity_set;
        format!("{}/{set}({id})", self.context.base())
    }

    fn written(&self, engine: &Engine, asked: &Asked, done: Done, address: String) -> Answer {
        let id = done.id();
        if self.preferences.representation
            && let Some(row) = engine.row(self.layout, id)
        {
            let status = match done {
                Done::Created(_) => 201,
                Done::Updated(_) => 200,
            };
            let mut response = self.represented(engine, asked, id, status);
            response
                .headers
                .push(("ETag", render::etag(self.layout, row)));
            // The answer of an update was captured without it.
            if status == 201 {
                let applied = "return=representation".to_owned();
                response.headers.push(("Preference-Applied", applied));
            }
            return response.into();
        }
        let mut response = Response::odata(204);
        if self.context.place != Enclosure::Request {
            response = response.header("Location", address.clone());
        }
        Answer {
            response: response.header("OData-EntityId", address),
            written: Some((self.layout.def.entity_set.clone(), id)),
        }
    }

    fn represented(&self, engine: &Engine, asked: &Asked, id: Uuid, status: u16) -> Response {
        let body = query::entity(&self.listing(engine), asked, &self.preferences, id);
        Response::json(status, body)
    }

    fn read(&self, engine: &Engine, key: &Predicate) -> Result<Response, Refusal> {
        let asked = self.asked(engine)?;
        let condition = self.call.headers.condition()?;
        let key = address::resolve(self.layout, key)?;
        let found = write::find(engine, self.layout, &key);
        let id = found.ok_or_else(|| write::absent(self.layout, &key))?;
        let row = engine.row(self.layout, id);
        let row = row.ok_or_else(|| write::absent(self.layout, &key))?;
        let is_same = condition == Condition::NotVersion(row.version);
        if is_same && self.preferences.annotations.is_empty() && asked.expands.is_empty() {
            return Ok(Response::odata(304).header("ETag", render::etag(self.layout, row)));
        }
        let response = self.represented(engine, &asked, id, 200);
        Ok(response.header("ETag", render::etag(self.layout, row)))
    }

    fn property(
        &self,
        engine: &mut Engine,
        key: &Predicate,
        path: &str,
    ) -> Result<Answer, Refusal> {
        let key = address::resolve(self.layout, key)?;
        let found = write::find(engine, self.layout, &key);
        let id = found.ok_or_else(|| write::absent(self.layout, &key))?;
        if path.starts_with(NAMESPACE) && self.layout.def.logical_name == "lead" {
            return Ok(actions::bound(engine, self.context, self.call, (id, path))?.into());
        }
        if self.call.method == "GET"
            && let Some(response) = self.related(id, path).read(engine)?
        {
            return Ok(response.into());
        }
        let property = Property {
            context: self.context,
            layout: self.layout,
            id,
            path,
            query: self.query,
        };
        Ok(property.serve(engine, self.call)?.into())
    }

    fn related<'p>(&'p self, id: Uuid, path: &'p str) -> Related<'p> {
        Related {
            context: self.context,
            layout: self.layout,
            id,
            path,
            query: self.query,
            preferences: &self.preferences,
        }
    }

    fn delete(&self, engine: &mut Engine, key: &Predicate) -> Result<Response, Refusal> {
        let condition = self.call.headers.condition()?;
        if matches!(condition, Condition::Absent | Condition::NotVersion(_)) {
            return Err(Refusal::unfit_condition());
        }
        let key = address::resolve(self.layout, key)?;
        let found = write::find(engine, self.layout, &key);
        let id = found.ok_or_else(|| write::absent(self.layout, &key))?;
        write::check_version(engine, self.layout, id, condition)?;
        removal::remove(engine, self.context, self.layout, id)?;
        Ok(Response::odata(204))
    }
}

/// A path fit for a header: what is not visible ASCII is encoded.
fn as_header(path: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const INVISIBLE: &AsciiSet = &CONTROLS.add(b' ');
    utf8_percent_encode(path, INVISIBLE).to_string()
}
