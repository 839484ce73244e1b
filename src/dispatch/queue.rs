//! What waits to be sent: new operations, those that are sent again, and those that travel apart.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::chain::Work;
use super::rules::Rules;
use super::wrap::alike;
use crate::model::Operation;

/// Whether operations may travel with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// With whatever else is due.
    Loose,
    /// Just these: a request that held them was refused, and the halves tell which row it was. Mixed with others
    /// they would sink those too, and cost more requests than the search is worth.
    Apart,
    /// Just these, and each is answered for itself: a bulk message that held them was refused or got lost.
    Each,
}

/// What goes out as one request.
#[derive(Debug)]
pub(super) enum Parcel {
    /// New operations, which go with whatever else is due.
    Fresh(Vec<Operation>),
    /// A batch.
    Batch(Vec<Work>, Packing),
    /// The record with this operation's key is looked for.
    Find(Box<Work>),
}

impl Parcel {
    fn len(&self) -> usize {
        match self {
            Self::Fresh(operations) => operations.len(),
            Self::Batch(works, _) => works.len(),
            Self::Find(_) => 1,
        }
    }
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// What is new.
    fresh: VecDeque<Operation>,
    /// So many of those were there before the first of the loose ones.
    older: usize,
    /// What is sent once more, or was taken for a bulk message and did not go with it.
    loose: VecDeque<Work>,
    ready: VecDeque<Parcel>,
    /// By the time at which they are due; the number tells apart what is due at the same time.
    later: BTreeMap<(Instant, u64), Parcel>,
    number: u64,
}

impl Queue {
    /// New operations.
    pub(super) fn add(&mut self, operations: Vec<Operation>) {
        if self.fresh.is_empty() {
            // As they are, without moving them: they may be just what the next request carries.
            self.fresh = operations.into();
        } else {
            self.fresh.extend(operations);
        }
    }

