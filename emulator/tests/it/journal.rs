//! What was committed, and what was asked.

use segue_emulator::{EffectKind, Options};
use serde_json::json;

use crate::client::*;

#[test]
fn only_the_written_columns_are_told() {
    let client = Client::fresh();
    let id = client.create(
        "contacts",
        r#"{"lastname":"Lee","annualincome":12.5,"birthdate":"2001-02-03"}"#,
    );
    client.patch(
        &format!("contacts({id})"),
        r#"{"lastname":null,"fullname":"x"}"#,
    );
    client.request("DELETE", &format!("contacts({id})"), &[], "");
    refused(
        &client.post("contacts", r#"{"gendercode":9}"#),
        400,
        "0x8004431a",
        "",
    );
    let journal = client.service.journal();
    let told: Vec<_> = journal
        .iter()
        .map(|e| (e.sequence, e.kind, json!(e.columns)))
        .collect();
    assert_eq!(
        told,
        [
            (
                1,
                EffectKind::Create,
                json!({"lastname": "Lee", "annualincome": 12.5, "birthdate": "2001-02-03"})
            ),
            (2, EffectKind::Update, json!({"lastname": null})),
            (3, EffectKind::Delete, json!({})),
        ]
    );
    assert!(
        journal
            .iter()
            .all(|e| e.id.to_string() == id && e.table == "contact")
    );
    assert!(journal[0].request < journal[1].request);
    let me = json(&client.get("WhoAmI"));
    assert_eq!(journal[0].user.to_string(), me["UserId"].as_str().unwrap());
}

#[test]
fn the_oldest_effects_are_dropped() {
    let client = Client::with(Options {
        journal_entries: 2,
        ..Options::default()
    });
    for _ in 0..5 {
        client.create("accounts", "{}");
    }
    let kept: Vec<_> = client
        .service
        .journal()
        .iter()
        .map(|e| e.sequence)
        .collect();
    assert_eq!(kept, [4, 5]);
    let none = Client::with(Options {
        journal_entries: 0,
        ..Options::default()
    });
    none.create("accounts", "{}");
    assert!(none.service.journal().is_empty());
}

#[test]
fn requests_are_counted_by_kind() {
    let client = Client::fresh();
    client.create("accounts", "{}");
    client.get("accounts");
    client.get("EntityDefinitions?$select=LogicalName");
    client.post("accounts", "nonsense");
    let part =
        "--batch_A\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let get = "GET /api/data/v9.2/accounts HTTP/1.1\r\n\r\n\r\n";
    let post =
        "POST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}\r\n";
    client.batch(
        &[],
        &format!("{part}{get}{part}{get}{part}{post}--batch_A--\r\n"),
    );
    let counts = client.service.counts();
    assert_eq!(
        json!(counts),
        json!({"requests": 6, "throttled": 0, "pressed": 0, "tokens": 1, "reads": 2, "writes": 2, "batches": 1, "batched_reads": 2, "batched_writes": 1})
    );
}

#[test]
fn the_file_has_every_effect_however_few_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    std::fs::write(&path, r#"{"sequence":1,"of":"another run"}"#).unwrap();
    let client = Client::with(Options {
        journal_entries: 1,
        journal_file: Some(path.clone()),
        ..Options::default()
    });
    let id = client.create("accounts", r#"{"name":"A"}"#);
    client.post("accounts", r#"{"name":1}"#);
    client.patch(&format!("accounts({id})"), r#"{"name":"B"}"#);
    let file = std::fs::read_to_string(&path).unwrap();
    let lines = file.lines().map(serde_json::from_str);
    let lines: Vec<serde_json::Value> = lines.collect::<Result<_, _>>().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["sequence"], 1);
    assert_eq!(lines[0]["kind"], "create");
    assert_eq!(lines[1], json!(client.service.journal()[0]));
}

#[test]
fn a_journal_file_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let opened = segue_emulator::Service::open(Options {
        journal_file: Some(folder.path().to_owned()),
        ..Options::default()
    });
    let error = opened.map(drop).unwrap_err();
    assert!(matches!(
        error,
        segue_emulator::EmulatorError::JournalFile { .. }
    ));
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, "name\nAnn\n").unwrap();
    let opened = segue_emulator::Service::open(Options {
        journal_file: Some(path.clone()),
        ..Options::default()
    });
    let error = opened.map(drop).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "name\nAnn\n");
    assert!(matches!(
        error,
        segue_emulator::EmulatorError::JournalFile { .. }
    ));
}
