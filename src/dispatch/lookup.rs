//! Finds records by key or GUID, patiently: waits out penalties, backs off, splits what is refused.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::account::StopCause;
use super::lane::Lane;
use super::triage::{Company, Halt, Next, triage};
use crate::model::{Destination, Failure, Find, Found, RecordId, Target, Value};

/// What was found.
#[derive(Debug)]
pub(super) struct Looked<Sought = Vec<Value>> {
    /// Every record that was found, in no order.
    pub(super) found: Vec<Found>,
    /// Keys or GUIDs that the service does not take, and what it said.
    pub(super) refused: Vec<(Sought, Failure)>,
}

/// Keys or GUIDs that are looked up with one find.
struct Ask<Sought> {
    sought: Vec<Sought>,
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
    let what = |keys| match whose {
        None => Find::ByKey(keys),
        Some(target) => Find::Referred {
            target: Arc::clone(target),
            keys,
        },
    };
    seek(lane, keys, what).await
}

/// Finds the records of those GUIDs that are there, each with the key that it has by now.
///
/// # Errors
/// Why the run stops: the service cannot be asked.
///
/// # Cancellation
/// Safe: it only reads.
pub async fn whereabouts<D: Destination>(
    lane: &Lane<D>,
    ids: &[RecordId],
) -> Result<Vec<Found>, StopCause> {
    let mut found = Vec::new();
    for ids in ids.chunks(lane.options().find_keys.get()) {
        let looked = seek(lane, ids.to_vec(), Find::ById).await?;
        if let Some((_, failure)) = looked.refused.into_iter().next() {
            return Err(StopCause::Contract(failure.error));
        }
        found.extend(looked.found);
    }
    Ok(found)
}

async fn seek<D: Destination, Sought: Clone>(
    lane: &Lane<D>,
    sought: Vec<Sought>,
    what: impl Fn(Vec<Sought>) -> Find,
) -> Result<Looked<Sought>, StopCause> {
    let mut looked = Looked {
        found: Vec::new(),
        refused: Vec::new(),
    };
    let mut asks = vec![Ask {
        sought,
        failures: 0,
    }];
    while let Some(mut ask) = asks.pop() {
        if let Some(cause) = lane.must_stop() {
            return Err(cause);
        }
        let what = what(ask.sought.clone());
        let failure = match lane.find(&what).await? {
            Ok(found) => {
                lane.progressed();
                looked.found.extend(found);
                continue;
            }
            Err(failure) => failure,
        };
        match triage(&failure, Company::of(ask.sought.len())) {
            Next::Wait => asks.push(ask),
            Next::BackOff => {
                lane.troubled(&failure.error);
                ask.failures += 1;
                let is_tried = ask.failures >= lane.options().tries.get();
                if is_tried && !lane.waits_for_the_service() {
                    return Err(StopCause::Exhausted(failure.error));
                }
                let again_at = Instant::now() + lane.backoff(ask.failures);
                sleep_until(lane.in_time(again_at)).await;
                asks.push(ask);
            }
            // A find has one answer for all that it asks for, whoever gave it.
            Next::Halve | Next::Split | Next::Isolate | Next::Follow | Next::Reject
                if ask.sought.len() > 1 =>
            {
                asks.extend(halves(ask));
            }
            Next::Halve | Next::Split | Next::Isolate | Next::Follow | Next::Reject => {
                let refused = ask.sought.into_iter().map(|it| (it, failure.clone()));
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

fn halves<Sought>(ask: Ask<Sought>) -> [Ask<Sought>; 2] {
    let failures = ask.failures;
    let mut sought = ask.sought;
    let other = sought.split_off(sought.len().div_ceil(2));
    [sought, other].map(|sought| Ask { sought, failures })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::options::Options;
    use super::*;
    use crate::model::{Batch, Reply};

    /// A service that knows no record, and takes nothing.
    struct Empty;

    impl Destination for Empty {
        async fn send(&self, _: &Batch) -> Vec<Reply> {
            Vec::new()
        }

        async fn find(&self, _: &Find) -> Result<Vec<Found>, Failure> {
            Ok(Vec::new())
        }
    }

    /// A dry run has no gate that would look at the clock meanwhile.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_room_gives_up_when_the_penalty_lasts_too_long() {
        let (soon, later) = (Duration::from_secs(1), Duration::from_hours(1));
        let began = Instant::now();
        for deadline in [Some(began + Duration::from_mins(1)), None] {
            let options = Options {
                deadline,
                ..Options::default()
            };
            let lane = Lane::new(Arc::new(Empty), options);
            lane.rests(0, Instant::now() + soon);
            // Another request is told to wait while this one does.
            let another = async {
                lane.rests(0, Instant::now() + later);
                lane.shared.free();
            };
            let looking = look_up(&lane, None, vec![Vec::new()]);
            let (looked, ()) = tokio::join!(looking, another);
            assert!(matches!(looked, Err(StopCause::Exhausted(_))), "{looked:?}");
            assert!(began.elapsed() < Duration::from_mins(1), "{deadline:?}");
        }
    }
}
