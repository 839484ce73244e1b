//! Judges the answers that come back through the gate: done, sent again, or ended.

use tokio::time::Instant;

use super::account::StopCause;
use super::advice;
use super::chain::{Follow, Work};
use super::flight::{unanswered, unsent};
use super::gate::{Fits, Gate};
use super::history::Failed;
use super::lane::Sent;
use super::lookup::Looked;
use super::queue::{Packing, Parcel};
use super::triage::{Company, Halt, Next, triage};
use crate::model::{
    Cause, Destination, Envelope, Failure, Fate, Limit, Reply, ServiceError, Verdict,
};

/// How the operation before fared: what the lane is told of several that fared well it is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fared {
    Unknown,
    Well,
    Badly,
}

/// What is to be sent again of one batch, each with what was said of it.
#[derive(Default)]
struct Again {
    /// Once the gate lets it through.
    ready: Vec<(Work, ServiceError)>,
    /// Once the gate lets it through, and for the first time.
    next: Vec<(Work, ServiceError)>,
    /// After backing off.
    later: Vec<(Work, ServiceError)>,
    /// In one request that answers each for itself.
    alone: Vec<(Work, ServiceError)>,
    /// In halves.
    halves: Vec<(Work, ServiceError)>,
    /// The record with its key is looked for.
    finds: Vec<(Work, ServiceError)>,
    /// How those travel that back off, if not as before.
    packing_later: Option<Packing>,
    /// Why the run stops, if it does.
    stop: Option<StopCause>,
}

impl<D: Destination> Gate<D> {
    /// A batch came back. An operation without a reply is lost.
    pub(super) async fn answered(
        &mut self,
        works: impl ExactSizeIterator<Item = Work>,
        (envelope, packing): (Envelope, Packing),
        sent: Sent,
    ) {
        let size = works.len();
        let company = Company::within(size, envelope);
        self.size.took(size, sent.took);
        if packing == Packing::Loose && size > 1 {
            self.wrapping.brought(envelope, sent.rows, sent.took);
        }
        let nothing_fits = self.nothing_fits(&sent.replies);
        let mut again = Again::default();
        self.settled.reserve(size);
        let mut replies = sent.replies.into_iter();
        let mut last = Fared::Unknown;
        for mut work in works {
            match replies.next().unwrap_or_else(lost) {
                Reply::Accepted(accepted) => {
                    if std::mem::replace(&mut last, Fared::Well) != Fared::Well {
                        self.progressed();
                    }
                    match work.done(&self.rules, &accepted) {
                        Follow::End(verdict) => self.settle(work, verdict),
                        follow => self.follows(work, follow, unsent(), &mut again),
                    }
                }
                Reply::Failed(failure) => {
                    last = Fared::Badly;
                    if is_for_time(&failure) {
                        self.size.took_too_much_time(size);
                    }
                    let next = match triage(&failure, company) {
                        Next::Judge if nothing_fits => Next::Stop(Halt::Contract),
                        Next::Judge => Next::Reject,
                        Next::Stop(Halt::Credential)
                            if self.lane.goes_on_without(sent.user, &failure.error) =>
                        {
                            Next::Wait
                        }
                        next => next,
                    };
                    if next == Next::Halve {
                        self.size.too_large(size);
                    }
                    self.failed(work, failure, (next, company), &mut again);
                }
            }
        }
        if envelope == Envelope::Bulk {
            self.bulk_answered(&mut again);
        }
        self.send_again(again, packing).await;
    }

    /// What is left of a bulk message whose answer got lost may all be done, or nothing: each record tells for itself.
    fn bulk_answered(&mut self, again: &mut Again) {
        if again.alone.is_empty() {
            self.wrapping.took();
        } else {
            self.wrapping.refused();
        }
        again.packing_later = Some(Packing::Each);
    }

    /// Whether every row that was answered does not fit the table, and none before did.
    fn nothing_fits(&mut self, replies: &[Reply]) -> bool {
        if self.fits == Fits::Proved {
            return false;
        }
        let mut unfit = 0;
        for reply in replies {
            match reply {
                Reply::Accepted(_)
                | Reply::Failed(Failure {
                    fate: Fate::Answered,
                    cause: Cause::Row(_) | Cause::TooLarge,
                    ..
                }) => self.fits = Fits::Proved,
                Reply::Failed(Failure {
                    fate: Fate::Answered,
                    cause: Cause::Contract,
                    ..
                }) => unfit += 1,
                Reply::Failed(_) => {}
            }
        }
        unfit > 0 && self.fits == Fits::Unknown
    }

    fn failed(
        &mut self,
        work: Work,
        failure: Failure,
        (next, company): (Next, Company),
        again: &mut Again,
    ) {
        let error = failure.error.clone();
        match next {
            Next::Wait => again.ready.push((work, error)),
            Next::BackOff => self.back_off(work, failure, company, again),
            Next::Halve | Next::Split => again.halves.push((work, error)),
            Next::Isolate => again.alone.push((work, error)),
            Next::Follow => {
                self.progressed();
                self.follow(work, failure, again);
            }
            Next::Reject | Next::Judge => {
                self.progressed();
                let reject = match failure.cause {
                    Cause::TooLarge => advice::too_large(work.operation.row, error),
                    Cause::Contract
                    | Cause::Throttled { .. }
                    | Cause::Transient
                    | Cause::Row(_)
                    | Cause::Credential => advice::unfit(work.operation.row, error),
                };
                self.settle(work, Verdict::Rejected(Box::new(reject)));
            }
            Next::Stop(halt) => {
                again.stop.get_or_insert(match halt {
                    Halt::Credential => StopCause::Credential(error.clone()),
                    Halt::Contract => StopCause::Contract(error.clone()),
                });
                self.settle(work, Verdict::unanswered(error));
            }
        }
    }

