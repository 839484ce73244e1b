//! Bulk messages by the real command: fewer requests, and a bad row sinks no other.

use segue_emulator::{ChaosSpec, Options, Privileges};

use crate::desk::{Desk, Ran, numbered};

const ROWS: usize = 1000;

async fn desk(spec: &str, write: &str) -> Desk {
    let desk = Desk::with(Options {
        chaos: spec.parse::<ChaosSpec>().unwrap(),
        ..Options::default()
    })
    .await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", &format!("write: {write}\n"));
    desk
}

fn writes(ran: &Ran) -> u64 {
    ran.requests("writes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_rows_are_created_changed_and_left_alone_in_bulk() {
    let desk = desk("", "{ envelope: bulk, batch_size: 500 }").await;
    let first = desk.push(&[]);
    assert_eq!(
        (first.code, first.rows("created")),
        (Some(0), 1000),
        "{first:?}"
    );
    assert!(writes(&first) <= 4, "{first:?}");
    let again = desk.push(&[]);
    assert_eq!(
        (again.rows("unchanged"), writes(&again)),
        (1000, 0),
        "{again:?}"
    );
    desk.write("a.csv", numbered(ROWS).replace("Shop", "Store"));
    let changed = desk.push(&[]);
    assert_eq!(
        (changed.code, changed.rows("updated")),
        (Some(0), 1000),
        "{changed:?}"
    );
    assert!(writes(&changed) <= 4, "{changed:?}");
    let stores = desk.emulator.rows("account");
    let is_store = |name: &str| name.starts_with("Store");
    assert!(
        stores
            .iter()
            .all(|it| is_store(it["name"].as_str().unwrap()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_among_a_thousand_is_one_reject() {
    let desk = desk("rule=name:Shop 311", "{ envelope: bulk, batch_size: 1000 }").await;
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("created"), ran.rows("rejected")),
        (Some(1), 999, 1),
        "{ran:?}"
    );
    assert!(writes(&ran) <= 5, "{ran:?}");
    assert!(ran.rejects().contains("A311"), "{}", ran.rejects());
    assert_eq!(desk.emulator.rows("account").len(), 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_envelope_brings_the_same_records() {
    for write in [
        "{ envelope: auto }",
        "{ envelope: batch, batch_size: 7 }",
        "{ envelope: single }",
    ] {
        let desk = desk("", write).await;
        desk.write("a.csv", numbered(30));
        let ran = desk.push(&[]);
        assert_eq!(
            (ran.code, ran.rows("created")),
            (Some(0), 30),
            "{write}: {ran:?}"
        );
        let most = if write.contains("single") { 30 } else { 5 };
        assert!(writes(&ran) <= most, "{write}: {ran:?}");
        assert_eq!(desk.emulator.rows("account").len(), 30);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_does_not_tell_of_bulk_messages_stops_no_run() {
    for envelope in ["bulk", "auto"] {
        let desk = desk("", &format!("{{ envelope: {envelope} }}")).await;
        let silent = Privileges::AllBut(vec!["prvReadSdkMessageFilter".to_owned()]);
        desk.emulator.client().set_privileges(&silent).unwrap();
        let ran = desk.push(&[]);
        assert_eq!((ran.code, ran.rows("created")), (Some(0), 1000), "{ran:?}");
        let warnings = ran.json()["runs"][0]["warnings"].to_string();
        assert!(warnings.contains("sent in batches"), "{ran:?}");
    }
}
