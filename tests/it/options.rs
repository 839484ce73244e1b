//! What the switches of `push` do.

use std::collections::BTreeMap;
use std::path::Path;

use crate::desk::{Desk, numbered};

async fn pushed(rows: usize, more: &str) -> Desk {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(rows));
    desk.accounts("{ path: a.csv }", more);
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("created")),
        (Some(0), rows as u64),
        "{ran:?}"
    );
    desk
}

fn rename(desk: &Desk, rows: usize) {
    let text = desk.read("a.csv");
    let lines = text.lines().enumerate().map(|(place, line)| {
        if place > 0 && place <= rows {
            format!("{line} renamed\n")
        } else {
            format!("{line}\n")
        }
    });
    desk.write("a.csv", lines.collect::<String>());
}

/// Every file under the folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.display().to_string(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_the_counts_and_changes_nothing() {
    let desk = pushed(5, "").await;
    rename(&desk, 2);
    let text = desk.read("a.csv");
    desk.write("a.csv", format!("{text}A6,Shop 6\nA6,twice\n"));
    let ledger = files(&desk.path(".segue/env"));
    let journal = desk.emulator.journal().len();
    let ran = desk.push(&["--dry-run"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let counts = ["updated", "created", "unchanged", "rejected"].map(|name| ran.rows(name));
    assert_eq!(counts, [2, 1, 3, 1]);
    assert_eq!(ran.json()["runs"][0]["dry_run"], true);
    assert_eq!(desk.emulator.journal().len(), journal);
    assert_eq!(files(&desk.path(".segue/env")), ledger);

    let shown = desk.run(&["push", "-m", "accounts.yaml", "--dry-run"]);
    assert!(shown.out.contains("nothing was written"), "{}", shown.out);
    assert!(
        shown.out.contains("name: Shop 1 → Shop 1 renamed"),
        "{}",
        shown.out
    );
    let ran = desk.push(&[]);
    let counts = ["updated", "created", "unchanged", "rejected"].map(|name| ran.rows(name));
    assert_eq!(counts, [2, 1, 3, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_no_change_where_there_is_none() {
    let desk = pushed(3, "").await;
    let forgot = desk.run(&["state", "forget", "A1", "-m", "accounts.yaml"]);
    assert_eq!(forgot.code, Some(0), "{forgot:?}");
    let forgot = desk.run(&["state", "forget", "A2", "-m", "accounts.yaml"]);
    assert_eq!(forgot.code, Some(0), "{forgot:?}");
    // The environment takes another case for the same key, and keeps its own.
    let text = desk.read("a.csv").replace("A2,Shop 2", "a2,Corner 2");
    desk.write("a.csv", text);
    let shown = desk.run(&["push", "-m", "accounts.yaml", "--dry-run"]);
    assert!(
        shown.out.contains("name: Shop 2 → Corner 2"),
        "{}",
        shown.out
    );
    assert_eq!(shown.out.matches(" → ").count(), 2, "{}", shown.out);
    assert!(
        shown
            .out
            .contains("would update A1\n    nothing would differ"),
        "{}",
        shown.out
    );
    assert_eq!(desk.push(&[]).rows("updated"), 2);
    let keys = desk.emulator.rows("account");
    assert!(keys.iter().any(|row| row["accountnumber"] == "A2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_sends_that_many_and_skips_the_rest() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(10));
    desk.accounts("{ path: a.csv }", "");
    let ran = desk.push(&["--limit", "4"]);
    assert_eq!(
        (ran.rows("created"), ran.rows("skipped")),
        (4, 6),
        "{ran:?}"
    );
    let ran = desk.push(&[]);
    assert_eq!((ran.rows("created"), ran.rows("unchanged")), (6, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sends_that_row_alone() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(10));
    desk.accounts("{ path: a.csv }", "");
    let ran = desk.push(&["--key", "a7", "--key", "accountnumber=A8"]);
    assert_eq!(
        (ran.rows("created"), ran.rows("skipped")),
        (2, 8),
        "{ran:?}"
    );
    let ran = desk.push(&["--key", "A99"]);
    assert_eq!((ran.code, ran.rows("skipped")), (Some(0), 8));
    assert!(
        ran.err.contains("no row of the extract has the key `A99`"),
        "{}",
        ran.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_refresh_sends_every_column_again() {
    let desk = pushed(3, "").await;
    let journal = desk.emulator.journal().len();
    let ran = desk.push(&["--full-refresh"]);
    assert_eq!(ran.rows("updated"), 3, "{ran:?}");
    assert_eq!(desk.emulator.journal().len(), journal + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_beyond_the_guard_stop_the_run_before_anything_is_sent() {
    let desk = pushed(10, "guard: { max_changes: 30% }\n").await;
    rename(&desk, 4);
    let journal = desk.emulator.journal().len();
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.err.contains("max_changes") && ran.err.contains("4 of 10"),
        "{}",
        ran.err
    );
    assert_eq!(
        (ran.rows("not_attempted"), desk.emulator.journal().len()),
        (4, journal)
    );
    // Cells that differ and mean the same are no changes.
    let text = desk.read("a.csv").replace(" renamed", "");
    desk.write("a.csv", text.replace(",Shop", ", Shop"));
    let ran = desk.push(&[]);
    assert_eq!((ran.code, ran.rows("unchanged")), (Some(0), 10), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_within_the_guard_are_no_failure_and_beyond_it_stop_the_run() {
    let desk = Desk::new().await;
    let long = "x".repeat(200);
    let rejects: String = ["B1", "B2", "B3"]
        .map(|key| format!("{key},{long}\n"))
        .concat();
    let text = numbered(20) + &rejects;
    desk.write("a.csv", &text);
    desk.accounts("{ path: a.csv }", "guard: { max_rejects: 3 }\n");
    let ran = desk.push(&[]);
    assert_eq!(
        (ran.code, ran.rows("rejected"), ran.rows("created")),
        (Some(0), 3, 20),
        "{ran:?}"
    );
    desk.accounts("{ path: a.csv }", "guard: { max_rejects: 10% }\n");
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("max_rejects"), "{}", ran.err);
    desk.accounts("{ path: a.csv }", "");
    assert_eq!(desk.push(&[]).code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn production_needs_a_yes() {
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(1));
    desk.accounts("{ path: a.csv }", "destination: crm\n");
    desk.write(
        "segue.yaml",
        format!(
            "version: 1\ndestinations:\n  crm:\n    url: {}\n    authority: {}\n    tenant_id: {}\n    client_id: {}\n    \
             client_secret: {{ env: SEGUE_CLIENT_SECRET }}\n    production: true\n",
            desk.emulator.url(),
            desk.emulator.authority(),
            segue_emulator::TENANT_ID,
            segue_emulator::CLIENT_ID,
        ),
    );
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert_eq!(desk.push(&["--dry-run"]).code, Some(0));
    assert_eq!(desk.emulator.journal().len(), 0);
    assert_eq!(desk.push(&["--yes"]).code, Some(0));
}
