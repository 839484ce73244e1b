//! The reject file: rows that must be mended at the source, with the reason and the row itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::private;
use super::{Reason, RejectResults};
use crate::model::{Position, Reject};

/// Rejects whose rows are read again at a time.
const TOGETHER: usize = 10_000;

/// Takes rejects as they come and writes `rejects.csv` at the end, when their rows can be read again.
///
/// Until then they are in a nameless file, so that their number does not count.
#[derive(Debug)]
pub struct RejectWriter {
    path: PathBuf,
    spilled: BufWriter<File>,
    reasons: BTreeMap<(String, Option<String>), u64>,
    held: u64,
}

/// A row that was not sent, since Dataverse refused it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// Where the row stands.
    pub position: Position,
    /// The column at fault, where there is one.
    pub column: Option<String>,
    /// `duplicate_key`
    pub code: String,
    /// What was wrong, without values.
    pub reason: String,
    /// When it is tried again, and what to do.
    pub advice: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Spilled {
    position: u64,
    column: Option<String>,
    code: String,
    reason: String,
    advice: String,
    service_code: String,
    service_message: String,
}

impl RejectWriter {
    /// Makes ready to write into the folder of a run.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            path: folder.join("rejects.csv"),
            spilled: BufWriter::new(tempfile::tempfile_in(folder)?),
            reasons: BTreeMap::new(),
            held: 0,
        })
    }

    /// Takes one reject.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn add(&mut self, reject: &Reject) -> io::Result<()> {
        let service = reject.service.clone().unwrap_or_default();
        let spilled = Spilled {
            position: reject.position.to_bits(),
            column: reject.column.clone(),
            code: reject.code.0.to_owned(),
            reason: reject.reason.clone(),
            advice: reject.advice.clone().into_owned(),
            service_code: service.code,
            service_message: service.message,
        };
        self.spill(spilled)
    }

    /// Takes a row that was held back.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn hold(&mut self, row: HeldRow) -> io::Result<()> {
        self.held += 1;
        self.spill(Spilled {
            position: row.position.to_bits(),
            column: row.column,
            code: row.code,
            reason: row.reason,
            advice: row.advice,
            service_code: String::new(),
            service_message: String::new(),
        })
    }

    fn spill(&mut self, spilled: Spilled) -> io::Result<()> {
        serde_json::to_writer(&mut self.spilled, &spilled)?;
        self.spilled.write_all(b"\n")?;
        *self
            .reasons
            .entry((spilled.code, spilled.column))
            .or_default() += 1;
        Ok(())
    }

    /// Writes the file, if there are rejects. `columns` are the extract's, and `key` tells which of them make the key;
    /// `rows` gives the cells of the rows at ascending positions. A row that cannot be read again stands there without its cells.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish<E>(
        self,
        files: &[Arc<str>],
        columns: &[String],
        key: &[usize],
        mut rows: impl FnMut(&[Position]) -> Result<Vec<(Position, Vec<String>)>, E>,
    ) -> io::Result<RejectResults> {
        let mut reasons: Vec<Reason> = self
            .reasons
            .into_iter()
            .map(|((code, column), rows)| Reason { code, column, rows })
            .collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.rows));
        if reasons.is_empty() {
            return Ok(RejectResults::default());
        }
        let mut spilled = self
            .spilled
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        spilled.seek(SeekFrom::Start(0))?;
        let mut lines = BufReader::new(spilled).lines();
        let mut file = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(private(&self.path)?);
        let header = OWN.into_iter().chain(columns.iter().map(String::as_str));
        file.write_record(header)?;
        let shape = Shape {
            files,
            columns,
            key,
        };
        loop {
            let chunk: Vec<Spilled> = (&mut lines)
                .take(TOGETHER)
                .map(|line| Ok(serde_json::from_str(&line?)?))
                .collect::<io::Result<_>>()?;
            if chunk.is_empty() {
                break;
            }
            write_chunk(&mut file, chunk, &shape, &mut rows)?;
        }
        // The results name the file: they must not outlast it when the power fails.
        let file = file.into_inner().map_err(csv::IntoInnerError::into_error)?;
        file.sync_all()?;
        let file = Some(self.path.display().to_string());
        let held = self.held;
        Ok(RejectResults {
            file,
            reasons,
            held,
        })
    }
}

