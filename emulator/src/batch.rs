//! `$batch`: operations in their order, change sets whole or not at all, and the answer's bytes.
//!
//! Source: Microsoft Learn, "Execute batch operations using the Web API".

pub(crate) mod multipart;

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::batch::multipart::{Inner, Part};
use crate::chaos::Trouble;
use crate::context::{Context, Enclosure};
use crate::engine::Engine;
use crate::odata::payload::References;
use crate::odata::{self, Answer};
use crate::options::FailedChangeSet;
use crate::refusal::Refusal;
use crate::request::{Call, Headers, Response};

/// How a batch is run.
pub(crate) struct Run<'a> {
    pub(crate) context: &'a Context<'a>,
    /// What the outer request prefers.
    pub(crate) continues: bool,
    pub(crate) failed_change_set: FailedChangeSet,
    pub(crate) trouble: &'a Trouble<'a>,
}

/// Runs the parts of a batch and answers with one part for each that was run.
pub(crate) fn run(engine: &mut Engine, run: &Run<'_>, parts: &[Part<'_>]) -> Response {
    let mut body = Multipart::new("batchresponse");
    let mut status = 200;
    let mut index = 0;
    for part in parts {
        let failed = match part {
            Part::Single(inner) => {
                // An operation before it may have changed definitions.
                let (schema, model) = (Arc::clone(&engine.schema), Arc::clone(&engine.model));
                let context = Context {
                    schema: &schema,
                    model: &model,
                    ..*run.context
                };
                let answer = run.operation(engine, &context, inner, index);
                let response = answer_of(answer, &inner.call.headers).response;
                body.operation(None, &response);
                failure(&response)
            }
            Part::ChangeSet(inners) => run.change_set(engine, inners, index, &mut body),
        };
        index += part.inners().len();
        if let Some(failed) = failed.filter(|_| !run.continues) {
            status = failed;
            break;
        }
    }
    let kind = body.content_type();
    let mut response = Response::new(status).header("Content-Type", kind);
    response.headers.push(("OData-Version", "4.0".to_owned()));
    response.body = Bytes::from(body.finish());
    response
}

impl Run<'_> {
    fn operation(
        &self,
        engine: &mut Engine,
        context: &Context<'_>,
        inner: &Inner<'_>,
        index: usize,
    ) -> Result<Answer, Refusal> {
        if let Some(fault) = self.trouble.of_operation(index, inner.call.method) {
            return Err(fault.refusal());
        }
        let target = inner.call.target;
        let replaced;
        let target = match target.strip_prefix('$') {
            Some(reference) if !reference.starts_with(char::is_alphabetic) => {
                replaced = referenced(context, reference)?;
                replaced.as_str()
            }
            _ => context
                .target(target)
                .ok_or_else(|| Refusal::no_resource(target))?,
        };
        let call = Call {
            target,
            ..inner.call.clone()
        };
        odata::execute(engine, context, &call)
    }

    /// Runs a change set; returns the status of its failure.
    fn change_set(
        &self,
        engine: &mut Engine,
        inners: &[Inner<'_>],
        first: usize,
        body: &mut Multipart,
    ) -> Option<u16> {
        let mark = engine.mark();
        let mut references = References::new();
        let mut set = Multipart::new("changesetresponse");
        let (schema, model) = (Arc::clone(&engine.schema), Arc::clone(&engine.model));
        for (index, inner) in (first..).zip(inners) {
            let context = Context {
                schema: &schema,
                model: &model,
                references: &references,
                place: Enclosure::ChangeSet,
                ..*self.context
            };
            let answer = self.operation(engine, &context, inner, index);
            let answer = answer_of(answer, &inner.call.headers);
            if let Some(status) = failure(&answer.response) {
                engine.roll_back_to(mark);
                if self.failed_change_set == FailedChangeSet::Plain {
                    body.operation(None, &answer.response);
                    return Some(status);
                }
                let mut only = Multipart::new("changesetresponse");
                only.operation(inner.content_id, &answer.response);
                body.nested(only);
                return Some(status);
            }
            set.operation(inner.content_id, &answer.response);
            if let (Some(id), Some(written)) = (inner.content_id, answer.written) {
                references.insert(id.to_owned(), written);
            }
        }
        body.nested(set);
        None
    }
}

fn answer_of(answer: Result<Answer, Refusal>, headers: &Headers<'_>) -> Answer {
    answer.unwrap_or_else(|refusal| {
        Response::refused(&refusal, &headers.preferences().annotations).into()
    })
}

fn failure(response: &Response) -> Option<u16> {
    (response.status >= 400).then_some(response.status)
}

/// `1/primarycontactid` with what stands for `$1`.
fn referenced(context: &Context<'_>, reference: &str) -> Result<String, Refusal> {
    let end = reference.find(['/', '?']).unwrap_or(reference.len());
    let (content_id, rest) = reference.split_at_checked(end).unwrap_or((reference, ""));
    let (set, id) = context.reference(content_id)?;
    Ok(format!("{set}({id}){rest}"))
}

/// A multipart body that grows.
struct Multipart {
    boundary: String,
    bytes: Vec<u8>,
}

impl Multipart {
    fn new(name: &str) -> Self {
        Self {
            boundary: format!("{name}_{}", Uuid::new_v4()),
            bytes: Vec::new(),
        }
    }

    /// Unquoted, as the service answers.
    fn content_type(&self) -> String {
        format!("multipart/mixed; boundary={}", self.boundary)
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn line(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.push(piece);
        }
        self.push("\r\n");
    }

    fn delimiter(&mut self) {
        let boundary = std::mem::take(&mut self.boundary);
        self.line(&["--", &boundary]);
        self.boundary = boundary;
    }

    fn operation(&mut self, content_id: Option<&str>, response: &Response) {
        self.delimiter();
        self.line(&["Content-Type: application/http"]);
        self.line(&["Content-Transfer-Encoding: binary"]);
        if let Some(content_id) = content_id {
            self.line(&["Content-ID: ", content_id]);
        }
        self.line(&[]);
        let status = response.status.to_string();
        self.line(&["HTTP/1.1 ", &status, " ", reason(response.status)]);
        for (name, value) in &response.headers {
            self.line(&[name, ": ", value]);
        }
        self.line(&[]);
        self.bytes.extend_from_slice(&response.body);
        self.line(&[]);
    }

    fn nested(&mut self, inner: Self) {
        self.delimiter();
        let kind = inner.content_type();
        self.line(&["Content-Type: ", &kind]);
        self.line(&[]);
        self.bytes.extend_from_slice(&inner.finish());
    }

    fn finish(mut self) -> Vec<u8> {
        let boundary = std::mem::take(&mut self.boundary);
        self.line(&["--", &boundary, "--"]);
        self.bytes
    }
}

fn reason(status: u16) -> &'static str {
    let status = axum::http::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown")
}
