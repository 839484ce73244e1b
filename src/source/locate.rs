//! Finds the files of an extract.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::io::{self, IsTerminal as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use tempfile::{NamedTempFile, TempPath};

use super::SourceError;
use super::compression::Compression;
use super::disguise::Disguise;
use crate::model::{ExtractSpec, Format, Position};

/// One file of an extract.
pub(super) struct Located {
    pub(super) path: PathBuf,
    /// Relative to the mapping where it can be.
    pub(super) name: Arc<str>,
    pub(super) format: Format,
    pub(super) compression: Compression,
}

/// The files of an extract.
pub(super) struct Files {
    pub(super) located: Vec<Located>,
    /// What came from standard input; removed when the extract is dropped.
    pub(super) spooled: Option<TempPath>,
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

    /// How many bytes the file has.
    pub(super) fn length(&self) -> u64 {
        self.length
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
pub(super) fn locate(spec: &ExtractSpec) -> Result<Files, SourceError> {
    if spec.path == "-" {
        return spool(spec.format.unwrap_or(Format::Csv));
    }
    let located = find(spec)?;
    let is_table = |it: &&Located| it.format == Format::Parquet;
    let (table, text) = (
        located.iter().find(is_table),
        located.iter().find(|it| !is_table(it)),
    );
    if let (Some(one), Some(other)) = (table, text) {
        return Err(SourceError::Formats {
            one: Arc::clone(&one.name),
            other: Arc::clone(&other.name),
        });
    }
    no_twins(&located)?;
    Ok(Files {
        located,
        spooled: None,
    })
}

/// Refuses a file beside its compressed self: every row would be there twice.
fn no_twins(located: &[Located]) -> Result<(), SourceError> {
    let mut seen = HashMap::new();
    for file in located {
        let (_, plain) = Compression::of(&file.path);
        if let Some(one) = seen.insert(plain, &file.name) {
            return Err(SourceError::Twins {
                one: Arc::clone(one),
                other: Arc::clone(&file.name),
            });
        }
    }
    Ok(())
}

/// What the names of spools begin with.
const SPOOL: &str = ".segue-stdin-";

/// A spool that is older belongs to a run that was killed: it removes its own when it ends.
const LONGEST_RUN: Duration = Duration::from_hours(7 * 24);

/// Removes what runs that were killed left beside this new spool: it holds rows.
fn sweep(spool: &NamedTempFile) {
    let Some(folder) = spool.path().parent() else {
        return;
    };
    let made = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    let now = made(spool.path());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_spool = name.to_str().is_some_and(|name| name.starts_with(SPOOL));
        let age = now.zip(made(&entry.path()));
        let age = age.and_then(|(now, then)| now.duration_since(then).ok());
        if is_spool && age.is_some_and(|age| age > LONGEST_RUN) {
            // Somebody else's, perhaps: then it is not ours to remove.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// An extract is read twice, which a stream does not allow: it goes to a file that its owner alone can read.
fn spool(format: Format) -> Result<Files, SourceError> {
    let written = || {
        // Who sits at the keyboard has forgotten to hand over a file, and would wait for us for ever.
        if io::stdin().is_terminal() {
            return Ok(None);
        }
        let mut file = tempfile::Builder::new().prefix(SPOOL).tempfile()?;
        sweep(&file);
        let length = io::copy(&mut io::stdin().lock(), &mut file)?;
        Ok((length > 0).then(|| file.into_temp_path()))
    };
    let written = written().map_err(|source| SourceError::Spool { source })?;
    let path = written.ok_or(SourceError::NothingCame)?;
    let located = Located {
        path: path.to_path_buf(),
        name: "standard input".into(),
        format,
        compression: Compression::None,
    };
    Ok(Files {
        located: vec![located],
        spooled: Some(path),
    })
}

fn find(spec: &ExtractSpec) -> Result<Vec<Located>, SourceError> {
    let whole = spec.base.join(&spec.path);
    let paths = match fs::metadata(&whole) {
        Ok(found) if found.is_dir() => folder(&whole, &spec.path)?,
        Ok(found) if !found.is_file() => {
            return Err(SourceError::NoFile {
                file: spec.path.as_str().into(),
            });
        }
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
        if is_part(&found) && is_file(&found, path)? {
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
        if !is_left_out(&found, spec) && is_file(&found, &spec.path)? {
            paths.push(found);
        }
    }
    paths.extend(oddly_named(&paths, spec)?);
    paths.sort();
    Ok(paths)
}

/// The files beside those that were found whose names are no Unicode: patterns pass them over, and their rows would be
/// missing without a word.
fn oddly_named(found: &[PathBuf], spec: &ExtractSpec) -> Result<Vec<PathBuf>, SourceError> {
    let last = Path::new(&spec.path).file_name().unwrap_or_default();
    let Ok(pattern) = glob::Pattern::new(&last.to_string_lossy()) else {
        return Ok(Vec::new());
    };
    let folders: BTreeSet<&Path> = found.iter().filter_map(|it| it.parent()).collect();
    let mut odd = Vec::new();
    for folder in folders {
        let refused = |error| cannot_open(&folder.to_string_lossy(), error);
        for entry in fs::read_dir(folder).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            let name = path.file_name().unwrap_or_default();
            let is_odd = name.to_str().is_none() && pattern.matches(&name.to_string_lossy());
            if is_odd && !is_left_out(&path, spec) && is_file(&path, &spec.path)? {
                odd.push(path);
            }
        }
    }
    Ok(odd)
}

/// Whether what was found is a file. What cannot be told is an error, and so is a folder, pipe or device by the name of
/// a file: rows would be missing without a word, and their records would be removed.
fn is_file(found: &Path, path: &str) -> Result<bool, SourceError> {
    let about =
        fs::metadata(found).map_err(|error| cannot_open(&found.to_string_lossy(), error))?;
    let (_, inner) = Compression::of(found);
    let is_named_so = known_format(&inner).is_some() || is_data(&inner);
    if about.is_dir() && !is_named_so {
        return Ok(false);
    }
    if about.is_file() {
        return Ok(true);
    }
    Err(SourceError::NoFile {
        file: format!("{path}: {}", found.display()).into(),
    })
}

/// Whether a pattern finds a file that is hidden, or a writer's own, or in such a folder, and does not name it so.
fn is_left_out(found: &Path, spec: &ExtractSpec) -> bool {
    let pattern = Path::new(&spec.path);
    let above = if pattern.is_absolute() {
        0
    } else {
        parts(&spec.base).count()
    };
    HIDDEN.iter().any(|mark| {
        let begins = |part: Component<'_>| part.as_os_str().to_string_lossy().starts_with(*mark);
        parts(found).skip(above).any(begins) && !parts(pattern).any(begins)
    })
}

/// What a path names, without the steps that lead nowhere or up.
fn parts(path: &Path) -> impl Iterator<Item = Component<'_>> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_)))
}

fn located(path: PathBuf, spec: &ExtractSpec) -> Result<Located, SourceError> {
    let shown = path.strip_prefix(&spec.base).unwrap_or(&path);
    let name: Arc<str> = shown.to_string_lossy().into();
    let (compression, inner) = Compression::of(&path);
    let known = known_format(&inner);
    // What is plainly something else is not read as text, whatever the mapping says.
    let named = spec.format.filter(|_| known.is_some() || !is_data(&inner));
    let format = named
        .or(known)
        .filter(|format| compression == Compression::None || *format != Format::Parquet);
    let Some(format) = format else {
        let found = Disguise::of_name(&inner);
        return Err(SourceError::Format { file: name, found });
    };
    Ok(Located {
        path,
        name,
        format,
        compression,
    })
}

fn known_format(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" | "txt" => Some(Format::Csv),
        "tsv" => Some(Format::Tsv),
        "parquet" => Some(Format::Parquet),
        _ => None,
    }
}

/// How the names of files begin that are hidden, or that writers leave beside their parts.
const HIDDEN: [char; 2] = ['.', '_'];

/// Whether a file of a folder belongs to the extract. Hidden files and those that writers leave beside their parts
/// (`_SUCCESS`, `_metadata`) do not; data in a format that is not read does, so that it is told and not passed over.
fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (_, inner) = Compression::of(path);
    !name.starts_with(HIDDEN) && (known_format(&inner).is_some() || is_data(&inner))
}

/// Whether a file is data of another format.
fn is_data(path: &Path) -> bool {
    const FORMATS: [&str; 14] = [
        "zip", "parquet", "json", "ndjson", "jsonl", "arrow", "feather", "avro", "orc", "xlsx",
        "xls", "bz2", "xz", "lz4",
    ];
    let extension = path.extension().and_then(|it| it.to_str());
    extension.is_some_and(|found| FORMATS.iter().any(|it| found.eq_ignore_ascii_case(it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_spool_removes_those_of_runs_that_were_killed_long_ago() {
        let folder = tempfile::tempdir().unwrap();
        let spool = || {
            let named = tempfile::Builder::new().prefix(SPOOL).tempfile_in(&folder);
            named.unwrap()
        };
        let (old, young, new) = (spool(), spool(), spool());
        let other = NamedTempFile::new_in(&folder).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        old.as_file().set_modified(long_ago).unwrap();
        other.as_file().set_modified(long_ago).unwrap();
        sweep(&new);
        assert!(!old.path().exists());
        assert!([&young, &new, &other].iter().all(|it| it.path().exists()));
    }
}
