//! Over a real socket: connections that break, ports and data files that are taken, restarts.

use segue_emulator::schema::Schema;
use segue_emulator::{
    CLIENT_ID, CLIENT_SECRET, Emulator, EmulatorError, Fault, OperationFault, Options, TENANT_ID,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back until the connection was closed.
async fn exchange(emulator: &Emulator, request: &str) -> String {
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset ends the answer as well.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

async fn token(emulator: &Emulator) -> String {
    let scope = emulator.url().replace(':', "%3A").replace('/', "%2F");
    let form = format!(
        "client_id={CLIENT_ID}&scope={scope}%2F.default&client_secret={CLIENT_SECRET}\
         &grant_type=client_credentials"
    );
    let request = format!(
        "POST /{TENANT_ID}/oauth2/v2.0/token HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        emulator.address(),
        form.len()
    );
    let answer = exchange(emulator, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    body(&answer)["access_token"].as_str().unwrap().to_owned()
}

async fn send(emulator: &Emulator, token: &str, method: &str, path: &str, body: &str) -> String {
    let request = format!(
        "{method} /api/data/v9.2/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        emulator.address(),
        body.len()
    );
    exchange(emulator, &request).await
}

async fn accounts(emulator: &Emulator, token: &str) -> usize {
    let answer = send(emulator, token, "GET", "accounts?$select=name", "").await;
    body(&answer)["value"].as_array().unwrap().len()
}

fn kept_in(folder: &tempfile::TempDir) -> Options {
    Options {
        data: Some(folder.path().join("sandbox.db")),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_row_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(kept_in(&folder)).await.unwrap();
    let organization = emulator.organization_id();
    let good = token(&emulator).await;
    let answer = send(
        &emulator,
        &good,
        "POST",
        "accounts",
        r#"{"name":"A","revenue":12.5}"#,
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 204 No Content\r\n"),
        "{answer}"
    );
    let before = emulator.rows("account");
    emulator.stop().await;

    let emulator = Emulator::start(kept_in(&folder)).await.unwrap();
    assert_eq!(emulator.organization_id(), organization);
    assert_eq!(emulator.rows("account"), before);
    assert_eq!(emulator.rows("systemuser").len(), 1);
}

#[tokio::test]
async fn a_dropped_emulator_leaves_whole_requests_behind() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(kept_in(&folder)).await.unwrap();
    let good = token(&emulator).await;
    send(&emulator, &good, "POST", "accounts", r#"{"name":"A"}"#).await;
    drop(emulator);
    let emulator = Emulator::start(kept_in(&folder)).await.unwrap();
    assert_eq!(emulator.rows("account").len(), 1);
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(kept_in(&folder)).await.unwrap();
    let good = token(&emulator).await;
    for _ in 0..3 {
        send(&emulator, &good, "POST", "accounts", r#"{"name":"A"}"#).await;
    }
    // What stands on disk now is all that a killed process would leave.
    let left = tempfile::tempdir().unwrap();
    for name in ["sandbox.db", "sandbox.db-wal"] {
        std::fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let again = Emulator::start(kept_in(&left)).await.unwrap();
    assert_eq!(again.rows("account"), emulator.rows("account"));
    assert_eq!(again.rows("account").len(), 3);
}

#[tokio::test]
async fn one_process_holds_a_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Emulator::start(kept_in(&folder)).await.unwrap();
    let second = Emulator::start(kept_in(&folder)).await;
    assert!(matches!(second.err(), Some(EmulatorError::Held { .. })));
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let first = Emulator::start(Options::default()).await.unwrap();
    let port = first.address().port();
    let second = Emulator::start(Options {
        port,
        ..Options::default()
    })
    .await;
    assert!(matches!(second.err(), Some(EmulatorError::PortTaken { port: p }) if p == port));
}

#[tokio::test]
async fn a_foreign_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = kept_in(&folder);
    let path = options.data.clone().unwrap();
    for foreign in ["name,city\nAnn,Bern\n".repeat(100), "x".to_owned()] {
        std::fs::write(&path, &foreign).unwrap();
        let started = Emulator::start(options.clone()).await;
        assert!(matches!(started.err(), Some(EmulatorError::NotOurs { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
    }
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_commit() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let good = token(&emulator).await;
    emulator.next_requests([Fault::CloseBeforeCommit, Fault::CloseAfterCommit]);
    let lost = send(&emulator, &good, "POST", "accounts", r#"{"name":"A"}"#).await;
    assert_eq!((lost.as_str(), accounts(&emulator, &good).await), ("", 0));
    let lost = send(&emulator, &good, "POST", "accounts", r#"{"name":"A"}"#).await;
    assert_eq!((lost.as_str(), accounts(&emulator, &good).await), ("", 1));
}

#[tokio::test]
async fn half_of_a_body_arrives() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let good = token(&emulator).await;
    emulator.next_requests([Fault::TruncateBody]);
    let request = format!(
        "PATCH /api/data/v9.2/accounts(accountnumber='1') HTTP/1.1\r\nHost: {}\r\n\
         Authorization: Bearer {good}\r\nPrefer: return=representation\r\n\
         Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{{\"name\":\"A\"}}",
        emulator.address()
    );
    let answer = exchange(&emulator, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2, "{answer}");
    assert_eq!(accounts(&emulator, &good).await, 1);
}

#[tokio::test]
async fn faults_are_taken_in_order_by_writes_only() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let good = token(&emulator).await;
    emulator.next_requests([
        Fault::Throttle { retry_after: 17 },
        Fault::Status {
            status: 502,
            body: "<html></html>".to_owned(),
        },
        Fault::Pass,
        Fault::Operation {
            index: 0,
            fault: OperationFault::Deadlock,
        },
    ]);
    assert_eq!(accounts(&emulator, &good).await, 0);
    let create = async || send(&emulator, &good, "POST", "accounts", r#"{"name":"A"}"#).await;
    let answer = create().await;
    assert!(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
    assert!(answer.contains("retry-after: 17\r\n"));
    assert_eq!(body(&answer)["error"]["code"], "0x80072322");
    let answer = create().await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    assert!(answer.contains("content-type: text/html\r\n"));
    assert!(create().await.starts_with("HTTP/1.1 204 "));
    let answer = create().await;
    assert!(answer.starts_with("HTTP/1.1 500 "));
    assert!(answer.contains("Sql Number: 1205"));
    assert_eq!(accounts(&emulator, &good).await, 1);
}

#[tokio::test]
async fn the_journal_and_the_counts_are_read_over_http() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let good = token(&emulator).await;
    send(&emulator, &good, "POST", "accounts", r#"{"name":"A"}"#).await;
    let own = async |path: &str| {
        let host = emulator.address();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        body(&exchange(&emulator, &request).await)
    };
    let journal = own("/journal?after=0").await;
    assert_eq!(journal["value"][0]["table"], "account");
    assert_eq!(journal["value"][0]["kind"], "create");
    assert_eq!(
        journal["value"][0]["columns"],
        serde_json::json!({"name": "A"})
    );
    assert_eq!(
        own("/journal?after=1").await["value"],
        serde_json::json!([])
    );
    assert_eq!(own("/counts").await["writes"], 1);
}

#[tokio::test]
async fn a_stop_closes_connections_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(kept_in(&folder)).await.unwrap();
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    let request = format!(
        "GET /counts HTTP/1.1\r\nHost: {}\r\n\r\n",
        emulator.address()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut some = [0; 15];
    stream.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200 OK");
    emulator.stop().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    Emulator::start(kept_in(&folder)).await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let options = Options {
        body_bytes: 1000,
        ..Options::default()
    };
    let emulator = Emulator::start(options).await.unwrap();
    let good = token(&emulator).await;
    let answer = send(&emulator, &good, "POST", "accounts", &" ".repeat(1001)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(body(&answer)["error"]["code"], "0x8004418a");
}

#[tokio::test]
async fn a_schema_must_have_what_the_file_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut schema = Schema::built_in().unwrap();
    schema
        .add_json(r#"{"table": "Account", "columns": {"new_Extra": "text(9)"}}"#)
        .unwrap();
    let wider = Options {
        schema: Some(schema),
        ..kept_in(&folder)
    };
    drop(Emulator::start(kept_in(&folder)).await.unwrap());
    let emulator = Emulator::start(wider).await.unwrap();
    let good = token(&emulator).await;
    send(
        &emulator,
        &good,
        "POST",
        "accounts",
        r#"{"name":"A","new_extra":"x"}"#,
    )
    .await;
    assert_eq!(emulator.rows("account")[0]["new_extra"], "x");
    drop(emulator);
    let narrower = Emulator::start(kept_in(&folder)).await;
    let lacks = narrower.err().unwrap();
    assert!(lacks.to_string().contains("`account.new_extra`"), "{lacks}");
}
