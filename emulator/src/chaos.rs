//! Misbehaviour on demand: the only way in which the emulator answers other than the pages say.
//!
//! Tests queue faults; each write request takes the next one, reads none. What the queue does not
//! strike is struck by chance, reads as well. The token endpoint is never touched. Source for the throttling answer: Microsoft Learn, "Service protection API
//! limits".

pub(crate) mod chance;
pub(crate) mod dice;
pub(crate) mod rules;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::chaos::chance::ChaosSpec;
use crate::lock;
use crate::refusal::Refusal;
use crate::request::{Annotations, Delivery, Response};

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is served.
    Pass,
    /// 429 for the request as a whole.
    Throttle {
        /// In seconds.
        retry_after: u32,
    },
    /// An answer in place of the service's: nothing is done.
    Status {
        /// `502`
        status: u16,
        /// JSON if it begins with `{`, otherwise HTML.
        body: String,
    },
    /// The connection is closed; nothing is done.
    CloseBeforeCommit,
    /// Everything is done; then the connection is closed without an answer.
    CloseAfterCommit,
    /// Everything is done; half of the answer's body arrives.
    TruncateBody,
    /// Everything is done; the answer comes late.
    Stall {
        /// How late.
        time: Duration,
    },
    /// The request's token is good no more, and the request is refused for it.
    RevokeToken,
    /// One operation of a batch fails; the others are served. A request of its own is one
    /// operation with index 0.
    Operation {
        /// Counts from 0 over the whole batch, operations in change sets included.
        index: usize,
        /// What it is answered.
        fault: OperationFault,
    },
}

/// The answer of an operation that fails on demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationFault {
    /// 429 with this many seconds in `Retry-After`.
    Throttle {
        /// In seconds.
        retry_after: u32,
    },
    /// 500, `0x80040216`.
    Unexpected,
    /// 500, a deadlock of the database.
    Deadlock,
    /// 400, a business rule with this text.
    Rule {
        /// The message.
        message: String,
    },
}

impl OperationFault {
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Throttle { retry_after } => throttled(*retry_after),
            Self::Unexpected => Refusal::new(500, "0x80040216", "An unexpected error occurred."),
            Self::Deadlock => Refusal::new(
                500,
                "0x80044150",
                "Sql error: Generic SQL error. CRM ErrorCode: -2147204784 Sql ErrorCode: \
                 -2146232060 Sql Number: 1205",
            ),
            Self::Rule { message } => Refusal::new(400, "0x80040265", message.clone()),
        }
    }
}

/// The faults that wait for a write request.
#[derive(Debug, Default)]
pub(crate) struct Chaos {
    queue: Mutex<VecDeque<Fault>>,
    requests: AtomicU64,
}

/// What strikes a request and its operations.
pub(crate) struct Trouble<'a> {
    pub(crate) fault: Fault,
    spec: &'a ChaosSpec,
    seed: u64,
    /// Counts the requests of the Web API, from 0.
    number: u64,
}

impl Trouble<'_> {
    /// What strikes the operation with this place; of operations that read, only what was queued.
    pub(crate) fn of_operation(&self, index: usize, method: &str) -> Option<OperationFault> {
        match &self.fault {
            Fault::Operation {
                index: chosen,
                fault,
            } => (*chosen == index).then(|| fault.clone()),
            _ if method == "GET" => None,
            _ => self.spec.operation(self.seed, self.number, index),
        }
    }
}

impl Chaos {
    pub(crate) fn add(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.queue).extend(faults);
    }

    /// The fault that waits for the next write request.
    pub(crate) fn queued(&self) -> Option<Fault> {
        lock(&self.queue).pop_front()
    }

    /// What strikes the next request, unless a fault was queued for it.
    pub(crate) fn next<'a>(
        &self,
        spec: &'a ChaosSpec,
        seed: u64,
        queued: Option<Fault>,
    ) -> Trouble<'a> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        Trouble {
            fault: queued.unwrap_or_else(|| spec.request(seed, number)),
            spec,
            seed,
            number,
        }
    }
}

pub(crate) fn throttled(retry_after: u32) -> Refusal {
    let mut refusal = Refusal::new(
        429,
        "0x80072322",
        "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
    );
    refusal.retry_after = Some(retry_after);
    refusal
}

/// The whole-request answer of a fault that is answered in the service's place.
pub(crate) fn answer(fault: &Fault) -> Option<Response> {
    match fault {
        Fault::Throttle { retry_after } => Some(Response::refused(
            &throttled(*retry_after),
            &Annotations::default(),
        )),
        Fault::Status { status, body } => {
            let kind = if body.starts_with('{') {
                "application/json; odata.metadata=minimal"
            } else {
                "text/html"
            };
            let mut response = Response::new(*status).header("Content-Type", kind.to_owned());
            response.body = body.clone().into();
            Some(response)
        }
        Fault::CloseBeforeCommit => {
            let mut nothing = Response::new(503);
            nothing.delivery = Delivery::Nothing;
            Some(nothing)
        }
        Fault::Pass
        | Fault::CloseAfterCommit
        | Fault::TruncateBody
        | Fault::Stall { .. }
        | Fault::RevokeToken
        | Fault::Operation { .. } => None,
    }
}
