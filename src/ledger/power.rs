//! A power failure, for tests: after so many steps nothing more happens, and of what was not synced, some is lost.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// A power failure that is to come, and what it could take.
#[derive(Debug)]
pub(super) struct Power {
    torn: Torn,
    seen: Mutex<Seen>,
}

/// How much of the write that the power fails in still reaches the disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Torn {
    Nothing,
    Half,
    AllButOne,
}

/// What of the unsynced is lost; counted along the steps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loss {
    /// As if the program had been killed and the power had stayed.
    Nothing,
    Everything,
    /// Disks write in any order.
    EveryOther,
    AllOthers,
}

#[derive(Debug, Default)]
struct Seen {
    left: u64,
    /// A write was torn already: nothing is written any more.
    out: bool,
    /// The steps that were made: a verb and a name.
    made: Vec<String>,
    /// Writes that were not synced: where they begin, and how long they are.
    writes: Vec<(PathBuf, u64, u64)>,
    /// How long files were when they were last synced.
    synced: BTreeMap<PathBuf, u64>,
    /// Names that were made and not yet synced.
    created: Vec<PathBuf>,
    /// What was removed; a name may come back.
    removed: Vec<(PathBuf, Vec<u8>)>,
    /// Folders that got another name, and that name.
    renamed: Vec<(PathBuf, PathBuf)>,
}

impl Power {
    pub(super) fn fails_after(steps: u64, torn: Torn) -> Self {
        let seen = Seen {
            left: steps,
            ..Seen::default()
        };
        Self {
            torn,
            seen: Mutex::new(seen),
        }
    }

    pub(super) fn made(&self) -> Vec<String> {
        self.seen().made.clone()
    }

    pub(super) fn step(&self, doing: &str, path: &Path) -> io::Result<()> {
        let mut seen = self.seen();
        if seen.left == 0 {
            seen.out |= doing != "write";
            return Err(io::Error::other("the power failed"));
        }
        seen.left -= 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        seen.made.push(format!("{doing} {name}"));
        match doing {
            "create" => seen.created.push(path.to_owned()),
            "sync" if path.is_dir() => {
                let stays = |name: &Path| name.parent() != Some(path);
                seen.created.retain(|name| stays(name));
                seen.removed.retain(|(name, _)| stays(name));
                seen.renamed.retain(|(name, _)| stays(name));
            }
            "sync" => {
                let length = fs::metadata(path).map_or(0, |about| about.len());
                seen.synced.insert(path.to_owned(), length);
                seen.writes.retain(|(name, _, _)| name != path);
            }
            "remove" => {
                if let Ok(bytes) = fs::read(path) {
                    seen.removed.push((path.to_owned(), bytes));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A write that came through.
    pub(super) fn wrote(&self, file: &mut File, path: &Path, bytes: &[u8]) {
        let end = file.stream_position().unwrap();
        let length = bytes.len() as u64;
        let write = (path.to_owned(), end - length, length);
        self.seen().writes.push(write);
    }

    /// A folder that has another name now, in the same folder.
    pub(super) fn renamed(&self, from: &Path, to: &Path) {
        let names = (from.to_owned(), to.to_owned());
        self.seen().renamed.push(names);
    }

    /// A write in which the power failed: its beginning may be there.
    pub(super) fn tear(&self, file: &mut File, path: &Path, bytes: &[u8]) {
        if std::mem::replace(&mut self.seen().out, true) {
            return;
        }
        let length = match self.torn {
            Torn::Nothing => 0,
            Torn::Half => bytes.len() / 2,
            Torn::AllButOne => bytes.len() - 1,
        };
        file.write_all(&bytes[..length]).unwrap();
        self.wrote(file, path, &bytes[..length]);
    }

    /// Whether the power never came to fail.
    pub(super) fn stayed(&self) -> bool {
        self.seen().left > 0
    }

    /// Takes what was not synced.
    pub(super) fn take(&self, loss: Loss) {
        let mut count = 0;
        let mut is_lost = || {
            count += 1;
            match loss {
                Loss::Nothing => false,
                Loss::Everything => true,
                Loss::EveryOther => count % 2 == 0,
                Loss::AllOthers => count % 2 == 1,
            }
        };
        let seen = self.seen();
        // Of names in one folder the later ones are not kept without the earlier ones.
        if !seen.renamed.is_empty() && is_lost() {
            for (from, to) in seen.renamed.iter().rev() {
                fs::rename(to, from).ok();
            }
        }
        let mut ends = seen.synced.clone();
        for (path, from, length) in &seen.writes {
            let end = ends.entry(path.clone()).or_default();
            if !is_lost() {
                *end = (*end).max(from + length);
            } else if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
                file.seek(SeekFrom::Start(*from)).unwrap();
                file.write_all(&vec![0; usize::try_from(*length).unwrap()])
                    .unwrap();
            }
        }
        for (path, end) in ends {
            if let Ok(file) = OpenOptions::new().write(true).open(path) {
                file.set_len(end).unwrap();
            }
        }
        for path in &seen.created {
            if is_lost() {
                fs::remove_file(path).ok();
            }
        }
        for (path, bytes) in &seen.removed {
            if is_lost() {
                fs::write(path, bytes).unwrap();
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}
