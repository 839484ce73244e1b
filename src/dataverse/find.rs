//! Finds records in bulk, by key or by GUID: many keys in one filter, many filters in one `$batch`.
//!
//! Source: Microsoft Learn, "Filter rows using OData", "In query function", "Page results using OData".

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::DataverseError;
use super::address::{Address, BASE};
use super::batch::BatchBody;
use super::cell;
use super::http::{Answer, Http, Intent, Request};
use super::literal::{encode, literal, read_name};
use super::said::Said;
use crate::model::{Cause, Failure, Fate, Find, Found, RecordId, ServiceError, Target, Value};

/// A URL of a batch's part may have 64 KB; the half of it leaves room on every server between.
const LONGEST_FILTER: usize = 28_000;

/// A query may have 500 conditions, joins included.
const MOST_CONDITIONS: usize = 300;

/// So many filters in one `$batch`: enough to save round trips, few enough to be answered soon.
const MOST_PARTS: usize = 20;

/// Pages of one filter beyond this are no answer to a search by key.
const MOST_PAGES: usize = 1_000;

pub(super) async fn find(http: &Http, target: &Target, what: &Find) -> Result<Vec<Found>, Failure> {
    let target = match what {
        Find::Referred { target, .. } => target,
        Find::ByKey(_) | Find::ById(_) => target,
    };
    let mut found = Vec::new();
    let filters = filters(target, what);
    for filters in filters.chunks(MOST_PARTS) {
        let mut batch = BatchBody::new();
        for filter in filters {
            batch.get(&path(target, filter));
        }
        let answer = http
            .read(&batch.finish(Intent::Read))
            .await
            .map_err(DataverseError::into_failure)?;
        let mut links = read_parts(&answer, filters.len(), target, &mut found)?;
        for _ in 0..MOST_PAGES {
            let Some(link) = links.pop() else { break };
            links.extend(read_page(http, &link, target, &mut found).await?);
        }
        if !links.is_empty() {
            // Half of what there is would look like records that are missing.
            return Err(misfit("the search has pages without end"));
        }
    }
    Ok(found)
}

/// Reads one page for each filter; returns the links to further pages.
fn read_parts(
    answer: &Answer,
    expected: usize,
    target: &Target,
    found: &mut Vec<Found>,
) -> Result<Vec<String>, Failure> {
    let Some(parts) = answer.parts() else {
        return Err(if answer.is_success() {
            unreadable("the answer is not one to a batch")
        } else {
            refused(&answer.said())
        });
    };
    let mut links = Vec::new();
    for part in parts.iter().take(expected) {
        let part = part
            .as_ref()
            .ok_or_else(|| unreadable("the answer's part cannot be read"))?;
        if part.status != 200 {
            return Err(refused(&answer.said_by(part)));
        }
        links.extend(rows(part.body, target, found)?);
    }
    if parts.len() == expected {
        Ok(links)
    } else {
        Err(unreadable("the answer has not one part per query"))
    }
}

async fn read_page(
    http: &Http,
    link: &str,
    target: &Target,
    found: &mut Vec<Found>,
) -> Result<Option<String>, Failure> {
    let request = Request::Get {
        path: Address::path_of_link(link),
        prefer: None,
    };
    let answer = http
        .read(&request)
        .await
        .map_err(DataverseError::into_failure)?;
    if answer.status == 200 {
        rows(&answer.body, target, found)
    } else {
        Err(refused(&answer.said()))
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<HashMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow, rename = "@odata.nextLink")]
    next: Option<Cow<'a, str>>,
}

fn rows(body: &[u8], target: &Target, found: &mut Vec<Found>) -> Result<Option<String>, Failure> {
    let page: Page<'_> = serde_json::from_slice(body)
        .map_err(|_| misfit("the answer to a query is not a page of rows"))?;
    for row in &page.value {
        let id = row
            .get(target.primary_id.as_str())
            .and_then(|json| serde_json::from_str(json.get()).ok())
            .map(RecordId)
            .ok_or_else(|| misfit("a row of the answer has no id"))?;
        let mut key = Vec::with_capacity(target.key.len());
        for column in target
            .key
            .iter()
            .filter_map(|index| target.columns.get(*index))
        {
            // A member that is not there is a null.
            let value = match row.get(read_name(column).as_str()) {
                Some(json) => cell::from_json(&column.kind, json.get()),
                None => Some(Value::Null),
            };
            key.push(value.ok_or_else(|| {
                misfit(&format!("a value of `{}` is not of its type", column.name))
            })?);
        }
        found.push(Found { id, key });
    }
    Ok(page.next.map(Cow::into_owned))
}

