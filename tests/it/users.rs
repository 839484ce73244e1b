//! Several application users of one environment: work moves to whoever may send.

use std::collections::HashSet;
use std::time::Duration;

use segue_emulator::{
    CLIENT_ID, CLIENT_SECRET, ClientOptions, Fault, Options, Privileges, SecretState, ServiceTime,
    TENANT_ID,
};
use uuid::Uuid;

use crate::desk::{Desk, Ran, numbered, ran};

const ROWS: usize = 3_000;
const SECOND: Uuid = Uuid::from_u128(0xc2);

/// A desk whose environment knows a second application, and whose `segue.yaml` names both.
async fn desk(second: ClientOptions) -> Desk {
    desk_at(second, Options::default()).await
}

async fn desk_at(second: ClientOptions, options: Options) -> Desk {
    let desk = Desk::with(Options {
        clients: vec![ClientOptions {
            client_id: SECOND,
            secret: "second".to_owned(),
            ..second
        }],
        ..options
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
async fn a_penalty_lasts_for_the_next_mapping_of_the_command() {
    let desk = desk(ClientOptions::default()).await;
    desk.write("b.csv", numbered(ROWS).replace("\nA", "\nB"));
    desk.accounts("{ path: b.csv }", "");
    std::fs::rename(desk.path("accounts.yaml"), desk.path("others.yaml")).unwrap();
    desk.accounts("{ path: a.csv }", "");
    let hour = Fault::Throttle { retry_after: 3_600 };
    desk.emulator.next_requests([Fault::Pass, hour]);
    let both = ["push", "-m", "accounts.yaml", "-m", "others.yaml", "--json"];
    let ran = run(&desk, &both, CLIENT_SECRET);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(desk.emulator.rows("account").len(), 2 * ROWS);
    assert_eq!(warns(&ran), "null");
    let journal = desk.emulator.journal();
    let late = journal.iter().rev().take(ROWS + ROWS / 2);
    let late: HashSet<_> = late.map(|entry| entry.user).collect();
    assert_eq!(late.len(), 1, "who was told to wait an hour wrote");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_cannot_sign_in_any_more_leaves_its_rows_to_the_others() {
    // Slow enough that much is left to do once both have written.
    let slow = Options {
        service_time: Some(ServiceTime {
            per_request: Duration::from_millis(50),
            per_row: Duration::ZERO,
        }),
        ..Options::default()
    };
    let desk = desk_at(ClientOptions::default(), slow).await;
    desk.accounts("{ path: a.csv }", "write: { batch_size: 10 }\n");
    let emulator = &desk.emulator;
    // Both have a token; in the midst of the run the second one's is refused, and it gets no other.
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| push(&desk, CLIENT_SECRET));
        // Both send from the start.
        while emulator.counts().batches < 40 && !run.is_finished() {
            std::thread::yield_now();
        }
        let second = emulator.client_of(SECOND);
        second.lapse_secret();
        second.revoke_tokens();
        run.join().unwrap()
    });
    let created = ran.rows("created");
    assert_eq!((ran.code, created), (Some(0), ROWS as u64), "{ran:?}");
    assert!(warns(&ran).contains(&SECOND.to_string()), "{ran:?}");
    // Who wrote a record owns it: those that had arrived stay with the second user.
    let journal = emulator.journal();
    let second = user_of(&desk, &SECOND.to_string());
    let by_second = journal.iter().filter(|entry| entry.user == second).count();
    assert!((1..ROWS).contains(&by_second), "{by_second}");
    let arrived = emulator.rows("account");
    let is_owned = |row: &&serde_json::Value| row["_ownerid_value"] == second.to_string();
    let owned = arrived.iter().filter(is_owned).count();
    assert_eq!((arrived.len(), owned), (ROWS, by_second));
}
