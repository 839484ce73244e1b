//! Rows of one extract with the same key.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;

use crate::desk::Desk;

/// The name that the account gets for three rows of its key, and what became of the others.
async fn name(duplicates: &str, cells: [&str; 3]) -> (String, u64, u64) {
    let desk = Desk::new().await;
    let lines = ["Ann", "Bob", "Cid"].iter().zip(cells);
    let lines = lines.map(|(name, cell)| format!("A1,{name},{cell}\n"));
    desk.write(
        "a.csv",
        format!("number,name,changed\n{}", lines.collect::<String>()),
    );
    desk.accounts("{ path: a.csv }", &format!("duplicates: {duplicates}\n"));
    let ran = desk.push(&[]);
    assert_eq!(ran.rows("created"), 1, "{ran:?}");
    let again = desk.push(&[]);
    assert_eq!(
        (again.rows("unchanged"), again.requests("writes")),
        (1, 0),
        "{again:?}"
    );
    let rows = desk.emulator.rows("account");
    let name = rows[0]["name"].as_str().unwrap().to_owned();
    (name, ran.rows("skipped"), ran.rows("rejected"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_that_stands_is_the_one_that_the_mapping_asks_for() {
    let cells = ["2026-03-01", "2026-03-09T10:00:00Z", ""];
    for (duplicates, stands, skipped) in [
        ("reject", "Ann", 0),
        ("first", "Ann", 2),
        ("last", "Cid", 2),
        ("{ newest: changed }", "Bob", 2),
    ] {
        let (name, skips, rejects) = name(duplicates, cells).await;
        assert_eq!(
            (name.as_str(), skips, rejects),
            (stands, skipped, 2 - skipped),
            "{duplicates}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_is_the_highest_number_and_at_a_tie_the_later_row() {
    assert_eq!(
        name("{ newest: changed }", ["9", "10", "-3"]).await.0,
        "Bob"
    );
    assert_eq!(name("{ newest: changed }", ["7", "7", ""]).await.0, "Bob");
    assert_eq!(name("{ newest: changed }", ["", "", ""]).await.0, "Cid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_column_that_tells_must_be_in_the_extract() {
    let desk = Desk::new().await;
    desk.write("a.csv", "number,name\nA1,Ann\n");
    desk.accounts("{ path: a.csv }", "duplicates: { newest: chnged }\n");
    let ran = desk.push(&[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("SG0101"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_one_key_is_told_of_its_duplicates_alone() {
    let desk = Desk::new().await;
    desk.write(
        "a.csv",
        "number,name\nA1,Ann\nA1,Bob\nA2,Cid\nA2,Dan\n,Eve\n",
    );
    desk.accounts("{ path: a.csv }", "");
    let counts = |more: &[&str]| {
        let ran = desk.push(more);
        ["created", "rejected", "skipped"].map(|it| ran.rows(it))
    };
    assert_eq!(counts(&["--key", "A2", "--dry-run"]), [1, 1, 3]);
    assert_eq!(counts(&["--key", "A2"]), [1, 1, 3]);
    assert_eq!(counts(&["--key", "A9"]), [0, 0, 4]);
    assert_eq!(counts(&[]), [1, 3, 0]);
}

/// Open ends are written as the last day that there is, whatever the type of the column.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_valid_without_end_is_the_newest() {
    const LAST_DAY: i32 = 2_932_896;
    let seconds = i64::from(LAST_DAY) * 86_400;
    let instants = vec![seconds * 1_000_000, 1_700_000_000_000_000];
    let clocks: ArrayRef = Arc::new(TimestampMicrosecondArray::from(instants.clone()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["9999-12-31", "2026-01-01"])),
        Arc::new(StringArray::from(vec!["9999-12-31 23:59:59", "2026-01-01"])),
        clocks,
        Arc::new(TimestampMicrosecondArray::from(instants).with_timezone_utc()),
        Arc::new(Date32Array::from(vec![LAST_DAY, 20_000])),
        Arc::new(Date32Array::from(vec![i32::MAX, 20_000])),
        Arc::new(Int64Array::from(vec![
            1_700_000_000_123_456_789,
            1_700_000_000_123_456_788,
        ])),
    ];
    for changed in columns {
        let desk = Desk::new().await;
        let told = format!("{changed:?}");
        let batch: Vec<(&str, ArrayRef)> = vec![
            ("number", Arc::new(StringArray::from(vec!["A1", "A1"]))),
            ("name", Arc::new(StringArray::from(vec!["Ann", "Bob"]))),
            ("changed", changed),
        ];
        let batch = RecordBatch::try_from_iter(batch).unwrap();
        let file = File::create(desk.path("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        desk.accounts("{ path: a.parquet }", "duplicates: { newest: changed }\n");
        let ran = desk.push(&[]);
        assert_eq!(
            (ran.rows("created"), ran.rows("skipped")),
            (1, 1),
            "{ran:?}"
        );
        assert_eq!(desk.emulator.rows("account")[0]["name"], "Ann", "{told}");
    }
}
