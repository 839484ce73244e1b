//! What the ledger holds of a record once something became of it.

use uuid::Version;

use super::owed::References;
use super::record::Note;
use crate::ledger::{Entry, Recorded};
use crate::mapping::Plan;
use crate::model::{
    Accepted, ColumnDigest, ColumnState, Effect, Operation, Outcome, Record, RejectCode, RowTag,
    SourceDigest, Standing, StandingFlags, Verdict,
};

/// What is known of the record now. A record that was deleted by others and written again is new.
pub(super) fn flags(
    standing: Option<&Standing>,
    accepted: &Accepted,
    operation: &Operation,
    plan: &Plan,
    references: &References,
) -> StandingFlags {
    let before = standing.map_or_else(StandingFlags::default, |standing| standing.flags);
    let settled = before
        .without(StandingFlags::PENDING)
        .without(StandingFlags::INCOMPLETE)
        .without(StandingFlags::SEEN)
        .without(StandingFlags::REMOVED)
        .without(StandingFlags::DEACTIVATED);
    let settled = open_ends(settled, &operation.record, references);
    let known = standing.and_then(|standing| standing.id);
    // Ours was deleted, and somebody else may have made the one that has the key now.
    let is_another = known.is_some_and(|known| accepted.id.is_some_and(|id| id != known));
    let settled = if is_another {
        settled.without(StandingFlags::CREATED_BY_US)
    } else {
        settled
    };
    // Nobody else makes a record of that GUID; where the extract brings GUIDs, it proves nothing. Most GUIDs tell by their
    // version that they are not derived from anything.
    let is_derived = || {
        !plan.target().key_is_primary_id
            && accepted.id.is_some_and(|id| {
                id.0.get_version() == Some(Version::Sha1)
                    && id == plan.derived_id(&operation.record)
            })
    };
    match accepted.effect {
        _ if settled.has(StandingFlags::CREATED_BY_US) => settled,
        Effect::Updated | Effect::Upserted if is_derived() => {
            settled.with(StandingFlags::CREATED_BY_US)
        }
        Effect::Created => settled.with(StandingFlags::CREATED_BY_US),
        Effect::Updated | Effect::Upserted | Effect::Deleted => settled,
    }
}

/// What the ledger keeps of a record that was deleted for a mark: the same mark is nothing to do tomorrow.
/// A record whose deletion was refused is what it was.
pub(super) fn grave(outcome: &Outcome) -> Option<Entry> {
    let Outcome { operation, verdict } = outcome;
    match verdict {
        Verdict::Accepted(_) | Verdict::Unchanged | Verdict::Skipped(_) => {
            Some(Entry::Standing(Recorded {
                row: operation.row,
                id: None,
                flags: StandingFlags::default().with(StandingFlags::REMOVED),
                columns: Vec::new(),
            }))
        }
        Verdict::Rejected(_) | Verdict::NotAttempted(_) | Verdict::Partly { .. } => {
            refused(outcome)
        }
    }
}

/// What the ledger learns of a row that nothing was sent for.
pub(super) fn unsent(note: &Note) -> Option<Entry> {
    match note {
        Note::Buried(row, standing) => Some(Entry::Standing(Recorded {
            row: *row,
            id: None,
            flags: standing.flags,
            columns: Vec::new(),
        })),
        Note::Unchanged(row, standing) => Some(Entry::Standing(Recorded {
            row: *row,
            id: standing.id,
            // It is in the extract again.
            flags: standing
                .flags
                .without(StandingFlags::REMOVED)
                .without(StandingFlags::DEACTIVATED),
            columns: standing.columns.clone(),
        })),
        _ => None,
    }
}

/// With what makes the record due again whatever its row says.
pub(super) fn open_ends(
    mut flags: StandingFlags,
    record: &Record,
    references: &References,
) -> StandingFlags {
    if references.miss(record) {
        flags = flags.with(StandingFlags::INCOMPLETE);
    }
    if references.owe(record) {
        flags = flags.with(StandingFlags::PENDING);
    }
    flags
}

/// What a record needs that returns after something was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    AsItIs,
    /// It may have been set inactive.
    Activated,
}

