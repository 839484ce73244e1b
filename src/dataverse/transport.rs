//! The HTTP client below every request: how it is made, how much of a body is taken, and its errors in words.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Client;

use super::DataverseError;
use super::address::is_loopback;
use super::http::WireOptions;

/// Room that an answer gets at once if it says that it needs it.
const LIKELY_ANSWER: usize = 1 << 20;

/// Answers beyond this are cut; the metadata of the largest table has some megabytes.
const LARGEST_ANSWER: usize = 256 << 20;

/// A client for one host. Loopback hosts are never asked through a proxy.
pub(super) fn client(host: &str, options: &WireOptions) -> Result<Client, DataverseError> {
    // The build has no default provider. Whoever installs one first wins; both are the same.
    match rustls::crypto::ring::default_provider().install_default() {
        Ok(()) | Err(_) => {}
    }
    let builder = Client::builder()
        .user_agent(concat!("segue/", env!("CARGO_PKG_VERSION")))
        // One connection is one front-end server, and the service's limits go by server.
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(options.request_timeout)
        .pool_max_idle_per_host(options.connections.get())
        .pool_idle_timeout(Duration::from_secs(55));
    let builder = if is_loopback(host) {
        builder.no_proxy()
    } else {
        builder
    };
    builder.build().map_err(DataverseError::Client)
}

/// Reads what there is of a body, and says why there is no more.
pub(super) async fn body_of(response: &mut reqwest::Response) -> (Bytes, Option<String>) {
    // Told by whoever answers: believed only as far as it costs little.
    let told = response.content_length().unwrap_or(0);
    let room = usize::try_from(told).unwrap_or(0).min(LIKELY_ANSWER);
    let mut body = BytesMut::with_capacity(room);
    let cut = loop {
        match response.chunk().await {
            Ok(None) => break None,
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                break Some("the answer is too long".to_owned());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => break Some(in_words(error)),
        }
    };
    (body.freeze(), cut)
}

/// Tells a request that was not sent from one without an answer.
pub(super) fn network_error(host: &str, error: reqwest::Error) -> DataverseError {
    let host = host.to_owned();
    if error.is_builder() {
        return DataverseError::Client(error.without_url());
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
