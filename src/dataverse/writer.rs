//! One table of an environment, as something that operations are sent to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::BatchBody;
use super::body::Unwritable;
use super::bulk::{self, BulkBody, Message};
use super::find::find;
use super::form::Form;
use super::http::{Http, Intent};
use super::reply::replies;
use super::words;
use crate::model::{
    Batch, Cause, Destination, Envelope, Failure, Fate, Find, Found, Operation, Reply,
    ServiceError, Target,
};

/// Writes to one table: `$batch` requests out, replies back.
#[derive(Clone)]
pub struct TableWriter {
    http: Arc<Http>,
    form: Arc<Form>,
}

impl TableWriter {
    pub(super) fn new(http: Arc<Http>, target: Arc<Target>) -> Self {
        let form = Arc::new(Form::new(target));
        Self { http, form }
    }

    async fn send_batch(&self, batch: &Batch) -> Vec<Reply> {
        let began = Instant::now();
        let mut body = BatchBody::of(batch.operations.len());
        let (sent, unsent) = written(batch, |operation| body.operation(operation, &self.form));
        self.http.worked(began.elapsed(), Duration::ZERO);
        among(self.send_all(body, &sent).await, unsent)
    }

    async fn send_bulk(&self, batch: &Batch, message: Message) -> Vec<Reply> {
        let began = Instant::now();
        let mut body = BulkBody::new(message);
        let (sent, unsent) = written(batch, |operation| body.operation(operation, &self.form));
        if body.is_empty() {
            return among(Vec::new(), unsent);
        }
        let request = body.finish(&self.form.target);
        self.http.worked(began.elapsed(), Duration::ZERO);
        let again = || {
            let mut body = BulkBody::new(message);
            let mut written = sent.iter().map(|it| body.operation(it, &self.form));
            let is_whole = written.all(|it| it.is_ok());
            is_whole.then(|| body.finish(&self.form.target))
        };
        let replies = match self.http.ask_anew(request, again).await {
            Ok(answer) => self.read(|| bulk::replies(&answer, message, &sent)),
            Err(error) => vec![Reply::Failed(error.into_failure()); sent.len()],
        };
        among(replies, unsent)
    }

    /// Sends them, and once more with a fresh token those whose own answer is that the token is not good: it lapsed while
    /// the batch was being worked on, and they were not carried out.
    async fn send_all(&self, batch: BatchBody, operations: &[&Operation]) -> Vec<Reply> {
        let mut replies = self.send_once(batch, operations).await;
        let is_refused = |place: &usize| replies.get(*place).is_some_and(is_unauthorized_alone);
        let places: Vec<usize> = (0..operations.len()).filter(is_refused).collect();
        if places.is_empty() {
            return replies;
        }
        let again = places.iter().filter_map(|it| operations.get(*it));
        let again: Vec<&Operation> = again.copied().collect();
        if let Some(body) = self.again(&again) {
            for (place, reply) in places.iter().zip(self.send_once(body, &again).await) {
                if let Some(old) = replies.get_mut(*place) {
                    *old = reply;
                }
            }
        }
        replies
    }

    /// A batch of operations that were written before.
    fn again(&self, operations: &[&Operation]) -> Option<BatchBody> {
        let mut body = BatchBody::of(operations.len());
        let mut written = operations.iter().map(|it| body.operation(it, &self.form));
        let is_whole = written.all(|it| it.is_ok());
        is_whole.then_some(body)
    }

    async fn send_once(&self, batch: BatchBody, operations: &[&Operation]) -> Vec<Reply> {
        if batch.is_empty() {
            return Vec::new();
        }
        let again = || Some(self.again(operations)?.finish(Intent::Write));
        let answer = match self.http.ask_anew(batch.finish(Intent::Write), again).await {
            Ok(answer) => answer,
            Err(error) => {
                return vec![Reply::Failed(error.into_failure()); operations.len()];
            }
        };
        let replies = self.read(|| replies(&answer, operations, &self.form.target));
        if replies.iter().any(is_unauthorized) {
            // Whoever sends next asks for a fresh one.
            self.http.forget(&answer.token).await;
        }
        replies
    }

