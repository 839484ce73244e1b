//! segue against the emulator over a socket: two witnesses that read the same documents.
#![cfg(test)]

mod bad_input;
mod bulk;
mod bulk_tables;
mod chaos;
mod check;
mod days;
mod describe;
mod desk;
mod documents;
mod duplicates;
mod formats;
mod history;
mod limits;
mod lookups;
mod main_job;
mod missing;
mod odd_keys;
mod offline;
mod options;
mod push;
mod push_endings;
mod push_waits;
mod ready;
mod removal_safety;
mod retry;
mod roles;
mod sandbox;
mod secrets;
mod sending;
mod state;
mod states;
mod stopping;
mod types;
mod users;
mod wire;
