//! An extract of one or more files of one format.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_schema::DataType;
use csv::ByteRecord;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use tempfile::TempPath;

use super::SourceError;
use super::delimited::{self, Delimited};
use super::header;
use super::locate::{Files, Identity, Located, locate};
use super::parquet as table;
use super::reading::Batches;
use crate::model::{CsvDialect, ExtractSpec, Format, Header, Reading, Rows, Source, SourceColumn};

/// An extract that was found, with columns that all its files have.
pub struct Extract {
    opened: Arc<Opened>,
}

/// What all readings of an extract share.
pub(super) struct Opened {
    spec: ExtractSpec,
    pub(super) files: Vec<OpenedFile>,
    pub(super) columns: Vec<SourceColumn>,
    names: Vec<Arc<str>>,
    spooled: Option<TempPath>,
}

/// One file, as it was when the extract was opened.
pub(super) struct OpenedFile {
    pub(super) located: Located,
    identity: Identity,
    /// How many cells a row has.
    pub(super) width: usize,
    /// Where each column of the extract stands in a row.
    pub(super) cells: Vec<usize>,
    /// What stands at the end of a Parquet file; nothing for text.
    pub(super) footer: Option<ArrowReaderMetadata>,
}

impl Extract {
    /// Finds the files of an extract and reads their headers. Standard input is read to its end.
    ///
    /// # Errors
    /// If there is nothing to read, or a file cannot be opened, is empty, or has a header that cannot be used.
    pub fn open(spec: &ExtractSpec) -> Result<Self, SourceError> {
        let Files { located, spooled } = locate(spec)?;
        let mut columns: Vec<SourceColumn> = Vec::new();
        let mut files: Vec<OpenedFile> = Vec::new();
        for located in located {
            let file = File::open(&located.path).map_err(|e| cannot_open(&located, e))?;
            let metadata = file.metadata().map_err(|e| cannot_open(&located, e))?;
            let identity = Identity::of(&metadata);
            let (found, footer) = head(file, &located, &spec.csv)?;
            match files.first() {
                None => columns.clone_from(&found),
                Some(first) => same_types(&columns, &first.located, &found, &located)?,
            }
            let cells = places(&columns, &found, &located)?;
            files.push(OpenedFile {
                located,
                identity,
                width: found.len(),
                cells,
                footer,
            });
        }
        let names = files.iter().map(|f| Arc::clone(&f.located.name)).collect();
        Ok(Self {
            opened: Arc::new(Opened {
                spec: spec.clone(),
                files,
                columns,
                names,
                spooled,
            }),
        })
    }
}

impl Extract {
    /// How many bytes its files have, unpacked where they tell it.
    pub fn bytes(&self) -> u64 {
        self.opened.files.iter().map(OpenedFile::bytes).sum()
    }
}

impl Opened {
    pub(super) fn dialect(&self) -> &CsvDialect {
        &self.spec.csv
    }

    /// Whether the files are Parquet; all are, or none is.
    pub(super) fn is_table(&self) -> bool {
        self.files.iter().any(|file| file.footer.is_some())
    }

    /// Whether there are still the same files where the mapping looks.
    fn same_files(&self) -> Result<(), SourceError> {
        if self.spooled.is_some() {
            return Ok(());
        }
        let now = locate(&self.spec)
            .map(|files| files.located)
            .unwrap_or_default();
        let differs = |index: usize| {
            let name = |located: &Located| Arc::clone(&located.name);
            let (then, now) = (self.names.get(index), now.get(index).map(name));
            (then != now.as_ref()).then(|| then.cloned().or(now))
        };
        match (0..self.names.len().max(now.len()))
            .find_map(differs)
            .flatten()
        {
            Some(file) => Err(SourceError::Changed { file }),
            None => Ok(()),
        }
    }
}

impl OpenedFile {
    /// Opens the file again, if it is still the same.
    pub(super) fn reopen(&self) -> Result<File, SourceError> {
        let file = File::open(&self.located.path).map_err(|_| self.changed())?;
        let metadata = file.metadata().map_err(|_| self.changed())?;
        if Identity::of(&metadata) != self.identity {
            return Err(self.changed());
        }
        Ok(file)
    }

    /// The rows of a text file, behind its header.
    pub(super) fn rows(&self, dialect: &CsvDialect) -> Result<Delimited, SourceError> {
        let mut rows = text(self.reopen()?, &self.located, dialect)?;
        if dialect.header == Header::FirstRow {
            rows.next(&mut ByteRecord::new())?;
        }
        Ok(rows)
    }