fn refused(said: &Said) -> Failure {
    Failure {
        fate: Fate::Refused,
        cause: said.cause_of_whole(),
        error: said.error.clone(),
    }
}

fn unreadable(why: &str) -> Failure {
    Failure {
        fate: Fate::Lost,
        cause: Cause::Transient,
        error: ServiceError {
            message: why.to_owned(),
            ..ServiceError::default()
        },
    }
}

/// It would read the same the next time.
fn misfit(why: &str) -> Failure {
    Failure {
        fate: Fate::Refused,
        cause: Cause::Contract,
        ..unreadable(why)
    }
}

fn path(target: &Target, filter: &str) -> String {
    let mut path = format!("{BASE}/{}?$select={}", target.entity_set, target.primary_id);
    for column in target
        .key
        .iter()
        .filter_map(|index| target.columns.get(*index))
    {
        if column.name != target.primary_id {
            path.push(',');
            path.push_str(&read_name(column));
        }
    }
    path.push_str("&$filter=");
    path.push_str(filter);
    path
}

/// The filters that together ask for everything, percent-encoded.
fn filters(target: &Target, what: &Find) -> Vec<String> {
    let mut listed = Filters::list(target);
    let mut chained = Filters::chain();
    match what {
        Find::ById(ids) => {
            for id in ids {
                let condition = condition(target.primary_id.as_str(), &Value::Guid(id.0));
                chained.add(&condition, 1);
            }
        }
        Find::ByKey(keys) | Find::Referred { keys, .. } => {
            for key in keys {
                // No record is found by a key with a null in it: the index behind a key leaves such rows out.
                if key.len() != target.key.len() || key.iter().any(Value::is_null) {
                    continue;
                }
                match key.as_slice() {
                    [Value::Text(text)] if can_be_listed(text) => {
                        let mut item = "%22".to_owned();
                        encode(text, &mut item);
                        item.push_str("%22");
                        listed.add(&item, 1);
                    }
                    key => chained.add(&conditions(target, key), key.len()),
                }
            }
        }
    }
    let mut filters = listed.finish();
    filters.extend(chained.finish());
    filters
}

/// Inside the list of `In` texts stand in double quotes, and how one is escaped there is documented nowhere.
fn can_be_listed(text: &str) -> bool {
    !text.contains(|c: char| c == '"' || c == '\\' || c.is_control())
}

/// `(a eq 'x' and b eq 1)`
fn conditions(target: &Target, key: &[Value]) -> String {
    let conditions: Vec<String> = target
        .key
        .iter()
        .filter_map(|index| target.columns.get(*index))
        .zip(key)
        .map(|(column, value)| condition(&read_name(column), value))
        .collect();
    match conditions.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join("%20and%20")),
    }
}

fn condition(name: &str, value: &Value) -> String {
    let mut condition = format!("{name}%20eq%20");
    literal(value, &mut condition);
    condition
}

/// Filters that are being filled, each up to the limits.
struct Filters {
    opening: String,
    separator: &'static str,
    closing: &'static str,
    conditions: usize,
    current: String,
    done: Vec<String>,
}

impl Filters {
    /// `Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=["x","y"])`
    fn list(target: &Target) -> Self {
        let name = target
            .key
            .first()
            .and_then(|index| target.columns.get(*index))
            .map(read_name)
            .unwrap_or_default();
        let opening =
            format!("Microsoft.Dynamics.CRM.In(PropertyName=%27{name}%27,PropertyValues=%5B");
        Self::new(opening, ",", "%5D)")
    }

    fn chain() -> Self {
        Self::new(String::new(), "%20or%20", "")
    }

    fn new(opening: String, separator: &'static str, closing: &'static str) -> Self {
        Self {
            opening,
            separator,
            closing,
            conditions: 0,
            current: String::new(),
            done: Vec::new(),
        }
    }

    fn add(&mut self, item: &str, conditions: usize) {
        let is_full = self.conditions + conditions > MOST_CONDITIONS
            || self.current.len() + item.len() > LONGEST_FILTER;
        if is_full {
            self.close();
        }
        self.current.push_str(if self.conditions == 0 {
            &self.opening
        } else {
            self.separator
        });
        self.current.push_str(item);
        self.conditions += conditions;
    }

