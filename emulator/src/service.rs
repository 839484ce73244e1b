//! The environment as one value: everything but sockets.
//!
//! Requests go in, responses come out; who may ask, what goes wrong on demand, and that effects
//! stand in the data file before the answer. What an operation does is left to `odata`.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value as Json;

use crate::batch;
use crate::chaos::{self, Chaos, Fault};
use crate::clock::Clock;
use crate::context::{self, Context, Enclosure, Identity};
use crate::counts::{Counters, Counts};
use crate::datafile::DataFile;
use crate::engine::Engine;
use crate::error::EmulatorError;
use crate::journal::JournalEntry;
use crate::lock;
use crate::model::Model;
use crate::multipart::{self, Part};
use crate::odata;
use crate::options::{Options, TENANT_ID};
use crate::payload::References;
use crate::refusal::Refusal;
use crate::render::{Shown, View};
use crate::request::{Annotations, Call, Delivery, Request, Response};
use crate::restore;
use crate::schema::Schema;
use crate::token::{self, Issuer, Tokens};

/// A Dataverse environment without a socket.
pub struct Service {
    options: Options,
    schema: Schema,
    model: Arc<Model>,
    identity: Identity,
    engine: Mutex<Engine>,
    tokens: Tokens,
    chaos: Chaos,
    clock: Clock,
    counters: Counters,
    origin: OnceLock<String>,
}

impl Service {
    /// Opens the environment, or makes a fresh one.
    ///
    /// # Errors
    /// If the schema does not fit or the data file cannot be used.
    pub fn open(options: Options) -> Result<Self, EmulatorError> {
        let schema = match &options.schema {
            Some(schema) => schema.clone(),
            None => Schema::built_in()?,
        };
        let file = match &options.data {
            Some(path) => Some(DataFile::open(path)?),
            None => None,
        };
        let clock = Clock::default();
        let (engine, identity) = restore::restore(&options, &schema, file, clock.now())?;
        Ok(Self {
            options,
            model: Arc::clone(&engine.model),
            schema,
            identity,
            engine: Mutex::new(engine),
            tokens: Tokens::default(),
            chaos: Chaos::default(),
            clock,
            counters: Counters::default(),
            origin: OnceLock::new(),
        })
    }

    /// `http://127.0.0.1:5000`; without a socket it has no port.
    pub fn origin(&self) -> &str {
        self.origin.get().map_or("http://127.0.0.1", String::as_str)
    }

    pub(crate) fn listens_at(&self, origin: String) {
        // Only the first socket gives the environment its name.
        self.origin.get_or_init(|| origin);
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.options.body_bytes
    }

    /// Serves one request from beginning to end.
    ///
    /// Waits for its turn: requests are served one at a time.
    pub fn handle(&self, request: &Request) -> Response {
        let number = self.counters.request();
        let path = request.target.split('?').next().unwrap_or_default();
        if path.starts_with("/api/") {
            return self.api(request, number);
        }
        match (request.method.as_str(), path) {
            ("GET", "/journal") => own(&self.journal_after(request)),
            ("GET", "/counts") => own(&serde_json::json!(self.counts())),
            ("POST", _) if path.ends_with("/oauth2/v2.0/token") => self.token(request, path),
            _ => {
                let refusal = Refusal::no_resource(&format!("{}{path}", self.origin()));
                Response::refused(&refusal, &Annotations::default())
            }
        }
    }