    /// Sent again after a while if the operation and the run can afford it, in the end in parts. Otherwise an answered
    /// operation is a reject, since it was this row that failed, and so is a row at which alone the service fails. If the
    /// service works for nobody, nothing is known of the row, and the run ends.
    fn back_off(&mut self, mut work: Work, failure: Failure, company: Company, again: &mut Again) {
        self.lane.troubled(&failure.error);
        if failure.fate == Fate::Lost {
            work.lost();
        }
        let (fate, error) = (failure.fate, failure.error);
        let tries = self.lane.options().tries;
        let next = match fate {
            Fate::Answered => work.history.failed(Company::Alone, self.progress, tries),
            Fate::Refused | Fate::Lost => work.history.failed(company, self.progress, tries),
        };
        // Whoever was in flight when the service went down pays for nothing: then little is sent anyway.
        let waits = self.lane.waits_for_the_service();
        let resend = match next {
            Failed::Again => Some(&mut again.later),
            Failed::InParts => Some(&mut again.halves),
            Failed::Hopeless if waits => Some(&mut again.later),
            Failed::AtFault | Failed::Hopeless => None,
        };
        if let Some(resend) = resend
            && (waits || self.affords_a_resend())
        {
            self.failed_tries += u64::from(!waits);
            resend.push((work, error));
            return;
        }
        let verdict = if fate == Fate::Answered || next == Failed::AtFault {
            let (row, tries) = (work.operation.row, work.history.failures);
            Verdict::Rejected(Box::new(advice::service_unavailable(row, tries, error)))
        } else {
            let cause = StopCause::Exhausted(error.clone());
            again.stop.get_or_insert(cause);
            Verdict::unanswered(error)
        };
        self.settle(work, verdict);
    }

    /// The service answered a row for its own sake.
    pub(super) fn progressed(&mut self) {
        self.lane.progressed();
        self.progress += 1;
    }

    /// What the run may still afford is told by the operations that it has taken.
    pub(super) fn affords_a_resend(&self) -> bool {
        self.failed_tries < self.lane.options().retry_budget(self.taken)
    }

    fn follow(&mut self, mut work: Work, failure: Failure, again: &mut Again) {
        let error = failure.error.clone();
        let follow = match &failure.cause {
            Cause::Row(row) => work.refused(&self.rules, row, failure.error),
            Cause::Throttled { .. }
            | Cause::Transient
            | Cause::TooLarge
            | Cause::Credential
            | Cause::Contract => {
                let reject = advice::unfit(work.operation.row, failure.error);
                Follow::End(Verdict::Rejected(Box::new(reject)))
            }
        };
        self.follows(work, follow, error, again);
    }

    fn follows(&mut self, work: Work, follow: Follow, error: ServiceError, again: &mut Again) {
        match follow {
            Follow::Send => again.ready.push((work, error)),
            Follow::SendNext => again.next.push((work, error)),
            Follow::Find => again.finds.push((work, error)),
            Follow::End(verdict) => self.settle(work, verdict),
        }
    }

    /// The record with the key of one operation was looked for.
    pub(super) async fn looked(&mut self, mut work: Work, looked: Result<Looked, StopCause>) {
        let mut again = Again::default();
        match looked {
            Ok(looked) => {
                let refused = looked.refused.into_iter().next();
                let follow = match refused {
                    Some((_, failure)) => {
                        let reject = advice::unfindable(work.operation.row, failure);
                        Follow::End(Verdict::Rejected(Box::new(reject)))
                    }
                    None => work.found(&self.rules, &looked.found),
                };
                let error = unsent();
                self.follows(work, follow, error, &mut again);
            }
            Err(cause) => {
                let verdict = Verdict::unanswered(cause.error());
                self.settle(work, verdict);
                again.stop = Some(cause);
            }
        }
        self.send_again(again, Packing::Loose).await;
    }

    async fn send_again(&mut self, again: Again, packing: Packing) {
        if let Some(cause) = again.stop {
            self.end(cause).await;
        }
        if self.is_ending() {
            let left = [
                again.ready,
                again.next,
                again.later,
                again.alone,
                again.halves,
                again.finds,
            ];
            for (work, error) in left.into_iter().flatten() {
                self.settle(work, Verdict::unanswered(error));
            }
            return;
        }
        let works = |left: Vec<(Work, ServiceError)>| -> Vec<Work> {
            left.into_iter().map(|(work, _)| work).collect()
        };
        for (work, _) in again.finds {
            self.queue.ready(Parcel::Find(Box::new(work)));
        }
        let (ready, later, halves) = (works(again.ready), works(again.later), works(again.halves));
        let alone = works(again.alone);
        self.retried += (ready.len() + later.len() + alone.len() + halves.len()) as u64;
        self.queue.ready(Parcel::Batch(alone, Packing::Each));
        if !halves.is_empty() {
            self.queue.halves(halves, packing);
        }
        self.queue.ready(Parcel::Batch(ready, packing));
        self.queue
            .ready(Parcel::Batch(works(again.next), Packing::Loose));
        let most = later.iter().map(|work| work.history.failures).max();
        if let Some(failures) = most {
            let at = Instant::now() + self.lane.backoff(failures);
            let packing = again.packing_later.unwrap_or(packing);
            self.queue.later(at, Parcel::Batch(later, packing));
        }
    }
}

/// Whether requests took too long together. Microsoft advises fewer operations in each then.
fn is_for_time(failure: &Failure) -> bool {
    matches!(
        failure.cause,
        Cause::Throttled {
            limit: Limit::Time,
            ..
        }
    )
}

fn lost() -> Reply {
    Reply::Failed(Failure {
        fate: Fate::Lost,
        cause: Cause::Transient,
        error: unanswered(),
    })
}
