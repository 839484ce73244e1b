//! Rows that belong to a row by a navigation property of many: added, taken out.
//!
//! One to many, the lookup of the other row is written; many to many, a pair comes or goes. Source:
//! Microsoft Learn, "Associate and disassociate table rows using the Web API"; the refusal of a
//! second pair is as import tools report it.

use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::model::collection::Collection;
use crate::refusal::Refusal;
use crate::roles::Access;
use crate::table::value::{Cells, Column, TableNumber, Value};
use crate::write;
use crate::write::draft::Draft;

/// A row and one of its collections.
pub(crate) struct Association<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) id: Uuid,
    pub(crate) collection: Collection,
}

impl Association<'_> {
    /// The table of the rows that the collection holds.
    pub(crate) fn other(&self) -> Result<&Layout, Refusal> {
        self.table(self.collection.table())
    }

    fn table(&self, number: TableNumber) -> Result<&Layout, Refusal> {
        let layout = self.context.model.layout(number);
        layout.ok_or_else(Refusal::query_syntax)
    }

    /// Adds a row that is there.
    pub(crate) fn add(&self, engine: &mut Engine, other: Uuid) -> Result<(), Refusal> {
        let table = self.layout.number;
        match self.collection {
            Collection::Many { column, .. } => {
                let above = Value::Reference { table, id: self.id };
                self.point(engine, other, column, Some(above))
            }
            Collection::Across {
                pairs, here, there, ..
            } => {
                self.admit_pair()?;
                let pairs = self.table(pairs)?;
                if self.pair(engine, pairs, here, there, other).is_some() {
                    return Err(Refusal::duplicate_insert());
                }
                let id = self.context.new_id(engine);
                let mut draft = Draft(Vec::new());
                draft.set(here, Some(Value::Guid(self.id)));
                draft.set(there, Some(Value::Guid(other)));
                let cells = Cells::pack(&draft.0);
                let values = draft.0.into_iter();
                let written = values.map(|(column, value)| (column, Some(value)));
                engine.create(pairs, id, cells, written.collect())
            }
        }
    }

    /// Takes out a row; it must be in.
    pub(crate) fn remove(&self, engine: &mut Engine, other: Uuid) -> Result<(), Refusal> {
        match self.collection {
            Collection::Many { column, .. } => {
                let row = engine.row(self.other()?, other);
                let above = row.and_then(|row| row.cells.get(column));
                match above {
                    Some(Value::Reference { id, .. }) if id == self.id => {
                        self.point(engine, other, column, None)
                    }
                    _ => Err(self.not_in(other)?),
                }
            }
            Collection::Across {
                pairs, here, there, ..
            } => {
                self.admit_pair()?;
                let pairs = self.table(pairs)?;
                let pair = self.pair(engine, pairs, here, there, other);
                let pair = pair.map_or_else(|| Err(self.not_in(other)?), Ok)?;
                engine.delete(pairs, pair);
                Ok(())
            }
        }
    }

    fn point(
        &self,
        engine: &mut Engine,
        other: Uuid,
        column: Column,
        above: Option<Value<'static>>,
    ) -> Result<(), Refusal> {
        let layout = self.other()?;
        layout.check_writable("Update")?;
        if layout.column(column).is_some_and(|def| !def.updatable) {
            let message = format!(
                "The column '{}' of '{}' is not valid for Update.",
                layout.column_name(column),
                layout.def.logical_name
            );
            return Err(Refusal::new(400, "0x80041a02", message));
        }
        let written = vec![(column, above)];
        write::change(engine, self.context, layout, other, written).map(drop)
    }

    /// Pairs are no rows of their own to privileges: one side refers to the other.
    fn admit_pair(&self) -> Result<(), Refusal> {
        self.context.require(self.layout, Access::Append)?;
        self.context.require(self.other()?, Access::AppendTo)
    }

    fn pair(
        &self,
        engine: &Engine,
        pairs: &Layout,
        here: Column,
        there: Column,
        other: Uuid,
    ) -> Option<Uuid> {
        let is_pair = |id: &Uuid| {
            let row = engine.row(pairs, *id);
            let cell = |column| row.and_then(|row| row.cells.get(column));
            let (own, far) = (Value::Guid(self.id), Value::Guid(other));
            cell(here) == Some(own) && cell(there) == Some(far)
        };
        engine.referrers(self.id, pairs.number).find(is_pair)
    }

    fn not_in(&self, other: Uuid) -> Result<Refusal, Refusal> {
        Ok(Refusal::no_such_row(&self.other()?.def.logical_name, other))
    }
}
