//! `segue sandbox`

use std::io::Write as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::output;
use super::push::duration;
use super::settings::{SettingsArguments, sandbox_file};
use super::signals::Interrupts;
use super::stop::Stop;

use crate::mapping::Destination;
use crate::model::{Connection, SecretSource};
use crate::report::ExitCode;
use crate::sandbox::{ChaosSpec, Limits, Sandbox, SandboxOptions, ServiceTime};

/// Arguments of `segue sandbox`.
#[derive(Args)]
#[command(after_help = faults())]
pub(super) struct SandboxArguments {
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0, help_heading = ADDRESS)]
    port: u16,
    /// Speak TLS alone, as https://localhost:PORT, with a certificate that is made at start.
    #[arg(long, help_heading = ADDRESS)]
    tls: bool,
    /// Write address and credentials as JSON to this file once it listens.
    #[arg(long, value_name = "FILE", help_heading = ADDRESS)]
    ready_file: Option<PathBuf>,
    /// The file that keeps the rows [default: the one that `segue push` uses].
    #[arg(long, value_name = "FILE", conflicts_with = "in_memory", help_heading = CONTENT)]
    data: Option<PathBuf>,
    /// Keep nothing: the rows are gone when it ends.
    #[arg(long, help_heading = CONTENT)]
    in_memory: bool,
    /// Add the tables, columns and keys of this file; repeat for more.
    #[arg(long, value_name = "FILE", help_heading = CONTENT)]
    schema: Vec<PathBuf>,
    /// How long a new alternate key stays `Pending`, 0 or `5s` [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = index_time, help_heading = CONTENT)]
    key_index_time: Option<Duration>,
    /// Write every committed effect to this file, one JSON object a line.
    #[arg(long, value_name = "FILE", help_heading = CONTENT)]
    journal: Option<PathBuf>,
    /// Applications that may sign in, as JSON, with their secrets and privileges.
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    clients: Option<PathBuf>,
    /// How long a token is good for [default: 3599s].
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = ACCESS)]
    token_lifetime: Option<Duration>,
    /// The service protection limits: `off`, `real`, or a factor such as 0.01 for windows of 3 seconds.
    #[arg(
        long,
        value_name = "off|real|FACTOR",
        value_parser = ceiling,
        default_value = "off",
        help_heading = SPEED
    )]
    limits: Ceiling,
    /// How many servers share the load, each with limits of its own.
    #[arg(long, value_name = "N", default_value = "1", help_heading = SPEED)]
    servers: NonZeroU32,
    /// How long a request takes, and each row of it: `20ms,1ms` [default: as long as this machine takes].
    #[arg(long, value_name = "PER_REQUEST,PER_ROW", value_parser = service_time, help_heading = SPEED)]
    service_time: Option<ServiceTime>,
    /// How many requests it works on at a time; the others wait [default: all].
    #[arg(long, value_name = "N", help_heading = SPEED)]
    workers: Option<NonZeroUsize>,
    /// What it recommends as requests at a time, in `x-ms-dop-hint` [default: its workers, or else 4].
    #[arg(long, value_name = "N", help_heading = SPEED)]
    hint: Option<u32>,
    /// What goes wrong how often: `429=0.01,close-after=0.005,rule=lastname:Smith`; see below.
    #[arg(long, value_name = "SPEC", help_heading = TROUBLE)]
    chaos: Option<ChaosSpec>,
    /// What chance is drawn from: the same seed brings the same faults.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = TROUBLE)]
    seed: u64,
    #[command(flatten)]
    settings: SettingsArguments,
}

const ADDRESS: &str = "Address";
const CONTENT: &str = "Content";
const ACCESS: &str = "Access";
const SPEED: &str = "Limits and speed";
const TROUBLE: &str = "Trouble";

/// The limits, or that there are none.
#[derive(Debug, Clone)]
struct Ceiling(Option<Limits>);

fn ceiling(written: &str) -> Result<Ceiling, String> {
    let limits = match written {
        "off" => None,
        "real" => Some(Limits::default()),
        factor => {
            let limits = factor.parse().ok().and_then(Limits::scaled);
            Some(limits.ok_or_else(|| {
                format!("`{factor}` is not `off`, `real` or a factor from 0.001 to 1000")
            })?)
        }
    };
    Ok(Ceiling(limits))
}

/// `20ms,1ms`
/// A time as elsewhere, or none at all.
fn index_time(written: &str) -> Result<Duration, String> {
    match written {
        "0" => Ok(Duration::ZERO),
        _ => duration(written),
    }
}

fn service_time(written: &str) -> Result<ServiceTime, String> {
    let (per_request, per_row) = written.split_once(',').unwrap_or((written, "0s"));
    Ok(ServiceTime {
        per_request: duration(per_request.trim())?,
        per_row: duration(per_row.trim())?,
    })
}

/// What the list of faults may name.
fn faults() -> String {
    let explained = ChaosSpec::explained();
    let lines = explained.lines().map(|line| format!("\n  {line}"));
    format!(
        "Faults of --chaos, each with a share from 0 to 1, of requests unless it says operation:{}\n\n\
         More about what it models: docs/sandbox.md.",
        lines.collect::<String>()
    )
}