    fn bytes(&self) -> u64 {
        match &self.footer {
            Some(footer) => {
                let groups = footer.metadata().row_groups().iter();
                let bytes = groups.map(|group| u64::try_from(group.total_byte_size()));
                bytes.map(Result::unwrap_or_default).sum()
            }
            None => self.identity.length(),
        }
    }

    fn unchanged(&self) -> Result<(), SourceError> {
        match fs::metadata(&self.located.path) {
            Ok(now) if Identity::of(&now) == self.identity => Ok(()),
            _ => Err(self.changed()),
        }
    }

    /// The error that this file is no longer what it was.
    pub(super) fn changed(&self) -> SourceError {
        SourceError::Changed {
            file: Arc::clone(&self.located.name),
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
        self.opened
            .files
            .iter()
            .try_for_each(OpenedFile::unchanged)?;
        self.opened.same_files()
    }
}

fn cannot_open(located: &Located, source: std::io::Error) -> SourceError {
    SourceError::Open {
        file: Arc::clone(&located.name),
        source,
    }
}

/// What a file tells of itself before its first row.
fn head(
    file: File,
    located: &Located,
    dialect: &CsvDialect,
) -> Result<(Vec<SourceColumn>, Option<ArrowReaderMetadata>), SourceError> {
    if located.format == Format::Parquet {
        let (columns, footer) = table::head(&file, &located.name)?;
        return Ok((columns, Some(footer)));
    }
    delimited::check(dialect, located.format)?;
    let names = header::names(&mut text(file, located, dialect)?, located, dialect)?;
    let text_column = |name| SourceColumn {
        name,
        data_type: DataType::Utf8,
    };
    Ok((names.into_iter().map(text_column).collect(), None))
}

fn text(file: File, located: &Located, dialect: &CsvDialect) -> Result<Delimited, SourceError> {
    let bytes = located.compression.open(file);
    let bytes = bytes.map_err(|error| cannot_open(located, error))?;
    Delimited::open(bytes, &located.name, located.format, dialect)
}

/// Where each column of the extract stands in a row of this file.
fn places(
    columns: &[SourceColumn],
    found: &[SourceColumn],
    located: &Located,
) -> Result<Vec<usize>, SourceError> {
    let place = |column: &SourceColumn| {
        let place = found.iter().position(|it| it.name == column.name);
        place.ok_or_else(|| SourceError::MissingColumn {
            file: Arc::clone(&located.name),
            column: column.name.clone(),
        })
    };
    columns.iter().map(place).collect()
}

fn same_types(
    columns: &[SourceColumn],
    first: &Located,
    found: &[SourceColumn],
    located: &Located,
) -> Result<(), SourceError> {
    for column in columns {
        let other = found.iter().find(|it| it.name == column.name);
        if let Some(other) = other.filter(|other| other.data_type != column.data_type) {
            return Err(SourceError::Types {
                column: column.name.clone(),
                first: Arc::clone(&first.name),
                expected: column.data_type.to_string(),
                file: Arc::clone(&located.name),
                found: other.data_type.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Fault, FaultKind, Position, Ragged};
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
    fn a_quote_that_swallows_rows_is_a_fault_of_its_row() {
        let plain = CsvDialect::default;
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "1,2", "3,\"4", "5,6", "7,\"8\"", "9,0", ""].join(end);
            let found = faults(text.as_bytes(), plain());
            let raw = vec!["3".to_owned(), ["4", "5,6", "7,8\""].join(end)];
            let kind = FaultKind::Misquoted { line: 3, raw };
            let expected = Fault {
                row: 1,
                column: None,
                kind,
            };
            assert_eq!(found, [expected], "{text:?}");
        }
        let last = b"a,b\n1,\"2\n3,\"4\"";
        assert_eq!(faults(last, plain()).len(), 1);
        for sound in [
            "a,b\n1,\"2\n3\"\n4,\"5\"\"\n\"\"6\"\n",
            "a,b\n1,\"2\" x\n3,5\" disk\n4,\"\n\"\n",
            "a,b\r\n\"1\r\n\",\"2\r\n\"\r\n",
        ] {
            assert_eq!(faults(sound.as_bytes(), plain()), [], "{sound:?}");
        }
        let error = read(b"a,b,\"c\n1,2,3\n4,5,\"6\"\n", plain()).unwrap_err();
        assert!(
            matches!(error, SourceError::Header { line: 1, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_row_without_end_is_no_damaged_archive() {
        let mut bytes = b"a,b\n1,2\n3,\"".to_vec();
        bytes.resize(70 << 20, b'4');
        let error = read(&bytes, CsvDialect::default()).unwrap_err();
        assert!(
            matches!(error, SourceError::Read { line: 3, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("is a quote never closed?"));
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

    fn some(cells: &[&str]) -> Vec<Option<String>> {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    fn encoded(label: &str) -> CsvDialect {
        CsvDialect {
            encoding: label.to_owned(),
            ..CsvDialect::default()
        }
    }

    #[test]
    fn cells_are_decoded_and_invalid_bytes_are_faults() {
        let rows = read(b"a,b\n\xE9,\x80\n", encoded("windows-1252")).unwrap();
        assert_eq!(rows[0].1, some(&["é", "€"]));

        let wide = |text: &str| {
            text.encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>()
        };
        let rows = read(&wide("\u{FEFF}a,b\r\né,\"x\n\"\r\n1,2"), encoded("utf-16")).unwrap();
        assert_eq!(rows, [(2, some(&["é", "x\n"])), (4, some(&["1", "2"]))]);
        assert!(matches!(
            read(&wide("\u{FEFF}a\n"), encoded("windows-1252")),
            Err(SourceError::OtherEncoding {
                found: "UTF-16LE",
                ..
            })
        ));

        let mut broken = wide("a,b\n1,");
        broken.extend([0x00, 0xD8, b'2', 0]);
        for (bytes, label, name) in [
            (broken, "utf-16le", "UTF-16LE"),
            (b"a,b\n1,\xFF\n".to_vec(), "utf-8", "UTF-8"),
        ] {
            let faults = faults(&bytes, encoded(label));
            let kind = FaultKind::Undecodable { encoding: name };
            assert_eq!(
                faults,
                [Fault {
                    row: 0,
                    column: Some(1),
                    kind
                }]
            );
        }
    }

    #[test]
    fn a_character_whose_bytes_stand_in_two_cells_is_none() {
        let faults = faults(b"a,b\nx\xC3,\xA9y\n\xC3\xA9,1\n", CsvDialect::default());
        let kind = FaultKind::Undecodable { encoding: "UTF-8" };
        let expected = [0, 1].map(|column| Fault {
            row: 0,
            column: Some(column),
            kind: kind.clone(),
        });
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_character_whose_bytes_stand_in_two_rows_is_none() {
        let faults = faults(b"a,b\nx\xC3,1\n\xA9y,2\n", CsvDialect::default());
        let expected = [undecodable(0, 0, "UTF-8"), undecodable(1, 0, "UTF-8")];
        assert_eq!(faults, expected);
    }

    #[test]
    fn faults_of_a_long_file_stand_in_the_order_of_its_rows() {
        for (label, name, bad) in [
            ("utf-8", "UTF-8", b'\xFF'),
            ("windows-1253", "windows-1253", b'\xAA'),
        ] {
            let mut bytes = b"a,b\n".to_vec();
            for row in 0..300 {
                let line: &[u8] = match row {
                    10 | 150 => b"1,2,3",
                    5 => b"1,!",
                    100 => b"!,2",
                    200 => b"!,!",
                    _ => b"1,2",
                };
                let wrong = |byte: &u8| if *byte == b'!' { bad } else { *byte };
                bytes.extend(line.iter().map(wrong).chain([b'\n']));
            }
            let found = faults(&bytes, encoded(label));
            let places: Vec<_> = found.iter().map(|it| (it.row, it.column)).collect();
            let (a, b) = (Some(0), Some(1));
            let expected = [
                (5, b),
                (10, None),
                (100, a),
                (150, None),
                (200, a),
                (200, b),
            ];
            assert_eq!(places, expected, "{label}");
            assert_eq!(found.last(), Some(&undecodable(200, 1, name)));
            let rows = read(&bytes, encoded(label)).unwrap();
            assert_eq!(rows[5].1, [Some("1".to_owned()), None]);
            assert_eq!(rows[10].1, [None, None]);
            assert_eq!(rows[299], (301, some(&["1", "2"])));
        }
    }

    #[test]
    fn files_of_one_batch_have_their_own_encodings_and_orders() {
        let folder = tempfile::tempdir().unwrap();
        let wide = |text: &str, bytes_of: fn(u16) -> [u8; 2]| {
            // The first half of a character whose second half is missing.
            let units = text.encode_utf16().chain([0xD800, u16::from(b'\n')]);
            units.flat_map(bytes_of).collect::<Vec<_>>()
        };
        let little = wide("\u{FEFF}a,b\n1,2\n3,", u16::to_le_bytes);
        let big = wide("\u{FEFF}b,a\n2,1\n4,", u16::to_be_bytes);
        fs::write(folder.path().join("a.csv"), little).unwrap();
        fs::write(folder.path().join("b.csv"), big).unwrap();
        let mut spec = spec(folder.path(), "*.csv");
        spec.csv = encoded("utf-16");
        let extract = Extract::open(&spec).unwrap();
        let expected = [undecodable(1, 1, "UTF-16LE"), undecodable(3, 0, "UTF-16BE")];
        assert_eq!(faults_of(&extract), expected);
        let cells: Vec<_> = rows(&extract).unwrap().into_iter().map(|it| it.1).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            cells,
            [
                vec![text("1"), text("2")],
                vec![text("3"), None],
                vec![text("1"), text("2")],
                vec![None, text("4")],
            ]
        );
    }

    #[test]
    fn a_row_of_many_bytes_stands_between_its_neighbours() {
        let long = "x".repeat(100_000);
        let text = format!("a,b\n1,2\n3,{long}\n4,5\n");
        let expected = [["1", "2"], ["3", &long], ["4", "5"]];
        let rows = read(text.as_bytes(), CsvDialect::default()).unwrap();
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row.1, some(expected));
        }
        assert_eq!(rows.len(), expected.len());
    }

    fn undecodable(row: usize, column: usize, encoding: &'static str) -> Fault {
        Fault {
            row,
            column: Some(column),
            kind: FaultKind::Undecodable { encoding },
        }
    }

    fn faults(bytes: &[u8], dialect: CsvDialect) -> Vec<Fault> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), bytes).unwrap();
        let mut spec = spec(folder.path(), "a.csv");
        spec.csv = dialect;
        faults_of(&Extract::open(&spec).unwrap())
    }

    fn faults_of(extract: &Extract) -> Vec<Fault> {
        let reading = Reading {
            columns: vec![0, 1],
            only: None,
        };
        let batches = extract.read(reading).unwrap();
        batches.flat_map(|batch| batch.unwrap().faults).collect()
    }

    #[test]
    fn a_ragged_row_is_a_fault_with_its_cells() {
        let kind = FaultKind::Ragged {
            cells: 3,
            expected: 2,
            raw: vec!["1".to_owned(), "2".to_owned(), "\\xff".to_owned()],
        };
        let faults = faults(b"a,b\n1,2,\xFF\n3,4\n", CsvDialect::default());
        assert_eq!(
            faults,
            [Fault {
                row: 0,
                column: None,
                kind
            }]
        );
    }

    #[test]
    fn a_ragged_row_shows_its_cells_in_the_order_of_the_extract() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), "a,b\n1,2\n").unwrap();
        fs::write(folder.path().join("b.csv"), "b,a\n2,1,3\n").unwrap();
        let extract = Extract::open(&spec(folder.path(), "*.csv")).unwrap();
        let reading = Reading {
            columns: vec![0, 1],
            only: None,
        };
        let mut batches = extract.read(reading).unwrap();
        let faults = batches.next().unwrap().unwrap().faults;
        assert!(
            matches!(&faults[0].kind, FaultKind::Ragged { raw, .. } if *raw == ["1", "2", "3"]),
            "{faults:?}"
        );
    }

    #[test]
    fn a_header_has_trimmed_names_all_different() {
        assert_eq!(
            read(b"\nb,a,c,a\n", CsvDialect::default())
                .unwrap_err()
                .to_string(),
            "a.csv:2: the header gives columns 2 and 4 one name, `a`"
        );
        assert_eq!(
            read(b" a , a\n", CsvDialect::default())
                .unwrap_err()
                .to_string(),
            "a.csv:1: the header gives columns 1 and 2 one name, `a`"
        );
        assert_eq!(
            read(b"a,\n", CsvDialect::default())
                .unwrap_err()
                .to_string(),
            "a.csv:1: the header has no name for column 2"
        );
        let none = CsvDialect {
            header: Header::None,
            ..CsvDialect::default()
        };
        assert_eq!(read(b"1,2\n", none).unwrap(), [(1, some(&["1", "2"]))]);
        let header = Header::Names(vec!["x".to_owned(), "y".to_owned()]);
        let written = CsvDialect {
            header,
            ..CsvDialect::default()
        };
        assert_eq!(read(b"1,2\n", written).unwrap(), [(1, some(&["1", "2"]))]);
    }

    #[test]
    fn quotes_can_be_escaped_or_switched_off_and_texts_can_mean_null() {
        let off = CsvDialect {
            quote: None,
            ..CsvDialect::default()
        };
        assert_eq!(
            read(b"a,b\n\"1,2\n", off).unwrap(),
            [(2, some(&["\"1", "2"]))]
        );
        let escaped = CsvDialect {
            escape: Some(b'\\'),
            ..CsvDialect::default()
        };
        assert_eq!(
            read(b"a,b\n\"1\\\",\",2", escaped).unwrap(),
            [(2, some(&["1\",", "2"]))]
        );
        let nulls = CsvDialect {
            null_text: vec!["NULL".to_owned()],
            ..CsvDialect::default()
        };
        assert_eq!(
            read(b"a,b\nNULL,\n", nulls).unwrap()[0].1,
            [None, Some(String::new())]
        );
    }

    #[test]
    fn a_folder_and_a_glob_give_their_files_in_name_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        at("b.tsv", "b\ta\n2\t1\n");
        at("a.csv", "a,b\n1,2\n");
        at("notes.md", "none");
        let extract = Extract::open(&spec(folder.path(), ".")).unwrap();
        assert_eq!(
            extract.files().iter().map(|f| &**f).collect::<Vec<_>>(),
            ["a.csv", "b.tsv"]
        );
        assert_eq!(
            rows(&extract).unwrap(),
            [(2, some(&["1", "2"])), (2, some(&["1", "2"]))]
        );
        let globbed = Extract::open(&spec(folder.path(), "*.?sv")).unwrap();
        assert_eq!(
            globbed.files().iter().map(|f| &**f).collect::<Vec<_>>(),
            ["a.csv", "b.tsv"]
        );
        for nothing in ["*.txt", "gone.csv", "notes.md"] {
            let error = Extract::open(&spec(folder.path(), nothing)).err().unwrap();
            assert_eq!(error.kind(), SourceFailure::NotThere, "{error}");
        }
        at("c.csv", "a,c\n1,2\n");
        let error = Extract::open(&spec(folder.path(), "*.?sv")).err().unwrap();
        assert_eq!(
            error.to_string(),
            "c.csv: there is no column `b`, which the extract's first file has"
        );
    }

    #[test]
    fn a_reading_of_some_rows_gives_these_and_misses_none() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "b.csv", "c.csv"] {
            fs::write(folder.path().join(name), "a,b\n1,2\n3,4\n5,6\n").unwrap();
        }
        let extract = Extract::open(&spec(folder.path(), "*.csv")).unwrap();
        let read = |positions: &[(u16, u64)]| {
            let only: Vec<_> = positions
                .iter()
                .map(|&(f, l)| Position::new(f, l))
                .collect();
            let reading = Reading {
                columns: vec![1],
                only: Some(Box::new(only.into_iter())),
            };
            let batches: Result<Vec<_>, _> = extract.read(reading).unwrap().collect();
            batches.map(|all| {
                all.into_iter()
                    .flat_map(|rows| rows.positions)
                    .map(|p| (p.file(), p.line()))
                    .collect::<Vec<_>>()
            })
        };
        for present in [&[][..], &[(0, 3), (2, 2), (2, 4)], &[(1, 2), (1, 3)]] {
            assert_eq!(read(present).unwrap(), present);
        }
        for gone in [(0, 1), (1, 9), (2, 9)] {
            assert_eq!(read(&[gone]).unwrap_err().kind(), SourceFailure::Changed);
        }
    }

    #[test]
    fn a_file_that_has_grown_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), "a\n1\n").unwrap();
        let extract = Extract::open(&spec(folder.path(), "a.csv")).unwrap();
        extract.unchanged().unwrap();
        fs::write(folder.path().join("a.csv"), "a\n1\n2\n").unwrap();
        assert_eq!(
            extract.unchanged().unwrap_err().kind(),
            SourceFailure::Changed
        );
        assert_eq!(rows(&extract).unwrap_err().kind(), SourceFailure::Changed);
    }

    #[test]
    fn a_file_that_came_to_a_folder_has_changed_the_extract() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), "a\n1\n").unwrap();
        for path in [".", "*.csv"] {
            let extract = Extract::open(&spec(folder.path(), path)).unwrap();
            extract.unchanged().unwrap();
            fs::write(folder.path().join("b.csv"), "a\n1\n").unwrap();
            let error = extract.unchanged().unwrap_err();
            assert_eq!(error.kind(), SourceFailure::Changed);
            assert!(error.to_string().starts_with("b.csv"), "{error}");
            fs::remove_file(folder.path().join("b.csv")).unwrap();
        }
    }

    #[test]
    fn a_comment_at_the_end_is_no_row() {
        let dialect = CsvDialect {
            comment: Some(b'#'),
            ..CsvDialect::default()
        };
        assert_eq!(lines(b"a,b\n1,2\n# 2 rows", dialect.clone()), [2]);
        assert_eq!(lines(b"a,b\n1,2\n# 2 rows\n", dialect.clone()), [2]);
        let error = read(b"a,b\r#c\r1,2\r", dialect).unwrap_err();
        assert!(matches!(error, SourceError::LineEnds { .. }), "{error}");
    }

    #[test]
    fn a_character_means_one_thing() {
        for (quote, escape, comment) in [
            (Some(b','), None, None),
            (Some(b'"'), Some(b'"'), None),
            (Some(b'"'), Some(b'\\'), Some(b'\\')),
        ] {
            let dialect = CsvDialect {
                quote,
                escape,
                comment,
                ..CsvDialect::default()
            };
            let error = read(b"a,b\n", dialect).unwrap_err();
            assert!(matches!(error, SourceError::Dialect { .. }), "{error}");
        }
    }

    #[test]
    fn a_mark_of_another_encoding_is_told() {
        for label in ["windows-1252", "utf-16"] {
            let error = read(b"\xEF\xBB\xBFa\n1\n", encoded(label)).unwrap_err();
            assert!(
                matches!(error, SourceError::OtherEncoding { found: "UTF-8", .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_mark_alone_tells_which_wide_encoding_it_is() {
        let text = "\u{FEFF}a,b\r\né,2\r\n";
        let little = text.encode_utf16().flat_map(u16::to_le_bytes);
        let big = text.encode_utf16().flat_map(u16::to_be_bytes);
        for bytes in [little.collect::<Vec<_>>(), big.collect()] {
            for label in ["utf-8", "utf-16le", "utf-16be"] {
                let rows = read(&bytes, encoded(label)).unwrap();
                assert_eq!(rows, [(2, some(&["é", "2"]))], "{label}");
            }
        }
    }

    #[test]
    fn a_carriage_return_alone_never_lets_rows_disappear_in_a_comment_or_a_skipped_line() {
        let commented = CsvDialect {
            comment: Some(b'#'),
            ..CsvDialect::default()
        };
        let skipping = CsvDialect {
            skip_rows: 1,
            ..CsvDialect::default()
        };
        for (bytes, dialect) in [
            (&b"number,name\r1,2\r#c\r3,4\r"[..], &commented),
            (b"number,name\r1,\"2\n\"\r#c\r3,4\r5,\"6\n\"\r", &commented),
            (b"exported today\rnumber,name\r1,2\r", &skipping),
            (b"exported today\rnumber,name\r1,\"2\n\"\r3,4\n", &skipping),
        ] {
            let error = read(bytes, dialect.clone()).unwrap_err();
            assert!(matches!(error, SourceError::LineEnds { .. }), "{error}");
        }
        assert_eq!(lines(b"a,b\r1,2\r3,4\r#c", commented.clone()), [2, 3]);
        assert_eq!(lines(b"#c\r\na,b\r\n#c\r\r\n1,2\r\n", commented), [4]);
        assert_eq!(lines(b"x\r\na,b\r\n1,2\r\n", skipping), [3]);
        let long = [&b"x".repeat(1 << 17)[..], b"\r\na,b\n1,2\n"].concat();
        let all = |skip_rows| CsvDialect {
            skip_rows,
            ..CsvDialect::default()
        };
        assert_eq!(lines(&long, all(1)), [3]);
        let error = read(&long, all(u64::MAX)).unwrap_err();
        assert!(matches!(error, SourceError::NoHeader { .. }), "{error}");
    }

    #[test]
    fn doubled_quotes_are_understood_beside_an_escape() {
        let escaped = CsvDialect {
            escape: Some(b'\\'),
            ..CsvDialect::default()
        };
        assert_eq!(
            read(b"a,b\n\"1 \"\"x\"\" \\\"y\\\"\",2\n3,\"4\"\"\"", escaped).unwrap(),
            [(2, some(&["1 \"x\" \"y\"", "2"])), (3, some(&["3", "4\""]))]
        );
    }

    #[test]
    fn names_that_the_mapping_gives_badly_are_told_of_the_mapping() {
        for (names, what) in [
            (["x", "x"], "gives columns 1 and 2 one name, `x`"),
            (["x", ""], "has no name for column 2"),
        ] {
            let dialect = CsvDialect {
                header: Header::Names(names.map(str::to_owned).to_vec()),
                ..CsvDialect::default()
            };
            let error = read(b"1,2\n", dialect).unwrap_err();
            assert_eq!(error.to_string(), format!("`source.csv.header` {what}"));
        }
    }

    #[test]
    fn a_file_that_left_a_folder_has_changed_the_extract() {
        let folder = tempfile::tempdir().unwrap();
        for path in [".", "*.csv"] {
            for name in ["a.csv", "b.csv"] {
                fs::write(folder.path().join(name), "a\n1\n").unwrap();
            }
            let extract = Extract::open(&spec(folder.path(), path)).unwrap();
            fs::remove_file(folder.path().join("b.csv")).unwrap();
            let error = extract.unchanged().unwrap_err();
            assert_eq!(error.kind(), SourceFailure::Changed);
            assert!(error.to_string().starts_with("b.csv"), "{error}");
        }
    }

    #[test]
    fn a_glob_leaves_out_hidden_files_and_those_of_the_writer_unless_it_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.csv", ".a.csv", "_SUCCESS.csv", "_temporary/b.csv"];
        fs::create_dir(folder.path().join("_temporary")).unwrap();
        for name in names {
            fs::write(folder.path().join(name), "a\n1\n").unwrap();
        }
        let found = |path: &str| {
            let extract = Extract::open(&spec(folder.path(), path)).unwrap();
            let files = extract.files().iter().map(ToString::to_string);
            files.collect::<Vec<_>>()
        };
        for path in ["*", "*.csv", "**/*.csv"] {
            assert_eq!(found(path), ["a.csv"], "{path}");
        }
        assert_eq!(found("_temporary/*.csv"), ["_temporary/b.csv"]);
        assert_eq!(found("_*.csv"), ["_SUCCESS.csv"]);
        assert_eq!(found(".a*"), [".a.csv"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_whose_name_is_no_unicode_is_a_part_like_others() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let text = b"a,b\n1,2\n";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, text).unwrap();
        let packed = packed.finish().unwrap();
        let odd = |name: &[u8]| folder.path().join(std::ffi::OsStr::from_bytes(name));
        fs::write(folder.path().join("a.csv"), text).unwrap();
        fs::write(odd(b"\xFCbrige.csv"), text).unwrap();
        fs::write(odd(b"\xFCbrige2.csv.gz"), packed).unwrap();
        for (path, files) in [
            (".", 3),
            ("*", 3),
            ("*.csv", 2),
            ("**/*.csv*", 3),
            ("a*", 1),
        ] {
            let extract = Extract::open(&spec(folder.path(), path)).unwrap();
            assert_eq!(rows(&extract).unwrap().len(), files, "{path}");
        }
    }

    #[test]
    fn a_file_and_its_compressed_self_are_not_one_extract() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "a.csv.gz"] {
            fs::write(folder.path().join(name), "a\n1\n").unwrap();
        }
        let error = Extract::open(&spec(folder.path(), ".")).err().unwrap();
        assert_eq!(
            error.to_string(),
            "a.csv and a.csv.gz look like the same rows, once plain and once compressed"
        );
        assert_eq!(error.kind(), SourceFailure::NotThere);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(folder.path().join("pipe.csv"))
            .status();
        assert!(made.unwrap().success());
        for path in ["pipe.csv", "/dev/null"] {
            let mut spec = spec(folder.path(), path);
            spec.format = Some(Format::Csv);
            let error = Extract::open(&spec).err().unwrap();
            assert!(matches!(error, SourceError::NoFile { .. }), "{error}");
            assert!(error.help().contains("path: \"-\""));
        }
    }

    fn packed(pack: impl Fn(&[u8]) -> Vec<u8>, name: &str) {
        let folder = tempfile::tempdir().unwrap();
        let whole = pack(b"a,b\n1,2\n3,4\n");
        fs::write(folder.path().join(name), &whole).unwrap();
        let extract = Extract::open(&spec(folder.path(), name)).unwrap();
        let expected = [(2, some(&["1", "2"])), (3, some(&["3", "4"]))];
        assert_eq!(rows(&extract).unwrap(), expected);
        assert_eq!(rows(&extract).unwrap(), expected);
        // In parts, one behind the other.
        let parts = [whole.clone(), pack(b"5,6\n")].concat();
        fs::write(folder.path().join(name), parts).unwrap();
        let extract = Extract::open(&spec(folder.path(), name)).unwrap();
        assert_eq!(rows(&extract).unwrap().len(), 3);
        // Cut short, wherever.
        for length in 1..whole.len() - 1 {
            fs::write(folder.path().join(name), &whole[..length]).unwrap();
            let read = Extract::open(&spec(folder.path(), name)).and_then(|it| rows(&it));
            assert!(read.is_err(), "{name} {length}");
        }
        // By the wrong name.
        fs::write(folder.path().join("plain.csv"), &whole).unwrap();
        let error = Extract::open(&spec(folder.path(), "plain.csv"))
            .err()
            .unwrap();
        assert!(matches!(error, SourceError::Disguised { .. }), "{error}");
    }

    #[test]
    fn compressed_files_are_read_and_cut_ones_told() {
        packed(
            |text| {
                let level = flate2::Compression::default();
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                std::io::Write::write_all(&mut writer, text).unwrap();
                writer.finish().unwrap()
            },
            "a.csv.gz",
        );
        packed(|text| zstd::encode_all(text, 1).unwrap(), "a.tsv.csv.zst");
    }

    #[test]
    fn a_folder_is_of_one_format_and_tells_what_it_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        for (name, text) in [("a.csv", "a\n1\n"), ("_SUCCESS.csv", "x"), (".b.csv", "x")] {
            at(name, text);
        }
        assert_eq!(
            Extract::open(&spec(folder.path(), "."))
                .unwrap()
                .files()
                .len(),
            1
        );
        at("b.json", "{}");
        let error = Extract::open(&spec(folder.path(), ".")).err().unwrap();
        assert!(error.to_string().starts_with("b.json"), "{error}");
        fs::remove_file(folder.path().join("b.json")).unwrap();
        at("c.parquet", "PAR1");
        let error = Extract::open(&spec(folder.path(), ".")).err().unwrap();
        assert!(matches!(error, SourceError::Formats { .. }), "{error}");
    }

    #[test]
    fn more_rows_than_a_batch_holds_come_in_several() {
        let text = format!("a\n{}", "x\n".repeat(20_000));
        assert_eq!(
            lines(text.as_bytes(), CsvDialect::default()),
            (2..=20_001).collect::<Vec<_>>()
        );
    }

    fn noise() -> impl Strategy<Value = Vec<u8>> {
        let bytes = prop::sample::select(b"ab,\"\"\\#\r\n\n\xEF\xBB\xBF\x00".to_vec());
        prop::collection::vec(prop_oneof![9 => bytes, 1 => any::<u8>()], 0..60)
    }

    fn dialects() -> impl Strategy<Value = CsvDialect> {
        let labels = prop::sample::select(vec!["utf-8", "windows-1252", "utf-16", "shift_jis"]);
        (labels, any::<[bool; 5]>(), 0..3_u64).prop_map(|(label, [a, b, c, d, e], skip_rows)| {
            CsvDialect {
                quote: a.then_some(b'"'),
                escape: b.then_some(b'\\'),
                comment: c.then_some(b'#'),
                header: if d { Header::None } else { Header::FirstRow },
                ragged: if e { Ragged::Pad } else { Ragged::Reject },
                skip_rows,
                ..encoded(label)
            }
        })
    }

    proptest! {
        #[test]
        fn any_bytes_read_the_same_twice_with_lines_that_grow(bytes in noise(), dialect in dialects()) {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a.csv"), bytes).unwrap();
            let mut spec = spec(folder.path(), "a.csv");
            spec.csv = dialect;
            if let Ok(extract) = Extract::open(&spec) {
                let (first, second) = (rows(&extract), rows(&extract));
                prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
                let first = first.unwrap_or_default();
                prop_assert!(first.is_sorted_by(|one, next| one.0 < next.0), "{first:?}");
            }
        }

        #[test]
        fn a_written_table_reads_back_with_its_lines(
            table in prop::collection::vec(prop::array::uniform3("[a,\"\\\\é \n\r#]{0,6}"), 0..20),
            crlf in any::<bool>(),
        ) {
            let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().terminator(end).from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            let mut line = 2;
            let mut expected = Vec::new();
            for row in &table {
                writer.write_record(row).unwrap();
                expected.push((line, row.iter().map(|cell| Some(cell.clone())).collect()));
                line += 1 + row.iter().map(|cell| cell.matches('\n').count() as u64).sum::<u64>();
            }
            let dialect = CsvDialect { null_text: Vec::new(), ..CsvDialect::default() };
            prop_assert_eq!(read(&writer.into_inner().unwrap(), dialect).unwrap(), expected);
        }
    }
}
