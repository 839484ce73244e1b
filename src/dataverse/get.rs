//! One record, as the service returns it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::DataverseError;
use super::address::BASE;
use super::cell;
use super::http::{Http, Request};
use super::literal::literal;
use super::said::Addressed;
use crate::model::{Cause, ColumnKind, LogicalName, RecordId, RowFailure, Table, Value};

/// Which record to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GetKey {
    /// By its GUID.
    Id(RecordId),
    /// By the columns of an alternate key, with values as people write them.
    Alternate(Vec<(String, String)>),
}

impl GetKey {
    /// Reads a GUID or `column=value,…`. A comma ends a value only where a column of the table follows, so that
    /// values may have commas.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(written: &str, table: &Table) -> Result<Self, DataverseError> {
        if let Ok(id) = Uuid::try_parse(written.trim()) {
            return Ok(Self::Id(RecordId(id)));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for piece in written.split(',') {
            let pair = piece
                .split_once('=')
                .map(|(name, value)| (name.trim(), value))
                .filter(|(name, _)| table.column(name).is_some());
            match (pair, pairs.last_mut()) {
                (Some((name, value)), _) => pairs.push((name.to_owned(), value.to_owned())),
                (None, Some((_, value))) => {
                    value.push(',');
                    value.push_str(piece);
                }
                (None, None) => {
                    return Err(DataverseError::Key {
                        why: format!(
                            "`{written}` is neither a GUID nor a key of `{}`",
                            table.name
                        ),
                        help: known_keys(table),
                    });
                }
            }
        }
        Ok(Self::Alternate(pairs))
    }
}

/// One record with all its columns and annotations, word for word; `None` if there is none.
pub(super) async fn get(
    http: &Http,
    table: &Table,
    key: &GetKey,
) -> Result<Option<Box<RawValue>>, DataverseError> {
    let (id, conditions) = match key {
        GetKey::Id(id) => (Some(*id), Vec::new()),
        GetKey::Alternate(pairs) => (None, conditions(table, pairs)?),
    };
    let by_url = id.is_some() || conditions.iter().all(|(_, value)| value.can_stand_in_url());
    let path = match id {
        Some(id) => format!("{BASE}/{}({id})", table.entity_set),
        None if by_url => format!(
            "{BASE}/{}({})",
            table.entity_set,
            join(&conditions, "=", ",")
        ),
        None => format!(
            "{BASE}/{}?$filter={}&$top=1",
            table.entity_set,
            join(&conditions, "%20eq%20", "%20and%20")
        ),
    };
    let prefer = Some("odata.include-annotations=\"*\"");
    let answer = http.read(&Request::Get { path, prefer }).await?;
    if answer.status != 200 {
        let said = answer.said();
        let about = Addressed {
            table: &table.name,
            id,
        };
        return match said.cause(Some(about)) {
            Cause::Row(RowFailure::NotFound) => Ok(None),
            Cause::Row(RowFailure::Other { .. }) if said.says_not_found() => Ok(None),
            _ => Err(DataverseError::from_said(said)),
        };
    }
    let unexpected = |error: serde_json::Error| DataverseError::Unexpected {
        about: format!("a record of `{}`", table.name),
        why: error.to_string(),
    };
    if by_url {
        serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(unexpected)
    } else {
        let page: Page = serde_json::from_slice(&answer.body).map_err(unexpected)?;
        Ok(page.value.into_iter().next())
    }
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Box<RawValue>>,
}

/// The columns must be those of one of the table's keys: otherwise several records could be meant.
fn conditions(
    table: &Table,
    pairs: &[(String, String)],
) -> Result<Vec<(String, Value)>, DataverseError> {
    let given: BTreeSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let is_key = table.keys.iter().any(|key| {
        let columns: BTreeSet<&str> = key.columns.iter().map(LogicalName::as_str).collect();
        columns == given
    });
    if !is_key || given.len() != pairs.len() {
        return Err(DataverseError::Key {
            why: format!("these columns are not a key of `{}`", table.name),
            help: known_keys(table),
        });
    }
    pairs
        .iter()
        .map(|(name, written)| {
            let kind = table.column(name).map(|column| &column.kind);
            let value = kind
                .and_then(|kind| cell::from_text(kind, written))
                .filter(|value| !value.is_null());
            match (kind, value) {
                (Some(ColumnKind::Lookup { .. }), Some(value)) => {
                    Ok((format!("_{name}_value"), value))
                }
                (Some(_), Some(value)) => Ok((name.clone(), value)),
                _ => Err(DataverseError::Key {
                    why: format!("`{written}` is not a value of `{name}`"),
                    help: format!(
                        "Look at `segue describe {}` for the column's type.",
                        table.name
                    ),
                }),
            }
        })
        .collect()
}

fn join(conditions: &[(String, Value)], between: &str, after: &str) -> String {
    let mut joined = String::new();
    for (index, (name, value)) in conditions.iter().enumerate() {
        if index > 0 {
            joined.push_str(after);
        }
        joined.push_str(name);
        joined.push_str(between);
        literal(value, &mut joined);
    }
    joined
}

fn known_keys(table: &Table) -> String {
    let keys: Vec<String> = table
        .keys
        .iter()
        .map(|key| {
            let columns: Vec<String> = key
                .columns
                .iter()
                .map(|column| format!("{column}=…"))
                .collect();
            format!("`{}`", columns.join(","))
        })
        .collect();
    if keys.is_empty() {
        format!("Use the GUID: `{}` has no alternate key.", table.name)
    } else {
        format!("Use the GUID, or {}.", keys.join(" or "))
    }
}
