//! A small HTTP server of the tests: it records what it is asked and answers as told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::address::Address;
use super::http::{Http, WireOptions};
use super::token::{Application, Tokens};
use super::transport::client_of;
use crate::model::{
    Action, ColumnKind, ColumnSet, EntitySetName, KeyDigest, LogicalName, Nulls, Operation,
    Position, Record, RecordId, RowTag, SourceDigest, Target, TargetColumn, Value,
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) line: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn is_for_token(&self) -> bool {
        self.line.contains("/oauth2/v2.0/token")
    }
}

/// What the server writes: all bytes of the response, or nothing and a closed connection.
pub(super) type Answers = dyn Fn(&Asked, usize) -> Vec<u8> + Send + Sync;

pub(super) struct Loopback {
    pub(super) origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _server: JoinSet<()>,
}

impl Loopback {
    /// Serves `answers`; the number counts the requests that went before.
    pub(super) async fn serve(
        answers: impl Fn(&Asked, usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Answers> = Arc::new(answers);
        let mut server = JoinSet::new();
        let log = Arc::clone(&asked);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer_one(stream, Arc::clone(&log), Arc::clone(&answers)));
            }
        });
        Self {
            origin,
            asked,
            _server: server,
        }
    }

    /// Serves a token to whoever asks, and `answers` to all other requests, which alone are counted.
    pub(super) async fn environment(
        answers: impl Fn(&Asked, usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let count = Mutex::new((0, 0));
        Self::serve(move |asked, _| {
            let mut count = count.lock().unwrap();
            if asked.is_for_token() {
                count.0 += 1;
                return token(&format!("token-{}", count.0), 3599);
            }
            count.1 += 1;
            answers(asked, count.1 - 1)
        })
        .await
    }

    /// Everything that was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked of the environment, tokens left out.
    pub(super) fn asked_of_environment(&self) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| !asked.is_for_token());
        asked
    }

    pub(super) fn tokens(&self) -> Tokens {
        self.tokens_with(&WireOptions::default())
    }

    pub(super) fn tokens_with(&self, options: &WireOptions) -> Tokens {
        let address = Address::parse(&self.origin).unwrap();
        Tokens::new(
            client_of(&address.batch, options).unwrap(),
            address
                .token_endpoint(Some(&self.origin), "contoso.example")
                .unwrap(),
            Application {
                client_id: "the-client".to_owned(),
                secret: SecretString::from(SECRET),
                resource: address.resource,
            },
        )
    }

    pub(super) fn http(&self) -> Arc<Http> {
        self.http_with(&WireOptions::default())
    }

    pub(super) fn http_with(&self, options: &WireOptions) -> Arc<Http> {
        self.http_of(options, Duration::ZERO)
    }

    /// One that asks again.
    pub(super) fn patient_http(&self) -> Arc<Http> {
        let options = WireOptions::default();
        self.http_of(&options, options.patience)
    }

    fn http_of(&self, options: &WireOptions, patience: Duration) -> Arc<Http> {
        let address = Address::parse(&self.origin).unwrap();
        let client = client_of(&address.batch, options).unwrap();
        Arc::new(Http::new(client, address, self.tokens(), patience))
    }
}

/// Has what a form must encode.
pub(super) const SECRET: &str = "s3cr+t&=%~";

/// A time-out that a test can wait for.
pub(super) fn impatient() -> WireOptions {
    WireOptions {
        request_timeout: Duration::from_millis(200),
        ..WireOptions::default()
    }
}

async fn answer_one(mut stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, answers: Arc<Answers>) {
    let Some(asked) = read_request(&mut stream).await else {
        return;
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    let answer = answers(&asked, number);
    if answer == SILENCE {
        std::future::pending::<()>().await;
    }
    stream.write_all(&answer).await.ok();
    stream.shutdown().await.ok();
}

/// In place of an answer: none, while the connection stays open.
pub(super) const SILENCE: &[u8] = b"silence";

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let line = lines.next()?.to_owned();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length = headers
                .iter()
                .find(|(name, _)| name == "content-length")
                .map_or(0, |(_, value)| value.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
                return Some(Asked {
                    line,
                    headers,
                    body,
                });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A response with that status line, those headers (each with its line end) and that body.
pub(super) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(super) fn json(status: &str, body: &str) -> Vec<u8> {
    response(
        status,
        "Content-Type: application/json; odata.metadata=minimal\r\n",
        body,
    )
}

pub(super) fn token(token: &str, lifetime: u32) -> Vec<u8> {
    json(
        "200 OK",
        &format!(
            r#"{{"token_type":"Bearer","expires_in":{lifetime},"ext_expires_in":3599,"access_token":"{token}"}}"#
        ),
    )
}

/// The body of a `$batch` answer with these inner responses: status line, headers, body.
pub(super) fn batch_body(parts: &[(&str, &str, &str)]) -> String {
    let mut body = String::new();
    for (status, headers, content) in parts {
        body.push_str("--batchresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n");
        body.extend([
            "HTTP/1.1 ",
            status,
            "\r\n",
            headers,
            "\r\n",
            content,
            "\r\n",
        ]);
    }
    body.push_str("--batchresponse_1--\r\n");
    body
}

/// A whole `$batch` answer.
pub(super) fn batch(parts: &[(&str, &str, &str)]) -> Vec<u8> {
    response(
        "200 OK",
        "Content-Type: multipart/mixed; boundary=batchresponse_1\r\nOData-Version: 4.0\r\n",
        &batch_body(parts),
    )
}

/// `contact`, keyed by those columns; `lastname` and `new_amount` beside them.
pub(super) fn contacts(key: &[(&str, ColumnKind)]) -> Target {
    let column = |name: &str, kind: &ColumnKind| {
        TargetColumn::new(
            LogicalName::parse(name).unwrap(),
            kind.clone(),
            Nulls::Owned,
        )
    };
    let text = ColumnKind::Text { max_length: 100 };
    let mut columns: Vec<TargetColumn> =
        key.iter().map(|(name, kind)| column(name, kind)).collect();
    columns.push(column("lastname", &text));
    columns.push(column("firstname", &text));
    Target {
        table: LogicalName::parse("contact").unwrap(),
        entity_set: EntitySetName::parse("contacts").unwrap(),
        primary_id: LogicalName::parse("contactid").unwrap(),
        key_is_primary_id: key.len() == 1 && key[0].0 == "contactid",
        key: (0..key.len()).collect(),
        columns,
    }
}

/// An operation on a record of these values that sends every column, the key's included.
pub(super) fn operation(action: Action, values: Vec<Value>) -> Operation {
    Operation {
        row: RowTag {
            position: Position::new(0, 1),
            key: KeyDigest([0; 16]),
            source: SourceDigest(0),
        },
        columns: (0..values.len()).collect::<ColumnSet>(),
        record: Record { values },
        action,
        standing: None,
    }
}

pub(super) fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(super) const TEXT: ColumnKind = ColumnKind::Text { max_length: 100 };
