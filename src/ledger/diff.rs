//! What of a record differs from what the ledger holds, and what the ledger holds after the record was accepted.

use crate::model::{
    ColumnDigest, ColumnSet, ColumnState, Nulls, Record, Standing, StandingFlags, Target, Value,
    When,
};

/// How much of what has not changed is sent all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Changed,
    /// Everything: a full refresh.
    Everything,
}

/// The columns of a record that have to be sent. Key columns are never among them.
///
/// `digest` tells the digest of a value of the record; it is asked only where the ledger has one to compare with. Without a
/// standing nothing was ever sent. A value is sent if it differs. A null is sent if the mapping filled the column before ([`Nulls::Owned`]),
/// or unless the ledger knows it to be null ([`Nulls::Clear`]). A column that only a create carries is not sent to a record that
/// is there. A stamp is sent if anything else is, or if nothing ever was.
pub fn diff(
    standing: Option<&Standing>,
    record: &Record,
    mut digest: impl FnMut(&Value) -> ColumnDigest,
    target: &Target,
    scope: Scope,
) -> ColumnSet {
    let states = states_of(standing);
    let mut differs = |index: usize, value: &Value, nulls: Nulls| {
        let state = state_of(states, index);
        let mut again = || match (scope, state.held()) {
            (Scope::Everything, _) | (Scope::Changed, None) => true,
            (Scope::Changed, Some(held)) => held != digest(value),
        };
        match nulls {
            _ if !value.is_null() => again(),
            Nulls::Owned => state.is_owned(),
            Nulls::Skip => false,
            Nulls::Clear => again(),
        }
    };
    let returns = standing.is_some_and(|it| it.flags.has(StandingFlags::DEACTIVATED));
    let is_there = standing.is_some_and(|standing| standing.id.is_some());
    let (mut sent, mut stamps) = (ColumnSet::new(), ColumnSet::new());
    let values = record.values.iter();
    for (index, (column, value)) in target.columns.iter().zip(values).enumerate() {
        let travels = match column.when {
            When::Return => returns || column.is_stamp,
            When::Create => !is_there,
            When::Always | When::Update => true,
        };
        if !travels {
            continue;
        }
        if column.is_stamp {
            stamps.insert(index);
        } else if !target.key.contains(&index) && differs(index, value, column.nulls) {
            sent.insert(index);
        }
    }
    if !sent.is_empty() || standing.is_none() {
        stamps.iter().for_each(|index| sent.insert(index));
    }
    sent
}

/// The states of the columns once the columns `sent` were accepted: one per value.
pub fn after(
    standing: Option<&Standing>,
    record: &Record,
    digest: impl FnMut(&Value) -> ColumnDigest,
    sent: &ColumnSet,
) -> Vec<ColumnState> {
    each_after(standing, record, digest, sent).collect()
}

/// What [`after`] tells, one state after the other.
pub fn each_after(
    standing: Option<&Standing>,
    record: &Record,
    mut digest: impl FnMut(&Value) -> ColumnDigest,
    sent: &ColumnSet,
) -> impl Iterator<Item = ColumnState> {
    let states = states_of(standing);
    let values = record.values.iter().enumerate();
    values.map(move |(index, value)| match value {
        _ if !sent.contains(index) => state_of(states, index),
        value if value.is_null() => ColumnState::null_sent(digest(value)),
        _ => ColumnState::value_sent(digest(value)),
    })
}

fn states_of(standing: Option<&Standing>) -> &[ColumnState] {
    standing.map_or([].as_slice(), |standing| &standing.columns)
}

