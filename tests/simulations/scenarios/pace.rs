//! The pace: as fast as the best fixed width, without being told it.
#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use segue::dispatch::{DispatchReport, Lane, Meter, Options, Stopping, dispatch, resolve};
use segue::model::{Outcome, Verdict};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::capacity::{Capacity, Door, Limits, Terms};
use crate::extract::{Row, resellers};
use crate::run::rules;
use crate::setup::{batches_of, seconds};

pub(super) const BATCH: usize = 10;

pub(super) fn terms(workers: usize) -> Terms {
    Terms {
        workers,
        per_request: Duration::from_millis(20),
        per_row: Duration::from_millis(10),
        limits: None,
    }
}

/// Carries so many rows through the gate; tells how long it took.
pub(super) async fn carried(lane: Lane<Door>, rows: u64) -> (Duration, DispatchReport) {
    let rules = rules(segue::dispatch::Mode::Upsert);
    let (drafts_out, drafts_in) = mpsc::channel(256);
    let (operations_out, operations_in) = mpsc::channel(256);
    let (outcomes_out, mut outcomes_in) = mpsc::channel::<Vec<Outcome>>(256);
    let (_stop_out, stop_in) = watch::channel(Stopping::No);
    let began = Instant::now();
    let feed = async move {
        // No whole batches.
        for few in resellers(rows).chunks(BATCH - 3) {
            let drafts = few.iter().map(Row::draft).collect();
            drafts_out.send(drafts).await.unwrap();
        }
    };
    let record = async move {
        let mut accepted = 0;
        while let Some(settled) = outcomes_in.recv().await {
            let is_accepted = |it: &&Outcome| matches!(it.verdict, Verdict::Accepted(_));
            accepted += settled.iter().filter(is_accepted).count() as u64;
        }
        accepted
    };
    let resolving = resolve(
        lane.clone(),
        Arc::clone(&rules),
        drafts_in,
        operations_out,
        outcomes_out.clone(),
        stop_in.clone(),
    );
    let dispatching = dispatch(lane, rules, operations_in, outcomes_out, stop_in);
    let ((), resolved, report, accepted) = tokio::join!(feed, resolving, dispatching, record);
    assert_eq!((resolved.stopped, accepted), (None, rows));
    (began.elapsed(), report)
}

/// The time of so many requests at a fixed width, by whoever does nothing else.
async fn blasted(terms: Terms, width: usize, requests: usize) -> Duration {
    let service = Capacity::new(
        Terms {
            per_request: time_of_a_request(terms),
            ..terms
        },
        1,
    );
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..width {
        let service = Arc::clone(&service);
        let share = requests / width + usize::from(sender < requests % width);
        senders.spawn(async move {
            for _ in 0..share {
                service.carry(0, &[]).await;
            }
        });
    }
    senders.join_all().await;
    began.elapsed()
}

pub(super) fn time_of_a_request(terms: Terms) -> Duration {
    terms.per_request + terms.per_row * u32::try_from(BATCH).unwrap()
}

pub(super) fn lane(service: &Arc<Capacity>, first: usize) -> Lane<Door> {
    let options = Options {
        first_concurrency: NonZeroUsize::new(first).unwrap(),
        ..batches_of(BATCH)
    };
    Lane::of(service.doors(), options, Arc::default())
}

