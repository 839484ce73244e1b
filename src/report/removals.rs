//! The file of removals: the records that a run removed, or would remove, since their rows are gone or marked.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::private;
use crate::model::{LogicalName, Position, RecordId};

/// Records of each kind that the results name; the file has them all.
const FIRST: usize = 3;

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalAction {
    /// It is deleted.
    Delete,
    /// It is set inactive.
    Deactivate,
    /// It gets fixed values.
    Set,
}

/// Which setting of the mapping asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalReason {
    /// The record's row is not in the extract any more.
    Missing,
    /// The record's row is marked.
    DeleteWhen,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalOutcome {
    /// A dry run: it would happen.
    Foreseen,
    /// It happened.
    Done,
    /// The record was not there any more.
    Gone,
    /// Dataverse refused it.
    Rejected,
    /// The run ended before, or what was done could not be recorded.
    NotAttempted,
    /// A guard stopped the run for the number of removals.
    Stopped,
}

/// What one setting of a mapping does to records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalRule {
    /// What is done.
    pub action: RemovalAction,
    /// Why.
    pub reason: RemovalReason,
    /// `donotbulkemail=true`; nothing where the record is deleted.
    pub columns: String,
}

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemovalResults {
    /// The file that names the records, if there are any.
    pub file: Option<String>,
    /// Their table.
    pub table: Option<String>,
    /// How many there are of each kind.
    pub kinds: Vec<RemovalKind>,
}

/// Removals of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalKind {
    /// What is done.
    pub action: RemovalAction,
    /// What is written: `donotbulkemail=true`. Empty where the record is deleted.
    pub columns: String,
    /// Why.
    pub reason: RemovalReason,
    /// What came of it.
    pub outcome: RemovalOutcome,
    /// How many records.
    pub records: u64,
    /// The first of them.
    pub first: Vec<String>,
}

/// A line of the file, by its columns.
#[derive(Serialize)]
struct Line<'a> {
    table: &'a str,
    id: &'a str,
    action: RemovalAction,
    columns: &'a str,
    reason: RemovalReason,
    position: String,
    outcome: RemovalOutcome,
}

/// Writes `removals.csv` line by line. Without a record there is no file.
#[derive(Debug)]
pub struct RemovalWriter {
    path: PathBuf,
    table: LogicalName,
    files: Vec<Arc<str>>,
    file: Option<csv::Writer<BufWriter<File>>>,
    kinds: Vec<RemovalKind>,
}

impl RemovalWriter {
    /// Makes ready to write into the folder of a run. `files` are those of the extract, which positions name.
    pub fn new(folder: &Path, table: &LogicalName, files: &[Arc<str>]) -> Self {
        Self {
            path: folder.join("removals.csv"),
            table: table.clone(),
            files: files.to_vec(),
            file: None,
            kinds: Vec::new(),
        }
    }

    /// Writes the line of one record. `position` is that of its row, if it has one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(
        &mut self,
        rule: &RemovalRule,
        id: RecordId,
        position: Position,
        outcome: RemovalOutcome,
    ) -> io::Result<()> {
        let id = id.to_string();
        let line = Line {
            table: self.table.as_str(),
            id: &id,
            action: rule.action,
            columns: &rule.columns,
            reason: rule.reason,
            position: match position {
                Position::NOWHERE => String::new(),
                position => position.display(&self.files).to_string(),
            },
            outcome,
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(csv::Writer::from_writer(BufWriter::new(private(
                &self.path,
            )?))),
        };
        file.serialize(line)?;
        self.count(rule, outcome, id);
        Ok(())
    }

    fn count(&mut self, rule: &RemovalRule, outcome: RemovalOutcome, id: String) {
        let is_it = |kind: &&mut RemovalKind| {
            kind.outcome == outcome && kind.action == rule.action && kind.reason == rule.reason
        };
        if let Some(kind) = self.kinds.iter_mut().find(is_it) {
            kind.records += 1;
            if kind.first.len() < FIRST {
                kind.first.push(id);
            }
            return;
        }
        self.kinds.push(RemovalKind {
            action: rule.action,
            columns: rule.columns.clone(),
            reason: rule.reason,
            outcome,
            records: 1,
            first: vec![id],
        });
    }

    /// Hands what was written to the system: a run that is killed leaves it behind.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush)
    }

    /// Closes the file.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn finish(self) -> io::Result<RemovalResults> {
        let Some(file) = self.file else {
            return Ok(RemovalResults::default());
        };
        let file = file.into_inner().map_err(csv::IntoInnerError::into_error)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        // The results name the file: they must not outlast it when the power fails.
        file.sync_all()?;
        Ok(RemovalResults {
            file: Some(self.path.display().to_string()),
            table: Some(self.table.to_string()),
            kinds: self.kinds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(folder: &Path) -> RemovalWriter {
        let table = LogicalName::parse("contact").unwrap();
        RemovalWriter::new(folder, &table, &["a.csv".into()])
    }

    #[test]
    fn without_a_removal_there_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let results = writer(folder.path()).finish().unwrap();
        assert_eq!(results, RemovalResults::default());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_record_has_its_line_and_the_first_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let rule = RemovalRule {
            action: RemovalAction::Delete,
            reason: RemovalReason::DeleteWhen,
            columns: String::new(),
        };
        let id = RecordId(uuid::Uuid::from_u128(7));
        for line in 2..7 {
            let position = Position::new(0, line);
            let outcome = RemovalOutcome::Done;
            writer.add(&rule, id, position, outcome).unwrap();
        }
        writer.flush().unwrap();
        let results = writer.finish().unwrap();
        let text = std::fs::read_to_string(results.file.unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "table,id,action,columns,reason,position,outcome");
        assert_eq!(
            lines[5],
            "contact,00000000-0000-0000-0000-000000000007,delete,,delete_when,a.csv:6,done"
        );
        let [kind] = &results.kinds[..] else { panic!() };
        assert_eq!((kind.records, kind.first.len()), (5, 3));
    }
}
