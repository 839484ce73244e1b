//! All rows of the environment, and the one transaction that a request has.
//!
//! One writer at a time: the service holds the engine behind a lock for the length of a request.
//! Effects can be rolled back to a mark (a change set, a failed operation) or as a whole; a commit
//! stands in the data file before it returns. Which values a row gets is decided elsewhere.

mod attached;
pub(crate) mod datafile;
mod expiry;
mod redefine;
mod violation;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::engine::datafile::DataFile;
use crate::journal::{Effect, EffectKind, Journal};
use crate::model::{Layout, Model};
use crate::refusal::Refusal;
use crate::ring;
use crate::schema::Schema;
use crate::service::tally::Tally;
use crate::table::fold::Collation;
use crate::table::value::{Cells, Column, TableNumber, Value};
use crate::table::{Row, Rows, fold_key};

/// So many deletions are kept for those who ask what has changed.
const DELETIONS: usize = 100_000;

pub(crate) struct Engine {
    pub(crate) schema: Arc<Schema>,
    pub(crate) model: Arc<Model>,
    jobs: VecDeque<Job>,
    pub(crate) attached: Attached,
    /// When rows go by themselves, in seconds since 1970.
    expiring: BTreeSet<(i64, TableNumber, Uuid)>,
    pub(crate) collation: Collation,
    pub(crate) journal: Journal,
    pub(crate) tally: Tally,
    tables: HashMap<TableNumber, Rows>,
    /// Which rows point to a row, by traced lookups and pairs.
    referrers: BTreeSet<(Uuid, TableNumber, Uuid)>,
    version: u64,
    /// Tells tokens of this start from those of another.
    pub(crate) life: Uuid,
    /// Which rows went, at which version; the oldest are forgotten.
    deleted: VecDeque<(u64, TableNumber, Uuid)>,
    /// Deletions up to this version are not known.
    forgotten: u64,
    file: Option<DataFile>,
    undo: Vec<Undo>,
    effects: Vec<Effect>,
}

use attached::Attached;
pub(crate) use attached::Upload;
use redefine::Job;

struct Undo {
    table: TableNumber,
    id: Uuid,
    before: Option<Row>,
}

/// A point of the transaction to which it can go back.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    undo: usize,
    effects: usize,
}

