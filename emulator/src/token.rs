//! The token endpoint: client credentials for tokens, and which tokens are good.
//!
//! Tokens are opaque and random. Source: Microsoft Learn, "OAuth 2.0 client credentials flow on the
//! Microsoft identity platform" and "Microsoft Entra authentication and authorization error codes".

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::lock;
use crate::options::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};
use crate::request::{Request, Response, decoded};

/// Tokens kept at a time; older ones are forgotten, which a client sees as their end.
const TOKENS: usize = 100_000;

/// The tokens that were given.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    /// Milliseconds since 1970.
    ends: HashMap<String, u64>,
    oldest_first: VecDeque<String>,
}

impl Tokens {
    pub(crate) fn is_good(&self, token: &str, now: u64) -> bool {
        lock(&self.given)
            .ends
            .get(token)
            .is_some_and(|end| now < *end)
    }

    pub(crate) fn revoke_all(&self) {
        *lock(&self.given) = Given::default();
    }

    fn give(&self, now: u64, lifetime: Duration) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut given = lock(&self.given);
        while let Some(oldest) = given.oldest_first.front().cloned() {
            let is_over = given.ends.get(&oldest).is_none_or(|end| *end <= now);
            if !is_over && given.oldest_first.len() < TOKENS {
                break;
            }
            given.oldest_first.pop_front();
            given.ends.remove(&oldest);
        }
        given
            .ends
            .insert(token.clone(), now.saturating_add(lifetime));
        given.oldest_first.push_back(token.clone());
        token
    }
}

/// What a token request needs to know of the environment.
pub(crate) struct Issuer<'a> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) now: u64,
    pub(crate) lifetime: Duration,
    /// The origins that name this environment.
    pub(crate) origins: &'a [String],
}

struct Denial {
    status: u16,
    error: &'static str,
    number: u32,
    message: String,
}

impl Denial {
    fn new(status: u16, error: &'static str, number: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            error,
            number,
            message: message.into(),
        }
    }
}

/// Answers a request to a tenant's token endpoint.
pub(crate) fn answer(issuer: &Issuer<'_>, tenant: &str, request: &Request) -> Response {
    let response = match grant(issuer, tenant, request) {
        Ok(token) => {
            let seconds = issuer.lifetime.as_secs();
            let body = json!({
                "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
                "access_token": token,
            });
            let mut response = Response::new(200);
            response.body = body.to_string().into();
            response
        }
        Err(denial) => denied(&denial, issuer.now),
    };
    response
        .header("Content-Type", "application/json; charset=utf-8".to_owned())
        .header("Cache-Control", "no-store, no-cache".to_owned())
        .header("Pragma", "no-cache".to_owned())
}

fn grant(issuer: &Issuer<'_>, tenant: &str, request: &Request) -> Result<String, Denial> {
    check_tenant(tenant)?;
    let body = std::str::from_utf8(&request.body).unwrap_or_default();
    let form: HashMap<String, String> = body.split('&').filter_map(field).collect();
    let field = |name: &str| {
        let value = form.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| {
            let message =
                format!("The request body must contain the following parameter: '{name}'.");
            Denial::new(400, "invalid_request", 900_144, message)
        })
    };
    let grant_type = field("grant_type")?;
    if grant_type != "client_credentials" {
        let message = format!("The app requested an unsupported grant type '{grant_type}'.");
        return Err(Denial::new(400, "unsupported_grant_type", 70003, message));
    }
    let client = field("client_id")?;
    let scope = field("scope")?;
    check_client(client, tenant)?;
    check_secret(form.get("client_secret"))?;
    check_scope(scope, issuer.origins, tenant)?;
    Ok(issuer.tokens.give(issuer.now, issuer.lifetime))
}

fn check_tenant(tenant: &str) -> Result<(), Denial> {
    if tenant.eq_ignore_ascii_case(TENANT_ID) {
        return Ok(());
    }
    if Uuid::parse_str(tenant).is_ok() || tenant.contains('.') {
        let message = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and \
             are signing into the correct cloud. Check with your subscription administrator, this \
             may happen if there are no active subscriptions for the tenant."
        );
        return Err(Denial::new(400, "invalid_request", 90002, message));
    }
    let message = format!(
        "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external \
         domain."
    );
    Err(Denial::new(400, "invalid_request", 900_023, message))
}

fn check_client(client: &str, tenant: &str) -> Result<(), Denial> {
    if client.eq_ignore_ascii_case(CLIENT_ID) {
        return Ok(());
    }
    let message = format!(
        "Application with identifier '{client}' was not found in the directory '{tenant}'. This \
         can happen if the application has not been installed by the administrator of the tenant \
         or consented to by any user in the tenant. You may have sent your authentication request \
         to the wrong tenant."
    );
    Err(Denial::new(400, "unauthorized_client", 700_016, message))
}

fn check_secret(secret: Option<&String>) -> Result<(), Denial> {
    match secret.map(String::as_str) {
        Some(CLIENT_SECRET) => Ok(()),
        None | Some("") => Err(Denial::new(
            401,
            "invalid_client",
            7_000_216,
            "'client_assertion', 'client_secret' or 'request' is required for the \
             'client_credentials' grant type.",
        )),
        Some(_) => Err(Denial::new(
            401,
            "invalid_client",
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is \
                 the client secret value, not the client secret ID, for a secret added to app \
                 '{CLIENT_ID}'."
            ),
        )),
    }
}

fn check_scope(scope: &str, origins: &[String], tenant: &str) -> Result<(), Denial> {
    let is_resource = scope.contains("://") && !scope.contains(char::is_whitespace);
    if !is_resource {
        let message = format!(
            "The provided request must include a 'scope' input parameter. The provided value for \
             the input parameter 'scope' is not valid. The scope {scope} is not valid."
        );
        return Err(Denial::new(400, "invalid_scope", 70011, message));
    }
    let Some(resource) = scope.strip_suffix("/.default") else {
        let message = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have \
             a scope value with /.default suffixed to the resource identifier (application ID URI)."
        );
        return Err(Denial::new(400, "invalid_scope", 1_002_012, message));
    };
    let audience = resource.strip_suffix('/').unwrap_or(resource);
    if origins
        .iter()
        .any(|origin| origin.eq_ignore_ascii_case(audience))
    {
        return Ok(());
    }
    let message = format!(
        "The resource principal named {resource} was not found in the tenant named {tenant}. This \
         can happen if the application has not been installed by the administrator of the tenant \
         or consented to by any user in the tenant. You might have sent your authentication \
         request to the wrong tenant."
    );
    Err(Denial::new(400, "invalid_resource", 500_011, message))
}

fn denied(denial: &Denial, now: u64) -> Response {
    let trace = Uuid::new_v4();
    let correlation = Uuid::new_v4();
    let now = i64::try_from(now).ok();
    let now = now.and_then(|now| Timestamp::from_millisecond(now).ok());
    let now = now.unwrap_or_default().strftime("%Y-%m-%d %H:%M:%SZ");
    let Denial {
        number, message, ..
    } = denial;
    let body = json!({
        "error": denial.error,
        "error_description": format!(
            "AADSTS{number}: {message}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n\
             Timestamp: {now}"
        ),
        "error_codes": [number],
        "timestamp": now.to_string(),
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    let mut response = Response::new(denial.status);
    response.body = body.to_string().into();
    response
}

fn field(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let plain = |text: &str| Some(decoded(&text.replace('+', " "))?.into_owned());
    Some((plain(name)?, plain(value)?))
}
