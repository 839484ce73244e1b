//! How an emulator is set up, and the identity that every emulator has.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::chaos::chance::ChaosSpec;
use crate::limits::Limits;
use crate::schema::Schema;
use crate::token::clients::ClientOptions;

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
    /// A file for the certificate that clients are to trust, in PEM. With it the emulator speaks
    /// TLS alone, as `https://localhost:PORT`; the certificate is made anew with each start.
    pub certificate: Option<PathBuf>,
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
    /// A file that gets the whole journal, one JSON object a line; the journal that it
    /// held before is gone. It is handed to the system with each request, before the answer.
    pub journal_file: Option<PathBuf>,
    /// How many effects the journal holds in memory. Default 100,000, which is some tens of
    /// megabytes.
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
    /// What `x-ms-dop-hint` says; without it the number of `workers`, or else 4: a laptop has few
    /// cores.
    pub parallelism_hint: Option<u32>,
    /// The service protection limits; none by default.
    pub limits: Option<Limits>,
    /// How long the service takes for a request; without it, as long as the machine does.
    pub service_time: Option<ServiceTime>,
    /// How many requests of the Web API are worked on at a time; others wait in the order in which
    /// they came. No bound by default. Holds for an emulator with a socket.
    pub workers: Option<NonZeroUsize>,
    /// What goes wrong by chance, and which rows a business rule refuses. Default nothing.
    pub chaos: ChaosSpec,
    /// How long the index of a new alternate key takes; until then the key is `Pending` and cannot
    /// be used. Default one second: long enough for a client that does not wait to notice.
    pub key_index_time: Duration,
    /// What everything that is left to chance is drawn from. Default 0.
    pub seed: u64,
    /// The longest body of a request, in bytes. Default 128 MiB, as the service is reported.
    pub body_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data: None,
            port: 0,
            certificate: None,
            schema: None,
            clients: Vec::new(),
            token_lifetime: Duration::from_secs(3599),
            language_code: 1033,
            journal_file: None,
            journal_entries: 100_000,
            batch_operations: 1000,
            read_only: ReadOnly::Ignore,
            empty_text: EmptyText::Null,
            repeated_targets: RepeatedTargets::Refuse,
            failed_change_set: FailedChangeSet::Wrapped,
            parallelism_hint: None,
            limits: None,
            service_time: None,
            workers: None,
            chaos: ChaosSpec::default(),
            key_index_time: Duration::from_secs(1),
            seed: 0,
            body_bytes: 128 << 20,
        }
    }
}

/// A modelled service: how long a worker takes for a request, whatever the machine does.
///
/// A request takes `per_request` and, for each row that it writes or shows, `per_row`; an operation
/// of a batch counts as one row at least. Holds for an emulator with a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceTime {
    /// For a request of the Web API, whatever it does.
    pub per_request: Duration,
    /// For each of its rows.
    pub per_row: Duration,
}

impl ServiceTime {
    pub(crate) fn of(self, rows: u32) -> Duration {
        self.per_request
            .saturating_add(self.per_row.saturating_mul(rows))
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
