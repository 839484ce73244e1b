//! Runs that wait: for another run, for an environment that does not answer, for an extract that changes meanwhile.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use segue::dispatch::Stopping;
use segue::ledger::{Extent, RunLock, Scope};
use segue::mapping::Mapping;
use segue::model::{Client, Connection, LogicalName, RunId, SecretSource};
use segue::push::{Patience, Progress, Purpose, Report, Request, Resting, Stage, push};
use segue_emulator::{CLIENT_ID, CLIENT_SECRET, EffectKind, Fault, TENANT_ID};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::desk::{Desk, numbered};

const AGES: Duration = Duration::MAX;

async fn desk() -> Desk {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(5));
    desk.accounts("{ path: a.csv }", "");
    desk
}

fn request(desk: &Desk, purpose: Purpose, patience: Patience) -> Request {
    Request {
        mapping: Mapping::read(&desk.path("accounts.yaml")).unwrap(),
        connection: Connection {
            name: "env".to_owned(),
            url: desk.emulator.url(),
            tenant_id: TENANT_ID.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: SecretSource::Published(CLIENT_SECRET),
            others: Vec::new(),
            authority: Some(desk.emulator.authority()),
            production: false,
        },
        state: desk.path(".segue"),
        base: desk.path(""),
        started: "2026-11-20T23:15:00Z".parse().unwrap(),
        limit: None,
        keys: Vec::new(),
        rejects_of: None,
        scope: Scope::Changed,
        extent: Extent::Whole,
        purpose,
        row_memory: 1 << 20,
        patience,
        resting: Resting::default(),
    }
}

fn lock_wait(lock_wait: Duration) -> Patience {
    Patience {
        lock_wait,
        ..Patience::default()
    }
}

/// What another run of the table holds.
fn held(desk: &Desk) -> RunLock {
    let organisation = desk.emulator.organization_id();
    let table = LogicalName::parse("account").unwrap();
    let run = RunId::new("another");
    RunLock::acquire(&desk.path(".segue"), organisation, &table, &run).unwrap()
}

/// A run on its way.
struct Running {
    tasks: JoinSet<Report>,
    progress: Arc<Progress>,
    stop: watch::Sender<Stopping>,
}

impl Running {
    fn of(request: Request) -> Self {
        Self::told(request, Stopping::No)
    }

