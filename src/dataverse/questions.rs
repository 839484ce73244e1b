//! Several questions in one `$batch`, each answered: what the service owes is asked again, and a batch that is too large
//! for it is asked in halves.

use bytes::Bytes;

use super::DataverseError;
use super::batch::BatchBody;
use super::http::{Answer, Http, Intent, Lacks};
use super::multipart::Part;
use super::said::Said;
use crate::model::Cause;

/// What the service said to one question.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// Asks for each of those paths; as many answers, in their order.
///
/// # Errors
/// If the service refuses to answer at all, or does not answer all of them however often it is asked.
pub(super) async fn ask(http: &Http, paths: &[String]) -> Result<Vec<Told>, DataverseError> {
    let mut told = Vec::with_capacity(paths.len());
    let mut left = vec![paths];
    while let Some(paths) = left.pop() {
        let mut batch = BatchBody::new();
        for path in paths {
            batch.get(path);
        }
        let request = batch.finish(Intent::Read);
        let whole = |answer: &Answer| lacks(answer, paths.len());
        let answer = http.read_until(&request, whole).await?;
        match answer.parts() {
            Some(parts) if parts.len() == paths.len() => {
                for part in parts {
                    let part = part.ok_or_else(|| unreadable("one part is no HTTP response"))?;
                    told.push(Told::of(&part));
                }
            }
            Some(_) => return Err(unreadable("it has not one part per question")),
            None if answer.said().cause(None) == Cause::TooLarge && paths.len() > 1 => {
                let (first, second) = paths.split_at(paths.len() / 2);
                left.extend([second, first]);
            }
            None => return Err(DataverseError::from_said(answer.said())),
        }
    }
    Ok(told)
}

/// What another try may bring: parts that are missing, too many or unreadable, and those that the service cannot answer
/// now.
fn lacks(answer: &Answer, questions: usize) -> Lacks {
    let Some(parts) = answer.parts() else {
        return Lacks::Nothing;
    };
    if parts.len() != questions || parts.iter().any(Option::is_none) {
        return Lacks::Something { retry_after: None };
    }
    let mut refused = parts.iter().flatten().filter(|part| !part.is_success());
    let not_now = refused.find_map(|part| not_now(&answer.said_by(part)));
    not_now.unwrap_or(Lacks::Nothing)
}

fn not_now(said: &Said) -> Option<Lacks> {
    match said.cause(None) {
        Cause::Throttled { retry_after, .. } => Some(Lacks::Something { retry_after }),
        Cause::Transient => Some(Lacks::Something {
            retry_after: said.retry_after,
        }),
        Cause::TooLarge | Cause::Row(_) | Cause::Credential | Cause::Contract => None,
    }
}

impl Told {
    fn of(part: &Part<'_>) -> Self {
        Self {
            status: part.status,
            body: Bytes::copy_from_slice(part.body),
        }
    }
}

fn unreadable(why: &str) -> DataverseError {
    DataverseError::Unexpected {
        about: "several questions".to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::loopback::{Asked, Loopback, batch, json, response};
    use super::*;

    fn paths(count: usize) -> Vec<String> {
        let path = |number| format!("/api/data/v9.2/question{number}");
        (0..count).map(path).collect()
    }

    /// Says to each question its own path.
    fn echo(asked: &Asked) -> Vec<(&'static str, &'static str, String)> {
        let lines = asked
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("GET "));
        let path = |line: &str| line.trim_end_matches(" HTTP/1.1").to_owned();
        lines.map(|line| ("200 OK", "", path(line))).collect()
    }

    fn answer(parts: &[(&'static str, &'static str, String)]) -> Vec<u8> {
        let parts: Vec<_> = parts.iter().map(|(s, h, b)| (*s, *h, b.as_str())).collect();
        batch(&parts)
    }

    /// What is told when the first answer is another one.
    async fn after(
        first: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static,
    ) -> (Result<Vec<String>, DataverseError>, usize) {
        let server = Loopback::environment(move |asked, number| match number {
            0 => first(asked),
            _ => answer(&echo(asked)),
        })
        .await;
        let told = ask(&server.patient_http(), &paths(5)).await;
        let text = |told: Told| String::from_utf8(told.body.to_vec()).unwrap();
        let told = told.map(|told| told.into_iter().map(text).collect());
        (told, server.asked_of_environment().len())
    }

    #[tokio::test]
    async fn what_is_owed_is_asked_again() {
        let (told, requests) = after(|asked| answer(&echo(asked)[..3])).await;
        assert_eq!((told.unwrap(), requests), (paths(5), 2));
        let (told, requests) = after(|asked| {
            let mut parts = echo(asked);
            parts.push(parts[0].clone());
            answer(&parts)
        })
        .await;
        assert_eq!((told.unwrap(), requests), (paths(5), 2));
    }

    #[tokio::test]
    async fn a_part_that_is_not_answered_now_is_asked_again() {
        for status in ["429 Too Many Requests", "503 Service Unavailable"] {
            let (told, requests) = after(move |asked| {
                let mut parts = echo(asked);
                parts[3] = (status, "Retry-After: 0\r\n", String::new());
                answer(&parts)
            })
            .await;
            assert_eq!((told.unwrap(), requests), (paths(5), 2));
        }
    }

    #[tokio::test]
    async fn too_many_questions_are_asked_in_halves() {
        let server = Loopback::environment(|asked, _| {
            let parts = echo(asked);
            if parts.len() > 2 {
                response("413 Payload Too Large", "", "")
            } else {
                answer(&parts)
            }
        })
        .await;
        let told = ask(&server.http(), &paths(5)).await.unwrap();
        let text = |told: &Told| String::from_utf8(told.body.to_vec()).unwrap();
        assert_eq!(told.iter().map(text).collect::<Vec<_>>(), paths(5));
        let server = Loopback::environment(|_, _| response("413 Payload Too Large", "", "")).await;
        assert!(ask(&server.http(), &paths(5)).await.is_err());
        assert_eq!(server.asked_of_environment().len(), 3);
    }

    #[tokio::test]
    async fn a_refusal_is_told_at_once() {
        let refusal = r#"{"error":{"code":"0x80072560","message":"The user is not a member of the organization."}}"#;
        let (told, requests) = after(move |_| json("403 Forbidden", refusal)).await;
        assert!(matches!(told, Err(DataverseError::Refused { .. })));
        assert_eq!(requests, 1);
    }
}
