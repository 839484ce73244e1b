//! The token endpoint: client credentials for tokens, and which tokens are good.
//!
//! Tokens are opaque and random. No certificate is registered for any application, so that a client
//! assertion is always refused. Source: Microsoft Learn, "OAuth 2.0 client credentials flow on the
//! Microsoft identity platform" and "Microsoft Entra authentication and authorization error codes".

pub(crate) mod clients;

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::lock;
use crate::odata::address::guid;
use crate::options::TENANT_ID;
use crate::request::{Request, Response, decoded};
use crate::ring;
use crate::token::clients::{Registration, Registry, SecretState};

/// Tokens kept at a time; older ones are forgotten, which a client sees as their end.
pub(crate) const TOKENS: usize = 100_000;

/// The tokens that were given.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    tokens: HashMap<String, Token>,
    oldest_first: VecDeque<String>,
}

#[derive(Debug)]
struct Token {
    client: Uuid,
    /// Milliseconds since 1970.
    end: u64,
}

impl Tokens {
    /// The application that a good token was given to.
    pub(crate) fn client_of(&self, token: &str, now: u64) -> Option<Uuid> {
        let given = lock(&self.given);
        let token = given.tokens.get(token)?;
        (now < token.end).then_some(token.client)
    }

    pub(crate) fn revoke(&self, token: &str) {
        lock(&self.given).tokens.remove(token);
    }

    /// Tokens that are kept, and places in the order of their ends.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let given = lock(&self.given);
        given.tokens.len().max(given.oldest_first.len())
    }

    pub(crate) fn revoke_all(&self) {
        *lock(&self.given) = Given::default();
    }

    pub(crate) fn revoke_of(&self, client: Uuid) {
        lock(&self.given)
            .tokens
            .retain(|_, token| token.client != client);
    }

    fn give(&self, client: Uuid, now: u64, lifetime: Duration) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut given = lock(&self.given);
        while let Some(oldest) = given.oldest_first.front().cloned() {
            let is_over = given
                .tokens
                .get(&oldest)
                .is_none_or(|token| token.end <= now);
            if !is_over && given.oldest_first.len() < TOKENS {
                break;
            }
            given.oldest_first.pop_front();
            given.tokens.remove(&oldest);
        }
        let end = now.saturating_add(lifetime);
        given.tokens.insert(token.clone(), Token { client, end });
        ring::push(&mut given.oldest_first, TOKENS, token.clone());
        token
    }
}

/// What a token request needs to know of the environment.
pub(crate) struct Issuer<'a> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) registry: &'a Registry,
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

/// The two token endpoints of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/oauth2/token`, which takes a `resource`.
    First,
    /// `/oauth2/v2.0/token`, which takes a `scope`.
    Second,
}

/// Answers a request to a tenant's token endpoint.
pub(crate) fn answer(
    issuer: &Issuer<'_>,
    endpoint: Endpoint,
    tenant: &str,
    request: &Request,
) -> Response {
    let body = std::str::from_utf8(&request.body).unwrap_or_default();
    let mut form = Form(body.split('&').filter_map(field).collect());
    form.add_credentials(request);
    let response = match grant(issuer, endpoint, tenant, &form) {
        Ok(token) => granted(issuer, endpoint, &form, &token),
        Err(denial) => denied(&denial, issuer.now),
    };
    response
        .header("Content-Type", "application/json; charset=utf-8".to_owned())
        .header("Cache-Control", "no-store, no-cache".to_owned())
        .header("Pragma", "no-cache".to_owned())
}

/// Where clients that look first find the endpoints of a tenant.
pub(crate) fn discovery(origin: &str, tenant: &str) -> Json {
    json!({
        "token_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": [
            "client_secret_post", "private_key_jwt", "client_secret_basic",
        ],
        "authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/authorize"),
        "issuer": format!("{origin}/{tenant}/v2.0"),
        "response_types_supported": ["code"],
        "scopes_supported": ["openid"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "jwks_uri": format!("{origin}/{tenant}/discovery/v2.0/keys"),
    })
}

/// The fields of a token request; one that stands twice counts as written last.
struct Form(HashMap<String, String>);

