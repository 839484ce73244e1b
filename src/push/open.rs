//! What is known before the first row is read: the extract, the environment, the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{PushError, Request};
use crate::dataverse::{Dataverse, DataverseErrorKind, Who, WireOptions};
use crate::mapping::{CompileContext, Mapping, Plan};
use crate::model::{Connection, Source as _, Table};
use crate::source::Extract;

/// Everything that is known before the first row is read.
pub(super) struct Opened {
    pub(super) extract: Extract,
    pub(super) environment: Dataverse,
    pub(super) who: Who,
    pub(super) table: Table,
    pub(super) plan: Arc<Plan>,
}

pub(super) async fn open(request: &Request) -> Result<Opened, PushError> {
    compile(&request.mapping, &request.connection, request.started).await
}

/// What reading the mapping found wrong goes before an extract or environment that cannot be reached.
async fn compile(
    mapping: &Mapping,
    connection: &Connection,
    started: Timestamp,
) -> Result<Opened, PushError> {
    match reach(mapping, connection, started).await {
        Err(PushError::Problems(problems)) => Err(problems.into()),
        Err(error) => Err(mapping
            .clone()
            .sound()
            .map_or_else(PushError::from, |_| error)),
        Ok(opened) => Ok(opened),
    }
}

async fn reach(
    mapping: &Mapping,
    connection: &Connection,
    started: Timestamp,
) -> Result<Opened, PushError> {
    let source = mapping.source.clone();
    // Standard input may keep us waiting.
    let extract = tokio::task::spawn_blocking(move || Extract::open(&source)).await;
    let extract = extract.map_err(|error| super::ended(&error))??;
    let environment = Dataverse::connect(connection, &WireOptions::default()).await?;
    let who = environment.who().await?;
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
    Ok(Opened {
        extract,
        environment,
        who,
        table,
        plan,
    })
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
    let opened = compile(mapping, connection, Timestamp::UNIX_EPOCH).await?;
    let target = opened.plan.target();
    let key = target.key.iter();
    let key = key.filter_map(|index| target.columns.get(*index));
    let used: BTreeSet<usize> = opened.plan.source_columns().iter().copied().collect();
    let unused = opened.extract.columns().iter().enumerate();
    let unused = unused.filter(|(index, _)| !used.contains(index));
    Ok(Validated {
        table: target.table.to_string(),
        key: key.map(|column| column.name.to_string()).collect(),
        columns: target.columns.len(),
        files: opened.extract.files().len(),
        unused: unused.map(|(_, column)| column.name.clone()).collect(),
    })
}
