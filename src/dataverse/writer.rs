//! One table of an environment, as something that operations are sent to.

use std::sync::Arc;

use super::batch::BatchBody;
use super::find::find;
use super::http::{Http, Intent};
use super::reply::replies;
use super::words;
use crate::model::{
    Batch, Cause, Destination, Failure, Fate, Find, Found, Operation, Reply, ServiceError, Target,
};

/// Writes to one table: `$batch` requests out, replies back.
#[derive(Clone)]
pub struct TableWriter {
    http: Arc<Http>,
    target: Arc<Target>,
}

impl TableWriter {
    pub(super) fn new(http: Arc<Http>, target: Arc<Target>) -> Self {
        Self { http, target }
    }

    async fn send_all(&self, batch: BatchBody, operations: &[&Operation]) -> Vec<Reply> {
        if batch.is_empty() {
            return Vec::new();
        }
        let answer = match self.http.ask(&batch.finish(Intent::Write)).await {
            Ok(answer) => answer,
            Err(error) => {
                return vec![Reply::Failed(error.into_failure()); operations.len()];
            }
        };
        let replies = replies(&answer, operations, &self.target);
        if replies.iter().any(is_unauthorized) {
            // The token lapsed while the batch was being worked on: whoever sends next asks for a fresh one.
            self.http.forget(&answer.token).await;
        }
        replies
    }
}

impl Destination for TableWriter {
    async fn send(&self, batch: &Batch) -> Vec<Reply> {
        let mut body = BatchBody::new();
        let mut sent = Vec::with_capacity(batch.operations.len());
        let mut unsent = Vec::new();
        for (index, operation) in batch.operations.iter().enumerate() {
            match body.operation(operation, &self.target) {
                Ok(()) => sent.push(operation),
                Err(why) => unsent.push((index, why)),
            }
        }
        let mut replies = self.send_all(body, &sent).await;
        // Ascending, so that each insertion finds its place.
        for (index, why) in unsent {
            replies.insert(index.min(replies.len()), Reply::Failed(not_sent(why.0)));
        }
        replies
    }

    async fn find(&self, what: &Find) -> Result<Vec<Found>, Failure> {
        find(&self.http, &self.target, what).await
    }
}

fn is_unauthorized(reply: &Reply) -> bool {
    matches!(reply, Reply::Failed(failure) if failure.error.status == 401)
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
