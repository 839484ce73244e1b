//! The folder of a run: its name is the run's id.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::model::RunId;

/// `<state>/runs/20261120T231500Z-contacts/`, readable by its owner only.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    run: RunId,
}

impl RunFolder {
    /// Makes the folder. A name that is taken gets `-2`, `-3`, …
    ///
    /// # Errors
    /// If the state folder cannot be written.
    pub fn create(state: &Path, started: Timestamp, mapping: &str) -> io::Result<Self> {
        let runs = state.join("runs");
        std::fs::create_dir_all(&runs)?;
        let first = format!("{}-{mapping}", started.strftime("%Y%m%dT%H%M%SZ"));
        let mut name = first.clone();
        let mut number = 1_u64;
        loop {
            let path = runs.join(&name);
            match make_private(&path) {
                Ok(()) => {
                    let run = RunId::new(&name);
                    return Ok(Self { path, run });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number += 1;
                    name = format!("{first}-{number}");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id.
    pub fn run_id(&self) -> &RunId {
        &self.run
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// A new file that its owner alone can read.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the names in a folder durable.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file, and its names are durable with the files.
#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_id_gets_a_number() {
        let state = tempfile::tempdir().unwrap();
        let started: Timestamp = "2026-11-20T23:15:00Z".parse().unwrap();
        let name = || {
            let folder = RunFolder::create(state.path(), started, "contacts").unwrap();
            assert!(folder.path().is_dir());
            folder.run_id().to_string()
        };
        assert_eq!(name(), "20261120T231500Z-contacts");
        assert_eq!(name(), "20261120T231500Z-contacts-2");
        assert_eq!(name(), "20261120T231500Z-contacts-3");
    }
}
