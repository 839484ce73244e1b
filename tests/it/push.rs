//! The whole flow against the emulator: real files, real HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use segue::dispatch::Stopping;
use segue::ledger::{Extent, Scope};
use segue::mapping::{
    ColumnMapping, Duplicates, Guard, Mapping, Missing, Mode, Origin, Steps, Written,
};
use segue::model::{CsvDialect, ExtractSpec, Nulls};
use segue::push::{Patience, Progress, Purpose, Report, Request, Resting, push};
use segue::sandbox::{Sandbox, SandboxOptions};
use tokio::sync::watch;

fn written(value: &str) -> Written<String> {
    Written {
        value: value.to_owned(),
        at: 0..0,
    }
}

/// Accounts by number, from an extract of resellers.
fn accounts(extract: &Path) -> Mapping {
    let columns = [
        ("accountnumber", "ResellerAlternateKey"),
        ("name", "ResellerName"),
        ("telephone1", "Phone"),
        ("numberofemployees", "NumberEmployees"),
        ("address1_line1", "AddressLine1"),
        ("revenue", "AnnualRevenue"),
    ];
    let column = |(target, source): (&str, &str)| ColumnMapping {
        target: written(target),
        origin: Origin::From(written(source)),
        steps: Steps::default(),
    };
    Mapping {
        file: PathBuf::from("accounts.yaml"),
        text: String::new(),
        name: "accounts".to_owned(),
        destination: None,
        tags: Vec::new(),
        partial: false,
        source: ExtractSpec {
            path: extract.display().to_string(),
            base: PathBuf::new(),
            format: None,
            csv: CsvDialect {
                delimiter: Some(b'|'),
                ..CsvDialect::default()
            },
        },
        source_at: 0..0,
        table: written("account"),
        key: vec![written("accountnumber")],
        key_at: 0..0,
        mode: Mode::Upsert,
        duplicates: Duplicates::Reject,
        missing: Written {
            value: Missing::Keep,
            at: 0..0,
        },
        delete_when: None,
        nulls: Nulls::Owned,
        columns: columns.map(column).to_vec(),
        guard: Guard::default(),
        problems: Vec::new(),
        unread: Vec::new(),
        write: segue::mapping::Write::default(),
    }
}

async fn run(sandbox: &Sandbox, state: &Path, extract: &Path) -> Report {
    let request = Request {
        mapping: accounts(extract),
        connection: sandbox.connection("sandbox"),
        state: state.to_owned(),
        base: state.to_owned(),
        started: "2026-11-20T23:15:00Z".parse::<Timestamp>().unwrap(),
        limit: None,
        keys: Vec::new(),
        rejects_of: None,
        scope: Scope::Changed,
        extent: Extent::Whole,
        purpose: Purpose::Send,
        row_memory: 1 << 20,
        patience: Patience::default(),
        resting: Resting::default(),
    };
    let (_stopper, stop) = watch::channel(Stopping::No);
    let report = push(request, Arc::new(Progress::default()), stop)
        .await
        .unwrap();
    assert!(report.stopped.is_none(), "{:?}", report.stopped);
    report
}

#[tokio::test]
async fn a_second_run_sends_nothing_and_a_third_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let extract = folder.path().join("resellers.csv");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/accounts/resellers.csv");
    let text = std::fs::read_to_string(shipped).unwrap();
    std::fs::write(&extract, &text).unwrap();
    let sandbox = Sandbox::serve(SandboxOptions::default()).await.unwrap();

    let first = run(&sandbox, folder.path(), &extract).await;
    assert_eq!(
        (first.results.rows.created, first.results.rows.read),
        (701, 701)
    );
    let second = run(&sandbox, folder.path(), &extract).await;
    assert_eq!(
        (
            second.results.rows.unchanged,
            second.results.requests.writes
        ),
        (701, 0)
    );

    let row = "\n9999|1|AW99999999|555|Warehouse|New Store|3|S|5|2011|2011|Road|1 Way||1.0|B|||1.0|1974\n";
    let edited = text.replacen("A Bike Store", "A Bicycle Store", 1);
    std::fs::write(&extract, format!("{}{row}", edited.trim_end())).unwrap();
    let third = run(&sandbox, folder.path(), &extract).await;
    let rows = third.results.rows;
    assert_eq!((rows.updated, rows.created, rows.unchanged), (1, 1, 700));

    let twice = format!("{edited}{}", row.trim_start().repeat(2));
    std::fs::write(&extract, twice).unwrap();
    let fourth = run(&sandbox, folder.path(), &extract).await;
    assert_eq!(
        (fourth.results.rows.rejected, fourth.results.rows.unchanged),
        (1, 702)
    );
    let rejects = std::fs::read_to_string(fourth.results.rejects.file.unwrap()).unwrap();
    assert!(
        rejects.contains("resellers.csv:704,AW99999999,,duplicate_row,"),
        "{rejects}"
    );
    assert!(rejects.contains("resellers.csv:703 already"), "{rejects}");
}
