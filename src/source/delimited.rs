//! The rows of one file of delimited text, each with the line on which it begins.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::SourceError;
use super::decode::{self, Decoding};
use super::disguise::Disguise;
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
    /// `bytes` are those of the whole file.
    pub(super) fn open(
        bytes: Box<dyn Read + Send>,
        name: &Arc<str>,
        format: Format,
        dialect: &CsvDialect,
    ) -> Result<Self, SourceError> {
        let mut lines = Lines {
            delimiter: delimiter(dialect, format),
            quote: dialect.quote,
            escape: dialect.escape,
            comment: dialect.comment,
            line: 1,
            after_return: false,
            lone_return: None,
        };
        let (encoding, bytes) = marked_encoding(bytes, name, dialect)?;
        let mut text: Box<dyn BufRead + Send> = if decode::parses_undecoded(encoding) {
            Box::new(BufReader::with_capacity(1 << 16, bytes))
        } else {
            let buffered = BufReader::with_capacity(1 << 16, bytes);
            Box::new(BufReader::new(Decoding::new(buffered, encoding)))
        };
        for _ in 0..dialect.skip_rows {
            let read = |source| SourceError::Read {
                file: Arc::clone(name),
                line: lines.line,
                source,
            };
            match skip_line(&mut text).map_err(read)? {
                Some(LineEnd::Feed) => {}
                Some(LineEnd::Return) => {
                    return Err(SourceError::LineEnds {
                        file: Arc::clone(name),
                        line: lines.line,
                    });
                }
                None => break,
            }
            lines.line += 1;
        }
        let rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(lines.delimiter)
            .quoting(dialect.quote.is_some())
            .quote(dialect.quote.unwrap_or(b'"'))
            .escape(dialect.escape)
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

    /// Reads the next row; tells where it stands and how it is quoted, or `None` at the end of the file.
    pub(super) fn next(&mut self, row: &mut ByteRecord) -> Result<Option<Found>, SourceError> {
        let before = self.rows.position().byte();
        let found = self
            .rows
            .read_byte_record(row)
            .map_err(|error| self.unreadable(error))?;
        if !found {
            return Ok(None);
        }
        let length = self.rows.position().byte().saturating_sub(before);
        let tape = self.rows.get_mut();
        let ended = tape.ended();
        let bytes = tape.take(usize::try_from(length).unwrap_or(usize::MAX));
        let (line, body) = self.lines.begin(bytes);
        if let Some(line) = self.lines.lone_return {
            return Err(SourceError::LineEnds {
                file: Arc::clone(&self.name),
                line,
            });
        }
        if body.is_empty() {
            // A comment that the end of the file ends looks like a row to the parser.
            return Ok(None);
        }
        let goes_on = self.lines.pass(body);
        let quoting = if ended || goes_on {
            self.lines.quoting(line, body)
        } else {
            Quoting::Closed
        };
        if let Quoting::Open(line) = quoting {
            return Err(SourceError::OpenQuote {
                file: Arc::clone(&self.name),
                line,
            });
        }
        Ok(Some(Found { line, quoting }))
    }

    fn unreadable(&self, error: csv::Error) -> SourceError {
        let file = Arc::clone(&self.name);
        let source = match error.into_kind() {
            csv::ErrorKind::Io(source) => source,
            other => io::Error::other(format!("{other:?}")),
        };
        if is_about_reading(&source) {
            let line = self.lines.line;
            SourceError::Read { file, line, source }
        } else {
            SourceError::Packed { file, source }
        }
    }
}

/// A row that was read.
pub(super) struct Found {
    /// The line on which it begins.
    pub(super) line: u64,
    pub(super) quoting: Quoting,
}

/// How the quotes of a row stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Each that opens a cell is closed, as far as can be told.
    Closed,
    /// One that opens on this line is still open at the end of the file.
    Open(u64),
    /// One that opens on this line is closed in the middle of a cell of a later line: nothing closed it where it
    /// should have been, and the lines between, which are rows, are in its cell.
    Swallowing(u64),
}

/// Whether the system refused to read, or the tape a row that is too long; or else what was read could not be unpacked.
fn is_about_reading(error: &io::Error) -> bool {
    error.raw_os_error().is_some() || error.kind() == io::ErrorKind::FileTooLarge
}

/// What ends a line.
#[derive(PartialEq)]
enum LineEnd {
    /// A line feed, or the end of the file.
    Feed,
    /// A carriage return with more behind it than a line feed.
    Return,
}

impl LineEnd {
    /// What ends the first line of the bytes, which reach to a line feed or to the end of the file.
    ///
    /// Some programs write several carriage returns before the line feed; they are one end of a line.
    fn first_of(bytes: &[u8]) -> Self {
        let mut behind = bytes.iter().skip_while(|byte| **byte != b'\r');
        match behind.find(|byte| **byte != b'\r') {
            None | Some(b'\n') => Self::Feed,
            Some(_) => Self::Return,
        }
    }
}

/// Passes a line of any length; `None` at the end of the file.
fn skip_line(text: &mut impl BufRead) -> io::Result<Option<LineEnd>> {
    if text.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut line = Vec::new();
    loop {
        let read = text.by_ref().take(1 << 16).read_until(b'\n', &mut line)?;
        if LineEnd::first_of(&line) == LineEnd::Return {
            return Ok(Some(LineEnd::Return));
        }
        if read == 0 || line.ends_with(b"\n") {
            return Ok(Some(LineEnd::Feed));
        }
        // Of what was read of a long line, a carriage return at its end is all that still matters.
        line.retain(|byte| *byte == b'\r');
        line.truncate(1);
    }
}

