//! A dry run: what would be created, updated and left alone, and nothing is written.
#![cfg(test)]

use std::sync::Arc;

use segue::dispatch::{Foreseen, Lane, Mode, Options, Resolved, StopCause, Stopping, foresee};
use segue::model::{Action, RecordId, SkipReason};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::chaos::Fault;
use crate::extract::{Row, resellers};
use crate::run::{Setting, rules};
use crate::service::ModelService;
use crate::setup::{reseller, seconds};

async fn forecast(rows: &[Row], service: &Arc<ModelService>, mode: Mode) -> Vec<Foreseen> {
    let lane = Lane::of(service.seats(1), Setting::default().options, Arc::default());
    let (drafts_out, drafts_in) = mpsc::channel(16);
    let (foreseen_out, mut foreseen_in) = mpsc::channel(16);
    let (_stop, stop_in) = watch::channel(Stopping::No);
    let feed = async move {
        for row in rows {
            drafts_out.send(vec![row.draft()]).await.unwrap();
        }
    };
    let gather = async move {
        let mut gathered = Vec::new();
        while let Some(foreseen) = foreseen_in.recv().await {
            gathered.push(foreseen);
        }
        gathered
    };
    let resolving = foresee(lane, rules(mode), drafts_in, foreseen_out, stop_in);
    let ((), report, foreseen) = tokio::join!(feed, resolving, gather);
    assert_eq!(report.stopped, None);
    assert_eq!(foreseen.len(), rows.len());
    assert_eq!(service.state().batches.len(), 0, "nothing is written");
    foreseen
}

fn count(foreseen: &[Foreseen], counts: impl Fn(&Resolved) -> bool) -> usize {
    foreseen.iter().filter(|one| counts(&one.resolved)).count()
}

fn three_kinds() -> (Vec<Row>, Arc<ModelService>) {
    let mut rows = resellers(30);
    let mut service = ModelService::new();
    for row in &rows[..10] {
        (service, _) = service.holding(row.values());
    }
    for row in &mut rows[20..] {
        *row = row.clone().known_as(RecordId(Uuid::from_u128(77)));
    }
    (rows, Arc::new(service.then(Fault::Unavailable)))
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_for_every_key_that_the_ledger_does_not_know() {
    let (rows, service) = three_kinds();
    let foreseen = forecast(&rows, &service, Mode::Upsert).await;
    let creates = count(&foreseen, |one| {
        matches!(one, Resolved::Do(Action::Create(_)))
    });
    let updates = count(&foreseen, |one| {
        matches!(one, Resolved::Do(Action::Update(_)))
    });
    assert_eq!((creates, updates), (10, 20));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_the_mode_leaves_alone() {
    let (rows, service) = three_kinds();
    let foreseen = forecast(&rows, &service, Mode::Create).await;
    let exists = Resolved::Skip(SkipReason::Exists);
    assert_eq!(count(&foreseen, |one| *one == exists), 20);

    let (rows, service) = three_kinds();
    let foreseen = forecast(&rows, &service, Mode::Update).await;
    let rejects = count(&foreseen, |one| matches!(one, Resolved::Reject(_)));
    assert_eq!(rejects, 10);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_hangs_keeps_no_dry_run_beyond_its_deadline() {
    let service = Arc::new(ModelService::new().always(Fault::Silent));
    let began = Instant::now();
    let options = Options {
        deadline: Some(began + seconds(20)),
        ..Setting::default().options
    };
    let lane = Lane::of(service.seats(1), options, Arc::default());
    let (drafts_out, drafts_in) = mpsc::channel(1);
    let (foreseen_out, _foreseen) = mpsc::channel(1);
    let (_stop, stop_in) = watch::channel(Stopping::No);
    drafts_out.send(vec![reseller().draft()]).await.unwrap();
    let rules = rules(Mode::Upsert);
    let report = foresee(lane, rules, drafts_in, foreseen_out, stop_in).await;
    assert!(matches!(report.stopped, Some(StopCause::Exhausted(_))));
    assert!(began.elapsed() < seconds(25), "{:?}", began.elapsed());
}
