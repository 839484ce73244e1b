//! Why an emulator could not start, and what its operator does about it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why an emulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// Another process listens there.
    #[error("port {port} of the loopback interface is taken")]
    PortTaken {
        /// The port that was asked for.
        port: u16,
    },
    /// It could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has the data file open.
    #[error("the data file `{path}` is held by another process", path = path.display())]
    Held {
        /// The data file.
        path: PathBuf,
    },
    /// The file is something else, or of another format.
    #[error("`{path}` is not a data file of this emulator", path = path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The data file cannot be read to its end.
    #[error("the data file `{path}` is damaged", path = path.display())]
    Corrupt {
        /// The data file.
        path: PathBuf,
    },
    /// The data file holds a table or column that the schema does not have.
    #[error("the data file `{path}` holds `{name}`, which the schema lacks", path = path.display())]
    SchemaLacks {
        /// The data file.
        path: PathBuf,
        /// `table` or `table.column`.
        name: String,
    },
    /// The data file cannot be opened, read or written.
    #[error("cannot use the data file `{path}`", path = path.display())]
    DataFile {
        /// The data file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file of the journal cannot be made.
    #[error("cannot write the journal file `{path}`", path = path.display())]
    JournalFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate for TLS cannot be made, or its file cannot be written.
    #[error("cannot make the certificate `{path}`", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A schema file does not fit.
    #[error("the schema cannot be used")]
    Schema(#[from] crate::schema::SchemaError),
    /// A privilege that no table of the schema has.
    #[error("the environment has no privilege `{name}`")]
    NoPrivilege {
        /// As it was written.
        name: String,
    },
    /// A column that no table of the schema has.
    #[error("no table of the environment has the column `{name}` of a business rule")]
    NoColumn {
        /// `column` or `table.column`.
        name: String,
    },
    /// A table is missing without which there is no environment.
    #[error("the schema has no table `{table}`")]
    NoTable {
        /// Its logical name.
        table: &'static str,
    },
}

impl EmulatorError {
    /// What the operator does next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::PortTaken { .. } => "Choose another port, or 0 for any free one.",
            Self::Listen { .. } => "Look whether this machine lets programs listen on loopback.",
            Self::Held { .. } => "Stop the other process, or choose another data file.",
            Self::NotOurs { .. } => "Choose another data file.",
            Self::Corrupt { .. } => "Put a copy of the file back, or delete it and start anew.",
            Self::SchemaLacks { .. } => {
                "Start with the schema files that the data file was made with, or delete it."
            }
            Self::DataFile { .. } | Self::JournalFile { .. } | Self::Certificate { .. } => {
                "Look at the folder's permissions and free space, or name another file."
            }
            Self::Schema(_) => "Correct the schema file.",
            Self::NoPrivilege { .. } => {
                "Write `prv`, the operation and the table's schema name: `prvCreateContact`."
            }
            Self::NoColumn { .. } => "Write logical names, as `lastname` or `contact.lastname`.",
            Self::NoTable { .. } => "Start from the built-in schema and add to it.",
        }
    }
}