/// What the client wrote: columns and values, null as `None`.
pub(crate) type Written = Vec<(Column, Option<Value<'static>>)>;

impl Engine {
    pub(crate) fn new(
        schema: Arc<Schema>,
        model: Arc<Model>,
        collation: Collation,
        journal: Journal,
    ) -> Self {
        Self {
            schema,
            model,
            jobs: VecDeque::new(),
            attached: Attached::default(),
            expiring: BTreeSet::new(),
            collation,
            journal,
            tally: Tally::default(),
            tables: HashMap::new(),
            referrers: BTreeSet::new(),
            version: 1_000_000,
            life: Uuid::new_v4(),
            deleted: VecDeque::new(),
            forgotten: 0,
            file: None,
            undo: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Puts a row of the data file in its place.
    pub(crate) fn load(&mut self, table: TableNumber, id: Uuid, row: Row) {
        let model = Arc::clone(&self.model);
        let Some(layout) = model.layout(table) else {
            return;
        };
        self.version = self.version.max(row.version);
        self.place(layout, id, Some(row.without_dropped(layout)));
    }

    /// From now on commits stand in this file.
    pub(crate) fn attach(&mut self, file: DataFile) {
        self.file = Some(file);
    }

    /// Lets the data file go; commits are refused from now on.
    pub(crate) fn detach(&mut self) {
        if let Some(file) = &mut self.file {
            file.close();
        }
    }

    pub(crate) fn rows(&self, layout: &Layout) -> Option<&Rows> {
        self.tables.get(&layout.number)
    }

    pub(crate) fn row(&self, layout: &Layout, id: Uuid) -> Option<&Row> {
        self.rows(layout)?.get(id)
    }

    /// The row with these values of the key with this number, in the key's order.
    pub(crate) fn find<'a>(
        &self,
        layout: &Layout,
        key: usize,
        values: impl Iterator<Item = Value<'a>>,
    ) -> Option<Uuid> {
        let folded = fold_key(key, self.collation, values.map(Some))?;
        self.rows(layout)?.find(&folded)
    }

    /// The number of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Deletions up to this version are not known any more.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The rows of a table that went between two versions.
    pub(crate) fn deleted(
        &self,
        table: TableNumber,
        since: u64,
        until: u64,
    ) -> impl Iterator<Item = Uuid> + '_ {
        let first = self.deleted.partition_point(|(at, ..)| *at <= since);
        let between = self.deleted.iter().skip(first);
        let between = between.take_while(move |(at, ..)| *at <= until);
        between.filter_map(move |(_, of, id)| (*of == table).then_some(*id))
    }

    fn remember_deletions(&mut self) {
        for effect in &self.effects {
            if effect.kind == EffectKind::Delete {
                self.version += 1;
                let deletion = (self.version, effect.table, effect.id);
                if let Some((at, ..)) = ring::push(&mut self.deleted, DELETIONS, deletion) {
                    self.forgotten = at;
                }
            }
        }
    }

    /// The number that the next written row gets.
    pub(crate) fn next_version(&self) -> u64 {
        self.version + 1
    }

    pub(crate) fn create(
        &mut self,
        layout: &Layout,
        id: Uuid,
        cells: Cells,
        written: Written,
    ) -> Result<(), Refusal> {
        if self.row(layout, id).is_some() {
            return Err(Refusal::duplicate_record());
        }
        self.write(layout, id, cells, EffectKind::Create, written)
    }

    pub(crate) fn update(
        &mut self,
        layout: &Layout,
        id: Uuid,
        cells: Cells,
        written: Written,
    ) -> Result<(), Refusal> {
        self.write(layout, id, cells, EffectKind::Update, written)
    }

    fn write(
        &mut self,
        layout: &Layout,
        id: Uuid,
        cells: Cells,
        kind: EffectKind,
        written: Written,
    ) -> Result<(), Refusal> {
        let rows = self.tables.entry(layout.number).or_default();
        if let Some(key) = rows.violated(layout, self.collation, id, &cells) {
            return Err(violation::of_key(&self.model, layout, key, &cells));
        }
        self.version += 1;
        let row = Row {
            version: self.version,
            cells,
        };
        self.put(layout, id, Some(row), kind, written);
        Ok(())
    }

    pub(crate) fn delete(&mut self, layout: &Layout, id: Uuid) {
        self.put(layout, id, None, EffectKind::Delete, Written::new());
    }

    /// Sets or removes a row, indexes included, and returns what stood there.
    fn place(&mut self, layout: &Layout, id: Uuid, row: Option<Row>) -> Option<Row> {
        let table = layout.number;
        let ends = row.as_ref().and_then(|row| expiry::of(layout, row));
        let now = row.iter().flat_map(|row| pointed(layout, &row.cells));
        let now: Vec<Uuid> = now.collect();
        for target in &now {
            self.referrers.insert((*target, table, id));
        }
        let rows = self.tables.entry(table).or_default();
        let before = rows.put(layout, self.collation, id, row);
        if let Some(ended) = before.as_ref().and_then(|row| expiry::of(layout, row)) {
            self.expiring.remove(&(ended, table, id));
        }
        self.expiring.extend(ends.map(|ends| (ends, table, id)));
        for target in before.iter().flat_map(|row| pointed(layout, &row.cells)) {
            if !now.contains(&target) {
                self.referrers.remove(&(target, table, id));
            }
        }
        before
    }

    /// The rows of a table that point to a row, by whatever traced lookup.
    pub(crate) fn referrers(
        &self,
        target: Uuid,
        table: TableNumber,
    ) -> impl Iterator<Item = Uuid> + '_ {
        let whole = (target, table, Uuid::nil())..=(target, table, Uuid::max());
        self.referrers.range(whole).map(|(_, _, id)| *id)
    }

    /// Fills what is remembered of deletions, as many of them would.
    #[cfg(test)]
    pub(crate) fn fill_deletions(&mut self) {
        let missing = DELETIONS.saturating_sub(self.deleted.len());
        let none = (self.version, TableNumber(u16::MAX), Uuid::nil());
        let filled = std::iter::repeat_n(none, missing);
        self.deleted = filled.chain(self.deleted.drain(..)).collect();
    }

    /// Effects that no commit has closed.
    #[cfg(test)]
    pub(crate) fn open_effects(&self) -> usize {
        self.undo.len() + self.effects.len()
    }

    /// Whether the index of who points to whom differs from what the rows say.
    #[cfg(test)]
    pub(crate) fn index_is_wrong(&self) -> bool {
        let layouts = self.model.layouts();
        let rows = layouts.flat_map(|layout| {
            let rows = self
                .rows(layout)
                .into_iter()
                .flat_map(|rows| rows.after(None));
            rows.map(move |(id, row)| (layout, id, row))
        });
        let pairs = rows.flat_map(|(layout, id, row)| {
            pointed(layout, &row.cells).map(move |target| (target, layout.number, id))
        });
        pairs.collect::<BTreeSet<_>>() != self.referrers
    }

    fn put(
        &mut self,
        layout: &Layout,
        id: Uuid,
        row: Option<Row>,
        kind: EffectKind,
        written: Written,
    ) {
        let before = self.place(layout, id, row);
        let table = layout.number;
        self.undo.push(Undo { table, id, before });
        self.effects.push(Effect {
            table,
            id,
            kind,
            written,
        });
    }

    /// How many rows the request wrote or showed, each operation taken for one at least; from here
    /// on they are counted anew.
    pub(crate) fn rows_of_request(&self) -> u32 {
        self.tally.rows(self.effects.len())
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            undo: self.undo.len(),
            effects: self.effects.len(),
        }
    }

    pub(crate) fn roll_back_to(&mut self, mark: Mark) {
        let model = Arc::clone(&self.model);
        while self.undo.len() > mark.undo {
            let Some(undo) = self.undo.pop() else { break };
            if let Some(layout) = model.layout(undo.table) {
                let undone = self.place(layout, undo.id, undo.before);
                self.let_go(layout, undo.id, undone.as_ref());
            }
        }
        self.effects.truncate(mark.effects);
    }

    /// Makes the request's effects lasting, then shows them in the journal.
    ///
    /// If the data file cannot be written, nothing of the request stands; if the journal's file
    /// cannot, nothing of the requests after it.
    pub(crate) fn commit(&mut self, request: u64, user: Uuid) -> Result<(), Refusal> {
        if self.undo.is_empty() {
            return Ok(());
        }
        if self.journal.is_broken() || self.save().is_err() {
            self.roll_back_to(Mark {
                undo: 0,
                effects: 0,
            });
            return Err(Refusal::unavailable(
                "The server is busy and the request was not completed. Try again later.",
            ));
        }
        self.let_go_replaced();
        self.remember_deletions();
        let effects = std::mem::take(&mut self.effects);
        self.journal.add(request, user, effects);
        Ok(())
    }

    /// Commits what the service itself put in place; the journal does not tell of it.
    pub(crate) fn commit_silently(&mut self) -> Result<(), rusqlite::Error> {
        self.save()?;
        self.let_go_replaced();
        self.effects.clear();
        Ok(())
    }

    fn save(&mut self) -> Result<(), rusqlite::Error> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.save_attached(self.attached.unsaved())?;
        let mut seen = HashSet::new();
        let touched = self.undo.iter().map(|undo| (undo.table, undo.id));
        let touched = touched.filter(|place| seen.insert(*place));
        let tables = &self.tables;
        file.save(touched.map(|(table, id)| {
            let row = tables.get(&table).and_then(|rows| rows.get(id));
            (table, id, row)
        }))
    }
}

/// The rows to which a row points.
fn pointed<'r>(layout: &'r Layout, cells: &'r Cells) -> impl Iterator<Item = Uuid> + 'r {
    let traced = &layout.traced;
    let any = if traced.is_empty() { None } else { Some(cells) };
    let cells = any.into_iter().flat_map(Cells::iter);
    cells.filter_map(|(column, value)| match value {
        Value::Reference { id, .. } | Value::Guid(id) if traced.contains(&column) => Some(id),
        _ => None,
    })
}
