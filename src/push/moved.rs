//! Vanished keys whose records have other keys in Dataverse by now: those of rows that this run did not write.
//!
//! A row that was written tells which record it is. One that was rejected or skipped does not, nor does one that was not
//! sent since nothing of it has changed: either may be the very record that is to be removed under its former key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::open::Opened;
use super::{PushError, Run, ended, interrupted};
use crate::dispatch::{Stopping, whereabouts};
use crate::ledger::{Entry, Finding, Survey};
use crate::model::{DigestSecret, KeyDigest, KeyReading, Reading, RecordId, Source as _};

/// Records that are not to be removed, since rows have their keys.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) ids: HashSet<RecordId>,
    /// The keys of such rows that were not sent: the ledger holds other records of theirs, which have them no more.
    mistaken: Vec<KeyDigest>,
}

impl Moved {
    /// What the ledger is to forget, so that these rows are written again, to the records that have their keys.
    pub(super) fn forgotten(&self) -> impl Iterator<Item = Entry> {
        self.mistaken.iter().copied().map(Entry::Forget)
    }
}

impl Run {
    /// Of records that are to be removed, each with the key that vanished or is marked, those that have the key of another
    /// row by now. Asks only if there are rows that may not have told.
    pub(super) async fn moved(
        &mut self,
        opened: &Arc<Opened>,
        survey: &Survey,
        secret: &DigestSecret,
        doomed: &[(KeyDigest, RecordId)],
    ) -> Result<Moved, PushError> {
        let plan = &opened.plan;
        let have_all_told = self.rows.rejected + self.rows.skipped + self.rows.unchanged == 0;
        if have_all_told || doomed.is_empty() || plan.target().key_is_primary_id {
            return Ok(Moved::default());
        }
        let ids: Vec<RecordId> = doomed.iter().map(|(_, id)| *id).collect();
        let lane = self.lane(opened);
        let found = tokio::select! {
            found = whereabouts(&lane, &ids) => found.map_err(PushError::Stopped)?,
            () = super::stopping(self.stop.clone()) => return Err(interrupted()),
        };
        let former: HashMap<RecordId, KeyDigest> =
            doomed.iter().map(|(key, id)| (*id, *key)).collect();
        let now = found
            .into_iter()
            .map(|it| (plan.key_digest(&it.key, secret), it.id));
        let mut now: HashMap<KeyDigest, RecordId> = now
            .filter(|(key, id)| former.get(id) != Some(key))
            .collect();
        let mut moved = Moved::default();
        if now.is_empty() {
            return Ok(moved);
        }
        for entry in survey.entries() {
            if let Finding::Due { key, .. } = entry?.finding {
                moved.ids.extend(now.remove(&key));
            }
        }
        if !now.is_empty() {
            let (opened, secret, stop) = (Arc::clone(opened), secret.clone(), self.stop.clone());
            let reading = spawn_blocking(move || among_rows(&opened, &secret, &now, &stop)).await;
            let unsent = reading.map_err(|error| ended(&error))??;
            moved.ids.extend(unsent.values());
            moved.mistaken.extend(unsent.keys());
        }
        Ok(moved)
    }
}

/// Of these keys those that rows of the extract have: one more reading, for records whose keys somebody changed. Blocks.
fn among_rows(
    opened: &Opened,
    secret: &DigestSecret,
    keys: &HashMap<KeyDigest, RecordId>,
    stop: &watch::Receiver<Stopping>,
) -> Result<HashMap<KeyDigest, RecordId>, PushError> {
    let Opened { extract, plan, .. } = opened;
    let reading = Reading {
        columns: plan.source_columns().to_vec(),
        only: None,
    };
    let (mut found, mut digests) = (HashMap::new(), Vec::new());
    for rows in extract.read(reading)? {
        if *stop.borrow() != Stopping::No {
            return Err(interrupted());
        }
        digests.clear();
        plan.digest(&rows?, secret, &mut digests);
        for digest in &digests {
            if let KeyReading::Known(key) = digest.key
                && let Some(id) = keys.get(&key)
            {
                found.insert(key, *id);
            }
        }
    }
    extract.unchanged()?;
    Ok(found)
}
