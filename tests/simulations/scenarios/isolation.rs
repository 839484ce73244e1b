//! Bad rows are found, and good rows do not pay for them.
#![cfg(test)]

use std::sync::Arc;

use segue::dispatch::StopCause;
use segue::model::{Fate, RejectCode};

use crate::chaos::Fault;
use crate::extract::{Row, UNASKABLE_NUMBER, resellers};
use crate::run::Setting;
use crate::service::ModelService;
use crate::setup::{batches_of, is_reject, reject, run, with};

#[tokio::test(start_paused = true)]
async fn one_bad_row_among_a_thousand_is_found() {
    let service = Arc::new(ModelService::new().atomic());
    let mut rows = resellers(1000);
    rows[636] = rows[636].clone().bad();
    let simulated = run(&rows, &service, with(batches_of(1000))).await;
    assert_eq!(simulated.accepted(), 999);
    let reject = reject(&simulated, &rows[636]);
    assert_eq!(reject.code, RejectCode("business_rule"));
    assert_eq!(reject.advice, "Ask for another name.");
    assert_eq!(
        reject.service.as_ref().unwrap().message,
        "the row is refused"
    );
    // One request, and 2 · 1 · ⌈log₂ 1000⌉ more.
    let requests = service.state().batches.len();
    assert!(requests <= 1 + 20, "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn several_bad_rows_are_found_within_the_bound() {
    let service = Arc::new(ModelService::new().atomic());
    let mut rows = resellers(512);
    for at in [0, 1, 100, 300, 511] {
        rows[at] = rows[at].clone().bad();
    }
    let simulated = run(&rows, &service, with(batches_of(512))).await;
    assert_eq!((simulated.accepted(), simulated.count(is_reject)), (507, 5));
    let requests = service.state().batches.len();
    assert!(requests <= 1 + 2 * 5 * 9, "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn a_first_batch_that_does_not_fit_the_table_stops_the_run() {
    let service = Arc::new(ModelService::new());
    let rows: Vec<Row> = resellers(150).into_iter().map(Row::unfit).collect();
    let simulated = run(&rows, &service, Setting::default()).await;
    assert!(matches!(
        simulated.report.stopped,
        Some(StopCause::Contract(_))
    ));
    assert_eq!(simulated.not_attempted(), simulated.handed);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_does_not_fit_among_rows_that_do_is_a_reject() {
    let service = Arc::new(ModelService::new());
    let mut rows = resellers(150);
    rows[7] = rows[7].clone().unfit();
    let simulated = run(&rows, &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 149);
    let code = &reject(&simulated, &rows[7]).code;
    assert_eq!(*code, RejectCode("request_unfit"));
}

#[tokio::test(start_paused = true)]
async fn one_key_that_cannot_be_asked_for_is_found_among_many() {
    let service = Arc::new(ModelService::new());
    let mut rows: Vec<Row> = resellers(400).into_iter().map(Row::with_slash).collect();
    rows[233].number = UNASKABLE_NUMBER.to_owned();
    let simulated = run(&rows, &service, Setting::default()).await;
    assert_eq!((simulated.accepted(), simulated.count(is_reject)), (399, 1));
    let code = &reject(&simulated, &rows[233]).code;
    assert_eq!(*code, RejectCode("business_rule"));
}

#[tokio::test(start_paused = true)]
async fn a_row_at_which_every_request_fails_sinks_no_other() {
    for fate in [Fate::Refused, Fate::Lost] {
        for (count, poisonous) in [(2, vec![0]), (50, vec![17]), (1500, vec![3, 4, 777, 1499])] {
            let service = Arc::new(ModelService::new());
            let mut rows = resellers(count);
            for at in &poisonous {
                rows[*at] = rows[*at].clone().poisonous(fate);
            }
            let simulated = run(&rows, &service, Setting::default()).await;
            assert_eq!(simulated.accepted(), rows.len() - poisonous.len());
            assert_eq!(simulated.report.stopped, None);
            for at in poisonous {
                let code = &reject(&simulated, &rows[at]).code;
                assert_eq!(*code, RejectCode::SERVICE_UNAVAILABLE);
            }
        }
    }
}

/// Some answers came before the service died, and prove nothing about any row.
#[tokio::test(start_paused = true)]
async fn a_service_that_dies_in_the_middle_of_a_run_rejects_nobody() {
    for fault in [Fault::Unavailable, Fault::LostBefore] {
        let service = ModelService::new().then_well().then_well().always(fault);
        let service = Arc::new(service);
        let simulated = run(&resellers(5000), &service, Setting::default()).await;
        assert_eq!(simulated.count(is_reject), 0);
        assert!(matches!(
            simulated.report.stopped,
            Some(StopCause::Exhausted(_))
        ));
    }
}
