//! Rows of elastic tables that go by themselves: so many seconds after they were written last.
//!
//! Source: Microsoft Learn, "Create and use elastic tables", "Time to live".

use std::sync::Arc;

use super::Engine;
use crate::model::Layout;
use crate::table::Row;
use crate::table::value::Value;

/// When a row goes, in seconds since 1970; `None` if it stays.
pub(super) fn of(layout: &Layout, row: &Row) -> Option<i64> {
    let column = layout.special.time_to_live?;
    let Value::Integer(seconds @ 1..) = row.cells.get(column)? else {
        return None;
    };
    let Value::DateTime(written) = row.cells.get(layout.special.modified_on?)? else {
        return None;
    };
    written.checked_add(i64::from(seconds))
}

impl Engine {
    /// Lets go what has had its time. Nobody did it, so the journal does not tell of it.
    pub(crate) fn expire(&mut self, now: i64) {
        let is_due = |engine: &Self| {
            let first = engine.expiring.first().copied();
            first.filter(|(ends, ..)| *ends <= now)
        };
        if is_due(self).is_none() {
            return;
        }
        let model = Arc::clone(&self.model);
        while let Some(due @ (_, table, id)) = is_due(self) {
            self.expiring.remove(&due);
            if let Some(layout) = model.layout(table) {
                self.delete(layout, id);
            }
        }
        // What could not be written goes with the next start at the latest.
        drop(self.commit_silently());
    }
}
