//! What follows an answer: the chain of requests by which one key comes to its one outcome.
//!
//! Pure: it looks at an answer and says what to ask next. It neither sends nor waits.
#![deny(clippy::wildcard_enum_match_arm)]

use super::advice::{self, Violated};
use super::history::{First, History, Step};
use super::rules::{Absent, Mode, Rules};
use crate::model::{
    Accepted, Action, ColumnSet, Effect, Found, Operation, Outcome, RecordId, Reject, RowFailure,
    ServiceError, SkipReason, Value, Verdict,
};

/// So many turns of a chain are enough for every honest cause; more means that others undo each of them.
const MOST_TURNS: u32 = 6;

/// An operation that has no outcome yet, and what was already tried for its key.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) operation: Operation,
    pub(super) history: History,
    /// Whether a request carried it.
    pub(super) is_sent: bool,
}

/// What the wire calls a state or reason that the record cannot take.
const INVALID_STATE: &str = "invalid_state";

/// What follows an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Follow {
    /// The operation, changed, is sent.
    Send,
    /// The second of two writes is sent; the first one was done.
    SendNext,
    /// The record with the operation's key is looked for.
    Find,
    /// The chain has come to its end.
    End(Verdict),
}

/// What a new operation begins with, which it may change.
pub(super) fn begun(operation: &mut Operation, rules: &Rules) -> History {
    let mut history = History::default();
    if is_create(operation.action) && !rules.is_born_so(operation) {
        history.owed = put_off_state(operation, rules);
    }
    history
}

/// Leaves the record's state to a second write: what a create says of it is not heard, or refused.
///
/// Observed of the service, and pinned by `a_new_row_is_in_its_first_state_whatever_it_says` of the emulator.
fn put_off_state(operation: &mut Operation, rules: &Rules) -> ColumnSet {
    let states = rules.states(operation);
    let columns = operation.columns.iter();
    operation.columns = columns.filter(|it| !states.contains(*it)).collect();
    states
}

impl Work {
    pub(super) fn new(mut operation: Operation, rules: &Rules) -> Self {
        Self {
            history: begun(&mut operation, rules),
            operation,
            is_sent: false,
        }
    }

    fn put_off_state(&mut self, rules: &Rules) {
        self.history.owed = put_off_state(&mut self.operation, rules);
    }

    /// The action is another one, with all that is still to be written.
    fn act(&mut self, rules: &Rules, action: Action) {
        if !self.history.owed.is_empty() {
            let owed = std::mem::take(&mut self.history.owed);
            owed.iter()
                .for_each(|index| self.operation.columns.insert(index));
        }
        self.operation.action = action;
        self.operation.columns = rules.carried(&self.operation.columns, action);
        if is_create(action) && !rules.is_born_so(&self.operation) {
            self.put_off_state(rules);
        }
    }

    /// It was done; what follows.
    pub(super) fn done(&mut self, rules: &Rules, accepted: &Accepted) -> Follow {
        let accepted = self.accepted(rules, accepted);
        let Some(id) = accepted.id.filter(|_| !self.history.owed.is_empty()) else {
            return Follow::End(Verdict::Accepted(accepted));
        };
        let owed = std::mem::take(&mut self.history.owed);
        self.history.first = Some(First {
            done: accepted,
            columns: std::mem::replace(&mut self.operation.columns, owed),
        });
        self.operation.action = Action::Update(id);
        self.turn(Step::Ordered, Follow::SendNext)
    }

    /// The outcome when nothing more is asked.
    pub(super) fn ended(self, verdict: Verdict) -> Outcome {
        let operation = self.operation;
        match self.history.into_first() {
            None => Outcome { operation, verdict },
            Some(first) => of_two(operation, first, verdict),
        }
    }

    /// The values of the record's key.
    pub(super) fn key(&self, rules: &Rules) -> Vec<Value> {
        self.operation.record.key(&rules.target).cloned().collect()
    }

    /// No answer came: it may have been done.
    pub(super) fn lost(&mut self) {
        match self.operation.action {
            Action::Upsert | Action::Create(_) => self.history.may_have_created = true,
            Action::UpdateByKey | Action::Update(_) | Action::Delete(_) => {}
        }
    }

