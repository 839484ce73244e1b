//! The results object: what a run did, for machines. Names are added, never renamed.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::folder::{private, sync_folder};
use super::{RemovalResults, RowCounts, SendingResults, Status};

/// One run, as `run_results.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResults {
    /// `segue.run/1`
    pub schema: String,
    /// The run's id.
    pub run: String,
    /// The mapping's name.
    pub mapping: String,
    /// The destination's name.
    pub destination: String,
    /// How it ended, in one word.
    pub status: Status,
    /// How it ended, for a scheduler.
    pub exit_code: u8,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// When it began, in UTC.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// What became of the rows.
    pub rows: RowCounts,
    /// What went over the wire.
    pub requests: RequestCounts,
    /// How sending went.
    #[serde(default)]
    pub sending: SendingResults,
    /// What must be mended at the source.
    pub rejects: RejectResults,
    /// Which records were removed, or would be.
    #[serde(default)]
    pub removals: RemovalResults,
    /// Why it ended early, if it did.
    pub stopped_by: Option<String>,
    /// What to do about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The problems of the mapping, if they are why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<serde_json::Value>,
    /// What somebody should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How the extract was written.
    #[serde(default)]
    pub extract: ExtractShape,
}

/// How an extract was written: what rejected rows must look like to be pushed in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractShape {
    /// Between cells; an ASCII character.
    pub delimiter: char,
    /// A label of the WHATWG Encoding Standard.
    pub encoding: String,
    /// Whether the first row names the columns.
    pub header: bool,
    /// Lines before that row.
    pub skip_rows: u64,
    /// Around cells that need it; none where quoting is off.
    #[serde(default = "usual_quote")]
    pub quote: Option<char>,
    /// What stands for itself in a quoted cell only if it is doubled, besides the quote.
    #[serde(default)]
    pub escape: Option<char>,
    /// Lines that begin with it are left out.
    #[serde(default)]
    pub comment: Option<char>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what is not written is a value of the field"
)]
fn usual_quote() -> Option<char> {
    Some('"')
}

impl Default for ExtractShape {
    fn default() -> Self {
        Self {
            delimiter: ',',
            encoding: "utf-8".to_owned(),
            header: true,
            skip_rows: 0,
            quote: usual_quote(),
            escape: None,
            comment: None,
        }
    }
}

/// What went over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Requests that only read.
    pub reads: u64,
    /// Requests that wrote.
    pub writes: u64,
    /// Operations that were sent once more.
    pub retried: u64,
    /// Requests that the service throttled.
    pub throttled: u64,
    /// Seconds in which nothing was sent because of that.
    pub waited: f64,
}

/// What must be mended at the source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RejectResults {
    /// The reject file, if there are rejects.
    pub file: Option<String>,
    /// How many there are of each kind, most first.
    pub reasons: Vec<Reason>,
    /// Of them, rows that were held back: not sent, since Dataverse refused them before.
    #[serde(default)]
    pub held: u64,
}

/// Rejects of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// `date_invalid`
    pub code: String,
    /// The column at fault, where there is one.
    pub column: Option<String>,
    /// How many rows.
    pub rows: u64,
}

/// What a command did: its exit code and its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushResults {
    /// `segue.push/1`
    pub schema: String,
    /// How the command ended.
    pub exit_code: u8,
    /// One per mapping.
    pub runs: Vec<RunResults>,
    /// What went wrong before there was a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<serde_json::Value>,
}

impl RunResults {
    /// Writes `run_results.json`, readable by its owner only, whole or not at all.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let unfinished = folder.join("run_results.json.unfinished");
        let mut file = private(&unfinished)?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // The room that it takes may be what is lacking.
            fs::remove_file(&unfinished).ok();
            return Err(error);
        }
        fs::rename(&unfinished, folder.join("run_results.json"))?;
        // Who was told how the run ended finds it told after a power failure as well: the names of the file and of the
        // folder must last as the bytes do.
        sync_folder(folder)?;
        folder.parent().map_or(Ok(()), sync_folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let results = RunResults {
            schema: "segue.run/1".to_owned(),
            run: "20261120T231500Z-contacts".to_owned(),
            mapping: "contacts".to_owned(),
            destination: "prod".to_owned(),
            status: Status::Done,
            exit_code: 1,
            dry_run: false,
            started: "2026-11-20T23:15:00Z".parse().unwrap(),
            seconds: 4.1,
            rows: RowCounts {
                read: 2059,
                ..RowCounts::default()
            },
            requests: RequestCounts::default(),
            sending: SendingResults::default(),
            rejects: RejectResults::default(),
            removals: RemovalResults::default(),
            stopped_by: None,
            advice: None,
            problems: None,
            warnings: vec!["look".to_owned()],
            extract: ExtractShape::default(),
        };
        results.write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("run_results.json")).unwrap();
        assert!(text.contains(r#""status": "done""#), "{text}");
        assert!(
            text.contains(r#""started": "2026-11-20T23:15:00Z""#),
            "{text}"
        );
        let back: RunResults = serde_json::from_str(&text).unwrap();
        assert_eq!(back, results);
    }
}
