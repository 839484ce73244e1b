//! Dispatch against a model of the service, in simulated time: the laws that hold whatever happens.
//!
//! `SEGUE_SEEDS=10000` runs that many seeds, `SEGUE_SEED=7` runs one.
#![cfg(test)]

mod capacity;
mod chaos;
mod extract;
mod laws;
mod run;
mod scenarios;
mod seeds;
mod service;
mod setup;
mod table;
