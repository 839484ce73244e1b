//! The ready mappings, as a folder: tables before those that refer to them, and nothing to do the second time.

use std::path::Path;

use crate::desk::Desk;

fn ship(desk: &Desk, folder: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    for entry in std::fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            ship(desk, &name);
        } else {
            desk.ship(&name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ready_mapping_is_pushed_and_then_has_nothing_to_do() {
    let desk = Desk::new().await;
    ship(&desk, "mappings");
    ship(&desk, "examples");
    let first = desk.run(&["push", "-m", "mappings", "--json"]);
    // Six prospects repeat a key; nothing else is rejected.
    assert_eq!(first.code, Some(1), "{first:?}");
    let json = first.json();
    let runs = json["runs"].as_array().unwrap();
    assert!(runs.len() >= 6);
    let rejected: u64 = runs
        .iter()
        .map(|run| run["rows"]["rejected"].as_u64().unwrap())
        .sum();
    assert_eq!(rejected, 6, "{first:?}");
    for run in runs {
        let written = ["created", "updated"].map(|name| run["rows"][name].as_u64().unwrap());
        assert!(written.iter().sum::<u64>() > 100, "{run}");
    }
    let deal = desk
        .run(&["get", "opportunity", "new_externalid=D-00003", "--json"])
        .json();
    assert!(deal["_customerid_value"].is_string(), "{deal}");

    let second = desk.run(&["push", "-m", "mappings", "--json"]);
    for run in second.json()["runs"].as_array().unwrap() {
        assert_eq!(run["requests"]["writes"], 0, "{run}");
    }
}
