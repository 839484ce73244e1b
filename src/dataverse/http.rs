//! One request at a time over HTTP/1.1, with a token and without surprises: no cookies, no redirects.
//!
//! Says what came back and how much of it; what it means is for others to read. Two repeats there are: the one that a
//! rejected token needs (a request that was answered with 401 as a whole was not carried out), and questions beside the
//! run's own traffic, which are asked again while the service cannot answer. Writes and finds are `dispatch`'s to repeat.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, IF_NONE_MATCH, RETRY_AFTER,
};

use super::address::{Address, server};
use super::multipart::{self, Part};
use super::said::Said;
use super::token::{Token, Tokens};
use super::transport::{body_of, network_error, once};
use super::{DataverseError, wait};
use crate::model::Cause;

/// How requests travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireOptions {
    /// How long one request may take, answer included. 240 s unless said otherwise: the service gives one message
    /// two minutes, a batch is several messages, and its front door closes quiet connections at about four.
    pub request_timeout: Duration,
    /// How many connections stay open between requests: as many as requests are in flight. 64 unless said
    /// otherwise, above what the service recommends in its answers.
    pub connections: NonZeroUsize,
    /// How long a question beside the run's own traffic (who we are, what a table looks like) is asked again while the
    /// service is throttling or out of order. A minute unless said otherwise.
    pub patience: Duration,
}

impl Default for WireOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_mins(4),
            connections: NonZeroUsize::MIN.saturating_add(63),
            patience: Duration::from_mins(1),
        }
    }
}

/// How many requests were sent, token requests not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    /// Requests that only read; a `$batch` of reads is one.
    pub reads: u64,
    /// Requests that write; a `$batch` is one.
    pub writes: u64,
}

/// How long requests that carry operations were worked on beside waiting for their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireWork {
    /// Writing their bodies.
    pub rendering: Duration,
    /// Reading what became of each operation.
    pub reading: Duration,
}

/// What to ask.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// One GET.
    Get {
        /// Path and query, from the origin on.
        path: String,
        /// The value of `Prefer`.
        prefer: Option<&'static str>,
    },
    /// One `$batch`.
    Batch {
        /// The envelope's boundary.
        boundary: String,
        /// The envelope's body.
        body: Bytes,
        /// Whether its parts only read.
        intent: Intent,
    },
    /// One message for many records.
    Message {
        /// From the origin on.
        path: String,
        /// JSON.
        body: Bytes,
    },
}

/// Whether a request changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Read,
    Write,
}

/// What another try may add to an answer.
pub(super) enum Lacks {
    Nothing,
    Something {
        /// When to try, if the answer says so.
        retry_after: Option<Duration>,
    },
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// As much of it as arrived.
    pub(super) body: Bytes,
    /// Why the body is not whole.
    pub(super) cut: Option<String>,
    /// The token that the request was sent with.
    pub(super) token: Token,
}

/// An environment, ready to be asked.
pub(super) struct Http {
    client: Client,
    pub(super) address: Address,
    tokens: Tokens,
    patience: Duration,
    reads: AtomicU64,
    writes: AtomicU64,
    work: Mutex<WireWork>,
}

/// The first pause before a question is asked again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Where nobody is reached the pauses end with this one: after three seconds.
const LONGEST_UNREACHABLE_PAUSE: Duration = Duration::from_millis(1_600);

/// Questions that are asked again at most so often.
const MOST_REPEATS: u32 = 6;

impl Http {
    pub(super) fn new(
        client: Client,
        address: Address,
        tokens: Tokens,
        patience: Duration,
    ) -> Self {
        Self {
            client,
            address,
            tokens,
            patience,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            work: Mutex::default(),
        }
    }

