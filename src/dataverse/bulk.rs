//! Bulk messages: many records of one table in one message, all written or none; elastic tables answer row by row.
//!
//! Source: Microsoft Learn, "Use bulk operation messages", "Bulk operations with elastic tables".

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::address::BASE;
use super::body::{Object, Unwritable};
use super::form::Form;
use super::http::{Answer, Http, Request};
use super::reply::{lost, refused, repeat};
use super::{DataverseError, metadata};
use crate::model::{
    Accepted, Action, Cause, Effect, Failure, Fate, LogicalName, Operation, Reply, RowFailure,
    Target,
};

/// What is asked of a table in bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Create,
    Update,
}

impl Message {
    /// The one that carries such an operation.
    pub(super) fn of(action: Action) -> Option<Self> {
        match action {
            Action::Create(_) => Some(Self::Create),
            Action::Update(_) => Some(Self::Update),
            Action::Upsert | Action::UpdateByKey | Action::Delete(_) => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateMultiple",
            Self::Update => "UpdateMultiple",
        }
    }
}

/// A bulk message that is being written.
pub(super) struct BulkBody {
    message: Message,
    bytes: Vec<u8>,
    rows: usize,
}

impl BulkBody {
    pub(super) fn new(message: Message) -> Self {
        Self {
            message,
            bytes: br#"{"Targets":["#.to_vec(),
            rows: 0,
        }
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// If a value cannot be written or the message is for something else; it is as before.
    pub(super) fn operation(
        &mut self,
        operation: &Operation,
        form: &Form,
    ) -> Result<(), Unwritable> {
        let length = self.bytes.len();
        if self.rows > 0 {
            self.bytes.push(b',');
        }
        let written = self.target(operation, form);
        match written {
            Ok(()) => self.rows += 1,
            Err(_) => self.bytes.truncate(length),
        }
        written
    }

    fn target(&mut self, operation: &Operation, form: &Form) -> Result<(), Unwritable> {
        let mut object = Object::new(&mut self.bytes);
        form.write_kind(&mut object);
        match (self.message, operation.action) {
            (Message::Create, Action::Create(id)) => form.write_new(operation, id, &mut object)?,
            (Message::Update, Action::Update(id)) => {
                form.write_id(id, &mut object)?;
                form.write_changes(operation, &mut object)?;
            }
            _ => return Err(Unwritable("the message is not for such an operation")),
        }
        object.end();
        Ok(())
    }

    /// The request that carries the message.
    pub(super) fn finish(mut self, target: &Target) -> Request {
        self.bytes.extend_from_slice(b"]}");
        let (set, name) = (target.entity_set.as_str(), self.message.name());
        Request::Message {
            path: format!("{BASE}/{set}/Microsoft.Dynamics.CRM.{name}"),
            body: Bytes::from(self.bytes),
        }
    }
}

/// One reply per operation that was sent.
pub(super) fn replies(answer: &Answer, message: Message, sent: &[&Operation]) -> Vec<Reply> {
    if !answer.is_success() {
        return partly(answer, sent).unwrap_or_else(|| repeat(&refused(answer), sent.len()));
    }
    let whole = match message {
        Message::Create => ids(answer) == Some(sent.len()),
        Message::Update => answer.status == 204,
    };
    if !whole {
        let why = answer.cut.as_deref();
        let why = why.unwrap_or("the answer is not one to a bulk message of so many records");
        return repeat(&lost(answer, why), sent.len());
    }
    sent.iter().map(|operation| done(operation)).collect()
}

/// How many records a `CreateMultiple` has created.
fn ids(answer: &Answer) -> Option<usize> {
    #[derive(Deserialize)]
    struct Created {
        #[serde(rename = "Ids")]
        ids: Vec<IgnoredAny>,
    }
    let created: Created = serde_json::from_slice(&answer.body).ok()?;
    Some(created.ids.len())
}

fn done(operation: &Operation) -> Reply {
    let (effect, id) = match operation.action {
        Action::Create(id) => (Effect::Created, Some(id)),
        Action::Update(id) | Action::Delete(id) => (Effect::Updated, Some(id)),
        Action::Upsert | Action::UpdateByKey => (Effect::Upserted, None),
    };
    Reply::Accepted(Accepted {
        effect,
        id,
        made: None,
    })
}

/// Elastic tables write what can be written and list the rest, without the reason of each: those are refused, so that
/// they are sent once more and tell it. `None` if the answer lists none of the records.
///
/// An elastic table has done the others, any other table has done nothing, and the answer does not tell which it is of:
/// they are lost, and done once more if they were done.
fn partly(answer: &Answer, sent: &[&Operation]) -> Option<Vec<Reply>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        error: ErrorBody<'a>,
    }
    #[derive(Deserialize)]
    struct ErrorBody<'a> {
        #[serde(
            borrow,
            rename = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails"
        )]
        details: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Failed {
        request_index: usize,
    }
    let body: Body<'_> = serde_json::from_slice(&answer.body).ok()?;
    let failed: Vec<Failed> = serde_json::from_str(&body.error.details).ok()?;
    let failed: HashSet<usize> = failed.into_iter().map(|it| it.request_index).collect();
    if !failed.iter().any(|index| *index < sent.len()) {
        return None;
    }
    let refusal = Failure {
        fate: Fate::Refused,
        cause: Cause::Row(RowFailure::Other {
            word: "bulk_refused",
            advice: "Send the row again: the answer to a bulk message does not tell its reason.",
        }),
        error: answer.said().error,
    };
    let other = lost(answer, "the answer names other records of the message");
    let reply = |index| {
        let failure = if failed.contains(&index) {
            &refusal
        } else {
            &other
        };
        Reply::Failed(failure.clone())
    };
    Some((0..sent.len()).map(reply).collect())
}

