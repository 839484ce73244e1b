//! Reading a reject file: for people, and as rows to mend.

use std::fs::File;
use std::io;
use std::path::Path;

use csv::StringRecord;

use super::ExtractShape;
use super::rejects::OWN;

/// A reject file, line by line.
pub struct RejectFile {
    reader: csv::Reader<File>,
}

/// One reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectLine {
    /// `contacts.csv:17`
    pub position: String,
    /// The row's key, where it could be read.
    pub key: String,
    /// The column at fault, or nothing.
    pub column: String,
    /// `date_invalid`
    pub code: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

impl RejectFile {
    /// Opens the file of a run.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_path(path)
            .map_err(io::Error::from)?;
        Ok(Self { reader })
    }

    /// Of each row the cells in these columns of the extract; `None` for a row whose cells could not be read again.
    ///
    /// # Errors
    /// If the file cannot be read, or was written of an extract without one of the columns.
    pub fn cells(
        mut self,
        columns: &[String],
    ) -> io::Result<impl Iterator<Item = io::Result<Option<Vec<String>>>>> {
        let header = self.reader.headers()?.clone();
        let places = columns.iter().map(|column| {
            let mut of_extract = header.iter().enumerate().skip(OWN.len());
            let place = of_extract.find(|(_, name)| name == column);
            let missing = || io::Error::other(format!("its rows have no column `{column}`"));
            place.map(|(place, _)| place).ok_or_else(missing)
        });
        let places: Vec<usize> = places.collect::<io::Result<_>>()?;
        let lines = self.reader.into_records();
        Ok(lines.map(move |line| {
            let line = line?;
            let is_blank = line.iter().skip(OWN.len()).all(str::is_empty);
            let cell = |place: &usize| line.get(*place).unwrap_or_default().to_owned();
            Ok((!is_blank).then(|| places.iter().map(cell).collect()))
        }))
    }

    /// The rows alone, in the extract's own columns, each row once, written as the extract is; as text still.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn rows(mut self, shape: &ExtractShape) -> io::Result<String> {
        let mut rows = "\n".repeat(usize::try_from(shape.skip_rows).unwrap_or_default());
        let mut before = None;
        if shape.header {
            let header = self.reader.headers()?.clone();
            shape.write(&header, &mut rows);
        }
        for line in self.reader.records() {
            let line = line?;
            let position = line.get(0).map(str::to_owned);
            if position != before {
                shape.write(&line, &mut rows);
            }
            before = position;
        }
        Ok(rows)
    }
}

impl ExtractShape {
    /// Writes the row of a line so that the extract's reader finds its cells in it again.
    fn write(&self, line: &StringRecord, rows: &mut String) {
        let alone = line.len() == OWN.len() + 1;
        for (place, cell) in line.iter().skip(OWN.len()).enumerate() {
            if place > 0 {
                rows.push(self.delimiter);
            }
            let reads_otherwise = |c: char| {
                let meant = [Some(self.delimiter), self.quote, self.escape];
                matches!(c, '\r' | '\n') || meant.contains(&Some(c))
            };
            let comment = self.comment.filter(|_| place == 0);
            let is_comment = comment.is_some_and(|sign| cell.starts_with(sign));
            match self.quote {
                // An empty line is no row.
                Some(quote)
                    if cell.contains(reads_otherwise)
                        || is_comment
                        || (alone && cell.is_empty()) =>
                {
                    rows.push(quote);
                    for c in cell.chars() {
                        if c == quote || self.escape == Some(c) {
                            rows.push(c);
                        }
                        rows.push(c);
                    }
                    rows.push(quote);
                }
                // Without quotes nothing can hide a delimiter, and no cell has one.
                _ => rows.push_str(cell),
            }
        }
        rows.push('\n');
    }
}

impl Iterator for RejectFile {
    type Item = io::Result<RejectLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.reader.records().next()? {
            Ok(line) => line,
            Err(error) => return Some(Err(error.into())),
        };
        let cell = |index| line.get(index).unwrap_or_default().to_owned();
        Some(Ok(RejectLine {
            position: cell(0),
            key: cell(1),
            column: cell(2),
            code: cell(3),
            reason: cell(4),
            advice: cell(5),
        }))
    }
}
