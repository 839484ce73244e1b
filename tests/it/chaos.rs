//! Whatever befalls requests and answers: the records equal the extract in the end, and each was created once.

use std::collections::BTreeMap;

use segue_emulator::{ChaosSpec, EffectKind, Options};

use crate::desk::{Desk, numbered};

const ROWS: usize = 400;

/// Everything that may happen to a request, often; throttling less so, since it costs a second.
const SPEC: &str = "429=0.02,500=0.04,502=0.04,503=0.04,close-before=0.04,close-after=0.06,truncate=0.06,revoke=0.01,\
                    op-500=0.003,deadlock=0.003";

/// So many runs end every trouble that has an end.
const MOST_RUNS: usize = 8;

async fn desk(spec: &str, seed: u64) -> Desk {
    let desk = Desk::with(Options {
        chaos: spec.parse::<ChaosSpec>().unwrap(),
        seed,
        ..Options::default()
    })
    .await;
    desk.write("a.csv", numbered(ROWS));
    desk.accounts("{ path: a.csv }", "");
    desk
}

async fn survives(seed: u64) {
    let desk = desk(SPEC, seed).await;
    let mut codes = Vec::new();
    for _ in 0..MOST_RUNS {
        let ran = tokio::task::block_in_place(|| desk.push(&["--concurrency", "4"]));
        assert!(
            matches!(ran.code, Some(0 | 1 | 3 | 75)),
            "seed {seed}: {ran:?}"
        );
        codes.push(ran.code);
        if ran.code == Some(0) {
            break;
        }
    }
    assert_eq!(codes.last(), Some(&Some(0)), "seed {seed}: {codes:?}");
    let rows = desk.emulator.rows("account");
    let found: BTreeMap<&str, &str> = rows
        .iter()
        .map(|row| {
            (
                row["accountnumber"].as_str().unwrap(),
                row["name"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted: Vec<(String, String)> = (1..=ROWS)
        .map(|row| (format!("A{row}"), format!("Shop {row}")))
        .collect();
    let wanted = wanted
        .iter()
        .map(|(number, name)| (number.as_str(), name.as_str()));
    assert_eq!(found, wanted.collect(), "seed {seed}");
    let journal = desk.emulator.journal();
    let created = journal
        .iter()
        .filter(|it| it.kind == EffectKind::Create && it.table == "account");
    assert_eq!((rows.len(), created.count()), (ROWS, ROWS), "seed {seed}");
}

/// Several environments at a time: each spends its time waiting.
async fn survive(seeds: std::ops::Range<u64>) {
    let mut runs = tokio::task::JoinSet::new();
    for seed in seeds {
        runs.spawn(survives(seed));
    }
    runs.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn nothing_is_lost_and_nothing_doubled_whatever_happens() {
    survive(0..8).await;
    survive(8..16).await;
    survive(16..24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_refuses_chosen_rows_makes_rejects_of_them_alone() {
    let desk = desk("rule=name:Shop 7,rule=name:Shop 311", 1).await;
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("created"), ran.rows("rejected")),
        (Some(1), ROWS as u64 - 2, 2),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_recovers_ends_check_and_push_with_75() {
    let desk = desk("503=1", 1).await;
    for command in [
        &["check", "--json"][..],
        &["push", "-m", "accounts.yaml", "--json"],
    ] {
        let ran = desk.run(command);
        assert_eq!(
            (ran.code, ran.json()["exit_code"].as_i64()),
            (Some(75), Some(75)),
            "{ran:?}"
        );
    }
    assert_eq!(desk.writes(), 0);
}