/// What the ledger holds of a record before something is done to it that no later row may undo by chance: if the answer
/// never comes, the record is due whatever its row says, and written whole. The columns that get a value count as filled:
/// a later null must clear what may be there.
pub(super) fn doubted(
    row: RowTag,
    standing: &Standing,
    returns: Returns,
    fills: impl Fn(usize) -> bool,
) -> Entry {
    let mut flags = standing.flags.with(StandingFlags::PENDING);
    if returns == Returns::Activated {
        flags = flags.with(StandingFlags::DEACTIVATED);
    }
    let filled = ColumnState::value_sent(ColumnDigest::from_hash(0));
    let columns = standing.columns.iter().enumerate();
    let columns = columns.map(|(index, column)| if fills(index) { filled } else { *column });
    Entry::Standing(Recorded {
        row: RowTag {
            source: SourceDigest(0),
            ..row
        },
        id: standing.id,
        flags,
        columns: columns.map(ColumnState::doubted).collect(),
    })
}

/// Nothing was done: what was known is known again. None where nothing was, or where the doubt stays.
pub(super) fn refused(Outcome { operation, verdict }: &Outcome) -> Option<Entry> {
    match verdict {
        Verdict::Rejected(reject) if reject.code == RejectCode::SERVICE_UNAVAILABLE => return None,
        Verdict::Rejected(_) | Verdict::Skipped(_) => {}
        Verdict::NotAttempted(it) if it.is_untouched => {}
        Verdict::Accepted(_)
        | Verdict::Unchanged
        | Verdict::NotAttempted(_)
        | Verdict::Partly { .. } => return None,
    }
    let standing = operation.standing.as_deref()?;
    Some(known(operation.row, standing))
}

/// What was known before a record was doubted.
pub(super) fn known(row: RowTag, standing: &Standing) -> Entry {
    Entry::Standing(Recorded {
        row: RowTag {
            source: SourceDigest(0),
            ..row
        },
        id: standing.id,
        flags: standing.flags,
        columns: standing.columns.clone(),
    })
}

/// Effects of which the ledger keeps nothing: whoever runs next does them again. An answer that is not remembered is as
/// good as one that was lost.
pub(super) fn unrecorded(notes: &mut [Note]) {
    for note in notes {
        let Note::Outcomes(outcomes) = note else {
            continue;
        };
        for outcome in outcomes {
            if let Verdict::Accepted(_) = outcome.verdict {
                outcome.verdict = Verdict::NotAttempted(Box::default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::model::{Action, ColumnSet, KeyDigest, Position, RecordId, Reject};

    fn rejected(code: RejectCode) -> Verdict {
        Verdict::Rejected(Box::new(Reject {
            position: Position::NOWHERE,
            column: None,
            code,
            reason: "others need it".to_owned(),
            advice: "Let go of it first.".into(),
            service: None,
        }))
    }

    #[test]
    fn a_record_whose_deletion_was_refused_is_what_it_was() {
        let id = RecordId(Uuid::from_u128(7));
        let standing = Standing {
            id: Some(id),
            flags: StandingFlags::default().with(StandingFlags::CREATED_BY_US),
            columns: vec![ColumnState::NEVER_SENT],
        };
        let operation = Operation {
            row: RowTag {
                position: Position::NOWHERE,
                key: KeyDigest([1; 16]),
                source: SourceDigest(2),
            },
            record: Record { values: Vec::new() },
            columns: ColumnSet::new(),
            action: Action::Delete(id),
            standing: Some(Arc::new(standing.clone())),
        };
        let mut outcome = Outcome {
            operation,
            verdict: rejected(RejectCode("restricted")),
        };
        let Some(Entry::Standing(kept)) = grave(&outcome) else {
            panic!("the doubt stays");
        };
        assert_eq!(
            (kept.id, kept.flags, kept.columns),
            (standing.id, standing.flags, standing.columns)
        );
        // Its row is looked at again whatever it says.
        assert_eq!(kept.row.source, SourceDigest(0));
        // No answer came, or none that tells: it may be gone.
        outcome.verdict = rejected(RejectCode::SERVICE_UNAVAILABLE);
        assert_eq!(grave(&outcome), None);
    }
}
