//! Reads the answer to a batch of operations: one reply each, in their order.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::Answer;
use super::multipart::{self, Part};
use super::said::{Addressed, Said};
use crate::model::{
    Accepted, Action, Cause, Effect, Failure, Fate, Made, Operation, RecordId, Reply, ServiceError,
    Target,
};

/// One reply per operation that was sent.
///
/// A part per operation is what the service promises. Fewer parts leave the later operations lost: they may have
/// been done, and doing them again is harmless. More parts than operations belong to none of them for sure.
///
/// Source: Microsoft Learn, "Execute batch operations using the Web API", "Handle errors".
pub(super) fn replies(answer: &Answer, sent: &[&Operation], target: &Target) -> Vec<Reply> {
    let content_type = answer
        .header(reqwest::header::CONTENT_TYPE)
        .unwrap_or_default();
    let Some(parts) = multipart::parts(content_type, &answer.body) else {
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
    let mut replies: Vec<Reply> = sent
        .iter()
        .zip(&parts)
        .map(|(operation, part)| match part {
            Some(part) => reply(part, operation, target),
            None => Reply::Failed(lost(answer, "the answer's part cannot be read")),
        })
        .collect();
    replies.resize(sent.len(), Reply::Failed(lost(answer, why)));
    replies
}

fn repeat(failure: &Failure, count: usize) -> Vec<Reply> {
    vec![Reply::Failed(failure.clone()); count]
}

/// The answer is about the request as a whole.
fn refused(answer: &Answer) -> Failure {
    if answer.is_success() {
        let why = answer.cut.as_deref();
        return lost(answer, why.unwrap_or("the answer is not one to a batch"));
    }
    let said = answer.said();
    let cause = said.cause(None);
    // Behind a gateway that gave up, or after a fault of the server, the work may have been done all the same.
    // 503 is said at the door.
    let may_be_done = cause == Cause::Transient && answer.status != 503;
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

fn lost(answer: &Answer, why: &str) -> Failure {
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

fn reply(part: &Part<'_>, operation: &Operation, target: &Target) -> Reply {
    if (200..300).contains(&part.status) {
        return Reply::Accepted(accepted(part, operation, target));
    }
    let said = Said::read(part.status, part.retry_after, part.body);
    let id = match operation.action {
        // An earlier delete may have worked and its answer was lost; the record is gone either way.
        Action::Delete(id) if said.says_not_found() => {
            return Reply::Accepted(Accepted {
                effect: Effect::Deleted,
                id: Some(id),
                made: None,
            });
        }
        Action::Delete(id) | Action::Update(id) => Some(id),
        Action::Upsert | Action::UpdateByKey if target.key_is_primary_id => {
            Some(operation.record.derived_id)
        }
        Action::Create => Some(operation.record.derived_id),
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

fn accepted(part: &Part<'_>, operation: &Operation, target: &Target) -> Accepted {
    let (id, made) = match operation.action {
        Action::Update(id) | Action::Delete(id) => (Some(id), None),
        Action::Create => (Some(operation.record.derived_id), None),
        Action::Upsert | Action::UpdateByKey => representation(part.body, target),
    };
    let effect = match operation.action {
        Action::Upsert if part.status == 201 => Effect::Created,
        Action::Upsert if part.status == 200 => Effect::Updated,
        Action::Upsert => Effect::Upserted,
        Action::UpdateByKey | Action::Update(_) => Effect::Updated,
        Action::Create => Effect::Created,
        Action::Delete(_) => Effect::Deleted,
    };
    Accepted { effect, id, made }
}

/// What was asked back of an upsert: the primary id, and when and by whom the record was created.
fn representation(body: &[u8], target: &Target) -> (Option<RecordId>, Option<Made>) {
    #[derive(Deserialize)]
    struct Created<'a> {
        #[serde(borrow)]
        createdon: Option<Cow<'a, str>>,
        #[serde(rename = "_createdby_value")]
        by: Option<uuid::Uuid>,
    }
    type Row<'a> = std::collections::HashMap<Cow<'a, str>, &'a RawValue>;

    let id = serde_json::from_slice::<Row<'_>>(body)
        .ok()
        .and_then(|row| serde_json::from_str(row.get(target.primary_id.as_str())?.get()).ok())
        .map(RecordId);
    let made = serde_json::from_slice::<Created<'_>>(body)
        .ok()
        .and_then(|created| {
            Some(Made {
                on: created.createdon?.parse().ok()?,
                by: RecordId(created.by?),
            })
        });
    (id, made)
}
