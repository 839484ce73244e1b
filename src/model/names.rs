//! Names and ids that Dataverse has a word for, each with a type of its own.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name that is not one: empty, too long, or with a character that names do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName(pub String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a name of Dataverse", self.0.escape_debug())
    }
}

impl std::error::Error for InvalidName {}

/// At most this many characters in a name: generous, the longest that Dataverse makes has 128.
const LONGEST_NAME: usize = 256;

/// Names travel inside URLs and request lines: only these characters may ever get there.
fn checked(name: &str) -> Result<Arc<str>, InvalidName> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
        return Err(InvalidName(name.to_owned()));
    }
    Ok(Arc::from(name))
}

/// The logical name of a table or column: `contact`, `emailaddress1`. ASCII letters, digits and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogicalName(Arc<str>);

impl TryFrom<String> for LogicalName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::parse(&name)
    }
}

impl From<LogicalName> for String {
    fn from(name: LogicalName) -> Self {
        name.as_str().to_owned()
    }
}

impl LogicalName {
    /// Takes a name as written.
    ///
    /// # Errors
    /// [`InvalidName`] unless it consists of ASCII letters, digits and `_`.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        checked(name).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogicalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name by which URLs address a table: `contacts`. It is read from metadata, never made from the logical name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntitySetName(Arc<str>);

impl TryFrom<String> for EntitySetName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::parse(&name)
    }
}

impl From<EntitySetName> for String {
    fn from(name: EntitySetName) -> Self {
        name.as_str().to_owned()
    }
}

impl EntitySetName {
    /// Takes a name as the service told it.
    ///
    /// # Errors
    /// [`InvalidName`] unless it consists of ASCII letters, digits and `_`.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        checked(name).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntitySetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The GUID of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub Uuid);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The name of a run: its start and the mapping's name, `20261120T231500Z-contacts`; a taken one gets `-2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes an id as it was made or read.
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
