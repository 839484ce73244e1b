//! Reads the answer to a batch of operations: one reply each, in their order.

use super::http::Answer;
use super::multipart::Part;
use super::representation::Representations;
use super::said::{Addressed, Said};
use super::words;
use crate::model::{
    Accepted, Action, Cause, Effect, Failure, Fate, Operation, Reply, ServiceError, Target,
};

/// One reply per operation that was sent.
///
/// A part per operation is what the service promises. Fewer parts leave the later operations lost: they may have
/// been done, and doing them again is harmless; unless the batch says that it ended with the operation that failed. More
/// parts than operations belong to none of them for sure.
///
/// Source: Microsoft Learn, "Execute batch operations using the Web API", "Handle errors".
pub(super) fn replies(answer: &Answer, sent: &[&Operation], target: &Target) -> Vec<Reply> {
    let Some(parts) = answer.parts() else {
        return repeat(&refused(answer), sent.len());
    };
    if parts.len() > sent.len() {
        let failure = lost(
            answer,
            "the answer has more parts than the batch has operations",
        );
        return repeat(&failure, sent.len());
    }
    let why = answer
        .cut
        .as_deref()
        .unwrap_or("the answer ended before this operation's part");
    let mut records = Representations::new(target.primary_id.as_str());
    let mut replies = Vec::with_capacity(sent.len());
    for (operation, part) in sent.iter().zip(&parts) {
        replies.push(match part {
            Some(part) if part.is_success() => {
                Reply::Accepted(accepted(part, operation, &mut records))
            }
            Some(part) => refused_alone(answer.said_by(part), operation, target),
            None => Reply::Failed(lost(answer, "the answer's part cannot be read")),
        });
    }
    if replies.len() < sent.len() {
        let rest = not_run(answer, replies.last()).unwrap_or_else(|| lost(answer, why));
        replies.resize(sent.len(), Reply::Failed(rest));
    }
    replies
}

/// What became of the operations after the one at which a batch ended, though it was asked to go on: its status is that
/// of the operation then. `None` if it did not end so.
fn not_run(answer: &Answer, last: Option<&Reply>) -> Option<Failure> {
    if answer.is_success() || answer.cut.is_some() {
        return None;
    }
    let Some(Reply::Failed(failure)) = last else {
        return None;
    };
    let cause = match &failure.cause {
        Cause::Throttled { .. } => failure.cause.clone(),
        // The row in the way is known. Without it, and in halves, since there may be others, the rest is sent at once.
        Cause::Transient | Cause::TooLarge | Cause::Row(_) | Cause::Contract => {
            Cause::Row(words::refused(None))
        }
        Cause::Credential => return None,
    };
    let mut error = failure.error.clone();
    error.message = format!("the batch ended at another row: {}", error.message);
    Some(Failure {
        fate: Fate::Refused,
        cause,
        error,
    })
}

pub(super) fn repeat(failure: &Failure, count: usize) -> Vec<Reply> {
    vec![Reply::Failed(failure.clone()); count]
}

/// The answer is about the request as a whole.
pub(super) fn refused(answer: &Answer) -> Failure {
    if answer.is_success() {
        let why = answer.cut.as_deref();
        return lost(answer, why.unwrap_or("the answer is not one to a batch"));
    }
    let said = answer.said();
    let cause = said.cause_of_whole();
    // Behind a gateway that gave up, or after a fault of the server, the work may have been done all the same.
    // 503 is said at the door.
    let may_be_done =
        cause == Cause::Transient && matches!(answer.status, 408 | 500..) && answer.status != 503;
    Failure {
        fate: if may_be_done {
            Fate::Lost
        } else {
            Fate::Refused
        },
        cause,
        error: said.error,
    }
}

pub(super) fn lost(answer: &Answer, why: &str) -> Failure {
    Failure {
        fate: Fate::Lost,
        cause: Cause::Transient,
        error: ServiceError {
            status: answer.status,
            code: String::new(),
            message: why.to_owned(),
        },
    }
}

fn refused_alone(said: Said, operation: &Operation, target: &Target) -> Reply {
    let id = match operation.action {
        // An earlier delete may have worked and its answer was lost; the record is gone either way.
        Action::Delete(id) if said.says_not_found() => {
            return Reply::Accepted(Accepted {
                effect: Effect::Deleted,
                id: Some(id),
                made: None,
            });
        }
        Action::Create(id) | Action::Update(id) | Action::Delete(id) => Some(id),
        Action::Upsert | Action::UpdateByKey if target.key_is_primary_id => {
            operation.record.primary_id(target)
        }
        Action::Upsert | Action::UpdateByKey => None,
    };
    let about = Addressed {
        table: &target.table,
        id,
    };
    Reply::Failed(Failure {
        fate: Fate::Answered,
        cause: said.cause(Some(about)),
        error: said.error,
    })
}

