//! How long run folders are kept.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};

/// Rejects hold rows of the extract: as long as somebody may still be mending them, and no longer.
const REJECTS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Results hold counts and no values; a year tells how a segment moves with the seasons.
const RUNS_KEPT: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The folders of at most so many runs are kept, however young.
const MOST_RUNS: usize = 10_000;

/// Removes the rejects of old runs, and run folders that are older still. Of each mapping the last run keeps
/// everything. Folders that no run has made are left alone.
///
/// # Errors
/// If the folder of runs cannot be read, or something in it cannot be removed; the next run tries again.
pub fn retire(state: &Path, now: Timestamp) -> io::Result<()> {
    let mut runs = runs_in(state)?;
    runs.sort_by_key(|run| std::cmp::Reverse(run.started));
    let mut met: BTreeSet<String> = BTreeSet::new();
    for (place, run) in runs.into_iter().enumerate() {
        if met.insert(run.mapping) {
            continue;
        }
        let age = now.duration_since(run.started);
        if age > RUNS_KEPT || place >= MOST_RUNS {
            fs::remove_dir_all(&run.folder)?;
        } else if age > REJECTS_KEPT {
            match fs::remove_file(run.folder.join("rejects.csv")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

struct Run {
    folder: PathBuf,
    started: Timestamp,
    mapping: String,
}

fn runs_in(state: &Path) -> io::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(state.join("runs"))? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        let Some((started, mapping)) = name.and_then(|name| name.split_once("Z-")) else {
            continue;
        };
        if let Ok(started) = DateTime::strptime("%Y%m%dT%H%M%S", started)
            && let Ok(started) = Offset::UTC.to_timestamp(started)
        {
            let mapping = mapping.to_owned();
            runs.push(Run {
                folder,
                started,
                mapping,
            });
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn run(state: &Path, name: &str) -> PathBuf {
        let folder = state.join("runs").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("rejects.csv"), "").unwrap();
        fs::write(folder.join("run_results.json"), "").unwrap();
        folder
    }

    #[test]
    fn rejects_go_first_and_runs_later_and_the_last_run_stays() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let young = run(state, "20261120T110000Z-contacts");
        let month = run(state, "20261022T110000Z-contacts");
        let older = run(state, "20261020T110000Z-contacts");
        let oldest = run(state, "20251119T110000Z-contacts");
        let last = run(state, "20200101T110000Z-accounts");
        let foreign = run(state, "keep this");
        let odd = run(state, "20209999T110000Z-accounts");
        retire(state, now()).unwrap();
        let rejects = |folder: &Path| folder.join("rejects.csv").exists();
        assert!(rejects(&young) && rejects(&month) && rejects(&last));
        assert!(older.join("run_results.json").exists() && !rejects(&older));
        assert!(!oldest.exists());
        assert!(rejects(&foreign) && rejects(&odd));
        retire(state, now()).unwrap();
    }
}