/// Whether a table takes records in bulk, new ones as well as changes.
///
/// Source: Microsoft Learn, "Use bulk operation messages", "Message availability".
pub(super) async fn takes_bulk(http: &Http, table: &LogicalName) -> Result<bool, DataverseError> {
    #[derive(Deserialize)]
    struct Page {
        value: Vec<IgnoredAny>,
    }
    for message in [Message::Create, Message::Update] {
        let name = message.name();
        let path = format!(
            "{BASE}/sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name%20eq%20'{name}'\
             %20and%20primaryobjecttypecode%20eq%20'{table}'"
        );
        let answer = http
            .read_patiently(&Request::Get { path, prefer: None })
            .await?;
        let page: Page = metadata::parse(&answer, "the list of bulk messages")?;
        if page.value.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::TableWriter;
    use super::super::loopback::{Loopback, TEXT, contacts, id, json, operation, response, text};
    use super::*;
    use crate::model::{Batch, Destination, Envelope, Value};

    const IDS: &str = r#"{"@odata.context":"x","Ids":["00000000-0000-0000-0000-00000000000d","00000000-0000-0000-0000-00000000000d"]}"#;

    fn two(action: Action) -> Batch {
        let one = |key| operation(action, vec![text(key), text("Lee"), Value::Null]);
        Batch {
            operations: vec![one("1"), one("2")],
            envelope: Envelope::Bulk,
        }
    }

    async fn send(server: &Loopback, batch: &Batch) -> Vec<Reply> {
        let target = Arc::new(contacts(&[("new_extid", TEXT)]));
        TableWriter::new(server.http(), target).send(batch).await
    }

    fn causes(replies: &[Reply]) -> Vec<Option<(Fate, &Cause)>> {
        replies.iter().map(cause).collect()
    }

    fn cause(reply: &Reply) -> Option<(Fate, &Cause)> {
        match reply {
            Reply::Failed(failure) => Some((failure.fate, &failure.cause)),
            Reply::Accepted(_) => None,
        }
    }

    #[tokio::test]
    async fn a_bulk_create_is_written_byte_by_byte() {
        let server = Loopback::environment(|_, _| json("200 OK", IDS)).await;
        let replies = send(&server, &two(Action::Create(id(0xD)))).await;
        let created = Accepted {
            effect: Effect::Created,
            id: Some(id(0xD)),
            made: None,
        };
        assert_eq!(replies, vec![Reply::Accepted(created); 2]);
        let asked = &server.asked_of_environment()[0];
        assert_eq!(
            asked.line,
            "POST /api/data/v9.2/contacts/Microsoft.Dynamics.CRM.CreateMultiple HTTP/1.1"
        );
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!(
            asked.body,
            concat!(
                r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.contact","contactid":"00000000-0000-0000-0000-00000000000d","new_extid":"1","lastname":"Lee","firstname":null},"#,
                r#"{"@odata.type":"Microsoft.Dynamics.CRM.contact","contactid":"00000000-0000-0000-0000-00000000000d","new_extid":"2","lastname":"Lee","firstname":null}]}"#
            )
        );
    }

    #[tokio::test]
    async fn a_bulk_update_names_records_and_what_changes() {
        let server = Loopback::environment(|_, _| response("204 No Content", "", "")).await;
        let replies = send(&server, &two(Action::Update(id(0xA)))).await;
        assert_eq!(causes(&replies), [None, None]);
        let asked = &server.asked_of_environment()[0];
        assert!(asked.line.ends_with("CRM.UpdateMultiple HTTP/1.1"));
        let row = r#"{"@odata.type":"Microsoft.Dynamics.CRM.contact","contactid":"00000000-0000-0000-0000-00000000000a","lastname":"Lee","firstname":null}"#;
        assert_eq!(asked.body, format!(r#"{{"Targets":[{row},{row}]}}"#));
    }

    #[tokio::test]
    async fn a_message_whose_token_is_rejected_is_made_anew() {
        let server = Loopback::environment(|_, number| match number {
            0 => response("401 Unauthorized", "", ""),
            _ => response("204 No Content", "", ""),
        })
        .await;
        let replies = send(&server, &two(Action::Update(id(0xA)))).await;
        assert_eq!(causes(&replies), [None, None]);
        let [first, again] = &server.asked_of_environment()[..] else {
            panic!("not two requests");
        };
        assert!(first.body.ends_with("]}"));
        assert_eq!((&first.line, &first.body), (&again.line, &again.body));
    }

    #[tokio::test]
    async fn a_value_that_cannot_be_written_leaves_no_trace() {
        let server = Loopback::environment(|_, _| response("204 No Content", "", "")).await;
        let mut batch = two(Action::Update(id(0xA)));
        let values = vec![text("0"), Value::Float(f64::NAN), Value::Null];
        let bad = operation(Action::Update(id(0xA)), values);
        batch.operations.insert(0, bad.clone());
        batch.operations.push(bad);
        let replies = send(&server, &batch).await;
        let good: Vec<bool> = causes(&replies).iter().map(Option::is_none).collect();
        assert_eq!(good, [false, true, true, false]);
        let body = &server.asked_of_environment()[0].body;
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[tokio::test]
    async fn a_refused_message_refuses_all_of_its_records() {
        let body = r#"{"error":{"code":"0x80040265","message":"Shop 7 is refused"}}"#;
        let server = Loopback::environment(move |_, _| json("400 Bad Request", body)).await;
        let replies = send(&server, &two(Action::Create(id(0xD)))).await;
        for cause in causes(&replies) {
            assert!(matches!(cause, Some((Fate::Refused, Cause::Row(_)))));
        }
    }

    #[tokio::test]
    async fn an_answer_to_fewer_records_proves_nothing() {
        let server = Loopback::environment(|_, _| json("200 OK", r#"{"Ids":["x"]}"#)).await;
        let replies = send(&server, &two(Action::Create(id(0xD)))).await;
        let lost = Some((Fate::Lost, &Cause::Transient));
        assert_eq!(causes(&replies), [lost, lost]);
    }

    /// What an answer says that lists those records as failed.
    async fn failed(list: &str) -> Vec<Reply> {
        let list = serde_json::Value::from(list);
        let body = format!(
            r#"{{"error":{{"code":"0x80040265","message":"m","@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails":{list}}}}}"#
        );
        let server = Loopback::environment(move |_, _| json("400 Bad Request", &body)).await;
        send(&server, &two(Action::Create(id(0xD)))).await
    }

    #[tokio::test]
    async fn a_record_that_is_named_is_told_from_those_that_may_be_done() {
        let replies = failed(r#"[{"RequestIndex":1,"Id":"x","StatusCode":400}]"#).await;
        let causes = causes(&replies);
        assert_eq!(causes[0], Some((Fate::Lost, &Cause::Transient)));
        assert!(matches!(causes[1], Some((Fate::Refused, Cause::Row(_)))));
    }

    #[tokio::test]
    async fn a_refusal_that_names_no_record_of_the_message_is_of_all_of_them() {
        for list in ["[]", r#"[{"RequestIndex":2}]"#, "", "null", "[7]"] {
            let replies = failed(list).await;
            let refused =
                |it: &Option<(Fate, &Cause)>| matches!(it, Some((Fate::Refused, Cause::Row(_))));
            assert!(causes(&replies).iter().all(refused), "{list}");
        }
    }

    #[tokio::test]
    async fn a_table_takes_bulk_messages_if_it_takes_both() {
        let server = Loopback::environment(|asked, _| {
            let create = asked.line.contains("CreateMultiple");
            json(
                "200 OK",
                if create {
                    r#"{"value":[{}]}"#
                } else {
                    r#"{"value":[]}"#
                },
            )
        })
        .await;
        let table = contacts(&[("new_extid", TEXT)]).table;
        assert!(!takes_bulk(&server.http(), &table).await.unwrap());
        assert_eq!(server.asked_of_environment().len(), 2);
    }
}
