//! The history of runs: their folders are the truth about them.

use std::fs;
use std::io;
use std::path::Path;

use super::RunResults;

/// The runs of a state folder, newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunHistory {
    /// Runs that came to an end.
    pub runs: Vec<RunResults>,
    /// Runs without results: they are still running, or were killed.
    pub unfinished: Vec<String>,
}

impl RunHistory {
    /// Reads every run's results. What is not a run's folder is passed over.
    ///
    /// # Errors
    /// If the folder of runs is there and cannot be read.
    pub fn read(state: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        let folders = match fs::read_dir(state.join("runs")) {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(history),
            Err(error) => return Err(error),
        };
        for folder in folders.filter_map(Result::ok) {
            let Ok(name) = folder.file_name().into_string() else {
                continue;
            };
            match fs::read(folder.path().join("run_results.json")) {
                Ok(text) => history.runs.extend(serde_json::from_slice(&text).ok()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    history.unfinished.push(name);
                }
                Err(_) => {}
            }
        }
        let order = |run: &RunResults| (run.started, run.run.clone());
        history
            .runs
            .sort_by_key(|run| std::cmp::Reverse(order(run)));
        history.unfinished.sort_by(|one, other| other.cmp(one));
        Ok(history)
    }

    /// The run that people mean when they name none: the latest that read rows. One that could not begin has told so,
    /// and hides no rejects of the run before. Without such a run it is the latest.
    pub fn latest(&self) -> Option<&RunResults> {
        let mut runs = self.runs.iter();
        runs.find(|run| run.rows.read > 0).or(self.runs.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_results_are_told_and_others_passed_over() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(
            RunHistory::read(state.path()).unwrap(),
            RunHistory::default()
        );
        let runs = state.path().join("runs");
        fs::create_dir_all(runs.join("20261120T231500Z-contacts")).unwrap();
        fs::create_dir_all(runs.join("torn")).unwrap();
        fs::write(runs.join("torn/run_results.json"), "{").unwrap();
        fs::write(runs.join("a file"), "").unwrap();
        fs::create_dir_all(runs.join("unreadable/run_results.json")).unwrap();
        let history = RunHistory::read(state.path()).unwrap();
        assert_eq!(history.unfinished, ["20261120T231500Z-contacts"]);
        assert!(history.runs.is_empty());
    }
}
