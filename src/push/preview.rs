//! The first changes that a dry run foresees, with what is there before and after.

use serde_json::{Map, Value as Json};

use crate::dataverse::{Dataverse, GetKey};
use crate::dispatch::Draft;
use crate::model::{Action, RecordId, Table, Target, Value};

/// So many of each kind: enough to see whether a mapping does what was meant.
const SHOWN: usize = 5;

/// A change that a run would make.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The record, if it exists.
    pub id: Option<RecordId>,
    /// Its key, as it would be written.
    pub key: String,
    /// What would change.
    pub columns: Vec<ColumnChange>,
}

/// One column of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnChange {
    /// `emailaddress1`
    pub column: String,
    /// What Dataverse holds, where that could be read.
    pub before: Option<String>,
    /// What would be written; nothing clears it.
    pub after: Option<String>,
}

/// Keeps a change if it is among the first of its kind.
pub(super) fn note(preview: &mut Vec<Change>, draft: &Draft, action: Action, target: &Target) {
    let id = match action {
        Action::Update(id) | Action::Delete(id) => Some(id),
        Action::Create(_) | Action::Upsert | Action::UpdateByKey => None,
    };
    let alike = preview.iter().filter(|it| it.id.is_some() == id.is_some());
    if alike.count() >= SHOWN {
        return;
    }
    let key: Vec<String> = draft.record.key(target).filter_map(shown).collect();
    // The key addresses a record and is never written over.
    let travels = |index: &usize| id.is_none() || !target.key.contains(index);
    let columns = draft.columns.iter().filter(travels).filter_map(|index| {
        let value = draft.record.values.get(index)?;
        let column = target.columns.get(index)?.name.to_string();
        let (before, after) = (None, shown(value));
        let says_something = after.is_some() || id.is_some();
        says_something.then_some(ColumnChange {
            column,
            before,
            after,
        })
    });
    preview.push(Change {
        id,
        key: key.join(", "),
        columns: columns.collect(),
    });
}

/// Reads what the records that would be updated hold now. What cannot be read stays unsaid, and what they hold already is
/// no change: a record that the ledger does not know is sent with all its columns.
pub(super) async fn fill_in(environment: &Dataverse, table: &Table, preview: &mut [Change]) {
    for change in preview {
        let Some(id) = change.id else { continue };
        let Ok(Some(record)) = environment.get(table, &GetKey::Id(id)).await else {
            continue;
        };
        let Ok(record) = serde_json::from_str::<Map<String, Json>>(record.get()) else {
            continue;
        };
        for column in &mut change.columns {
            // A lookup is read under a name of its own.
            let lookup = format!("_{}_value", column.column);
            let held = record.get(&column.column).or_else(|| record.get(&lookup));
            column.before = match held {
                None | Some(Json::Null) => None,
                Some(Json::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
        }
        change.columns.retain(|it| it.before != it.after);
    }
}

pub(super) fn shown(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Timestamp(instant) => instant.to_string(),
        Value::Choice(option) => option.to_string(),
        Value::Choices(options) => {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            options.join(",")
        }
        Value::Guid(id) => id.to_string(),
        Value::Reference(reference) => reference.id()?.to_string(),
    })
}
