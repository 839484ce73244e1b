//! The wire of Dataverse: tokens, URLs, `$batch` bodies, metadata, queries, and what the service's answers mean.
//!
//! Says what happened to each operation, how far it got and why it failed. Leaves it to others to wait, to repeat
//! and to decide what a failure means for a run; it never sleeps, and it repeats a request only to replace a token
//! that was rejected.

mod address;
mod attributes;
mod batch;
mod body;
mod bulk;
mod causes;
mod cell;
mod codes;
mod credentials;
mod digits;
mod environment;
mod errors;
mod find;
mod form;
mod get;
mod http;
mod limit;
mod literal;
mod login;
#[cfg(test)]
mod loopback;
mod metadata;
mod multipart;
mod privileges;
mod questions;
mod refusal;
mod reply;
mod representation;
mod said;
mod scan;
mod tables;
mod token;
mod transport;
mod wait;
mod who;
mod words;
mod writer;

pub use causes::{RefusalCause, SignInCause};
pub use environment::Dataverse;
pub use errors::{DataverseError, DataverseErrorKind};
pub use get::GetKey;
pub use http::{Requests, WireOptions, WireWork};
pub use limit::ServiceLimit;
pub use privileges::{Lacking, Needed, Privileges};
pub use scan::{Scan, Scanned};
pub use tables::TableName;
pub use who::Who;
pub use writer::TableWriter;
