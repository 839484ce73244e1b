//! The laws that hold after every run.
#![cfg(test)]

use std::collections::HashSet;

use segue::dispatch::Options;
use segue::model::{Effect, Verdict};

use crate::extract::{NUMBER, Row};
use crate::run::{Recorder, Simulated};
use crate::service::ModelService;

/// Each draft that was taken has exactly one outcome.
pub(crate) fn conservation(simulated: &Simulated) {
    let positions: HashSet<_> = simulated
        .outcomes
        .iter()
        .map(|outcome| outcome.operation.row.position)
        .collect();
    assert_eq!(positions.len(), simulated.outcomes.len(), "two outcomes");
    let lost = simulated.report.undelivered + simulated.resolved.undelivered;
    let told = simulated.outcomes.len() as u64 + lost;
    match simulated.recorder {
        Recorder::Lives => assert_eq!((told, lost), (simulated.handed as u64, 0)),
        // What stood in its queue when it died was told, and nobody heard it.
        Recorder::Died => assert!(told <= simulated.handed as u64),
    }
}

/// Nothing in a penalty, no key twice in flight, no more in flight than allowed.
pub(crate) fn manners(service: &ModelService, options: &Options) {
    let state = service.state();
    assert_eq!(state.breaches, Vec::<String>::new());
    assert!(state.most_in_flight <= options.concurrency.get() * state.users.len());
    let keys = state.finds.iter().map(|find| find.size).max().unwrap_or(0);
    assert!(keys <= options.find_keys.get(), "{keys} keys in one find");
    let most = state.failures.values().max().copied().unwrap_or(0);
    // What failed with others each time is parted down to the row, and each part has two tries.
    let parts = options.batch_operations.get().next_power_of_two().ilog2();
    assert!(
        most <= options.tries.get() + 2 * parts,
        "an operation was tried {most} times"
    );
}

/// What was accepted is there, once, with the values of the extract.
pub(crate) fn equality(simulated: &Simulated, rows: &[Row], service: &ModelService) {
    let state = service.state();
    for row in rows.iter().take(simulated.handed) {
        let created = state.created.get(&row.number).copied().unwrap_or(0);
        assert!(created <= 1, "{} was created {created} times", row.number);
        let verdict = simulated
            .told(row.position())
            .map(|outcome| &outcome.verdict);
        let Some(Verdict::Accepted(accepted)) = verdict else {
            continue;
        };
        let values = row.values();
        let holder = state.holder(NUMBER, &values[NUMBER]);
        assert!(holder.is_some(), "{} was accepted and is gone", row.number);
        assert_eq!(accepted.id, holder);
        assert_eq!(
            holder.map(|id| state.records[&id].values.clone()),
            Some(values)
        );
    }
}

/// What is told to be untouched was never there to be done.
pub(crate) fn candour(simulated: &Simulated, service: &ModelService) {
    let state = service.state();
    for outcome in &simulated.outcomes {
        if let Verdict::NotAttempted(it) = &outcome.verdict
            && it.is_untouched
        {
            let position = outcome.operation.row.position;
            assert!(!state.reached.contains(&position), "{position:?} was sent");
        }
    }
}

/// A row counts as created exactly if this run created its record.
pub(crate) fn credit(simulated: &Simulated, rows: &[Row], service: &ModelService) {
    let state = service.state();
    for row in rows.iter().take(simulated.handed) {
        let verdict = simulated
            .told(row.position())
            .map(|outcome| &outcome.verdict);
        if let Some(Verdict::Accepted(accepted)) = verdict {
            let counts = accepted.effect == Effect::Created;
            let created = state.created.contains_key(&row.number);
            assert_eq!(counts, created, "{}: {accepted:?}", row.number);
        }
    }
}
