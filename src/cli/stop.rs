//! Why a command ends before it has results: what happened, why, what to do.

use std::error::Error;

use jiff::Timestamp;
use segue_emulator::EmulatorError;
use serde_json::{Value, json};

use super::output;
use crate::dataverse::{DataverseError, DataverseErrorKind};
use crate::mapping::{Mapping, MappingError, Problems};
use crate::push::PushError;
use crate::report::{
    ExitCode, ExtractShape, RejectResults, RemovalResults, RequestCounts, RowCounts, RunResults,
    SendingResults,
};
use crate::sandbox::SandboxError;
use crate::snapshot::SnapshotError;
use crate::source::SourceError;

/// Why a command ends before it has results.
pub(super) struct Stop {
    what: What,
    code: ExitCode,
}

enum What {
    Problems(Problems),
    Said {
        message: String,
        causes: Vec<String>,
        /// Where it stands that this is about, as `contacts.yaml:3:10`.
        place: Option<String>,
        help: String,
    },
}

impl Stop {
    /// Something that segue says itself.
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>, code: ExitCode) -> Self {
        let (message, help) = (message.into(), help.into());
        let causes = Vec::new();
        Self {
            what: What::Said {
                message,
                causes,
                place: None,
                help,
            },
            code,
        }
    }

    /// What ended the work on a mapping, with the place of the setting that it is about.
    pub(super) fn about(mapping: &Mapping, error: PushError) -> Self {
        let at = match &error {
            PushError::Dataverse(DataverseError::NoSuchTable { .. }) => Some(&mapping.table.at),
            PushError::Source(
                SourceError::Missing { .. }
                | SourceError::NoFiles { .. }
                | SourceError::Pattern { .. }
                | SourceError::Format { .. },
            ) => Some(&mapping.source_at),
            _ => None,
        };
        let place = at.map(|at| mapping.place(at));
        let stop = Self::from(error);
        match place {
            Some(place) => stop.at(place),
            None => stop,
        }
    }

    /// The same with a place, unless it tells its places itself or has one already.
    pub(super) fn at(mut self, it: String) -> Self {
        match &mut self.what {
            What::Said { place, .. } => {
                place.get_or_insert(it);
            }
            What::Problems(_) => {}
        }
        self
    }

    /// An error with its causes.
    pub(super) fn of(error: &dyn Error, help: &str, code: ExitCode) -> Self {
        let message = error.to_string();
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let causes = causes.map(ToString::to_string);
        Self {
            what: What::Said {
                causes: causes.filter(|cause| !message.contains(cause)).collect(),
                message,
                place: None,
                help: help.to_owned(),
            },
            code,
        }
    }

    /// Tells it on stderr; the exit code is the rest.
    pub(super) fn tell(self) -> ExitCode {
        match &self.what {
            What::Problems(problems) => {
                output::say(problems.render(output::paint()).trim_end());
            }
            What::Said {
                message,
                causes,
                place,
                help,
            } => {
                let mut lines = vec![format!("error: {message}")];
                lines.extend(causes.iter().map(|cause| format!("  because: {cause}")));
                lines.extend(place.iter().map(|place| format!("  --> {place}")));
                lines.push(format!("  help: {help}"));
                output::say(&lines.join("\n"));
            }
        }
        self.code
    }

    pub(super) fn code(&self) -> ExitCode {
        self.code
    }

    /// The results of a run that it kept from beginning.
    pub(super) fn results(&self, started: Timestamp) -> RunResults {
        let (stopped_by, advice, problems) = match &self.what {
            What::Problems(problems) => (problems.to_string(), None, Some(problems.to_json())),
            What::Said {
                message,
                causes,
                help,
                ..
            } => {
                let words = std::iter::once(message).chain(causes).cloned();
                let words: Vec<String> = words.collect();
                (words.join(": "), Some(help.clone()), None)
            }
        };
        RunResults {
            schema: "segue.run/1".to_owned(),
            run: String::new(),
            mapping: String::new(),
            destination: String::new(),
            status: self.code.status(),
            exit_code: self.code.code(),
            dry_run: false,
            started,
            seconds: 0.0,
            rows: RowCounts::default(),
            requests: RequestCounts::default(),
            sending: SendingResults::default(),
            rejects: RejectResults::default(),
            removals: RemovalResults::default(),
            stopped_by: Some(stopped_by),
            advice,
            problems,
            warnings: Vec::new(),
            extract: ExtractShape::default(),
        }
    }

    /// The same for machines.
    pub(super) fn to_json(&self) -> Value {
        match &self.what {
            What::Problems(problems) => json!({
                "message": problems.to_string(),
                "problems": problems.to_json(),
            }),
            What::Said {
                message,
                causes,
                place,
                help,
            } => {
                let mut told = json!({ "message": message, "causes": causes, "help": help });
                if let (Some(place), Some(members)) = (place, told.as_object_mut()) {
                    members.insert("place".to_owned(), json!(place));
                }
                told
            }
        }
    }
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Self {
        Self {
            what: What::Problems(problems),
            code: ExitCode::Usage,
        }
    }
}

impl From<MappingError> for Stop {
    fn from(error: MappingError) -> Self {
        match error {
            MappingError::Problems(problems) => problems.into(),
            other => Self::of(&other, &other.help(), ExitCode::Usage),
        }
    }
}

impl From<PushError> for Stop {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Problems(problems) => problems.into(),
            other => Self::of(&other, &other.help(), other.exit_code()),
        }
    }
}

impl From<DataverseError> for Stop {
    fn from(error: DataverseError) -> Self {
        let code = match error.kind() {
            DataverseErrorKind::Configuration | DataverseErrorKind::Contract => ExitCode::Usage,
            DataverseErrorKind::Connection
            | DataverseErrorKind::Credential
            | DataverseErrorKind::Privilege => ExitCode::Connection,
            DataverseErrorKind::Unavailable => ExitCode::Unavailable,
        };
        Self::of(&error, &error.help(), code)
    }
}

impl From<SnapshotError> for Stop {
    fn from(error: SnapshotError) -> Self {
        let help = match &error {
            SnapshotError::Io { .. } => "Name a file that can be read and written.",
            SnapshotError::Foreign { .. } => {
                "Make it again: `segue describe TABLE --snapshot FILE`."
            }
        };
        Self::of(&error, help, ExitCode::Usage)
    }
}

impl From<SandboxError> for Stop {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Emulator(error) => error.into(),
            error => Self::of(&error, error.help(), ExitCode::Usage),
        }
    }
}

impl From<EmulatorError> for Stop {
    fn from(error: EmulatorError) -> Self {
        let code = match &error {
            EmulatorError::Held { .. } => ExitCode::Held,
            _ => ExitCode::Usage,
        };
        Self::of(&error, error.help(), code)
    }
}
