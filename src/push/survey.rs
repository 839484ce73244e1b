//! The first reading: every row's digests against the ledger, and the guards.

use std::path::PathBuf;

use super::PushError;
use crate::ledger::{Extent, Scope, Snapshot, Survey, SurveyCounts, SurveyOptions};
use crate::mapping::{Guard, Plan, Threshold};
use crate::model::{Reading, RowDigest, Source as _};
use crate::source::Extract;

/// Reads the whole extract and compares it with the ledger. Nothing is sent.
pub(super) fn survey(
    extract: &Extract,
    plan: &Plan,
    ledger: &Snapshot,
    scope: Scope,
    extent: Extent,
    spill: PathBuf,
) -> Result<Survey, PushError> {
    let options = SurveyOptions {
        scope,
        extent,
        memory: SurveyOptions::MEMORY,
        spill,
    };
    let mut builder = ledger.survey(options)?;
    let mut digests: Vec<RowDigest> = Vec::new();
    let reading = Reading {
        columns: plan.source_columns().to_vec(),
        only: None,
    };
    for rows in extract.read(reading)? {
        digests.clear();
        plan.digest(&rows?, ledger.secret(), &mut digests);
        for digest in &digests {
            builder.add(*digest)?;
        }
    }
    extract.unchanged()?;
    Ok(builder.finish()?)
}

/// Judges the guards that the survey can judge.
pub(super) fn judge(guard: &Guard, counts: &SurveyCounts) -> Result<(), PushError> {
    let stop = |guard, figures| Err(PushError::Guard { guard, figures });
    if let Some(least) = guard.min_rows.filter(|least| counts.read < *least) {
        return stop(
            "min_rows",
            format!(
                "the extract has {} rows, at least {least} are expected",
                counts.read
            ),
        );
    }
    let rejects = counts.refused_keys + counts.unreadable_keys;
    if guard
        .max_rejects
        .as_ref()
        .is_some_and(|most| exceeds(most, rejects, counts.read))
    {
        return stop(
            "max_rejects",
            format!("{rejects} of {} rows have no usable key", counts.read),
        );
    }
    if guard
        .max_changes
        .as_ref()
        .is_some_and(|most| exceeds(most, counts.due_known, counts.standing_before))
    {
        return stop(
            "max_changes",
            format!(
                "{} of {} known records may change",
                counts.due_known, counts.standing_before
            ),
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a share of at most 2^48 rows")]
fn exceeds(most: &Threshold, found: u64, of: u64) -> bool {
    match most {
        Threshold::Count(count) => found > *count,
        Threshold::Percent(percent) => of > 0 && found as f64 * 100.0 > *percent * of as f64,
    }
}
