//! Reads extracts: which files there are, their rows, and whether they are still the same files.
//!
//! Owns the dialects and encodings of delimited text, compression, and Parquet. Does not decide what a cell means to a
//! table.

mod compression;
mod decode;
mod delimited;
mod disguise;
mod error;
mod extract;
mod filling;
mod header;
mod locate;
mod parquet;
mod reading;
mod tape;

pub use decode::encode;
pub use disguise::Disguise;
pub use error::{SourceError, SourceFailure};
pub use extract::Extract;
pub use parquet::cell_text;
