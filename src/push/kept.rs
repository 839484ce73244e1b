//! Vanished records that stay although the mapping removes: how many, and why.

use std::collections::{BTreeSet, HashSet};

use crate::mapping::{Ours, Removal};
use crate::model::RecordId;

/// Who else holds some records.
pub(super) struct Holding {
    /// Those that other keys of the same ledger hold.
    pub(super) own: HashSet<RecordId>,
    /// Those that other mappings hold.
    pub(super) others: HashSet<RecordId>,
    /// The ledgers of these mappings.
    pub(super) by: BTreeSet<String>,
}

/// Records that stay.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// So many are not this mapping's to remove.
    pub(super) unproved: u64,
    /// So many are written by another mapping as well.
    pub(super) shared: u64,
    /// The ledgers of these mappings.
    pub(super) by: BTreeSet<String>,
    /// So many have the key of a row that was not written.
    pub(super) moved: u64,
}

impl Kept {
    pub(super) fn add(&mut self, other: Self) {
        self.unproved += other.unproved;
        self.shared += other.shared;
        self.by.extend(other.by);
        self.moved += other.moved;
    }

    /// What somebody wonders who counts on their removal.
    pub(super) fn warnings(&self, removal: &Removal) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.unproved > 0 {
            let why = match removal {
                Removal::Delete(Ours::Created) => {
                    "nothing proves that this mapping created them (`missing: { delete: written }` takes what it wrote)"
                }
                Removal::Delete(Ours::Written) | Removal::Write(_) | Removal::Keep => {
                    "this mapping never wrote them"
                }
            };
            let what = records(self.unproved);
            warnings.push(format!("{what} left the extract and will stay: {why}"));
        }
        if self.shared > 0 {
            let by: Vec<&str> = self.by.iter().map(String::as_str).collect();
            warnings.push(format!(
                "{} left the extract and will stay: the ledger of another mapping holds them too ({}); if they left \
                 that mapping's extract as well, let it give them up (`segue state forget KEY` with its file) and push this one \
                 again; if it is no longer used, remove its ledger: `segue state reset`",
                records(self.shared),
                by.join(", ")
            ));
        }
        if self.moved > 0 {
            warnings.push(format!(
                "{} left the extract and will stay: in Dataverse they have the keys of rows that this run did not write; once \
                 these rows are written, that settles itself",
                records(self.moved)
            ));
        }
        warnings
    }
}

fn records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        several => format!("{several} records"),
    }
}
