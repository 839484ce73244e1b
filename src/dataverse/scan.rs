//! All records of a table, page by page.
//!
//! Source: Microsoft Learn, "Page results using OData", "Request a page size".

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::address::{Address, BASE};
use super::http::{Http, Request};
use super::{DataverseError, cell};
use crate::model::{ColumnKind, RecordId, Target, Value};

/// The largest page that there is; the next one is asked for only when this one was taken.
const PAGE: &str = "odata.maxpagesize=5000";

/// A record as it stands in Dataverse.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// Which one.
    pub id: RecordId,
    /// One per column of the target; `None` where the answer does not tell what the mapping would compare: lookups.
    pub values: Vec<Option<Value>>,
}

/// A reading of all records of a table, in the service's order. What is changed meanwhile may be seen or not.
pub struct Scan {
    http: Arc<Http>,
    target: Arc<Target>,
    next: Option<String>,
}

impl Scan {
    pub(super) fn new(http: Arc<Http>, target: Arc<Target>) -> Self {
        let mut path = format!("{BASE}/{}?$select={}", target.entity_set, target.primary_id);
        for column in &target.columns {
            if is_told(&column.kind) && column.name != target.primary_id {
                path.push(',');
                path.push_str(column.name.as_str());
            }
        }
        Self {
            http,
            target,
            next: Some(path),
        }
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// If the page cannot be read, or a value is not of its column's type.
    ///
    /// # Cancellation
    /// Safe: the page is asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<Scanned>>, DataverseError> {
        let Some(path) = self.next.clone() else {
            return Ok(None);
        };
        let prefer = Some(PAGE);
        let answer = self.http.read(&Request::Get { path, prefer }).await?;
        let about = format!("the records of `{}`", self.target.table);
        if answer.status != 200 {
            return Err(DataverseError::from_said(answer.said()));
        }
        let unexpected = |why| DataverseError::Unexpected { about, why };
        let page: Page<'_> = match serde_json::from_slice(&answer.body) {
            Ok(page) => page,
            Err(error) => return Err(unexpected(error.to_string())),
        };
        let records = page.value.iter().map(|row| self.scanned(row));
        let records = records.collect::<Result<_, String>>();
        let records = records.map_err(unexpected)?;
        self.next = page.next.map(|link| Address::path_of_link(&link));
        Ok(Some(records))
    }

    fn scanned(&self, row: &HashMap<Cow<'_, str>, &RawValue>) -> Result<Scanned, String> {
        let id = row.get(self.target.primary_id.as_str());
        let id = id.and_then(|json| serde_json::from_str(json.get()).ok());
        let columns = self.target.columns.iter().map(|column| {
            if !is_told(&column.kind) {
                return Ok(None);
            }
            let Some(json) = row.get(column.name.as_str()) else {
                return Ok(Some(Value::Null));
            };
            let value = cell::from_json(&column.kind, json.get());
            let value = value.and_then(|value| listed(&column.kind, value));
            value
                .map(Some)
                .ok_or_else(|| format!("a value of `{}` is not of its type", column.name))
        });
        Ok(Scanned {
            values: columns.collect::<Result<_, String>>()?,
            id: id.map(RecordId).ok_or("a record has no id")?,
        })
    }
}

/// A lookup is compared by what it was looked up with, and the answer has only the GUID.
fn is_told(kind: &ColumnKind) -> bool {
    !matches!(kind, ColumnKind::Lookup { .. } | ColumnKind::Other(_))
}

/// Several options are one text on the wire: `1,3`.
fn listed(kind: &ColumnKind, value: Value) -> Option<Value> {
    match (kind, value) {
        (ColumnKind::Choices { .. }, Value::Text(text)) => {
            let options = text.split(',').map(|option| option.trim().parse().ok());
            let mut options = options.collect::<Option<Vec<i32>>>()?;
            options.sort_unstable();
            Some(Value::Choices(options))
        }
        (_, value) => Some(value),
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<HashMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow, rename = "@odata.nextLink")]
    next: Option<Cow<'a, str>>,
}