pub(super) async fn run(arguments: SandboxArguments) -> Result<ExitCode, Stop> {
    // Before it is said to listen: whoever reads that may end it at once.
    let mut interrupts = Interrupts::new()?;
    let ready_file = arguments.ready_file.clone();
    let options = arguments.options()?;
    let certificate = options.certificate.clone();
    let sandbox = Sandbox::serve(options).await?;
    let connection = sandbox.connection("sandbox");
    if let Some(file) = &ready_file {
        write_ready(file, &connection, certificate.as_deref()).map_err(|error| {
            let text = format!("cannot write the ready file {}: {error}", file.display());
            Stop::new(text, "Name a file that can be written.", ExitCode::Usage)
        })?;
    }
    output::print(&entry(&connection, certificate.as_deref()));
    interrupts.next().await;
    sandbox.stop().await;
    Ok(ExitCode::Done)
}

impl SandboxArguments {
    fn options(self) -> Result<SandboxOptions, Stop> {
        let certificate = if self.tls {
            Some(self.certificate()?)
        } else {
            None
        };
        let data = self.rows()?;
        let Ceiling(limits) = self.limits;
        Ok(SandboxOptions {
            data,
            port: self.port,
            certificate,
            schemas: self.schema,
            clients: self.clients,
            token_lifetime: self.token_lifetime,
            key_index_time: self.key_index_time,
            limits: limits.map(|limits| Limits {
                servers: self.servers.get(),
                ..limits
            }),
            service_time: self.service_time,
            workers: self.workers,
            hint: self.hint,
            chaos: self.chaos.unwrap_or_default(),
            seed: self.seed,
            journal: self.journal,
        })
    }

    /// The file that keeps the rows: the one that was named, or the destination's.
    fn rows(&self) -> Result<Option<PathBuf>, Stop> {
        if self.in_memory || self.data.is_some() {
            if let Some(named) = self.settings.named() {
                output::warn(&format!(
                    "the destination `{named}` chooses nothing here: --data and --in-memory say where the rows are"
                ));
            }
            return Ok(self.data.clone());
        }
        self.kept().map(Some)
    }

    /// The file of the destination that a push would take.
    fn kept(&self) -> Result<PathBuf, Stop> {
        let config = self.settings.read()?;
        let chosen = match self.settings.named() {
            Some(_) => Some(self.settings.choose(&config, None)?),
            // Where a push goes elsewhere, or nowhere unless it is told, there is still a sandbox to try things on.
            None => self.settings.choose(&config, None).ok(),
        };
        match (chosen, self.settings.named()) {
            (Some(Destination::Sandbox { name, data }), _) => {
                Ok(data.unwrap_or_else(|| sandbox_file(config.state(), &name)))
            }
            (_, None) => Ok(sandbox_file(config.state(), "sandbox")),
            (_, Some(named)) => Err(Stop::new(
                format!("the destination `{named}` is an environment, not a sandbox"),
                "Name one that is `{ sandbox: {} }` in segue.yaml, or none (--destination, SEGUE_DESTINATION).",
                ExitCode::Usage,
            )),
        }
    }

    /// Next to the file that it goes with. Other programs get its name, from wherever they run.
    fn certificate(&self) -> Result<PathBuf, Stop> {
        let beside = match (&self.data, &self.ready_file) {
            (Some(file), _) | (None, Some(file)) => file.clone(),
            (None, None) => self.kept()?,
        };
        let mut certificate = beside.with_extension("pem");
        if certificate == beside {
            certificate = beside.with_extension("ca.pem");
        }
        std::path::absolute(certificate).map_err(|error| {
            let help = "Start in a folder that exists.";
            Stop::of(&error, help, ExitCode::Usage)
        })
    }
}

fn secret(connection: &Connection) -> &'static str {
    match connection.client_secret {
        SecretSource::Published(secret) => secret,
        SecretSource::Env(_) | SecretSource::File(_) | SecretSource::Command(_) => "",
    }
}

/// Ready to paste into `segue.yaml`; its secret is a documented value, but the file takes none.
fn entry(connection: &Connection, certificate: Option<&Path>) -> String {
    let Connection {
        url,
        tenant_id,
        client_id,
        ..
    } = connection;
    let authority = connection.authority.as_deref().unwrap_or_default();
    let secret = secret(connection);
    let trust = certificate.map_or(String::new(), |certificate| {
        format!("\nexport SSL_CERT_FILE='{}'", certificate.display())
    });
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
export SEGUE_SANDBOX_SECRET={secret}{trust}"
    )
}

/// Whole or not at all: whoever waits for the file may read it at once.
fn write_ready(
    file: &Path,
    connection: &Connection,
    certificate: Option<&Path>,
) -> std::io::Result<()> {
    let mut ready = json!({
        "url": connection.url,
        "authority": connection.authority,
        "tenant_id": connection.tenant_id,
        "client_id": connection.client_id,
        "client_secret": secret(connection),
    });
    if let (Some(certificate), Some(members)) = (certificate, ready.as_object_mut()) {
        members.insert("certificate".to_owned(), json!(certificate));
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut written = std::fs::File::create(&unfinished)?;
    writeln!(written, "{ready}")?;
    std::fs::rename(&unfinished, file)
}
