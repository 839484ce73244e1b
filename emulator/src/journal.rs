//! What was committed, in order: so that a test compares truth with what a client believes.
//!
//! Bounded: the oldest entries are dropped. Effects that were rolled back never appear.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::model::Model;
use crate::render;
use crate::value::{Column, TableNumber, Value};

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
    dropped: u64,
    kept: VecDeque<Kept>,
}

impl Journal {
    pub(crate) fn new(model: Arc<Model>, capacity: usize) -> Self {
        Self {
            model,
            capacity,
            dropped: 0,
            kept: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, request: u64, user: Uuid, effects: Vec<Effect>) {
        for effect in effects {
            if self.kept.len() >= self.capacity {
                self.dropped += 1;
                if self.kept.pop_front().is_none() {
                    continue;
                }
            }
            self.kept.push_back(Kept {
                request,
                user,
                effect,
            });
        }
    }

    /// The entries after a sequence number, oldest first, as far as they are still held.
    pub(crate) fn after(&self, sequence: u64) -> Vec<JournalEntry> {
        let numbered = (self.dropped + 1..).zip(&self.kept);
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
