//! The token of an application: asked for with its secret, held in memory, renewed in time, once for all.
//!
//! Client credentials at the v2.0 endpoint. The endpoint follows from the connection alone; nothing that a server
//! answers changes where the secret goes.
//!
//! Source: Microsoft Learn, "OAuth 2.0 client credentials flow on the Microsoft identity platform".

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{DATE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::address::server;
use super::login::{Denied, Granted};
use super::said::Said;
use super::transport::{body_of, network_error};
use super::{DataverseError, SignInCause, wait};
use crate::model::ServiceError;

/// A token as the header that carries it, which prints itself as `Sensitive`.
#[derive(Debug, Clone)]
pub(super) struct Token {
    header: HeaderValue,
    serial: u64,
}

impl Token {
    pub(super) fn header(&self) -> &HeaderValue {
        &self.header
    }

    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self {
            header: HeaderValue::from_static("Bearer x"),
            serial: 0,
        }
    }
}

/// Where tokens come from.
pub(super) struct Tokens {
    client: Client,
    endpoint: Url,
    client_id: String,
    secret: SecretString,
    scope: String,
    held: Mutex<Held>,
    /// How often the login host was asked, and the asking has ended.
    asked: AtomicU64,
}

#[derive(Default)]
struct Held {
    current: Option<Current>,
    issued: u64,
    denied: Option<Denial>,
    failed: Option<Failed>,
}

/// No token was given in the place of one that was rejected.
struct Denial {
    /// The token that was rejected.
    serial: u64,
    error: DataverseError,
}

/// No token was given.
struct Failed {
    /// Which asking it was; the first is 1.
    number: u64,
    error: DataverseError,
}

struct Current {
    token: Token,
    renew_at: Instant,
    lapses_at: Instant,
    /// Whoever comes anew asks for another one.
    is_forgotten: bool,
}

/// What to ask for, and with what.
pub(super) struct Application {
    pub(super) client_id: String,
    pub(super) secret: SecretString,
    /// The origin of the environment.
    pub(super) resource: String,
}

/// A token is renewed so long before it lapses, since requests under way need it too.
const MARGIN: Duration = Duration::from_mins(5);

/// While an old token is still good, a login host that is not available is asked again after so long.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// A login host answers within a second, or it is out of order. Whatever is to be sent waits for it meanwhile, so it has
/// not the time that the service has.
const LONGEST_ASKING: Duration = Duration::from_secs(30);

impl Tokens {
    pub(super) fn new(client: Client, endpoint: Url, application: Application) -> Self {
        Self {
            client,
            endpoint,
            client_id: application.client_id,
            secret: application.secret,
            scope: format!("{}/.default", application.resource),
            held: Mutex::default(),
            asked: AtomicU64::new(0),
        }
    }