    fn told(request: Request, level: Stopping) -> Self {
        let (progress, (stop, told)) = (Arc::default(), watch::channel(level));
        let pushing = push(request, Arc::clone(&progress), told);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { pushing.await.unwrap() });
        Self {
            tasks,
            progress,
            stop,
        }
    }

    async fn waits_for_the_lock(&mut self) {
        while self.progress.seen().stage != Stage::Waiting {
            let ended = self.tasks.try_join_next();
            assert!(ended.is_none(), "it did not wait: {ended:?}");
            tokio::task::yield_now().await;
        }
    }

    async fn is_throttled(&mut self) {
        while self.progress.seen().traffic.throttled == 0 {
            let ended = self.tasks.try_join_next();
            assert!(ended.is_none(), "it was not throttled: {ended:?}");
            tokio::task::yield_now().await;
        }
    }

    /// What it came to. Its results are on disk.
    async fn ended(mut self) -> (u8, Report) {
        let report = self.tasks.join_next().await.unwrap().unwrap();
        let code = report.exit_code().code();
        let written = std::fs::read(report.folder.join("run_results.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["exit_code"], code);
        assert_eq!(written["stopped_by"].is_null(), report.stopped.is_none());
        report.results.rows.balance().unwrap();
        (code, report)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_when_the_other_one_lets_go() {
    let desk = desk().await;
    let lock = held(&desk);
    let mut running = Running::of(request(&desk, Purpose::Send, lock_wait(AGES)));
    running.waits_for_the_lock().await;
    drop(lock);
    let (code, report) = running.ended().await;
    assert_eq!((code, report.results.rows.created), (0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waited_reads_the_extract_of_today() {
    type Change = fn(&Path);
    let changes: [(Change, u8, u64); 3] = [
        (|file| std::fs::write(file, numbered(7)).unwrap(), 0, 7),
        (|file| std::fs::remove_file(file).unwrap(), 2, 0),
        (|file| std::fs::write(file, "").unwrap(), 2, 0),
    ];
    for (change, wanted, rows) in changes {
        let desk = desk().await;
        let lock = held(&desk);
        let mut running = Running::of(request(&desk, Purpose::Send, lock_wait(AGES)));
        running.waits_for_the_lock().await;
        change(&desk.path("a.csv"));
        drop(lock);
        let (code, report) = running.ended().await;
        assert_eq!(code, wanted, "{:?}", report.stopped);
        assert_eq!(report.results.rows.created, rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_no_longer_than_it_was_told() {
    let desk = desk().await;
    let _lock = held(&desk);
    let until_the_deadline = Patience {
        lock_wait: AGES,
        deadline: Some(Duration::from_millis(1)),
        ..Patience::default()
    };
    for patience in [lock_wait(Duration::from_millis(1)), until_the_deadline] {
        let running = Running::of(request(&desk, Purpose::Send, patience));
        let (code, report) = running.ended().await;
        assert_eq!((code, report.results.rows.read), (5, 0));
    }
    assert_eq!(desk.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_the_lock_can_be_stopped() {
    let desk = desk().await;
    let _lock = held(&desk);
    let mut running = Running::of(request(&desk, Purpose::Send, lock_wait(AGES)));
    running.waits_for_the_lock().await;
    running.stop.send(Stopping::Drain).unwrap();
    assert_eq!(running.ended().await.0, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_told_to_stop_before_it_begins_sends_nothing() {
    let desk = desk().await;
    for purpose in [Purpose::Send, Purpose::Rehearse] {
        for level in [Stopping::Drain, Stopping::Now] {
            let running = Running::told(request(&desk, purpose, Patience::default()), level);
            assert_eq!(running.ended().await.0, 6);
        }
    }
    assert_eq!(desk.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_never_answers_does_not_keep_a_run_from_stopping() {
    let desk = desk().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    for purpose in [Purpose::Send, Purpose::Rehearse] {
        let mut request = request(&desk, purpose, Patience::default());
        request.connection.url.clone_from(&address);
        request.connection.authority = Some(address.clone());
        let running = Running::of(request);
        let _connection = silent.accept().await.unwrap();
        running.stop.send(Stopping::Drain).unwrap();
        assert_eq!(running.ended().await.0, 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_never_answers_keeps_no_run_beyond_its_deadline() {
    let desk = desk().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    for purpose in [Purpose::Send, Purpose::Rehearse] {
        let patience = Patience {
            deadline: Some(Duration::from_millis(1)),
            grace: Duration::from_millis(1),
            ..Patience::default()
        };
        let mut request = request(&desk, purpose, patience);
        request.connection.url.clone_from(&address);
        request.connection.authority = Some(address.clone());
        let (code, report) = Running::of(request).ended().await;
        assert_eq!(code, 75, "{:?}", report.stopped);
    }
}

/// An environment that tells whoever asks to come back in two minutes, and how often it was asked.
async fn refusing() -> (String, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, mut server) = (Arc::<AtomicUsize>::default(), JoinSet::new());
    let count = Arc::clone(&asked);
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16_384];
            if stream.read(&mut request).await.is_err() {
                continue;
            }
            let (status, body) = if request.starts_with(b"POST") {
                ("200 OK", r#"{"expires_in":3599,"access_token":"t"}"#)
            } else {
                count.fetch_add(1, Ordering::Relaxed);
                ("429 Too Many Requests\r\nRetry-After: 120", "")
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    (address, asked, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_penalty_that_lets_no_run_begin_is_left_alone_by_the_next_one_too() {
    let desk = desk().await;
    for others in [0, 2] {
        let (address, asked, _server) = refusing().await;
        let mut resting = Resting::default();
        for _ in 0..3 {
            let mut request = request(&desk, Purpose::Send, Patience::default());
            let connection = &mut request.connection;
            connection.url.clone_from(&address);
            connection.authority = Some(address.clone());
            let secret = connection.client_secret.clone();
            let other = |number| Client {
                client_id: format!("other-{number}"),
                client_secret: secret.clone(),
            };
            connection.others = (0..others).map(other).collect();
            request.resting = resting;
            let (code, report) = Running::of(request).ended().await;
            assert_eq!(code, 75, "{:?}", report.stopped);
            assert_eq!(asked.load(Ordering::Relaxed), 1 + others);
            resting = report.resting;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_at_a_time_does_as_well() {
    let desk = desk().await;
    let patience = Patience {
        concurrency: NonZeroUsize::new(1),
        ..Patience::default()
    };
    let running = Running::of(request(&desk, Purpose::Send, patience));
    let (code, report) = running.ended().await;
    assert_eq!((code, report.results.rows.created), (0, 5));
}

/// A run that sent a batch and then has to wait so many seconds.
fn throttled(desk: &Desk, retry_after: u32, patience: Patience) -> Running {
    desk.write("a.csv", numbered(ROWS));
    let wait = Fault::Throttle { retry_after };
    desk.emulator.next_requests([Fault::Pass, wait]);
    Running::of(request(desk, Purpose::Send, patience))
}

const ROWS: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_given_up_accounts_for_every_row_and_the_next_one_completes_it() {
    let desk = desk().await;
    let mut running = throttled(&desk, 600, Patience::default());
    running.is_throttled().await;
    running.stop.send(Stopping::Drain).unwrap();
    running.stop.send(Stopping::Now).unwrap();
    let (code, report) = running.ended().await;
    let rows = report.results.rows;
    assert_eq!((code, rows.read), (6, ROWS as u64));
    assert_eq!(rows.created + rows.not_attempted, ROWS as u64);
    let next = Running::of(request(&desk, Purpose::Send, Patience::default()));
    let (code, _) = next.ended().await;
    assert_eq!((code, desk.emulator.rows("account").len()), (0, ROWS));
    let creates = desk.emulator.journal().into_iter();
    let creates = creates.filter(|entry| entry.kind == EffectKind::Create);
    assert_eq!(creates.count(), ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_penalty_beyond_the_deadline_ends_the_run_at_once() {
    let desk = desk().await;
    let patience = Patience {
        deadline: Some(Duration::from_mins(5)),
        ..Patience::default()
    };
    let running = throttled(&desk, 600, patience);
    let (code, report) = running.ended().await;
    assert_eq!(code, 75, "{:?}", report.stopped);
    assert_eq!(report.results.requests.throttled, 1);
    assert!(report.results.rows.not_attempted > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extract_that_changes_while_it_is_sent_is_told_and_what_was_sent_is_recorded() {
    let desk = desk().await;
    let mut running = throttled(&desk, 1, Patience::default());
    running.is_throttled().await;
    let text = desk.read("a.csv");
    desk.write("a.csv", format!("{text}B1,late\n"));
    let (code, report) = running.ended().await;
    let rows = report.results.rows;
    assert_eq!(code, 7, "{:?}", report.stopped);
    assert_eq!(rows.read, ROWS as u64);
    let next = Running::of(request(&desk, Purpose::Send, Patience::default()));
    let (code, report) = next.ended().await;
    assert_eq!((code, report.results.rows.unchanged), (0, rows.created));
    assert_eq!(desk.emulator.rows("account").len(), ROWS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_rotated_while_a_run_sends_stops_it_and_the_next_one_completes_it() {
    let desk = desk().await;
    let mut running = throttled(&desk, 1, Patience::default());
    running.is_throttled().await;
    desk.emulator.client().set_secret("rotated");
    desk.emulator.client().revoke_tokens();
    let (code, report) = running.ended().await;
    let rows = report.results.rows;
    assert_eq!((code, rows.read), (3, ROWS as u64), "{:?}", report.stopped);
    assert_eq!(rows.created + rows.not_attempted, ROWS as u64);
    let stopped = report.stopped.unwrap();
    let text = stopped.to_string();
    assert!(text.contains("the client secret is wrong"), "{text}");
    assert_eq!(text.matches("AADSTS7000215").count(), 1, "{text}");
    assert!(stopped.help().contains("Certificates & secrets"));
    desk.emulator.client().set_secret(CLIENT_SECRET);
    let next = Running::of(request(&desk, Purpose::Send, Patience::default()));
    let (code, report) = next.ended().await;
    assert_eq!((code, report.results.rows.unchanged), (0, rows.created));
    let creates = desk.emulator.journal().into_iter();
    let creates = creates.filter(|entry| entry.kind == EffectKind::Create);
    assert_eq!(creates.count(), ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_ends_where_the_results_do() {
    let desk = desk().await;
    desk.write("a.csv", format!("{}A1,twice\n", numbered(5)));
    let running = Running::of(request(&desk, Purpose::Send, Patience::default()));
    let progress = Arc::clone(&running.progress);
    running.ended().await;
    let seen = progress.seen();
    assert_eq!(seen.stage, Stage::Finishing);
    assert_eq!((seen.read, seen.unchanged, seen.due), (6, 0, 6));
    assert_eq!((seen.settled, seen.rejected), (6, 1));
    assert_eq!((seen.traffic.batches, seen.traffic.in_flight), (1, 0));
}
