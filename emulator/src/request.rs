//! Requests and responses apart from any socket, and what their headers ask for.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::refusal::Refusal;

/// A request as it came over the wire.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// Path and query, still encoded: `/api/data/v9.2/contacts?$top=1`
    pub target: String,
    /// In the order in which they came.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Bytes,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn call(&self) -> Call<'_> {
        let pairs = self.headers.iter();
        Call {
            method: &self.method,
            target: &self.target,
            headers: Headers(pairs.map(|(name, value)| (&**name, &**value)).collect()),
            body: &self.body,
        }
    }
}

/// A response before it goes over the wire.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// `204`
    pub status: u16,
    /// In the order in which they are sent.
    pub headers: Vec<(&'static str, String)>,
    /// As it is sent.
    pub body: Bytes,
    /// How much of it reaches the client.
    pub delivery: Delivery,
    /// How long the modelled service takes for it; zero without a model.
    pub takes: Duration,
}

/// How much of a response reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// All of it.
    #[default]
    Whole,
    /// The head and the first half of the body; then the connection is closed.
    HalfTheBody,
    /// The connection is closed instead.
    Nothing,
    /// All of it, after this time.
    Late(Duration),
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// `OData-Version` belongs to every answer of the Web API.
    pub(crate) fn odata(status: u16) -> Self {
        Self::new(status).header("OData-Version", "4.0".to_owned())
    }

    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        let mut response = Self::new(status).header("Content-Type", JSON.to_owned());
        response.headers.push(("OData-Version", "4.0".to_owned()));
        response.body = body.into();
        response
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The value of a header; case of the name does not matter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let pair = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        pair.map(|(_, value)| value.as_str())
    }

    pub(crate) fn refused(refusal: &Refusal, annotations: &Annotations) -> Self {
        let mut error = serde_json::Map::new();
        error.insert("code".to_owned(), refusal.code.into());
        error.insert("message".to_owned(), refusal.message.clone().into());
        for (name, value) in &refusal.details {
            let full = format!("Microsoft.PowerApps.CDS.ErrorDetails.{name}");
            if annotations.includes(&full) {
                error.insert(format!("@{full}"), value.clone().into());
            }
        }
        let help = "Microsoft.PowerApps.CDS.HelpLink";
        if annotations.includes(help) {
            let code = refusal.code.trim_start_matches("0x");
            let link = format!(
                "http://go.microsoft.com/fwlink/?LinkID=398563&error=\
                 Microsoft.Crm.CrmException%3a{code}&client=platform"
            );
            error.insert(format!("@{help}"), link.into());
        }
        let trace = "Microsoft.PowerApps.CDS.InnerError.Message";
        if annotations.includes(trace) {
            error.insert(format!("@{trace}"), refusal.message.clone().into());
        }
        let body = serde_json::json!({ "error": error }).to_string();
        let mut response = Self::new(refusal.status)
            .header("REQ_ID", uuid::Uuid::new_v4().to_string())
            .header(
                "Content-Type",
                "application/json; odata.metadata=minimal".to_owned(),
            )
            .header("OData-Version", "4.0".to_owned());
        if let Some(seconds) = refusal.retry_after {
            response = response.header("Retry-After", seconds.to_string());
        }
        response.body = body.into();
        response
    }
}

const JSON: &str = "application/json; odata.metadata=minimal; odata.streaming=true";

/// One operation: a request of its own or a part of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: Headers<'a>,
    pub(crate) body: &'a [u8],
}

impl<'a> Call<'a> {
    /// The body, which must be JSON and say so.
    pub(crate) fn json(&self) -> Result<&'a [u8], Refusal> {
        let kind = self.headers.get("Content-Type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(self.body);
        }
        let message = "The content type of the request is not application/json.";
        Err(Refusal::new(415, "0x80060888", message))
    }
}