    fn close(&mut self) {
        if self.conditions > 0 {
            self.current.push_str(self.closing);
            self.done.push(std::mem::take(&mut self.current));
            self.conditions = 0;
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::super::loopback::{
        Asked, Loopback, TEXT, batch, contacts, id, json, response, text,
    };
    use super::*;
    use crate::model::{ColumnKind, Limit};

    fn by_extid() -> Target {
        contacts(&[("new_extid", TEXT)])
    }

    fn texts(keys: &[&str]) -> Find {
        Find::ByKey(keys.iter().map(|key| vec![text(key)]).collect())
    }

    fn decoded(filters: &[String]) -> Vec<String> {
        filters
            .iter()
            .map(|filter| {
                percent_decode_str(filter)
                    .decode_utf8()
                    .unwrap()
                    .into_owned()
            })
            .collect()
    }

    fn queries(asked: &Asked) -> Vec<&str> {
        asked
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1"))
            .collect()
    }

    #[test]
    fn single_texts_are_asked_for_in_a_list() {
        assert_eq!(
            decoded(&filters(&by_extid(), &texts(&["a/b", "O'Brian", "x&y+z"]))),
            [
                r#"Microsoft.Dynamics.CRM.In(PropertyName='new_extid',PropertyValues=["a/b","O'Brian","x&y+z"])"#
            ]
        );
    }

    #[test]
    fn a_text_that_a_list_cannot_hold_is_compared() {
        assert_eq!(
            decoded(&filters(
                &by_extid(),
                &texts(&["a", "say \"x\"", "b\\c", "d\ne'f"])
            )),
            [
                r#"Microsoft.Dynamics.CRM.In(PropertyName='new_extid',PropertyValues=["a"])"#,
                "new_extid eq 'say \"x\"' or new_extid eq 'b\\c' or new_extid eq 'd\ne''f'",
            ]
        );
    }

    #[test]
    fn other_keys_are_compared_part_by_part() {
        let target = contacts(&[("new_no", ColumnKind::BigInt), ("new_plan", TEXT)]);
        let keys = vec![
            vec![Value::Integer(1), text("a/b")],
            vec![Value::Integer(2), Value::Null],
            vec![Value::Integer(3), text("c")],
        ];
        assert_eq!(
            decoded(&filters(&target, &Find::ByKey(keys))),
            ["(new_no eq 1 and new_plan eq 'a/b') or (new_no eq 3 and new_plan eq 'c')"]
        );
        assert_eq!(
            decoded(&filters(&target, &Find::ById(vec![id(1), id(2)]))),
            [
                "contactid eq 00000000-0000-0000-0000-000000000001 or contactid eq 00000000-0000-0000-0000-000000000002"
            ]
        );
        let target = contacts(&[(
            "parentcustomerid",
            ColumnKind::Lookup {
                targets: Vec::new(),
            },
        )]);
        let key = Find::ByKey(vec![vec![Value::Guid(id(1).0)]]);
        assert_eq!(
            decoded(&filters(&target, &key)),
            ["_parentcustomerid_value eq 00000000-0000-0000-0000-000000000001"]
        );
    }

    #[test]
    fn nothing_is_asked_for_nothing() {
        assert!(filters(&by_extid(), &texts(&[])).is_empty());
        assert!(filters(&by_extid(), &Find::ByKey(vec![vec![Value::Null], vec![]])).is_empty());
    }

    #[test]
    fn no_filter_is_too_long() {
        let long = "é/".repeat(200);
        let keys: Vec<&str> = std::iter::repeat_n(long.as_str(), 1_000).collect();
        let filters = filters(&by_extid(), &texts(&keys));
        assert!(filters.len() > 1);
        let all: usize = filters
            .iter()
            .map(|filter| filter.matches("%22,%22").count() + 1)
            .sum();
        assert_eq!(all, 1_000);
        assert!(filters.iter().all(|filter| filter.len() < 30_000));
        let ids: Vec<RecordId> = (0..1_000).map(id).collect();
        let filters = super::filters(&by_extid(), &Find::ById(ids));
        assert_eq!(filters.len(), 4);
        assert!(filters.iter().all(|filter| filter.len() < 30_000));
    }

    #[tokio::test]
    async fn a_token_that_lapses_within_a_search_is_replaced_once() {
        const NOBODY: (&str, &str, &str) = ("200 OK", "", r#"{"value":[]}"#);
        const EXPIRED: (&str, &str, &str) = (
            "401 Unauthorized",
            "",
            r#"{"error":{"code":"0x8005f101","message":"x"}}"#,
        );
        let server = Loopback::environment(|_, number| match number {
            1 => batch(&[NOBODY, NOBODY]),
            _ => batch(&[NOBODY, EXPIRED]),
        })
        .await;
        let http = server.http();
        let keys = texts(&["a", "say \"x\""]);
        assert_eq!(find(&http, &by_extid(), &keys).await.unwrap(), []);
        let again = &server.asked_of_environment()[1];
        assert_eq!(again.header("authorization"), Some("Bearer token-2"));
        let failure = find(&http, &by_extid(), &keys).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Credential);
        assert_eq!(server.asked_of_environment().len(), 4);
    }

    #[tokio::test]
    async fn every_page_of_every_filter_is_read() {
        const FIRST: &str = r#"{"@odata.context":"x","value":[{"@odata.etag":"W/\"1\"","contactid":"00000000-0000-0000-0000-000000000001","new_extid":"A/B"}],"@odata.nextLink":"https://elsewhere.example/api/data/v9.2/contacts?$skiptoken=%3Ccookie%20pagenumber=%222%22%3E"}"#;
        const NEXT: &str = r#"{"value":[{"contactid":"00000000-0000-0000-0000-000000000002","new_extid":"c \"d\""}]}"#;
        const OTHER: &str =
            r#"{"value":[{"contactid":"00000000-0000-0000-0000-000000000003","new_extid":null}]}"#;
        let server = Loopback::environment(|asked, _| {
            if asked.line.starts_with("GET") {
                json("200 OK", NEXT)
            } else {
                batch(&[("200 OK", "", FIRST), ("200 OK", "", OTHER)])
            }
        })
        .await;
        let http = server.http();
        let found = find(&http, &by_extid(), &texts(&["a/b", "c \"d\""]))
            .await
            .unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|found| (found.id, found.key))
            .collect();
        assert_eq!(
            found,
            [
                (id(1), vec![text("A/B")]),
                (id(3), vec![Value::Null]),
                (id(2), vec![text("c \"d\"")]),
            ]
        );
        let asked = server.asked_of_environment();
        assert_eq!(asked.len(), 2);
        assert_eq!(
            asked[1].line,
            "GET /api/data/v9.2/contacts?$skiptoken=%3Ccookie%20pagenumber=%222%22%3E HTTP/1.1"
        );
        let queries = queries(&asked[0]);
        assert_eq!(queries.len(), 2);
        assert!(
            queries[0].starts_with("/api/data/v9.2/contacts?$select=contactid,new_extid&$filter=")
        );
        assert_eq!(http.requests().reads, 2);
        assert_eq!(http.requests().writes, 0);
    }

    #[tokio::test]
    async fn a_query_that_is_refused_is_the_failure_of_the_whole() {
        let throttled = ("429 Too Many Requests", "Retry-After: 5\r\n", "");
        let unknown = (
            "400 Bad Request",
            "",
            r#"{"error":{"code":"0x0","message":"Could not find a property named 'new_extid' on type 'x'."}}"#,
        );
        let other = (
            "400 Bad Request",
            "",
            r#"{"error":{"code":"0x1","message":"?"}}"#,
        );
        for (part, cause) in [
            (
                throttled,
                Cause::Throttled {
                    retry_after: Some(std::time::Duration::from_secs(5)),
                    limit: Limit::Window,
                },
            ),
            (unknown, Cause::Contract),
            (other, Cause::Row(crate::dataverse::words::refused(None))),
        ] {
            let server = Loopback::environment(move |_, _| batch(&[part])).await;
            let failure = find(&server.http(), &by_extid(), &texts(&["a"]))
                .await
                .unwrap_err();
            assert_eq!((failure.fate, failure.cause), (Fate::Refused, cause));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_whole_finds_nothing() {
        let no_rows = r#"{"value":[{"new_extid":"a"}]}"#;
        let no_text =
            r#"{"value":[{"contactid":"00000000-0000-0000-0000-000000000001","new_extid":7}]}"#;
        let lost = (Fate::Lost, Cause::Transient);
        let misfit = (Fate::Refused, Cause::Contract);
        for (answer, expected) in [
            (response("200 OK", "", "<html>"), lost.clone()),
            (batch(&[]), lost),
            (batch(&[("200 OK", "", "{}")]), misfit.clone()),
            (batch(&[("200 OK", "", no_rows)]), misfit.clone()),
            (batch(&[("200 OK", "", no_text)]), misfit),
        ] {
            let server = Loopback::environment(move |_, _| answer.clone()).await;
            let failure = find(&server.http(), &by_extid(), &texts(&["a"]))
                .await
                .unwrap_err();
            assert_eq!((failure.fate, failure.cause), expected);
        }
    }
}