    /// The token to use now. Whoever comes while one is asked for waits for it, and shares what comes of it.
    pub(super) async fn current(&self) -> Result<Token, DataverseError> {
        let asked = self.asked.load(Ordering::Acquire);
        let mut held = self.held.lock().await;
        if let Some(current) = &held.current
            && !current.is_forgotten
            && Instant::now() < current.renew_at
        {
            return Ok(current.token.clone());
        }
        match self.renew(&mut held, asked).await {
            Ok(token) => Ok(token),
            Err(error) => match &mut held.current {
                Some(current)
                    if !current.is_forgotten
                        && Instant::now() < current.lapses_at
                        && may_pass(&error) =>
                {
                    tracing::warn!(error = %error, "the token could not be renewed yet");
                    current.renew_at = Instant::now() + RENEWAL_PAUSE;
                    Ok(current.token.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// The token to use after that one was rejected: many rejections make one renewal, and one refusal of it.
    pub(super) async fn refresh_after(&self, rejected: &Token) -> Result<Token, DataverseError> {
        let asked = self.asked.load(Ordering::Acquire);
        let mut held = self.held.lock().await;
        if let Some(current) = &held.current
            && current.token.serial != rejected.serial
        {
            // Even if it was rejected too, and forgotten: one renewal is enough to learn that it does not help.
            return Ok(current.token.clone());
        }
        if let Some(denied) = &held.denied
            && denied.serial == rejected.serial
        {
            return Err(denied.error.clone());
        }
        held.current = None;
        let renewed = self.renew(&mut held, asked).await;
        if let Err(error @ DataverseError::SignIn { .. }) = &renewed {
            held.denied = Some(Denial {
                serial: rejected.serial,
                error: error.clone(),
            });
        }
        renewed
    }

    /// Gives up a token that was rejected; the next request asks for a fresh one.
    pub(super) async fn forget(&self, rejected: &Token) {
        let mut held = self.held.lock().await;
        if let Some(current) = &mut held.current {
            current.is_forgotten |= current.token.serial == rejected.serial;
        }
    }

    /// Asks for a token, unless one was asked for in vain since so many askings had ended.
    async fn renew(&self, held: &mut Held, asked: u64) -> Result<Token, DataverseError> {
        if let Some(failed) = &held.failed
            && failed.number > asked
        {
            return Err(failed.error.clone());
        }
        let renewed = self.renew_now(held).await;
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let error = renewed.as_ref().err().cloned();
        held.failed = error.map(|error| Failed { number, error });
        renewed
    }

    async fn renew_now(&self, held: &mut Held) -> Result<Token, DataverseError> {
        let granted = timeout(LONGEST_ASKING, self.ask()).await;
        let granted = granted.unwrap_or_else(|_| Err(not_granted(self.silent())))?;
        let lifetime = granted.expires_in.duration();
        let mut header =
            HeaderValue::from_str(&format!("Bearer {}", granted.access_token.expose_secret()))
                .map_err(|_| no_token("the token cannot stand in a header"))?;
        header.set_sensitive(true);
        held.issued += 1;
        let token = Token {
            header,
            serial: held.issued,
        };
        let now = Instant::now();
        held.current = Some(Current {
            token: token.clone(),
            renew_at: now + lifetime.saturating_sub(MARGIN).max(lifetime / 2),
            lapses_at: now + lifetime,
            is_forgotten: false,
        });
        tracing::debug!(lifetime_seconds = lifetime.as_secs(), "token received");
        Ok(token)
    }

    fn silent(&self) -> DataverseError {
        DataverseError::Unanswered {
            host: server(&self.endpoint),
            why: format!("nothing came in {} s", LONGEST_ASKING.as_secs()),
        }
    }

    async fn ask(&self) -> Result<Granted, DataverseError> {
        let host = || server(&self.endpoint);
        let mut response = self
            .client
            .post(self.endpoint.clone())
            .header(reqwest::header::ACCEPT, "application/json")
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &self.client_id),
                ("client_secret", self.secret.expose_secret()),
                ("scope", &self.scope),
            ])
            .send()
            .await
            .map_err(|error| not_granted(network_error(host(), error)))?;
        let status = response.status().as_u16();
        let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
        let wait = header(RETRY_AFTER).and_then(|told| wait::told(told, header(DATE)));
        let (body, cut) = body_of(&mut response).await;
        if let Some(why) = cut {
            let host = host();
            return Err(not_granted(DataverseError::Unanswered { host, why }));
        }
        if status == 200 {
            // The reason is not told: it could quote the answer.
            return serde_json::from_slice(&body)
                .map_err(|_| no_token("it is not the answer of a token endpoint"));
        }
        Err(self.denied(status, wait, &body))
    }

    fn denied(&self, status: u16, wait: Option<Duration>, body: &[u8]) -> DataverseError {
        let mut said = Said::read(status, wait, body);
        let denied: Option<Denied> = serde_json::from_slice(body).ok();
        let number = denied.as_ref().map_or(0, Denied::number);
        if let Some(denied) = &denied {
            said.error.code = denied.code();
            // The text begins with the code that is told anyway.
            let text = denied.error_description.as_str();
            let rest = text.strip_prefix(said.error.code.as_str());
            let rest = rest.and_then(|rest| rest.strip_prefix(": "));
            rest.unwrap_or(text).clone_into(&mut said.error.message);
        }
        // A host that repeats what it was sent must not make us repeat it.
        said.error.message =
            one_line(&said.error.message).replace(self.secret.expose_secret(), "***");
        let ServiceError { status, .. } = said.error;
        if matches!(status, 408 | 429 | 500..)
            || matches!(number, 50196 | 90006 | 90033 | 90055)
            || denied.is_some_and(|denied| denied.error == "temporarily_unavailable")
        {
            return DataverseError::Unavailable {
                retry_after: said.retry_after,
                error: said.error,
            };
        }
        let cause = if said.error.code.is_empty() {
            SignInCause::NotALoginHost
        } else {
            cause_of(number)
        };
        DataverseError::SignIn {
            cause,
            error: said.error,
        }
    }
}

/// An answer that calls itself a success and brings no token.
fn no_token(why: &str) -> DataverseError {
    DataverseError::SignIn {
        cause: SignInCause::NotALoginHost,
        error: ServiceError {
            status: 200,
            message: why.to_owned(),
            ..ServiceError::default()
        },
    }
}

/// The cause behind a code that [`Denied::code`] wrote; `None` if it is not one of a login host.
pub(super) fn cause_of_sign_in(code: &str) -> Option<SignInCause> {
    let number = code.strip_prefix("AADSTS")?.parse().ok()?;
    Some(cause_of(number))
}

/// Source: Microsoft Learn, "Microsoft Entra authentication and authorization error codes".
fn cause_of(number: u64) -> SignInCause {
    match number {
        7_000_215 => SignInCause::WrongSecret,
        7_000_222 => SignInCause::LapsedSecret,
        7_000_216 | 7_000_218 | 900_144 => SignInCause::MissingSecret,
        700_016 => SignInCause::UnknownClient,
        7_000_112 => SignInCause::DisabledClient,
        90_002 | 900_023 | 900_021 => SignInCause::UnknownTenant,
        500_011 | 70_011 | 1_002_012 => SignInCause::UnknownEnvironment,
        53_000..=53_099 | 530_000..=530_999 => SignInCause::ConditionalAccess,
        _ => SignInCause::Other,
    }
}

/// A login host that does not answer loses nothing: whatever needed the token has not been sent.
fn not_granted(error: DataverseError) -> DataverseError {
    if matches!(error, DataverseError::Unanswered { .. }) {
        DataverseError::Unavailable {
            retry_after: None,
            error: ServiceError {
                message: error.to_string(),
                ..ServiceError::default()
            },
        }
    } else {
        error
    }
}

fn may_pass(error: &DataverseError) -> bool {
    matches!(
        error,
        DataverseError::Unavailable { .. } | DataverseError::Unreachable { .. }
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::DataverseErrorKind;
    use super::super::loopback::{Loopback, SECRET, SILENCE, impatient, json, response, token};
    use super::*;

    fn text(token: &Token) -> &str {
        token.header.to_str().unwrap()
    }

    async fn refusal(status: &'static str, body: &'static str) -> DataverseError {
        let server = Loopback::serve(move |_, _| json(status, body)).await;
        server.tokens().current().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_token_is_asked_for_with_an_encoded_form() {
        let server = Loopback::serve(|_, _| token("abc", 3599)).await;
        let got = server.tokens().current().await.unwrap();
        assert_eq!(text(&got), "Bearer abc");
        let asked = &server.asked()[0];
        assert_eq!(
            asked.line,
            "POST /contoso.example/oauth2/v2.0/token HTTP/1.1"
        );
        assert_eq!(
            asked.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        let scope = server.origin.replace(':', "%3A").replace('/', "%2F");
        assert_eq!(
            asked.body,
            format!(
                "grant_type=client_credentials&client_id=the-client&client_secret=s3cr%2Bt%26%3D%25%7E&scope={scope}%2F.default"
            )
        );
    }

    #[tokio::test]
    async fn many_requests_share_one_token() {
        let server = Loopback::serve(|_, number| token(&format!("t{number}"), 3599)).await;
        let tokens = server.tokens();
        let (a, b, c) = tokio::join!(tokens.current(), tokens.current(), tokens.current());
        for got in [a, b, c] {
            assert_eq!(text(&got.unwrap()), "Bearer t0");
        }
        assert_eq!(server.asked().len(), 1);
    }

    #[tokio::test]
    async fn many_rejections_make_one_renewal() {
        let server = Loopback::serve(|_, number| token(&format!("t{number}"), 3599)).await;
        let tokens = server.tokens();
        let old = tokens.current().await.unwrap();
        let (a, b) = tokio::join!(tokens.refresh_after(&old), tokens.refresh_after(&old));
        assert_eq!(text(&a.unwrap()), "Bearer t1");
        assert_eq!(text(&b.unwrap()), "Bearer t1");
        tokens.forget(&old).await;
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t1");
        assert_eq!(server.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_forgotten_token_is_replaced() {
        let server = Loopback::serve(|_, number| token(&format!("t{number}"), 3599)).await;
        let tokens = server.tokens();
        let old = tokens.current().await.unwrap();
        tokens.forget(&old).await;
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t1");
    }

    #[tokio::test]
    async fn a_rejection_that_comes_late_makes_no_renewal_of_its_own() {
        let server = Loopback::serve(|_, number| token(&format!("t{number}"), 3599)).await;
        let tokens = server.tokens();
        let old = tokens.current().await.unwrap();
        let new = tokens.refresh_after(&old).await.unwrap();
        // It was of no use to those who had it first; others are still waiting for the answer to the old one.
        tokens.forget(&new).await;
        assert_eq!(
            text(&tokens.refresh_after(&old).await.unwrap()),
            "Bearer t1"
        );
        assert_eq!(server.asked().len(), 2);
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t2");
    }

    #[tokio::test]
    async fn a_token_without_lifetime_is_used_once() {
        let server = Loopback::serve(|_, number| {
            json(
                "200 OK",
                &format!(r#"{{"expires_in":"0","access_token":"t{number}"}}"#),
            )
        })
        .await;
        let tokens = server.tokens();
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t0");
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t1");
    }

    #[tokio::test]
    async fn a_lifetime_that_cannot_be_read_is_short_and_no_reason_to_refuse_a_token() {
        for told in [
            "",
            r#""expires_in":null,"#,
            r#""expires_in":-1,"#,
            r#""expires_in":3599.5,"#,
        ] {
            let body = format!(r#"{{{told}"access_token":"t"}}"#);
            let server = Loopback::serve(move |_, _| json("200 OK", &body)).await;
            let tokens = server.tokens();
            for _ in 0..2 {
                assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t");
            }
            assert_eq!(server.asked().len(), 1, "{told}");
        }
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_renewed_yet_serves_on() {
        let server = Loopback::serve(|_, number| match number {
            0 => token("t0", 3599),
            _ => response("503 Service Unavailable", "", "<html>"),
        })
        .await;
        let tokens = server.tokens();
        let old = tokens.current().await.unwrap();
        tokens.held.lock().await.current.as_mut().unwrap().renew_at = Instant::now();
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t0");
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t0");
        assert_eq!(server.asked().len(), 2);
        assert!(tokens.refresh_after(&old).await.is_err());
    }

    #[tokio::test]
    async fn whoever_waits_for_a_token_that_is_not_given_is_told_so_together() {
        let server = Loopback::serve(|_, number| match number {
            0 => token("t0", 3599),
            _ => response("503 Service Unavailable", "", "<html>"),
        })
        .await;
        let tokens = server.tokens();
        let old = tokens.current().await.unwrap();
        let all = tokio::join!(
            tokens.refresh_after(&old),
            tokens.refresh_after(&old),
            tokens.current()
        );
        assert!(all.0.is_err() && all.1.is_err() && all.2.is_err());
        assert_eq!(server.asked().len(), 2);
        // Who comes later asks anew.
        assert!(tokens.current().await.is_err());
        assert_eq!(server.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_login_host_that_does_not_answer_is_left_alone_from_then_on() {
        let server = Loopback::serve(|_, number| match number {
            0 => token("t0", 3599),
            _ => SILENCE.to_vec(),
        })
        .await;
        let options = impatient();
        let tokens = server.tokens_with(&options);
        tokens.current().await.unwrap();
        let now = Instant::now();
        tokens.held.lock().await.current.as_mut().unwrap().renew_at = now;
        assert_eq!(text(&tokens.current().await.unwrap()), "Bearer t0");
        let renew_at = tokens.held.lock().await.current.as_ref().unwrap().renew_at;
        assert!(renew_at >= now + options.request_timeout + RENEWAL_PAUSE);
    }

    #[tokio::test]
    async fn each_refusal_is_told_by_its_number() {
        for (number, cause) in [
            (7_000_215, SignInCause::WrongSecret),
            (7_000_222, SignInCause::LapsedSecret),
            (7_000_218, SignInCause::MissingSecret),
            (700_016, SignInCause::UnknownClient),
            (7_000_112, SignInCause::DisabledClient),
            (90_002, SignInCause::UnknownTenant),
            (900_023, SignInCause::UnknownTenant),
            (500_011, SignInCause::UnknownEnvironment),
            (53_003, SignInCause::ConditionalAccess),
            (1, SignInCause::Other),
        ] {
            let body = format!(
                r#"{{"error":"invalid_client","error_description":"AADSTS{number}: No.\r\nTrace ID: x","error_codes":[{number}]}}"#
            );
            let server = Loopback::serve(move |_, _| json("401 Unauthorized", &body)).await;
            let error = server.tokens().current().await.unwrap_err();
            assert_eq!(error.kind(), DataverseErrorKind::Credential);
            let DataverseError::SignIn { cause: got, error } = error else {
                panic!("{error}");
            };
            assert_eq!(got, cause);
            assert_eq!(error.code, format!("AADSTS{number}"));
            assert_eq!(error.message, "No. Trace ID: x");
        }
    }

    #[tokio::test]
    async fn the_number_may_stand_in_the_text_alone() {
        let error = refusal(
            "400 Bad Request",
            r#"{"error":"unauthorized_client","error_description":"AADSTS700016: Application with identifier 'x' was not found"}"#,
        )
        .await;
        assert!(matches!(
            error,
            DataverseError::SignIn {
                cause: SignInCause::UnknownClient,
                ..
            }
        ));
    }

    #[tokio::test]
    async fn a_fault_of_the_login_host_may_pass() {
        for (status, body) in [
            ("429 Too Many Requests", ""),
            ("500 Internal Server Error", "<html>"),
            ("400 Bad Request", r#"{"error":"temporarily_unavailable"}"#),
            (
                "400 Bad Request",
                r#"{"error":"invalid_grant","error_codes":[90033]}"#,
            ),
        ] {
            let error = refusal(status, body).await;
            assert_eq!(error.kind(), DataverseErrorKind::Unavailable, "{status}");
        }
    }

    #[tokio::test]
    async fn another_server_is_not_a_login_host() {
        let error = refusal("404 Not Found", "<html><title>Nothing here</title>").await;
        let DataverseError::SignIn { cause, error } = error else {
            panic!("{error}");
        };
        assert_eq!(cause, SignInCause::NotALoginHost);
        assert_eq!(error.message, "Nothing here");
        let answers = [
            ("302 Found", ""),
            ("200 OK", "<html>"),
            ("200 OK", ""),
            ("200 OK", r#"{"expires_in":3599}"#),
            ("200 OK", r#"{"expires_in":3599,"access_token":"a\nb"}"#),
        ];
        for (status, body) in answers {
            let error = refusal(status, body).await;
            assert_eq!(error.kind(), DataverseErrorKind::Credential, "{body}");
            let is_other = matches!(&error, DataverseError::SignIn { cause, .. } if *cause == SignInCause::NotALoginHost);
            assert!(is_other, "{error}");
        }
    }

    #[tokio::test]
    async fn neither_secret_nor_token_shows() {
        let server = Loopback::serve(|_, number| match number {
            0 => token("very-secret-token", 3599),
            1 => token("very-secret\\ntoken", 3599),
            _ => json(
                "401 Unauthorized",
                &format!(r#"{{"error":"invalid_client","error_description":"you sent {SECRET}"}}"#),
            ),
        })
        .await;
        let tokens = server.tokens();
        let got = tokens.current().await.unwrap();
        assert!(!format!("{got:?}").contains("very-secret"));
        for _ in 0..2 {
            let error = tokens.refresh_after(&got).await.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("very-secret"), "{shown}");
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
}
