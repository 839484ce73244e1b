//! Writing to disk: private files, synced folders, and where a test makes the power fail.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
#[cfg(target_os = "linux")]
use std::num::NonZero;
use std::path::Path;

use super::LedgerError;

/// Every step that changes a generation on disk goes through here, so that a test can watch the steps, and stop after
/// any of them.
#[derive(Debug, Default)]
pub(super) enum Disk {
    /// As in every run.
    #[default]
    Steady,
    /// The power fails after some steps, and stays away.
    #[cfg(test)]
    Failing(std::sync::Arc<super::power::Power>),
}

impl Disk {
    #[cfg_attr(
        not(test),
        expect(clippy::unnecessary_wraps, reason = "a step fails in tests")
    )]
    #[cfg_attr(not(test), expect(unused_variables, reason = "tests watch the steps"))]
    fn step(&self, doing: &str, path: &Path) -> io::Result<()> {
        match self {
            Self::Steady => Ok(()),
            #[cfg(test)]
            Self::Failing(power) => power.step(doing, path),
        }
    }

    /// Makes a file that only its owner can read, empty even if there was one.
    pub(super) fn create(&self, path: &Path) -> Result<File, LedgerError> {
        self.step("create", path)
            .and_then(|()| private().truncate(true).open(path))
            .map_err(|source| LedgerError::io("create", path, source))
    }

    pub(super) fn write(
        &self,
        file: &mut File,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), LedgerError> {
        let allowed = self.step("write", path);
        #[cfg(test)]
        if let (Self::Failing(power), Err(_)) = (self, &allowed) {
            power.tear(file, path, bytes);
        }
        let written = allowed.and_then(|()| file.write_all(bytes));
        #[cfg(test)]
        if let (Self::Failing(power), Ok(())) = (self, &written) {
            power.wrote(file, path, bytes);
        }
        written.map_err(|source| LedgerError::io("write to", path, source))
    }

    /// Takes back what stands behind the first `length` bytes; what is written next goes there.
    pub(super) fn cut(&self, file: &mut File, path: &Path, length: u64) -> Result<(), LedgerError> {
        self.step("cut", path)
            .and_then(|()| file.set_len(length))
            .and_then(|()| file.seek(SeekFrom::Start(length)))
            .map(|_| ())
            .map_err(|source| LedgerError::io("write to", path, source))
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), LedgerError> {
        self.step("sync", path)
            .and_then(|()| file.sync_all())
            .map_err(|source| LedgerError::io("sync", path, source))
    }

    /// Makes names that were added to the folder durable.
    pub(super) fn sync_folder(&self, folder: &Path) -> Result<(), LedgerError> {
        self.step("sync", folder)
            .and_then(|()| sync_folder(folder))
            .map_err(|source| LedgerError::io("sync", folder, source))
    }

    /// A step that is made elsewhere: by SQLite.
    pub(super) fn before(&self, doing: &'static str, path: &Path) -> Result<(), LedgerError> {
        self.step(doing, path)
            .map_err(|source| LedgerError::io(doing, path, source))
    }

    /// Gives a folder another name; tells whether it was there.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<Renamed, LedgerError> {
        let renamed = self
            .step("rename", from)
            .and_then(|()| std::fs::rename(from, to));
        #[cfg(test)]
        if let (Self::Failing(power), Ok(())) = (self, &renamed) {
            power.renamed(from, to);
        }
        match renamed {
            Ok(()) => Ok(Renamed::Done),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Renamed::NotThere),
            Err(source) => Err(LedgerError::io("rename", from, source)),
        }
    }

    /// Removes a file; one that is not there is fine.
    pub(super) fn remove(&self, path: &Path) -> Result<(), LedgerError> {
        let removed = self
            .step("remove", path)
            .and_then(|()| std::fs::remove_file(path));
        match removed {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(LedgerError::io("remove", path, source))
            }
            _ => Ok(()),
        }
    }
}

/// What became of a folder that was to have another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renamed {
    Done,
    NotThere,
}

/// Makes a folder, and those above it, that only its owner can enter. Their names are durable when this returns:
/// what is recorded in them must not be lost with them.
pub(super) fn create_folder(folder: &Path) -> Result<(), LedgerError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder
        .parent()
        .filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        create_folder(above)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(LedgerError::io("create", folder, source));
        }
        _ => {}
    }
    let above = above.unwrap_or(Path::new("."));
    sync_folder(above).map_err(|source| LedgerError::io("sync", above, source))
}

/// Opens a file for reading and writing that only its owner can read; makes it if it is not there.
pub(super) fn open_private(path: &Path) -> Result<File, LedgerError> {
    private()
        .truncate(false)
        .open(path)
        .map_err(|source| LedgerError::io("open", path, source))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file, and its names are durable with the files.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// A file without a name in `folder`: it is gone when it is closed, however the program ends.
pub(super) fn nameless(folder: &Path) -> Result<File, LedgerError> {
    tempfile::tempfile_in(folder)
        .map_err(|source| LedgerError::io("create a temporary file in", folder, source))
}

/// The file is not read again between those places: what stands there need not stay in memory. Advice, so that nothing is
/// wrong if it is not taken.
#[cfg(target_os = "linux")]
pub(super) fn let_go(file: &File, from: u64, to: u64) {
    if let Some(length) = NonZero::new(to.saturating_sub(from)) {
        rustix::fs::fadvise(file, from, Some(length), rustix::fs::Advice::DontNeed).ok();
    }
}

/// Elsewhere nobody is told.
#[cfg(not(target_os = "linux"))]
pub(super) fn let_go(_file: &File, _from: u64, _to: u64) {}

/// Fills the buffer from that place on, wherever the file's cursor stands.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills the buffer from that place on, wherever the file's cursor stands.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = buffer.split_at_mut(read).1;
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn files_and_folders_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_folder(&inner).unwrap();
        let made = Disk::Steady.create(&inner.join("digests.1")).unwrap();
        let opened = open_private(&inner.join("x.db")).unwrap();
        let rights = |meta: std::fs::Metadata| meta.permissions().mode() & 0o777;
        assert_eq!(rights(std::fs::metadata(&inner).unwrap()), 0o700);
        assert_eq!(rights(made.metadata().unwrap()), 0o600);
        assert_eq!(rights(opened.metadata().unwrap()), 0o600);
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        Disk::Steady.remove(&folder.path().join("nothing")).unwrap();
    }
}
