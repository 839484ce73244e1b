//! Operations in, outcomes out: exactly one each, whatever happens on the way.
//!
//! Owns packing, the gate, the pace of each application user, penalties, back-off, the meter of it all, the resolver that finds GUIDs and the way past it, the table
//! that says what happens next after a failure, and the chain of requests by which a key comes to its one outcome.
//! Leaves to others what a reply means (`dataverse`), what is remembered of it (`ledger`) and which rows are due.

mod account;
mod advice;
mod alarm;
mod chain;
mod charge;
mod climb;
mod curve;
mod draft;
mod ending;
mod entrance;
mod flight;
mod gate;
mod grant;
mod histogram;
mod history;
mod judge;
mod lane;
mod lookup;
mod lull;
mod meter;
mod options;
mod pace;
mod patience;
mod penalty;
mod queue;
mod refer;
mod resolve;
mod rules;
mod shared;
mod size;
mod slot;
mod triage;
mod users;
mod wrap;

pub use account::{DispatchReport, Dropped, StopCause, Stopping, Traffic};
pub use curve::Point;
pub use draft::{Draft, Foreseen, Resolved, TOGETHER, handfuls};
pub use entrance::{Entrance, Handed, together};
pub use gate::dispatch;
pub use histogram::Latency;
pub use lane::Lane;
pub use lookup::whereabouts;
pub use meter::{Measured, Meter, Pulse, Wait, WaitCause};
pub use options::Options;
pub use refer::{Differ, Growing, Referring, refer};
pub use resolve::{ResolveReport, foresee, resolve};
pub use rules::{IdDeriver, KeyDigester, Mode, Rules};
