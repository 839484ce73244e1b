//! What becomes of records that are not in the extract any more, compiled against their table.

use std::sync::Arc;

use uuid::Uuid;

use super::{Ours, Plan};
use crate::model::{ColumnState, DigestSecret, Record, RecordId, SourceDigest, Target, Value};

/// What becomes of records that are not in the extract any more.
#[derive(Debug, Clone, PartialEq)]
pub enum Removal {
    /// Nothing.
    Keep,
    /// They are deleted.
    Delete(Ours),
    /// They stay, with other values.
    Write(Treatment),
}

/// Values that are written into records that left the extract.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    /// What such a record is counted as.
    pub manner: Manner,
    /// The table, by its primary id, and the columns.
    pub target: Arc<Target>,
    /// One per column of that target; a null in place of the primary id.
    pub values: Vec<Value>,
    /// Of those columns the ones that the mapping writes too: their places here and in the plan's target.
    pub shared: Vec<(usize, usize)>,
    /// Tells this treatment from others.
    pub digest: SourceDigest,
}

/// Which kind of treatment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The record is set inactive.
    Deactivate,
    /// The record gets fixed values.
    Set,
}

impl Removal {
    /// By what a key says how it was treated; `None` where nothing is done.
    pub fn digest(&self) -> Option<SourceDigest> {
        match self {
            Self::Keep => None,
            // A deleted record is forgotten, so there is nothing to tell apart.
            Self::Delete(_) => Some(SourceDigest([0xFF; 16])),
            Self::Write(treatment) => Some(treatment.digest),
        }
    }
}

impl Plan {
    /// How columns of the plan stand once a treatment was written: their places and states.
    pub fn treated(
        &self,
        treatment: &Treatment,
        secret: &DigestSecret,
    ) -> Vec<(usize, ColumnState)> {
        let record = Record {
            values: treatment.values.clone(),
            derived_id: RecordId(Uuid::nil()),
        };
        let digests = self.column_digests(&record, secret);
        let shared = treatment.shared.iter().filter_map(|(place, own)| {
            let digest = *digests.get(*place)?;
            let state = if record.values.get(*place)?.is_null() {
                ColumnState::null_sent(digest)
            } else {
                ColumnState::value_sent(digest)
            };
            Some((*own, state))
        });
        shared.collect()
    }
}