    /// Reads an answer, by the clock.
    fn read(&self, replies: impl FnOnce() -> Vec<Reply>) -> Vec<Reply> {
        let began = Instant::now();
        let replies = replies();
        self.http.worked(Duration::ZERO, began.elapsed());
        replies
    }
}

impl Destination for TableWriter {
    async fn send(&self, batch: &Batch) -> Vec<Reply> {
        let first = batch.operations.first().map(|first| first.action);
        match (batch.envelope, first.and_then(Message::of)) {
            (Envelope::Bulk, Some(message)) => self.send_bulk(batch, message).await,
            (Envelope::Bulk, None) | (Envelope::Batch, _) => self.send_batch(batch).await,
        }
    }

    async fn find(&self, what: &Find) -> Result<Vec<Found>, Failure> {
        find(&self.http, &self.form.target, what).await
    }
}

/// Writes all operations; tells which were written, and the places of the others.
fn written(
    batch: &Batch,
    mut write: impl FnMut(&Operation) -> Result<(), Unwritable>,
) -> (Vec<&Operation>, Vec<(usize, Unwritable)>) {
    let mut sent = Vec::with_capacity(batch.operations.len());
    let mut unsent = Vec::new();
    for (index, operation) in batch.operations.iter().enumerate() {
        match write(operation) {
            Ok(()) => sent.push(operation),
            Err(why) => unsent.push((index, why)),
        }
    }
    (sent, unsent)
}

/// The replies with those of operations that were not sent in their places.
fn among(mut replies: Vec<Reply>, unsent: Vec<(usize, Unwritable)>) -> Vec<Reply> {
    // Ascending, so that each insertion finds its place.
    for (index, why) in unsent {
        replies.insert(index.min(replies.len()), Reply::Failed(not_sent(why.0)));
    }
    replies
}

fn is_unauthorized(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(failure) if failure.error.status == 401)
}

/// An operation's own answer says so, and not that to the request as a whole, which was sent again already.
fn is_unauthorized_alone(reply: &Reply) -> bool {
    is_unauthorized(reply)
        && matches!(reply, Reply::Failed(failure) if failure.fate == Fate::Answered)
}

