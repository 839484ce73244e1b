//! Mappings on their way, one after the other, to destinations that are reached once.

use std::io::{IsTerminal as _, stderr, stdin};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::push::PushArguments;
use super::settings::{Reached, reach};
use super::signals::listen;
use super::stop::Stop;
use super::{output, progress};
use crate::dispatch::{StopCause, Stopping};
use crate::ledger::{Extent, Scope};
use crate::mapping::{Config, Mapping};
use crate::push::{Change, Progress, Purpose, PushError, Request, Resting};
use crate::report::{ExitCode, RunFolder, RunResults};

/// After a second signal a run has so long to come to its end before it is left behind.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(5);

/// Mappings on their way.
pub(super) struct Journey<'a> {
    arguments: &'a PushArguments,
    config: Option<Config>,
    reached: Vec<Reached>,
    /// What the last run was told to leave alone.
    resting: Resting,
    stop: watch::Receiver<Stopping>,
}

/// What one mapping came to.
pub(super) struct Travelled {
    pub(super) results: RunResults,
    pub(super) code: ExitCode,
    pub(super) stopped: Option<Stop>,
    pub(super) warnings: Vec<String>,
    pub(super) preview: String,
}

impl<'a> Journey<'a> {
    pub(super) fn new(arguments: &'a PushArguments) -> Result<Self, Stop> {
        Ok(Self {
            arguments,
            config: None,
            reached: Vec::new(),
            resting: Resting::default(),
            stop: listen()?,
        })
    }

    /// Runs one mapping to its end.
    pub(super) async fn travel(&mut self, mapping: Mapping) -> Result<Travelled, Stop> {
        let told = until(self.stop.clone(), Stopping::Drain);
        let requested = tokio::select! {
            // Whoever is told to stop asks nothing more.
            biased;
            () = told => Err(Stop::from(PushError::Stopped(StopCause::Interrupted))),
            request = self.request(mapping.clone()) => request,
        };
        let request = match requested {
            Ok(request) => request,
            Err(stop) => {
                self.note(&mapping, &stop);
                return Err(stop);
            }
        };
        let seen = Arc::new(Progress::default());
        let pushing = crate::push::push(request, Arc::clone(&seen), self.stop.clone());
        let given_up = async {
            until(self.stop.clone(), Stopping::Now).await;
            tokio::time::sleep(PATIENCE_AT_THE_END).await;
        };
        let report = tokio::select! {
            report = pushing => report?,
            () = progress::show(seen, self.arguments.progress) => return Err(given_up_stop()),
            () = given_up => return Err(given_up_stop()),
        };
        let code = report.exit_code();
        self.resting = report.resting;
        let preview = preview(&report.preview);
        Ok(Travelled {
            results: report.results,
            code,
            stopped: report.stopped.map(|error| self.told(&mapping, error)),
            warnings: report.warnings,
            preview,
        })
    }

    /// An extract that the command named stands in no mapping.
    fn told(&self, mapping: &Mapping, error: PushError) -> Stop {
        match &error {
            PushError::Source(_) if self.arguments.selection.extract.is_some() => error.into(),
            _ => Stop::about(mapping, error),
        }
    }

    /// A run that cannot begin leaves its results as well, where it is known into which folder.
    pub(super) fn note(&mut self, mapping: &Mapping, stop: &Stop) {
        self.note_of(&mapping.name, Some(mapping), stop);
    }

    /// So does the run of a mapping that cannot be read: it has the name that its file would give it.
    pub(super) fn note_unread(&mut self, file: &Path, stop: &Stop) {
        let name = file.file_stem().unwrap_or(file.as_os_str());
        self.note_of(&name.to_string_lossy(), None, stop);
    }

    fn note_of(&mut self, name: &str, mapping: Option<&Mapping>, stop: &Stop) {
        let settings = &self.arguments.settings;
        let Ok(config) = self.config() else { return };
        let chosen = settings.choose(config, mapping);
        let destination = chosen.map_or_else(|_| String::new(), |it| it.name().to_owned());
        let (started, state) = (now(), config.state().to_owned());
        let noted = RunFolder::create(&state, started, name).and_then(|folder| {
            let results = RunResults {
                run: folder.run_id().to_string(),
                mapping: name.to_owned(),
                destination,
                dry_run: self.arguments.purpose() == Purpose::Rehearse,
                ..stop.results(started)
            };
            results.write(folder.path())
        });
        if let Err(error) = noted {
            let state = state.display();
            output::warn(&format!(
                "the results of the run were not written in {state}: {error}"
            ));
        }
    }

