//! Brings an environment back from its data file, or begins a fresh one.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::bulk::messages;
use crate::context::Identity;
use crate::engine::Engine;
use crate::engine::datafile::DataFile;
use crate::error::EmulatorError;
use crate::journal::{self, Journal};
use crate::model::Model;
use crate::model::numbering::Numbering;
use crate::options::Options;
use crate::schema::Schema;
use crate::service::seed;
use crate::table::Row;
use crate::table::fold::Collation;
use crate::table::value::TableNumber;

/// The rows of the data file, or those that a fresh environment begins with.
pub(crate) fn restore(
    options: &Options,
    schema: &Schema,
    file: Option<DataFile>,
    milliseconds: u64,
) -> Result<(Engine, Identity), EmulatorError> {
    let path = options.data.clone().unwrap_or_default();
    let unusable = |source: rusqlite::Error| EmulatorError::DataFile {
        path: path.clone(),
        source: source.into(),
    };
    let corrupt = || EmulatorError::Corrupt { path: path.clone() };
    let (changed, model) = definitions(schema, file.as_ref(), &path)?;
    let model = Arc::new(model);
    let mut language = None;
    if let (Some(file), Some(layout)) = (&file, model.of_name("organization")) {
        let organization = |row: Option<(TableNumber, Uuid, Row)>| {
            language = row.and_then(|(_, _, row)| seed::language(layout, &row));
        };
        file.rows(Some(layout.number), organization)
            .map_err(unusable)?;
    }
    let is_fresh = language.is_none();
    let language = language.unwrap_or(options.language_code);
    let written = options.journal_file.as_deref().map(|path| {
        journal::create(path).map_err(|source| EmulatorError::JournalFile {
            path: path.to_owned(),
            source,
        })
    });
    let entries = options.journal_entries;
    let journal = Journal::new(Arc::clone(&model), entries, written.transpose()?);
    let collation = Collation::of_language(language);
    let mut engine = Engine::new(Arc::new(changed), model, collation, journal);
    if let Some(mut file) = file {
        let mut is_whole = true;
        file.rows(None, |row| match row {
            Some((table, id, row)) => engine.load(table, id, row),
            None => is_whole = false,
        })
        .map_err(unusable)?;
        if !is_whole {
            return Err(corrupt());
        }
        for (id, content) in file.attached().map_err(unusable)? {
            engine.attached.load(id, content);
        }
        engine.let_go_unheld();
        file.save_numbering(&engine.model).map_err(unusable)?;
        engine.attach(file);
    }
    if is_fresh {
        seed::plant(&mut engine, language, milliseconds);
    }
    resume_indexes(&mut engine, schema, milliseconds);
    messages::plant(&mut engine);
    engine.commit_silently().map_err(unusable)?;
    let identity = seed::identity(&engine)?;
    Ok((engine, identity.ok_or_else(corrupt)?))
}

/// Indexes that were still to be built when the environment stopped are built with the first
/// request; keys that a schema file calls pending stay so.
fn resume_indexes(engine: &mut Engine, begun_with: &Schema, milliseconds: u64) {
    let schema = Arc::clone(&engine.schema);
    for (table, key) in schema.unbuilt_keys() {
        if begun_with.unbuilt_keys().all(|known| known != (table, key)) {
            engine.build_later(table, key, milliseconds);
        }
    }
}

/// The schema with the changes that the data file keeps, and the model with its numbers.
fn definitions(
    schema: &Schema,
    file: Option<&DataFile>,
    path: &Path,
) -> Result<(Schema, Model), EmulatorError> {
    let unusable = |source: rusqlite::Error| EmulatorError::DataFile {
        path: path.to_owned(),
        source: source.into(),
    };
    let mut changed = schema.clone();
    let mut known = Numbering::new();
    if let Some(file) = file {
        known = file.numbering().map_err(unusable)?;
        for change in file.changes().map_err(unusable)? {
            let path = path.to_owned();
            let change = change.ok_or(EmulatorError::Corrupt { path })?;
            changed.apply(&change)?;
        }
    }
    let model = Model::new(&changed, &known).map_err(|missing| EmulatorError::SchemaLacks {
        path: path.to_owned(),
        name: match missing.column {
            Some(column) => format!("{}.{column}", missing.table),
            None => missing.table,
        },
    })?;
    Ok((changed, model))
}
