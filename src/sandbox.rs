//! The embedded Dataverse: the one joint between segue and the emulator.
//!
//! Starts it on a loopback port and describes it as a destination like any other; from there on everything goes over
//! HTTP.

use std::path::{Path, PathBuf};

use segue_emulator::{CLIENT_ID, CLIENT_SECRET, Emulator, EmulatorError, Options, TENANT_ID};

use crate::model::{Connection, SecretSource};

/// A sandbox that runs in this process, until it is dropped.
pub struct Sandbox {
    emulator: Emulator,
}

impl Sandbox {
    /// Opens the data file, or makes it, and serves it on a port of the system's choice.
    ///
    /// # Errors
    /// If another process holds the file, or it is not a sandbox's.
    pub async fn start(data: &Path) -> Result<Self, EmulatorError> {
        Self::serve(Some(data.to_owned()), 0).await
    }

    /// Serves a data file, or memory only, on a port; 0 picks one.
    ///
    /// # Errors
    /// If the port is taken, another process holds the file, or it is not a sandbox's.
    pub async fn serve(data: Option<PathBuf>, port: u16) -> Result<Self, EmulatorError> {
        if let Some(folder) = data.as_deref().and_then(Path::parent) {
            // A folder that cannot be made is told when the file in it cannot be.
            std::fs::create_dir_all(folder).ok();
        }
        let options = Options {
            data,
            port,
            ..Options::default()
        };
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
            authority: Some(self.emulator.authority()),
            production: false,
        }
    }

    /// Answers what is in flight, then lets the port and the file go.
    pub async fn stop(self) {
        self.emulator.stop().await;
    }
}