#[tokio::test(start_paused = true)]
async fn the_best_width_is_found_whatever_it_is() {
    for workers in [2, 4, 8, 16, 40] {
        let terms = terms(workers);
        let requests = workers * 100;
        let mut best = Duration::MAX;
        for width in 1..=52 {
            best = best.min(blasted(terms, width, requests).await);
        }
        // Without a recommendation, and with one that is too low or too high.
        for first in [8, 2, 52] {
            let service = Capacity::new(terms, 1);
            let rows = (requests * BATCH) as u64;
            let (took, _) = carried(lane(&service, first), rows).await;
            let share = best.as_secs_f64() / took.as_secs_f64();
            assert!(share >= 0.95, "{workers} workers, from {first}: {share:.3}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_limits_grant_is_used_and_nothing_is_sent_in_a_penalty() {
    for (factor, workers) in [(0.01, 8), (0.01, 40), (0.02, 16), (0.1, 8), (0.1, 40)] {
        let limits = Limits::scaled(factor);
        let terms = Terms {
            limits: Some(limits),
            ..terms(workers)
        };
        let service = Capacity::new(terms, 1);
        let (took, _) = carried(lane(&service, 8), 20_000).await;
        let account = service.users()[0].clone();
        let windows = took.as_secs_f64() / limits.window.as_secs_f64();
        let by_time = limits.execution.as_secs_f64() / time_of_a_request(terms).as_secs_f64();
        let granted = by_time.min(f64::from(limits.requests)) * windows;
        let used = f64::from(account.carried) / granted;
        assert_eq!(account.breaches, 0);
        let penalties = f64::from(account.refused);
        assert!(
            used >= 0.9 && penalties < granted / 20.0,
            "{factor}, {workers} workers: {used:.3}, {penalties} penalties"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_limit_on_time_grants_is_used_with_shorter_requests() {
    for (factor, workers) in [(0.02, 8), (0.02, 40), (0.1, 8), (0.1, 40)] {
        let limits = Limits::scaled(factor);
        let terms = Terms {
            limits: Some(limits),
            ..terms(workers)
        };
        let service = Capacity::new(terms, 1);
        let options = batches_of(100);
        let lane = Lane::of(service.doors(), options, Arc::default());
        let (took, _) = carried(lane, 60_000).await;
        let account = service.users()[0].clone();
        let windows = took.as_secs_f64() / limits.window.as_secs_f64();
        let used = account.spent.as_secs_f64() / (limits.execution.as_secs_f64() * windows);
        assert_eq!(account.breaches, 0);
        assert!(account.smallest <= 50, "{}", account.smallest);
        assert!(
            used >= 0.9,
            "{factor}, {workers} workers: {used:.3}, {} penalties, {} carried",
            account.refused,
            account.carried
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_requests_at_a_time_is_met_rarely_and_remembered() {
    let limits = Limits {
        concurrent: 20,
        ..Limits::scaled(1000.0)
    };
    let terms = Terms {
        limits: Some(limits),
        ..terms(100)
    };
    let service = Capacity::new(terms, 1);
    let (took, _) = carried(lane(&service, 8), 30_000).await;
    let best = blasted(terms, 20, 3_000).await;
    let account = service.users()[0].clone();
    assert_eq!(account.breaches, 0);
    assert!(account.refused <= 20, "{}", account.refused);
    let share = best.as_secs_f64() / took.as_secs_f64();
    assert!(share >= 0.9, "{share:.3}");
}

#[tokio::test(start_paused = true)]
async fn while_one_user_is_in_a_penalty_the_others_send() {
    let service = Capacity::new(terms(8), 2);
    service.users()[0].shut_until = Some(Instant::now() + seconds(600));
    let (took, report) = carried(lane(&service, 8), 20_000).await;
    assert!(took < seconds(100), "{took:?}");
    // Somebody could send all the time.
    assert_eq!(report.traffic.waited, Duration::ZERO);
    let users = service.users().clone();
    assert_eq!((users[0].breaches, users[0].carried), (0, 0));
    assert!(users[0].refused <= 8, "{}", users[0].refused);
    assert_eq!(users[1].carried, 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_secret_fails_is_dropped_and_the_others_do_its_work() {
    let service = Capacity::new(terms(8), 3);
    service.users()[1].fails_from = Some(Instant::now() + seconds(3));
    let lane = lane(&service, 4);
    carried(lane.clone(), 20_000).await;
    let dropped = lane.dropped();
    assert_eq!((dropped.len(), dropped[0].user), (1, 1));
    let users = service.users().clone();
    assert!(users.iter().all(|user| user.carried > 0));
}

#[tokio::test(start_paused = true)]
async fn two_users_are_granted_twice_as_much() {
    let terms = Terms {
        limits: Some(Limits::scaled(0.02)),
        ..terms(40)
    };
    let mut times = Vec::new();
    for users in [1, 2] {
        let service = Capacity::new(terms, users);
        let (took, _) = carried(lane(&service, 8), 20_000).await;
        assert!(service.users().iter().all(|user| user.breaches == 0));
        times.push(took);
    }
    assert!(times[1] < times[0] * 3 / 5, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_get_no_more_rows_than_take_ten_seconds() {
    // A hundred rows of a table with slow plug-ins take 40 s.
    let terms = Terms {
        per_row: Duration::from_millis(400),
        ..terms(8)
    };
    let service = Capacity::new(terms, 1);
    let lane = Lane::of(service.doors(), batches_of(100), Arc::default());
    carried(lane, 20_000).await;
    let sizes = service.users()[0].sizes.clone();
    let (first, rest) = sizes.split_at(8);
    assert_eq!(first, [100; 8]);
    // The time for which they wait for each other counts too: with three times as many as are worked on, a third.
    let rest = &rest[..rest.len() - 1];
    assert!(rest.iter().all(|size| (8..=25).contains(size)), "{rest:?}");
}

/// Rows come in handfuls that are no whole batches: between two of them a slot is free, and more is there all the same.
#[tokio::test(start_paused = true)]
async fn a_width_that_is_far_too_wide_is_narrowed() {
    let service = Capacity::new(terms(4), 1);
    let meter = Arc::new(Meter::default());
    let options = Options {
        first_concurrency: NonZeroUsize::new(52).unwrap(),
        ..batches_of(BATCH)
    };
    let lane = Lane::of(service.doors(), options, Arc::clone(&meter));
    carried(lane, 20_000).await;
    let curve = meter.measured().curve;
    let second_half = curve.iter().skip(curve.len() / 2);
    let widest = second_half.map(|point| point.in_flight).max();
    assert!(widest < Some(13), "{widest:?}");
}
