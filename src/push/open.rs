//! What is known before the first row is read: the extract, the environment, the plan.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::users::{SignedIn, User, sign_in};
use super::{PushError, Request, Resting, Run, interrupted, stopping};
use crate::dataverse::{Dataverse, DataverseErrorKind, Who};
use crate::dispatch::StopCause;
use crate::mapping::{CompileContext, Mapping, Plan};
use crate::model::{Connection, Envelopes, Rows, ServiceError, Source as _, Table};
use crate::snapshot::Snapshot;
use crate::source::Extract;

/// Everything that is known before the first row is read.
pub(super) struct Opened {
    pub(super) extract: Extract,
    /// As the first of the users.
    pub(super) environment: Dataverse,
    pub(super) who: Who,
    /// The application users that write, the first one included.
    pub(super) users: Vec<User>,
    /// What somebody should look at.
    pub(super) warnings: Vec<String>,
    pub(super) table: Table,
    pub(super) plan: Arc<Plan>,
    /// What operations travel in: what the mapping wants, where the table takes it.
    pub(super) envelopes: Envelopes,
    /// The rows of the extract, if the first reading could keep all of them.
    pub(super) remembered: OnceLock<Vec<Rows>>,
}

pub(super) async fn open(request: &Request) -> Result<Opened, PushError> {
    let Request {
        mapping,
        connection,
        resting,
        started,
        ..
    } = request;
    compile(mapping, connection, resting, *started).await
}

impl Run {
    /// Unless somebody says to stop. At the deadline an answer that is on its way has the grace period to come.
    pub(super) async fn open(&self) -> Result<Arc<Opened>, PushError> {
        let deadline = self.deadline();
        let until = deadline.and_then(|it| it.checked_add(self.request.patience.grace));
        tokio::select! {
            opened = open(&self.request) => Ok(Arc::new(opened?)),
            () = stopping(self.stop.clone()) => Err(interrupted()),
            () = over(until) => Err(too_late()),
        }
    }
}

/// Until that time; for ever if there is none.
pub(super) async fn over(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The deadline came before there was anything to send.
fn too_late() -> PushError {
    PushError::Stopped(StopCause::Exhausted(ServiceError {
        message: "before the deadline it has not told what a run needs to know".to_owned(),
        ..ServiceError::default()
    }))
}

/// What reading the mapping found wrong goes before an extract or environment that cannot be reached.
async fn compile(
    mapping: &Mapping,
    connection: &Connection,
    resting: &Resting,
    started: Timestamp,
) -> Result<Opened, PushError> {
    let reached = reach(mapping, connection, resting, started).await;
    reached.map_err(|error| problems_first(mapping, error))
}

fn problems_first(mapping: &Mapping, error: PushError) -> PushError {
    match error {
        PushError::Problems(problems) => problems.into(),
        error => match mapping.clone().sound() {
            Ok(_) => error,
            Err(problems) => problems.into(),
        },
    }
}

async fn reach(
    mapping: &Mapping,
    connection: &Connection,
    resting: &Resting,
    started: Timestamp,
) -> Result<Opened, PushError> {
    let extract = open_extract(mapping).await?;
    let SignedIn {
        environment,
        who,
        users,
        mut warnings,
    } = sign_in(connection, resting).await?;
    let mut table = environment.table(&mapping.table.value).await?;
    let mut referenced = Vec::new();
    if !mapping.references().is_empty() {
        table.relationships = environment.relationships(&table).await?;
    }
    for name in mapping.references() {
        match environment.table(name).await {
            Ok(table) => referenced.push(table),
            // The plan tells it at its place.
            Err(error) if error.kind() == DataverseErrorKind::Contract => {}
            Err(error) => return Err(error.into()),
        }
    }
    let context = CompileContext {
        organisation: who.organization,
        started,
        referenced: &referenced,
    };
    let plan = Arc::new(mapping.compile(&table, extract.columns(), &context)?);
    let envelopes = envelopes(mapping, &environment, &table, &mut warnings).await;
    Ok(Opened {
        extract,
        environment,
        who,
        users,
        warnings,
        table,
        plan,
        envelopes,
        remembered: OnceLock::new(),
    })
}

/// Not every table takes bulk messages; those that do not are written in batches.
async fn envelopes(
    mapping: &Mapping,
    environment: &Dataverse,
    table: &Table,
    warnings: &mut Vec<String>,
) -> Envelopes {
    let wanted = mapping.write.envelopes;
    match wanted {
        Envelopes::Batch | Envelopes::Single => return wanted,
        Envelopes::Bulk | Envelopes::Auto => {}
    }
    let name = &table.name;
    match environment.takes_bulk(table).await {
        Ok(true) => return wanted,
        Ok(false) if wanted == Envelopes::Bulk => warnings.push(format!(
            "the table `{name}` takes no bulk messages: its records are sent in batches"
        )),
        Ok(false) => {}
        Err(error) => warnings.push(format!(
            "the environment does not tell whether `{name}` takes bulk messages, so its records are sent in batches: {error}"
        )),
    }
    Envelopes::Batch
}

async fn open_extract(mapping: &Mapping) -> Result<Extract, PushError> {
    let source = mapping.source.clone();
    // Standard input may keep us waiting.
    let extract = tokio::task::spawn_blocking(move || Extract::open(&source)).await;
    Ok(extract.map_err(|error| super::ended(&error))??)
}

/// A mapping that fits its table and its extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// `contact`
    pub table: String,
    /// The key's columns.
    pub key: Vec<String>,
    /// How many columns are mapped.
    pub columns: usize,
    /// How many files the extract has.
    pub files: usize,
    /// Columns of the extract that the mapping does not use.
    pub unused: Vec<String>,
}

