//! What was committed, in order: so that a test compares truth with what a client believes.
//!
//! Bounded in memory: the oldest entries are dropped; whole on disk where a file is asked for. Effects that were rolled back never appear.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::model::Model;
use crate::render;
use crate::ring;
use crate::table::value::{Column, TableNumber, Value};

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EffectKind {
    /// A row came to be.
    Create,
    /// A row was written.
    Update,
    /// A row was removed.
    Delete,
}

/// One committed effect.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct JournalEntry {
    /// Counts from 1 since the start of the process.
    pub sequence: u64,
    /// The number of the HTTP request that it came with; counts from 1.
    pub request: u64,
    /// Logical name.
    pub table: String,
    /// The row.
    pub id: Uuid,
    /// What happened.
    pub kind: EffectKind,
    /// The columns that the client wrote, with the values as they were stored; lookups under
    /// their logical name as a GUID. Columns that the service fills in do not appear.
    pub columns: Map<String, Json>,
    /// `systemuserid` of the caller.
    pub user: Uuid,
}

/// An effect on its way to the journal.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) table: TableNumber,
    pub(crate) id: Uuid,
    pub(crate) kind: EffectKind,
    pub(crate) written: Vec<(Column, Option<Value<'static>>)>,
}

struct Kept {
    request: u64,
    user: Uuid,
    effect: Effect,
}

/// The last effects, as many as were asked for.
pub(crate) struct Journal {
    model: Arc<Model>,
    capacity: usize,
    /// How many effects there were since the start.
    told: u64,
    kept: VecDeque<Kept>,
    file: Option<File>,
    is_broken: bool,
}

impl Journal {
    pub(crate) fn new(model: Arc<Model>, capacity: usize, file: Option<File>) -> Self {
        Self {
            file,
            is_broken: false,
            model,
            capacity,
            told: 0,
            kept: VecDeque::new(),
        }
    }

    /// Entries are told by the names of this model from now on; numbers stay what they are.
    pub(crate) fn follow(&mut self, model: Arc<Model>) {
        self.model = model;
    }

    /// Whether the file could not be written; then it would not be whole any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    pub(crate) fn add(&mut self, request: u64, user: Uuid, effects: Vec<Effect>) {
        let kept = effects.into_iter().map(|effect| Kept {
            request,
            user,
            effect,
        });
        let kept: Vec<Kept> = kept.collect();
        self.is_broken = self.is_broken || self.write(&kept).is_err();
        for kept in kept {
            self.told += 1;
            if self.capacity == 0 {
                continue;
            }
            ring::push(&mut self.kept, self.capacity, kept);
        }
    }

    /// Appends effects that were not told yet to the file, in one piece.
    fn write(&mut self, effects: &[Kept]) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for (number, kept) in (self.told + 1..).zip(effects) {
            serde_json::to_writer(&mut lines, &self.entry(number, kept))?;
            lines.push(b'\n');
        }
        file.write_all(&lines)
    }

    /// The entries after a sequence number, oldest first, as far as they are still held.
    pub(crate) fn after(&self, sequence: u64) -> Vec<JournalEntry> {
        let held = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let numbered = (self.told.saturating_sub(held) + 1..).zip(&self.kept);
        numbered
            .filter(|(number, _)| *number > sequence)
            .map(|(number, kept)| self.entry(number, kept))
            .collect()
    }

    fn entry(&self, sequence: u64, kept: &Kept) -> JournalEntry {
        let layout = self.model.layout(kept.effect.table);
        let columns = kept.effect.written.iter().filter_map(|(column, value)| {
            let layout = layout?;
            let json = render::json(layout, *column, value.as_ref());
            Some((layout.column_name(*column).to_owned(), json))
        });
        JournalEntry {
            sequence,
            request: kept.request,
            table: layout.map_or(String::new(), |layout| layout.def.logical_name.clone()),
            id: kept.effect.id,
            kind: kept.effect.kind,
            columns: columns.collect(),
            user: kept.user,
        }
    }
}

/// What every line of the file begins with.
const BEGINNING: &[u8] = br#"{"sequence":"#;

/// Makes the file, for its owner only: the rows are people's data. One that is there already is
/// emptied if it is a journal, and left alone otherwise.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    let mut found = Vec::new();
    let length = u64::try_from(BEGINNING.len()).unwrap_or_default();
    (&file).take(length).read_to_end(&mut found)?;
    if !found.is_empty() && found != BEGINNING {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the file holds something else than a journal",
        ));
    }
    file.set_len(0)?;
    (&file).rewind()?;
    Ok(file)
}
