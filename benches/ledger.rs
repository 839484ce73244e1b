//! What the ledger does in a first load, and nothing else, for `benches/survey.sh`: records so many accepted rows, as
//! many at a time as a run does, and puts itself in order. Prints the seconds of both.
//!
//! Usage: `ledger FOLDER ROWS COLUMNS`; the folder must not be there yet.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue::ledger::{Entry, Identity, Layout, LayoutColumn, Ledger, Recorded};
use segue::model::{
    ColumnDigest, ColumnState, KeyDigest, LogicalName, Position, RecordId, RowTag, RunId,
    SourceDigest, StandingFlags,
};
use tokio::time::Instant;
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// What a run records at a time while answers come as fast as they can be read: what comes within 25 ms.
const TOGETHER: u64 = 8_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rows, columns] = arguments.as_slice() else {
        return Err("usage: ledger FOLDER ROWS COLUMNS".into());
    };
    let (rows, columns): (u64, u64) = (rows.parse()?, columns.parse()?);
    let ledger = opened(Path::new(folder), columns)?;
    let run = ledger.begin_run(&RunId::new("bench"), jiff::Timestamp::UNIX_EPOCH)?;
    let mut page = ledger.page(run);
    let mut recording = Duration::ZERO;
    let mut from = 0;
    while from < rows {
        let to = rows.min(from + TOGETHER);
        let entries: Vec<Entry> = (from..to).map(|row| entry(row, columns)).collect();
        let began = Instant::now();
        page.extend(&entries);
        ledger.record_page(&mut page)?;
        recording += began.elapsed();
        from = to;
    }
    let began = Instant::now();
    ledger.fold()?;
    let (recording, ordering) = (recording.as_secs_f64(), began.elapsed().as_secs_f64());
    writeln!(std::io::stdout(), "{recording:.2} {ordering:.2}")?;
    Ok(())
}

fn opened(folder: &Path, columns: u64) -> Result<Ledger, Box<dyn Error>> {
    let mut layout = Layout {
        columns: Vec::new(),
    };
    for column in 0..columns {
        layout.columns.push(LayoutColumn {
            name: LogicalName::parse(&format!("column{column}"))?,
            type_tag: "text".to_owned(),
        });
    }
    let identity = Identity {
        organisation: Uuid::nil(),
        table: LogicalName::parse("account")?,
        key: vec![LogicalName::parse("column0")?],
        mapping: PathBuf::from("accounts.yaml"),
        base: PathBuf::from("."),
    };
    Ok(Ledger::open(folder, &identity, &layout)?)
}

/// Digests as spread as those of real rows.
fn entry(row: u64, columns: u64) -> Entry {
    let digest = xxh3_128(&row.to_le_bytes());
    let state = |column| {
        let hash = xxh3_64_with_seed(&row.to_le_bytes(), column);
        ColumnState::value_sent(ColumnDigest::from_hash(hash))
    };
    Entry::Standing(Recorded {
        row: RowTag {
            position: Position::new(0, row + 1),
            key: KeyDigest(digest.to_be_bytes()),
            source: SourceDigest::of_wide(digest.to_le_bytes()),
        },
        id: Some(RecordId(Uuid::from_u128(digest))),
        flags: StandingFlags::CREATED_BY_US,
        columns: (0..columns).map(state).collect(),
    })
}
