//! One run: drafts through resolver and dispatcher, outcomes gathered.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use segue::dispatch::{
    DispatchReport, Lane, Mode, Options, ResolveReport, Rules, Stopping, dispatch, handfuls,
    resolve,
};
use segue::model::{Outcome, Position, Verdict};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::extract::{Row, derived_id, digester, target};
use crate::service::{ModelService, run_start, us};

/// How a run goes about it.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) options: Options,
    pub(crate) mode: Mode,
    /// How many application users there are.
    pub(crate) users: usize,
    /// Somebody tells it to stop, after that time.
    pub(crate) signals: Vec<(Duration, Stopping)>,
    /// The recorder dies after so many outcomes.
    pub(crate) outcomes_taken: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            options: Options {
                seed: 7,
                ..Options::default()
            },
            mode: Mode::Upsert,
            users: 1,
            signals: Vec::new(),
            outcomes_taken: usize::MAX,
        }
    }
}

/// Whether the recorder took every outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorder {
    Lives,
    Died,
}

impl Recorder {
    fn after(taken: usize, at_most: usize) -> Self {
        if taken < at_most {
            Self::Lives
        } else {
            Self::Died
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Simulated {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) report: DispatchReport,
    pub(crate) resolved: ResolveReport,
    /// How many drafts the stages took.
    pub(crate) handed: usize,
    pub(crate) elapsed: Duration,
    pub(crate) recorder: Recorder,
}

impl Simulated {
    pub(crate) fn verdict(&self, row: &Row) -> &Verdict {
        &self.told(row.position()).unwrap().verdict
    }

    pub(crate) fn told(&self, position: Position) -> Option<&Outcome> {
        let of_row = |outcome: &&Outcome| outcome.operation.row.position == position;
        self.outcomes.iter().find(of_row)
    }

    pub(crate) fn count(&self, counts: impl Fn(&Verdict) -> bool) -> usize {
        let verdicts = self.outcomes.iter().map(|outcome| &outcome.verdict);
        verdicts.filter(|verdict| counts(verdict)).count()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Accepted(_)))
    }

    pub(crate) fn not_attempted(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::NotAttempted(_)))
    }
}

pub(crate) fn rules(mode: Mode) -> Arc<Rules> {
    Arc::new(Rules {
        target: Arc::new(target()),
        mode,
        key_digest: digester(),
        derived_id: Arc::new(derived_id),
        our_users: vec![us()],
        since: Some(run_start()),
        resumes: false,
    })
}

pub(crate) async fn simulate(
    rows: &[Row],
    service: &Arc<ModelService>,
    setting: Setting,
) -> Simulated {
    let began = Instant::now();
    let rules = rules(setting.mode);
    let seats = service.seats(setting.users);
    let lane = Lane::of(seats, setting.options, Arc::default());
    let (drafts_out, drafts_in) = mpsc::channel(4);
    let (operations_out, operations_in) = mpsc::channel(4);
    let (outcomes_out, mut outcomes_in) = mpsc::channel(256);
    let (stop_out, stop_in) = watch::channel(Stopping::No);

    let mut signals = JoinSet::new();
    signals.spawn(async move {
        for (after, stopping) in setting.signals {
            sleep(after).await;
            stop_out.send_replace(stopping);
        }
        std::future::pending::<()>().await;
    });
    let feed = async move {
        let mut handed = 0;
        for together in handfuls(rows.iter().map(Row::draft)) {
            let many = together.len();
            if drafts_out.send(together).await.is_err() {
                break;
            }
            handed += many;
        }
        handed
    };
    let record = async move {
        let mut outcomes = Vec::new();
        while outcomes.len() < setting.outcomes_taken
            && let Some(settled) = outcomes_in.recv().await
        {
            outcomes.extend(settled);
        }
        outcomes
    };
    let resolution = resolve(
        lane.clone(),
        Arc::clone(&rules),
        drafts_in,
        operations_out,
        outcomes_out.clone(),
        stop_in.clone(),
    );
    let dispatching = dispatch(lane, rules, operations_in, outcomes_out, stop_in);
    let (handed, resolved, report, outcomes) = tokio::join!(feed, resolution, dispatching, record);
    Simulated {
        recorder: Recorder::after(outcomes.len(), setting.outcomes_taken),
        outcomes,
        report,
        resolved,
        handed,
        elapsed: began.elapsed(),
    }
}
