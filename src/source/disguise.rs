//! What a file is that is no extract, by its name or its first bytes, and what whoever has it can do.

use std::fmt;
use std::path::Path;

/// What a file is that is not read as an extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disguise {
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstandard,
    /// `.parquet`
    Parquet,
    /// Of a spreadsheet program.
    Workbook,
    /// The archive that a workbook is as well.
    Zip,
    /// Packed in a way that is not unpacked here.
    Archive,
    /// JSON, one document or one a line.
    Json,
    /// A web page, or XML.
    Markup,
    /// A printed page.
    Pdf,
    /// Text of which no byte order mark tells how to read it: little endian.
    Utf16Le,
    /// The same, big endian.
    Utf16Be,
    /// Room that nobody wrote to.
    Zeros,
    /// A format of columns or records that is not read here.
    Other,
}

impl Disguise {
    /// By the first four bytes; `None` for what may be delimited text.
    pub(super) fn of_bytes(first: &[u8]) -> Option<Self> {
        match first {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD] => Some(Self::Zstandard),
            b"PAR1" => Some(Self::Parquet),
            b"PK\x03\x04" => Some(Self::Zip),
            [0xD0, 0xCF, 0x11, 0xE0] => Some(Self::Workbook),
            [b'B', b'Z', b'h', b'1'..=b'9'] | b"\xFD7zX" | b"7z\xBC\xAF" => Some(Self::Archive),
            b"%PDF" => Some(Self::Pdf),
            b"<?xm" | b"<htm" | b"<HTM" | b"<!DO" | b"<!do" | b"<tab" => Some(Self::Markup),
            [b'{', b'"' | b'\n' | b'\r', ..] | b"[\r\n{" | [b'[', b'{', ..] => Some(Self::Json),
            [b'[', b'\n' | b' ', b'{', _] | [b'{' | b'[', b'\n' | b' ', b' ' | b'\t', _] => {
                Some(Self::Json)
            }
            [0, 0, 0, 0] => Some(Self::Zeros),
            [1..=255, 0, 1..=255, 0] => Some(Self::Utf16Le),
            [0, 1..=255, 0, 1..=255] => Some(Self::Utf16Be),
            _ => None,
        }
    }

    /// By the ending of its name; `None` for names that delimited text may have.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "xlsx" | "xls" | "xlsm" | "xlsb" | "ods" | "numbers" => Some(Self::Workbook),
            "json" | "ndjson" | "jsonl" => Some(Self::Json),
            "zip" => Some(Self::Zip),
            "7z" | "rar" | "tar" | "tgz" | "bz2" | "xz" | "lz4" => Some(Self::Archive),
            "xml" | "html" | "htm" => Some(Self::Markup),
            "pdf" => Some(Self::Pdf),
            "arrow" | "feather" | "avro" | "orc" => Some(Self::Other),
            _ => None,
        }
    }

    /// Whether it can be read where the mapping names the encoding.
    pub(super) fn is_wide_text(self) -> bool {
        matches!(self, Self::Utf16Le | Self::Utf16Be)
    }

    /// What to do about it.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Gzip => {
                "end the file's name in .gz (`extract.csv.gz`); unpack what is handed over by standard input"
            }
            Self::Zstandard => {
                "end the file's name in .zst (`extract.csv.zst`); unpack what is handed over by standard input"
            }
            Self::Parquet => "end the file's name in .parquet, or say `format: parquet`",
            Self::Workbook => {
                "save the sheet as CSV (in Excel: File, Save As, `CSV UTF-8 (Comma delimited)`) and name that file"
            }
            Self::Zip => {
                "save a workbook's sheet as CSV (in Excel: File, Save As, `CSV UTF-8 (Comma delimited)`), unpack an archive, and name that file"
            }
            Self::Archive => "unpack it; a single file may stay packed as .gz or .zst",
            Self::Json | Self::Markup | Self::Pdf | Self::Other => {
                "export the rows as csv or parquet"
            }
            Self::Utf16Le => "say `csv: { encoding: utf-16le }`, or export the file as UTF-8",
            Self::Utf16Be => "say `csv: { encoding: utf-16be }`, or export the file as UTF-8",
            Self::Zeros => "it was not written to its end: export or copy it again",
        }
    }
}

impl fmt::Display for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "a gzip file",
            Self::Zstandard => "a Zstandard file",
            Self::Parquet => "a Parquet file",
            Self::Workbook => "a workbook",
            Self::Zip => "a workbook or a zip archive",
            Self::Archive => "an archive",
            Self::Json => "JSON",
            Self::Markup => "a web page or XML",
            Self::Pdf => "a PDF",
            Self::Utf16Le | Self::Utf16Be => "UTF-16 without a byte order mark",
            Self::Zeros => "full of zeros",
            Self::Other => "of a format that is not read",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_delimited_text_are_no_disguise() {
        for text in [
            "id,name",
            "[id],[name]",
            "{id}|{name}",
            "<b>;<c>",
            "i\0d,",
            "%id%",
            "\"id\"",
            "a",
            "PK,a",
            "BZh,",
        ] {
            let first = &text.as_bytes()[..text.len().min(4)];
            assert_eq!(Disguise::of_bytes(first), None, "{text}");
        }
        let wide: Vec<u8> = "id".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Disguise::of_bytes(&wide), Some(Disguise::Utf16Le));
    }

    #[test]
    fn json_is_known_however_it_is_laid_out() {
        for text in [
            "{\"id\":1}",
            "[{\"id\":1}]",
            "[\n{\"i",
            "[\r\n{\"",
            "[ {\"i",
            "{\n  \"i",
            "[\n  {",
        ] {
            let first = &text.as_bytes()[..4];
            assert_eq!(Disguise::of_bytes(first), Some(Disguise::Json), "{text}");
        }
    }
}
