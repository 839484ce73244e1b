//! The limits of the service over real HTTP, scaled down: everything arrives, and nothing is sent in a penalty.

use segue_emulator::{CLIENT_ID, CLIENT_SECRET, ClientOptions, Fault, Limits, Options, TENANT_ID};
use uuid::Uuid;

use crate::desk::{Desk, numbered, ran};

const SECOND: Uuid = Uuid::from_u128(0xc2);

/// A run as two users, of batches with ten rows each.
async fn desk(rows: usize, options: Options) -> Desk {
    let desk = Desk::with(Options {
        clients: vec![ClientOptions {
            client_id: SECOND,
            secret: "second".to_owned(),
            ..ClientOptions::default()
        }],
        ..options
    })
    .await;
    let (url, authority) = (desk.emulator.url(), desk.emulator.authority());
    desk.write(
        "segue.yaml",
        format!(
            "version: 1\ndestinations:\n  prod:\n    url: {url}\n    authority: {authority}\n    tenant_id: {TENANT_ID}\n    clients:\n      \
             - {{ client_id: {CLIENT_ID}, client_secret: {{ file: first }} }}\n      \
             - {{ client_id: {SECOND}, client_secret: {{ file: second }} }}\n"
        ),
    );
    desk.write("first", CLIENT_SECRET);
    desk.write("second", "second");
    desk.write("a.csv", numbered(rows));
    desk.accounts("{ path: a.csv }", "write: { batch_size: 10 }\n");
    desk
}

fn push_as_both(desk: &Desk) -> crate::desk::Ran {
    let mut command = desk.command(&["push", "-m", "accounts.yaml", "--json"]);
    for name in [
        "URL",
        "AUTHORITY",
        "TENANT_ID",
        "CLIENT_ID",
        "CLIENT_SECRET",
    ] {
        command.env_remove(format!("SEGUE_{name}"));
    }
    ran(&mut command)
}

/// Forty requests of a user in any two seconds.
fn narrow() -> Limits {
    Limits {
        requests: 40,
        window: std::time::Duration::from_secs(2),
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_arrives_and_no_user_sends_while_it_is_to_wait() {
    let limits = Some(narrow());
    let desk = desk(
        2_000,
        Options {
            limits,
            ..Options::default()
        },
    )
    .await;
    let ran = push_as_both(&desk);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 2_000), "{ran:?}");
    assert_eq!(desk.emulator.rows("account").len(), 2_000);
    let counts = desk.emulator.counts();
    assert!(counts.throttled > 0, "{counts:?}");
    assert_eq!(counts.pressed, 0, "{counts:?}");
    let journal = desk.emulator.journal();
    let writers: std::collections::HashSet<Uuid> = journal.iter().map(|it| it.user).collect();
    assert_eq!(writers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_is_fetched_once_for_all_requests_in_flight() {
    let desk = desk(
        2_000,
        Options {
            parallelism_hint: Some(40),
            ..Options::default()
        },
    )
    .await;
    let mut fate = vec![Fault::Pass; 60];
    fate.push(Fault::RevokeToken);
    desk.emulator.next_requests(fate);
    let ran = push_as_both(&desk);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 2_000), "{ran:?}");
    assert_eq!(desk.emulator.counts().tokens, 3, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tokens_that_are_revoked_at_once_are_fetched_once_for_each_user() {
    let desk = desk(
        1_000,
        Options {
            parallelism_hint: Some(50),
            ..Options::default()
        },
    )
    .await;
    // The first requests of both users are on their way together.
    desk.emulator
        .next_requests([Fault::RevokeToken, Fault::RevokeToken]);
    let ran = push_as_both(&desk);
    assert_eq!((ran.code, ran.rows("created")), (Some(0), 1_000), "{ran:?}");
    let tokens = desk.emulator.counts().tokens;
    assert!((3..=4).contains(&tokens), "{tokens}: {ran:?}");
}