    /// To be sent as soon as the gate lets it through.
    pub(super) fn ready(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Fresh(operations) => self.add(operations),
            Parcel::Batch(works, Packing::Loose) => {
                if self.loose.is_empty() {
                    self.older = self.fresh.len();
                }
                self.loose.extend(works);
            }
            parcel @ (Parcel::Batch(_, Packing::Apart | Packing::Each) | Parcel::Find(_)) => {
                if parcel.len() > 0 {
                    self.ready.push_back(parcel);
                }
            }
        }
    }

    /// To be sent at that time.
    pub(super) fn later(&mut self, at: Instant, parcel: Parcel) {
        if parcel.len() > 0 {
            self.number += 1;
            self.later.insert((at, self.number), parcel);
        }
    }

    /// To be sent in halves.
    pub(super) fn halves(&mut self, mut works: Vec<Work>, packing: Packing) {
        let packing = match packing {
            Packing::Loose | Packing::Apart => Packing::Apart,
            Packing::Each => Packing::Each,
        };
        let other = works.split_off(works.len().div_ceil(2));
        self.ready(Parcel::Batch(works, packing));
        self.ready(Parcel::Batch(other, packing));
    }

    /// Makes ready what is due.
    pub(super) fn release(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let parcel = entry.remove();
            self.ready(parcel);
        }
    }

    /// When the next parcel is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many operations may be packed with others.
    pub(super) fn loose(&self) -> usize {
        self.fresh.len() + self.loose.len()
    }

    /// How many operations wait for something else than a slot.
    pub(super) fn waiting(&self) -> usize {
        let ready: usize = self.ready.iter().map(Parcel::len).sum();
        let later: usize = self.later.values().map(Parcel::len).sum();
        ready + later
    }

    /// The next parcel that travels apart.
    pub(super) fn take_apart(&mut self) -> Option<Parcel> {
        self.ready.pop_front()
    }

    /// Up to so many operations that may travel together, those first that wait longest.
    pub(super) fn take_loose(&mut self, most: usize, rules: &Rules) -> Option<Parcel> {
        if self.loose.is_empty() || self.older >= most {
            let operations: Vec<Operation> = if self.fresh.len() <= most {
                std::mem::take(&mut self.fresh).into()
            } else {
                self.fresh.drain(..most).collect()
            };
            self.older = self.older.saturating_sub(operations.len());
            return (!operations.is_empty()).then_some(Parcel::Fresh(operations));
        }
        let new = |operation| Work::new(operation, rules);
        let older = std::mem::take(&mut self.older).min(self.fresh.len());
        let older = self.fresh.drain(..older);
        let mut works: Vec<Work> = older.map(new).collect();
        let again = self.loose.len().min(most - works.len());
        works.extend(self.loose.drain(..again));
        let room = self.fresh.len().min(most - works.len());
        works.extend(self.fresh.drain(..room).map(new));
        Some(Parcel::Batch(works, Packing::Loose))
    }

    /// Up to so many operations that one bulk message carries: those that do the same as the first.
    pub(super) fn take_alike(&mut self, most: usize, rules: &Rules) -> Option<Parcel> {
        self.older = 0;
        let fresh = self.fresh.drain(..);
        self.loose
            .extend(fresh.map(|operation| Work::new(operation, rules)));
        let first = self.loose.front()?.operation.action;
        let mut taken = Vec::new();
        let mut left = VecDeque::new();
        while taken.len() < most
            && let Some(work) = self.loose.pop_front()
        {
            if alike(work.operation.action, first) {
                taken.push(work);
            } else {
                left.push_back(work);
            }
        }
        left.append(&mut self.loose);
        self.loose = left;
        Some(Parcel::Batch(taken, Packing::Loose))
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.loose() == 0 && self.ready.is_empty() && self.later.is_empty()
    }

    /// Takes everything.
    pub(super) fn drain(&mut self, rules: &Rules) -> Vec<Work> {
        let parcels = std::mem::take(&mut self.ready)
            .into_iter()
            .chain(std::mem::take(&mut self.later).into_values());
        self.older = 0;
        let new = |operation| Work::new(operation, rules);
        let apart = parcels.flat_map(|parcel| match parcel {
            Parcel::Fresh(operations) => operations.into_iter().map(new).collect(),
            Parcel::Batch(works, _) => works,
            Parcel::Find(work) => vec![*work],
        });
        let fresh = self.fresh.drain(..).map(new);
        self.loose.drain(..).chain(fresh).chain(apart).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::{rules, work};
    use super::super::rules::Mode;
    use super::*;
    use crate::model::{Action, Value};

    /// The keys of what goes next.
    fn next(queue: &mut Queue, most: usize) -> Vec<String> {
        let operations: Vec<Operation> = match queue.take_loose(most, &rules(Mode::Upsert)) {
            Some(Parcel::Fresh(operations)) => operations,
            Some(Parcel::Batch(works, Packing::Loose)) => {
                works.into_iter().map(|work| work.operation).collect()
            }
            other => panic!("{other:?}"),
        };
        let key = |operation: &Operation| match &operation.record.values[0] {
            Value::Text(key) => key.to_string(),
            other => panic!("{other:?}"),
        };
        operations.iter().map(key).collect()
    }

    /// Three new ones, one that is sent again, and two more new ones.
    fn queue() -> Queue {
        let work = |key: &str| work(key, Action::Upsert);
        let new = |keys: &[&str]| keys.iter().map(|key| work(key).operation).collect();
        let mut queue = Queue::default();
        queue.add(new(&["a", "b", "c"]));
        queue.ready(Parcel::Batch(vec![work("again")], Packing::Loose));
        queue.add(new(&["d", "e"]));
        queue
    }

    #[test]
    fn whoever_waits_longest_goes_first() {
        for most in [1, 2, 4, 9] {
            let mut queue = queue();
            let mut gone = Vec::new();
            while queue.loose() > 0 {
                gone.extend(next(&mut queue, most));
            }
            assert_eq!(gone, ["a", "b", "c", "again", "d", "e"], "{most}");
        }
    }
}
