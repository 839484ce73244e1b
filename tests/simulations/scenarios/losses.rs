//! Answers that never come, and a service that cannot work.
#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;

use segue::dispatch::{Options, StopCause};
use segue::model::{Action, Effect, RejectCode, Verdict};

use crate::chaos::Fault;
use crate::extract::resellers;
use crate::run::{Setting, simulate};
use crate::service::ModelService;
use crate::setup::{batches_of, effect, reject, reseller, run, seconds, with};

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_sent_again_and_harmless() {
    let service = Arc::new(ModelService::new().then(Fault::LostAfter));
    let rows = resellers(50);
    let simulated = run(&rows, &service, Setting::default()).await;
    assert_eq!(simulated.report.retried, 50);
    let created = simulated.count(|verdict| {
        matches!(verdict, Verdict::Accepted(accepted) if accepted.effect == Effect::Created)
    });
    assert_eq!(created, 50, "the first attempt made them");
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_in_the_middle_counts_as_far_as_it_was_read() {
    let service = Arc::new(ModelService::new().then(Fault::CutAfter(30)));
    let simulated = run(&resellers(50), &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 50);
    assert_eq!(simulated.report.retried, 20);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_is_recognised_by_its_guid() {
    let service = Arc::new(ModelService::new().then_well().then(Fault::LostAfter));
    let row = reseller().with_slash();
    let simulated = run(std::slice::from_ref(&row), &service, Setting::default()).await;
    assert_eq!(effect(&simulated, &row), Effect::Created);
    let outcome = simulated.told(row.position()).unwrap();
    assert_eq!(outcome.operation.action, Action::Update(row.derived_id()));
}

#[tokio::test(start_paused = true)]
async fn a_send_that_panics_is_a_lost_answer() {
    let service = Arc::new(ModelService::new().then(Fault::Panic));
    let simulated = run(&resellers(50), &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_row_at_which_the_service_always_fails_is_a_reject_in_the_end() {
    let service = Arc::new(ModelService::new().always(Fault::Busy(1)));
    let row = reseller();
    let simulated = run(std::slice::from_ref(&row), &service, Setting::default()).await;
    let reject = reject(&simulated, &row);
    assert_eq!(reject.code, RejectCode("service_unavailable"));
    assert_eq!(service.state().batches.len(), 5);
    assert_eq!(simulated.report.stopped, None);
}

#[tokio::test(start_paused = true)]
async fn a_dead_service_ends_the_run_and_rejects_nobody() {
    let service = Arc::new(ModelService::new().always(Fault::LostBefore));
    let simulated = run(&resellers(5000), &service, Setting::default()).await;
    assert!(matches!(
        simulated.report.stopped,
        Some(StopCause::Exhausted(_))
    ));
    assert_eq!(simulated.not_attempted(), simulated.handed);
}

/// A restart takes seconds, a failover a minute. Many requests are in flight when it begins.
#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_for_by_all_together() {
    for (rows, down) in [(40, 60), (9_000, 4), (9_000, 75)] {
        for operations in [100, 1_000] {
            let service = ModelService::new().down(seconds(1), seconds(down));
            let service = Arc::new(service);
            let setting = with(Options {
                first_concurrency: NonZeroUsize::new(48).unwrap(),
                ..batches_of(operations)
            });
            // The laws are held where runs are small: each looks every row up.
            let simulated = simulate(&resellers(rows), &service, setting).await;
            assert_eq!(simulated.report.stopped, None, "{rows} rows, {down} s");
            assert_eq!(simulated.accepted(), simulated.handed);
            assert!(simulated.elapsed < seconds(down + 45));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_affords_only_so_many_resends() {
    let service = Arc::new(ModelService::new().always(Fault::LostBefore));
    let setting = with(Options {
        retries_floor: 70,
        retries_percent: 0,
        ..Setting::default().options
    });
    let simulated = run(&resellers(50), &service, setting).await;
    assert_eq!(
        simulated.report.retried, 50,
        "20 more are affordable, not 50"
    );
    assert_eq!(simulated.not_attempted(), 50);
}