/// Whoever made the operation should have known; the row is refused, and no request is corrupted.
fn not_sent(why: &str) -> Failure {
    Failure {
        fate: Fate::Answered,
        cause: Cause::Row(words::refused(None)),
        error: ServiceError {
            message: why.to_owned(),
            ..ServiceError::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::loopback::{
        Loopback, SECRET, SILENCE, TEXT, batch, batch_body, contacts, id, impatient, json,
        operation, response, text, token,
    };
    use super::super::{Requests, http::WireOptions};
    use super::*;
    use crate::model::{Action, Effect, Limit, Value};

    fn upserts(keys: &[&str]) -> Batch {
        let operations = keys
            .iter()
            .map(|key| operation(Action::Upsert, vec![text(key), text("Lee"), Value::Null]))
            .collect();
        Batch {
            operations,
            ..Batch::default()
        }
    }

    fn writer(server: &Loopback) -> TableWriter {
        writer_with(server, &WireOptions::default())
    }

    fn writer_with(server: &Loopback, options: &WireOptions) -> TableWriter {
        let target = Arc::new(contacts(&[("new_extid", TEXT)]));
        TableWriter::new(server.http_with(options), target)
    }

    fn failures(replies: &[Reply]) -> Vec<(Fate, &Cause)> {
        replies
            .iter()
            .map(|reply| match reply {
                Reply::Failed(failure) => (failure.fate, &failure.cause),
                Reply::Accepted(accepted) => panic!("{accepted:?}"),
            })
            .collect()
    }

    fn is_created(reply: &Reply) -> bool {
        matches!(reply, Reply::Accepted(accepted) if accepted.effect == Effect::Created)
    }

    const CREATED: (&str, &str, &str) = (
        "201 Created",
        "Content-Type: application/json\r\n",
        r#"{"contactid":"00000000-0000-0000-0000-00000000000a"}"#,
    );

    #[tokio::test]
    async fn a_batch_is_one_request_that_goes_on_after_errors() {
        let server = Loopback::environment(|_, _| batch(&[CREATED, CREATED])).await;
        let writer = writer(&server);
        let replies = writer.send(&upserts(&["1", "2"])).await;
        assert!(replies.len() == 2 && replies.iter().all(is_created));
        let asked = &server.asked_of_environment()[0];
        assert_eq!(asked.line, "POST /api/data/v9.2/$batch HTTP/1.1");
        assert_eq!(asked.header("prefer"), Some("odata.continue-on-error"));
        let length = asked.body.len().to_string();
        assert_eq!(asked.header("content-length"), Some(length.as_str()));
        assert_eq!(asked.header("transfer-encoding"), None);
        assert_eq!(asked.header("authorization"), Some("Bearer token-1"));
        let kind = asked.header("content-type").unwrap();
        let boundary = kind
            .strip_prefix("multipart/mixed; boundary=\"")
            .unwrap()
            .strip_suffix('"')
            .unwrap();
        assert!(asked.body.starts_with(&format!("--{boundary}\r\n")));
        assert!(asked.body.ends_with(&format!("--{boundary}--\r\n")));
        assert_eq!(
            writer.http.requests(),
            Requests {
                reads: 0,
                writes: 1
            }
        );
    }

    #[tokio::test]
    async fn a_key_that_cannot_stand_in_a_url_is_refused_in_its_place() {
        let server = Loopback::environment(|_, _| batch(&[CREATED, CREATED])).await;
        let writer = writer(&server);
        let replies = writer
            .send(&upserts(&["a/b", "1", "c\r\nd", "2", "e+f"]))
            .await;
        let created: Vec<bool> = replies.iter().map(is_created).collect();
        assert_eq!(created, [false, true, false, true, false]);
        let refused = [replies[0].clone(), replies[2].clone(), replies[4].clone()];
        let row = Cause::Row(words::refused(None));
        assert_eq!(failures(&refused), vec![(Fate::Answered, &row); 3]);
        assert_eq!(
            server.asked_of_environment()[0]
                .body
                .matches("PATCH ")
                .count(),
            2
        );
        let replies = writer.send(&upserts(&["a/b"])).await;
        assert_eq!(replies.len(), 1);
        assert_eq!(server.asked_of_environment().len(), 1);
    }

    #[tokio::test]
    async fn a_rejected_token_is_replaced_once_for_all() {
        let server = Loopback::environment(|asked, _| {
            if asked.header("authorization") == Some("Bearer token-1") {
                response("401 Unauthorized", "", "")
            } else {
                batch(&[CREATED])
            }
        })
        .await;
        let writer = writer(&server);
        let batches = upserts(&["1"]);
        let (a, b, c) = tokio::join!(
            writer.send(&batches),
            writer.send(&batches),
            writer.send(&batches)
        );
        assert!([a, b, c].iter().flatten().all(is_created));
        let asked = server.asked_of_environment();
        assert_eq!(server.asked().len() - asked.len(), 2);
        let is_whole = |body: &str| body.contains("(new_extid='1')") && body.ends_with("--\r\n");
        assert!(asked.iter().all(|it| is_whole(&it.body)), "{asked:?}");
    }

    #[tokio::test]
    async fn a_token_that_stays_rejected_is_a_failure_of_the_credential() {
        let server = Loopback::environment(|_, _| response("401 Unauthorized", "", "")).await;
        let replies = writer(&server).send(&upserts(&["1", "2"])).await;
        assert_eq!(
            failures(&replies),
            vec![(Fate::Refused, &Cause::Credential); 2]
        );
        assert_eq!(server.asked_of_environment().len(), 2);
    }

    #[tokio::test]
    async fn a_token_that_lapses_within_a_batch_is_replaced_once_for_what_it_was_not_good_for() {
        let expired = (
            "401 Unauthorized",
            "",
            r#"{"error":{"code":"0x8005f101","message":"x"}}"#,
        );
        let server = Loopback::environment(move |_, number| match number {
            0 | 2 => batch(&[CREATED, expired, CREATED]),
            1 => batch(&[CREATED]),
            _ => batch(&[expired]),
        })
        .await;
        let writer = writer(&server);
        let keys = upserts(&["1", "2", "3"]);
        assert!(writer.send(&keys).await.iter().all(is_created));
        let again = &server.asked_of_environment()[1];
        assert_eq!(again.header("authorization"), Some("Bearer token-2"));
        assert!(again.body.contains("'2'") && !again.body.contains("'1'"));
        let replies = writer.send(&keys).await;
        assert!(is_created(&replies[0]) && is_created(&replies[2]));
        assert_eq!(
            failures(&replies[1..2]),
            [(Fate::Answered, &Cause::Credential)]
        );
        assert_eq!(server.asked_of_environment().len(), 4);
    }

    #[tokio::test]
    async fn without_a_token_nothing_is_sent() {
        let server = Loopback::serve(|_, number| match number {
            0 => json("401 Unauthorized", r#"{"error":"invalid_client","error_description":"AADSTS7000222: expired","error_codes":[7000222]}"#),
            1 => response("503 Service Unavailable", "Retry-After: 7\r\n", ""),
            _ => Vec::new(),
        })
        .await;
        let writer = writer(&server);
        let replies = writer.send(&upserts(&["1"])).await;
        assert_eq!(failures(&replies), [(Fate::Refused, &Cause::Credential)]);
        let Reply::Failed(failure) = &replies[0] else {
            panic!()
        };
        assert_eq!(failure.error.code, "AADSTS7000222");
        let replies = writer.send(&upserts(&["1"])).await;
        let wait = Some(std::time::Duration::from_secs(7));
        assert_eq!(
            failures(&replies),
            [(
                Fate::Refused,
                &Cause::Throttled {
                    retry_after: wait,
                    limit: Limit::Window
                }
            )]
        );
        let replies = writer.send(&upserts(&["1"])).await;
        assert_eq!(
            failures(&replies),
            [(Fate::Refused, &Cause::Transient)],
            "what was not sent cannot be lost"
        );
        assert!(server.asked_of_environment().is_empty());
    }

    #[tokio::test]
    async fn a_penalty_until_a_time_of_day_is_counted_from_the_services_own_clock() {
        const STATUS: &str = "429 Too Many Requests";
        const NOW: &str = "Date: Sat, 21 Nov 2026 03:33:38 GMT\r\n";
        const UNTIL: &str = "Retry-After: Sat, 21 Nov 2026 03:34:08 GMT\r\n";
        const KIND: &str = "Content-Type: multipart/mixed; boundary=batchresponse_1\r\n";
        let server = Loopback::environment(|_, number| {
            if number == 0 {
                return response(STATUS, &[NOW, UNTIL].concat(), "");
            }
            // A part has no clock of its own.
            let part = batch_body(&[(STATUS, UNTIL, "")]);
            response("200 OK", &[NOW, KIND].concat(), &part)
        })
        .await;
        let throttled = Cause::Throttled {
            retry_after: Some(std::time::Duration::from_secs(30)),
            limit: Limit::Window,
        };
        let writer = writer(&server);
        for fate in [Fate::Refused, Fate::Answered] {
            let replies = writer.send(&upserts(&["1"])).await;
            assert_eq!(failures(&replies), [(fate, &throttled)]);
        }
    }

    #[tokio::test]
    async fn a_connection_that_closes_without_answer_loses_the_batch() {
        let server = Loopback::environment(|_, _| Vec::new()).await;
        let replies = writer(&server).send(&upserts(&["1", "2"])).await;
        assert_eq!(failures(&replies), vec![(Fate::Lost, &Cause::Transient); 2]);
        assert_eq!(
            server.asked_of_environment().len(),
            1,
            "a write is never repeated"
        );
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_in_time_loses_the_batch() {
        let server = Loopback::environment(|_, _| SILENCE.to_vec()).await;
        let replies = writer_with(&server, &impatient())
            .send(&upserts(&["secret-key"]))
            .await;
        assert_eq!(failures(&replies), [(Fate::Lost, &Cause::Transient)]);
        let Reply::Failed(failure) = &replies[0] else {
            panic!()
        };
        assert!(
            failure.error.message.contains("did not answer"),
            "{}",
            failure.error
        );
        assert!(!failure.error.message.contains("secret-key"));
    }

    #[tokio::test]
    async fn of_an_answer_that_is_cut_the_parts_that_came_count() {
        let server = Loopback::environment(|_, _| {
            let body = batch_body(&[CREATED, CREATED]);
            let mut whole = response(
                "200 OK",
                "Content-Type: multipart/mixed; boundary=batchresponse_1\r\n",
                &body,
            );
            whole.truncate(whole.len() - 40);
            whole
        })
        .await;
        let replies = writer(&server).send(&upserts(&["1", "2", "3"])).await;
        assert!(is_created(&replies[0]));
        assert_eq!(
            failures(&replies[1..]),
            vec![(Fate::Lost, &Cause::Transient); 2]
        );
    }

    #[tokio::test]
    async fn nobody_there_is_refused_before_the_first_byte() {
        let server = Loopback::serve(|_, _| token("t", 3599)).await;
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let address = super::super::address::Address::parse(&nobody).unwrap();
        let client =
            super::super::transport::client_of(&address.batch, &WireOptions::default()).unwrap();
        let http = Arc::new(Http::new(
            client,
            address,
            server.tokens(),
            std::time::Duration::ZERO,
        ));
        let writer = TableWriter::new(http, Arc::new(contacts(&[("new_extid", TEXT)])));
        let replies = writer.send(&upserts(&["1"])).await;
        assert_eq!(failures(&replies), [(Fate::Refused, &Cause::Transient)]);
        let found = writer.find(&Find::ById(vec![id(1)])).await;
        assert_eq!(found.unwrap_err().fate, Fate::Refused);
    }

    #[tokio::test]
    async fn a_compressed_answer_is_read() {
        // gzip of `{"error":{"code":"0x80072326","message":"m"}}`
        const BODY: &[u8] = &[
            31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 45, 42, 202, 47, 82, 178, 170, 86, 74,
            206, 79, 73, 85, 178, 82, 50, 168, 176, 48, 48, 48, 55, 50, 54, 50, 83, 210, 81, 202,
            77, 45, 46, 78, 76, 7, 9, 231, 42, 213, 214, 2, 0, 234, 135, 8, 188, 45, 0, 0, 0,
        ];
        let server = Loopback::environment(|_, _| {
            let mut answer = format!(
                "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                BODY.len()
            )
            .into_bytes();
            answer.extend_from_slice(BODY);
            answer
        })
        .await;
        let replies = writer(&server).send(&upserts(&["1"])).await;
        assert_eq!(
            failures(&replies),
            [(
                Fate::Refused,
                &Cause::Throttled {
                    retry_after: None,
                    limit: Limit::Concurrency
                }
            )]
        );
        assert!(
            server.asked_of_environment()[0]
                .header("accept-encoding")
                .unwrap()
                .contains("gzip")
        );
    }

    #[tokio::test]
    async fn the_secret_goes_to_the_login_host_alone() {
        let server = Loopback::environment(|_, _| batch(&[CREATED])).await;
        writer(&server).send(&upserts(&["1"])).await;
        for asked in server.asked_of_environment() {
            assert!(!format!("{asked:?}").contains(SECRET));
        }
    }
}
