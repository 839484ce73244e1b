//! Bulk messages and tables: those that take none, and elastic ones, which take row by row.

use segue_emulator::schema::Schema;
use segue_emulator::{ChaosSpec, Options};

use crate::desk::{Desk, Ran, numbered};

const TABLES: &str = r#"[
    {"table": "new_Plain", "name": "new_Name", "bulk": false,
     "columns": {"new_Number": "text(50)"}, "keys": {"new_plain_key": ["new_number"]}},
    {"table": "new_Reading", "name": "new_Name", "elastic": true, "columns": {"new_Value": "integer(0..10000)"}}
]"#;

const ROWS: usize = 300;

async fn desk(chaos: &str) -> Desk {
    let mut schema = Schema::built_in().unwrap();
    schema.add_json(TABLES).unwrap();
    Desk::with(Options {
        schema: Some(schema),
        chaos: chaos.parse::<ChaosSpec>().unwrap(),
        ..Options::default()
    })
    .await
}

/// So many readings, each with an id of its own, of which some have that value.
fn readings(rows: usize, value: &str, odd: &[usize], odd_value: &str) -> String {
    let line = |row: usize| {
        let value = if odd.contains(&row) { odd_value } else { value };
        format!("00000000-0000-4000-8000-{row:012},Reading {row},{value}\n")
    };
    let lines: String = (1..=rows).map(line).collect();
    format!("id,name,value\n{lines}")
}

fn map_readings(desk: &Desk, envelope: &str) {
    desk.write(
        "accounts.yaml",
        format!(
            "version: 1\nsource: {{ path: a.csv }}\ntarget: {{ table: new_reading, key: [new_readingid] }}\n\
             write: {{ envelope: {envelope}, batch_size: 100 }}\n\
             columns:\n  new_readingid: id\n  new_name: name\n  new_value: value\n"
        ),
    );
}

fn told(ran: &Ran) -> (Option<i32>, u64, u64, u64) {
    let rows = |name| ran.rows(name);
    (ran.code, rows("created"), rows("updated"), rows("rejected"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_takes_no_bulk_messages_is_written_in_batches() {
    for envelope in ["bulk", "auto"] {
        let desk = desk("").await;
        desk.write("a.csv", numbered(ROWS));
        desk.write(
            "accounts.yaml",
            format!(
                "version: 1\nsource: {{ path: a.csv }}\ntarget: {{ table: new_plain, key: [new_number] }}\n\
                 write: {{ envelope: {envelope}, batch_size: 100 }}\n\
                 columns:\n  new_number: number\n  new_name: name\n"
            ),
        );
        let ran = desk.push(&[]);
        assert_eq!(told(&ran), (Some(0), 300, 0, 0), "{envelope}: {ran:?}");
        assert_eq!(desk.emulator.rows("new_plain").len(), ROWS);
        // None was tried in vain.
        assert_eq!(desk.emulator.counts().writes, 0, "{envelope}: {ran:?}");
        assert!(desk.emulator.counts().batches >= 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elastic_table_is_created_changed_and_left_alone() {
    for envelope in ["bulk", "auto", "batch"] {
        let desk = desk("").await;
        map_readings(&desk, envelope);
        desk.write("a.csv", readings(ROWS, "1", &[], ""));
        let first = desk.push(&[]);
        assert_eq!(told(&first), (Some(0), 300, 0, 0), "{envelope}: {first:?}");
        let messages = desk.emulator.counts().writes;
        match envelope {
            "bulk" => assert!(messages > 0),
            "batch" => assert_eq!(messages, 0),
            // It tries both.
            _ => {}
        }
        let again = desk.push(&[]);
        assert_eq!(again.rows("unchanged"), 300, "{envelope}: {again:?}");
        desk.write("a.csv", readings(ROWS, "2", &[], ""));
        let changed = desk.push(&[]);
        assert_eq!(
            told(&changed),
            (Some(0), 0, 300, 0),
            "{envelope}: {changed:?}"
        );
        let readings = desk.emulator.rows("new_reading");
        let whole = |row: &serde_json::Map<String, serde_json::Value>| {
            row["new_value"] == 2 && row["new_name"].as_str().is_some()
        };
        assert_eq!(readings.len(), ROWS);
        assert!(
            readings.iter().all(|row| whole(row.as_object().unwrap())),
            "{envelope}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_of_an_elastic_table_are_rejects_with_their_reason_and_the_others_arrive() {
    for envelope in ["bulk", "auto"] {
        let desk = desk("rule=new_name:Reading 7,rule=new_name:Reading 150").await;
        map_readings(&desk, envelope);
        desk.write("a.csv", readings(ROWS, "1", &[], ""));
        let ran = desk.push(&[]);
        assert_eq!(told(&ran), (Some(1), 298, 0, 2), "{envelope}: {ran:?}");
        let rejects = ran.rejects();
        assert!(!rejects.contains("bulk_refused"), "{rejects}");
        for line in ["000000000007", "000000000150"] {
            assert!(rejects.contains(line), "{rejects}");
        }
        assert_eq!(desk.emulator.rows("new_reading").len(), 298);
    }
}
