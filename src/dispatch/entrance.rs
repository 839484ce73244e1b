//! Where drafts come in: those that tell by themselves how they are written go past the resolver.
//!
//! They are looked at where they were made, while all of them is at hand, and not once more on another thread.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::draft::{Draft, TOGETHER, handfuls_of};
use super::lane::Lane;
use super::rules::Rules;
use crate::model::{Action, ColumnSet, Operation};

/// The sending end of a queue of drafts.
pub struct Entrance {
    drafts: mpsc::Sender<Vec<Draft>>,
    /// None where all of them have to be looked at by the resolver.
    past: Option<Past>,
    /// So many go together.
    together: usize,
}

/// So many go together past the resolver: as many as a request carries, so that they need not be put together anew.
pub fn together<D>(lane: &Lane<D>) -> usize {
    let most = lane.options().most_operations();
    most.clamp(TOGETHER, 4 * TOGETHER)
}

/// The way past the resolver.
struct Past {
    rules: Arc<Rules>,
    /// The columns of which it depends on the action whether they are sent.
    conditional: ColumnSet,
    /// What is not known is found before it is written.
    finds_first: bool,
    operations: mpsc::Sender<Vec<Operation>>,
}

/// What became of drafts that were handed on.
#[derive(Debug, Default, PartialEq)]
#[must_use = "what is left owes an outcome"]
pub struct Handed {
    /// How many were taken.
    pub taken: u64,
    /// Those that nobody took.
    pub left: Vec<Draft>,
}

impl Entrance {
    /// Every draft goes to the receiver of `drafts`.
    pub fn to(drafts: mpsc::Sender<Vec<Draft>>) -> Self {
        Self {
            drafts,
            past: None,
            together: TOGETHER,
        }
    }

    /// What addresses itself goes to the receiver of `operations`, and the others to that of `drafts`, which is the resolver.
    pub fn past<D>(
        drafts: mpsc::Sender<Vec<Draft>>,
        operations: mpsc::Sender<Vec<Operation>>,
        lane: &Lane<D>,
        rules: &Arc<Rules>,
    ) -> Self {
        let past = Past {
            conditional: rules.conditional(),
            rules: Arc::clone(rules),
            finds_first: lane.options().is_bulk(),
            operations,
        };
        Self {
            drafts,
            past: Some(past),
            together: together(lane),
        }
    }

    /// Whether the receiver of drafts is gone. Then nothing is taken any more.
    pub fn is_closed(&self) -> bool {
        self.drafts.is_closed()
    }

    /// Hands drafts on, as many at a time as go together, until one of them is not taken. Blocks while there is no room.
    pub fn hand_on(&self, drafts: impl IntoIterator<Item = Draft>) -> Handed {
        let mut handed = Handed::default();
        let mut handfuls = handfuls_of(self.together, drafts);
        for together in handfuls.by_ref() {
            let many = together.len();
            handed.left = self.send_on(together);
            handed.taken += (many - handed.left.len()) as u64;
            if !handed.left.is_empty() {
                break;
            }
        }
        handed.left.extend(handfuls.flatten());
        handed
    }

    /// Sends drafts that go together, and gives back those that nobody took.
    fn send_on(&self, together: Vec<Draft>) -> Vec<Draft> {
        // A resolver that has ended takes the whole run to its end: nothing more goes past it.
        let past = match &self.past {
            _ if self.is_closed() => return together,
            None => return send(&self.drafts, together),
            Some(past) => past,
        };
        let mut ready = Vec::with_capacity(together.len());
        let mut others = Vec::new();
        for draft in together {
            match past.action(&draft) {
                Some(action) => ready.push(draft.into_operation(action)),
                None => others.push(draft),
            }
        }
        let unsent = send(&past.operations, ready).into_iter();
        let mut unsent: Vec<Draft> = unsent.map(Draft::from).collect();
        unsent.append(&mut send(&self.drafts, others));
        unsent
    }
}

impl Past {
    /// How a draft is written, if it tells by itself.
    fn action(&self, draft: &Draft) -> Option<Action> {
        let mut conditional = self.conditional.iter();
        if conditional.any(|index| draft.columns.contains(index)) {
            return None;
        }
        match draft.standing.as_ref().and_then(|standing| standing.id) {
            Some(id) => self.rules.where_present(id).ok(),
            None if self.finds_first => None,
            None => self.rules.by_key(&draft.record, std::iter::empty()),
        }
    }
}

