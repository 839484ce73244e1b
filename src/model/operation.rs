//! What is asked of Dataverse, one record at a time.

use std::sync::Arc;

use super::{ColumnSet, KeyDigest, Position, Record, RecordId, SourceDigest, Standing};

/// Which row an operation or outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowTag {
    /// Where the row stands.
    pub position: Position,
    /// Its key.
    pub key: KeyDigest,
    /// Its other cells: what the ledger holds once the row is accepted.
    pub source: SourceDigest,
}

/// One request about one record. It may be sent twice.
///
/// It owns the full record and the set of columns to send, so that a record which others deleted can be written
/// whole again without its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The row it comes from.
    pub row: RowTag,
    /// The whole record.
    pub record: Record,
    /// The columns that differ from what Dataverse holds; never the key columns, they travel where the action needs them.
    pub columns: ColumnSet,
    /// What to do.
    pub action: Action,
    /// What the ledger holds of the key, if anything.
    pub standing: Option<Arc<Standing>>,
}

/// What an operation does, and how it addresses its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Creates or updates by the mapping's key: `PATCH set(key)`, asking for the primary id back. The key columns
    /// are not in the body.
    Upsert,
    /// Updates by the mapping's key, never creates: `PATCH set(key)` with `If-Match: *`.
    UpdateByKey,
    /// Creates with that GUID, which is derived from the key (or is the key): `POST set`, key columns in the body.
    Create(RecordId),
    /// Updates the record of that GUID, never creates: `PATCH set(guid)` with `If-Match: *`.
    Update(RecordId),
    /// Deletes the record of that GUID: `DELETE set(guid)`.
    Delete(RecordId),
}

/// Operations that travel together: 1 to 1,000, answered in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// In the order in which they are written and answered; at most one per key.
    pub operations: Vec<Operation>,
    /// What they travel in.
    pub envelope: Envelope,
}

/// What the operations of one request travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelope {
    /// A `$batch`: each operation is done or refused for itself.
    #[default]
    Batch,
    /// One message for many records, all done or none (`CreateMultiple`, `UpdateMultiple`). Only for operations that
    /// are all [`Action::Create`] or all [`Action::Update`].
    Bulk,
}

/// Which envelopes a mapping wants: `write.envelope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelopes {
    /// `$batch` for everything.
    #[default]
    Batch,
    /// Bulk messages for whatever they can carry, `$batch` for the rest.
    Bulk,
    /// One operation in a request.
    Single,
    /// Bulk messages as long as few of them are refused, otherwise `$batch`.
    Auto,
}
