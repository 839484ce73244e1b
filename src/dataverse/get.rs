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
    let answer = http.read_patiently(&Request::Get { path, prefer }).await?;
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
                    help: format!("Write `{name}` as {}.", as_written(kind)),
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

fn as_written(kind: Option<&ColumnKind>) -> &'static str {
    match kind {
        None | Some(ColumnKind::Other(_)) => "a column whose type is known",
        Some(ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::Choices { .. }) => {
            "a text that is not empty"
        }
        Some(ColumnKind::Integer { .. } | ColumnKind::BigInt) => "a whole number",
        Some(ColumnKind::Decimal { .. } | ColumnKind::Money { .. } | ColumnKind::Float { .. }) => {
            "a number with a decimal point"
        }
        Some(ColumnKind::Boolean { .. }) => "true or false",
        Some(ColumnKind::Date) => "a date like 2024-05-01",
        Some(ColumnKind::DateTime { .. }) => "a time like 2024-05-01T20:00:00Z",
        Some(ColumnKind::Choice { .. } | ColumnKind::State { .. } | ColumnKind::Status { .. }) => {
            "the number of an option"
        }
        Some(ColumnKind::Guid | ColumnKind::Lookup { .. }) => "a GUID",
    }
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

#[cfg(test)]
mod tests {
    use super::super::loopback::{Loopback, id, json, response};
    use super::*;
    use crate::model::{AlternateKey, Collation, Column, EntitySetName, KeyStatus, Required};

    fn name(name: &str) -> LogicalName {
        LogicalName::parse(name).unwrap()
    }

    fn contact() -> Table {
        let column = |column: &str, kind| Column {
            name: name(column),
            display_name: None,
            kind,
            creatable: true,
            updatable: true,
            required: Required::No,
        };
        let key = |columns: &[&str]| AlternateKey {
            name: "k".to_owned(),
            columns: columns.iter().map(|column| name(column)).collect(),
            status: KeyStatus::Active,
        };
        Table {
            name: name("contact"),
            entity_set: EntitySetName::parse("contacts").unwrap(),
            display_name: None,
            primary_id: name("contactid"),
            primary_name: None,
            columns: vec![
                column("emailaddress1", ColumnKind::Text { max_length: 100 }),
                column("new_no", ColumnKind::BigInt),
                column("new_plan", ColumnKind::Text { max_length: 100 }),
            ],
            keys: vec![key(&["emailaddress1"]), key(&["new_no", "new_plan"])],
            collation: Collation::AccentInsensitive,
            relationships: Vec::new(),
        }
    }

    fn parse(written: &str) -> GetKey {
        GetKey::parse(written, &contact()).unwrap()
    }

    async fn ask(
        server: &Loopback,
        written: &str,
    ) -> Result<Option<Box<RawValue>>, DataverseError> {
        get(&server.http(), &contact(), &parse(written)).await
    }

    async fn line(written: &str) -> String {
        let server = Loopback::environment(|_, _| json("200 OK", r#"{"value":[]}"#)).await;
        ask(&server, written).await.unwrap();
        let asked = server.asked_of_environment().remove(0);
        assert_eq!(
            asked.header("prefer"),
            Some("odata.include-annotations=\"*\"")
        );
        asked.line
    }

    #[test]
    fn a_key_is_a_guid_or_columns() {
        assert_eq!(
            parse("00000000-0000-0000-0000-00000000000a"),
            GetKey::Id(id(10))
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parse("new_plan=a,b=c, new_no=7"),
            GetKey::Alternate(vec![pair("new_plan", "a,b=c"), pair("new_no", "7")])
        );
        let error = GetKey::parse("ann@x.example", &contact()).unwrap_err();
        assert!(
            error.help().contains("`emailaddress1=…`"),
            "{}",
            error.help()
        );
    }

    #[tokio::test]
    async fn a_record_is_addressed_by_id_key_or_query() {
        assert_eq!(
            line("00000000-0000-0000-0000-00000000000a").await,
            "GET /api/data/v9.2/contacts(00000000-0000-0000-0000-00000000000a) HTTP/1.1"
        );
        assert_eq!(
            line("new_no=7,new_plan=O'B").await,
            "GET /api/data/v9.2/contacts(new_no=7,new_plan='O%27%27B') HTTP/1.1"
        );
        let line = line("emailaddress1=a+b@x.example").await;
        assert!(
            line.starts_with("GET /api/data/v9.2/contacts?$filter=emailaddress1%20eq%20"),
            "{line}"
        );
        assert!(line.contains("a%2Bb%40x.example"), "{line}");
        assert!(line.ends_with("&$top=1 HTTP/1.1"), "{line}");
    }

    #[tokio::test]
    async fn the_answer_is_given_word_for_word() {
        let row = r#"{"@odata.etag":"W/\"1\"","new_amount":1000.5000,"a@b":"€"}"#;
        let server = Loopback::environment(move |_, number| match number {
            0 => json("200 OK", row),
            _ => json("200 OK", &format!(r#"{{"value":[{row}]}}"#)),
        })
        .await;
        for written in ["emailaddress1=a", "emailaddress1=a/b"] {
            let got = ask(&server, written).await.unwrap().unwrap();
            assert_eq!(got.get(), row);
        }
    }

    #[tokio::test]
    async fn a_record_that_is_not_there_is_none() {
        for body in [
            r#"{"error":{"code":"0x80040217","message":"contact With Id = 1 Does Not Exist"}}"#,
            r#"{"error":{"code":"0x80060891","message":"A record with the specified key values does not exist in contact entity"}}"#,
        ] {
            let server = Loopback::environment(move |_, _| json("404 Not Found", body)).await;
            assert!(ask(&server, "emailaddress1=a").await.unwrap().is_none());
            let by_id = ask(&server, "00000000-0000-0000-0000-00000000000a").await;
            assert!(by_id.unwrap().is_none());
        }
        let server = Loopback::environment(|_, _| response("404 Not Found", "", "<html>")).await;
        ask(&server, "emailaddress1=a").await.unwrap_err();
        let server = Loopback::environment(|_, _| json("200 OK", r#"{"value":[]}"#)).await;
        assert!(ask(&server, "emailaddress1=a/b").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn columns_that_are_no_key_ask_nothing() {
        let server = Loopback::environment(|_, _| Vec::new()).await;
        for written in [
            "new_no=7",
            "emailaddress1=a,new_no=7",
            "new_no=x,new_plan=a",
            "emailaddress1=",
        ] {
            let error = ask(&server, written).await.unwrap_err();
            assert!(matches!(error, DataverseError::Key { .. }), "{error}");
        }
        assert!(server.asked().is_empty());
    }
}
