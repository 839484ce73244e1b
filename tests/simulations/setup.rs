//! Words in which scenarios are told.
#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use segue::dispatch::{Mode, Options};
use segue::model::{Accepted, Effect, Reject, Verdict};

use crate::extract::{Row, resellers};
use crate::laws;
use crate::run::{Setting, Simulated, simulate};
use crate::service::ModelService;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn reseller() -> Row {
    resellers(1).remove(0)
}

pub(crate) fn with(options: Options) -> Setting {
    Setting {
        options,
        ..Setting::default()
    }
}

pub(crate) fn mode(mode: Mode) -> Setting {
    Setting {
        mode,
        ..Setting::default()
    }
}

pub(crate) fn batches_of(operations: usize) -> Options {
    Options {
        batch_operations: NonZeroUsize::new(operations).unwrap(),
        ..Setting::default().options
    }
}

pub(crate) fn one_at_a_time() -> Setting {
    with(Options {
        concurrency: NonZeroUsize::MIN,
        ..batches_of(1)
    })
}

/// Runs and holds the laws.
pub(crate) async fn run(rows: &[Row], service: &Arc<ModelService>, setting: Setting) -> Simulated {
    let options = setting.options.clone();
    let simulated = simulate(rows, service, setting).await;
    laws::conservation(&simulated);
    laws::manners(service, &options);
    laws::equality(&simulated, rows, service);
    laws::candour(&simulated, service);
    laws::credit(&simulated, rows, service);
    simulated
}

pub(crate) fn effect(simulated: &Simulated, row: &Row) -> Effect {
    match simulated.verdict(row) {
        Verdict::Accepted(Accepted { effect, .. }) => *effect,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn reject<'a>(simulated: &'a Simulated, row: &Row) -> &'a Reject {
    match simulated.verdict(row) {
        Verdict::Rejected(reject) => reject,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn is_reject(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Rejected(_))
}
