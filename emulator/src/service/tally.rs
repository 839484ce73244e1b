//! How much a request made the service do.

use std::cell::Cell;

/// What a request did so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    operations: Cell<u32>,
    shown: Cell<u32>,
}

fn count(counter: &Cell<u32>) {
    counter.set(counter.get().saturating_add(1));
}

impl Tally {
    pub(crate) fn operation(&self) {
        count(&self.operations);
    }

    /// A row that is shown; who shows it has no say over the engine, so it may count here only.
    pub(crate) fn shown(&self) {
        count(&self.shown);
    }

    /// The rows of the request whose effects are so many; from here on it counts anew.
    pub(crate) fn rows(&self, effects: usize) -> u32 {
        let effects = u32::try_from(effects).unwrap_or(u32::MAX);
        let operations = self.operations.replace(0);
        operations.max(self.shown.replace(0)).max(effects)
    }
}