/// Tells what was not taken.
fn send<T>(queue: &mpsc::Sender<Vec<T>>, together: Vec<T>) -> Vec<T> {
    if together.is_empty() {
        return together;
    }
    match queue.blocking_send(together) {
        Ok(()) => Vec::new(),
        Err(unsent) => unsent.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::{rules, work};
    use super::super::rules::Mode;
    use super::*;
    use crate::model::{
        Batch, Destination, Envelopes, Failure, Find, Found, RecordId, Reply, Standing, When,
    };

    /// Nobody is asked before the gate.
    struct Nobody;

    impl Destination for Nobody {
        async fn send(&self, _: &Batch) -> Vec<Reply> {
            Vec::new()
        }

        async fn find(&self, _: &Find) -> Result<Vec<Found>, Failure> {
            Ok(Vec::new())
        }
    }

    struct House {
        entrance: Entrance,
        drafts: mpsc::Receiver<Vec<Draft>>,
        operations: mpsc::Receiver<Vec<Operation>>,
    }

    fn house(rules: Rules, envelopes: Envelopes) -> House {
        let (drafts_in, drafts) = mpsc::channel(4);
        let (operations_in, operations) = mpsc::channel(4);
        let options = crate::dispatch::Options {
            envelopes,
            ..Default::default()
        };
        let lane = Lane::new(Arc::new(Nobody), options);
        House {
            entrance: Entrance::past(drafts_in, operations_in, &lane, &Arc::new(rules)),
            drafts,
            operations,
        }
    }

    fn draft(key: &str) -> Draft {
        Draft::from(work(key, Action::Upsert).operation)
    }

    fn known(key: &str) -> Draft {
        let standing = Standing {
            id: Some(RecordId(uuid::Uuid::from_u128(1))),
            flags: crate::model::StandingFlags::default(),
            columns: Vec::new(),
        };
        Draft {
            standing: Some(Arc::new(standing)),
            ..draft(key)
        }
    }

    /// The actions of what went past the resolver, and how many went to it.
    fn sent(mut house: House, drafts: Vec<Draft>) -> (Vec<Action>, usize) {
        assert_eq!(house.entrance.hand_on(drafts).left, []);
        drop(house.entrance);
        let mut past = Vec::new();
        while let Some(operations) = house.operations.blocking_recv() {
            past.extend(operations.into_iter().map(|it| it.action));
        }
        let to_resolver = std::iter::from_fn(|| house.drafts.blocking_recv());
        (past, to_resolver.map(|drafts| drafts.len()).sum())
    }

    const UPDATE: Action = Action::Update(RecordId(uuid::Uuid::from_u128(1)));

    #[test]
    fn what_addresses_itself_goes_past_the_resolver() {
        let drafts = || vec![draft("a"), draft("a/b"), known("a/b"), draft("b")];
        let (past, others) = sent(house(rules(Mode::Upsert), Envelopes::Batch), drafts());
        assert_eq!(
            (past, others),
            (vec![Action::Upsert, UPDATE, Action::Upsert], 1)
        );
        let (past, others) = sent(house(rules(Mode::Upsert), Envelopes::Auto), drafts());
        assert_eq!(
            (past, others),
            (vec![UPDATE], 3),
            "bulk messages find first"
        );
        let (past, others) = sent(house(rules(Mode::Create), Envelopes::Batch), drafts());
        assert_eq!(
            (past, others),
            (Vec::new(), 4),
            "what is there is left alone"
        );
    }

    #[test]
    fn where_columns_depend_on_the_action_the_resolver_looks() {
        let conditional = || {
            let mut rules = rules(Mode::Upsert);
            let target = Arc::make_mut(&mut rules.target);
            target.columns[1].when = When::Create;
            house(rules, Envelopes::Batch)
        };
        let mut with = known("a");
        with.columns.insert(1);
        let mut without = known("b");
        without.columns.insert(2);
        assert_eq!(sent(conditional(), vec![with, without]), (vec![UPDATE], 1));
    }

    #[test]
    fn what_nobody_takes_comes_back_and_only_the_others_count() {
        let mut house = house(rules(Mode::Upsert), Envelopes::Batch);
        house.operations.close();
        let handed = house.entrance.hand_on([draft("a"), draft("a/b")]);
        let left = vec![draft("a")];
        assert_eq!(handed, Handed { taken: 1, left });
        assert!(!house.entrance.is_closed());
    }

    #[test]
    fn after_one_that_is_not_taken_no_more_are_handed_on() {
        let mut house = house(rules(Mode::Upsert), Envelopes::Batch);
        house.operations.close();
        let plain = std::iter::repeat_n(draft("a"), 250);
        let handed = house.entrance.hand_on(plain.chain([draft("a/b")]));
        assert_eq!((handed.taken, handed.left.len()), (0, 251));
        assert!(house.drafts.try_recv().is_err());
    }

    #[test]
    fn nothing_goes_past_a_resolver_that_has_ended() {
        let mut house = house(rules(Mode::Upsert), Envelopes::Batch);
        house.drafts.close();
        let left = || vec![draft("a"), draft("a/b")];
        let handed = house.entrance.hand_on(left());
        assert_eq!(
            handed,
            Handed {
                taken: 0,
                left: left()
            }
        );
        assert!(house.entrance.is_closed());
        assert!(house.operations.try_recv().is_err());
    }
}
