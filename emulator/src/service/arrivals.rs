//! What happens to a request before and after it is served: its number, whose it is, the limits.
//!
//! What is answered is left to `service` and `api`.

use jiff::Timestamp;
use uuid::Uuid;

use crate::api;
use crate::limits;
use crate::limits::meter::{self, Asker, Left, Ticket};
use crate::odata::address::guid;
use crate::request::{Headers, Request, Response};
use crate::service::clock::Clock;
use crate::service::{API, Service};

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Counts from 1.
    pub(crate) number: u64,
    /// The application whose good token it bears; nobody asks for that outside the Web API.
    pub(crate) client: Option<Uuid>,
    ticket: Option<Ticket>,
}

impl Service {
    /// Lets a request in, or answers that it is beyond a limit.
    pub(crate) fn arrive(&self, request: &Request) -> Result<Arrival, Response> {
        let number = self.counters.request();
        let mut arrival = Arrival {
            number,
            client: None,
            ticket: None,
        };
        if !request.path().starts_with(API) {
            return Ok(arrival);
        }
        let headers = request.call().headers;
        arrival.client = self.client_asking(&headers);
        if let (Some(meter), Some(client)) = (&self.meter, arrival.client) {
            let server = meter.server(headers.get("Cookie"));
            let asker = Asker {
                client,
                named: named(&headers),
            };
            let admitted = meter.admit(asker, server, self.clock.now());
            arrival.ticket = Some(admitted.map_err(|beyond| {
                self.counters.throttled();
                let refusal = meter.limits.refusal(beyond.limit, beyond.retry_after);
                let annotations = headers.preferences().annotations;
                let mut response = Response::refused(&refusal, &annotations);
                api::identify(&mut response);
                self.tell(&mut response, server, beyond.left);
                response
            })?);
        }
        Ok(arrival)
    }

    /// Serves a request that was let in.
    pub(crate) fn serve(&self, request: &Request, arrival: &Arrival) -> Response {
        let begun = Timestamp::now();
        let mut response = self.answer(request, arrival);
        if let Some(ticket) = &arrival.ticket {
            let time = match self.options.service_time {
                Some(_) => response.takes,
                None => Clock::since(begun),
            };
            let left = ticket.spend(self.clock.now(), time);
            self.tell(&mut response, ticket.server, left);
        }
        response
    }

    /// Says what is left of the limits, and which server it was.
    fn tell(&self, response: &mut Response, server: u32, left: Left) {
        let secure = if self.origin().starts_with("https:") {
            "; secure"
        } else {
            ""
        };
        let cookie = meter::affinity(server);
        response.headers.extend([
            (
                "Set-Cookie",
                format!("ARRAffinity={cookie}; path=/{secure}; HttpOnly"),
            ),
            (
                "Set-Cookie",
                format!("ARRAffinitySameSite={cookie}; path=/; SameSite=None{secure}; HttpOnly"),
            ),
            (
                "x-ms-ratelimit-burst-remaining-xrm-requests",
                left.requests.to_string(),
            ),
            (
                "x-ms-ratelimit-time-remaining-xrm-requests",
                limits::seconds(left.execution),
            ),
        ]);
    }
}

/// The user on whose behalf the client asks.
fn named(headers: &Headers<'_>) -> Option<Uuid> {
    let object = headers.get("CallerObjectId");
    guid(object.or_else(|| headers.get("MSCRMCallerID"))?)
}
