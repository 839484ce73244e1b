//! Brings an environment back from its data file, or begins a fresh one.

use std::sync::Arc;

use crate::context::Identity;
use crate::datafile::DataFile;
use crate::engine::Engine;
use crate::error::EmulatorError;
use crate::fold::Collation;
use crate::journal::Journal;
use crate::model::{Model, Numbering};
use crate::options::Options;
use crate::schema::Schema;
use crate::seed;

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
    let known = match &file {
        Some(file) => file.numbering().map_err(unusable)?,
        None => Numbering::new(),
    };
    let model = Model::new(schema, &known).map_err(|missing| EmulatorError::SchemaLacks {
        path: path.clone(),
        name: match missing.column {
            Some(column) => format!("{}.{column}", missing.table),
            None => missing.table,
        },
    })?;
    let model = Arc::new(model);
    let mut rows = Vec::new();
    if let Some(file) = &file {
        let mut is_whole = true;
        file.rows(|row| match row {
            Some(row) => rows.push(row),
            None => is_whole = false,
        })
        .map_err(unusable)?;
        if !is_whole {
            return Err(corrupt());
        }
    }
    let is_fresh = rows.is_empty();
    let language = seed::language(&model, &rows).unwrap_or(options.language_code);
    let journal = Journal::new(Arc::clone(&model), options.journal_entries);
    let collation = Collation::of_language(language);
    let mut engine = Engine::new(Arc::clone(&model), collation, journal);
    for (table, id, row) in rows {
        engine.load(table, id, row);
    }
    if let Some(mut file) = file {
        file.save_numbering(&model).map_err(unusable)?;
        engine.attach(file);
    }
    if is_fresh {
        seed::plant(&mut engine, language, milliseconds);
        engine.commit_silently().map_err(unusable)?;
    }
    let identity = seed::identity(&engine)?;
    Ok((engine, identity.ok_or_else(corrupt)?))
}
