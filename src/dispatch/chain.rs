//! What follows an answer: the chain of requests by which one key comes to its one outcome.
//!
//! Pure: it looks at an answer and says what to ask next. It neither sends nor waits.
#![deny(clippy::wildcard_enum_match_arm)]

use super::advice::{self, Violated};
use super::rules::{Absent, Mode, Rules};
use crate::model::{
    Accepted, Action, Effect, Found, Operation, RecordId, Reject, RowFailure, ServiceError,
    SkipReason, Value, Verdict,
};

/// So many turns of a chain are enough for every honest cause; more means that others undo each of them.
const MOST_TURNS: u32 = 6;

/// An operation that has no outcome yet, and what was already tried for its key.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) operation: Operation,
    pub(super) history: History,
}

/// What was already tried for a key.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Tries that the service or the network failed at.
    pub(super) failures: u32,
    /// An answer to a request that creates was lost: the record may be there, and ours.
    may_have_created: bool,
    turns: u32,
    step: Step,
    /// What the service last said of this row.
    said: ServiceError,
}

/// Where in its chain a key is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Step {
    /// The operation as it was ordered.
    #[default]
    Ordered,
    /// A create collided: the record of our derived GUID is updated, if it is there.
    Claiming(Violated),
    /// The key may be held by another record: that one is looked for.
    Contested(Violated),
    /// The record we knew is gone: it is written whole, to whatever has its key now.
    Rewriting,
    /// An upsert collided with a record that came into being meanwhile: it is sent once more.
    Raced,
}

/// What follows an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Follow {
    /// The operation, changed, is sent.
    Send,
    /// The record with the operation's key is looked for.
    Find,
    /// The chain has come to its end.
    End(Verdict),
}

