//! Ledgers of earlier formats, as programs of their time left them.

use super::*;
use crate::ledger::{export, import};

/// A ledger of the first format with a journal, and what the program that wrote it exported of it.
struct First {
    base: tempfile::TempDir,
    layout: Layout,
}

impl First {
    fn new() -> Self {
        let first = Self {
            base: tempfile::tempdir().unwrap(),
            layout: Layout {
                columns: [
                    ("accountnumber", "text"),
                    ("name", "text"),
                    ("telephone1", "text"),
                    ("numberofemployees", "integer"),
                ]
                .map(|(column, tag)| LayoutColumn {
                    name: name(column),
                    type_tag: tag.to_owned(),
                })
                .to_vec(),
            },
        };
        std::fs::create_dir(first.folder()).unwrap();
        for file in ["catalogue.db", "columns.1", "digests.1", "journal.1"] {
            std::fs::copy(fixture(file), first.folder().join(file)).unwrap();
        }
        first
    }

    fn folder(&self) -> PathBuf {
        self.base.path().join("accounts")
    }

    fn open(&self) -> Ledger {
        let identity = Identity {
            organisation: "1d7f8caa-60bb-497c-8e4e-9164bc00d7df".parse().unwrap(),
            table: name("account"),
            key: vec![name("accountnumber")],
            mapping: PathBuf::from("accounts.yaml"),
            base: self.base.path().to_owned(),
        };
        Ledger::open(&self.folder(), &identity, &self.layout).unwrap()
    }

    /// The first bytes of a file, up to its format.
    fn format_of(&self, file: &str) -> u8 {
        std::fs::read(self.folder().join(file)).unwrap()[8]
    }
}

fn fixture(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-1");
    folder.join(file)
}

fn exported(folder: &Path) -> String {
    let spill = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    export(folder, spill.path(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_ledger_of_the_first_format_reads_as_what_was_exported_of_it() {
    let (first, other) = (First::new(), tempfile::tempdir().unwrap());
    let told = std::fs::read(fixture("exported.ndjson")).unwrap();
    let imported = other.path().join("imported");
    let count = import(&imported, Path::new("exported.ndjson"), told.as_slice()).unwrap();
    assert_eq!(count, 4);
    let text = exported(&first.folder());
    assert_eq!(text, exported(&imported));
    assert!(text.starts_with("{\"schema\":\"segue.ledger/2\""));
    // Of each digest there is what a digest of today has: the front of a row's, the end of a column's.
    let line = text.lines().find(|line| line.contains("6916f388")).unwrap();
    assert!(line.contains("\"source\":\"b34a708e72e8344d\""), "{line}");
    assert!(line.contains("\"fa67633dca4d\""), "{line}");
    assert_eq!(first.format_of("digests.1"), 1);
}

#[test]
fn a_ledger_of_the_first_format_is_written_anew_with_what_is_learned() {
    let first = First::new();
    let before = exported(&first.folder());
    drop(first.open());
    // What the journal held is part of a generation now.
    assert_eq!(first.format_of("digests.2"), 2);
    assert_eq!(first.format_of("columns.2"), 2);
    assert!(!first.folder().join("digests.1").exists());
    assert_eq!(exported(&first.folder()), before);
}

#[test]
fn a_generation_of_the_first_format_stays_until_something_is_learned() {
    let first = First::new();
    std::fs::remove_file(first.folder().join("journal.1")).unwrap();
    let held = contents(first.open().snapshot());
    assert_eq!(held.len(), 4);
    assert_eq!(first.format_of("digests.1"), 1);
    let ledger = first.open();
    ledger.amend(&[standing(1, 1, &[1, 2, 3, 4])]).unwrap();
    ledger.fold().unwrap();
    let mut all = expected(&[standing(1, 1, &[1, 2, 3, 4])]);
    all.extend(held);
    assert_eq!(contents(first.open().snapshot()), all);
    assert_eq!(first.format_of("digests.2"), 2);
}

#[test]
fn an_empty_journal_of_the_first_format_is_begun_anew() {
    let first = First::new();
    let journal = first.folder().join("journal.1");
    let empty = std::fs::read(&journal).unwrap()[..72].to_vec();
    std::fs::write(&journal, empty).unwrap();
    let held = contents(first.open().snapshot());
    let ledger = first.open();
    ledger.amend(&[standing(1, 1, &[1, 2, 3, 4])]).unwrap();
    drop(ledger);
    let mut all = expected(&[standing(1, 1, &[1, 2, 3, 4])]);
    all.extend(held);
    assert_eq!(contents(first.open().snapshot()), all);
}
