//! The emulator as its clients see it: request bytes in; status, headers and body out.
#![cfg(test)]

mod batch;
mod chaos;
mod client;
mod foreign;
mod journal;
mod keys;
mod limits;
mod lookups;
mod query;
mod roles;
mod rows;
mod socket;
mod states;
mod tls;
mod tokens;
mod upserts;
mod values;
