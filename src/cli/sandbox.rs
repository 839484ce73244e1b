//! `segue sandbox`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::output;
use super::settings::{SettingsArguments, sandbox_file};
use super::signals::Interrupts;
use super::stop::Stop;

use crate::model::{Connection, SecretSource};
use crate::report::ExitCode;
use crate::sandbox::Sandbox;

/// Arguments of `segue sandbox`.
#[derive(Args)]
pub(super) struct SandboxArguments {
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The file that keeps the rows [default: the one that `segue push` uses].
    #[arg(long, value_name = "FILE", conflicts_with = "in_memory")]
    data: Option<PathBuf>,
    /// Keep nothing: the rows are gone when it ends.
    #[arg(long)]
    in_memory: bool,
    /// Write address and credentials as JSON to this file once it listens.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
}

pub(super) async fn run(arguments: SandboxArguments) -> Result<ExitCode, Stop> {
    // Before it is said to listen: whoever reads that may end it at once.
    let mut interrupts = Interrupts::new()?;
    let data = match (arguments.in_memory, arguments.data) {
        (true, _) => None,
        (false, Some(data)) => Some(data),
        (false, None) => Some(sandbox_file(arguments.settings.read()?.state(), "sandbox")),
    };
    let sandbox = Sandbox::serve(data, arguments.port).await?;
    let connection = sandbox.connection("sandbox");
    if let Some(file) = &arguments.ready_file {
        write_ready(file, &connection).map_err(|error| {
            Stop::of(&error, "Name a file that can be written.", ExitCode::Usage)
        })?;
    }
    output::print(&entry(&connection));
    interrupts.next().await;
    sandbox.stop().await;
    Ok(ExitCode::Done)
}

fn secret(connection: &Connection) -> &'static str {
    match connection.client_secret {
        SecretSource::Published(secret) => secret,
        SecretSource::Env(_) | SecretSource::File(_) | SecretSource::Command(_) => "",
    }
}

/// Ready to paste into `segue.yaml`; its secret is a documented value, but the file takes none.
fn entry(connection: &Connection) -> String {
    let Connection {
        url,
        tenant_id,
        client_id,
        ..
    } = connection;
    let authority = connection.authority.as_deref().unwrap_or_default();
    let secret = secret(connection);
    format!(
        "The sandbox listens on {url}. Interrupt it to end it.

# segue.yaml
version: 1
destinations:
  local:
    url: {url}
    authority: {authority}
    tenant_id: {tenant_id}
    client_id: {client_id}
    client_secret: {{ env: SEGUE_SANDBOX_SECRET }}

# in the shell
export SEGUE_SANDBOX_SECRET={secret}"
    )
}

/// Whole or not at all: whoever waits for the file may read it at once.
fn write_ready(file: &Path, connection: &Connection) -> std::io::Result<()> {
    let ready = json!({
        "url": connection.url,
        "authority": connection.authority,
        "tenant_id": connection.tenant_id,
        "client_id": connection.client_id,
        "client_secret": secret(connection),
    });
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut written = std::fs::File::create(&unfinished)?;
    writeln!(written, "{ready}")?;
    std::fs::rename(&unfinished, file)
}
