//! How sending went: speed, latency, waits and their causes, what was in flight when.

use serde::{Deserialize, Serialize};

/// How sending went. All zero and empty if nothing was sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SendingResults {
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Rows that the service answered for themselves, well or not; a row that takes two writes counts twice.
    pub rows: u64,
    /// Those by those seconds.
    pub rows_per_second: f64,
    /// The most requests that were in flight at a time.
    pub most_in_flight: u64,
    /// How long requests took that carried operations.
    pub latency: LatencyResults,
    /// What was waited for, and how long.
    pub waits: Vec<WaitResults>,
    /// What was in flight when.
    pub curve: CurveResults,
}

/// How long requests took, in seconds; waits before them left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LatencyResults {
    /// How many.
    pub requests: u64,
    /// Half of them took no longer.
    pub p50: f64,
    /// Nine of ten took no longer.
    pub p90: f64,
    /// All but one in a hundred took no longer.
    pub p99: f64,
    /// None took longer.
    pub max: f64,
}

/// Time that was spent for one cause. Times of different causes may overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitResults {
    /// What it was.
    pub cause: WaitReason,
    /// The service's code, if it said one.
    pub code: Option<String>,
    /// How often.
    pub times: u64,
    /// How long; what overlaps counts once.
    pub seconds: f64,
}

/// What was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// The service's limit of requests in five minutes.
    RequestsLimit,
    /// The service's limit of execution time in five minutes.
    TimeLimit,
    /// The service's limit of requests at a time.
    ConcurrencyLimit,
    /// The service throttled for another reason, or told none.
    Throttled,
    /// The service failed; what it was asked is tried again after a while.
    BackOff,
    /// Records were looked for.
    LookingUp,
}

/// What was in flight in the course of the run, in stretches of one length.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CurveResults {
    /// The length of a stretch in seconds; the first one begins with the first request.
    pub every: f64,
    /// The most requests that were in flight in each stretch.
    pub in_flight: Vec<u64>,
    /// The rows that were answered in each stretch.
    pub rows: Vec<u64>,
}
