//! The way of a request through the modelled service: in, to a worker, served, its time, out.
//!
//! Waiting is the runtime's: neither a thread nor the engine is held meanwhile.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{self, Instant};

use crate::request::{Delivery, Request, Response};
use crate::service::Service;
use crate::service::arrivals::Arrival;

/// Those who work on requests of the Web API.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    /// `None` if there is always one.
    free: Option<Semaphore>,
}

impl Workers {
    pub(crate) fn new(number: Option<std::num::NonZeroUsize>) -> Self {
        let number = number.map(|number| number.get().min(Semaphore::MAX_PERMITS));
        Self {
            free: number.map(Semaphore::new),
        }
    }

    /// Waits for a worker, in the order of arrival. Nobody is needed outside the Web API.
    async fn one(&self, arrival: &Arrival) -> Option<SemaphorePermit<'_>> {
        arrival.client?;
        self.free.as_ref()?.acquire().await.ok()
    }
}

impl Service {
    /// Serves one request as an emulator with a socket does: with waiting and service time.
    ///
    /// Dropped before it ends, the request is served or not; its worker is free at once.
    pub(crate) async fn attend(self: Arc<Self>, request: Request) -> Response {
        let arrival = match self.arrive(&request) {
            Ok(arrival) => arrival,
            Err(refused) => return refused,
        };
        let worker = self.workers.one(&arrival).await;
        let begun = Instant::now();
        let service = Arc::clone(&self);
        // Serving waits for a lock and for the disk, so it has a thread of its own.
        let served = tokio::task::spawn_blocking(move || {
            let response = service.serve(&request, &arrival);
            (response, arrival)
        });
        let Ok((response, arrival)) = served.await else {
            return Response::new(500);
        };
        if !response.takes.is_zero() {
            time::sleep_until(begun + response.takes).await;
        }
        drop(worker);
        if let Delivery::Late(time) = response.delivery {
            time::sleep(time).await;
        }
        // The request was under way until here.
        drop(arrival);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;
    use crate::limits::Limits;
    use crate::options::{CLIENT_ID, CLIENT_SECRET, Options, ServiceTime, TENANT_ID};

    fn open(options: Options) -> (Arc<Service>, String) {
        let service = Arc::new(Service::open(options).unwrap());
        let form = format!(
            "client_id={CLIENT_ID}&scope=http%3A%2F%2F127.0.0.1%2F.default&\
             client_secret={CLIENT_SECRET}&grant_type=client_credentials"
        );
        let target = format!("/{TENANT_ID}/oauth2/v2.0/token");
        let answer = service.handle(&Request::new("POST", &target).body(form));
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let token = answer["access_token"].as_str().unwrap();
        (service, format!("Bearer {token}"))
    }

    fn modelled(workers: usize) -> Options {
        Options {
            service_time: Some(ServiceTime {
                per_request: Duration::from_millis(100),
                per_row: Duration::from_millis(10),
            }),
            workers: NonZeroUsize::new(workers),
            ..Options::default()
        }
    }

    fn request(method: &str, path: &str, bearer: &str) -> Request {
        Request::new(method, &format!("/api/data/v9.2/{path}"))
            .header("Authorization", bearer)
            .header("Content-Type", "application/json")
    }

    fn create(bearer: &str) -> Request {
        request("POST", "accounts", bearer).body("{}")
    }

    /// How many milliseconds the service takes for requests that come at once.
    async fn time_of(service: &Arc<Service>, requests: impl IntoIterator<Item = Request>) -> u128 {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for request in requests {
            tasks.spawn(Arc::clone(service).attend(request));
        }
        tasks.join_all().await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_a_worker() {
        let (service, bearer) = open(modelled(2));
        let five = std::iter::repeat_with(|| create(&bearer)).take(5);
        assert_eq!(time_of(&service, five).await, 330);
        assert_eq!(service.rows("account").len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_are_written_or_shown_take_time() {
        let (service, bearer) = open(modelled(1));
        let list = || [request("GET", "accounts?$select=name", &bearer)];
        assert_eq!(time_of(&service, list()).await, 110);
        let part = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
                    \r\nPOST /api/data/v9.2/accounts HTTP/1.1\r\n\
                    Content-Type: application/json\r\n\r\n{}\r\n";
        let batch = Request::new("POST", "/api/data/v9.2/$batch")
            .header("Authorization", &bearer)
            .header("Content-Type", "multipart/mixed; boundary=b")
            .body(format!("{}--b--\r\n", part.repeat(20)));
        assert_eq!(time_of(&service, [batch]).await, 300);
        assert_eq!(time_of(&service, list()).await, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_the_web_api_takes_no_time() {
        let (service, bearer) = open(modelled(1));
        let refused = request("GET", "accounts", "Bearer nonsense");
        let journal = Request::new("GET", "/journal");
        assert_eq!(time_of(&service, [journal, refused]).await, 0);
        assert_eq!(time_of(&service, [create(&bearer)]).await, 110);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_wait_are_under_way() {
        let (service, bearer) = open(Options {
            limits: Some(Limits {
                concurrent: 3,
                ..Limits::default()
            }),
            ..modelled(1)
        });
        let five = std::iter::repeat_with(|| create(&bearer)).take(5);
        assert_eq!(time_of(&service, five).await, 330);
        assert_eq!(service.counts().throttled, 2);
        assert_eq!(time_of(&service, [create(&bearer)]).await, 110);
    }

    #[tokio::test(start_paused = true)]
    async fn modelled_time_is_the_execution_time_of_the_limits() {
        let (service, bearer) = open(Options {
            limits: Some(Limits {
                execution: Duration::from_millis(220),
                ..Limits::default()
            }),
            ..modelled(1)
        });
        let mut left = Vec::new();
        for _ in 0..3 {
            let answer = Arc::clone(&service).attend(create(&bearer)).await;
            let name = "x-ms-ratelimit-time-remaining-xrm-requests";
            left.push((answer.status, answer.get(name).unwrap().to_owned()));
        }
        let expected = [(204, "0.11"), (204, "0.00"), (429, "0.00")];
        assert_eq!(
            left,
            expected.map(|(status, left)| (status, left.to_owned()))
        );
    }
}
