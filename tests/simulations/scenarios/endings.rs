//! How a run ends before it is done.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use segue::dispatch::{Options, StopCause, Stopping};

use crate::chaos::Fault;
use crate::extract::{Row, resellers};
use crate::run::Setting;
use crate::service::ModelService;
use crate::setup::{batches_of, is_reject, one_at_a_time, run, seconds, with};

#[tokio::test(start_paused = true)]
async fn a_service_that_throttles_for_longer_than_anybody_waits_ends_the_run() {
    let day = Fault::Throttle(Some(Duration::from_hours(24)));
    let service = Arc::new(ModelService::new().then_well().always(day));
    let simulated = run(&resellers(300), &service, one_at_a_time()).await;
    assert!(matches!(
        simulated.report.stopped,
        Some(StopCause::Exhausted(_))
    ));
    assert_eq!((simulated.accepted(), simulated.count(is_reject)), (1, 0));
    assert!(simulated.elapsed < seconds(2), "nobody waits in vain");
}

#[tokio::test(start_paused = true)]
async fn an_expired_secret_stops_the_run() {
    let service = ModelService::new().then_well().always(Fault::Expired);
    let service = Arc::new(service);
    let simulated = run(&resellers(20), &service, one_at_a_time()).await;
    assert!(matches!(
        simulated.report.stopped,
        Some(StopCause::Credential(_))
    ));
    assert_eq!(simulated.accepted(), 1);
    assert_eq!(simulated.not_attempted(), simulated.handed - 1);
    assert_eq!(service.state().batches.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_secret_that_a_find_met_stops_the_run() {
    let service = Arc::new(ModelService::new().always(Fault::Expired));
    let rows: Vec<Row> = resellers(20).into_iter().map(Row::with_slash).collect();
    let simulated = run(&rows, &service, Setting::default()).await;
    assert!(matches!(
        simulated.report.stopped,
        Some(StopCause::Credential(_))
    ));
    assert_eq!(simulated.not_attempted(), simulated.handed);
}

#[tokio::test(start_paused = true)]
async fn draining_answers_what_is_in_flight() {
    let slow = (0..8).fold(ModelService::new(), |service, _| {
        service.then(Fault::Slow(seconds(5)))
    });
    let service = Arc::new(slow);
    let setting = Setting {
        signals: vec![(seconds(1), Stopping::Drain)],
        ..Setting::default()
    };
    let simulated = run(&resellers(5000), &service, setting).await;
    assert_eq!(simulated.report.stopped, Some(StopCause::Interrupted));
    assert_eq!(simulated.accepted(), 800);
    assert_eq!(simulated.not_attempted(), simulated.handed - 800);
    assert!(simulated.elapsed < seconds(6));
}

#[tokio::test(start_paused = true)]
async fn draining_waits_no_longer_than_the_grace_period() {
    let service = Arc::new(ModelService::new().always(Fault::Slow(seconds(100))));
    let setting = Setting {
        signals: vec![(seconds(1), Stopping::Drain)],
        ..Setting::default()
    };
    let simulated = run(&resellers(50), &service, setting).await;
    assert_eq!(simulated.not_attempted(), 50);
    assert_eq!(simulated.elapsed, seconds(31));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_gives_up_at_once() {
    let service = Arc::new(ModelService::new().always(Fault::Slow(seconds(100))));
    let setting = Setting {
        signals: vec![(seconds(1), Stopping::Drain), (seconds(1), Stopping::Now)],
        ..Setting::default()
    };
    let simulated = run(&resellers(50), &service, setting).await;
    assert_eq!(simulated.not_attempted(), 50);
    assert_eq!(simulated.elapsed, seconds(2));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_while_the_service_works_is_only_a_deadline() {
    let service = Arc::new(ModelService::new().always(Fault::Slow(seconds(3))));
    let deadline = Some(tokio::time::Instant::now() + seconds(10));
    let setting = with(Options {
        deadline,
        ..batches_of(10)
    });
    let simulated = run(&resellers(5000), &service, setting).await;
    assert_eq!(simulated.report.stopped, Some(StopCause::Deadline));
    assert!(simulated.accepted() > 0 && simulated.elapsed < seconds(14));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_within_a_penalty_is_the_service_s_fault_and_nobody_waits_for_it() {
    let service = Arc::new(ModelService::new().then(Fault::Throttle(Some(seconds(90)))));
    let deadline = Some(tokio::time::Instant::now() + seconds(60));
    let setting = with(Options {
        deadline,
        ..Setting::default().options
    });
    let simulated = run(&resellers(50), &service, setting).await;
    assert!(matches!(
        simulated.report.stopped,
        Some(StopCause::Exhausted(_))
    ));
    assert!(simulated.elapsed < seconds(2));
}

#[tokio::test(start_paused = true)]
async fn a_dead_recorder_stops_the_run() {
    let service = Arc::new(ModelService::new());
    let setting = Setting {
        outcomes_taken: 10,
        ..one_at_a_time()
    };
    let simulated = run(&resellers(5000), &service, setting).await;
    assert_eq!(simulated.report.stopped, Some(StopCause::Interrupted));
    assert!(simulated.report.undelivered > 0);
    assert!(service.state().batches.len() < 600);
}
