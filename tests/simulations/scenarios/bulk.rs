//! Bulk messages: all rows of one or none, and still every row for itself in the end.
#![cfg(test)]

use std::sync::Arc;

use segue::dispatch::Options;
use segue::model::{Effect, Envelopes};

use crate::chaos::Fault;
use crate::extract::{NAME, Row, resellers};
use crate::run::{Setting, Simulated};
use crate::service::{ModelService, Rival};
use crate::setup::{batches_of, effect, is_reject, reject, run, with};

fn bulk(operations: usize) -> Setting {
    with(Options {
        envelopes: Envelopes::Bulk,
        ..batches_of(operations)
    })
}

fn auto(operations: usize) -> Setting {
    with(Options {
        envelopes: Envelopes::Auto,
        ..batches_of(operations)
    })
}

/// How many requests were bulk messages, and how many were not.
fn requests(service: &ModelService) -> (usize, usize) {
    let state = service.state();
    let bulk = state.batches.iter().filter(|request| request.bulk).count();
    (bulk, state.batches.len() - bulk)
}

fn all_created(simulated: &Simulated, rows: &[Row]) -> bool {
    rows.iter()
        .all(|row| effect(simulated, row) == Effect::Created)
}

#[tokio::test(start_paused = true)]
async fn new_rows_are_looked_for_and_created_in_bulk() {
    let service = Arc::new(ModelService::new());
    let rows = resellers(1000);
    let simulated = run(&rows, &service, bulk(500)).await;
    assert!(all_created(&simulated, &rows));
    assert_eq!(simulated.resolved.looked_up, 1000);
    let (bulk, others) = requests(&service);
    assert!(bulk >= 2 && others <= 1, "{bulk} and {others}");
}

#[tokio::test(start_paused = true)]
async fn new_and_known_rows_travel_in_messages_of_their_own() {
    let (service, rows) = half_known(400);
    let simulated = run(&rows, &service, bulk(100)).await;
    assert_eq!(simulated.accepted(), 400);
    let (bulk, _) = requests(&service);
    assert!(bulk >= 4, "{bulk}");
}

fn half_known(count: u64) -> (Arc<ModelService>, Vec<Row>) {
    let mut service = ModelService::new();
    let mut rows = resellers(count);
    for row in rows.iter_mut().step_by(2) {
        let mut values = row.values();
        values[NAME] = segue::model::Value::Text("old".into());
        let (holding, id) = service.holding(values);
        service = holding;
        *row = row.clone().known_as(id);
    }
    (Arc::new(service), rows)
}

#[tokio::test(start_paused = true)]
async fn one_bad_row_among_a_thousand_costs_one_request_more() {
    let mut rows = resellers(1000);
    rows[636] = rows[636].clone().bad();
    let good = Arc::new(ModelService::new());
    run(&resellers(1000), &good, bulk(1000)).await;
    let service = Arc::new(ModelService::new());
    let simulated = run(&rows, &service, bulk(1000)).await;
    assert_eq!((simulated.accepted(), simulated.count(is_reject)), (999, 1));
    let said = reject(&simulated, &rows[636]).service.as_ref();
    assert_eq!(said.unwrap().message, "the row is refused");
    let (before, after) = (requests(&good), requests(&service));
    assert_eq!(after.0 + after.1, before.0 + before.1 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_does_not_fit_the_table_sinks_no_other() {
    let service = Arc::new(ModelService::new());
    let mut rows = resellers(100);
    rows[7] = rows[7].clone().unfit();
    let simulated = run(&rows, &service, bulk(100)).await;
    assert_eq!((simulated.accepted(), simulated.count(is_reject)), (99, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_creates_nothing_twice() {
    for fault in [Fault::LostAfter, Fault::LostBefore] {
        // The find goes first.
        let service = Arc::new(ModelService::new().then_well().then(fault));
        let rows = resellers(100);
        let simulated = run(&rows, &service, bulk(100)).await;
        assert!(all_created(&simulated, &rows));
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_somebody_makes_meanwhile_is_updated() {
    let service = Arc::new(ModelService::new().rival("R-7", Rival::Creates));
    let rows = resellers(50);
    let simulated = run(&rows, &service, bulk(50)).await;
    assert_eq!(simulated.accepted(), 50);
    assert_eq!(effect(&simulated, &rows[6]), Effect::Updated);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_too_large_are_halved_and_stay_bulk_messages() {
    let service = Arc::new(ModelService::new().at_most(100));
    let rows = resellers(400);
    let simulated = run(&rows, &service, bulk(400)).await;
    assert!(all_created(&simulated, &rows));
    let (_, others) = requests(&service);
    assert!(others <= 1, "{others}");
}

#[tokio::test(start_paused = true)]
async fn auto_goes_over_to_batches_where_every_message_is_refused() {
    let service = Arc::new(ModelService::new());
    let mut rows = resellers(1000);
    for at in (0..1000).step_by(20) {
        rows[at] = rows[at].clone().bad();
    }
    let simulated = run(&rows, &service, auto(20)).await;
    assert_eq!(
        (simulated.accepted(), simulated.count(is_reject)),
        (950, 50)
    );
    let (bulk, _) = requests(&service);
    // What was in flight when it became clear, and no more.
    assert!(bulk <= 4 + 16, "{bulk}");
}
