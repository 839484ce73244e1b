//! What a run has done so far, for whoever looks.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::dataverse::ServiceLimit;
use crate::dispatch::{Measured, Meter, Pulse, Traffic};
use crate::ledger::SurveyCounts;
use crate::report::RowCounts;

/// What a run has done so far. Written by the run, read by whoever shows it.
#[derive(Default)]
pub struct Progress {
    stage: AtomicU8,
    read: AtomicU64,
    unchanged: AtomicU64,
    due: AtomicU64,
    settled: AtomicU64,
    rejected: AtomicU64,
    traffic: Mutex<Option<TrafficGauge>>,
    meter: Arc<Meter>,
}

type TrafficGauge = Box<dyn Fn() -> Traffic + Send>;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Extract, environment, mapping.
    #[default]
    Opening,
    /// Another run has the table.
    Waiting,
    /// The first reading.
    Surveying,
    /// The second reading, and what follows from it.
    Sending,
    /// The ledger is put in order and the results are written.
    Finishing,
}

/// What a run has done at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Where it is.
    pub stage: Stage,
    /// Rows of the first reading.
    pub read: u64,
    /// Rows of which nothing differs, as far as the first reading knows.
    pub unchanged: u64,
    /// Rows to be looked at again.
    pub due: u64,
    /// Due rows that have their outcome.
    pub settled: u64,
    /// Rejects.
    pub rejected: u64,
    /// Rows that the service has answered.
    pub answered: u64,
    /// Requests and waits of the part of the run that is under way.
    pub traffic: Traffic,
    /// What the run waits for.
    pub waiting: Waiting,
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// Nothing but answers, if anything.
    #[default]
    No,
    /// The service said to wait.
    Throttled {
        /// Because of what.
        limit: ServiceLimit,
        /// How long.
        left: Duration,
    },
    /// The service failed; it is tried again after that time.
    BackingOff {
        /// How long.
        left: Duration,
    },
    /// Records that must be known before anything is written.
    LookingUp,
}

impl Waiting {
    fn of(traffic: &Traffic, pulse: &Pulse) -> Self {
        if !traffic.pause.is_zero() {
            let limit = ServiceLimit::of(&pulse.said);
            let left = traffic.pause;
            Self::Throttled { limit, left }
        } else if pulse.in_flight == 0 && !pulse.backing_off.is_zero() {
            let left = pulse.backing_off;
            Self::BackingOff { left }
        } else if pulse.in_flight > 0 && pulse.in_flight == pulse.looking_up {
            Self::LookingUp
        } else {
            Self::No
        }
    }
}

impl Progress {
    /// How far it is; cheap enough to ask many times a second.
    pub fn seen(&self) -> Seen {
        let traffic = self.traffic();
        let pulse = self.meter.pulse();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            stage: match self.stage.load(Ordering::Relaxed) {
                0 => Stage::Opening,
                1 => Stage::Waiting,
                2 => Stage::Surveying,
                3 => Stage::Sending,
                _ => Stage::Finishing,
            },
            read: of(&self.read),
            unchanged: of(&self.unchanged),
            due: of(&self.due),
            settled: of(&self.settled),
            rejected: of(&self.rejected),
            answered: pulse.rows,
            waiting: Waiting::of(&traffic, &pulse),
            traffic,
        }
    }

    fn traffic(&self) -> Traffic {
        let gauge = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        gauge.as_ref().map_or_else(Traffic::default, |look| look())
    }

    /// What all lanes of the run write to.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// What the requests of the whole run came to.
    pub(super) fn measured(&self) -> Measured {
        // The lane that is still there puts its penalty on the meter when it is asked.
        self.traffic();
        self.meter.measured()
    }

    pub(super) fn enter(&self, stage: Stage) {
        let number = match stage {
            Stage::Opening => 0,
            Stage::Waiting => 1,
            Stage::Surveying => 2,
            Stage::Sending => 3,
            Stage::Finishing => 4,
        };
        self.stage.store(number, Ordering::Relaxed);
    }

    pub(super) fn read(&self, rows: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn surveyed(&self, counts: &SurveyCounts) {
        self.unchanged.store(counts.unchanged, Ordering::Relaxed);
        let due = counts.read - counts.unchanged;
        self.due.store(due, Ordering::Relaxed);
    }

    /// `before` are the counts of the survey.
    pub(super) fn settled(&self, before: &RowCounts, now: &RowCounts) {
        let settled = now.outcomes() - before.outcomes();
        self.settled.store(settled, Ordering::Relaxed);
        self.rejected.store(now.rejected, Ordering::Relaxed);
    }

    pub(super) fn gauge(&self, look: TrafficGauge) {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }
}
