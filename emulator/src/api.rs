//! One request of the Web API: who makes it, what goes wrong on demand, and its commit.
//!
//! What an operation does is left to `odata`, what a batch does to `batch`.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Arc;

use uuid::Uuid;

use crate::batch;
use crate::batch::multipart::{self, Part};
use crate::chaos::{self, Fault, Trouble};
use crate::context::{self, Context, Enclosure, Identity};
use crate::engine::Engine;
use crate::lock;
use crate::odata;
use crate::odata::payload::References;
use crate::options::TENANT_ID;
use crate::refusal::Refusal;
use crate::request::{Call, Delivery, Headers, Request, Response};
use crate::roles::users;
use crate::service::Service;
use crate::service::arrivals::Arrival;

/// How many requests at a time the environment likes best.
pub(crate) const PARALLELISM: &str = "x-ms-dop-hint";
const USUAL_HINT: u32 = 4;

/// A request with what was read from its head.
struct Asked<'a> {
    /// Its target stands below the API's root.
    call: Call<'a>,
    origin: &'a str,
    version: &'a str,
    number: u64,
    /// The application whose token it bears.
    client: Uuid,
    /// How many it wrote or showed.
    rows: &'a Cell<u32>,
    /// Those of a batch.
    parts: Option<Vec<Part<'a>>>,
}

impl Service {
    /// Answers a request of the Web API.
    pub(crate) fn api(&self, request: &Request, arrival: &Arrival) -> Response {
        let origin = self.origin_for(request);
        let call = request.call();
        let Some(client) = arrival.client else {
            return challenge(&origin);
        };
        let preferences = call.headers.preferences();
        let rows = Cell::new(0);
        let served = self.authorised(&origin, &call, (arrival.number, client), &rows);
        let mut response =
            served.unwrap_or_else(|refusal| Response::refused(&refusal, &preferences.annotations));
        if let Some(time) = self.options.service_time {
            response.takes = time.of(rows.get());
        }
        if response.get(PARALLELISM).is_none() {
            let hint = self.parallelism_hint().to_string();
            response.headers.push((PARALLELISM, hint));
        }
        identify(&mut response);
        response
    }

    /// The application whose good token the request bears.
    pub(crate) fn client_asking(&self, headers: &Headers<'_>) -> Option<Uuid> {
        self.tokens.client_of(headers.bearer(), self.clock.now())
    }

    fn authorised(
        &self,
        origin: &str,
        call: &Call<'_>,
        (number, client): (u64, Uuid),
        rows: &Cell<u32>,
    ) -> Result<Response, Refusal> {
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
        let asked = Asked {
            call: Call {
                target,
                ..call.clone()
            },
            origin,
            version,
            number,
            client,
            rows,
            parts,
        };
        Ok(self.troubled(&asked))
    }

    /// Serves the request as far as the fault that strikes it lets it be served.
    fn troubled(&self, asked: &Asked<'_>) -> Response {
        let options = &self.options;
        let queued = if self.is_writing(asked) {
            self.chaos.queued()
        } else {
            None
        };
        let trouble = self.chaos.next(&options.chaos, options.seed, queued);
        if let Some(answer) = chaos::answer(&trouble.fault) {
            return answer;
        }
        if trouble.fault == Fault::RevokeToken {
            self.tokens.revoke(asked.call.headers.bearer());
            return challenge(asked.origin);
        }
        // What befalls an answer befalls a refusal as well.
        let served = self.committed(asked, &trouble);
        let mut response = served.unwrap_or_else(|refusal| {
            let preferences = asked.call.headers.preferences();
            Response::refused(&refusal, &preferences.annotations)
        });
        response.delivery = match trouble.fault {
            Fault::CloseAfterCommit => Delivery::Nothing,
            Fault::TruncateBody => Delivery::HalfTheBody,
            Fault::Stall { time } => Delivery::Late(time),
            _ => Delivery::Whole,
        };
        response
    }

    /// Runs the request and commits it, whatever part of it succeeded.
    fn committed(&self, asked: &Asked<'_>, trouble: &Trouble<'_>) -> Result<Response, Refusal> {
        let mut engine = lock(&self.engine);
        let now = self.clock.now();
        engine.work_off(now);
        engine.expire(i64::try_from(now / 1000).unwrap_or(i64::MAX));
        let (schema, model) = (Arc::clone(&engine.schema), Arc::clone(&engine.model));
        let headers = &asked.call.headers;
        let caller = users::caller(
            &engine,
            &self.registry,
            asked.client,
            headers,
            &self.identity,
        )?;
        let context = Context {
            model: &model,
            schema: &schema,
            identity: &Identity {
                user: caller.user,
                business_unit: caller.business_unit,
                ..self.identity
            },
            caller: &caller,
            registry: &self.registry,
            rules: &self.options.chaos.rules,
            origin: asked.origin,
            version: asked.version,
            references: &References::new(),
            empty_text: self.options.empty_text,
            repeated_targets: self.options.repeated_targets,
            read_only: self.options.read_only,
            milliseconds: self.clock.now(),
            key_index_time: self.options.key_index_time,
            place: match asked.parts {
                Some(_) => Enclosure::Batch,
                None => Enclosure::Request,
            },
        };
        let response = self.run(&mut engine, &context, asked, trouble);
        asked.rows.set(engine.rows_of_request());
        engine.commit(asked.number, caller.user)?;
        response
    }

    /// More requests at a time than there are workers would only wait.
    fn parallelism_hint(&self) -> u32 {
        let workers = self.options.workers.map(NonZeroUsize::get);
        let workers = workers.and_then(|workers| u32::try_from(workers).ok());
        let hint = self.options.parallelism_hint.or(workers);
        hint.unwrap_or(USUAL_HINT)
    }

    fn run(
        &self,
        engine: &mut Engine,
        context: &Context<'_>,
        asked: &Asked<'_>,
        trouble: &Trouble<'_>,
    ) -> Result<Response, Refusal> {
        match &asked.parts {
            Some(parts) => {
                let run = batch::Run {
                    context,
                    continues: asked.call.headers.preferences().continue_on_error,
                    failed_change_set: self.options.failed_change_set,
                    trouble,
                };
                Ok(batch::run(engine, &run, parts))
            }
            None => match trouble.of_operation(0, asked.call.method) {
                Some(fault) => Err(fault.refusal()),
                None => Ok(odata::execute(engine, context, &asked.call)?.response),
            },
        }
    }

    fn is_writing(&self, asked: &Asked<'_>) -> bool {
        let Some(parts) = &asked.parts else {
            return asked.call.method != "GET";
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
}

/// Gives an answer the ids by which support finds it.
pub(crate) fn identify(response: &mut Response) {
    let id = Uuid::new_v4().to_string();
    if response.get("REQ_ID").is_none() {
        response.headers.push(("REQ_ID", id.clone()));
    }
    response.headers.push(("x-ms-service-request-id", id));
}

/// Without a good token a client learns where to get one.
fn challenge(origin: &str) -> Response {
    let challenge = format!(
        "Bearer authorization_uri={origin}/{TENANT_ID}/oauth2/authorize, resource_id={origin}/"
    );
    Response::new(401)
        .header("WWW-Authenticate", challenge)
        .header("REQ_ID", Uuid::new_v4().to_string())
}
