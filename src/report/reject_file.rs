//! Reading a reject file: for people, and as rows to mend.

use std::fs::File;
use std::io;
use std::path::Path;

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
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .delimiter(u8::try_from(shape.delimiter).unwrap_or(b','))
            .from_writer(Vec::new());
        let mut before = None;
        if shape.header {
            let header = self.reader.headers()?.clone();
            writer.write_record(header.iter().skip(OWN.len()))?;
        }
        for line in self.reader.records() {
            let line = line?;
            let position = line.get(0).map(str::to_owned);
            if position != before {
                writer.write_record(line.iter().skip(OWN.len()))?;
            }
            before = position;
        }
        let bytes = writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        let rows = String::from_utf8(bytes).map_err(io::Error::other)?;
        let skipped = "\n".repeat(usize::try_from(shape.skip_rows).unwrap_or_default());
        Ok(skipped + &rows)
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
