//! Carries segments from a warehouse into Microsoft Dataverse and proves what it did.

pub mod check;
pub mod cli;
pub mod dataverse;
pub mod dispatch;
pub mod ledger;
pub mod mapping;
pub mod model;
pub mod push;
pub mod report;
pub mod sandbox;
pub mod snapshot;
pub mod source;