fn state_of(states: &[ColumnState], index: usize) -> ColumnState {
    let state = states.get(index).copied();
    state.unwrap_or(ColumnState::NEVER_SENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        ColumnKind, EntitySetName, LogicalName, RecordId, StandingFlags, TargetColumn,
    };

    const NULL: u64 = 1000;

    fn target(nulls: &[Nulls]) -> Target {
        let name = |text: &str| LogicalName::parse(text).unwrap();
        let column = |(index, nulls): (usize, &Nulls)| {
            TargetColumn::new(name(&format!("c{index}")), ColumnKind::BigInt, *nulls)
        };
        Target {
            table: name("contact"),
            entity_set: EntitySetName::parse("contacts").unwrap(),
            primary_id: name("contactid"),
            columns: nulls.iter().enumerate().map(column).collect(),
            key: vec![0],
            key_is_primary_id: false,
        }
    }

    /// A record of whole numbers; `None` is null.
    fn record(cells: &[Option<i64>]) -> Record {
        let value = |cell: &Option<i64>| cell.map_or(Value::Null, Value::Integer);
        let values = cells.iter().map(value).collect();
        Record { values }
    }

    fn digest(value: &Value) -> ColumnDigest {
        ColumnDigest::from_hash(match value {
            Value::Integer(number) => 4 * number.unsigned_abs() + 4,
            _ => NULL,
        })
    }

    fn standing(columns: Vec<ColumnState>) -> Standing {
        Standing {
            id: None,
            flags: StandingFlags::default(),
            columns,
        }
    }

    fn sent(
        standing: Option<&Standing>,
        cells: &[Option<i64>],
        nulls: &[Nulls],
        scope: Scope,
    ) -> Vec<usize> {
        let record = record(cells);
        diff(standing, &record, digest, &target(nulls), scope)
            .iter()
            .collect()
    }

    use Nulls::{Clear, Owned, Skip};

    #[test]
    fn an_unknown_key_gets_its_values_and_the_nulls_that_always_clear() {
        let cells = [Some(1), Some(2), None, None, None];
        assert_eq!(
            sent(
                None,
                &cells,
                &[Owned, Owned, Owned, Clear, Skip],
                Scope::Changed
            ),
            [1, 3]
        );
    }

    #[test]
    fn only_what_differs_is_sent() {
        let nulls = [Owned; 4];
        let was = record(&[Some(1), Some(2), Some(3), None]);
        let states = after(None, &was, digest, &ColumnSet::from_iter([1, 2]));
        let held = standing(states);
        assert!(
            sent(
                Some(&held),
                &[Some(1), Some(2), Some(3), None],
                &nulls,
                Scope::Changed
            )
            .is_empty()
        );
        assert_eq!(
            sent(
                Some(&held),
                &[Some(1), Some(2), Some(9), Some(4)],
                &nulls,
                Scope::Changed
            ),
            [2, 3]
        );
    }

    #[test]
    fn an_owned_null_clears_what_this_mapping_filled_and_nothing_else() {
        let filled = ColumnState::value_sent(ColumnDigest::from_hash(8));
        let adopted = ColumnState::adopted(ColumnDigest::from_hash(8));
        let held = standing(vec![
            ColumnState::NEVER_SENT,
            filled,
            adopted,
            ColumnState::NEVER_SENT,
        ]);
        let cells = [Some(1), None, None, None];
        assert_eq!(sent(Some(&held), &cells, &[Owned; 4], Scope::Changed), [1]);
        assert_eq!(
            sent(Some(&held), &cells, &[Skip; 4], Scope::Everything),
            [0; 0]
        );
        assert_eq!(
            sent(Some(&held), &cells, &[Clear; 4], Scope::Changed),
            [1, 2, 3]
        );
    }

    #[test]
    fn a_stamp_travels_with_others_and_a_first_value_only_to_a_new_record() {
        let mut target = target(&[Nulls::Owned; 4]);
        target.columns[2].is_stamp = true;
        target.columns[3].when = When::Create;
        let record = record(&[Some(0), Some(1), Some(2), Some(3)]);
        let sent = |standing: Option<&Standing>| -> Vec<usize> {
            diff(standing, &record, digest, &target, Scope::Changed)
                .iter()
                .collect()
        };
        assert_eq!(sent(None), [1, 2, 3]);
        let mut known = standing(vec![ColumnState::NEVER_SENT; 4]);
        known.id = Some(RecordId(Uuid::from_u128(1)));
        assert_eq!(sent(Some(&known)), [1, 2]);
        known.columns[1] = ColumnState::value_sent(digest(&record.values[1]));
        assert_eq!(sent(Some(&known)), [] as [usize; 0]);
    }

    #[test]
    fn a_null_that_was_sent_is_not_sent_again() {
        let null = ColumnState::null_sent(ColumnDigest::from_hash(NULL));
        let held = standing(vec![ColumnState::NEVER_SENT, null]);
        let cells = [Some(1), None];
        for nulls in [Owned, Clear, Skip] {
            assert!(sent(Some(&held), &cells, &[nulls; 2], Scope::Changed).is_empty());
        }
        assert_eq!(
            sent(Some(&held), &cells, &[Clear; 2], Scope::Everything),
            [1]
        );
    }

    #[test]
    fn an_adopted_value_that_is_equal_is_not_sent() {
        let adopted = ColumnState::adopted(ColumnDigest::from_hash(12));
        let held = standing(vec![ColumnState::NEVER_SENT, adopted]);
        assert!(
            sent(
                Some(&held),
                &[Some(1), Some(2)],
                &[Owned; 2],
                Scope::Changed
            )
            .is_empty()
        );
        assert_eq!(
            sent(
                Some(&held),
                &[Some(1), Some(2)],
                &[Owned; 2],
                Scope::Everything
            ),
            [1]
        );
    }

    fn cells() -> impl Strategy<Value = Vec<Option<i64>>> {
        prop::collection::vec(prop::option::of(0i64..4), 6)
    }

    proptest! {
        #[test]
        fn what_was_accepted_is_not_sent_again(first in cells(), second in cells()) {
            let nulls = [Owned, Owned, Clear, Skip, Owned, Clear];
            let target = target(&nulls);
            let mut held: Option<Standing> = None;
            for cells in [&first, &second] {
                let record = record(cells);
                let columns = diff(held.as_ref(), &record, digest, &target, Scope::Changed);
                let next = standing(after(held.as_ref(), &record, digest, &columns));
                let again = diff(Some(&next), &record, digest, &target, Scope::Changed);
                prop_assert!(again.is_empty());
                held = Some(next);
            }
        }
    }
}
