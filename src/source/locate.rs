//! Finds the files of an extract.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::SourceError;
use crate::model::{ExtractSpec, Format, Position};

/// One file of an extract.
pub(super) struct Located {
    pub(super) path: PathBuf,
    /// Relative to the mapping where it can be.
    pub(super) name: Arc<str>,
    pub(super) format: Format,
}

/// What tells a file from one that took its place.
#[derive(PartialEq, Eq)]
pub(super) struct Identity {
    place: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            place: place(metadata),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

#[cfg(unix)]
fn place(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// The files that the mapping means, in name order.
pub(super) fn locate(spec: &ExtractSpec) -> Result<Vec<Located>, SourceError> {
    if spec.path == "-" {
        // An extract is read twice, which a stream does not allow.
        return Err(SourceError::Format {
            file: spec.path.as_str().into(),
        });
    }
    let whole = spec.base.join(&spec.path);
    let paths = match fs::metadata(&whole) {
        Ok(found) if found.is_dir() => folder(&whole, &spec.path)?,
        Ok(_) => vec![whole],
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(cannot_open(&spec.path, error));
        }
        Err(_) if spec.path.contains(['*', '?', '[']) => pattern(spec)?,
        Err(_) => {
            return Err(SourceError::Missing {
                path: spec.path.clone(),
            });
        }
    };
    if paths.is_empty() {
        return Err(SourceError::NoFiles {
            path: spec.path.clone(),
        });
    }
    if paths.len() > Position::MOST_FILES {
        return Err(SourceError::TooManyFiles {
            path: spec.path.clone(),
            count: paths.len(),
        });
    }
    paths.into_iter().map(|path| located(path, spec)).collect()
}

fn cannot_open(path: &str, source: io::Error) -> SourceError {
    SourceError::Open {
        file: path.into(),
        source,
    }
}

fn folder(whole: &Path, path: &str) -> Result<Vec<PathBuf>, SourceError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(whole).map_err(|error| cannot_open(path, error))? {
        let found = entry.map_err(|error| cannot_open(path, error))?.path();
        if known_format(&found).is_some() && found.is_file() {
            paths.push(found);
        }
    }
    paths.sort();
    Ok(paths)
}

fn pattern(spec: &ExtractSpec) -> Result<Vec<PathBuf>, SourceError> {
    let base = glob::Pattern::escape(&spec.base.to_string_lossy());
    let whole = Path::new(&base).join(&spec.path);
    let matches = glob::glob(&whole.to_string_lossy()).map_err(|source| SourceError::Pattern {
        path: spec.path.clone(),
        source,
    })?;
    let mut paths = Vec::new();
    for found in matches {
        let found = found.map_err(|error| cannot_open(&spec.path, error.into()))?;
        if found.is_file() {
            paths.push(found);
        }
    }
    paths.sort();
    Ok(paths)
}

fn located(path: PathBuf, spec: &ExtractSpec) -> Result<Located, SourceError> {
    let shown = path.strip_prefix(&spec.base).unwrap_or(&path);
    let name: Arc<str> = shown.to_string_lossy().into();
    let named = spec.format.filter(|_| !is_binary(&path));
    let Some(format) = named.or_else(|| known_format(&path)) else {
        return Err(SourceError::Format { file: name });
    };
    Ok(Located { path, name, format })
}

fn known_format(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" | "txt" => Some(Format::Csv),
        "tsv" => Some(Format::Tsv),
        _ => None,
    }
}

/// Whether a file is no text, whatever the mapping says.
fn is_binary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["gz", "zst", "zip", "parquet"]
            .iter()
            .any(|binary| extension.eq_ignore_ascii_case(binary))
    })
}
