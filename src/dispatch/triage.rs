//! The table that says what happens next after a failure.
//!
//! `dataverse` says what happened, this says what happens next. Every cell is written out: a new cause stops the
//! build here.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::model::{Cause, Envelope, Failure, Fate};

/// What happens next with an operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The service told everybody to wait: sent again once the penalty is over.
    Wait,
    /// Sent again after a while, as long as the budget lasts.
    BackOff,
    /// Sent again in halves, and the next batches are smaller.
    Halve,
    /// Sent again in halves, to find the row.
    Split,
    /// Sent again in one request that answers each operation for itself, to find the row.
    Isolate,
    /// The row's own answer: the chain of its key says whether something follows; mostly it is a reject.
    Follow,
    /// A reject.
    Reject,
    /// A reject, unless every row of the first batch got the same.
    Judge,
    /// The run stops.
    Stop(Halt),
}

/// Why the run stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// The token, the user or its role.
    Credential,
    /// The requests do not fit the table.
    Contract,
}

/// Whether an operation had company in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// It was the only one: what is said of the request is said of it.
    Alone,
    /// There were others.
    Among,
    /// There were others, and all of them were to be done or none.
    Bound,
}

impl Company {
    /// Of each operation of a batch of that size.
    pub(super) fn of(size: usize) -> Self {
        if size > 1 { Self::Among } else { Self::Alone }
    }

    /// Of each operation of a request of that size in that envelope.
    pub(super) fn within(size: usize, envelope: Envelope) -> Self {
        match envelope {
            Envelope::Batch => Self::of(size),
            Envelope::Bulk => Self::Bound,
        }
    }
}

/// What happens next.
pub(super) fn triage(failure: &Failure, company: Company) -> Next {
    match (failure.fate, &failure.cause) {
        (Fate::Answered | Fate::Refused, Cause::Throttled { .. }) => Next::Wait,
        (Fate::Answered | Fate::Refused | Fate::Lost, Cause::Transient) => Next::BackOff,
        (Fate::Answered, Cause::TooLarge) => Next::Reject,
        (Fate::Refused, Cause::TooLarge) => match company {
            Company::Alone => Next::Reject,
            Company::Among | Company::Bound => Next::Halve,
        },
        (Fate::Answered, Cause::Row(_)) => Next::Follow,
        (Fate::Refused, Cause::Row(_)) => match company {
            Company::Alone => Next::Follow,
            Company::Among => Next::Split,
            Company::Bound => Next::Isolate,
        },
        // The wire has renewed the token and repeated the request before it reports this.
        (Fate::Answered | Fate::Refused, Cause::Credential) => Next::Stop(Halt::Credential),
        (Fate::Answered, Cause::Contract) => Next::Judge,
        (Fate::Refused, Cause::Contract) => match company {
            // One row that does not fit sinks a bulk message, and so does a table that takes none after all.
            Company::Bound => Next::Isolate,
            Company::Alone | Company::Among => Next::Stop(Halt::Contract),
        },
        // No answer came, so no such cause was read: whoever reports this has a defect.
        (
            Fate::Lost,
            Cause::Throttled { .. }
            | Cause::TooLarge
            | Cause::Row(_)
            | Cause::Credential
            | Cause::Contract,
        ) => Next::Stop(Halt::Contract),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Limit, RowFailure, ServiceError};

    fn next(fate: Fate, cause: Cause, company: Company) -> Next {
        let error = ServiceError::default();
        triage(&Failure { fate, cause, error }, company)
    }

    #[test]
    fn the_table_is_the_one_in_the_architecture() {
        let causes = [
            Cause::Throttled {
                retry_after: None,
                limit: Limit::Window,
            },
            Cause::Transient,
            Cause::TooLarge,
            Cause::Row(RowFailure::NotFound),
            Cause::Credential,
            Cause::Contract,
        ];
        let row = |fate| {
            causes
                .clone()
                .map(|cause| next(fate, cause, Company::Among))
        };
        let credential = Next::Stop(Halt::Credential);
        let contract = Next::Stop(Halt::Contract);
        assert_eq!(
            row(Fate::Answered),
            [
                Next::Wait,
                Next::BackOff,
                Next::Reject,
                Next::Follow,
                credential,
                Next::Judge
            ]
        );
        assert_eq!(
            row(Fate::Refused),
            [
                Next::Wait,
                Next::BackOff,
                Next::Halve,
                Next::Split,
                credential,
                contract
            ]
        );
        assert_eq!(
            row(Fate::Lost),
            [
                contract,
                Next::BackOff,
                contract,
                contract,
                contract,
                contract
            ]
        );
    }

    #[test]
    fn what_is_said_of_a_request_of_one_is_said_of_its_row() {
        let row = Cause::Row(RowFailure::NotFound);
        assert_eq!(next(Fate::Refused, row, Company::Alone), Next::Follow);
        let large = Cause::TooLarge;
        assert_eq!(next(Fate::Refused, large, Company::Alone), Next::Reject);
    }
}
