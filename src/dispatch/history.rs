//! What was already tried for a key on its way to its one outcome.

use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use super::advice::Violated;
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
    /// Tries that the service or the network failed at.
    pub(super) failures: u32,
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
