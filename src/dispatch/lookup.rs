//! Finds records by key, patiently: waits out penalties, backs off, splits what is refused.

use std::sync::Arc;

use super::account::StopCause;
use super::lane::Lane;
use super::triage::{Company, Halt, Next, triage};
use crate::model::{Destination, Failure, Find, Found, Target, Value};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Every record that was found, in no order.
    pub(super) found: Vec<Found>,
    /// Keys that the service does not take, and what it said.
    pub(super) refused: Vec<(Vec<Value>, Failure)>,
}

/// Keys that are looked up with one find.
struct Ask {
    keys: Vec<Vec<Value>>,
    failures: u32,
}

/// Finds the records of those keys; `whose` is another table if they are not the lane's own.
///
/// # Errors
/// Why the run stops: the service cannot be asked.
///
/// # Cancellation
/// Safe: it only reads.
pub(super) async fn look_up<D: Destination>(
    lane: &Lane<D>,
    whose: Option<&Arc<Target>>,
    keys: Vec<Vec<Value>>,
) -> Result<Looked, StopCause> {
    let mut looked = Looked::default();
    let mut asks = vec![Ask { keys, failures: 0 }];
    while let Some(mut ask) = asks.pop() {
        if let Some(cause) = lane.must_stop() {
            return Err(cause);
        }
        let keys = ask.keys.clone();
        let what = match whose {
            None => Find::ByKey(keys),
            Some(target) => Find::Referred {
                target: Arc::clone(target),
                keys,
            },
        };
        let failure = match lane.find(&what).await {
            Ok(found) => {
                lane.progressed();
                looked.found.extend(found);
                continue;
            }
            Err(failure) => failure,
        };
        match triage(&failure, Company::of(ask.keys.len())) {
            Next::Wait => asks.push(ask),
            Next::BackOff => {
                lane.troubled(&failure.error);
                ask.failures += 1;
                if ask.failures >= lane.options().tries.get() {
                    return Err(StopCause::Exhausted(failure.error));
                }
                tokio::time::sleep(lane.backoff(ask.failures)).await;
                asks.push(ask);
            }
            // A find has one answer for all its keys, whoever gave it.
            Next::Halve | Next::Split | Next::Isolate | Next::Follow | Next::Reject
                if ask.keys.len() > 1 =>
            {
                asks.extend(halves(ask));
            }
            Next::Halve | Next::Split | Next::Isolate | Next::Follow | Next::Reject => {
                let refused = ask.keys.into_iter().map(|key| (key, failure.clone()));
                looked.refused.extend(refused);
            }
            Next::Stop(Halt::Credential) => return Err(StopCause::Credential(failure.error)),
            // A find has no rows of its own that could be at fault.
            Next::Judge | Next::Stop(Halt::Contract) => {
                return Err(StopCause::Contract(failure.error));
            }
        }
    }
    Ok(looked)
}

fn halves(ask: Ask) -> [Ask; 2] {
    let failures = ask.failures;
    let mut keys = ask.keys;
    let other = keys.split_off(keys.len().div_ceil(2));
    [keys, other].map(|keys| Ask { keys, failures })
}
