//! The emulator as its clients see it: request bytes in; status, headers and body out.
#![cfg(test)]

mod batch;
mod client;
mod fetch;
mod foreign;
mod journal;
mod keys;
mod lookups;
mod query;
mod related;
mod roles;
mod rows;
mod socket;
mod states;
mod tokens;
mod upserts;
mod values;
