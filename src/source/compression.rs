//! Files that are compressed as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How a file is compressed; told by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression of a file, and its path without the extension that tells it.
    pub(super) fn of(path: &Path) -> (Self, &Path) {
        let stem = || path.to_str().and_then(|path| path.rsplit_once('.'));
        let inner = || stem().map_or(path, |(inner, _)| Path::new(inner));
        match path.extension().and_then(|it| it.to_str()) {
            Some(gz) if gz.eq_ignore_ascii_case("gz") => (Self::Gzip, inner()),
            Some(zst) if zst.eq_ignore_ascii_case("zst") => (Self::Zstd, inner()),
            _ => (Self::None, path),
        }
    }

    /// The bytes of the file as they were before it was compressed.
    pub(super) fn open(self, file: File) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => Box::new(file),
            // Exports that were written in parts are several members, one behind the other.
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Self::Zstd => Box::new(zstd::Decoder::new(file)?),
        })
    }
}

/// What a file is, by its first four bytes, if it is no text.
pub(super) fn disguised(first: &[u8]) -> Option<&'static str> {
    match first {
        [0x1F, 0x8B, ..] => Some("gzip"),
        [0x28, 0xB5, 0x2F, 0xFD] => Some("Zstandard"),
        b"PAR1" => Some("Parquet"),
        b"PK\x03\x04" => Some("a zip archive or a workbook"),
        _ => None,
    }
}
