//! The chain of one key: records that others made, moved or deleted.
#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;

use segue::dispatch::{Mode, Options};
use segue::model::{Action, ColumnSet, Effect, RecordId, RejectCode, SkipReason, Value, Verdict};
use uuid::Uuid;

use crate::extract::{EMAIL, NAME, NUMBER, Row, resellers};
use crate::run::Setting;
use crate::service::{ModelService, Rival};
use crate::setup::{effect, mode, reject, reseller, run, with};

#[tokio::test(start_paused = true)]
async fn a_record_that_others_deleted_is_written_whole_again() {
    let row = reseller();
    let (service, id) = ModelService::new().holding(row.values());
    let service = Arc::new(service.rival(&row.number, Rival::Deletes));
    let row = row.known_as(id);
    let simulated = run(std::slice::from_ref(&row), &service, Setting::default()).await;
    assert_eq!(effect(&simulated, &row), Effect::Created);
    let outcome = simulated.told(row.position()).unwrap();
    let whole: ColumnSet = [EMAIL, NAME].into_iter().collect();
    assert_eq!(outcome.operation.columns, whole);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_record_whose_key_no_url_carries_is_written_whole_again() {
    let row = reseller().with_slash();
    let gone = RecordId(Uuid::from_u128(77));
    let row = row.known_as(gone);
    let service = Arc::new(ModelService::new());
    let simulated = run(std::slice::from_ref(&row), &service, Setting::default()).await;
    assert_eq!(effect(&simulated, &row), Effect::Created);
    assert_eq!(service.state().finds.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_record_is_not_made_again_where_none_may_be_made() {
    let row = reseller().known_as(RecordId(Uuid::from_u128(77)));
    let service = Arc::new(ModelService::new());
    let rows = std::slice::from_ref(&row);
    let simulated = run(rows, &service, mode(Mode::Update)).await;
    let reject = reject(&simulated, &row);
    assert_eq!(reject.code, RejectCode("not_found"));
    assert_eq!(
        reject.reason,
        "there is no account with accountnumber = `R-1`"
    );
    let simulated = run(rows, &service, mode(Mode::UpdateOrSkip)).await;
    let skipped = Verdict::Skipped(SkipReason::NotFound);
    assert_eq!(*simulated.verdict(&row), skipped);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_moved_to_another_guid_is_updated_by_its_key() {
    let row = reseller();
    let (service, _) = ModelService::new().holding(row.values());
    let service = Arc::new(service);
    let row = row.known_as(RecordId(Uuid::from_u128(77)));
    let rows = std::slice::from_ref(&row);
    let simulated = run(rows, &service, mode(Mode::Update)).await;
    assert_eq!(effect(&simulated, &row), Effect::Updated);
}

#[tokio::test(start_paused = true)]
async fn a_raced_create_becomes_an_update() {
    let row = reseller().with_slash();
    let service = ModelService::new().rival(&row.number, Rival::Creates);
    let service = Arc::new(service);
    let simulated = run(std::slice::from_ref(&row), &service, Setting::default()).await;
    assert_eq!(effect(&simulated, &row), Effect::Updated);
    assert_eq!(service.state().records.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_raced_create_is_skipped_where_records_are_only_created() {
    let row = reseller();
    let service = ModelService::new().rival(&row.number, Rival::Creates);
    let service = Arc::new(service);
    let simulated = run(std::slice::from_ref(&row), &service, mode(Mode::Create)).await;
    let skipped = Verdict::Skipped(SkipReason::Exists);
    assert_eq!(*simulated.verdict(&row), skipped);
    let made = service.state().records.values().next().unwrap().values[NAME].clone();
    assert_eq!(made, Value::Text("made by somebody else".into()));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_exists_is_left_alone_where_records_are_only_created() {
    let row = reseller();
    let (service, _) = ModelService::new().holding(row.values());
    let service = Arc::new(service);
    let simulated = run(std::slice::from_ref(&row), &service, mode(Mode::Create)).await;
    let skipped = Verdict::Skipped(SkipReason::Exists);
    assert_eq!(*simulated.verdict(&row), skipped);
    assert_eq!(service.state().batches.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_collision_with_another_key_names_its_column_and_value() {
    let mut rows = resellers(3);
    rows[2].email = rows[0].email.clone();
    let service = Arc::new(ModelService::new());
    let simulated = run(&rows, &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 2);
    let reject = reject(&simulated, &rows[2]);
    assert_eq!(reject.code, RejectCode("duplicate_key"));
    assert_eq!(reject.column.as_deref(), Some("emailaddress1"));
    let reason = "another account has emailaddress1 = `1@reseller.example`, and the key emailaddress1 is unique";
    assert_eq!(reject.reason, reason);
    assert_eq!(
        simulated.report.retried, 0,
        "sending it again would not help"
    );
}

#[tokio::test(start_paused = true)]
async fn one_key_with_two_records_is_ambiguous() {
    let row = reseller().with_slash();
    let (service, _) = ModelService::new().holding(row.values());
    let (service, _) = service.holding(row.values());
    let service = Arc::new(service);
    let simulated = run(std::slice::from_ref(&row), &service, Setting::default()).await;
    let reject = reject(&simulated, &row);
    assert_eq!(reject.code, RejectCode("ambiguous"));
    let reason = "2 records of account have accountnumber = `R-1/NL`";
    assert_eq!(reject.reason, reason);
}

#[tokio::test(start_paused = true)]
async fn a_find_asks_for_no_more_keys_than_it_may_though_drafts_come_together() {
    let rows: Vec<Row> = resellers(200).into_iter().map(Row::with_slash).collect();
    let service = Arc::new(ModelService::new());
    let options = Options {
        find_keys: NonZeroUsize::new(40).unwrap(),
        ..Setting::default().options
    };
    let simulated = run(&rows, &service, with(options)).await;
    assert_eq!(simulated.accepted(), 200);
    let finds = service.state().finds.len();
    assert!(finds < 8, "{finds} finds");
}

#[tokio::test(start_paused = true)]
async fn keys_that_no_url_carries_are_found_in_bulk() {
    let rows: Vec<Row> = resellers(2000).into_iter().map(Row::with_slash).collect();
    let (service, id) = ModelService::new().holding(vec![
        Value::Text(rows[5].number.as_str().into()),
        Value::Null,
        Value::Null,
    ]);
    let service = Arc::new(service);
    let simulated = run(&rows, &service, Setting::default()).await;
    assert_eq!(simulated.accepted(), 2000);
    let outcome = simulated.told(rows[5].position()).unwrap();
    assert_eq!(outcome.operation.action, Action::Update(id));
    let finds = service.state().finds.len();
    assert!(finds < 12, "{finds} finds");
    assert!(
        service
            .state()
            .holder(NUMBER, &rows[7].values()[NUMBER])
            .is_some()
    );
}