fn accepted(part: &Part<'_>, operation: &Operation, records: &mut Representations<'_>) -> Accepted {
    let (id, made) = match operation.action {
        Action::Create(id) | Action::Update(id) | Action::Delete(id) => (Some(id), None),
        Action::Upsert | Action::UpdateByKey => records.read(part.body),
    };
    let effect = match operation.action {
        Action::Upsert if part.status == 201 => Effect::Created,
        Action::Upsert if part.status == 200 => Effect::Updated,
        Action::Upsert => Effect::Upserted,
        Action::UpdateByKey | Action::Update(_) => Effect::Updated,
        Action::Create(_) => Effect::Created,
        Action::Delete(_) => Effect::Deleted,
    };
    Accepted { effect, id, made }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

    use super::super::loopback::{TEXT, batch_body, contacts, id, operation, text};
    use super::super::token::Token;
    use super::*;
    use crate::model::{Limit, Made, RowFailure, Value};

    fn answer(status: u16, content_type: &'static str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Answer {
            status,
            headers,
            body: Bytes::from(body.to_owned()),
            cut: None,
            token: Token::for_test(),
        }
    }

    fn target() -> Target {
        contacts(&[("new_extid", TEXT)])
    }

    fn ask(action: Action) -> Operation {
        operation(action, vec![text("1"), text("Lee"), Value::Null])
    }

    fn read(answer: &Answer, actions: &[Action]) -> Vec<Reply> {
        let operations: Vec<Operation> = actions.iter().copied().map(ask).collect();
        let operations: Vec<&Operation> = operations.iter().collect();
        let replies = replies(answer, &operations, &target());
        assert_eq!(replies.len(), actions.len());
        replies
    }

    const MULTIPART: &str = "multipart/mixed; boundary=batchresponse_1";

    fn of_parts(parts: &[(&str, &str, &str)], actions: &[Action]) -> Vec<Reply> {
        read(&answer(200, MULTIPART, &batch_body(parts)), actions)
    }

    fn effect(reply: &Reply) -> Effect {
        match reply {
            Reply::Accepted(accepted) => accepted.effect,
            Reply::Failed(failure) => panic!("{failure:?}"),
        }
    }

    fn failure(reply: &Reply) -> &Failure {
        match reply {
            Reply::Failed(failure) => failure,
            Reply::Accepted(accepted) => panic!("{accepted:?}"),
        }
    }

    #[test]
    fn an_upsert_tells_created_from_updated_and_names_the_record() {
        let body = r#"{"@odata.context":"x","@odata.etag":"W/\"71004878\"","contactid":"0000000a-0000-0000-0000-000000000000","createdon":"2026-11-21T03:00:00Z","_createdby_value":"00000000-0000-0000-0000-00000000000b"}"#;
        let replies = of_parts(
            &[
                ("201 Created", "Content-Type: application/json\r\n", body),
                (
                    "200 OK",
                    "",
                    r#"{"contactid":"00000000-0000-0000-0000-00000000000c"}"#,
                ),
                (
                    "204 No Content",
                    "OData-EntityId: https://o/contacts(new_extid='1')\r\n",
                    "",
                ),
                ("200 OK", "", body),
            ],
            &[
                Action::Upsert,
                Action::Upsert,
                Action::Upsert,
                Action::UpdateByKey,
            ],
        );
        let created = Accepted {
            effect: Effect::Created,
            id: Some(id(0xA << 96)),
            made: Some(Made {
                on: "2026-11-21T03:00:00Z".parse().unwrap(),
                by: id(0xB),
            }),
        };
        assert_eq!(replies[0], Reply::Accepted(created.clone()));
        let updated = Accepted {
            effect: Effect::Updated,
            id: Some(id(0xC)),
            made: None,
        };
        assert_eq!(replies[1], Reply::Accepted(updated));
        let unknown = Accepted {
            effect: Effect::Upserted,
            id: None,
            made: None,
        };
        assert_eq!(replies[2], Reply::Accepted(unknown));
        assert_eq!(
            replies[3],
            Reply::Accepted(Accepted {
                effect: Effect::Updated,
                ..created
            })
        );
    }

    #[test]
    fn a_record_of_which_little_is_told_is_named_all_the_same() {
        let body = r#"{"ttl":[1,{"a":null}],"contactid":"0000000a-0000-0000-0000-000000000000","createdon":"2026-11-21T03:00:00Z","_createdby_value":null}"#;
        let unreadable = r#"{"contactid":"0000000a","createdon":7}"#;
        let parts = [("200 OK", "", body), ("200 OK", "", unreadable)];
        let replies = of_parts(&parts, &[Action::Upsert; 2]);
        let updated = |id| {
            Reply::Accepted(Accepted {
                effect: Effect::Updated,
                id,
                made: None,
            })
        };
        assert_eq!(replies, [updated(Some(id(0xA << 96))), updated(None)]);
    }

    #[test]
    fn other_operations_can_do_one_thing_only() {
        let actions = [
            Action::Create(id(0xD)),
            Action::Update(id(1)),
            Action::Delete(id(2)),
        ];
        let replies = of_parts(&[("204 No Content", "", ""); 3], &actions);
        let accepted = |effect, id| {
            Reply::Accepted(Accepted {
                effect,
                id: Some(id),
                made: None,
            })
        };
        assert_eq!(replies[0], accepted(Effect::Created, id(0xD)));
        assert_eq!(replies[1], accepted(Effect::Updated, id(1)));
        assert_eq!(replies[2], accepted(Effect::Deleted, id(2)));
    }

    #[test]
    fn a_record_that_is_gone_already_counts_as_deleted() {
        let gone = r#"{"error":{"code":"0x80040217","message":"contact With Id = 00000000-0000-0000-0000-000000000002 Does Not Exist"}}"#;
        let segment = r#"{"error":{"code":"0x8006088a","message":"Resource not found for the segment 'contacts'."}}"#;
        let replies = of_parts(
            &[
                ("404 Not Found", "", gone),
                ("404 Not Found", "", segment),
                ("404 Not Found", "", gone),
            ],
            &[
                Action::Delete(id(2)),
                Action::Delete(id(2)),
                Action::Update(id(2)),
            ],
        );
        assert_eq!(effect(&replies[0]), Effect::Deleted);
        assert_eq!(failure(&replies[1]).cause, Cause::Contract);
        assert_eq!(failure(&replies[2]).cause, Cause::Row(RowFailure::NotFound));
    }

    #[test]
    fn a_missing_lookup_target_is_not_the_record() {
        let other = r#"{"error":{"code":"0x80040217","message":"account With Id = 00000000-0000-0000-0000-000000000009 Does Not Exist"}}"#;
        let replies = of_parts(&[("404 Not Found", "", other)], &[Action::Update(id(2))]);
        let failure = failure(&replies[0]);
        assert_eq!(failure.fate, Fate::Answered);
        assert!(matches!(
            failure.cause,
            Cause::Row(RowFailure::Other { .. })
        ));
        assert_eq!(failure.error.code, "0x80040217");
    }

    #[test]
    fn each_part_fails_for_itself() {
        let long = r#"{"error":{"code":"0x80044331","message":"A validation error occurred."}}"#;
        let replies = of_parts(
            &[
                ("204 No Content", "", ""),
                ("400 Bad Request", "REQ_ID: 5ecd1cb3\r\n", long),
                ("429 Too Many Requests", "Retry-After: 9\r\n", ""),
                ("500 Internal Server Error", "", ""),
            ],
            &[Action::Upsert; 4],
        );
        assert_eq!(effect(&replies[0]), Effect::Upserted);
        assert!(matches!(
            failure(&replies[1]).cause,
            Cause::Row(RowFailure::Other { .. })
        ));
        assert_eq!(
            failure(&replies[2]).cause,
            Cause::Throttled {
                retry_after: Some(std::time::Duration::from_secs(9)),
                limit: Limit::Window
            }
        );
        assert_eq!(failure(&replies[3]).cause, Cause::Transient);
        assert!(
            replies[1..]
                .iter()
                .all(|reply| failure(reply).fate == Fate::Answered)
        );
    }

    #[test]
    fn operations_after_the_last_part_are_lost() {
        let error = r#"{"error":{"code":"0x80044331","message":"too long"}}"#;
        let body = batch_body(&[("204 No Content", "", ""), ("400 Bad Request", "", error)]);
        let replies = read(&answer(200, MULTIPART, &body), &[Action::Upsert; 4]);
        assert_eq!(effect(&replies[0]), Effect::Upserted);
        assert_eq!(failure(&replies[1]).fate, Fate::Answered);
        for reply in &replies[2..] {
            assert_eq!(failure(reply).fate, Fate::Lost);
            assert_eq!(failure(reply).cause, Cause::Transient);
        }
    }

    #[test]
    fn operations_after_the_one_at_which_the_batch_ended_were_not_run() {
        let row = Cause::Row(words::refused(None));
        for (number, status, head, rest) in [
            (400, "400 Bad Request", "", Some(row.clone())),
            (500, "500 Internal Server Error", "", Some(row)),
            (429, "429 Too Many Requests", "Retry-After: 9\r\n", None),
        ] {
            let body = batch_body(&[("204 No Content", "", ""), (status, head, "")]);
            let replies = read(&answer(number, MULTIPART, &body), &[Action::Upsert; 4]);
            assert_eq!(effect(&replies[0]), Effect::Upserted);
            let last = failure(&replies[1]);
            assert_eq!(last.fate, Fate::Answered);
            for reply in &replies[2..] {
                let cause = rest.as_ref().unwrap_or(&last.cause);
                assert_eq!(failure(reply).fate, Fate::Refused, "{status}");
                assert_eq!(&failure(reply).cause, cause, "{status}");
            }
        }
    }

    #[test]
    fn of_a_cut_answer_the_parts_that_came_count() {
        let body = batch_body(&[("204 No Content", "", ""); 3]);
        let mut answer = answer(200, MULTIPART, &body);
        answer.body.truncate(body.len() - 20);
        answer.cut = Some("connection reset".to_owned());
        let replies = read(&answer, &[Action::Upsert; 3]);
        assert_eq!(effect(&replies[1]), Effect::Upserted);
        assert_eq!(failure(&replies[2]).error.message, "connection reset");
        assert_eq!(failure(&replies[2]).fate, Fate::Lost);
    }

    #[test]
    fn parts_beyond_the_operations_belong_to_none() {
        let replies = of_parts(&[("204 No Content", "", ""); 3], &[Action::Upsert; 2]);
        assert!(
            replies
                .iter()
                .all(|reply| failure(reply).fate == Fate::Lost)
        );
    }

    #[test]
    fn a_part_that_cannot_be_read_is_lost_alone() {
        let body = "--batchresponse_1\r\nContent-Type: application/http\r\n\r\noops\r\n--batchresponse_1\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--batchresponse_1--";
        let replies = read(&answer(200, MULTIPART, body), &[Action::Upsert; 2]);
        assert_eq!(failure(&replies[0]).fate, Fate::Lost);
        assert_eq!(effect(&replies[1]), Effect::Upserted);
    }

    #[test]
    fn an_answer_as_a_whole_is_for_all() {
        let throttled =
            r#"{"error":{"code":"0x80072322","message":"Number of requests exceeded"}}"#;
        let mut answer_429 = answer(429, "application/json", throttled);
        answer_429.headers.insert(
            HeaderName::from_static("retry-after"),
            HeaderValue::from_static("37"),
        );
        for reply in &read(&answer_429, &[Action::Upsert; 2]) {
            assert_eq!(failure(reply).fate, Fate::Refused);
            assert_eq!(
                failure(reply).cause,
                Cause::Throttled {
                    retry_after: Some(std::time::Duration::from_secs(37)),
                    limit: Limit::Window
                }
            );
            assert_eq!(failure(reply).error.code, "0x80072322");
        }
        for (status, fate, cause) in [
            (413, Fate::Refused, Cause::TooLarge),
            (401, Fate::Refused, Cause::Credential),
            // Somebody else answers: one day nobody does.
            (403, Fate::Refused, Cause::Transient),
            (404, Fate::Refused, Cause::Transient),
            (405, Fate::Refused, Cause::Transient),
            (302, Fate::Refused, Cause::Transient),
            (408, Fate::Lost, Cause::Transient),
            (503, Fate::Refused, Cause::Transient),
            (500, Fate::Lost, Cause::Transient),
            (502, Fate::Lost, Cause::Transient),
            (504, Fate::Lost, Cause::Transient),
            (200, Fate::Lost, Cause::Transient),
        ] {
            let replies = read(&answer(status, "text/html", "<html>"), &[Action::Upsert]);
            assert_eq!(
                (failure(&replies[0]).fate, &failure(&replies[0]).cause),
                (fate, &cause),
                "{status}"
            );
        }
        for (status, body, cause) in [
            (403, "{}", Cause::Credential),
            (403, "", Cause::Credential),
            (404, "{}", Cause::Contract),
            (405, "", Cause::Contract),
            (302, "", Cause::Transient),
        ] {
            let replies = read(&answer(status, "application/json", body), &[Action::Upsert]);
            assert_eq!(failure(&replies[0]).fate, Fate::Refused);
            assert_eq!(failure(&replies[0]).cause, cause, "{status}");
        }
        let parts = r#"{"error":{"code":"","message":"The current batch message contains too many parts. Only batch messages with a maximum number of '250' query operations, including changeset operations, are allowed."}}"#;
        let replies = read(&answer(400, "application/json", parts), &[Action::Upsert]);
        assert_eq!(failure(&replies[0]).cause, Cause::TooLarge);
    }
}
