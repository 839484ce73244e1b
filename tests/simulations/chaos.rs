//! What can go wrong between the service and us.
#![cfg(test)]

use std::time::Duration;

use segue::model::{Cause, Failure, Fate, Operation, Reply, RowFailure, ServiceError};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Refused, and so is everything else until the time has passed.
    Throttle(Option<Duration>),
    /// 503.
    Unavailable,
    /// The connection breaks before anything is done.
    LostBefore,
    /// Everything is done, and the answer is lost.
    LostAfter,
    /// Everything is done; the answer breaks off after so many replies.
    CutAfter(usize),
    /// So many operations are done, the connection breaks and no answer comes.
    DiedAfter(usize),
    /// Answered after that time.
    Slow(Duration),
    /// Nothing is done, and it takes two minutes until the connection is given up.
    Silent,
    /// The first operations get a transient failure of their own.
    Busy(usize),
    /// The token is no longer good.
    Expired,
    /// The client's own code panics after the request was done.
    Panic,
}

/// Faults drawn from a seed.
#[derive(Debug)]
pub(crate) struct Chaos {
    pub(crate) random: fastrand::Rng,
    /// Of a thousand requests so many go wrong.
    pub(crate) permille: u32,
}

impl Chaos {
    pub(crate) fn draw(&mut self, size: usize) -> Option<Fault> {
        let random = &mut self.random;
        if random.u32(..1000) >= self.permille {
            return None;
        }
        let told = Duration::from_secs(random.u64(1..40));
        Some(match random.u32(..100) {
            0..15 => Fault::Throttle(Some(told)),
            15..20 => Fault::Throttle(None),
            20..35 => Fault::Unavailable,
            35..50 => Fault::LostBefore,
            50..65 => Fault::LostAfter,
            65..78 => Fault::CutAfter(random.usize(..size)),
            78..86 => Fault::DiedAfter(random.usize(..size)),
            86..94 => Fault::Busy(random.usize(..size)),
            94..98 => Fault::Slow(told),
            98 => Fault::Panic,
            _ => Fault::Silent,
        })
    }
}

pub(crate) fn refused_row() -> Cause {
    Cause::Row(RowFailure::Other {
        word: "business_rule",
        advice: "Ask for another name.",
    })
}

pub(crate) fn unavailable(fate: Fate) -> Failure {
    failure(fate, Cause::Transient, "the service is unavailable")
}

pub(crate) fn expired() -> Failure {
    failure(Fate::Refused, Cause::Credential, "the secret has expired")
}

pub(crate) fn failure(fate: Fate, cause: Cause, message: &str) -> Failure {
    let error = ServiceError {
        message: message.to_owned(),
        ..ServiceError::default()
    };
    Failure { fate, cause, error }
}

pub(crate) fn all(operations: &[Operation], failure: &Failure) -> Vec<Reply> {
    operations
        .iter()
        .map(|_| Reply::Failed(failure.clone()))
        .collect()
}
