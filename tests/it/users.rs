//! Several application users of one environment: work moves to whoever may send.

use std::collections::HashSet;

use segue_emulator::{
    CLIENT_ID, CLIENT_SECRET, ClientOptions, Fault, Options, Privileges, SecretState, TENANT_ID,
};
use uuid::Uuid;

use crate::desk::{Desk, Ran, numbered, ran};

const ROWS: usize = 3_000;
const SECOND: Uuid = Uuid::from_u128(0xc2);

/// A desk whose environment knows a second application, and whose `segue.yaml` names both.
async fn desk(second: ClientOptions) -> Desk {
    let desk = Desk::with(Options {
        clients: vec![ClientOptions {
            client_id: SECOND,
            secret: "second".to_owned(),
            ..second
        }],
        ..Options::default()
    })
    .await;
    let (url, authority) = (desk.emulator.url(), desk.emulator.authority());
    desk.write(
        "segue.yaml",
        format!(
            "version: 1\ndestinations:\n  prod:\n    url: {url}\n    authority: {authority}\n    tenant_id: {TENANT_ID}\n    clients:\n      \
             - {{ client_id: {CLIENT_ID}, client_secret: {{ env: FIRST }} }}\n      \
             - {{ client_id: {SECOND}, client_secret: {{ file: second }} }}\n"
        ),
    );
    desk.write("second", "second");
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    desk
}

fn run(desk: &Desk, arguments: &[&str], first: &str) -> Ran {
    let mut command = desk.command(arguments);
    for name in [
        "URL",
        "AUTHORITY",
        "TENANT_ID",
        "CLIENT_ID",
        "CLIENT_SECRET",
    ] {
        command.env_remove(format!("SEGUE_{name}"));
    }
    ran(command.env("FIRST", first))
}

fn push(desk: &Desk, first: &str) -> Ran {
    run(desk, &["push", "-m", "accounts.yaml", "--json"], first)
}

/// Who wrote.
fn writers(desk: &Desk) -> HashSet<Uuid> {
    let journal = desk.emulator.journal();
    journal.iter().map(|entry| entry.user).collect()
}

fn user_of(desk: &Desk, client: &str) -> Uuid {
    let client = desk.emulator.client_of(client.parse().unwrap());
    client.user_id().unwrap()
}

fn all_arrived(desk: &Desk, ran: &Ran) {
    assert_eq!(
        (ran.code, ran.rows("created")),
        (Some(0), ROWS as u64),
        "{ran:?}"
    );
    assert_eq!(desk.emulator.rows("account").len(), ROWS);
}

fn warns(ran: &Ran) -> String {
    ran.json()["runs"][0]["warnings"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_users_write() {
    let desk = desk(ClientOptions::default()).await;
    let ran = push(&desk, CLIENT_SECRET);
    all_arrived(&desk, &ran);
    assert_eq!(warns(&ran), "null");
    assert_eq!(writers(&desk).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_secret_is_wrong_is_left_out_with_a_warning() {
    let desk = desk(ClientOptions::default()).await;
    let ran = push(&desk, "wrong");
    all_arrived(&desk, &ran);
    assert!(warns(&ran).contains(CLIENT_ID), "{ran:?}");
    assert_eq!(writers(&desk), [user_of(&desk, &SECOND.to_string())].into());
    desk.write("second", "");
    let next = push(&desk, CLIENT_SECRET);
    assert_eq!(next.rows("unchanged"), ROWS as u64, "{next:?}");
    assert!(warns(&next).contains(&SECOND.to_string()), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_user_that_can_sign_in_the_run_stops() {
    let desk = desk(ClientOptions {
        secret_state: SecretState::Lapsed,
        ..ClientOptions::default()
    })
    .await;
    let ran = push(&desk, "wrong");
    assert_eq!((ran.code, desk.writes()), (Some(3), 0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_role_fails_is_dropped_and_its_rows_arrive() {
    let desk = desk(ClientOptions {
        privileges: Privileges::AllBut(vec!["prvCreateAccount".to_owned()]),
        ..ClientOptions::default()
    })
    .await;
    let ran = push(&desk, CLIENT_SECRET);
    all_arrived(&desk, &ran);
    assert!(warns(&ran).contains("prvCreateAccount"), "{ran:?}");
    assert_eq!(writers(&desk), [user_of(&desk, CLIENT_ID)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_role_of_the_last_user_fails_the_run_stops_and_accounts_for_every_row() {
    let privileges = Privileges::AllBut(vec!["prvCreateAccount".to_owned()]);
    let desk = desk(ClientOptions {
        privileges: privileges.clone(),
        ..ClientOptions::default()
    })
    .await;
    desk.emulator.client().set_privileges(&privileges).unwrap();
    let ran = push(&desk, CLIENT_SECRET);
    assert_eq!(
        (ran.code, ran.rows("not_attempted")),
        (Some(3), ROWS as u64),
        "{ran:?}"
    );
    desk.emulator
        .client()
        .set_privileges(&Privileges::All)
        .unwrap();
    all_arrived(&desk, &push(&desk, CLIENT_SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_user_is_throttled_the_other_carries_on() {
    let desk = desk(ClientOptions::default()).await;
    let hour = Fault::Throttle { retry_after: 3_600 };
    desk.emulator.next_requests([Fault::Pass, hour]);
    let ran = push(&desk, CLIENT_SECRET);
    all_arrived(&desk, &ran);
    assert_eq!(ran.requests("throttled"), 1);
    let journal = desk.emulator.journal();
    let last = journal.iter().rev().take(ROWS / 2).map(|entry| entry.user);
    assert_eq!(last.collect::<HashSet<_>>().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_is_checked() {
    let desk = desk(ClientOptions::default()).await;
    let ran = run(&desk, &["check", "--json"], "wrong");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let steps = json["steps"].as_array().unwrap();
    let told = |step: &serde_json::Value| format!("{} {}", step["step"], step["status"]);
    let told: Vec<String> = steps.iter().map(told).collect();
    let is = |text: &str| told.iter().filter(|it| it.as_str() == text).count();
    assert_eq!(is("\"client\" \"ok\""), 2, "{told:?}");
    assert_eq!(
        (is("\"token\" \"failed\""), is("\"user\" \"ok\"")),
        (1, 1),
        "{told:?}"
    );
}
