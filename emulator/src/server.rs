//! Real HTTP over connections that break on demand.
//!
//! What is answered is left to the service.

pub(crate) mod line;
pub(crate) mod tls;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;

use crate::refusal::Refusal;
use crate::request::{Annotations, Delivery, Request, Response};
use crate::server::line::{Cut, Loopback};
use crate::service::Service;

/// Serves until `stop` completes, then finishes what is under way.
pub(crate) async fn serve(
    listener: Loopback,
    service: Arc<Service>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(service));
    let router = router.into_make_service_with_connect_info::<Cut>();
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

async fn answer(
    Extension(service): Extension<Arc<Service>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, service.body_bytes()).await else {
        let message = "Request message length is too large.";
        let refusal = Refusal::new(413, "0x8004418a", message);
        return sent(Response::refused(&refusal, &Annotations::default()), &cut);
    };
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let request = Request {
        method: head.method.as_str().to_owned(),
        target: target(&head.uri),
        headers: headers.collect(),
        body,
    };
    sent(service.attend(request).await, &cut)
}

/// Path and query, also of a request line with an absolute URL.
fn target(uri: &axum::http::Uri) -> String {
    uri.path_and_query()
        .map_or_else(|| uri.path().to_owned(), |path| path.as_str().to_owned())
}

fn sent(response: Response, cut: &Cut) -> axum::response::Response {
    let body = match response.delivery {
        Delivery::Whole | Delivery::Late(_) => Body::from(response.body),
        Delivery::HalfTheBody => Body::new(Half::new(&response.body)),
        Delivery::Nothing => {
            cut.break_off();
            Body::empty()
        }
    };
    let mut answer = axum::response::Response::new(body);
    *answer.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            answer.headers_mut().append(name, value);
        }
    }
    if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// Half of a body, with the length of the whole announced; then an error.
struct Half {
    announced: u64,
    rest: Option<Bytes>,
    was_flushed: bool,
}

impl Half {
    fn new(body: &Bytes) -> Self {
        Self {
            announced: u64::try_from(body.len()).unwrap_or(u64::MAX).max(1),
            rest: Some(body.slice(..body.len() / 2)),
            was_flushed: false,
        }
    }
}

impl HttpBody for Half {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        if let Some(half) = self.rest.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(half))));
        }
        if !self.was_flushed {
            // While it waits, the connection sends what it has.
            self.was_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.announced)
    }
}
