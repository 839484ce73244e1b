//! A Dataverse that runs on a laptop: strict, journalled, for development and proof.
//!
//! [`Emulator`] serves the token endpoint and the Web API over HTTP on loopback; [`Service`] is the
//! same without a socket. Two endpoints are the emulator's own and stand outside the API:
//! `GET /journal?after=N` (committed effects as [`JournalEntry`], in a list named `value`) and
//! `GET /counts` ([`Counts`]); they need no token.

mod actions;
mod api;
mod batch;
mod bulk;
mod chaos;
mod context;
mod emulator;
mod engine;
mod error;
#[cfg(test)]
mod footprint;
mod journal;
mod limits;
pub mod metadata;
mod model;
mod odata;
mod options;
mod query;
mod refusal;
mod render;
mod request;
mod ring;
mod roles;
pub mod schema;
mod server;
mod service;
mod table;
mod token;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use chaos::chance::{ChaosError, ChaosSpec};
pub use chaos::{Fault, OperationFault};
pub use emulator::Emulator;
pub use error::EmulatorError;
pub use journal::{EffectKind, JournalEntry};
pub use limits::Limits;
pub use options::RepeatedTargets;
pub use options::{
    CLIENT_ID, CLIENT_SECRET, EmptyText, FailedChangeSet, Options, ReadOnly, ServiceTime, TENANT_ID,
};
pub use request::{Delivery, Request, Response};
pub use service::Service;
pub use service::counts::Counts;
pub use table::fold::Collation;
pub use token::clients::{Client, ClientOptions, Privileges, SecretState, UserState};

/// Takes a lock. A thread that panicked while it held one left nothing half done: effects stand in
/// memory only as whole rows, and are undone or committed by the request that made them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