    /// Adds to what was worked on.
    pub(super) fn worked(&self, rendering: Duration, reading: Duration) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.rendering += rendering;
        work.reading += reading;
    }

    pub(super) fn work(&self) -> WireWork {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once; once more with a fresh token if the first one is rejected.
    ///
    /// # Errors
    /// If there is no token, no connection or no answer. An answer with any status is an answer.
    ///
    /// # Cancellation
    /// Dropped after its first byte, it is not known what became of the request.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, DataverseError> {
        let again = || Some(request.clone());
        self.ask_anew(request.clone(), again).await
    }

    /// The same of a request that is made anew if it has to be sent once more: nobody holds its body while the service works
    /// on it. Where it cannot be made again, the first answer stands.
    ///
    /// # Errors
    /// As [`Http::ask`].
    ///
    /// # Cancellation
    /// As [`Http::ask`].
    pub(super) async fn ask_anew(
        &self,
        request: Request,
        again: impl FnOnce() -> Option<Request>,
    ) -> Result<Answer, DataverseError> {
        let token = self.tokens.current().await?;
        let answer = self.ask_once(request, token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.tokens.refresh_after(&answer.token).await?;
        match again() {
            Some(request) => self.ask_once(request, token).await,
            None => Ok(answer),
        }
    }

    /// Asks for something to read and returns it whole. Where the token lapsed while a batch was being worked on, only some
    /// of its parts say so; it is read once more.
    pub(super) async fn read(&self, request: &Request) -> Result<Answer, DataverseError> {
        let mut answer = self.ask(request).await?;
        if answer.has_unauthorized_part() {
            let token = self.tokens.refresh_after(&answer.token).await?;
            answer = self.ask_once(request.clone(), token).await?;
        }
        match &answer.cut {
            None => Ok(answer),
            Some(why) => Err(DataverseError::Unanswered {
                host: server(&self.address.batch),
                why: why.clone(),
            }),
        }
    }

    /// Asks for something to read, and again while the service says that it cannot answer now.
    pub(super) async fn read_patiently(&self, request: &Request) -> Result<Answer, DataverseError> {
        self.read_until(request, |_| Lacks::Nothing).await
    }

    /// The same, and again while an answer lacks something.
    pub(super) async fn read_until(
        &self,
        request: &Request,
        lacks: impl Fn(&Answer) -> Lacks,
    ) -> Result<Answer, DataverseError> {
        let until = tokio::time::Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        for _ in 0..MOST_REPEATS {
            let answer = self.read(request).await;
            let later = || match lacks(answer.as_ref().ok()?) {
                Lacks::Nothing => None,
                Lacks::Something { retry_after } => Some(retry_after.unwrap_or(pause)),
            };
            let Some(wait) = not_now(&answer, pause).or_else(later) else {
                return answer;
            };
            if tokio::time::Instant::now() + wait > until {
                return answer;
            }
            tracing::warn!(wait_ms = wait.as_millis(), "the service cannot answer now");
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        self.read(request).await
    }

    /// Gives a token up that a part of a batch was refused with.
    pub(super) async fn forget(&self, token: &Token) {
        self.tokens.forget(token).await;
    }

    pub(super) fn requests(&self) -> Requests {
        Requests {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
        }
    }

    async fn ask_once(&self, request: Request, token: Token) -> Result<Answer, DataverseError> {
        let started = tokio::time::Instant::now();
        let counter = match request.intent() {
            Intent::Read => &self.reads,
            Intent::Write => &self.writes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut response = self
            .prepare(request, &token)
            .send()
            .await
            .map_err(|error| network_error(server(&self.address.batch), error))?;
        let (body, cut) = body_of(&mut response).await;
        let answer = Answer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
            cut,
            token,
        };
        tracing::debug!(
            status = answer.status,
            bytes = answer.body.len(),
            whole = answer.cut.is_none(),
            elapsed_ms = started.elapsed().as_millis(),
            "request answered"
        );
        Ok(answer)
    }

    fn prepare(&self, request: Request, token: &Token) -> reqwest::RequestBuilder {
        let url = |path: &str| format!("{}{path}", self.address.origin);
        let builder = match request {
            Request::Get { path, prefer } => {
                let builder = self.client.get(url(&path)).header(IF_NONE_MATCH, "null");
                match prefer {
                    Some(prefer) => builder.header("prefer", prefer),
                    None => builder,
                }
            }
            Request::Batch { boundary, body, .. } => {
                let kind = format!("multipart/mixed; boundary=\"{boundary}\"");
                self.client
                    .post(self.address.batch.clone())
                    .header(CONTENT_TYPE, kind)
                    .header("prefer", "odata.continue-on-error")
                    .body(once(body))
            }
            // Elastic tables tell in annotations which rows failed.
            Request::Message { path, body } => self
                .client
                .post(url(&path))
                .header(CONTENT_TYPE, "application/json")
                .header("prefer", "odata.include-annotations=\"*\"")
                .body(once(body)),
        };
        builder
            .header(ACCEPT, "application/json")
            .header("odata-maxversion", "4.0")
            .header("odata-version", "4.0")
            .header(AUTHORIZATION, token.header().clone())
    }
}

/// Whether the service may answer later, and when: as it says, or else after the usual pause.
fn not_now(answer: &Result<Answer, DataverseError>, usual: Duration) -> Option<Duration> {
    match answer {
        Ok(answer) if answer.is_success() => None,
        Ok(answer) => match answer.said().cause(None) {
            Cause::Throttled { retry_after, .. } => Some(retry_after.unwrap_or(usual)),
            Cause::Transient => Some(answer.said().retry_after.unwrap_or(usual)),
            Cause::TooLarge | Cause::Row(_) | Cause::Credential | Cause::Contract => None,
        },
        Err(DataverseError::Unavailable { retry_after, .. }) => Some(retry_after.unwrap_or(usual)),
        Err(DataverseError::Unanswered { .. }) => Some(usual),
        // A front end that is just being replaced is back within seconds; at a wrong address nobody ever answers.
        Err(DataverseError::Unreachable { .. }) => {
            (usual <= LONGEST_UNREACHABLE_PAUSE).then_some(usual)
        }
        Err(_) => None,
    }
}

impl Request {
    fn intent(&self) -> Intent {
        match self {
            Self::Get { .. } => Intent::Read,
            Self::Batch { intent, .. } => *intent,
            Self::Message { .. } => Intent::Write,
        }
    }
}

impl Answer {
    /// A header as text, if it is there and is text.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answers to the parts of a batch; `None` if it is no answer to one.
    pub(super) fn parts(&self) -> Option<Vec<Option<Part<'_>>>> {
        multipart::parts(self.header(CONTENT_TYPE)?, &self.body)
    }

    /// The refusal that one of the parts is. Only the whole answer tells the service's time.
    pub(super) fn said_by(&self, part: &Part<'_>) -> Said {
        let told = part.retry_after();
        let wait = told.and_then(|told| wait::told(told, self.header(DATE)));
        Said::read(part.status, wait, part.body)
    }

    fn has_unauthorized_part(&self) -> bool {
        let parts = self.parts().unwrap_or_default();
        parts.iter().flatten().any(|part| part.status == 401)
    }

    /// Whether the status is a success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The refusal that the answer as a whole is.
    pub(super) fn said(&self) -> Said {
        let told = self.header(RETRY_AFTER);
        let wait = told.and_then(|told| wait::told(told, self.header(DATE)));
        Said::read(self.status, wait, &self.body)
    }
}
