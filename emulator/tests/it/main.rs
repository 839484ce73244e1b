//! The emulator as its clients see it: request bytes in; status, headers and body out.
#![cfg(test)]

mod batch;
mod client;
mod rows;
mod socket;
