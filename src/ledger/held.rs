//! Rows that Dataverse refused: tried again less and less often, then set aside. The diff knows nothing of them.
//!
//! They stand in tables of the catalogue: digests and what was said, never a value of the extract. A row is held back
//! only while its key and its source digest are those that were refused, so a changed row or mapping frees it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::catalogue::Catalogue;
use super::{Ledger, LedgerError};
use crate::model::{KeyDigest, RunId, SourceDigest};

/// After so many equal answers a row is set aside: by then it was tried in six of 32 runs.
pub const EQUAL_ANSWERS: u32 = 6;

/// `due` counts runs as `pushes` does. `source` had sixteen bytes once, of which the first eight are what it has now. A ledger of an older segue gets the tables when it is opened for writing.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS rejects(
  key BLOB PRIMARY KEY, source BLOB NOT NULL, code TEXT NOT NULL, column_name TEXT, reason TEXT NOT NULL,
  advice TEXT NOT NULL, answers INTEGER NOT NULL, due INTEGER NOT NULL, run TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pushes(one INTEGER PRIMARY KEY CHECK (one = 1), done INTEGER NOT NULL) STRICT;";

/// What a run learns waits here until it ends in order; gone with the connection.
const WAITING: &str = "
CREATE TEMP TABLE IF NOT EXISTS noted(
  key BLOB PRIMARY KEY, source BLOB NOT NULL, code TEXT NOT NULL, column_name TEXT, reason TEXT NOT NULL,
  advice TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS kept(key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS freed(key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;";

/// A row that Dataverse refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its key.
    pub key: KeyDigest,
    /// Its other cells, and the program that made a record of them.
    pub source: SourceDigest,
    /// `duplicate_key`
    pub code: String,
    /// The column at fault, where there is one.
    pub column: Option<String>,
    /// What is wrong, without any value.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

/// What a run learned of rows that were refused in it or before.
#[derive(Debug, Default)]
pub struct Learned {
    /// Refused now.
    pub refused: Vec<Refused>,
    /// Held back now.
    pub kept: Vec<KeyDigest>,
    /// Accepted now, or gone.
    pub freed: Vec<KeyDigest>,
}

impl Learned {
    fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.kept.is_empty() && self.freed.is_empty()
    }
}

/// How much of the segment a run was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// The whole extract: what the run did not meet is gone.
    Whole,
    /// Every row of a part of it.
    Part,
    /// Chosen rows: such a run does not count as one after which others are due.
    Chosen,
    /// Chosen rows whose equal answers are counted anew.
    Retried,
}

/// Why a row is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What was said of it.
    pub refused: Refused,
    /// So many times alike.
    pub answers: u32,
    /// It is tried again in the run after so many others; `None` once it is set aside.
    pub runs_between: Option<u64>,
    /// The run in which it was refused last.
    pub run: RunId,
}

/// How many rows wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldCounts {
    /// Refused, and to be tried again in this run or a later one.
    pub waiting: u64,
    /// Not tried again until they are freed.
    pub set_aside: u64,
}

/// The rows that were refused before a run. Default: none.
#[derive(Debug, Default)]
pub struct HeldBack {
    catalogue: Mutex<Option<Catalogue>>,
    /// The first halves of the keys, in order: most rows need no question.
    keys: Vec<u64>,
    done: u64,
}

impl HeldBack {
    /// Reads what earlier runs left in the ledger of this folder; nothing if there is none. Changes nothing.
    ///
    /// # Errors
    /// If the catalogue cannot be read.
    pub fn read(folder: &Path) -> Result<Self, LedgerError> {
        let Some(catalogue) = Catalogue::open_to_read(folder)? else {
            return Ok(Self::default());
        };
        let read = |connection: &Connection| {
            if !has_tables(connection)? {
                return Ok((Vec::new(), 0));
            }
            let mut statement = connection.prepare("SELECT key FROM rejects ORDER BY key")?;
            let keys = statement.query_map((), |row| Ok(half(&KeyDigest(row.get(0)?))))?;
            let keys: Vec<u64> = keys.collect::<rusqlite::Result<_>>()?;
            Ok((keys, done(connection)?))
        };
        let (keys, done) = catalogue.ask(read)?;
        Ok(Self {
            catalogue: Mutex::new((!keys.is_empty()).then_some(catalogue)),
            keys,
            done,
        })
    }

    /// Whether the key may be one of those that were refused.
    pub fn may_hold(&self, key: &KeyDigest) -> bool {
        self.keys.binary_search(&half(key)).is_ok()
    }

