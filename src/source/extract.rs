//! An extract of one or more files of delimited text.

use std::collections::HashSet;
use std::fs::{self, File};
use std::sync::Arc;

use arrow_schema::DataType;
use csv::ByteRecord;

use super::SourceError;
use super::decode;
use super::delimited::Delimited;
use super::locate::{Identity, Located, locate};
use super::reading::Batches;
use crate::model::{CsvDialect, ExtractSpec, Header, Reading, Rows, Source, SourceColumn};

/// An extract that was found, with columns that all its files have.
pub struct Extract {
    opened: Arc<Opened>,
}

/// What all readings of an extract share.
pub(super) struct Opened {
    pub(super) dialect: CsvDialect,
    pub(super) files: Vec<OpenedFile>,
    pub(super) columns: Vec<SourceColumn>,
    names: Vec<Arc<str>>,
}

/// One file, as it was when the extract was opened.
pub(super) struct OpenedFile {
    pub(super) located: Located,
    identity: Identity,
    /// How many cells a row has.
    pub(super) width: usize,
    /// Where each column of the extract stands in a row.
    pub(super) cells: Vec<usize>,
}

impl Extract {
    /// Finds the files of an extract and reads their headers.
    ///
    /// # Errors
    /// If there is nothing to read, or a file cannot be opened, is empty, or has a header that cannot be used.
    pub fn open(spec: &ExtractSpec) -> Result<Self, SourceError> {
        let mut columns: Vec<SourceColumn> = Vec::new();
        let mut files = Vec::new();
        for located in locate(spec)? {
            let file = File::open(&located.path).map_err(|e| cannot_open(&located, e))?;
            let metadata = file.metadata().map_err(|e| cannot_open(&located, e))?;
            let identity = Identity::of(&metadata);
            let names = header(file, &located, &spec.csv)?;
            if files.is_empty() {
                columns = names.iter().cloned().map(text_column).collect();
            }
            let cells = columns
                .iter()
                .map(|column| {
                    let found = names.iter().position(|name| *name == column.name);
                    found.ok_or_else(|| SourceError::MissingColumn {
                        file: Arc::clone(&located.name),
                        column: column.name.clone(),
                    })
                })
                .collect::<Result<_, _>>()?;
            files.push(OpenedFile {
                located,
                identity,
                width: names.len(),
                cells,
            });
        }
        Ok(Self {
            opened: Arc::new(Opened {
                dialect: spec.csv.clone(),
                names: files.iter().map(|f| Arc::clone(&f.located.name)).collect(),
                files,
                columns,
            }),
        })
    }
}

impl OpenedFile {
    /// Opens the file again, behind its header.
    pub(super) fn reopen(&self, dialect: &CsvDialect) -> Result<Delimited, SourceError> {
        let changed = || SourceError::Changed {
            file: Arc::clone(&self.located.name),
        };
        let file = File::open(&self.located.path).map_err(|_| changed())?;
        let metadata = file.metadata().map_err(|_| changed())?;
        if Identity::of(&metadata) != self.identity {
            return Err(changed());
        }
        let mut rows = Delimited::open(file, &self.located.name, self.located.format, dialect)?;
        if dialect.header == Header::FirstRow {
            rows.next(&mut ByteRecord::new())?;
        }
        Ok(rows)
    }

    fn unchanged(&self) -> Result<(), SourceError> {
        match fs::metadata(&self.located.path) {
            Ok(now) if Identity::of(&now) == self.identity => Ok(()),
            _ => Err(SourceError::Changed {
                file: Arc::clone(&self.located.name),
            }),
        }
    }
}

impl Source for Extract {
    type Error = SourceError;

    fn files(&self) -> &[Arc<str>] {
        &self.opened.names
    }

    fn columns(&self) -> &[SourceColumn] {
        &self.opened.columns
    }

    fn read(
        &self,
        reading: Reading,
    ) -> Result<impl Iterator<Item = Result<Rows, SourceError>> + Send + use<>, SourceError> {
        Batches::new(Arc::clone(&self.opened), reading)
    }

    fn unchanged(&self) -> Result<(), SourceError> {
        self.opened.files.iter().try_for_each(OpenedFile::unchanged)
    }
}

fn cannot_open(located: &Located, source: std::io::Error) -> SourceError {
    SourceError::Open {
        file: Arc::clone(&located.name),
        source,
    }
}

fn text_column(name: String) -> SourceColumn {
    SourceColumn {
        name,
        data_type: DataType::Utf8,
    }
}

