//! All records of a table, page by page.
//!
//! A lookup is told as the mapping compares it: by the columns that its records are found by, which come with the page.
//!
//! Source: Microsoft Learn, "Page results using OData", "Request a page size", "Join tables using OData".

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::address::{Address, BASE};
use super::http::{Http, Request};
use super::literal::read_name;
use super::{DataverseError, cell};
use crate::model::{Absent, ColumnKind, Lookup, Points, RecordId, Reference, Target, Value};

/// The largest page that there is; the next one is asked for only when this one was taken.
const PAGE: &str = "odata.maxpagesize=5000";

/// Tables that are joined to a page at most; the documented limit of `$expand` is 15. Lookups beyond it are not told.
const MOST_JOINED: usize = 10;

/// A record as it stands in Dataverse.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// Which one.
    pub id: RecordId,
    /// One per column of the target; `None` where the answer does not tell what the mapping would compare.
    pub values: Vec<Option<Value>>,
}

/// A reading of all records of a table, in the service's order. What is changed meanwhile may be seen or not.
pub struct Scan {
    http: Arc<Http>,
    target: Arc<Target>,
    /// One per column of the target.
    told: Vec<Told>,
    next: Option<String>,
}

/// How the answer tells a column.
enum Told {
    Not,
    AsValue,
    /// The mapping refers by GUID, and the answer has it.
    ById(Arc<Lookup>),
    /// By columns of the record that it points to, behind this navigation property.
    Joined(Arc<Lookup>, String),
}

impl Scan {
    /// `lookups` are the target's lookups; one that is not among them is not told.
    pub(super) fn new(http: Arc<Http>, target: Arc<Target>, lookups: &[Arc<Lookup>]) -> Self {
        let mut told = Vec::with_capacity(target.columns.len());
        let mut joined = Vec::new();
        for column in &target.columns {
            let lookup = lookups.iter().find(|it| it.column == column.name);
            told.push(match (&column.kind, lookup) {
                (ColumnKind::Other(_), _) | (ColumnKind::Lookup { .. }, None) => Told::Not,
                (ColumnKind::Lookup { .. }, Some(lookup)) if lookup.target.key_is_primary_id => {
                    Told::ById(Arc::clone(lookup))
                }
                (ColumnKind::Lookup { .. }, Some(lookup)) if joined.len() < MOST_JOINED => {
                    let navigation = read_navigation(lookup);
                    let columns = lookup.target.columns.iter().map(read_name);
                    let columns: Vec<String> = columns.collect();
                    joined.push(format!("{navigation}($select={})", columns.join(",")));
                    Told::Joined(Arc::clone(lookup), navigation.to_owned())
                }
                (ColumnKind::Lookup { .. }, Some(_)) => Told::Not,
                _ => Told::AsValue,
            });
        }
        let mut path = format!("{BASE}/{}?$select={}", target.entity_set, target.primary_id);
        for (column, told) in target.columns.iter().zip(&told) {
            if !matches!(told, Told::Not) && column.name != target.primary_id {
                path.push(',');
                path.push_str(&read_name(column));
            }
        }
        if !joined.is_empty() {
            path.push_str("&$expand=");
            path.push_str(&joined.join(","));
        }
        Self {
            http,
            target,
            told,
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

    fn scanned(&self, row: &Row<'_>) -> Result<Scanned, String> {
        let id = row.get(self.target.primary_id.as_str());
        let id = id.and_then(|json| serde_json::from_str(json.get()).ok());
        let columns = self.target.columns.iter().zip(&self.told);
        let columns = columns.map(|(column, told)| {
            let value = match row.get(read_name(column).as_str()) {
                _ if matches!(told, Told::Not) => return Ok(None),
                None => Some(Value::Null),
                Some(json) => typed(&column.kind, json),
            };
            let value = match (told, value) {
                (Told::ById(lookup), Some(Value::Guid(id))) => Some(found_by_id(lookup, id)),
                (Told::Joined(lookup, navigation), Some(Value::Guid(id))) => {
                    let record = row.get(navigation.as_str());
                    reference(lookup, RecordId(id), record.copied())
                }
                (_, value) => value,
            };
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

/// Under which navigation property the record is read. An owner is written as one, and read as a user or as a team:
/// what both have in common has no columns to find either by.
fn read_navigation(lookup: &Lookup) -> &str {
    match (lookup.column.as_str(), lookup.target.table.as_str()) {
        ("ownerid", "systemuser") => "owninguser",
        ("ownerid", "team") => "owningteam",
        _ => &lookup.navigation,
    }
}

fn found_by_id(lookup: &Arc<Lookup>, id: Uuid) -> Value {
    Value::Reference(Box::new(Reference {
        to: Arc::clone(lookup),
        key: vec![Value::Guid(id)],
        points: Points::Found(RecordId(id)),
    }))
}

/// The reference by which the mapping would have found the record. A record of another table or without a whole key is
/// found by none, and stands as what it is; so does the one that the mapping takes where there is none. `None` if a
/// value is not of its type.
fn reference(lookup: &Arc<Lookup>, id: RecordId, record: Option<&RawValue>) -> Option<Value> {
    let mut key = Vec::with_capacity(lookup.target.columns.len());
    let record: Option<Row<'_>> = match record {
        Some(json) => serde_json::from_str(json.get()).ok()?,
        None => None,
    };
    let is_default = lookup.absent == Absent::Default(id);
    for column in record.iter().flat_map(|_| &lookup.target.columns) {
        let json = record.as_ref()?.get(read_name(column).as_str());
        key.push(json.map_or(Some(Value::Null), |json| typed(&column.kind, json))?);
    }
    let is_found = !is_default && record.is_some() && !key.iter().any(Value::is_null);
    Some(Value::Reference(Box::new(Reference {
        to: Arc::clone(lookup),
        key,
        points: if is_found {
            Points::Found(id)
        } else {
            Points::Missing(Some(id))
        },
    })))
}

fn typed(kind: &ColumnKind, json: &RawValue) -> Option<Value> {
    let value = cell::from_json(kind, json.get())?;
    listed(kind, value)
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

/// A record of an answer.
type Row<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<Row<'a>>,
    #[serde(borrow, rename = "@odata.nextLink")]
    next: Option<Cow<'a, str>>,
}
