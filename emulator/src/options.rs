//! How an emulator is set up, and the identity that every emulator has.

use std::path::PathBuf;
use std::time::Duration;

use crate::clients::ClientOptions;
use crate::schema::Schema;

/// The tenant of every emulator. Not a secret.
pub const TENANT_ID: &str = "5e60e000-0000-4000-8000-000000000001";
/// The application that every emulator knows. Not a secret.
pub const CLIENT_ID: &str = "5e60e000-0000-4000-8000-0000000000c1";
/// Its client secret: fixed and documented, worth nothing elsewhere.
pub const CLIENT_SECRET: &str = "segue-emulator-secret";

/// How an emulator is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file that keeps the environment between runs; without it everything is in memory.
    pub data: Option<PathBuf>,
    /// The port on 127.0.0.1; 0, the default, picks a free one.
    pub port: u16,
    /// The tables; without it [`Schema::built_in`].
    pub schema: Option<Schema>,
    /// Applications beside the one of [`CLIENT_ID`], or that one set up otherwise. Their users and
    /// roles are brought to this state at each start. Default none.
    pub clients: Vec<ClientOptions>,
    /// How long a token is good for. Default 3599 s, as the login service says of its own.
    pub token_lifetime: Duration,
    /// The base language of a fresh environment; it fixes how text is compared and is never
    /// changed afterwards. Default 1033, English.
    pub language_code: i32,
    /// How many effects the journal holds. Default 100,000, which is some tens of megabytes.
    pub journal_entries: usize,
    /// How many operations a batch may have. Default 1000, the documented maximum.
    pub batch_operations: usize,
    /// What becomes of columns that cannot be written.
    pub read_only: ReadOnly,
    /// What an empty text is stored as.
    pub empty_text: EmptyText,
    /// What becomes of a row that stands more than once in a bulk message.
    pub repeated_targets: RepeatedTargets,
    /// How a failed change set is answered.
    pub failed_change_set: FailedChangeSet,
    /// What `x-ms-dop-hint` says. Default 4: a laptop has few cores.
    pub parallelism_hint: u32,
    /// The longest body of a request, in bytes. Default 128 MiB, as the service is reported.
    pub body_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data: None,
            port: 0,
            schema: None,
            clients: Vec::new(),
            token_lifetime: Duration::from_secs(3599),
            language_code: 1033,
            journal_entries: 100_000,
            batch_operations: 1000,
            read_only: ReadOnly::Ignore,
            empty_text: EmptyText::Null,
            repeated_targets: RepeatedTargets::Refuse,
            failed_change_set: FailedChangeSet::Wrapped,
            parallelism_hint: 4,
            body_bytes: 128 << 20,
        }
    }
}

/// What becomes of a column in a body that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {
    /// It is passed over without a word, as integrators report.
    Ignore,
    /// The operation is refused.
    Refuse,
}

/// What an empty text is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyText {
    /// Null: it reads back as null.
    Null,
    /// Itself.
    Keep,
}

/// What becomes of a row that stands more than once in a bulk message; nothing public says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatedTargets {
    /// The request is refused.
    Refuse,
    /// The last one counts.
    LastWins,
}

/// How a failed change set is answered; both forms have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedChangeSet {
    /// By a multipart of its own that holds the error with the `Content-ID` of its operation.
    Wrapped,
    /// By the error as a plain part.
    Plain,
}