    /// Why the row is not to be sent in this run; `None` if it is.
    ///
    /// # Errors
    /// If the catalogue cannot be read.
    pub fn of(&self, key: KeyDigest, source: SourceDigest) -> Result<Option<Held>, LedgerError> {
        if !self.may_hold(&key) {
            return Ok(None);
        }
        let catalogue = self.catalogue.lock();
        let catalogue = catalogue.unwrap_or_else(PoisonError::into_inner);
        let Some(catalogue) = &*catalogue else {
            return Ok(None);
        };
        let question = "SELECT code, column_name, reason, advice, answers, due, run FROM rejects
             WHERE key = ?1 AND substr(source, 1, 8) = ?2";
        let now = self.done + 1;
        let found = catalogue.ask(|connection| {
            let mut statement = connection.prepare(question)?;
            let read = |row: &Row| held(row, key, source, now);
            let asked = params![key.0, source.0.to_be_bytes()];
            statement.query_row(asked, read).optional()
        })?;
        Ok(found.filter(|held| held.runs_between != Some(0)))
    }
}

/// `now` is the number of the run that asks.
fn held(row: &Row, key: KeyDigest, source: SourceDigest, now: u64) -> rusqlite::Result<Held> {
    let (answers, due): (u32, u64) = (row.get(4)?, number(row, 5)?);
    let run: String = row.get(6)?;
    Ok(Held {
        refused: Refused {
            key,
            source,
            code: row.get(0)?,
            column: row.get(1)?,
            reason: row.get(2)?,
            advice: row.get(3)?,
        },
        answers,
        runs_between: (answers < EQUAL_ANSWERS).then(|| due.saturating_sub(now)),
        run: RunId::new(&run),
    })
}

/// SQLite's numbers have a sign; ours never do.
fn number(row: &Row, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

fn half(key: &KeyDigest) -> u64 {
    let [high, _] = super::spill::halves(key.0);
    high
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let question = "SELECT count(*) FROM sqlite_schema WHERE name IN ('rejects', 'pushes')";
    connection.query_row(question, (), |row| Ok(row.get::<_, i64>(0)? == 2))
}

/// Runs that count and ended in order while rows were waiting.
fn done(connection: &Connection) -> rusqlite::Result<u64> {
    let question = "SELECT coalesce((SELECT done FROM pushes), 0)";
    connection.query_row(question, (), |row| number(row, 0))
}

impl Catalogue {
    /// How many rows wait.
    pub(super) fn held_counts(&self) -> Result<HeldCounts, LedgerError> {
        let question = "SELECT count(*), coalesce(sum(answers >= ?1), 0) FROM rejects";
        self.ask(|connection| {
            if !has_tables(connection)? {
                return Ok(HeldCounts::default());
            }
            connection.query_row(question, [EQUAL_ANSWERS], |row| {
                let (all, set_aside): (u64, u64) = (number(row, 0)?, number(row, 1)?);
                Ok(HeldCounts {
                    waiting: all.saturating_sub(set_aside),
                    set_aside,
                })
            })
        })
    }
}

impl Ledger {
    /// Takes in what the run learned of refused rows. Nothing of it counts before [`Ledger::settle_refused`].
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn note_refused(&self, learned: &Learned) -> Result<(), LedgerError> {
        if learned.is_empty() {
            return Ok(());
        }
        self.catalogue().change(|connection| {
            connection.execute_batch(WAITING)?;
            let transaction = connection.transaction()?;
            for it in &learned.refused {
                transaction.execute(
                    "INSERT OR REPLACE INTO temp.noted VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        it.key.0,
                        it.source.0.to_be_bytes(),
                        it.code,
                        it.column,
                        it.reason,
                        it.advice
                    ],
                )?;
            }
            for (keys, statement) in [
                (&learned.kept, "INSERT OR IGNORE INTO temp.kept VALUES (?1)"),
                (
                    &learned.freed,
                    "INSERT OR IGNORE INTO temp.freed VALUES (?1)",
                ),
            ] {
                let mut statement = transaction.prepare(statement)?;
                for key in keys {
                    statement.execute([key.0])?;
                }
            }
            transaction.commit()
        })
    }

    /// At the end of a run that came to its end in order: counts equal answers, says when each row is due again, and
    /// forgets rows that were accepted or are gone. All at once, on disk when this returns.
    ///
    /// # Errors
    /// If the catalogue cannot be written; then it is as it was.
    pub fn settle_refused(&self, run: &RunId, breadth: Breadth) -> Result<(), LedgerError> {
        let (counts, gone) = match breadth {
            Breadth::Whole => (1, "key NOT IN (SELECT key FROM temp.kept)"),
            Breadth::Part => (1, GONE_FROM_A_PART),
            Breadth::Chosen | Breadth::Retried => (0, GONE_FROM_A_PART),
        };
        let anew = i64::from(breadth == Breadth::Retried);
        let gone =
            format!("DELETE FROM rejects WHERE {gone} AND key NOT IN (SELECT key FROM temp.noted)");
        self.catalogue().change(|connection| {
            connection.execute_batch(WAITING)?;
            let question =
                "SELECT EXISTS (SELECT 1 FROM rejects) OR EXISTS (SELECT 1 FROM temp.noted)";
            if !connection.query_row(question, (), |row| row.get::<_, bool>(0))? {
                return Ok(());
            }
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO pushes VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET done = done + ?1",
                [counts],
            )?;
            transaction.execute(&gone, ())?;
            transaction.execute(TAKE_IN, params![run.as_str(), anew])?;
            transaction.execute(SCHEDULE, ())?;
            transaction.execute_batch(
                "DELETE FROM temp.noted; DELETE FROM temp.kept; DELETE FROM temp.freed",
            )?;
            transaction.commit()
        })
    }

    /// Frees these keys: their rows are tried again on the next run.
    ///
    /// # Errors
    /// If the catalogue cannot be written.
    pub fn free_refused(&self, keys: &[KeyDigest]) -> Result<(), LedgerError> {
        self.catalogue().change(|connection| {
            let transaction = connection.transaction()?;
            for key in keys {
                transaction.execute("DELETE FROM rejects WHERE key = ?1", [key.0])?;
            }
            transaction.commit()
        })
    }
}

