//! Reads extracts: which files there are, their rows as text, and whether they are still the same files.
//!
//! Owns the dialects and encodings of delimited text. Does not decide what a cell means to a table.

mod decode;
mod delimited;
mod error;
mod extract;
mod locate;
mod reading;
mod tape;

pub use error::{SourceError, SourceFailure};
pub use extract::Extract;
