//! The emulator as its clients see it: request bytes in; status, headers and body out.
#![cfg(test)]

mod actions;
mod batch;
mod bulk;
mod chaos;
mod client;
mod deep;
mod definitions;
mod examples;
mod fetch;
mod files;
mod foreign;
mod journal;
mod keys;
mod limits;
mod lookups;
mod parties;
mod query;
mod related;
mod roles;
mod rows;
mod socket;
mod sql;
mod states;
mod tls;
mod tokens;
mod upserts;
mod values;
