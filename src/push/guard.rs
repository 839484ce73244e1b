//! The guards: what stops a run, and when.

use super::PushError;
use crate::ledger::SurveyCounts;
use crate::mapping::{Duplicates, Guard, Plan, Threshold};

/// The guard that is judged in the survey and while sending.
pub(super) const MAX_REJECTS: &str = "max_rejects";

/// The guard of removals.
pub(super) const MAX_DELETES: &str = "max_deletes";

/// Judges what the survey's counts tell.
pub(super) fn judge(plan: &Plan, counts: &SurveyCounts) -> Result<(), PushError> {
    let Guard {
        min_rows,
        max_rejects,
        ..
    } = plan.guard();
    if let Some(least) = min_rows.filter(|least| counts.read < *least) {
        let figures = format!(
            "the extract has {} rows, at least {least} are expected",
            counts.read
        );
        return Err(trip("min_rows", figures));
    }
    let duplicates = match plan.duplicates() {
        Duplicates::Reject => counts.duplicates,
        Duplicates::First | Duplicates::Last | Duplicates::Newest(_) => 0,
    };
    let rejects = counts.refused_keys + counts.unreadable_keys + duplicates;
    match max_rejects {
        Some(most) if exceeds(most, rejects, counts.read) => {
            Err(too_many_rejects(most, rejects, counts.read))
        }
        _ => Ok(()),
    }
}

/// Whether the known keys that are due may be too many changes: then they must be compared to know.
pub(super) fn must_count_changes(plan: &Plan, counts: &SurveyCounts) -> bool {
    let most = &plan.guard().max_changes;
    most.as_ref()
        .is_some_and(|most| exceeds(most, counts.due_known, may_change(counts)))
}

/// Judges real differences.
pub(super) fn judge_changes(
    plan: &Plan,
    changes: u64,
    counts: &SurveyCounts,
) -> Result<(), PushError> {
    let known = may_change(counts);
    match &plan.guard().max_changes {
        Some(most) if exceeds(most, changes, known) => {
            let figures = format!(
                "{changes} of {known} known records would change, at most {} may",
                shown(most)
            );
            Err(trip("max_changes", figures))
        }
        _ => Ok(()),
    }
}

/// What changes are a part of: who returns counts as changed, and as known.
fn may_change(counts: &SurveyCounts) -> u64 {
    counts.standing_before + counts.returning
}

/// Judges how many records would be removed. Where the mapping names no threshold, a tenth of the known ones may be, but
/// at least ten; never all of them, and none for an extract without rows.
pub(super) fn judge_removals(
    plan: &Plan,
    removals: u64,
    counts: &SurveyCounts,
) -> Result<(), PushError> {
    // What was removed in another way before is removed once more.
    let known = counts.standing_before + counts.again;
    let told = |most: &str| {
        let figures =
            format!("{removals} of {known} known records would be removed, at most {most} may");
        Err(trip(MAX_DELETES, figures))
    };
    match &plan.guard().max_deletes {
        Some(most) if exceeds(most, removals, known) => told(&shown(most)),
        Some(_) => Ok(()),
        None if removals == 0 => Ok(()),
        None if counts.read == 0 => {
            let figures =
                format!("the extract has no rows, and {removals} records would be removed");
            Err(trip(MAX_DELETES, figures))
        }
        None if removals > LEAST_REMOVALS && exceeds(&USUAL_REMOVALS, removals, known) => {
            let a_tenth_is_more = !exceeds(&USUAL_REMOVALS, LEAST_REMOVALS + 1, known);
            told(if a_tenth_is_more { "10 %" } else { "10" })
        }
        None if removals >= known => told("all but one"),
        None => Ok(()),
    }
}

const USUAL_REMOVALS: Threshold = Threshold::Percent(10.0);

const LEAST_REMOVALS: u64 = 10;

/// The guard that stops a run for its rejects.
pub(super) fn too_many_rejects(most: &Threshold, rejects: u64, read: u64) -> PushError {
    let figures = format!(
        "{rejects} of {read} rows are rejects, at most {} may be",
        shown(most)
    );
    trip(MAX_REJECTS, figures)
}

fn trip(guard: &'static str, figures: String) -> PushError {
    PushError::Guard { guard, figures }
}

fn shown(most: &Threshold) -> String {
    match most {
        Threshold::Count(count) => count.to_string(),
        Threshold::Percent(percent) => format!("{percent} %"),
    }
}

/// Whether more were found than may be.
#[expect(clippy::cast_precision_loss, reason = "a share of at most 2^48 rows")]
pub(super) fn exceeds(most: &Threshold, found: u64, of: u64) -> bool {
    match most {
        Threshold::Count(count) => found > *count,
        // The product of a decimal share may fall a hair short of a whole number: what is exactly allowed is allowed.
        Threshold::Percent(percent) => {
            of > 0 && found as f64 * 100.0 > *percent * of as f64 * (1.0 + 4.0 * f64::EPSILON)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_there_is() {
        let percent = Threshold::Percent(1.0);
        assert!(!exceeds(&percent, 1, 100) && exceeds(&percent, 2, 100));
        assert!(!exceeds(&percent, 5, 0));
        let odd = Threshold::Percent(0.29);
        assert!(!exceeds(&odd, 290, 100_000) && exceeds(&odd, 291, 100_000));
        assert!(!exceeds(&Threshold::Count(3), 3, 5) && exceeds(&Threshold::Count(3), 4, 5));
    }
}