/// Headers; case of their names does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl<'a> Headers<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let pair = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        pair.map(|(_, value)| value.trim())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter();
        pairs
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The token; empty without one.
    pub(crate) fn bearer(&self) -> &'a str {
        let header = self.get("Authorization").unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("Bearer") {
            token.trim()
        } else {
            ""
        }
    }

    /// The preferences of all `Prefer` headers.
    pub(crate) fn preferences(&self) -> Preferences {
        let mut preferences = Preferences::default();
        for header in self.all("Prefer") {
            for preference in outside_quotes(header, ',') {
                preferences.take(preference.trim());
            }
        }
        preferences
    }

    pub(crate) fn condition(&self) -> Result<Condition, Refusal> {
        // The docs tell clients to send the literal word `null`; it asks for nothing.
        let given = |name| self.get(name).filter(|value| *value != "null");
        Ok(match (given("If-Match"), given("If-None-Match")) {
            (None, None) => Condition::None,
            (Some("*"), None) => Condition::Exists,
            (None, Some("*")) => Condition::Absent,
            (Some(tag), None) => Condition::Version(version_of(tag)?),
            (None, Some(tag)) => Condition::NotVersion(version_of(tag)?),
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    400,
                    "0x80060888",
                    "If-Match and If-None-Match cannot be given together.",
                ));
            }
        })
    }
}

/// What `If-Match` and `If-None-Match` ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    /// `If-Match: *`
    Exists,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: W/"n"`
    Version(u64),
    /// `If-None-Match: W/"n"`
    NotVersion(u64),
}

fn version_of(tag: &str) -> Result<u64, Refusal> {
    let inner = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = inner.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let elastic = |inner: &str| {
        let (low, rest) = inner.split_once("-0000-0200-0000-")?;
        let low = u64::from_str_radix(low, 16)
            .ok()
            .filter(|_| low.len() == 8)?;
        let high = u64::from_str_radix(rest, 16)
            .ok()
            .filter(|_| rest.len() == 12)?;
        Some(low | high.checked_shl(32)?)
    };
    let version = inner.and_then(|inner| inner.parse().ok().or_else(|| elastic(inner)));
    version.ok_or_else(|| {
        Refusal::new(
            400,
            "0x80060888",
            format!("The entity tag '{tag}' is not of the form W/\"<version>\"."),
        )
    })
}

/// The preferences of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preferences {
    pub(crate) representation: bool,
    pub(crate) continue_on_error: bool,
    pub(crate) track_changes: bool,
    pub(crate) page_size: Option<usize>,
    pub(crate) annotations: Annotations,
}

impl Preferences {
    fn take(&mut self, preference: &str) {
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "return" => self.representation = value.eq_ignore_ascii_case("representation"),
            "odata.continue-on-error" => {
                self.continue_on_error = !value.eq_ignore_ascii_case("false");
            }
            "odata.track-changes" => self.track_changes = true,
            "odata.maxpagesize" => self.page_size = value.parse().ok(),
            "odata.include-annotations" => {
                let names = value.split(',').map(|name| name.trim().to_owned());
                self.annotations = Annotations(names.collect());
            }
            _ => {}
        }
    }
}

/// Which annotations were asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Annotations(Vec<String>);

impl Annotations {
    pub(crate) fn includes(&self, annotation: &str) -> bool {
        self.0.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(start) => annotation.starts_with(start),
            None => annotation == wanted,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The pieces between separators that do not stand in double quotes.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |character| {
        if character == '"' {
            is_quoted = !is_quoted;
        }
        character == separator && !is_quoted
    })
}

/// A piece of a URL with its percent triplets decoded; borrowed if there are none.
pub(crate) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_come_in_one_header() {
        let value =
            "return=representation,odata.include-annotations=\"A.*,B\", odata.maxpagesize=5";
        let preferences = Headers(vec![("prefer", value)]).preferences();
        assert!(preferences.representation);
        assert!(!preferences.continue_on_error);
        assert_eq!(preferences.page_size, Some(5));
        assert!(preferences.annotations.includes("A.x"));
        assert!(preferences.annotations.includes("B"));
        assert!(!preferences.annotations.includes("B.x"));
    }

    #[test]
    fn the_word_null_is_no_condition() {
        let headers = Headers(vec![("If-None-Match", "null"), ("If-Match", "W/\"7\"")]);
        assert_eq!(headers.condition(), Ok(Condition::Version(7)));
    }
}