/// The columns of the file that are not the extract's.
pub(super) const OWN: [&str; 8] = [
    "position",
    "key",
    "column",
    "code",
    "reason",
    "advice",
    "service_code",
    "service_message",
];

/// What the extract looks like.
struct Shape<'a> {
    files: &'a [Arc<str>],
    columns: &'a [String],
    key: &'a [usize],
}

impl Shape<'_> {
    /// `ann@example.org`, or `number=7,plan=gold` for a key of several columns.
    fn key_of(&self, row: &[String]) -> String {
        let text = |index: &usize| row.get(*index).cloned().unwrap_or_default();
        if let [only] = self.key {
            return text(only);
        }
        let named = self.key.iter().filter(|_| !row.is_empty());
        let parts = named.filter_map(|index| {
            let name = self.columns.get(*index)?;
            Some(format!("{name}={}", text(index)))
        });
        parts.collect::<Vec<_>>().join(",")
    }
}

fn write_chunk<E>(
    file: &mut csv::Writer<File>,
    mut chunk: Vec<Spilled>,
    shape: &Shape<'_>,
    rows: &mut impl FnMut(&[Position]) -> Result<Vec<(Position, Vec<String>)>, E>,
) -> io::Result<()> {
    chunk.sort_by_key(|reject| reject.position);
    let positions: Vec<Position> = chunk
        .iter()
        .map(|reject| Position::from_bits(reject.position))
        .collect();
    let mut there = positions.clone();
    there.retain(|position| *position != Position::NOWHERE);
    let cells: BTreeMap<Position, Vec<String>> =
        rows(&there).map(BTreeMap::from_iter).unwrap_or_default();
    for (reject, position) in chunk.iter().zip(positions) {
        let place = position.display(shape.files).to_string();
        let row = cells.get(&position).map(Vec::as_slice).unwrap_or_default();
        let key = shape.key_of(row);
        let own = [
            place.as_str(),
            &key,
            reject.column.as_deref().unwrap_or_default(),
            &reject.code,
            &reject.reason,
            &reject.advice,
            &reject.service_code,
            &reject.service_message,
        ];
        // Short rows are filled up; surplus cells stay, or they would be lost.
        let missing = shape.columns.len().saturating_sub(row.len());
        let cells = row.iter().map(String::as_str);
        let padded = cells.chain(std::iter::repeat_n("", missing));
        file.write_record(own.into_iter().chain(padded))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RejectCode;

    #[test]
    fn rejects_stand_in_row_order_with_their_rows() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RejectWriter::create(folder.path()).unwrap();
        for line in [9, 4] {
            let reject = Reject {
                position: Position::new(0, line),
                column: Some("birthdate".to_owned()),
                code: RejectCode("date_invalid"),
                reason: "`x, y` is not a date".to_owned(),
                advice: "Correct it.".into(),
                service: None,
            };
            writer.add(&reject).unwrap();
        }
        let columns = ["name".to_owned(), "born".to_owned()];
        let rows = |asked: &[Position]| {
            assert_eq!(asked, [Position::new(0, 4), Position::new(0, 9)]);
            let cells = vec!["Ann".to_owned(), "x, y".to_owned()];
            Ok::<_, io::Error>(vec![(Position::new(0, 4), cells)])
        };
        let results = writer
            .finish(&["a.csv".into()], &columns, &[0], rows)
            .unwrap();
        assert_eq!(results.reasons.len(), 1);
        let text = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("service_message,name,born"), "{text}");
        assert!(
            lines[1].starts_with("a.csv:4,Ann,birthdate,date_invalid,"),
            "{text}"
        );
        assert!(lines[1].ends_with(",Ann,\"x, y\""), "{text}");
        assert!(
            lines[2].starts_with("a.csv:9,,") && lines[2].ends_with(",,,,"),
            "{text}"
        );
    }
}
