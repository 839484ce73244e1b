//! Definitions change while rows stand: one step of the schema, written before anything follows
//! it, and the jobs that build the indexes of new keys.
//!
//! Source: Microsoft Learn, "Define alternate keys for a table", "Alternate key creation and the
//! index job".

use std::sync::Arc;

use super::Engine;
use crate::bulk::messages;
use crate::model::Model;
use crate::refusal::Refusal;
use crate::schema::{Change, KeyIndexStatus, Schema, SchemaError};
use crate::table::value::Column;

/// Numbers are not given twice, so there is an end to them.
const MOST_TABLES: usize = 20_000;
const MOST_COLUMNS: usize = 20_000;

/// An index that is to be built.
pub(super) struct Job {
    table: String,
    key: String,
    /// Milliseconds since 1970.
    due: u64,
}

impl Engine {
    /// Takes one step of the schema. It stands when this returns, whatever becomes of the request.
    pub(crate) fn redefine(&mut self, change: &Change) -> Result<(), Refusal> {
        let mut schema = Schema::clone(&self.schema);
        schema.apply(change).map_err(refused)?;
        let numbering = self.model.renumbered(&schema);
        let is_full = numbering.len() > MOST_TABLES
            || numbering
                .iter()
                .any(|(_, columns)| columns.len() > MOST_COLUMNS);
        let model = Model::new(&schema, &numbering);
        let (false, Ok(model)) = (is_full, model) else {
            return Err(invalid("there are too many tables or columns"));
        };
        if let Some(file) = &mut self.file {
            file.save_change(change, &model)
                .map_err(|_| Refusal::unavailable("The definitions cannot be written."))?;
        }
        self.schema = Arc::new(schema);
        self.model = Arc::new(model);
        self.journal.follow(Arc::clone(&self.model));
        self.fit(change);
        if matches!(change, Change::DropTable { .. } | Change::DropColumn { .. }) {
            self.let_go_unheld();
        }
        self.plant_messages()
    }

    /// Brings rows and indexes to what the schema has become.
    fn fit(&mut self, change: &Change) {
        let model = Arc::clone(&self.model);
        let standing = |table| model.layout(table).is_some();
        self.tables.retain(|table, _| standing(*table));
        self.undo.retain(|undo| standing(undo.table));
        self.expiring.retain(|(_, table, _)| standing(*table));
        self.referrers.retain(|(_, table, _)| standing(*table));
        let (Change::DropColumn { table, .. }
        | Change::DropKey { table, .. }
        | Change::Key { table, .. }) = change
        else {
            return;
        };
        let Some(layout) = model.of_name(table) else {
            return;
        };
        let Some(rows) = self.tables.get_mut(&layout.number) else {
            return;
        };
        if matches!(change, Change::DropColumn { .. }) {
            rows.change_all(|row| row.without_dropped(layout));
            let number = layout.number;
            self.referrers.retain(|(_, table, _)| *table != number);
            for (id, row) in rows.after(None) {
                for target in super::pointed(layout, &row.cells) {
                    self.referrers.insert((target, number, id));
                }
            }
        }
        rows.reindex(layout, self.collation);
    }

    /// Which table takes which message is told by rows; they are not the request's.
    fn plant_messages(&mut self) -> Result<(), Refusal> {
        let undo = std::mem::take(&mut self.undo);
        let effects = std::mem::take(&mut self.effects);
        messages::plant(self);
        let planted = self.commit_silently();
        self.undo = undo;
        self.effects = effects;
        planted.map_err(|_| Refusal::unavailable("The definitions cannot be written."))
    }

    /// An index is to be built, not before this time.
    pub(crate) fn build_later(&mut self, table: &str, key: &str, due: u64) {
        self.jobs.push_back(Job {
            table: table.to_owned(),
            key: key.to_owned(),
            due,
        });
    }

    /// Does the jobs whose time has come.
    pub(crate) fn work_off(&mut self, now: u64) {
        while self.jobs.front().is_some_and(|job| job.due <= now) {
            let Some(job) = self.jobs.pop_front() else {
                return;
            };
            let Some(status) = self.built(&job) else {
                continue;
            };
            let change = Change::Key {
                table: job.table,
                key: job.key,
                status,
            };
            // If it cannot be written the key stays as it is, and the next start tries again.
            drop(self.redefine(&change));
        }
    }

    /// What becomes of a key whose index is built; `None` if it is gone or needs none.
    fn built(&self, job: &Job) -> Option<KeyIndexStatus> {
        let layout = self.model.of_name(&job.table)?;
        let mut keys = layout.def.keys.iter();
        let key = keys.find(|key| key.logical_name == job.key)?;
        if key.status == KeyIndexStatus::Active {
            return None;
        }
        let columns = key.columns.iter().map(|name| layout.number_of(name));
        let columns: Vec<Column> = columns.collect::<Option<_>>()?;
        let rows = self.rows(layout);
        let has_twins = rows.is_some_and(|rows| rows.has_twins(&columns, self.collation));
        Some(if has_twins {
            KeyIndexStatus::Failed
        } else {
            KeyIndexStatus::Active
        })
    }
}

fn invalid(problem: &str) -> Refusal {
    Refusal::new(400, "0x8004023a", format!("Invalid Metadata. {problem}"))
}

fn refused(error: SchemaError) -> Refusal {
    match error {
        SchemaError::Json(error) => invalid(&error.to_string()),
        other => invalid(&other.to_string()),
    }
}
