//! The environment as one value: everything but sockets.
//!
//! Requests go in, responses come out: here they are told apart, and here stands what programs and
//! tests ask of an environment. A request of the Web API is left to `api`.

pub(crate) mod arrivals;
pub(crate) mod attend;
pub(crate) mod clock;
pub(crate) mod counts;
pub(crate) mod restore;
pub(crate) mod seed;
pub(crate) mod tally;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value as Json;

use crate::chaos::{Chaos, Fault};
use crate::context::Identity;
use crate::engine::Engine;
use crate::engine::datafile::DataFile;
use crate::error::EmulatorError;
use crate::journal::JournalEntry;
use crate::limits::meter::Meter;
use crate::lock;
use crate::options::Options;
use crate::refusal::Refusal;
use crate::render::{Shown, View};
use crate::request::{Annotations, Request, Response};
use crate::schema::Schema;
use crate::service::arrivals::Arrival;
use crate::service::attend::Workers;
use crate::service::clock::Clock;
use crate::service::counts::{Counters, Counts};
use crate::token::clients::Registry;
use crate::token::{self, Endpoint, Issuer, Tokens};

/// Everything below belongs to the environment, not to the login service.
pub(crate) const API: &str = "/api/";
/// Behind a tenant: where clients look first.
const DISCOVERY: &str = "/v2.0/.well-known/openid-configuration";

/// A Dataverse environment without a socket.
pub struct Service {
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) engine: Mutex<Engine>,
    pub(crate) registry: Registry,
    pub(crate) tokens: Tokens,
    pub(crate) chaos: Chaos,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) meter: Option<Arc<Meter>>,
    pub(crate) workers: Workers,
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
        let meter = options.limits.clone();
        let meter = meter.map(|limits| Arc::new(Meter::new(limits, options.seed)));
        let service = Self {
            meter,
            workers: Workers::new(options.workers),
            registry: Registry::new(&options.clients, &engine.schema)?,
            options,
            identity,
            engine: Mutex::new(engine),
            tokens: Tokens::default(),
            chaos: Chaos::default(),
            clock,
            counters: Counters::default(),
            origin: OnceLock::new(),
        };
        for rule in &service.options.chaos.rules {
            rule.check(&lock(&service.engine).model)?;
        }
        for client in &service.options.clients {
            service.set_user(client.client_id, client.user)?;
        }
        Ok(service)
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
        match self.arrive(request) {
            Ok(arrival) => self.serve(request, &arrival),
            Err(refused) => refused,
        }
    }

    /// Answers a request of any kind that was let in.
    pub(crate) fn answer(&self, request: &Request, arrival: &Arrival) -> Response {
        let path = request.path();
        if path.starts_with(API) {
            return self.api(request, arrival);
        }
        match (request.method.as_str(), path) {
            ("GET", "/journal") => own(&self.journal_after(request)),
            ("GET", "/counts") => own(&serde_json::json!(self.counts())),
            _ => self.login(request, path).unwrap_or_else(|| {
                let refusal = Refusal::no_resource(&format!("{}{path}", self.origin()));
                Response::refused(&refusal, &Annotations::default())
            }),
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

    fn login(&self, request: &Request, path: &str) -> Option<Response> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let origin = self.origin_for(request);
        let method = request.method.as_str();
        if let ("GET", Some(tenant)) = (method, path.strip_suffix(DISCOVERY)) {
            return Some(own(&token::discovery(&origin, tenant)));
        }
        let second = path.strip_suffix("/oauth2/v2.0/token");
        let (endpoint, tenant) = match (method, second, path.strip_suffix("/oauth2/token")) {
            ("POST", Some(tenant), _) => (Endpoint::Second, tenant),
            ("POST", None, Some(tenant)) => (Endpoint::First, tenant),
            _ => return None,
        };
        self.counters.token();
        let issuer = Issuer {
            tokens: &self.tokens,
            registry: &self.registry,
            now: self.clock.now(),
            lifetime: self.options.token_lifetime,
            origins: &[self.origin().to_owned(), origin],
        };
        Some(token::answer(&issuer, endpoint, tenant, request))
    }

    /// The origin by which this client knows the environment.
    pub(crate) fn origin_for(&self, request: &Request) -> String {
        let call = request.call();
        let host = call.headers.get("Host").unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
        if host.is_empty() || !host.chars().all(is_plain) {
            return self.origin().to_owned();
        }
        let scheme = self.origin().split("://").next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    /// The effects that were committed, oldest first, as far as the journal still holds them.
    pub fn journal(&self) -> Vec<JournalEntry> {
        lock(&self.engine).journal.after(0)
    }

    /// How many requests of each kind came since the start.
    pub fn counts(&self) -> Counts {
        let pressed = self.meter.as_ref().map_or(0, |meter| meter.pressed());
        Counts {
            pressed,
            ..self.counters.read()
        }
    }

    /// All rows of a table, in the order of their ids, as the Web API shows them with every
    /// column. Empty if there is no such table.
    pub fn rows(&self, logical_name: &str) -> Vec<Json> {
        let engine = lock(&self.engine);
        let Some(layout) = engine.model.of_name(logical_name) else {
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

    /// The definitions as they stand.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&lock(&self.engine).schema)
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
