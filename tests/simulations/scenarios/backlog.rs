//! What the gate has taken and not yet given back is bounded, however quickly the service answers.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use segue::dispatch::{Lane, Mode, Stopping, dispatch, resolve};
use segue::model::{Accepted, Batch, Destination, Effect, Failure, Find, Found, Operation, Reply};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::extract::{derived_id, resellers};
use crate::run::rules;
use crate::setup::batches_of;

/// Answers at once, on whatever thread asks.
#[derive(Debug, Default)]
struct AtOnce {
    taken: AtomicUsize,
    given: AtomicUsize,
    most: AtomicUsize,
}

impl Destination for AtOnce {
    async fn send(&self, batch: &Batch) -> Vec<Reply> {
        let taken = self
            .taken
            .fetch_add(batch.operations.len(), Ordering::SeqCst)
            + batch.operations.len();
        let owed = taken.saturating_sub(self.given.load(Ordering::SeqCst));
        self.most.fetch_max(owed, Ordering::SeqCst);
        let created = |operation: &Operation| {
            Reply::Accepted(Accepted {
                effect: Effect::Created,
                id: Some(derived_id(&operation.record)),
                made: None,
            })
        };
        batch.operations.iter().map(created).collect()
    }

    async fn find(&self, _: &Find) -> Result<Vec<Found>, Failure> {
        Ok(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_that_nobody_has_judged_yet_take_room() {
    let service = Arc::new(AtOnce::default());
    let lane = Lane::of(vec![Arc::clone(&service)], batches_of(10), Arc::default());
    let rules = rules(Mode::Upsert);
    let (drafts_out, drafts_in) = mpsc::channel(100);
    let (operations_out, operations_in) = mpsc::channel(100);
    let (outcomes_out, mut outcomes_in) = mpsc::channel(1);
    let (_stop_out, stop_in) = watch::channel(Stopping::No);
    let mut stages = JoinSet::new();
    stages.spawn(async move {
        for row in resellers(50_000) {
            drafts_out.send(vec![row.draft()]).await.unwrap();
        }
    });
    let (finder, known, told, stopped) = (
        lane.clone(),
        Arc::clone(&rules),
        outcomes_out.clone(),
        stop_in.clone(),
    );
    stages.spawn(async move {
        resolve(finder, known, drafts_in, operations_out, told, stopped).await;
    });
    stages.spawn(async move {
        dispatch(lane, rules, operations_in, outcomes_out, stop_in).await;
    });
    let mut outcomes = 0;
    while let Some(settled) = outcomes_in.recv().await {
        outcomes += settled.len();
        service.given.fetch_add(settled.len(), Ordering::SeqCst);
    }
    stages.join_all().await;
    assert_eq!(outcomes, 50_000);
    // 52 requests of 10, and what is on its way to whoever counts.
    let most = service.most.load(Ordering::SeqCst);
    assert!(most <= 52 * 10 + 20, "{most} operations were owed");
}
