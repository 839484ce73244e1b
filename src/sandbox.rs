//! The embedded Dataverse: the one joint between segue and the emulator.
//!
//! Starts it on a loopback port and describes it as a destination like any other; from there on everything goes over
//! HTTP.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_emulator::schema::{Schema, SchemaError};
use segue_emulator::{
    CLIENT_ID, CLIENT_SECRET, ClientOptions, Emulator, EmulatorError, Options, TENANT_ID,
};
pub use segue_emulator::{ChaosSpec, Limits, ServiceTime};

use crate::model::{Connection, SecretSource};

/// How a sandbox is set up; the default is one in memory, on any port, where nothing goes wrong.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// The file that keeps the rows; without it they are gone with the process.
    pub data: Option<PathBuf>,
    /// The port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// Where the certificate that clients are to trust is written, as PEM. With it the sandbox speaks TLS alone.
    pub certificate: Option<PathBuf>,
    /// Schema files, added to the built-in tables in this order.
    pub schemas: Vec<PathBuf>,
    /// A file with a JSON list of applications beside the one that every sandbox knows, or that one set up otherwise.
    pub clients: Option<PathBuf>,
    /// How long a token is good for; 3599 seconds unless given.
    pub token_lifetime: Option<Duration>,
    /// How long the index of a new alternate key takes; one second unless given.
    pub key_index_time: Option<Duration>,
    /// The service protection limits; off without them.
    pub limits: Option<Limits>,
    /// The modelled service; without it the sandbox is as fast as the machine.
    pub service_time: Option<ServiceTime>,
    /// How many requests are worked on at a time; without it as many as come.
    pub workers: Option<NonZeroUsize>,
    /// What it recommends as requests at a time; the number of workers unless set.
    pub hint: Option<u32>,
    /// What goes wrong.
    pub chaos: ChaosSpec,
    /// What everything that is left to chance is drawn from.
    pub seed: u64,
    /// The file that gets every committed effect, one JSON object a line.
    pub journal: Option<PathBuf>,
}

/// Why a sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The sandbox itself says why.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// A folder that is to hold a file of the sandbox is not there and cannot be made.
    #[error("cannot make the folder `{path}`", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that was named cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A schema file does not fit.
    #[error("the schema file `{path}` cannot be used", path = path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SchemaError,
    },
    /// The file of applications is not what it should be.
    #[error("the file of applications `{path}` cannot be used", path = path.display())]
    Clients {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl SandboxError {
    /// What the operator does next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Emulator(error) => error.help(),
            Self::Folder { .. } => {
                "Let the user that runs segue make it, or name a file in another folder (`state:` in segue.yaml, --data, --journal)."
            }
            Self::Unreadable { .. } => "Name a file that is there and can be read.",
            Self::Schema { source, .. } => source.help(),
            Self::Clients { .. } => {
                "Write a list: [{\"client_id\": GUID, \"secret\": TEXT, \"privileges\": \"all\"}]."
            }
        }
    }
}

/// A sandbox that runs in this process, until it is dropped.
pub struct Sandbox {
    emulator: Emulator,
}

impl Sandbox {
    /// Opens the data file, or makes it, and serves it on a port of the system's choice.
    ///
    /// # Errors
    /// If another process holds the file, it is not a sandbox's, or its folder cannot be made.
    pub async fn start(data: &Path) -> Result<Self, SandboxError> {
        Self::emulate(Options {
            data: Some(data.to_owned()),
            ..Options::default()
        })
        .await
    }

    /// Serves a sandbox that is set up in one's own way.
    ///
    /// # Errors
    /// If a file cannot be read, written or understood, the port is taken, or another process holds the data file.
    pub async fn serve(options: SandboxOptions) -> Result<Self, SandboxError> {
        let defaults = Options::default();
        Self::emulate(Options {
            schema: schema(&options.schemas)?,
            clients: clients(options.clients.as_deref())?,
            token_lifetime: options.token_lifetime.unwrap_or(defaults.token_lifetime),
            key_index_time: options.key_index_time.unwrap_or(defaults.key_index_time),
            data: options.data,
            port: options.port,
            certificate: options.certificate,
            limits: options.limits,
            service_time: options.service_time,
            workers: options.workers,
            parallelism_hint: options.hint,
            chaos: options.chaos,
            seed: options.seed,
            journal_file: options.journal,
            ..defaults
        })
        .await
    }

    async fn emulate(options: Options) -> Result<Self, SandboxError> {
        let written = [&options.data, &options.certificate, &options.journal_file];
        for folder in written
            .into_iter()
            .filter_map(|file| file.as_deref()?.parent())
        {
            std::fs::create_dir_all(folder).map_err(|source| SandboxError::Folder {
                path: folder.to_owned(),
                source,
            })?;
        }
        Ok(Self {
            emulator: Emulator::start(options).await?,
        })
    }

    /// How to reach it.
    pub fn connection(&self, name: &str) -> Connection {
        Connection {
            name: name.to_owned(),
            url: self.emulator.url(),
            tenant_id: TENANT_ID.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: SecretSource::Published(CLIENT_SECRET),
            others: Vec::new(),
            authority: Some(self.emulator.authority()),
            production: false,
        }
    }

    /// Answers what is in flight, then lets the port and the file go.
    pub async fn stop(self) {
        self.emulator.stop().await;
    }
}

fn read(path: &Path) -> Result<String, SandboxError> {
    std::fs::read_to_string(path).map_err(|source| SandboxError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// The built-in tables with those of the files; `None` if there are no files.
fn schema(files: &[PathBuf]) -> Result<Option<Schema>, SandboxError> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut schema = Schema::built_in().map_err(EmulatorError::Schema)?;
    for path in files {
        schema
            .add_json(&read(path)?)
            .map_err(|source| SandboxError::Schema {
                path: path.clone(),
                source,
            })?;
    }
    Ok(Some(schema))
}

fn clients(file: Option<&Path>) -> Result<Vec<ClientOptions>, SandboxError> {
    let Some(path) = file else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&read(path)?).map_err(|source| SandboxError::Clients {
        path: path.to_owned(),
        source,
    })
}