/// The character between cells.
fn delimiter(dialect: &CsvDialect, format: Format) -> u8 {
    dialect.delimiter.unwrap_or(match format {
        Format::Csv | Format::Parquet => b',',
        Format::Tsv => b'\t',
    })
}

/// Refuses a dialect in which one character means two things.
pub(super) fn check(dialect: &CsvDialect, format: Format) -> Result<(), SourceError> {
    let parts = [
        ("delimiter", Some(delimiter(dialect, format))),
        ("quote", dialect.quote),
        ("escape", dialect.escape),
        ("comment", dialect.comment),
    ];
    for (place, (name, byte)) in parts.iter().enumerate() {
        let earlier = parts.iter().take(place);
        let mut same = earlier.filter(|(_, other)| byte.is_some() && other == byte);
        if let (Some((other, _)), Some(byte)) = (same.next(), byte) {
            return Err(SourceError::Dialect {
                one: other,
                other: name,
                character: char::from(*byte),
            });
        }
    }
    Ok(())
}

type Bytes = Box<dyn Read + Send>;

/// The encoding of a file, and its bytes behind the byte order mark.
fn marked_encoding(
    mut bytes: Bytes,
    name: &Arc<str>,
    dialect: &CsvDialect,
) -> Result<(&'static Encoding, Bytes), SourceError> {
    let Some(named) = Encoding::for_label_no_replacement(dialect.encoding.as_bytes()) else {
        return Err(SourceError::Encoding {
            label: dialect.encoding.clone(),
        });
    };
    let file = || Arc::clone(name);
    let mut first = Vec::with_capacity(4);
    let begin = (&mut bytes).take(4).read_to_end(&mut first);
    begin.map_err(|source| {
        let file = file();
        if is_about_reading(&source) {
            SourceError::Open { file, source }
        } else {
            SourceError::Packed { file, source }
        }
    })?;
    if first.is_empty() {
        return Err(SourceError::Empty { file: file() });
    }
    let is_wide = |encoding| encoding == UTF_16LE || encoding == UTF_16BE;
    if let Some(found) = Disguise::of_bytes(&first)
        && !(found.is_wide_text() && is_wide(named))
    {
        let file = file();
        return Err(SourceError::Disguised { file, found });
    }
    let (encoding, mark) = match Encoding::for_bom(&first) {
        None => (named, 0),
        Some((marked, mark)) if marked == named => (marked, mark),
        // Which of the two it is, is what the mark is for. Its bytes cannot stand in UTF-8, the standard encoding.
        Some((marked, mark)) if is_wide(marked) && (is_wide(named) || named == UTF_8) => {
            (marked, mark)
        }
        Some((marked, _)) => {
            return Err(SourceError::OtherEncoding {
                file: file(),
                found: marked.name(),
                expected: named.name(),
            });
        }
    };
    first.drain(..mark);
    Ok((encoding, Box::new(Cursor::new(first).chain(bytes))))
}

/// Whether a line ends in these bytes. Nearly no row has such an end within, and sixteen bytes are looked at at once.
fn has_line_end(bytes: &[u8]) -> bool {
    let is_end = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let has_any = |sixteen: &[u8; 16]| sixteen.iter().fold(false, |any, byte| any | is_end(byte));
    let (sixteens, rest) = bytes.as_chunks();
    if sixteens.iter().any(has_any) {
        return true;
    }
    // What is left is looked at with some of what was before.
    match bytes.last_chunk() {
        Some(last) => has_any(last),
        None => rest.iter().any(is_end),
    }
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
    /// The line of a comment that a carriage return alone should have ended. The parser takes what stands behind it,
    /// rows and all, for the rest of the comment.
    lone_return: Option<u64>,
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
                let comment = end.and_then(|end| rest.get(..=end)).unwrap_or(rest);
                if LineEnd::first_of(comment) == LineEnd::Return {
                    self.lone_return.get_or_insert(self.line);
                }
                rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
            } else {
                break;
            }
        }
        self.after_return = false;
        (self.line, rest)
    }

    /// Passes a row: line feeds count wherever they stand, a carriage return only where it ends the row. Tells whether
    /// the row has ends of lines within.
    fn pass(&mut self, body: &[u8]) -> bool {
        let (last, within) = body.split_last().unwrap_or((&0, &[]));
        self.after_return = *last == b'\r';
        self.line += u64::from(matches!(last, b'\n' | b'\r'));
        let goes_on = has_line_end(within);
        if goes_on {
            let feeds = within.iter().filter(|byte| **byte == b'\n');
            self.line += feeds.count() as u64;
        }
        goes_on
    }

    /// How the quotes of a row stand that begins on this line, and goes on behind it or ends the file.
    fn quoting(&self, mut line: u64, body: &[u8]) -> Quoting {
        let Some(quote) = self.quote else {
            return Quoting::Closed;
        };
        let mut opened = None;
        let (mut starts_cell, mut spans) = (true, false);
        let mut bytes = body.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            line += u64::from(byte == b'\n');
            spans |= matches!(byte, b'\n' | b'\r');
            if let Some(since) = opened {
                if self.escape == Some(byte) {
                    line += u64::from(bytes.next() == Some(b'\n'));
                } else if byte == quote && bytes.next_if_eq(&quote).is_none() {
                    let ends_cell = bytes.peek().is_none_or(|next| self.ends_cell(*next));
                    if spans && !ends_cell {
                        return Quoting::Swallowing(since);
                    }
                    opened = None;
                }
            } else {
                if starts_cell && byte == quote {
                    (opened, spans) = (Some(line), false);
                }
                starts_cell = byte == self.delimiter;
            }
        }
        opened.map_or(Quoting::Closed, Quoting::Open)
    }

    fn ends_cell(&self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'\n' | b'\r')
    }
}
