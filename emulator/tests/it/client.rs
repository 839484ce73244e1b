//! A client without a socket: a service and a good token.

use segue_emulator::{CLIENT_ID, CLIENT_SECRET, Options, Request, Response, Service, TENANT_ID};
use serde_json::Value;
use uuid::Uuid;

pub(crate) const BASE: &str = "http://127.0.0.1/api/data/v9.2";

pub(crate) struct Client {
    pub(crate) service: Service,
    token: String,
}

pub(crate) fn token_request(form: &str) -> Request {
    Request::new("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form.to_owned())
}

pub(crate) fn good_form(origin: &str) -> String {
    format!(
        "client_id={CLIENT_ID}&scope={}%2F.default&client_secret={CLIENT_SECRET}\
         &grant_type=client_credentials",
        origin.replace(':', "%3A").replace('/', "%2F")
    )
}

pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&response.body)))
}

pub(crate) fn text(response: &Response) -> String {
    String::from_utf8(response.body.to_vec()).unwrap()
}

impl Client {
    pub(crate) fn fresh() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let service = Service::open(options).unwrap();
        let mut client = Self {
            service,
            token: String::new(),
        };
        client.sign_in();
        client
    }

    /// Goes on with the token of another application.
    pub(crate) fn sign_in_as(&mut self, client_id: Uuid, secret: &str) {
        let form = good_form(self.service.origin());
        let form = form.replace(CLIENT_ID, &client_id.to_string());
        let answer = self
            .service
            .handle(&token_request(&form.replace(CLIENT_SECRET, secret)));
        assert_eq!(answer.status, 200, "{}", text(&answer));
        json(&answer)["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.token);
    }

    pub(crate) fn sign_in(&mut self) {
        let answer = self
            .service
            .handle(&token_request(&good_form(self.service.origin())));
        let token = json(&answer)["access_token"].clone();
        self.token = token.as_str().unwrap().to_owned();
    }

    /// Goes on with a new token.
    pub(crate) fn sign_in_again_and<T>(mut self, work: impl FnOnce(&Self) -> T) -> T {
        self.sign_in();
        work(&self)
    }

    /// Adds the token and what every client sends.
    pub(crate) fn send(&self, request: Request) -> Response {
        let bearer = format!("Bearer {}", self.token);
        self.service.handle(
            &request
                .header("Authorization", &bearer)
                .header("OData-Version", "4.0"),
        )
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = Request::new(method, &format!("/api/data/v9.2/{path}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_owned());
        }
        self.send(request)
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        self.request("POST", path, &[], body)
    }

    pub(crate) fn patch(&self, path: &str, body: &str) -> Response {
        self.request("PATCH", path, &[], body)
    }

    /// Creates a row and returns its id.
    pub(crate) fn create(&self, set: &str, body: &str) -> String {
        let answer = self.post(set, body);
        assert_eq!(answer.status, 204, "{}", text(&answer));
        let url = answer.get("OData-EntityId").unwrap();
        let id = url.rsplit(['(', ')']).nth(1).unwrap();
        id.to_owned()
    }

    /// The rows of a query.
    pub(crate) fn query(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        json(&answer)["value"].as_array().unwrap().clone()
    }

    pub(crate) fn batch(&self, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::new("POST", "/api/data/v9.2/$batch")
            .header("Content-Type", "multipart/mixed; boundary=\"batch_A\"")
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.send(request)
    }
}

/// Status, code and message of a refusal.
#[track_caller]
pub(crate) fn refused(response: &Response, status: u16, code: &str, message: &str) {
    assert_eq!(response.status, status, "{}", text(response));
    let error = &json(response)["error"];
    assert_eq!(error["code"], code, "{error}");
    let found = error["message"].as_str().unwrap();
    assert!(found.contains(message), "{found}");
}
