//! References to records of other tables, before and after it is known which record is meant.

use std::sync::Arc;

use super::{LogicalName, RecordId, Target, Value};

/// Where the references of one lookup column point, and how they are found.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// The column: `parentcustomerid`.
    pub column: LogicalName,
    /// The table that is referred to; its key are the columns by which a record is found.
    pub target: Arc<Target>,
    /// The navigation property as the schema spells it: `parentcustomerid_account`.
    pub navigation: String,
    /// What becomes of a reference to a record that there is not.
    pub absent: Absent,
}

/// What becomes of a reference to a record that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The row is a reject.
    Reject,
    /// The column is empty, until there is one.
    Blank,
    /// The column points to this record, until there is one.
    Default(RecordId),
}

/// The value of a lookup column.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The column's way.
    pub to: Arc<Lookup>,
    /// The values by which the record is found, in the order of the target's key; empty where there is none.
    pub key: Vec<Value>,
    /// Which record it is.
    pub points: Points,
}

/// Which record a reference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// None: the extract has no value.
    Nowhere,
    /// Not known yet.
    Sought,
    /// This one.
    Found(RecordId),
    /// There is none; the column is left blank, or takes a default.
    Missing(Option<RecordId>),
    /// There is none so far, and this run may yet make it: the column is written in the second pass.
    Later,
}

impl Reference {
    /// The record that the column will hold; `None` if it is to be empty.
    pub fn id(&self) -> Option<RecordId> {
        match self.points {
            Points::Found(id) => Some(id),
            Points::Missing(default) => default,
            Points::Nowhere | Points::Sought | Points::Later => None,
        }
    }

    /// Whether the column will be empty.
    pub fn is_null(&self) -> bool {
        matches!(
            self.points,
            Points::Nowhere | Points::Missing(None) | Points::Later
        )
    }
}