/// The names of a file's columns.
fn header(file: File, located: &Located, dialect: &CsvDialect) -> Result<Vec<String>, SourceError> {
    let mut rows = Delimited::open(file, &located.name, located.format, dialect)?;
    let mut first = ByteRecord::new();
    let unusable = |line, what| SourceError::Header {
        file: Arc::clone(&located.name),
        line,
        what,
    };
    let (line, names) = match &dialect.header {
        Header::Names(names) => (1, names.clone()),
        Header::None => {
            rows.next(&mut first)?;
            return Ok((1..=first.len()).map(|n| format!("column_{n}")).collect());
        }
        Header::FirstRow => {
            let Some(line) = rows.next(&mut first)? else {
                return Err(SourceError::NoHeader {
                    file: Arc::clone(&located.name),
                });
            };
            let mut names = Vec::with_capacity(first.len());
            for cell in &first {
                let Some(name) = decode::cell(rows.encoding(), cell) else {
                    let encoding = rows.encoding().name();
                    return Err(unusable(
                        line,
                        format!("the header is not valid {encoding}"),
                    ));
                };
                names.push(name.trim().to_owned());
            }
            (line, names)
        }
    };
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            let what = format!("column {} has no name", index + 1);
            return Err(unusable(line, what));
        }
        if !seen.insert(name) {
            return Err(unusable(line, format!("two columns are named `{name}`")));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use super::*;
    use crate::model::Ragged;
    use crate::source::SourceFailure;

    type Row = (u64, Vec<Option<String>>);

    fn spec(base: &Path, path: &str) -> ExtractSpec {
        ExtractSpec {
            path: path.to_owned(),
            base: base.to_owned(),
            format: None,
            csv: CsvDialect::default(),
        }
    }

    fn rows(extract: &Extract) -> Result<Vec<Row>, SourceError> {
        let reading = Reading {
            columns: (0..extract.columns().len()).collect(),
            only: None,
        };
        let mut all = Vec::new();
        for batch in extract.read(reading)? {
            let batch = batch?;
            for (index, position) in batch.positions.iter().enumerate() {
                let cell = |column: &Arc<dyn Array>| {
                    let column = column.as_string::<i32>();
                    (!column.is_null(index)).then(|| column.value(index).to_owned())
                };
                let cells = batch.batch.columns().iter().map(cell).collect();
                all.push((position.line(), cells));
            }
        }
        Ok(all)
    }

    fn read(bytes: &[u8], dialect: CsvDialect) -> Result<Vec<Row>, SourceError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), bytes).unwrap();
        let mut spec = spec(folder.path(), "a.csv");
        spec.csv = dialect;
        rows(&Extract::open(&spec)?)
    }

    fn lines(bytes: &[u8], dialect: CsvDialect) -> Vec<u64> {
        let rows = read(bytes, dialect).unwrap();
        rows.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_row_has_the_line_on_which_it_begins() {
        let plain = CsvDialect::default;
        assert_eq!(lines(b"a,b\n1,2\n3,4\n", plain()), [2, 3]);
        assert_eq!(lines(b"a,b\r\n1,2\r\n3,4\r\n", plain()), [2, 3]);
        assert_eq!(lines(b"a,b\r1,2\r3,4", plain()), [2, 3]);
        assert_eq!(lines(b"\n\na,b\n\n1,2\n\n\n3,4", plain()), [5, 8]);
        assert_eq!(lines(b"a,b\n\"1\n\n\",2\n3,4", plain()), [2, 5]);
        assert_eq!(
            lines(b"\xEF\xBB\xBFa,b\r\n\"1\r\n\",2\r\n3,4", plain()),
            [2, 4]
        );
        let skipping = CsvDialect {
            skip_rows: 2,
            comment: Some(b'#'),
            ..plain()
        };
        assert_eq!(lines(b"x\n\"y\n#c\na,b\n#d\n1,2\n", skipping), [6]);
    }

    #[test]
    fn a_file_that_ends_inside_quotes_names_the_line_of_the_quote() {
        let error = read(b"a,b\n1,2\n\n3,\"4\n5,6\n", CsvDialect::default()).unwrap_err();
        assert!(
            matches!(error, SourceError::OpenQuote { line: 4, .. }),
            "{error}"
        );
        assert_eq!(error.kind(), SourceFailure::Unreadable);
        assert_eq!(lines(b"a,b\n1,\"4\"\"\"", CsvDialect::default()), [2]);
    }

    #[test]
    fn an_empty_file_is_an_error_and_a_header_alone_is_no_rows() {
        let error = read(b"", CsvDialect::default()).unwrap_err();
        assert_eq!(error.kind(), SourceFailure::NotThere);
        assert_eq!(lines(b"a,b\n", CsvDialect::default()), Vec::<u64>::new());
    }

    #[test]
    fn padding_takes_short_rows_and_empty_surplus() {
        let dialect = CsvDialect {
            ragged: Ragged::Pad,
            ..CsvDialect::default()
        };
        let rows = read(b"a,b\n1\n1,2,,\n", dialect).unwrap();
        assert_eq!(rows[0].1, [Some("1".to_owned()), None]);
        assert_eq!(rows[1].1, [Some("1".to_owned()), Some("2".to_owned())]);
    }
}
