//! Writes the body of a `$batch`: one `application/http` part per operation, every line end CRLF.
//!
//! No text of a record can leave its place: keys are percent-encoded, bodies are JSON on one line, names consist
//! of letters, digits and `_`.
//!
//! Source: Microsoft Learn, "Execute batch operations using the Web API".

use bytes::Bytes;
use uuid::Uuid;

use super::address::BASE;
use super::body::write_object;
use super::http::{Intent, Request};
use super::literal;
use crate::model::{Action, Operation, RecordId, Target, Value};

/// Errors should name the columns that collide; of all annotations only these are needed.
const PREFER_DETAILS: &str =
    "Prefer: odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"\r\n";

/// An upsert must also tell whether it created, and which record. One header: some stacks overwrite repeats.
const PREFER_RECORD: &str = "Prefer: return=representation,odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"\r\n";

/// A `$batch` that is being written.
pub(super) struct BatchBody {
    boundary: String,
    bytes: Vec<u8>,
    parts: usize,
}

/// Why an operation cannot be written; none of its bytes are in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwritable(pub(super) &'static str);

impl BatchBody {
    pub(super) fn new() -> Self {
        Self {
            boundary: format!("batch_{}", Uuid::new_v4().as_simple()),
            bytes: Vec::new(),
            parts: 0,
        }
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.parts == 0
    }

    /// Adds a GET of that path and query, which is encoded already.
    pub(super) fn get(&mut self, path: &str) {
        self.begin();
        self.line(&[
            "GET ",
            path,
            " HTTP/1.1\r\nAccept: application/json\r\n\r\n",
        ]);
        self.end();
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// If its key cannot stand in a URL or a value cannot be written; the batch is as before.
    pub(super) fn operation(
        &mut self,
        operation: &Operation,
        target: &Target,
    ) -> Result<(), Unwritable> {
        let length = self.bytes.len();
        self.begin();
        let written = match operation.action {
            Action::Upsert | Action::UpdateByKey => self.write_by_key(operation, target),
            Action::Create => self.create(operation, target),
            Action::Update(id) => self.update(operation, target, id),
            Action::Delete(id) => {
                self.request("DELETE", target, &format!("({id})"));
                self.line(&[PREFER_DETAILS, "\r\n"]);
                Ok(())
            }
        };
        if written.is_ok() {
            self.end();
        } else {
            self.bytes.truncate(length);
            self.parts -= 1;
        }
        written
    }

    /// The request that carries the batch.
    pub(super) fn finish(mut self, intent: Intent) -> Request {
        let boundary = std::mem::take(&mut self.boundary);
        self.line(&["--", &boundary, "--\r\n"]);
        Request::Batch {
            boundary,
            body: Bytes::from(self.bytes),
            intent,
        }
    }

    fn write_by_key(&mut self, operation: &Operation, target: &Target) -> Result<(), Unwritable> {
        let mut address = String::new();
        literal::key(target, operation.record.key(target), &mut address)
            .ok_or(Unwritable("the key cannot stand in a URL"))?;
        address.push_str("?$select=");
        address.push_str(target.primary_id.as_str());
        address.push_str(",createdon,_createdby_value");
        self.request("PATCH", target, &address);
        self.line(&[JSON, PREFER_RECORD]);
        if operation.action == Action::UpdateByKey {
            self.line(&[IF_ANY]);
        }
        self.line(&["\r\n"]);
        self.members(columns_to_send(operation, target))
    }

    fn update(
        &mut self,
        operation: &Operation,
        target: &Target,
        id: RecordId,
    ) -> Result<(), Unwritable> {
        self.request("PATCH", target, &format!("({id})"));
        self.line(&[JSON, PREFER_DETAILS, IF_ANY, "\r\n"]);
        self.members(columns_to_send(operation, target))
    }

    fn create(&mut self, operation: &Operation, target: &Target) -> Result<(), Unwritable> {
        self.request("POST", target, "");
        self.line(&[JSON, PREFER_DETAILS, "\r\n"]);
        let id = Value::Guid(operation.record.derived_id.0);
        let key = target.key.iter().copied().filter_map(|index| {
            member(operation, target, index).filter(|_| !target.key_is_primary_id)
        });
        let members = std::iter::once((target.primary_id.as_str(), &id))
            .chain(key)
            .chain(columns_to_send(operation, target));
        self.members(members)
    }

    fn members<'a>(
        &mut self,
        members: impl Iterator<Item = (&'a str, &'a Value)>,
    ) -> Result<(), Unwritable> {
        write_object(members, &mut self.bytes)
            .map_err(|_| Unwritable("a number of the record is not finite"))
    }

    fn request(&mut self, method: &str, target: &Target, address: &str) {
        let set = target.entity_set.as_str();
        self.line(&[method, " ", BASE, "/", set, address, " HTTP/1.1\r\n"]);
    }

    fn begin(&mut self) {
        self.parts += 1;
        let boundary = std::mem::take(&mut self.boundary);
        self.line(&[
            "--",
            &boundary,
            "\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: ",
            &self.parts.to_string(),
            "\r\n\r\n",
        ]);
        self.boundary = boundary;
    }

    /// Ends a part's body; for one without a body this is the second blank line that it needs.
    fn end(&mut self) {
        self.line(&["\r\n"]);
    }

    fn line(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

/// Without it a PATCH creates what it does not find.
const IF_ANY: &str = "If-Match: *\r\n";

/// The columns that travel, whatever the address: never the key and never the primary id. Beside the address the
/// service takes a key value of the body for another one.
fn columns_to_send<'a>(
    operation: &'a Operation,
    target: &'a Target,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    operation
        .columns
        .iter()
        .filter(|index| !target.key.contains(index))
        .filter_map(|index| member(operation, target, index))
        .filter(|(name, _)| *name != target.primary_id.as_str())
}

fn member<'a>(
    operation: &'a Operation,
    target: &'a Target,
    index: usize,
) -> Option<(&'a str, &'a Value)> {
    let column = target.columns.get(index)?;
    let value = operation.record.values.get(index)?;
    Some((column.name.as_str(), value))
}
