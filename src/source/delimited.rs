//! The rows of one file of delimited text, each with the line on which it begins.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::SourceError;
use super::decode::{self, Decoding};
use super::tape::Tape;
use crate::model::{CsvDialect, Format};

/// A file of delimited text, being read.
pub(super) struct Delimited {
    name: Arc<str>,
    encoding: &'static Encoding,
    rows: csv::Reader<Tape<Box<dyn Read + Send>>>,
    lines: Lines,
}

impl Delimited {
    pub(super) fn open(
        mut file: File,
        name: &Arc<str>,
        format: Format,
        dialect: &CsvDialect,
    ) -> Result<Self, SourceError> {
        let lines = Lines {
            delimiter: dialect.delimiter.unwrap_or(match format {
                Format::Csv => b',',
                Format::Tsv => b'\t',
            }),
            quote: dialect.quote,
            escape: dialect.escape,
            comment: dialect.comment,
            line: dialect.skip_rows.saturating_add(1),
            after_return: false,
        };
        let cannot_open = |source| SourceError::Open {
            file: Arc::clone(name),
            source,
        };
        let encoding = marked_encoding(&mut file, name, dialect)?.map_err(cannot_open)?;
        let buffered = BufReader::with_capacity(1 << 16, file);
        let mut text: Box<dyn BufRead + Send> = if decode::parses_undecoded(encoding) {
            Box::new(buffered)
        } else {
            Box::new(BufReader::new(Decoding::new(buffered, encoding)))
        };
        for _ in 0..dialect.skip_rows {
            if text.skip_until(b'\n').map_err(cannot_open)? == 0 {
                break;
            }
        }
        let rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(lines.delimiter)
            .quoting(dialect.quote.is_some())
            .quote(dialect.quote.unwrap_or(b'"'))
            .escape(dialect.escape)
            .double_quote(dialect.escape.is_none())
            .comment(dialect.comment)
            .buffer_capacity(1 << 16)
            .from_reader(Tape::new(Box::new(text) as Box<dyn Read + Send>));
        Ok(Self {
            name: Arc::clone(name),
            encoding,
            rows,
            lines,
        })
    }

    pub(super) fn encoding(&self) -> &'static Encoding {
        self.encoding
    }

    /// Reads the next row; gives the line on which it begins, or `None` at the end of the file.
    pub(super) fn next(&mut self, row: &mut ByteRecord) -> Result<Option<u64>, SourceError> {
        let before = self.rows.position().byte();
        let found = self
            .rows
            .read_byte_record(row)
            .map_err(|error| SourceError::Read {
                file: Arc::clone(&self.name),
                line: self.lines.line,
                source: io::Error::from(error),
            })?;
        if !found {
            return Ok(None);
        }
        let length = self.rows.position().byte().saturating_sub(before);
        let tape = self.rows.get_mut();
        let ended = tape.ended();
        let bytes = tape.take(usize::try_from(length).unwrap_or(usize::MAX));
        let (line, body) = self.lines.begin(bytes);
        if ended && let Some(line) = self.lines.open_quote(line, body) {
            return Err(SourceError::OpenQuote {
                file: Arc::clone(&self.name),
                line,
            });
        }
        self.lines.pass(body);
        Ok(Some(line))
    }
}

/// The encoding of a file, and the file behind its byte order mark.
fn marked_encoding(
    file: &mut File,
    name: &Arc<str>,
    dialect: &CsvDialect,
) -> Result<io::Result<&'static Encoding>, SourceError> {
    let Some(named) = Encoding::for_label_no_replacement(dialect.encoding.as_bytes()) else {
        return Err(SourceError::Encoding {
            label: dialect.encoding.clone(),
        });
    };
    let mut first = Vec::with_capacity(3);
    if let Err(error) = file.by_ref().take(3).read_to_end(&mut first) {
        return Ok(Err(error));
    }
    if first.is_empty() {
        return Err(SourceError::Empty {
            file: Arc::clone(name),
        });
    }
    let wide = named == UTF_16LE || named == UTF_16BE;
    let (encoding, mark) = match Encoding::for_bom(&first) {
        Some((marked, mark)) if marked == named || (wide && marked != UTF_8) => (marked, mark),
        Some((marked, _)) if wide || named == UTF_8 => {
            return Err(SourceError::OtherEncoding {
                file: Arc::clone(name),
                found: marked.name(),
                expected: named.name(),
            });
        }
        _ => (named, 0),
    };
    let start = u64::try_from(mark).unwrap_or_default();
    Ok(file.seek(SeekFrom::Start(start)).map(|_| encoding))
}

/// Counts lines along the bytes of the rows.
///
/// The parser's own count stands before the blank lines and comments that it leaves out, and does not know a
/// lone carriage return, which ends a row all the same.
struct Lines {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    line: u64,
    after_return: bool,
}

impl Lines {
    /// Passes what stands before a row; gives the row's line and its bytes.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> (u64, &'a [u8]) {
        let mut rest = bytes;
        while let Some((&first, behind)) = rest.split_first() {
            if first == b'\n' {
                self.line += u64::from(!self.after_return);
                self.after_return = false;
                rest = behind;
            } else if first == b'\r' {
                self.line += 1;
                self.after_return = true;
                rest = behind;
            } else if Some(first) == self.comment {
                self.after_return = false;
                let end = rest.iter().position(|&byte| byte == b'\n');
                rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
            } else {
                break;
            }
        }
        self.after_return = false;
        (self.line, rest)
    }

    /// Passes a row: line feeds count wherever they stand, a carriage return only where it ends the row.
    fn pass(&mut self, body: &[u8]) {
        for &byte in body {
            self.line += u64::from(byte == b'\n');
        }
        self.after_return = body.last() == Some(&b'\r');
        self.line += u64::from(self.after_return);
    }

    /// The line of a quote that is still open at the end of the file's last row.
    fn open_quote(&self, mut line: u64, body: &[u8]) -> Option<u64> {
        let quote = self.quote?;
        let mut opened = None;
        let mut starts_cell = true;
        let mut bytes = body.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            line += u64::from(byte == b'\n');
            if opened.is_some() {
                if self.escape == Some(byte) {
                    line += u64::from(bytes.next() == Some(b'\n'));
                } else if byte == quote
                    && (self.escape.is_some() || bytes.next_if_eq(&quote).is_none())
                {
                    opened = None;
                }
            } else {
                if starts_cell && byte == quote {
                    opened = Some(line);
                }
                starts_cell = byte == self.delimiter;
            }
        }
        opened
    }
}
