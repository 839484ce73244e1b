//! Vanished keys whose records have other keys in Dataverse by now: those of rows that this run did not write.
//!
//! A row that was written tells which record it is. One that was rejected or skipped does not, and may be the very record
//! that is to be removed under its former key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::open::Opened;
use super::{PushError, Run};
use crate::dispatch::whereabouts;
use crate::ledger::{Finding, Survey};
use crate::model::{DigestSecret, KeyDigest, RecordId};

impl Run {
    /// Of records that are to be removed, each with the key that vanished or is marked, those that have the key of another
    /// row by now. Asks only if there are rows that may not have told.
    pub(super) async fn moved(
        &mut self,
        opened: &Arc<Opened>,
        survey: &Survey,
        secret: &DigestSecret,
        doomed: &[(KeyDigest, RecordId)],
    ) -> Result<HashSet<RecordId>, PushError> {
        let plan = &opened.plan;
        let have_all_told = self.rows.rejected + self.rows.skipped == 0;
        if have_all_told || doomed.is_empty() || plan.target().key_is_primary_id {
            return Ok(HashSet::new());
        }
        let ids: Vec<RecordId> = doomed.iter().map(|(_, id)| *id).collect();
        let lane = self.lane(opened);
        let found = tokio::select! {
            found = whereabouts(&lane, &ids) => found.map_err(PushError::Stopped)?,
            () = super::stopping(self.stop.clone()) => return Err(super::interrupted()),
        };
        let former: HashMap<RecordId, KeyDigest> =
            doomed.iter().map(|(key, id)| (*id, *key)).collect();
        let now = found
            .into_iter()
            .map(|it| (plan.key_digest(&it.key, secret), it.id));
        let now: HashMap<KeyDigest, RecordId> = now
            .filter(|(key, id)| former.get(id) != Some(key))
            .collect();
        let mut moved = HashSet::new();
        if now.is_empty() {
            return Ok(moved);
        }
        for entry in survey.entries() {
            if let Finding::Due { key, .. } = entry?.finding {
                moved.extend(now.get(&key));
            }
        }
        Ok(moved)
    }
}