impl Work {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            history: History::default(),
        }
    }

    /// The values of the record's key.
    pub(super) fn key(&self, rules: &Rules) -> Vec<Value> {
        self.operation.record.key(&rules.target).cloned().collect()
    }

    /// No answer came: it may have been done.
    pub(super) fn lost(&mut self) {
        match self.operation.action {
            Action::Upsert | Action::Create => self.history.may_have_created = true,
            Action::UpdateByKey | Action::Update(_) | Action::Delete(_) => {}
        }
    }

    /// It was done: corrects what the service said by what we know of earlier attempts.
    pub(super) fn accepted(&self, rules: &Rules, accepted: &Accepted) -> Accepted {
        let addressed = match self.operation.action {
            Action::Upsert | Action::UpdateByKey => None,
            Action::Create => Some(self.operation.record.derived_id),
            Action::Update(id) | Action::Delete(id) => Some(id),
        };
        let ours = match self.operation.action {
            Action::Upsert => accepted.made.is_some_and(|made| rules.made_by_us(made)),
            Action::Update(_) => matches!(self.history.step, Step::Claiming(_)),
            Action::Create | Action::UpdateByKey | Action::Delete(_) => false,
        };
        let effect = match accepted.effect {
            Effect::Updated | Effect::Upserted if ours && self.history.may_have_created => {
                Effect::Created
            }
            Effect::Created | Effect::Updated | Effect::Upserted | Effect::Deleted => {
                accepted.effect
            }
        };
        Accepted {
            effect,
            id: accepted.id.or(addressed),
            made: accepted.made,
        }
    }

    /// The row was refused for a reason of its own.
    pub(super) fn refused(
        &mut self,
        rules: &Rules,
        failure: &RowFailure,
        error: ServiceError,
    ) -> Follow {
        self.history.said = error;
        match failure {
            RowFailure::NotFound => self.not_found(rules),
            RowFailure::DuplicateRecord => self.collided(rules, Violated::default()),
            RowFailure::DuplicateKey { columns } => {
                let columns = columns.clone();
                self.collided(rules, Violated { columns })
            }
            RowFailure::Other { word, advice } => reject(advice::refused(
                self.operation.row,
                word,
                advice,
                self.said(),
            )),
        }
    }

    fn not_found(&mut self, rules: &Rules) -> Follow {
        match self.operation.action {
            // Gone is gone, whoever did it: perhaps this very operation, whose answer was lost.
            Action::Delete(id) => Follow::End(Verdict::Accepted(Accepted {
                effect: Effect::Deleted,
                id: Some(id),
                made: None,
            })),
            Action::Update(_) => match std::mem::take(&mut self.history.step) {
                Step::Claiming(violated) => self.contested(rules, violated),
                Step::Ordered | Step::Contested(_) | Step::Rewriting | Step::Raced => {
                    self.rewrite(rules)
                }
            },
            Action::UpdateByKey => self.absent(rules),
            // A request that creates misses something else than its record.
            Action::Upsert | Action::Create => self.without_record(rules),
        }
    }

    fn collided(&mut self, rules: &Rules, violated: Violated) -> Follow {
        match self.operation.action {
            Action::Create => self.claim(rules, violated),
            Action::Upsert if self.may_have_raced(rules, &violated) => {
                self.turn(Step::Raced, Follow::Send)
            }
            Action::Upsert | Action::UpdateByKey | Action::Update(_) | Action::Delete(_) => {
                self.duplicate(rules, &violated)
            }
        }
    }

    /// Two writers made the same record at the same time: the second time it is there and is updated. Another
    /// key of the table stays violated however often the row is sent.
    fn may_have_raced(&self, rules: &Rules, violated: &Violated) -> bool {
        self.history.step != Step::Raced && own_or_unknown(rules, violated)
    }

    /// Is the record in the way our own, from an attempt whose answer never came?
    fn claim(&mut self, rules: &Rules, violated: Violated) -> Follow {
        // Without such an attempt the record is not to be touched where records may only be created.
        if rules.mode == Mode::Create && !self.history.may_have_created {
            return self.contested(rules, violated);
        }
        self.operation.action = Action::Update(self.operation.record.derived_id);
        self.turn(Step::Claiming(violated), Follow::Send)
    }

    /// Somebody else holds the key: if it is the mapping's own, that record is the one to write.
    fn contested(&mut self, rules: &Rules, violated: Violated) -> Follow {
        if own_or_unknown(rules, &violated) {
            self.turn(Step::Contested(violated), Follow::Find)
        } else {
            self.duplicate(rules, &violated)
        }
    }

    /// The record that the ledger knows is gone: writes it whole by its key, as the mode allows.
    fn rewrite(&mut self, rules: &Rules) -> Follow {
        self.operation.columns = rules.whole(&self.operation);
        match rules.by_key(&self.operation.record) {
            Some(action) => {
                self.operation.action = action;
                self.turn(Step::Rewriting, Follow::Send)
            }
            None => self.turn(Step::Rewriting, Follow::Find),
        }
    }

    /// What was found under the key.
    pub(super) fn found(&mut self, rules: &Rules, found: &[Found]) -> Follow {
        let mut ids: Vec<RecordId> = found.iter().map(|found| found.id).collect();
        ids.sort_unstable();
        ids.dedup();
        match ids.as_slice() {
            [id] => self.present(rules, *id),
            [] => match std::mem::take(&mut self.history.step) {
                // Not the mapping's key, then, or it would have been found.
                Step::Contested(violated) if violated.columns.is_empty() => {
                    self.duplicate(rules, &violated)
                }
                Step::Contested(_)
                | Step::Ordered
                | Step::Claiming(_)
                | Step::Rewriting
                | Step::Raced => self.absent(rules),
            },
            [_, _, ..] => {
                let key = self.key(rules);
                let row = self.operation.row;
                reject(advice::ambiguous(row, &rules.target, &key, ids.len()))
            }
        }
    }

    fn present(&mut self, rules: &Rules, id: RecordId) -> Follow {
        match rules.where_present(id) {
            Ok(action) => {
                self.operation.action = action;
                self.turn(Step::Rewriting, Follow::Send)
            }
            Err(reason) => skip(reason),
        }
    }

    /// No record has the key.
    fn absent(&mut self, rules: &Rules) -> Follow {
        match rules.where_absent() {
            Ok(action) => {
                self.operation.action = action;
                self.operation.columns = rules.whole(&self.operation);
                self.turn(Step::Rewriting, Follow::Send)
            }
            Err(Absent::Skip(reason)) => skip(reason),
            Err(Absent::Reject) => self.without_record(rules),
        }
    }

    fn without_record(&self, rules: &Rules) -> Follow {
        let key = self.key(rules);
        let row = self.operation.row;
        reject(advice::not_found(row, &rules.target, &key, self.said()))
    }

    fn said(&self) -> ServiceError {
        self.history.said.clone()
    }

    fn duplicate(&self, rules: &Rules, violated: &Violated) -> Follow {
        let row = self.operation.row;
        reject(advice::duplicate_key(
            row,
            &rules.target,
            violated,
            self.said(),
        ))
    }

    fn turn(&mut self, step: Step, follow: Follow) -> Follow {
        self.history.turns += 1;
        self.history.step = step;
        if self.history.turns > MOST_TURNS {
            return reject(advice::contended(self.operation.row, self.said()));
        }
        follow
    }
}

fn own_or_unknown(rules: &Rules, violated: &Violated) -> bool {
    violated.columns.is_empty() || rules.is_own_key(&violated.columns)
}

fn reject(reject: Reject) -> Follow {
    Follow::End(Verdict::Rejected(reject))
}

fn skip(reason: SkipReason) -> Follow {
    Follow::End(Verdict::Skipped(reason))
}
