//! What answers tell of penalties, and how long to wait where they tell nothing.

use std::time::Duration;

use super::options::Options;
use crate::model::{Cause, Failure, Fate, Limit, Reply, ServiceError};

/// How many operations got an answer of their own.
pub(super) fn answered(replies: &[Reply]) -> u64 {
    let is_answered = |reply: &&Reply| match reply {
        Reply::Accepted(_) => true,
        Reply::Failed(failure) => failure.fate == Fate::Answered,
    };
    replies.iter().filter(is_answered).count() as u64
}

/// How long to wait, for what there was too much of, and what the service said.
pub(super) type Penalty<'a> = ((Option<Duration>, Limit), &'a ServiceError);

/// Of several penalties in one answer the one that says most.
pub(super) fn longest_penalty(replies: &[Reply]) -> Option<Penalty<'_>> {
    let told = replies.iter().filter_map(|reply| match reply {
        Reply::Accepted(_) => None,
        Reply::Failed(failure) => penalty(failure),
    });
    told.max_by_key(|((told, _), _)| *told)
}

pub(super) fn penalty(failure: &Failure) -> Option<Penalty<'_>> {
    match failure.cause {
        Cause::Throttled { retry_after, limit } => Some(((retry_after, limit), &failure.error)),
        Cause::Transient
        | Cause::TooLarge
        | Cause::Row(_)
        | Cause::Credential
        | Cause::Contract => None,
    }
}

/// The wait before something is tried again that has failed so often, with jitter: half of it is fixed.
pub(super) fn backoff(jitter: &mut fastrand::Rng, options: &Options, failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    let wait = options
        .backoff
        .saturating_mul(doubled)
        .min(options.longest_backoff);
    wait / 2 + (wait / 2).mul_f64(jitter.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_half_of_each_is_jitter() {
        let options = Options::default();
        let mut jitter = fastrand::Rng::with_seed(7);
        let mut seconds = |failures| backoff(&mut jitter, &options, failures).as_secs_f64();
        assert!((1.0..=2.0).contains(&seconds(1)));
        assert!((2.0..=4.0).contains(&seconds(2)));
        assert!((30.0..=60.0).contains(&seconds(9)));
        assert!((30.0..=60.0).contains(&seconds(u32::MAX)));
    }
}
