//! What Dataverse last accepted, by key: the store, the survey, the diff and the lock.
//!
//! Owns the files under `<state>/<destination>/<mapping>/` and the locks under `<state>/locks/`. Holds digests under
//! a random secret and GUIDs, never values. Does not decide what a reply of Dataverse means, what becomes of rows
//! that are not unchanged, or whether a guard trips.

mod blocks;
mod catalogue;
mod chain;
mod database;
mod diff;
mod disk;
mod entries;
mod error;
mod exchange;
mod files;
mod findings;
mod fold;
mod format;
mod frame;
mod frames;
mod generation;
mod held;
mod holders;
mod identity;
mod journal;
mod layout;
#[expect(
    clippy::module_inception,
    reason = "the room's main type has the room's name"
)]
mod ledger;
mod lock;
mod nameless;
mod order;
mod overview;
mod page;
#[cfg(test)]
mod power;
mod rekey;
mod renamed;
mod replace;
mod reset;
mod snapshot;
mod sorted;
mod spill;
mod spool;
mod survey;

pub use catalogue::{Ending, RunNoted, RunNumber, UnfinishedRun};
pub use diff::{Scope, after, diff, each_after};
pub use error::LedgerError;
pub use exchange::{export, exported_of, import};
pub use generation::Slot;
pub use held::{Breadth, EQUAL_ANSWERS, Held, HeldBack, HeldCounts, Learned, Refused};
pub use holders::{Holders, Neighbourhood};
pub use identity::Identity;
pub use layout::{Layout, LayoutColumn};
pub use ledger::Ledger;
pub use lock::RunLock;
pub use overview::{Overview, mapping_file, overview};
pub use page::{Entry, Page, Recorded};
pub use rekey::{NewKey, Rekey, Rekeyed, Unkeyed};
pub use renamed::Renamed;
pub use reset::reset;
pub use snapshot::Snapshot;
pub use sorted::StandingRow;
pub use survey::{
    Extent, Finding, Survey, SurveyBuilder, SurveyCounts, SurveyEntry, SurveyOptions, Vanished,
};
