//! The HTTP client below every request: how it is made, how much of a body is taken, and its errors in words.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use reqwest::{Body, Client, Url};

use super::DataverseError;
use super::address::is_loopback;
use super::http::WireOptions;

/// Room that an answer gets at once if it says that it needs it.
const LIKELY_ANSWER: usize = 1 << 20;

/// Answers beyond this are cut; the metadata of the largest table has some megabytes.
const LARGEST_ANSWER: usize = 256 << 20;

/// Clients for the login host and for the environment: one for both, since each reads the system's certificates anew,
/// unless they are reached in different ways.
pub(super) fn clients(
    login: &Url,
    environment: &Url,
    options: &WireOptions,
) -> Result<(Client, Client), DataverseError> {
    let client = client_of(environment, options)?;
    let way = |url: &Url| (url.scheme() == PLAIN, is_on_this_machine(url));
    let login = if way(login) == way(environment) {
        client.clone()
    } else {
        client_of(login, options)?
    };
    Ok((login, client))
}

/// The scheme of an address that is reached without TLS.
const PLAIN: &str = "http";

fn is_on_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

/// A client for the host of an address. Loopback hosts are never asked through a proxy, and the system's certificates are
/// read only for TLS.
pub(super) fn client_of(url: &Url, options: &WireOptions) -> Result<Client, DataverseError> {
    // The build has no default provider. Whoever installs one first wins; both are the same.
    match rustls::crypto::ring::default_provider().install_default() {
        Ok(()) | Err(_) => {}
    }
    let builder = Client::builder()
        .user_agent(concat!("segue/", env!("CARGO_PKG_VERSION")))
        // One connection is one front-end server, and the service's limits go by server.
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        // What the client would repeat by itself, HTTP/1.1 has not: nothing need be kept for it.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .connect_timeout(Duration::from_secs(10))
        .timeout(options.request_timeout)
        .pool_max_idle_per_host(options.connections.get())
        .pool_idle_timeout(Duration::from_secs(55));
    let builder = if is_on_this_machine(url) {
        builder.no_proxy()
    } else {
        builder
    };
    let builder = if url.scheme() == PLAIN {
        builder.tls_certs_only([])
    } else {
        builder
    };
    let client = builder.build();
    client.map_err(|error| DataverseError::Client(Arc::new(error)))
}

/// A body of which the client keeps no copy, so that its memory is free as soon as it is sent.
pub(super) fn once(body: Bytes) -> Body {
    Body::wrap(Full::new(body))
}

/// Reads what there is of a body, and says why there is no more.
pub(super) async fn body_of(response: &mut reqwest::Response) -> (Bytes, Option<String>) {
    // Told by whoever answers: believed only as far as it costs little.
    let told = response.content_length().unwrap_or(0);
    let room = usize::try_from(told).unwrap_or(0).min(LIKELY_ANSWER);
    // Most answers come in one piece, which is taken as it is.
    let mut first = Bytes::new();
    let mut body = BytesMut::new();
    let cut = loop {
        match response.chunk().await {
            Ok(None) => break None,
            Ok(Some(chunk)) if first.len() + body.len() + chunk.len() > LARGEST_ANSWER => {
                break Some("the answer is too long".to_owned());
            }
            Ok(Some(chunk)) if first.is_empty() && body.is_empty() => first = chunk,
            Ok(Some(chunk)) => {
                if body.is_empty() {
                    body.reserve(room);
                    body.extend_from_slice(&std::mem::take(&mut first));
                }
                body.extend_from_slice(&chunk);
            }
            Err(error) => break Some(in_words(error)),
        }
    };
    let whole = if body.is_empty() {
        first
    } else {
        body.freeze()
    };
    (whole, cut)
}

/// Tells a request that was not sent from one without an answer.
pub(super) fn network_error(host: String, error: reqwest::Error) -> DataverseError {
    if error.is_builder() {
        return DataverseError::Client(Arc::new(error.without_url()));
    }
    if error.is_connect() {
        return DataverseError::Unreachable {
            host,
            why: in_words(error),
        };
    }
    DataverseError::Unanswered {
        host,
        why: in_words(error),
    }
}

/// The error and its causes in one line. Without the address, since addresses carry keys.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::http::Request;
    use super::super::loopback::{Loopback, json};

    #[tokio::test]
    async fn an_answer_is_whole_however_many_pieces_it_comes_in() {
        let body = |length: usize| -> String {
            let letters = (b'a'..=b'z').cycle().map(char::from);
            letters.take(length).collect()
        };
        for length in [0, 1, 26 * 1024, 3 << 20] {
            let server = Loopback::environment(move |_, _| json("200 OK", &body(length))).await;
            let path = "/api/data/v9.2/contacts".to_owned();
            let asked = Request::Get { path, prefer: None };
            let answer = server.http().ask(&asked).await.unwrap();
            assert_eq!((answer.status, &answer.cut), (200, &None));
            assert_eq!(answer.body.len(), length);
            assert!(answer.body == body(length).as_bytes());
        }
    }
}
