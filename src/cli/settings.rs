//! Which destination and which state folder: the same for every command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use segue_emulator::EmulatorError;
use tokio::time::Instant;
use tracing::info;

use super::stop::Stop;
use crate::mapping::{Config, Destination, Mapping};
use crate::model::Connection;
use crate::report::ExitCode;
use crate::sandbox::{Sandbox, SandboxError};

/// Where settings come from.
#[derive(Args)]
pub(super) struct SettingsArguments {
    /// The configuration file [default: segue.yaml of this folder or the nearest above].
    #[arg(long, env = "SEGUE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A destination of segue.yaml; wins over the mapping's own.
    #[arg(long, env = "SEGUE_DESTINATION", value_name = "NAME")]
    destination: Option<String>,
}

/// A destination that answers while this lives.
pub(super) struct Reached {
    pub(super) connection: Connection,
    sandbox: Option<Sandbox>,
}

impl Reached {
    /// Lets go of it; a sandbox writes what it holds.
    pub(super) async fn leave(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}

impl SettingsArguments {
    /// The configuration as this process finds it.
    pub(super) fn read(&self) -> Result<Config, Stop> {
        let working = std::env::current_dir().map_err(|error| {
            let help = "Start in a folder that exists.";
            Stop::of(&error, help, ExitCode::Usage)
        })?;
        let variable = |name: &str| std::env::var(name).ok();
        Ok(Config::find(&working, self.config.as_deref(), &variable)?)
    }

    /// The destination that the command names, if any.
    pub(super) fn named(&self) -> Option<&str> {
        self.destination.as_deref()
    }

    /// The same, with this destination.
    pub(super) fn to(self, destination: &str) -> Self {
        Self {
            destination: Some(destination.to_owned()),
            ..self
        }
    }

    /// The destination of a mapping, or of a command that has none.
    pub(super) fn choose(
        &self,
        config: &Config,
        mapping: Option<&Mapping>,
    ) -> Result<Destination, Stop> {
        Ok(config.choose(self.destination.as_deref(), mapping)?)
    }
}

/// Where the embedded Dataverse keeps its rows unless told otherwise.
pub(super) fn sandbox_file(state: &Path, name: &str) -> PathBuf {
    state.join(format!("{name}.dataverse"))
}

/// Reaches the destination. A sandbox is started; while another process holds its file, waits as long as told.
pub(super) async fn reach(
    destination: &Destination,
    state: &Path,
    lock_wait: Duration,
) -> Result<Reached, Stop> {
    let (name, data) = match destination {
        Destination::Dataverse(connection) => {
            let connection = connection.clone();
            return Ok(Reached {
                connection,
                sandbox: None,
            });
        }
        Destination::Sandbox { name, data } => (name, data.clone()),
    };
    let data = data.unwrap_or_else(|| sandbox_file(state, name));
    // A time that no clock can tell never comes.
    let until = Instant::now().checked_add(lock_wait);
    let may_wait = || until.is_none_or(|until| Instant::now() < until);
    let mut has_waited = false;
    loop {
        match Sandbox::start(&data).await {
            Ok(sandbox) => {
                let connection = sandbox.connection(name);
                let sandbox = Some(sandbox);
                return Ok(Reached {
                    connection,
                    sandbox,
                });
            }
            Err(SandboxError::Emulator(EmulatorError::Held { .. })) if may_wait() => {
                if !std::mem::replace(&mut has_waited, true) {
                    info!(file = %data.display(), "waiting for another process");
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Between two looks at a file that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