impl Form {
    /// Takes what an `Authorization: Basic` header says of the client, where the form is silent:
    /// both halves are form-encoded first. OAuth libraries do so unless they are told otherwise.
    fn add_credentials(&mut self, request: &Request) {
        let call = request.call();
        let header = call.headers.get("Authorization").unwrap_or_default();
        let (scheme, credentials) = header.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("Basic") {
            return;
        }
        let text = BASE64
            .decode(credentials.trim())
            .ok()
            .and_then(|b| String::from_utf8(b).ok());
        let Some((client, secret)) = text.as_deref().and_then(|text| text.split_once(':')) else {
            return;
        };
        for (name, value) in [("client_id", client), ("client_secret", secret)] {
            if let (None, Some((_, value))) = (self.get(name), field(&format!("{name}={value}"))) {
                self.0.insert(name.to_owned(), value);
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).filter(|value| !value.is_empty());
        value.map(String::as_str)
    }

    fn needed(&self, name: &str) -> Result<&str, Denial> {
        self.get(name).ok_or_else(|| {
            let message =
                format!("The request body must contain the following parameter: '{name}'.");
            Denial::new(400, "invalid_request", 900_144, message)
        })
    }
}

fn granted(issuer: &Issuer<'_>, endpoint: Endpoint, form: &Form, token: &str) -> Response {
    let seconds = issuer.lifetime.as_secs();
    let body = match endpoint {
        Endpoint::Second => json!({
            "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
            "access_token": token,
        }),
        // Its numbers are text.
        Endpoint::First => json!({
            "token_type": "Bearer",
            "expires_in": seconds.to_string(),
            "ext_expires_in": seconds.to_string(),
            "expires_on": (issuer.now / 1000 + seconds).to_string(),
            "not_before": (issuer.now / 1000).to_string(),
            "resource": form.get("resource"),
            "access_token": token,
        }),
    };
    let mut response = Response::new(200);
    response.body = body.to_string().into();
    response
}

fn grant(
    issuer: &Issuer<'_>,
    endpoint: Endpoint,
    tenant: &str,
    form: &Form,
) -> Result<String, Denial> {
    check_tenant(tenant)?;
    let grant_type = form.needed("grant_type")?;
    if grant_type != "client_credentials" {
        let message = format!("The app requested an unsupported grant type '{grant_type}'.");
        return Err(Denial::new(400, "unsupported_grant_type", 70003, message));
    }
    let named = form.needed("client_id")?;
    let resource = match endpoint {
        Endpoint::First => form.needed("resource")?,
        Endpoint::Second => form.needed("scope")?,
    };
    let client = guid(named).and_then(|id| Some((id, issuer.registry.get(id)?)));
    let (client, known) = client.ok_or_else(|| unknown_client(named, tenant))?;
    if known.is_disabled {
        let message = format!("Application '{named}' is disabled.");
        return Err(Denial::new(400, "unauthorized_client", 7_000_112, message));
    }
    check_secret(&known, named, form)?;
    match endpoint {
        Endpoint::First => check_resource(resource, issuer.origins, tenant)?,
        Endpoint::Second => check_scope(resource, issuer.origins, tenant)?,
    }
    Ok(issuer.tokens.give(client, issuer.now, issuer.lifetime))
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

fn unknown_client(client: &str, tenant: &str) -> Denial {
    let message = format!(
        "Application with identifier '{client}' was not found in the directory '{tenant}'. This \
         can happen if the application has not been installed by the administrator of the tenant \
         or consented to by any user in the tenant. You may have sent your authentication request \
         to the wrong tenant."
    );
    Denial::new(400, "unauthorized_client", 700_016, message)
}

fn check_secret(known: &Registration, client: &str, form: &Form) -> Result<(), Denial> {
    let invalid = |number, message: String| {
        let error = "invalid_client";
        Err(Denial::new(401, error, number, message))
    };
    let Some(secret) = form.get("client_secret") else {
        if form.get("client_assertion").is_none() {
            let message = "'client_assertion', 'client_secret' or 'request' is required for the \
                           'client_credentials' grant type.";
            return invalid(7_000_216, message.to_owned());
        }
        let message = "Client assertion failed signature validation. The certificate with which \
                       it was signed is not registered on the application.";
        return invalid(700_027, message.to_owned());
    };
    if secret != known.secret {
        let message = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the \
             client secret value, not the client secret ID, for a secret added to app '{client}'."
        );
        return invalid(7_000_215, message);
    }
    if known.secret_state == SecretState::Lapsed {
        let message = format!(
            "The provided client secret keys for app '{client}' are expired. Create new keys for \
             your app, or consider using certificate credentials for added security."
        );
        return invalid(7_000_222, message);
    }
    Ok(())
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
    check_resource(resource, origins, tenant)
}

fn check_resource(resource: &str, origins: &[String], tenant: &str) -> Result<(), Denial> {
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
