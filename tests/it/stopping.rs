//! Runs that are stopped, killed, or in each other's way.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};

use segue_emulator::{EffectKind, Fault};

use crate::desk::{Desk, numbered};

const ROWS: usize = 1_000;

/// A push that has sent some rows and is being kept waiting by the service.
async fn kept_waiting() -> (Desk, Child) {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    // Just one: the run sends nothing more while it waits, and the next run is to be spared.
    let wait = Fault::Throttle { retry_after: 600 };
    desk.emulator
        .next_requests([Fault::Pass, Fault::Pass, wait]);
    let mut child = desk.start_push();
    // It says so when it has to wait: no need to guess when.
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("throttled")),
        "it was not throttled"
    );
    std::thread::spawn(move || lines.for_each(drop));
    (desk, child)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &id])
            .status()
            .unwrap()
            .success()
    );
}

/// No row was created twice, and every one is there.
fn each_was_created_once(desk: &Desk) {
    let mut created: BTreeMap<_, u32> = BTreeMap::new();
    for entry in desk.emulator.journal() {
        if entry.kind == EffectKind::Create && entry.table == "account" {
            *created.entry(entry.id).or_default() += 1;
        }
    }
    assert_eq!(created.len(), ROWS);
    assert!(created.values().all(|times| *times == 1));
    assert_eq!(desk.emulator.rows("account").len(), ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_push_to_the_table_is_told_that_it_is_held() {
    let (desk, mut child) = kept_waiting().await;
    let second = desk.push(&[]);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(second.err.contains("held by run"), "{}", second.err);
    let rehearsal = desk.push(&["--dry-run"]);
    assert_eq!(
        rehearsal.code,
        Some(0),
        "a dry run needs no lock: {rehearsal:?}"
    );
    signal(&child, "-KILL");
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_push_is_completed_by_the_next_one() {
    for name in ["-INT", "-TERM"] {
        let (desk, child) = kept_waiting().await;
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{name}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = &json["runs"][0];
        assert_eq!(run["status"], "interrupted");
        let rows = |name: &str| run["rows"][name].as_u64().unwrap();
        assert_eq!(
            rows("created") + rows("not_attempted"),
            ROWS as u64,
            "{run}"
        );
        assert!(rows("created") > 0);
        let next = desk.push(&[]);
        assert_eq!(next.code, Some(0), "{next:?}");
        assert_eq!(next.rows("unchanged"), rows("created"));
        each_was_created_once(&desk);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_push_is_completed_by_the_next_one() {
    let (desk, mut child) = kept_waiting().await;
    signal(&child, "-KILL");
    child.wait().unwrap();
    let next = desk.push(&[]);
    assert_eq!(next.code, Some(0), "{next:?}");
    each_was_created_once(&desk);
    assert_eq!(desk.push(&[]).requests("writes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_create_nothing_twice() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    desk.emulator.next_requests([
        Fault::CloseAfterCommit,
        Fault::TruncateBody,
        Fault::CloseBeforeCommit,
        Fault::Pass,
        Fault::CloseAfterCommit,
    ]);
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("created")),
        (Some(0), ROWS as u64),
        "{ran:?}"
    );
    each_was_created_once(&desk);
}
