//! Hundreds of seeds, each another schedule of faults; after each the laws hold.
#![cfg(test)]

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use segue::dispatch::{Mode, Options, StopCause, Stopping};
use segue::model::{Envelopes, RecordId, RejectCode, Value, Verdict};

use crate::chaos::{Chaos, Fault};
use crate::extract::{BAD_NAME, EMAIL, NAME, NUMBER, Row, resellers};
use crate::laws;
use crate::run::{Setting, Simulated, simulate};
use crate::service::{Envelope, ModelService, Rival};

const SEEDS: u64 = 300;

const ENVELOPES: [Envelopes; 5] = [
    Envelopes::Batch,
    Envelopes::Batch,
    Envelopes::Bulk,
    Envelopes::Auto,
    Envelopes::Single,
];

#[test]
fn the_laws_hold_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("SEGUE_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SEGUE_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| one_seed(seed)));
        assert!(
            ran.is_ok(),
            "seed {seed} breaks a law; again: SEGUE_SEED={seed} cargo test --test simulations laws_hold"
        );
    }
}

fn one_seed(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(a_run_and_its_completion(seed));
}

/// One run in chaos, then a calm one of what was not attempted: the extract is there.
async fn a_run_and_its_completion(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let service = Arc::new(ModelService::new());
    let mut rows = draw_rows(&mut random, &service);
    let mut setting = draw_setting(&mut random, seed);
    draw_chaos(&mut random, &service);
    setting.users = draw_users(&mut random, &service);

    let options = setting.options.clone();
    let mode = setting.mode;
    let simulated = simulate(&rows, &service, setting).await;
    laws::conservation(&simulated);
    laws::manners(&service, &options);
    laws::equality(&simulated, &rows, &service);
    laws::credit(&simulated, &rows, &service);
    laws::candour(&simulated, &service);
    only_bad_rows_are_rejected(&simulated, &rows, &service);
    if simulated.report.stopped.is_none() && simulated.resolved.stopped.is_none() {
        assert_eq!(simulated.not_attempted(), 0);
        assert_eq!(simulated.handed, rows.len());
    }

    nobody_is_dropped_without_reason(&simulated, &service);

    {
        let mut state = service.state();
        state.users.clear();
        (state.chaos, state.always) = (None, None);
        state.script.clear();
        state.failures.clear();
    }
    let done: HashSet<_> = simulated
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome.verdict, Verdict::Accepted(_) | Verdict::Skipped(_)))
        .map(|outcome| outcome.operation.row.position)
        .collect();
    rows.retain(|row| !done.contains(&row.position()));
    let setting = Setting {
        mode,
        ..Setting::default()
    };
    let completed = simulate(&rows, &service, setting).await;
    assert_eq!(completed.report.stopped, None);
    assert_eq!(completed.not_attempted(), 0);
    laws::conservation(&completed);
    laws::equality(&completed, &rows, &service);
    only_bad_rows_are_rejected(&completed, &rows, &service);
}

/// A run stops for its credentials only when all of its users were told that theirs fail.
fn nobody_is_dropped_without_reason(simulated: &Simulated, service: &ModelService) {
    let state = service.state();
    let mut users = state.users.iter();
    let stops = [&simulated.report.stopped, &simulated.resolved.stopped];
    if stops
        .iter()
        .any(|stopped| matches!(stopped, Some(StopCause::Credential(_))))
    {
        assert!(users.all(|user| user.failed.is_some()));
    }
}

fn draw_rows(random: &mut fastrand::Rng, service: &ModelService) -> Vec<Row> {
    let count = random.u64(1..600);
    let mut state = service.state();
    let foreign = vec![
        Value::Text("F-1".into()),
        Value::Text("taken@reseller.example".into()),
        Value::Null,
    ];
    state.insert_of_others(foreign);
    let bad = random.u32(..4);
    let drawn = resellers(count).into_iter().map(|row| {
        let row = match random.u32(..5) {
            0 => row.with_slash(),
            _ => row,
        };
        let mut old = row.values();
        old[NAME] = Value::Text("old name".into());
        let row = match random.u32(..100) {
            0..20 => {
                let id = state.insert_of_others(old);
                row.known_as(id)
            }
            20..30 => {
                state.insert_of_others(old);
                row
            }
            // The ledger knows a record that is gone.
            30..33 => row.known_as(RecordId(uuid::Uuid::from_u128(random.u128(..)))),
            _ => row,
        };
        let rival = match random.u32(..100) {
            0..3 => Some(Rival::Deletes),
            3..6 => Some(Rival::Creates),
            _ => None,
        };
        if let Some(rival) = rival {
            state.rivals.insert(row.number.clone(), rival);
        }
        match random.u32(..100) {
            one if one < bad => row.bad(),
            one if one < 2 * bad && row.known.is_none() && rival.is_none() => Row {
                email: "taken@reseller.example".to_owned(),
                ..row
            },
            _ => row,
        }
    });
    drawn.collect()
}

