//! What Dataverse said, and the trait of what can be asked.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Batch, LogicalName, RecordId, Target, Value};

/// The answer to one operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Done.
    Accepted(Accepted),
    /// Not done, or not known to be done.
    Failed(Failure),
}

/// What an accepted operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What happened, as far as the service told.
    pub effect: Effect,
    /// The record's GUID, if the answer named it.
    pub id: Option<RecordId>,
    /// When and by whom the record was created, if the answer told.
    pub made: Option<Made>,
}

/// What an accepted operation did to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The service said *created*.
    Created,
    /// The service said *updated*, or the request could do nothing else.
    Updated,
    /// One of the two; the service did not say which.
    Upserted,
    /// The record is gone.
    Deleted,
}

/// When and by whom a record was created (`createdon`, `_createdby_value`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// By the service's clock.
    pub on: Timestamp,
    /// A `systemuserid`.
    pub by: RecordId,
}

/// Why an operation has no good answer: how far it got, and what was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// How far the operation got.
    pub fate: Fate,
    /// What kind of failure it is.
    pub cause: Cause,
    /// What the service said, word for word; for a lost answer what the network said.
    pub error: ServiceError,
}

/// How far an operation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The operation got a reply of its own.
    Answered,
    /// The request as a whole was refused: none of its operations was done.
    Refused,
    /// No reply, or it was cut short before this operation's part: it may have been done.
    Lost,
}

/// What kind of failure it is. `dataverse` says this; `dispatch` says what happens next.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The service protects itself.
    Throttled {
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
        /// What there was too much of.
        limit: Limit,
    },
    /// It may work later as it is.
    Transient,
    /// The request is too large or has too many parts.
    TooLarge,
    /// This row cannot be accepted as it is.
    Row(RowFailure),
    /// The token, the user or its role.
    Credential,
    /// The request does not fit the table: mapping, schema or a defect of ours.
    Contract,
}

/// What there was too much of, as far as the next step depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests under way at a time (`0x80072326`).
    Concurrency,
    /// Execution time in a window (`0x80072321`).
    Time,
    /// Requests in a window, or something that the service did not tell.
    Window,
}

/// Why a row was refused, as far as the next step depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFailure {
    /// The addressed record does not exist (`0x80040217` for this table and id, `0x80060891` for this key).
    NotFound,
    /// Another record has this primary id (`0x80040237`), or some unique index was hit (`0x80073002`).
    DuplicateRecord,
    /// Another record has the values of an alternate key (`0x80060892`).
    DuplicateKey {
        /// The columns and values that collide, if the answer told (`ErrorDetails.DuplicateAttributes`).
        columns: Vec<(LogicalName, String)>,
    },
    /// Anything else: the service's message tells what.
    Other {
        /// The stable word of the reject: `too_long`, `business_rule`.
        word: &'static str,
        /// What to do, one imperative sentence.
        advice: &'static str,
    },
}

/// What the service said, kept word for word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceError {
    /// HTTP status; 0 if there was none.
    pub status: u16,
    /// `error.code` as sent (`0x80040237`), or empty.
    pub code: String,
    /// `error.message`, or the network's words. Never holds a token or a request body.
    pub message: String,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, self.code.as_str()) {
            (0, _) => f.write_str(&self.message),
            (status, "") => write!(f, "HTTP {status}: {}", self.message),
            (status, code) => write!(f, "HTTP {status}, {code}: {}", self.message),
        }
    }
}

impl std::error::Error for ServiceError {}

/// Which records to look for.
#[derive(Debug, Clone, PartialEq)]
pub enum Find {
    /// By the values of the target's key columns, in the key's order.
    ByKey(Vec<Vec<Value>>),
    /// By GUID.
    ById(Vec<RecordId>),
    /// Of another table, by the values of that target's key columns, in its key's order.
    Referred {
        /// The other table.
        target: Arc<Target>,
        /// The values.
        keys: Vec<Vec<Value>>,
    },
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its GUID.
    pub id: RecordId,
    /// The values of the target's key columns, in the key's order.
    pub key: Vec<Value>,
}

/// Something that accepts operations on one table and can be asked which of its records exist.
pub trait Destination: Send + Sync + 'static {
    /// Sends one batch and returns one reply per operation, in the batch's order.
    ///
    /// `batch` holds 1 to 1,000 operations. A failed request is a `Refused` or `Lost` reply per operation.
    /// Never retries and never waits for anything but the answer.
    ///
    /// # Cancellation
    /// Not cancel-safe: dropped after its first byte, every operation of the batch counts as lost.
    fn send(&self, batch: &Batch) -> impl Future<Output = Vec<Reply>> + Send;

    /// Finds records in bulk: none, one or (where no key enforces it) several for each thing asked, in no order.
    ///
    /// Keys match as the service compares, so the caller folds what comes back before it compares.
    ///
    /// # Errors
    /// The failure of the request as a whole.
    ///
    /// # Cancellation
    /// Safe: it only reads.
    fn find(&self, what: &Find) -> impl Future<Output = Result<Vec<Found>, Failure>> + Send;
}
