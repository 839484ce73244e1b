//! Why a run stopped, and with which exit code.

use std::borrow::Cow;

use crate::dataverse::{DataverseError, DataverseErrorKind};
use crate::dispatch::StopCause;
use crate::ledger::LedgerError;
use crate::mapping::Problems;
use crate::model::ServiceError;
use crate::report::ExitCode;
use crate::source::{SourceError, SourceFailure};

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The mapping does not fit the table or the extract.
    #[error("the mapping has {}", counted(.0.problems.len()))]
    Problems(Problems),
    /// The extract.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The environment.
    #[error(transparent)]
    Dataverse(#[from] DataverseError),
    /// The snapshot has no such table.
    #[error("no schema of table `{table}` is stored")]
    NotStored {
        /// `contact`
        table: String,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// `--key` is no key of the mapping.
    #[error("`{written}` is no value of the key ({columns})")]
    Key {
        /// As it was written.
        written: String,
        /// The key's columns.
        columns: String,
    },
    /// The reject file of the run that is to be retried.
    #[error("the rejected rows of the run cannot be told from others")]
    Rejected(#[source] std::io::Error),
    /// A brake of the mapping.
    #[error("the guard `{guard}` stopped the run: {figures}")]
    Guard {
        /// `min_rows`
        guard: &'static str,
        /// What was found and what is allowed.
        figures: String,
    },
    /// Dispatching ended early.
    #[error("{}", stop_text(.0))]
    Stopped(StopCause),
    /// The second reading does not see what the first one saw.
    #[error("the extract changed while it was read: {place} is not the row that was surveyed")]
    Moved {
        /// The row.
        place: String,
    },
    /// The run folder cannot be written.
    #[error("the results of the run cannot be written")]
    Results(#[source] std::io::Error),
    /// A row without an outcome.
    #[error("the run cannot account for every row: {0}")]
    Unbalanced(String),
    /// A part of segue ended without a result.
    #[error("a part of segue failed: {0}")]
    Defect(String),
}

fn counted(problems: usize) -> String {
    match problems {
        1 => "a problem".to_owned(),
        several => format!("{several} problems"),
    }
}

fn stop_text(cause: &StopCause) -> String {
    let said = |what: &str, error: &ServiceError| format!("{what}: {error}");
    match cause {
        StopCause::Credential(error) => DataverseError::from_service(error.clone()).to_string(),
        StopCause::Contract(error) => said("the environment does not accept what is sent", error),
        StopCause::Exhausted(error) => said("the environment does not answer as it should", error),
        StopCause::Interrupted => "the run was interrupted; what was done is recorded".to_owned(),
        StopCause::Deadline => "the deadline passed; what was done is recorded".to_owned(),
    }
}

impl PushError {
    /// Whether this guard stopped the run.
    pub(super) fn is_guard(&self, name: &str) -> bool {
        matches!(self, Self::Guard { guard, .. } if *guard == name)
    }

    /// What a scheduler is told.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Problems(_) | Self::Key { .. } | Self::Rejected(_) | Self::NotStored { .. } => {
                ExitCode::Usage
            }
            Self::Source(error) => match error.kind() {
                SourceFailure::NotThere => ExitCode::Usage,
                SourceFailure::Unreadable | SourceFailure::Changed => ExitCode::Extract,
            },
            Self::Dataverse(error) => match error.kind() {
                DataverseErrorKind::Configuration | DataverseErrorKind::Contract => ExitCode::Usage,
                DataverseErrorKind::Unavailable => ExitCode::Unavailable,
                DataverseErrorKind::Connection
                | DataverseErrorKind::Credential
                | DataverseErrorKind::Privilege => ExitCode::Connection,
            },
            Self::Ledger(LedgerError::Held { .. }) => ExitCode::Held,
            Self::Ledger(LedgerError::Io { .. } | LedgerError::Database { .. }) => {
                ExitCode::Extract
            }
            Self::Ledger(LedgerError::StaleSlot { .. }) => ExitCode::Defect,
            Self::Ledger(_) => ExitCode::Usage,
            Self::Guard { .. } => ExitCode::Guard,
            Self::Stopped(StopCause::Credential(_) | StopCause::Contract(_)) => {
                ExitCode::Connection
            }
            Self::Stopped(StopCause::Exhausted(_)) => ExitCode::Unavailable,
            Self::Stopped(StopCause::Interrupted | StopCause::Deadline) => ExitCode::Interrupted,
            Self::Moved { .. } | Self::Results(_) => ExitCode::Extract,
            Self::Unbalanced(_) | Self::Defect(_) => ExitCode::Defect,
        }
    }

    /// What the operator does next.
    pub fn help(&self) -> Cow<'static, str> {
        match self {
            Self::Problems(_) => "Mend the mapping, then run `segue validate`.".into(),
            Self::Key { .. } => {
                "Write the value as the extract has it, or `column=value,…` for a key of several columns.".into()
            }
            Self::Rejected(_) => {
                "Their keys are read from the reject file, by the columns that the mapping names now. Push the whole extract.".into()
            }
            Self::NotStored { table } => {
                format!("Store it while there is a connection: `segue describe {table} --snapshot FILE`.").into()
            }
            Self::Source(error) => error.help().into(),
            Self::Dataverse(error) => error.help(),
            Self::Ledger(error) => error.help().into(),
            Self::Guard { .. } => "Look at the extract; change the guard only if it is right.".into(),
            Self::Stopped(StopCause::Credential(error)) => DataverseError::from_service(error.clone()).help().into_owned().into(),
            Self::Stopped(StopCause::Contract(_)) => "Compare the mapping with the table.".into(),
            Self::Stopped(_) => "Run the same command again: it goes on where this run ended.".into(),
            Self::Moved { .. } => "Write extracts under another name and rename them when they are whole, then run again.".into(),
            Self::Results(_) => "Make room or mend the permissions of the state folder, then run again.".into(),
            Self::Unbalanced(_) | Self::Defect(_) => "Report this with the run's folder; running again is safe.".into(),
        }
    }
}

impl From<Problems> for PushError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}