    /// It was done: corrects what the service said by what we know of earlier attempts.
    pub(super) fn accepted(&self, rules: &Rules, accepted: &Accepted) -> Accepted {
        let addressed = match self.operation.action {
            Action::Upsert | Action::UpdateByKey => None,
            Action::Create(id) | Action::Update(id) | Action::Delete(id) => Some(id),
        };
        let ours = match self.operation.action {
            Action::Upsert => accepted.made.is_some_and(|made| rules.made_by_us(made)),
            Action::Update(_) => matches!(self.history.step, Step::Claiming(_)),
            Action::Create(_) | Action::UpdateByKey | Action::Delete(_) => false,
        };
        let unheard = matches!(accepted.effect, Effect::Updated | Effect::Upserted)
            && ours
            && self.may_have_created(rules);
        let effect = if unheard {
            Effect::Created
        } else {
            accepted.effect
        };
        Accepted {
            effect,
            id: accepted.id.or(addressed),
            made: accepted.made,
        }
    }

    /// Whether this operation, or one of a run that did not end, may have made the record unheard.
    fn may_have_created(&self, rules: &Rules) -> bool {
        self.history.may_have_created || rules.resumes
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
            RowFailure::Other { word, .. } if self.may_be_born_otherwise(rules, word) => {
                self.put_off_state(rules);
                self.turn(Step::Ordered, Follow::Send)
            }
            RowFailure::Other { word, advice } => reject(advice::refused(
                self.operation.row,
                word,
                advice,
                self.said(),
            )),
        }
    }

    /// A create that was refused for the record's state: perhaps new records of this table begin in another one.
    fn may_be_born_otherwise(&self, rules: &Rules, word: &str) -> bool {
        is_create(self.operation.action)
            && word == INVALID_STATE
            && !rules.states(&self.operation).is_empty()
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
            Action::Upsert | Action::Create(_) => self.without_record(rules),
        }
    }

    fn collided(&mut self, rules: &Rules, violated: Violated) -> Follow {
        match self.operation.action {
            Action::Create(id) => self.claim(rules, id, violated),
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
        self.history.step != Step::Raced && rules.may_be_own_key(&violated.columns)
    }

    /// Is the record in the way our own, from an attempt whose answer never came?
    fn claim(&mut self, rules: &Rules, derived: RecordId, violated: Violated) -> Follow {
        // Without such an attempt the record is not to be touched where records may only be created.
        if rules.mode == Mode::Create && !self.may_have_created(rules) {
            return self.contested(rules, violated);
        }
        let ours = Action::Update(derived);
        if self.history.may_have_created {
            // Then it was made by this very operation, and may have all that it carries.
            self.operation.action = ours;
        } else {
            self.act(rules, ours);
        }
        self.turn(Step::Claiming(violated), Follow::Send)
    }

    /// Somebody else holds the key: if it is the mapping's own, that record is the one to write.
    fn contested(&mut self, rules: &Rules, violated: Violated) -> Follow {
        if rules.may_be_own_key(&violated.columns) {
            self.turn(Step::Contested(violated), Follow::Find)
        } else {
            self.duplicate(rules, &violated)
        }
    }

    /// The record that the ledger knows is gone: writes it whole by its key, as the mode allows.
    fn rewrite(&mut self, rules: &Rules) -> Follow {
        self.operation.columns = rules.whole(&self.operation);
        let columns = self.operation.columns.iter();
        match rules.by_key(&self.operation.record, columns) {
            Some(action) => {
                self.act(rules, action);
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
                self.act(rules, action);
                self.turn(Step::Rewriting, Follow::Send)
            }
            Err(reason) => skip(reason),
        }
    }

    /// No record has the key.
    fn absent(&mut self, rules: &Rules) -> Follow {
        match rules.where_absent(&self.operation.record) {
            Ok(action) => {
                self.operation.columns = rules.whole(&self.operation);
                self.act(rules, action);
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

/// Of two writes both count, or the first alone.
fn of_two(mut operation: Operation, first: First, verdict: Verdict) -> Outcome {
    let First { done, columns } = first;
    let rest = match verdict {
        Verdict::Accepted(last) => {
            columns
                .iter()
                .for_each(|index| operation.columns.insert(index));
            let both = Accepted {
                id: last.id,
                ..done
            };
            return Outcome {
                operation,
                verdict: Verdict::Accepted(both),
            };
        }
        Verdict::Rejected(reject) => Verdict::Rejected(Box::new(advice::partial(*reject))),
        Verdict::Unchanged
        | Verdict::Skipped(_)
        | Verdict::NotAttempted(_)
        | Verdict::Partly { .. } => verdict,
    };
    operation.columns = columns;
    let rest = Box::new(rest);
    Outcome {
        operation,
        verdict: Verdict::Partly { done, rest },
    }
}

fn is_create(action: Action) -> bool {
    matches!(action, Action::Create(_))
}

fn reject(reject: Reject) -> Follow {
    Follow::End(Verdict::Rejected(Box::new(reject)))
}

fn skip(reason: SkipReason) -> Follow {
    Follow::End(Verdict::Skipped(reason))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        ChoiceOption, ColumnKind, ColumnSet, EntitySetName, KeyDigest, LogicalName, Made, Nulls,
        Position, Record, RejectCode, RowTag, SourceDigest, Target, TargetColumn,
    };

    const US: RecordId = RecordId(Uuid::from_u128(1));
    const DERIVED: RecordId = RecordId(Uuid::from_u128(2));
    const OTHER: RecordId = RecordId(Uuid::from_u128(3));

    fn column(name: &str, nulls: Nulls) -> TargetColumn {
        TargetColumn::new(
            LogicalName::parse(name).unwrap(),
            ColumnKind::Text { max_length: 100 },
            nulls,
        )
    }

    pub(in super::super) fn rules(mode: Mode) -> Rules {
        Rules {
            target: Arc::new(Target {
                table: LogicalName::parse("contact").unwrap(),
                entity_set: EntitySetName::parse("contacts").unwrap(),
                primary_id: LogicalName::parse("contactid").unwrap(),
                columns: vec![
                    column("emailaddress1", Nulls::Owned),
                    column("firstname", Nulls::Owned),
                    column("lastname", Nulls::Owned),
                    column("jobtitle", Nulls::Clear),
                    column("nickname", Nulls::Skip),
                ],
                key: vec![0],
                key_is_primary_id: false,
            }),
            mode,
            key_digest: Arc::new(|_| KeyDigest([0; 16])),
            derived_id: Arc::new(|_| DERIVED),
            our_users: vec![US],
            since: Some(Timestamp::UNIX_EPOCH),
            resumes: false,
        }
    }

    pub(in super::super) fn work(key: &str, action: Action) -> Work {
        let text = |text: &str| Value::Text(text.into());
        let record = Record {
            values: vec![
                text(key),
                text("Ann"),
                Value::Null,
                Value::Null,
                Value::Null,
            ],
        };
        let operation = Operation {
            row: RowTag {
                position: Position::new(0, 17),
                key: KeyDigest([0; 16]),
                source: SourceDigest(0),
            },
            record,
            columns: ColumnSet::new(),
            action,
            standing: None,
        };
        Work {
            operation,
            history: History::default(),
            is_sent: false,
        }
    }

    fn refuse(work: &mut Work, rules: &Rules, failure: &RowFailure) -> Follow {
        let message = "the row is refused".to_owned();
        let error = ServiceError {
            message,
            ..ServiceError::default()
        };
        work.refused(rules, failure, error)
    }

    fn taken(column: &str) -> RowFailure {
        let column = LogicalName::parse(column).unwrap();
        RowFailure::DuplicateKey {
            columns: vec![(column, "a@b.nl".to_owned())],
        }
    }

    fn code(follow: &Follow) -> &'static str {
        let Follow::End(Verdict::Rejected(reject)) = follow else {
            panic!("{follow:?}");
        };
        let RejectCode(word) = reject.code;
        word
    }

    fn updated(made: Option<Made>) -> Accepted {
        Accepted {
            effect: Effect::Updated,
            id: Some(OTHER),
            made,
        }
    }

    #[test]
    fn an_upsert_that_hits_the_mappings_key_is_sent_once_more() {
        let rules = rules(Mode::Upsert);
        let mut work = work("a@b.nl", Action::Upsert);
        let failure = taken("emailaddress1");
        assert_eq!(refuse(&mut work, &rules, &failure), Follow::Send);
        let second = refuse(&mut work, &rules, &failure);
        assert_eq!(code(&second), "duplicate_key");
    }

    #[test]
    fn an_upsert_that_hits_another_key_is_a_reject_at_once() {
        let mut work = work("a@b.nl", Action::Upsert);
        let follow = refuse(&mut work, &rules(Mode::Upsert), &taken("lastname"));
        assert_eq!(code(&follow), "duplicate_key");
    }

    #[test]
    fn a_unique_index_without_a_name_may_be_the_mappings_key() {
        let rules = rules(Mode::Upsert);
        let mut work = work("a+b@c.nl", Action::Create(DERIVED));
        let failure = RowFailure::DuplicateRecord;
        assert_eq!(refuse(&mut work, &rules, &failure), Follow::Send);
        assert_eq!(work.operation.action, Action::Update(DERIVED));
        let failure = RowFailure::NotFound;
        assert_eq!(refuse(&mut work, &rules, &failure), Follow::Find);
        assert_eq!(code(&work.found(&rules, &[])), "duplicate_key");
    }

    #[test]
    fn a_create_in_the_way_of_another_key_asks_only_whether_it_was_ours() {
        let rules = rules(Mode::Upsert);
        let mut work = work("a+b@c.nl", Action::Create(DERIVED));
        assert_eq!(refuse(&mut work, &rules, &taken("lastname")), Follow::Send);
        let follow = refuse(&mut work, &rules, &RowFailure::NotFound);
        assert_eq!(code(&follow), "duplicate_key");
    }

    #[test]
    fn a_create_never_changes_a_record_that_it_cannot_have_made() {
        let rules = rules(Mode::Create);
        let mut work = work("a@b.nl", Action::Create(DERIVED));
        let failure = taken("emailaddress1");
        assert_eq!(refuse(&mut work, &rules, &failure), Follow::Find);
        let id = OTHER;
        let found = Found {
            id,
            key: Vec::new(),
        };
        let skipped = Verdict::Skipped(SkipReason::Exists);
        assert_eq!(work.found(&rules, &[found]), Follow::End(skipped));
    }

    #[test]
    fn a_record_under_our_guid_counts_as_created_only_if_an_answer_was_lost() {
        let rules = rules(Mode::Upsert);
        for (lost, effect) in [(true, Effect::Created), (false, Effect::Updated)] {
            let mut work = work("a+b@c.nl", Action::Create(DERIVED));
            if lost {
                work.lost();
            }
            refuse(&mut work, &rules, &RowFailure::DuplicateRecord);
            work.lost();
            assert_eq!(work.accepted(&rules, &updated(None)).effect, effect);
        }
    }

    #[test]
    fn an_upsert_counts_as_created_if_we_made_the_record_in_this_run() {
        let rules = rules(Mode::Upsert);
        let now = Timestamp::UNIX_EPOCH;
        let before = now - SignedDuration::from_secs(1);
        let cases = [
            (US, now, Effect::Created),
            (US, before, Effect::Updated),
            (OTHER, now, Effect::Updated),
        ];
        for (by, on, effect) in cases {
            let mut work = work("a@b.nl", Action::Upsert);
            let answer = updated(Some(Made { on, by }));
            let effect_of = |work: &Work| work.accepted(&rules, &answer).effect;
            assert_eq!(effect_of(&work), Effect::Updated, "no answer was lost");
            work.lost();
            assert_eq!(effect_of(&work), effect);
        }
    }

    #[test]
    fn a_record_that_is_gone_is_written_with_its_values_and_with_nulls_that_clear() {
        let rules = rules(Mode::Upsert);
        let mut work = work("a@b.nl", Action::Update(OTHER));
        let changed: ColumnSet = [2].into_iter().collect();
        work.operation.columns = changed;
        assert_eq!(
            refuse(&mut work, &rules, &RowFailure::NotFound),
            Follow::Send
        );
        assert_eq!(work.operation.action, Action::Upsert);
        let columns: Vec<usize> = work.operation.columns.iter().collect();
        assert_eq!(
            columns,
            [1, 2, 3],
            "not the key, not a null that nobody clears"
        );
    }

    #[test]
    fn a_record_to_delete_that_is_gone_is_deleted() {
        let mut work = work("a@b.nl", Action::Delete(OTHER));
        let follow = refuse(&mut work, &rules(Mode::Upsert), &RowFailure::NotFound);
        let deleted = Accepted {
            effect: Effect::Deleted,
            id: Some(OTHER),
            made: None,
        };
        assert_eq!(follow, Follow::End(Verdict::Accepted(deleted)));
    }

    #[test]
    fn a_chain_that_others_keep_undoing_ends() {
        let rules = rules(Mode::Upsert);
        let mut work = work("a+b@c.nl", Action::Update(OTHER));
        let found = Found {
            id: OTHER,
            key: Vec::new(),
        };
        for _ in 0..MOST_TURNS / 2 {
            assert_eq!(
                refuse(&mut work, &rules, &RowFailure::NotFound),
                Follow::Find
            );
            assert_eq!(
                work.found(&rules, std::slice::from_ref(&found)),
                Follow::Send
            );
        }
        let follow = refuse(&mut work, &rules, &RowFailure::NotFound);
        assert_eq!(code(&follow), "contended");
    }

    #[test]
    fn the_guid_of_the_address_is_the_records() {
        let rules = rules(Mode::Upsert);
        let silent = Accepted {
            id: None,
            ..updated(None)
        };
        let id = |action| work("a@b.nl", action).accepted(&rules, &silent).id;
        assert_eq!(id(Action::Create(DERIVED)), Some(DERIVED));
        assert_eq!(id(Action::Update(OTHER)), Some(OTHER));
        assert_eq!(id(Action::Upsert), None);
    }

    /// A create of a record in that state, for that reason, by rules whose last two columns they are.
    fn born(state: i32, reason: Option<i32>) -> (Rules, Work) {
        let mut rules = rules(Mode::Upsert);
        let option = |value, state| ChoiceOption {
            value,
            labels: Vec::new(),
            state,
        };
        let kinds = [
            ColumnKind::State {
                options: vec![option(0, None), option(1, None)],
            },
            ColumnKind::Status {
                options: vec![option(1, Some(0)), option(2, Some(1))],
            },
        ];
        let mut target = (*rules.target).clone();
        for kind in kinds {
            let name = LogicalName::parse(&format!("state{}", target.columns.len())).unwrap();
            target
                .columns
                .push(TargetColumn::new(name, kind, Nulls::Skip));
        }
        rules.target = Arc::new(target);
        let mut operation = work("a@b.nl", Action::Create(DERIVED)).operation;
        let mut record = operation.record.clone();
        record.values.push(Value::Choice(state));
        record
            .values
            .push(reason.map_or(Value::Null, Value::Choice));
        operation.record = record;
        operation.columns = [1, 5, 6].into_iter().collect();
        let work = Work::new(operation, &rules);
        (rules, work)
    }

    fn carries(work: &Work) -> Vec<usize> {
        work.operation.columns.iter().collect()
    }

    fn created() -> Accepted {
        Accepted {
            effect: Effect::Created,
            id: Some(DERIVED),
            made: None,
        }
    }

    #[test]
    fn a_new_record_is_created_first_and_gets_its_state_then() {
        let (rules, mut work) = born(1, Some(2));
        assert_eq!(carries(&work), [1]);
        assert_eq!(work.done(&rules, &created()), Follow::SendNext);
        assert_eq!(work.operation.action, Action::Update(DERIVED));
        assert_eq!(carries(&work), [5, 6]);
        let Follow::End(verdict) = work.done(&rules, &updated(None)) else {
            panic!("a third write");
        };
        let Outcome { operation, verdict } = work.ended(verdict);
        let Verdict::Accepted(accepted) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(accepted.effect, Effect::Created);
        assert_eq!(operation.columns.iter().collect::<Vec<_>>(), [1, 5, 6]);
    }

    #[test]
    fn the_first_state_needs_no_second_write_where_the_reason_is_known() {
        let (rules, mut work) = born(0, Some(1));
        assert_eq!(carries(&work), [1, 5, 6]);
        let follow = work.done(&rules, &created());
        assert_eq!(follow, Follow::End(Verdict::Accepted(created())));
        let (_, work) = born(0, None);
        assert_eq!(carries(&work), [1, 6], "a null changes no state");
    }

    #[test]
    fn a_table_whose_records_begin_in_another_state_takes_two_writes() {
        let (rules, mut work) = born(0, Some(1));
        let failure = RowFailure::Other {
            word: INVALID_STATE,
            advice: "",
        };
        assert_eq!(refuse(&mut work, &rules, &failure), Follow::Send);
        assert_eq!(carries(&work), [1]);
        assert_eq!(work.done(&rules, &created()), Follow::SendNext);
        assert_eq!(carries(&work), [5, 6]);
    }

    #[test]
    fn a_record_without_its_state_is_partly_done_whatever_ends_it() {
        let rejected = |work: &mut Work, rules: &Rules| {
            let failure = RowFailure::Other {
                word: INVALID_STATE,
                advice: "",
            };
            match refuse(work, rules, &failure) {
                Follow::End(verdict) => verdict,
                other @ (Follow::Send | Follow::SendNext | Follow::Find) => panic!("{other:?}"),
            }
        };
        for ending in [
            |_: &mut Work, _: &Rules| Verdict::NotAttempted(Box::default()),
            rejected,
        ] {
            let (rules, mut work) = born(1, Some(2));
            work.done(&rules, &created());
            let verdict = ending(&mut work, &rules);
            let Outcome { operation, verdict } = work.ended(verdict);
            let Verdict::Partly { done, .. } = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!(done, created());
            assert_eq!(operation.columns.iter().collect::<Vec<_>>(), [1]);
        }
    }

    #[test]
    fn a_record_that_was_there_all_along_gets_its_state_at_once() {
        let (rules, mut work) = born(1, Some(2));
        refuse(&mut work, &rules, &taken("emailaddress1"));
        assert_eq!(work.operation.action, Action::Update(DERIVED));
        assert_eq!(carries(&work), [1, 5, 6]);
        assert!(work.history.owed.is_empty());
    }
}
