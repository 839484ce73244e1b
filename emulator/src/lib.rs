//! A Dataverse that runs on a laptop: strict, journalled, for development and proof.
//!
//! [`Emulator`] serves the token endpoint and the Web API over HTTP on loopback; [`Service`] is the
//! same without a socket. Two endpoints are the emulator's own and stand outside the API:
//! `GET /journal?after=N` (committed effects as [`JournalEntry`], in a list named `value`) and
//! `GET /counts` ([`Counts`]); they need no token.

mod access;
mod actions;
mod address;
mod api;
mod arrivals;
mod association;
mod attend;
mod batch;
mod bind;
mod bulk;
mod bulk_delete;
mod chance;
mod chaos;
mod check;
mod clients;
mod clock;
mod closing;
mod collection;
mod context;
mod counts;
mod datafile;
mod deep;
mod definitions;
mod dice;
mod draft;
mod eligibility;
mod emulator;
mod engine;
mod error;
mod fetch;
mod files;
mod filter;
mod fold;
#[cfg(test)]
mod footprint;
mod journal;
mod limits;
mod line;
mod messages;
pub mod metadata;
mod meter;
mod model;
mod moment;
mod multipart;
mod numbering;
mod odata;
mod options;
mod parameters;
mod parties;
mod pattern;
mod payload;
mod privileges;
mod property;
mod qualify;
mod query;
mod refusal;
mod related;
mod removal;
mod render;
mod request;
mod restore;
mod ring;
mod roles;
mod rules;
mod scan;
pub mod schema;
mod seed;
mod server;
mod service;
mod special;
mod state;
mod table;
mod tally;
mod tls;
mod token;
mod unbound;
mod users;
mod value;
mod words;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use chance::{ChaosError, ChaosSpec};
pub use chaos::{Fault, OperationFault};
pub use clients::{Client, ClientOptions, Privileges, SecretState, UserState};
pub use counts::Counts;
pub use emulator::Emulator;
pub use error::EmulatorError;
pub use fold::Collation;
pub use journal::{EffectKind, JournalEntry};
pub use limits::Limits;
pub use options::RepeatedTargets;
pub use options::{
    CLIENT_ID, CLIENT_SECRET, EmptyText, FailedChangeSet, Options, ReadOnly, ServiceTime, TENANT_ID,
};
pub use request::{Delivery, Request, Response};
pub use service::Service;

/// Takes a lock. A thread that panicked while it held one left nothing half done: effects stand in
/// memory only as whole rows, and are undone or committed by the request that made them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
