//! The pace: as fast as the best fixed width, without being told it.
#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use segue::dispatch::{DispatchReport, Lane, Options, Stopping, dispatch, resolve};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::capacity::{Capacity, Door, Limits, Terms};
use crate::extract::resellers;
use crate::run::rules;
use crate::setup::batches_of;

const BATCH: usize = 10;

fn terms(workers: usize) -> Terms {
    Terms {
        workers,
        per_request: Duration::from_millis(20),
        per_row: Duration::from_millis(10),
        limits: None,
    }
}

/// Carries so many rows through the gate; tells how long it took.
async fn carried(lane: Lane<Door>, rows: u64) -> (Duration, DispatchReport) {
    let rules = rules(segue::dispatch::Mode::Upsert);
    let (drafts_out, drafts_in) = mpsc::channel(256);
    let (operations_out, operations_in) = mpsc::channel(256);
    let (outcomes_out, mut outcomes_in) = mpsc::channel(256);
    let (_stop_out, stop_in) = watch::channel(Stopping::No);
    let began = Instant::now();
    let feed = async move {
        for row in resellers(rows) {
            drafts_out.send(row.draft()).await.unwrap();
        }
    };
    let record = async move {
        let mut outcomes = 0;
        while outcomes_in.recv().await.is_some() {
            outcomes += 1;
        }
        outcomes
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
    let ((), resolved, report, outcomes) = tokio::join!(feed, resolving, dispatching, record);
    assert_eq!((resolved.stopped, outcomes), (None, rows));
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

fn time_of_a_request(terms: Terms) -> Duration {
    terms.per_request + terms.per_row * u32::try_from(BATCH).unwrap()
}

fn lane(service: &Arc<Capacity>, first: usize) -> Lane<Door> {
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
