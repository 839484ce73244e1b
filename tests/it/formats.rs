//! The same rows in every format are the same records.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;

use crate::desk::{Desk, ran};

const MAPPING: &str = "version: 1
name: people
source: { path: PATH }
target: { table: contact, key: [externaluseridentifier] }
columns:
  externaluseridentifier: number
  lastname: name
  numberofchildren: children
  annualincome: income
  birthdate: born
  lastusedincampaign: { from: seen, parse: iso8601 }
";

const CSV: &str = "number,name,children,income,born,seen
1,Ann,2,1250.50,1980-05-01,2024-01-31T10:00:00
2,Bob,,0.1,,
";

fn parquet(file: File) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(Int32Array::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec!["Ann", "Bob"]))),
        ("children", Arc::new(Int32Array::from(vec![Some(2), None]))),
        (
            "income",
            Arc::new(
                Decimal128Array::from(vec![12505, 1])
                    .with_precision_and_scale(10, 1)
                    .unwrap(),
            ),
        ),
        ("born", Arc::new(Date32Array::from(vec![Some(3773), None]))),
        (
            "seen",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1_706_695_200_000_000),
                None,
            ])),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn prepared(desk: &Desk) {
    desk.write("a.csv", CSV);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(CSV.as_bytes()).unwrap();
    desk.write("a.csv.gz", gz.finish().unwrap());
    desk.write("a.csv.zst", zstd::encode_all(CSV.as_bytes(), 3).unwrap());
    parquet(File::create(desk.path("a.parquet")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_after_the_other_finds_nothing_to_do() {
    let formats = ["a.csv", "a.parquet", "a.csv.gz", "a.csv.zst"];
    let desk = Desk::new().await;
    prepared(&desk);
    for (place, path) in formats.iter().enumerate() {
        desk.write("people.yaml", MAPPING.replace("PATH", path));
        let ran = desk.run(&["push", "-m", "people.yaml", "--json"]);
        assert_eq!(ran.code, Some(0), "{path}: {ran:?}");
        let counts = ["created", "unchanged"].map(|name| ran.rows(name));
        assert_eq!(
            counts,
            if place == 0 { [2, 0] } else { [0, 2] },
            "{path}: {ran:?}"
        );
    }
}

/// Numbers with gaps come out of data frames as floating point numbers.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_of_a_parquet_have_the_keys_that_its_rows_have() {
    let desk = Desk::new().await;
    let write = |name: Option<&str>| {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("number", Arc::new(Float64Array::from(vec![3003.0, 1e17]))),
            ("name", Arc::new(StringArray::from(vec![name; 2]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = File::create(desk.path("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    desk.accounts("{ path: a.parquet }", "");
    let long = "x".repeat(161);
    write(Some(&long));
    let ran = desk.push(&[]);
    assert_eq!(ran.rows("rejected"), 2, "{ran:?}");
    let rows = desk.run(&["rejects", "--csv"]).out;
    assert_eq!(
        rows,
        format!("number,name\n3003,{long}\n100000000000000000,{long}\n")
    );
    write(Some("short"));
    let again = desk.run(&["retry", "--json"]);
    assert_eq!(again.rows("created"), 2, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_gives_the_same_records() {
    let mut seen = Vec::new();
    for path in ["a.csv", "a.parquet"] {
        let desk = Desk::new().await;
        prepared(&desk);
        desk.write("people.yaml", MAPPING.replace("PATH", path));
        assert_eq!(
            desk.run(&["push", "-m", "people.yaml", "--json"])
                .rows("created"),
            2
        );
        let mut written: Vec<_> = desk
            .emulator
            .journal()
            .into_iter()
            .map(|entry| entry.columns)
            .collect();
        written.sort_by_key(|columns| columns["lastname"].to_string());
        seen.push(written);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][0]["annualincome"].to_string(), "1250.5");
}

/// docs/mapping.md, "Parquet": 38 digits, and more decimal places than 28 by way of text.
#[tokio::test(flavor = "multi_thread")]
async fn decimals_of_parquet_may_have_38_digits() {
    let desk = Desk::new().await;
    for (precision, scale, one) in [
        (38, 10, 10_i128.pow(10)),
        (38, 28, 10_i128.pow(28)),
        (38, 37, 10_i128.pow(37)),
    ] {
        let incomes = Decimal128Array::from(vec![one + one / 2])
            .with_precision_and_scale(precision, scale)
            .unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("number", Arc::new(StringArray::from(vec!["1"]))),
            ("name", Arc::new(StringArray::from(vec!["Ann"]))),
            ("income", Arc::new(incomes)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = File::create(desk.path("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let lines = MAPPING.lines().filter(|line| {
            let unused = ["children", "born", "seen"];
            !unused.iter().any(|name| line.contains(name))
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        desk.write("people.yaml", text.replace("PATH", "a.parquet"));
        let ran = desk.run(&["push", "-m", "people.yaml", "--json"]);
        assert_eq!(ran.code, Some(0), "{scale}: {ran:?}");
        let rows = desk.emulator.rows("contact");
        let row = serde_json::to_value(&rows[0]).unwrap();
        assert_eq!(row["annualincome"], 1.5, "{scale}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_an_extract() {
    let desk = Desk::new().await;
    desk.accounts("{ path: \"-\" }", "");
    let pushed = |text: &str| {
        let mut command: Command = desk.command(&["push", "-m", "accounts.yaml", "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let first = pushed("number,name\nA1,One\nA2,Two\nA2,Again\n");
    assert_eq!(first["runs"][0]["rows"]["created"], 2, "{first}");
    assert_eq!(first["runs"][0]["rows"]["rejected"], 1);
    let second = pushed("number,name\nA1,One\nA2,Three\n");
    assert_eq!(second["runs"][0]["rows"]["updated"], 1, "{second}");
    assert_eq!(second["runs"][0]["rows"]["unchanged"], 1);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn standard_input_that_cannot_be_kept_is_a_matter_of_the_disk() {
    let desk = Desk::new().await;
    desk.accounts("{ path: \"-\" }", "");
    desk.write("accounts.csv", "number,name\nA1,One\n");
    let extract = std::fs::File::open(desk.path("accounts.csv")).unwrap();
    let mut command = desk.command(&["push", "-m", "accounts.yaml", "--json"]);
    let ran = ran(command.stdin(extract).env("TMPDIR", desk.path("gone")));
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.err.contains("standard input cannot be kept in a file"));
}

/// More rows than one batch of the reader has, in two files, some of them wrong in every way.
fn segment(desk: &Desk, edition: &str) {
    let many: String = (0..8_300)
        .map(|number| match number % 1_000 {
            7 => format!("A{number},\"over\ntwo lines {edition}\",1\n"),
            8 => format!("A{number},{}\n", "ragged,".repeat(4)),
            9 => format!("A{},again,1\n", number - 1),
            10 => format!(",nobody {edition},1\n"),
            11 => format!("A{number},wrong {edition},many\n"),
            12 => format!("A{number},changed {edition},1\n"),
            _ => format!("A{number},Shop {number},1\n"),
        })
        .collect();
    desk.write("segment/a.csv", format!("number,name,employees\n{many}"));
    desk.write(
        "segment/b.csv",
        format!("employees,name,number\n3,Last {edition},B1\n4,\"Löb, {edition}\",B2\n"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_from_memory_become_what_rows_become_that_are_read_again() {
    let mut told = Vec::new();
    for memory in ["0", "64"] {
        let desk = Desk::new().await;
        desk.accounts("{ path: segment/ }", "");
        let mapping = desk.read("accounts.yaml") + "  numberofemployees: employees\n";
        desk.write("accounts.yaml", mapping);
        let mut days = Vec::new();
        for edition in ["one", "two", "two"] {
            segment(&desk, edition);
            let ran = desk.push(&["--row-memory", memory]);
            let rows = ran.json()["runs"][0]["rows"].clone();
            let removed: Vec<_> = ran.rejects().lines().map(str::to_owned).collect();
            let mut records: Vec<_> = desk.emulator.rows("account").into_iter().collect();
            for record in &mut records {
                let columns = ["accountnumber", "name", "numberofemployees"];
                *record = columns.map(|it| record[it].clone()).to_vec().into();
            }
            records.sort_by_key(|it| it[0].to_string());
            days.push((ran.code, rows, removed, records));
        }
        assert_eq!(days[0].0, Some(1), "{:?}", days[0].1);
        told.push(days);
    }
    assert_eq!(told[0], told[1]);
}
