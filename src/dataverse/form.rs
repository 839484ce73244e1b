//! What the requests about one table have in common, rendered once.
//!
//! Everything here consists of names and of our own words, so that it can stand in a URL and in JSON as it is.

use std::sync::Arc;

use super::address::BASE;
use super::body::{Label, Object, Unwritable};
use crate::model::{ColumnKind, Operation, RecordId, Target, TargetColumn, Value};

/// Errors should name the columns that collide; of all annotations only these are needed.
const PREFER_DETAILS: &str =
    "Prefer: odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"\r\n";

/// An upsert must also tell whether it created, and which record. One header: some stacks overwrite repeats.
const PREFER_RECORD: &str = "Prefer: return=representation,odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"\r\n";

const JSON: &str = "Content-Type: application/json\r\n";

/// Without it a PATCH creates what it does not find.
const IF_ANY: &str = "If-Match: *\r\n";

/// The form that operations on one table are filled into.
pub(super) struct Form {
    pub(super) target: Arc<Target>,
    /// `POST /api/data/v9.2/contacts`, and so on: what stands before an address.
    pub(super) post: String,
    pub(super) patch: String,
    pub(super) delete: String,
    /// From behind the address to the blank line before the body.
    pub(super) head_of_upsert: String,
    pub(super) head_of_update_by_key: String,
    pub(super) head_of_update: String,
    pub(super) head_of_create: String,
    pub(super) head_of_delete: String,
    /// Of which table a record of a bulk message is, as its first member.
    kind: String,
    label_of_id: Label,
    /// One per column of the target.
    columns: Vec<Column>,
}

/// A column as a member of a record.
struct Column {
    label: Label,
    travel: Travel,
}

/// In which bodies a column travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Travel {
    /// With what is new and with what changes.
    Always,
    /// A new record is in its first state, whatever a create says.
    WithChanges,
    /// Beside the address the service takes a key value of the body for another one.
    Never,
}

impl Form {
    pub(super) fn new(target: Arc<Target>) -> Self {
        let set = &target.entity_set;
        let line = |method: &str| format!("{method} {BASE}/{set}");
        let head = |headers: &[&str]| format!(" HTTP/1.1\r\n{}\r\n", headers.concat());
        let id = &target.primary_id;
        let select = format!("?$select={id},createdon,_createdby_value");
        let selecting = |headers: &[&str]| format!("{select}{}", head(headers));
        let columns = target.columns.iter().enumerate();
        let columns = columns.map(|(index, column)| Column {
            label: Label::new(column.name.as_str()),
            travel: travel(&target, index, column),
        });
        Self {
            post: line("POST"),
            patch: line("PATCH"),
            delete: line("DELETE"),
            head_of_upsert: selecting(&[JSON, PREFER_RECORD]),
            head_of_update_by_key: selecting(&[JSON, PREFER_RECORD, IF_ANY]),
            head_of_update: head(&[JSON, PREFER_DETAILS, IF_ANY]),
            head_of_create: head(&[JSON, PREFER_DETAILS]),
            head_of_delete: head(&[PREFER_DETAILS]),
            kind: format!(
                "\"@odata.type\":\"Microsoft.Dynamics.CRM.{}\"",
                target.table
            ),
            label_of_id: Label::new(id.as_str()),
            columns: columns.collect(),
            target,
        }
    }

    /// Writes of which table a record is: a bulk message does not tell otherwise.
    pub(super) fn write_kind(&self, object: &mut Object<'_>) {
        object.rendered(&self.kind);
    }

    /// Writes the members of a new record: its GUID, its key, and the columns that travel.
    pub(super) fn write_new(
        &self,
        operation: &Operation,
        id: RecordId,
        object: &mut Object<'_>,
    ) -> Result<(), Unwritable> {
        self.write_id(id, object)?;
        if !self.target.key_is_primary_id {
            for index in &self.target.key {
                let value = operation.record.values.get(*index);
                if let Some((column, value)) = self.columns.get(*index).zip(value) {
                    object.member(&column.label, value)?;
                }
            }
        }
        self.write_columns(operation, object, |travel| travel == Travel::Always)
    }

    /// Writes the columns that travel, whatever the address: never the key and never the primary id.
    pub(super) fn write_changes(
        &self,
        operation: &Operation,
        object: &mut Object<'_>,
    ) -> Result<(), Unwritable> {
        self.write_columns(operation, object, |travel| travel != Travel::Never)
    }

    fn write_columns(
        &self,
        operation: &Operation,
        object: &mut Object<'_>,
        travels: impl Fn(Travel) -> bool,
    ) -> Result<(), Unwritable> {
        let members = self.columns.iter().zip(&operation.record.values);
        for (index, (column, value)) in members.enumerate() {
            if travels(column.travel) && operation.columns.contains(index) {
                object.member(&column.label, value)?;
            }
        }
        Ok(())
    }

    /// Writes the primary id of a record.
    pub(super) fn write_id(&self, id: RecordId, object: &mut Object<'_>) -> Result<(), Unwritable> {
        object.member(&self.label_of_id, &Value::Guid(id.0))
    }
}

fn travel(target: &Target, index: usize, column: &TargetColumn) -> Travel {
    if target.key.contains(&index) || column.name == target.primary_id {
        Travel::Never
    } else if matches!(column.kind, ColumnKind::State { .. }) {
        Travel::WithChanges
    } else {
        Travel::Always
    }
}
