//! Answers requests for the definitions of tables, columns, keys, relationships and choices.
//!
//! [`answer`] takes the path and the query of a `GET` and gives status and body; routing, headers
//! and rights are left to the server. Everything is rendered from the [`Schema`], and ids are
//! derived from names, so that the same schema has the same definitions on every start.
//!
//! Three places are stricter than the service is known to be: type-specific properties of columns
//! come only with a cast, an option or a function that the pages do not show is refused, and
//! values are compared only with literals of their own type.
//!
//! Source: Microsoft Learn, "Query table definitions using the Web API" and "Reference Dataverse
//! schema definitions by name or `MetadataId`".

mod attribute;
mod entity;
mod filter;
mod node;
mod option_set;
mod parts;
mod path;
mod query;
mod refusal;
mod resolve;
mod types;

use serde_json::Value;

use crate::schema::Schema;
use path::Path;
use query::Options;

/// What is sent back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Value,
}

/// Answers a `GET` on definitions, or nothing if the path is not about them.
///
/// `base_url` is the root of the Web API without a slash at its end
/// (`http://127.0.0.1:8080/api/data/v9.2`), `path` what follows it in the request, and `query` what
/// follows the question mark. Both are raw, still percent-encoded: a decoded path could not tell a
/// slash between segments from one inside a key.
pub fn answer(schema: &Schema, base_url: &str, path: &str, query: &str) -> Option<Answer> {
    let root = path::root(path)?;
    let result = Path::parse(root, path).and_then(|path| {
        let options = Options::parse(query)?;
        resolve::resolve(schema, base_url, &path, &options)
    });
    Some(match result {
        Ok(body) => Answer { status: 200, body },
        Err(refusal) => refusal.into(),
    })
}