    async fn request(&mut self, mapping: Mapping) -> Result<Request, Stop> {
        let arguments = self.arguments;
        let connection = self.reach(&mapping).await?;
        let purpose = arguments.purpose();
        if connection.production && purpose == Purpose::Send && !arguments.yes {
            ask(&connection.name, &mapping.name).await?;
        }
        let selection = &arguments.selection;
        let partial = selection.partial
            || mapping.partial
            || arguments.rejects_of.is_some()
            || selection.limit.is_some()
            || !selection.key.is_empty();
        let (state, base) = self.folders()?;
        Ok(Request {
            mapping,
            connection,
            state,
            base,
            started: now(),
            limit: selection.limit,
            keys: selection.key.clone(),
            rejects_of: arguments.rejects_of.clone(),
            scope: if arguments.full_refresh {
                Scope::Everything
            } else {
                Scope::Changed
            },
            extent: if partial {
                Extent::Partial
            } else {
                Extent::Whole
            },
            purpose,
            row_memory: usize::try_from(u64::from(arguments.row_memory) << 20)
                .unwrap_or(usize::MAX),
            patience: arguments.patience.patience(),
            resting: self.resting.clone(),
        })
    }

    fn config(&mut self) -> Result<&Config, Stop> {
        if self.config.is_none() {
            self.config = Some(self.arguments.settings.read()?);
        }
        let missing = || {
            Stop::new(
                "there is no configuration",
                "Report this.",
                ExitCode::Defect,
            )
        };
        self.config.as_ref().ok_or_else(missing)
    }

    fn folders(&mut self) -> Result<(std::path::PathBuf, std::path::PathBuf), Stop> {
        let config = self.config()?;
        Ok((config.state().to_owned(), config.base().to_owned()))
    }

    /// The way to the mapping's destination; each is reached once.
    async fn reach(&mut self, mapping: &Mapping) -> Result<crate::model::Connection, Stop> {
        let settings = &self.arguments.settings;
        let config = self.config()?;
        let destination = settings.choose(config, Some(mapping))?;
        let state = config.state().to_owned();
        let known = self
            .reached
            .iter()
            .find(|it| it.connection.name == destination.name());
        if let Some(reached) = known {
            return Ok(reached.connection.clone());
        }
        let reached = reach(&destination, &state, self.arguments.patience.to_reach()).await?;
        let connection = reached.connection.clone();
        self.reached.push(reached);
        Ok(connection)
    }

    /// Lets go of every destination.
    pub(super) async fn end(self) {
        for reached in self.reached {
            reached.leave().await;
        }
    }
}

/// The first changes of a dry run, one line for each column.
fn preview(changes: &[Change]) -> String {
    let mut lines = Vec::new();
    for change in changes {
        let verb = if change.id.is_some() {
            "update"
        } else {
            "create"
        };
        lines.push(format!("  would {verb} {}", change.key));
        let empty = || "(empty)".to_owned();
        if change.columns.is_empty() {
            lines.push("    nothing would differ: the ledger does not know the record".to_owned());
        }
        lines.extend(change.columns.iter().map(|it| {
            let after = it.after.clone().unwrap_or_else(empty);
            if change.id.is_none() {
                return format!("    {}: {after}", it.column);
            }
            let before = it.before.clone().unwrap_or_else(empty);
            format!("    {}: {before} → {after}", it.column)
        }));
    }
    lines.join("\n")
}

/// Until somebody says to stop, at least so loudly.
async fn until(mut stop: watch::Receiver<Stopping>, level: Stopping) {
    let told = stop.wait_for(|now| *now >= level).await.is_ok();
    if !told {
        std::future::pending::<()>().await;
    }
}

fn given_up_stop() -> Stop {
    Stop::new(
        "the run was given up; what was recorded stays recorded",
        "Run the same command again: it goes on where this run ended.",
        ExitCode::Interrupted,
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the calendar enters"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Asks whether to write to production; where nobody can answer, no.
async fn ask(destination: &str, mapping: &str) -> Result<(), Stop> {
    let mut answer = String::new();
    if stdin().is_terminal() && stderr().is_terminal() {
        output::say(&format!(
            "`{destination}` is a production environment. Push `{mapping}` to it? Type yes:"
        ));
        // Who answers may take hours, and signals are heard meanwhile.
        let line = spawn_blocking(|| stdin().lines().next());
        answer = line
            .await
            .ok()
            .flatten()
            .and_then(Result::ok)
            .unwrap_or_default();
    }
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Stop::new(
        format!("`{destination}` is marked as production, and nobody agreed to write to it"),
        "Look at a dry run first (--dry-run), then add --yes.",
        ExitCode::Usage,
    ))
}
