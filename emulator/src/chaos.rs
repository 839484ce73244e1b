//! Misbehaviour on demand: the only way in which the emulator answers other than the pages say.
//!
//! Tests queue faults; each write request takes the next one. Reads, and the token endpoint, are
//! never touched. Source for the throttling answer: Microsoft Learn, "Service protection API
//! limits".

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::lock;
use crate::refusal::Refusal;
use crate::request::{Annotations, Response};

/// What happens to one write request.
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
}

impl Chaos {
    pub(crate) fn add(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.queue).extend(faults);
    }

    pub(crate) fn next(&self) -> Fault {
        lock(&self.queue).pop_front().unwrap_or(Fault::Pass)
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
        Fault::Pass
        | Fault::CloseBeforeCommit
        | Fault::CloseAfterCommit
        | Fault::TruncateBody
        | Fault::Operation { .. } => None,
    }
}