fn draw_setting(random: &mut fastrand::Rng, seed: u64) -> Setting {
    let at_least_one = |number| NonZeroUsize::new(number).unwrap();
    let modes = [
        Mode::Upsert,
        Mode::Upsert,
        Mode::Create,
        Mode::Update,
        Mode::UpdateOrSkip,
    ];
    let mut signals = Vec::new();
    if random.u32(..10) == 0 {
        signals.push((Duration::from_millis(random.u64(..20_000)), Stopping::Drain));
        if random.bool() {
            signals.push((Duration::from_millis(random.u64(..5_000)), Stopping::Now));
        }
    }
    let deadline = (random.u32(..15) == 0)
        .then(|| tokio::time::Instant::now() + Duration::from_secs(random.u64(1..60)));
    let outcomes_taken = match random.u32(..30) {
        0 => random.usize(..200),
        _ => usize::MAX,
    };
    Setting {
        options: Options {
            concurrency: at_least_one(random.usize(1..10)),
            batch_operations: at_least_one(random.usize(1..120)),
            find_keys: at_least_one(random.usize(1..100)),
            waiting_operations: at_least_one(random.usize(1..500)),
            deadline,
            envelopes: ENVELOPES[random.usize(..ENVELOPES.len())],
            seed,
            ..Options::default()
        },
        mode: modes[random.usize(..modes.len())],
        users: 1,
        signals,
        outcomes_taken,
    }
}

/// Several application users in every third seed; each of them may fail during the run.
fn draw_users(random: &mut fastrand::Rng, service: &Arc<ModelService>) -> usize {
    let users = match random.u32(..3) {
        0 => random.usize(2..5),
        _ => return 1,
    };
    service.seats(users);
    let mut state = service.state();
    for user in &mut state.users {
        user.fails_from = (random.u32(..3) == 0).then(|| {
            let after = Duration::from_millis(random.u64(..30_000));
            tokio::time::Instant::now() + after
        });
    }
    users
}

fn draw_chaos(random: &mut fastrand::Rng, service: &ModelService) {
    let mut state = service.state();
    if random.u32(..4) == 0 {
        state.envelope = Envelope::Atomic;
    }
    if random.u32(..4) == 0 {
        state.most_operations = random.usize(1..100);
    }
    if random.u32(..20) == 0 {
        let healthy = random.usize(..10);
        state.script = std::iter::repeat_n(None, healthy).collect();
        state.always = Some(match random.u32(..3) {
            0 => Fault::Expired,
            1 => Fault::Unavailable,
            _ => Fault::Throttle(Some(Duration::from_mins(3))),
        });
    }
    state.chaos = Some(Chaos {
        random: fastrand::Rng::with_seed(random.u64(..)),
        permille: random.u32(..400),
    });
}

/// Rejected are the rows that the service refuses, those whose e-mail is taken, those without a record where none is
/// to be made, and those at which the service failed as often as the budget allows.
fn only_bad_rows_are_rejected(simulated: &Simulated, rows: &[Row], service: &ModelService) {
    let state = service.state();
    for row in rows.iter().take(simulated.handed) {
        let taken = state.holder(EMAIL, &row.values()[EMAIL]);
        let holder = state.holder(NUMBER, &row.values()[NUMBER]);
        let Some(outcome) = simulated.told(row.position()) else {
            continue;
        };
        match &outcome.verdict {
            Verdict::Accepted(_) => assert_ne!(row.name, BAD_NAME),
            Verdict::Unchanged | Verdict::Skipped(_) | Verdict::NotAttempted(_) => {}
            Verdict::Partly { .. } => panic!("no row has a state"),
            Verdict::Rejected(reject) => match reject.code {
                RejectCode("business_rule") => assert_eq!(row.name, BAD_NAME),
                RejectCode("duplicate_key") => assert!(taken.is_some() && taken != holder),
                RejectCode("not_found") => assert_eq!(holder, None),
                RejectCode("service_unavailable") => {
                    assert!(state.failures[&row.position()] >= 5);
                }
                _ => panic!("{}: {reject:?}", row.number),
            },
        }
    }
    let stopped = simulated.report.stopped.as_ref();
    if let Some(StopCause::Contract(error)) = stopped {
        panic!("no seed has a contract failure: {error}");
    }
}
