//! The nouns of the field: what an extract, a record, an operation and an outcome are.
//!
//! Owns the types that rooms hand to each other, their invariants, and the two traits by which rooms meet
//! without knowing each other: [`Source`] and [`Destination`]. Does no I/O, knows no runtime and no wire format.

mod connection;
mod digest;
mod extract;
mod names;
mod operation;
mod outcome;
mod record;
mod reference;
mod reply;
mod rows;
mod schema;
mod text;
mod value;

pub use connection::{Client, Connection, SecretSource};
pub use digest::{
    ColumnDigest, ColumnState, DigestSecret, KeyDigest, KeyReading, RowDigest, SourceDigest,
};
pub use extract::{CsvDialect, ExtractSpec, Format, Header, Ragged, Reading, Source, SourceColumn};
pub use names::{EntitySetName, InvalidName, LogicalName, RecordId, RunId};
pub use operation::{Action, Batch, Envelope, Envelopes, Operation, RowTag};
pub use outcome::{NotAttempted, Outcome, Reject, RejectCode, SkipReason, Verdict};
pub use record::{ColumnSet, Nulls, Record, Standing, StandingFlags, Target, TargetColumn, When};
pub use reference::{Absent, Lookup, Points, Reference};
pub use reply::{
    Accepted, Cause, Destination, Effect, Failure, Fate, Find, Found, Limit, Made, Reply,
    RowFailure, ServiceError,
};
pub use rows::{Fault, FaultKind, Position, Rows};
pub use schema::{
    AlternateKey, ChoiceOption, Collation, Column, ColumnKind, DateTimeBehavior, KeyStatus, Label,
    Relationship, Required, Table,
};
pub use text::Text;
pub use value::Value;
