//! Files that are compressed as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How a file is compressed; told by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression of a file, and its path without the extension that tells it.
    pub(super) fn of(path: &Path) -> (Self, PathBuf) {
        let extension = path.extension().and_then(|it| it.to_str());
        let is = |known: &str| extension.is_some_and(|it| it.eq_ignore_ascii_case(known));
        if is("gz") {
            (Self::Gzip, path.with_extension(""))
        } else if is("zst") {
            (Self::Zstd, path.with_extension(""))
        } else {
            (Self::None, path.to_owned())
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
