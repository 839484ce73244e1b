//! The service protects itself: penalties, sizes, slowness.
#![cfg(test)]

use std::sync::Arc;

use segue::model::RejectCode;

use crate::chaos::Fault;
use crate::extract::{Row, resellers};
use crate::run::Setting;
use crate::service::ModelService;
use crate::setup::{is_reject, one_at_a_time, reject, reseller, run, seconds};

#[tokio::test(start_paused = true)]
async fn a_thousand_rows_travel_in_ten_batches() {
    let service = Arc::new(ModelService::new());
    let simulated = run(&resellers(1000), &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 1000);
    assert_eq!(service.state().batches.len(), 10);
    assert_eq!(simulated.report.traffic.batches, 10);
    assert_eq!(simulated.report.stopped, None);
}

#[tokio::test(start_paused = true)]
async fn throttling_holds_the_gate() {
    let service = ModelService::new().then(Fault::Throttle(Some(seconds(17))));
    let service = Arc::new(service);
    let simulated = run(&resellers(2000), &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 2000);
    let traffic = simulated.report.traffic;
    assert_eq!((traffic.throttled, traffic.waited), (1, seconds(17)));
    // Eight went out before anybody knew, none in the penalty, and afterwards at most four at a time.
    let times: Vec<_> = service.state().batches.iter().map(|one| one.at).collect();
    let first = times[0];
    let pause = times.iter().skip(8).min().copied().unwrap() - first;
    assert!(pause >= seconds(17), "{pause:?}");
    let after = times.iter().filter(|at| **at == first + pause).count();
    assert_eq!(after, 4);
}

#[tokio::test(start_paused = true)]
async fn a_penalty_holds_the_finds_too() {
    let service = ModelService::new().then(Fault::Throttle(Some(seconds(60))));
    let service = Arc::new(service);
    let rows: Vec<Row> = resellers(900).into_iter().map(Row::with_slash).collect();
    let simulated = run(&rows, &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 900);
    assert!(simulated.elapsed >= seconds(60));
}

#[tokio::test(start_paused = true)]
async fn throttling_without_a_time_is_waited_out_longer_each_time() {
    let service = (0..4).fold(ModelService::new(), |service, _| {
        service.then(Fault::Throttle(None))
    });
    let service = Arc::new(service);
    let simulated = run(&[reseller()], &service, one_at_a_time()).await;
    assert_eq!(simulated.accepted(), 1);
    let waited = simulated.report.traffic.waited;
    assert!(waited >= seconds(1 + 2 + 4 + 8) && waited <= seconds(30));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_halves_until_it_fits() {
    let service = Arc::new(ModelService::new().at_most(30));
    let simulated = run(&resellers(1000), &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 1000);
    let refused = service
        .state()
        .batches
        .iter()
        .filter(|one| one.size > 30)
        .count();
    assert!(refused <= 40, "{refused} requests were too large");
}

#[tokio::test(start_paused = true)]
async fn a_row_too_large_for_a_request_of_its_own_is_a_reject() {
    let service = Arc::new(ModelService::new().at_most(0));
    let simulated = run(&resellers(3), &service, Setting::default()).await;
    assert_eq!(simulated.count(is_reject), 3);
    let code = &reject(&simulated, &reseller()).code;
    assert_eq!(*code, RejectCode("too_large"));
}

#[tokio::test(start_paused = true)]
async fn slow_batches_become_smaller() {
    let slow = (0..8).fold(ModelService::new(), |service, _| {
        service.then(Fault::Slow(seconds(40)))
    });
    let service = Arc::new(slow);
    run(&resellers(2000), &service, Setting::default()).await;
    let sizes: Vec<usize> = service.state().batches.iter().map(|one| one.size).collect();
    assert_eq!(sizes[..8], [100; 8]);
    assert!(sizes[8..12].iter().all(|size| *size < 30), "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_size_that_shrank_grows_back_by_a_tenth_at_a_time() {
    let slow = (0..8).fold(ModelService::new(), |service, _| {
        service.then(Fault::Slow(seconds(40)))
    });
    let service = Arc::new(slow);
    run(&resellers(20_000), &service, Setting::default()).await;
    let sizes: Vec<usize> = service.state().batches.iter().map(|one| one.size).collect();
    let mut largest = sizes[8];
    assert!(largest < 30, "{largest}");
    for size in &sizes[8..] {
        // Several answers may have come since the request before.
        assert!(*size <= largest + (largest / 10).max(1) * 8, "{sizes:?}");
        largest = largest.max(*size);
    }
    assert!(largest > 2 * sizes[8], "{sizes:?}");
}