const GONE_FROM_A_PART: &str = "key IN (SELECT key FROM temp.freed)";

/// An answer is equal if the code is, to the same row.
const TAKE_IN: &str = "
INSERT INTO rejects SELECT key, source, code, column_name, reason, advice, 1, 0, ?1 FROM temp.noted WHERE true
ON CONFLICT (key) DO UPDATE SET
  answers = CASE WHEN ?2 = 0 AND substr(source, 1, 8) = excluded.source AND code = excluded.code THEN answers + 1 ELSE 1 END,
  source = excluded.source, code = excluded.code, column_name = excluded.column_name, reason = excluded.reason,
  advice = excluded.advice, run = excluded.run";

/// Again in the next run, then in the 2nd, 4th, 8th from then.
const SCHEDULE: &str = "
UPDATE rejects SET due = (SELECT done FROM pushes) + (1 << (min(answers, 30) - 1))
WHERE key IN (SELECT key FROM temp.noted)";

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ledger::{Identity, Layout};
    use crate::model::LogicalName;

    fn ledger(folder: &Path) -> Ledger {
        let identity = Identity {
            organisation: Uuid::nil(),
            table: LogicalName::parse("contact").unwrap(),
            key: Vec::new(),
            mapping: "a.yaml".into(),
            base: folder.to_owned(),
        };
        let columns = Vec::new();
        Ledger::open(folder, &identity, &Layout { columns }).unwrap()
    }

    fn refused(key: u8, source: u8, code: &str) -> Refused {
        Refused {
            key: KeyDigest([key; 16]),
            source: SourceDigest(u64::from(source)),
            code: code.to_owned(),
            column: None,
            reason: "no".to_owned(),
            advice: "Mend it.".to_owned(),
        }
    }

    /// A run over the row; tells whether it was tried.
    fn run(folder: &Path, row: &Refused, breadth: Breadth) -> bool {
        let held = HeldBack::read(folder)
            .unwrap()
            .of(row.key, row.source)
            .unwrap();
        let tried = held.is_none() || breadth == Breadth::Retried;
        let mut learned = Learned::default();
        if tried {
            learned.refused.push(row.clone());
        } else {
            learned.kept.push(row.key);
        }
        let ledger = ledger(folder);
        ledger.note_refused(&learned).unwrap();
        ledger.settle_refused(&RunId::new("r"), breadth).unwrap();
        tried
    }

    #[test]
    fn a_row_is_tried_less_often_each_time_and_then_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let row = refused(1, 1, "business_rule");
        let tried: Vec<u32> = (1..=80)
            .map(|number| (number, run(folder.path(), &row, Breadth::Whole)))
            .filter_map(|(number, tried)| tried.then_some(number))
            .collect();
        assert_eq!(tried, [1, 2, 4, 8, 16, 32]);
        let catalogue = Catalogue::open(folder.path()).unwrap();
        let counts = HeldCounts {
            waiting: 0,
            set_aside: 1,
        };
        assert_eq!(catalogue.held_counts().unwrap(), counts);
    }

    #[test]
    fn a_row_that_an_older_program_noted_is_the_same_row() {
        let folder = tempfile::tempdir().unwrap();
        let row = refused(1, 1, "business_rule");
        let again = || run(folder.path(), &row, Breadth::Whole);
        assert!(again() && again());
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        let longer = "UPDATE rejects SET source = CAST(source || x'0123456789abcdef' AS BLOB)";
        let widened = catalogue.change(|connection| connection.execute(longer, ()));
        assert_eq!(widened.unwrap(), 1);
        assert_eq!([again(), again(), again()], [false, true, false]);
    }

    #[test]
    fn another_row_or_answer_begins_anew_and_so_does_a_retry() {
        let folder = tempfile::tempdir().unwrap();
        let (row, changed) = (refused(1, 1, "a"), refused(1, 2, "a"));
        let otherwise = refused(1, 2, "b");
        let tried = |row, breadth| run(folder.path(), row, breadth);
        assert!(tried(&row, Breadth::Whole) && tried(&row, Breadth::Whole));
        assert!(!tried(&row, Breadth::Whole));
        assert!(tried(&changed, Breadth::Whole) && tried(&changed, Breadth::Whole));
        assert!(!tried(&changed, Breadth::Whole));
        assert!(tried(&otherwise, Breadth::Whole) && tried(&changed, Breadth::Whole));
        assert!(tried(&changed, Breadth::Whole) && !tried(&changed, Breadth::Whole));
        assert!(tried(&changed, Breadth::Retried) && tried(&changed, Breadth::Whole));
    }

    #[test]
    fn runs_over_chosen_rows_do_not_bring_the_next_try_nearer() {
        let folder = tempfile::tempdir().unwrap();
        let row = refused(1, 1, "a");
        let tried = |breadth| run(folder.path(), &row, breadth);
        assert!(tried(Breadth::Whole) && tried(Breadth::Whole));
        assert!((0..9).all(|_| !tried(Breadth::Chosen)));
        assert!(!tried(Breadth::Part) && tried(Breadth::Part));
    }

    #[test]
    fn what_a_whole_run_does_not_meet_is_forgotten_and_a_part_forgets_what_it_freed() {
        let folder = tempfile::tempdir().unwrap();
        let settle = |refused: Vec<Refused>, freed: &[u8], breadth| {
            let ledger = ledger(folder.path());
            let learned = Learned {
                refused,
                kept: Vec::new(),
                freed: freed.iter().map(|key| KeyDigest([*key; 16])).collect(),
            };
            ledger.note_refused(&learned).unwrap();
            ledger.settle_refused(&RunId::new("r"), breadth).unwrap();
            HeldBack::read(folder.path()).unwrap().keys.len()
        };
        let three = (1..=3).map(|key| refused(key, 1, "a")).collect();
        assert_eq!(settle(three, &[], Breadth::Whole), 3);
        assert_eq!(settle(Vec::new(), &[2], Breadth::Part), 2);
        assert_eq!(settle(vec![refused(1, 1, "a")], &[], Breadth::Whole), 1);
        ledger(folder.path())
            .free_refused(&[KeyDigest([1; 16])])
            .unwrap();
        assert_eq!(settle(Vec::new(), &[], Breadth::Whole), 0);
    }

    #[test]
    fn what_is_not_settled_never_was() {
        let folder = tempfile::tempdir().unwrap();
        let learned = Learned {
            refused: vec![refused(1, 1, "a")],
            ..Learned::default()
        };
        ledger(folder.path()).note_refused(&learned).unwrap();
        let held = HeldBack::read(folder.path()).unwrap();
        assert!(held.keys.is_empty());
        assert!(HeldBack::read(&folder.path().join("none")).is_ok());
    }

    #[test]
    fn a_ledger_of_an_older_program_gets_the_tables() {
        let folder = tempfile::tempdir().unwrap();
        drop(ledger(folder.path()));
        let mut catalogue = Catalogue::open(folder.path()).unwrap();
        let drop_them = "DROP TABLE rejects; DROP TABLE pushes";
        catalogue
            .change(|connection| connection.execute_batch(drop_them))
            .unwrap();
        assert_eq!(catalogue.held_counts().unwrap(), HeldCounts::default());
        assert!(HeldBack::read(folder.path()).unwrap().keys.is_empty());
        assert!(run(folder.path(), &refused(1, 1, "a"), Breadth::Whole));
        assert_eq!(HeldBack::read(folder.path()).unwrap().keys.len(), 1);
    }
}
