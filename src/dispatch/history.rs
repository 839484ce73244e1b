//! What was already tried for a key on its way to its one outcome.

use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use super::advice::Violated;
use super::triage::Company;
use crate::model::{Accepted, ColumnSet, ServiceError};

/// What was already tried for a key. Most keys have none: they are done at the first try, and cost no room for it.
#[derive(Debug, Default)]
pub(super) struct History(Option<Box<Tried>>);

impl History {
    /// The first of two writes, if there was one.
    pub(super) fn into_first(self) -> Option<First> {
        self.0.and_then(|tried| tried.first)
    }
}

static UNTRIED: LazyLock<Tried> = LazyLock::new(Tried::default);

impl Deref for History {
    type Target = Tried;

    fn deref(&self) -> &Tried {
        self.0.as_deref().unwrap_or(&UNTRIED)
    }
}

impl DerefMut for History {
    fn deref_mut(&mut self) -> &mut Tried {
        self.0.get_or_insert_default()
    }
}

/// What was already tried for a key.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Tries that the service or the network failed at. Of a part of a request, the last ones are still to come.
    pub(super) failures: u32,
    /// How often the service had worked for others at the last of them, or when its request was first parted.
    pub(super) progress: u64,
    /// Whether its request failed so often that it was parted, to find the row at which the service fails.
    pub(super) is_parted: bool,
    /// An answer to a request that creates was lost: the record may be there, and ours.
    pub(super) may_have_created: bool,
    pub(super) turns: u32,
    pub(super) step: Step,
    /// What the service last said of this row.
    pub(super) said: ServiceError,
    /// The state of a record that is to be created: a second write sets it, once the record is there.
    pub(super) owed: ColumnSet,
    /// The first of two writes.
    pub(super) first: Option<First>,
}

/// What is done next about a key at which the service or the network failed, for no fault of its own as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// It is sent again after a while.
    Again,
    /// What was sent together is sent in parts, since it may be one of them at which the service fails.
    InParts,
    /// The service fails at this one alone, and works for others.
    AtFault,
    /// Nothing: the service works for nobody.
    Hopeless,
}

impl Tried {
    /// Notes one more failure. `progress` rises while the service works for others.
    ///
    /// What failed together at each of its tries is parted, and its parts are parted on once the service has worked for
    /// any of the others. A row that is left alone has two tries.
    pub(super) fn failed(&mut self, company: Company, progress: u64, tries: NonZeroU32) -> Failed {
        let others_fare_well = self.progress < progress;
        let can_be_parted = company != Company::Alone && (others_fare_well || !self.is_parted);
        if !self.is_parted {
            self.progress = progress;
        }
        self.failures += 1;
        if self.failures < tries.get() && !(can_be_parted && self.is_parted) {
            Failed::Again
        } else if can_be_parted {
            self.is_parted = true;
            self.failures = tries.get().saturating_sub(2);
            Failed::InParts
        } else if others_fare_well {
            Failed::AtFault
        } else {
            Failed::Hopeless
        }
    }
}

/// Where in its chain a key is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Step {
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

/// What the first of two writes did, and the columns that it carried.
#[derive(Debug)]
pub(super) struct First {
    pub(super) done: Accepted,
    pub(super) columns: ColumnSet,
}