    fn journal_after(&self, request: &Request) -> Json {
        let query = request
            .target
            .split_once('?')
            .map_or("", |(_, query)| query);
        let after = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("after="));
        let after = after.and_then(|after| after.parse().ok()).unwrap_or(0);
        serde_json::json!({ "value": lock(&self.engine).journal.after(after) })
    }

    fn token(&self, request: &Request, path: &str) -> Response {
        self.counters.token();
        let tenant = path.strip_suffix("/oauth2/v2.0/token").unwrap_or(path);
        let tenant = tenant.trim_start_matches('/');
        let origins = [self.origin().to_owned(), self.origin_for(request)];
        let issuer = Issuer {
            tokens: &self.tokens,
            now: self.clock.now(),
            lifetime: self.options.token_lifetime,
            origins: &origins,
        };
        token::answer(&issuer, tenant, request)
    }

    /// The origin by which this client knows the environment.
    fn origin_for(&self, request: &Request) -> String {
        let call = request.call();
        let host = call.headers.get("Host").unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
        if host.is_empty() || !host.chars().all(is_plain) {
            return self.origin().to_owned();
        }
        format!("http://{host}")
    }

    fn api(&self, request: &Request, number: u64) -> Response {
        let origin = self.origin_for(request);
        let call = request.call();
        if !self.is_known(&call) {
            return challenge(&origin);
        }
        let preferences = call.headers.preferences();
        let served = self.authorised(&origin, &call, number);
        let mut response =
            served.unwrap_or_else(|refusal| Response::refused(&refusal, &preferences.annotations));
        let id = uuid::Uuid::new_v4().to_string();
        if response.get("REQ_ID").is_none() {
            response.headers.push(("REQ_ID", id.clone()));
        }
        response.headers.push(("x-ms-service-request-id", id));
        response
    }

    fn is_known(&self, call: &Call<'_>) -> bool {
        let header = call.headers.get("Authorization").unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        let is_good = self.tokens.is_good(token.trim(), self.clock.now());
        scheme.eq_ignore_ascii_case("Bearer") && is_good
    }

    fn authorised(&self, origin: &str, call: &Call<'_>, number: u64) -> Result<Response, Refusal> {
        let uri = || format!("{origin}{}", call.target);
        let (version, target) =
            context::versioned(call.target).ok_or_else(|| Refusal::no_resource(&uri()))?;
        let is_batch = target == "$batch";
        if is_batch && call.method != "POST" {
            return Err(Refusal::no_resource(&uri()));
        }
        match call.method {
            _ if is_batch => self.counters.batch(),
            "GET" => self.counters.read_request(),
            _ => self.counters.write_request(),
        }
        let parts = if is_batch {
            let kind = call.headers.get("Content-Type").unwrap_or_default();
            let most = self.options.batch_operations;
            Some(multipart::read(kind, call.body, most)?)
        } else {
            None
        };
        let fault = if self.is_writing(call, parts.as_deref()) {
            self.chaos.next()
        } else {
            Fault::Pass
        };
        if let Some(answer) = chaos::answer(&fault) {
            return Ok(answer);
        }
        if fault == Fault::CloseBeforeCommit {
            let mut nothing = Response::new(503);
            nothing.delivery = Delivery::Nothing;
            return Ok(nothing);
        }
        let references = References::new();
        let context = Context {
            model: &self.model,
            schema: &self.schema,
            identity: &self.identity,
            origin,
            version,
            references: &references,
            empty_text: self.options.empty_text,
            read_only: self.options.read_only,
            parallelism_hint: self.options.parallelism_hint,
            milliseconds: self.clock.now(),
            place: if is_batch {
                Enclosure::Batch
            } else {
                Enclosure::Request
            },
        };
        let call = Call {
            target,
            ..call.clone()
        };
        self.serve(&context, &call, parts.as_deref(), &fault, number)
    }

    /// Runs the request and commits it, whatever part of it succeeded.
    fn serve(
        &self,
        context: &Context<'_>,
        call: &Call<'_>,
        parts: Option<&[Part<'_>]>,
        fault: &Fault,
        number: u64,
    ) -> Result<Response, Refusal> {
        let mut engine = lock(&self.engine);
        let response = match (parts, fault) {
            (Some(parts), _) => {
                let run = batch::Run {
                    context,
                    continues: call.headers.preferences().continue_on_error,
                    failed_change_set: self.options.failed_change_set,
                    fault,
                };
                Ok(batch::run(&mut engine, &run, parts))
            }
            (None, Fault::Operation { index: 0, fault }) => Err(fault.refusal()),
            (None, _) => odata::execute(&mut engine, context, call).map(|answer| answer.response),
        };
        engine.commit(number, self.identity.user)?;
        drop(engine);
        let mut response = response?;
        response.delivery = match fault {
            Fault::CloseAfterCommit => Delivery::Nothing,
            Fault::TruncateBody => Delivery::HalfTheBody,
            _ => Delivery::Whole,
        };
        Ok(response)
    }

    fn is_writing(&self, call: &Call<'_>, parts: Option<&[Part<'_>]>) -> bool {
        let Some(parts) = parts else {
            return call.method != "GET";
        };
        let (mut reads, mut writes) = (0, 0);
        for inner in parts.iter().flat_map(Part::inners) {
            match inner.call.method {
                "GET" => reads += 1,
                _ => writes += 1,
            }
        }
        self.counters.batched(reads, writes);
        writes > 0
    }

    /// The effects that were committed, oldest first, as far as the journal still holds them.
    pub fn journal(&self) -> Vec<JournalEntry> {
        lock(&self.engine).journal.after(0)
    }

    /// How many requests of each kind came since the start.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// All rows of a table, in the order of their ids, as the Web API shows them with every
    /// column. Empty if there is no such table.
    pub fn rows(&self, logical_name: &str) -> Vec<Json> {
        let engine = lock(&self.engine);
        let Some(layout) = self.model.of_name(logical_name) else {
            return Vec::new();
        };
        let view = View {
            engine: &engine,
            layout,
            shown: &Shown::All,
            annotations: &Annotations::default(),
        };
        let rows = engine.rows(layout).into_iter();
        let rows = rows.flat_map(|rows| rows.after(None)).map(|(id, row)| {
            let mut members = String::from("{");
            view.members(id, row, &mut members);
            members.push('}');
            serde_json::from_str(&members).unwrap_or(Json::Null)
        });
        rows.collect()
    }

    /// The id of the environment.
    pub fn organization_id(&self) -> uuid::Uuid {
        self.identity.organization
    }

    /// Queues faults; each request that writes takes the next one.
    pub fn next_requests(&self, faults: impl IntoIterator<Item = Fault>) {
        self.chaos.add(faults);
    }

    /// No token that was given so far is good any more.
    pub fn revoke_tokens(&self) {
        self.tokens.revoke_all();
    }

    /// Moves the environment's calendar on, so that tokens expire without waiting.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Lets the data file go; requests that write are refused from now on.
    pub(crate) fn close(&self) {
        lock(&self.engine).detach();
    }
}

/// The answer of an endpoint that Dataverse does not have.
fn own(body: &Json) -> Response {
    let mut response = Response::new(200).header("Content-Type", "application/json".to_owned());
    response.body = body.to_string().into();
    response
}

/// Without a good token a client learns where to get one.
fn challenge(origin: &str) -> Response {
    let challenge = format!(
        "Bearer authorization_uri={origin}/{TENANT_ID}/oauth2/authorize, resource_id={origin}/"
    );
    Response::new(401)
        .header("WWW-Authenticate", challenge)
        .header("REQ_ID", uuid::Uuid::new_v4().to_string())
}