/// Checks a mapping against its table and the header of its extract. Sends nothing, reads no row.
///
/// # Errors
/// What would stop a run before its survey; a mapping that does not fit with all its problems.
///
/// # Cancellation
/// Safe: it only reads.
pub async fn validate(mapping: &Mapping, connection: &Connection) -> Result<Validated, PushError> {
    // No row is read, so no stamp is seen.
    let opened = compile(
        mapping,
        connection,
        &Resting::default(),
        Timestamp::UNIX_EPOCH,
    )
    .await?;
    Ok(validated(&opened.plan, &opened.extract))
}

/// The same against tables that were stored before: no connection is needed.
///
/// # Errors
/// As [`validate`], and [`PushError::NotStored`] for a table that the snapshot lacks.
///
/// # Cancellation
/// Safe: it only reads.
pub async fn validate_offline(
    mapping: &Mapping,
    snapshot: &Snapshot,
) -> Result<Validated, PushError> {
    let fits = async || {
        let extract = open_extract(mapping).await?;
        let stored = |name: &str| {
            let table = snapshot.table(name).cloned();
            let table_name = name.to_owned();
            table.ok_or(PushError::NotStored { table: table_name })
        };
        let named = mapping.references().into_iter();
        let referenced: Result<Vec<Table>, PushError> = named.map(stored).collect();
        let context = CompileContext {
            organisation: snapshot.organisation,
            started: Timestamp::UNIX_EPOCH,
            referenced: &referenced?,
        };
        let table = stored(&mapping.table.value)?;
        let plan = mapping.compile(&table, extract.columns(), &context)?;
        Ok(validated(&plan, &extract))
    };
    fits().await.map_err(|error| problems_first(mapping, error))
}

fn validated(plan: &Plan, extract: &Extract) -> Validated {
    let target = plan.target();
    let key = target.key.iter();
    let key = key.filter_map(|index| target.columns.get(*index));
    let used: BTreeSet<usize> = plan.source_columns().iter().copied().collect();
    let unused = extract.columns().iter().enumerate();
    let unused = unused.filter(|(index, _)| !used.contains(index));
    Validated {
        table: target.table.to_string(),
        key: key.map(|column| column.name.to_string()).collect(),
        columns: plan.layout().columns.len(),
        files: extract.files().len(),
        unused: unused.map(|(_, column)| column.name.clone()).collect(),
    }
}
