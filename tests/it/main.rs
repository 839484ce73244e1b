//! segue against the emulator over a socket: two witnesses that read the same documents.
#![cfg(test)]

mod push;
mod wire;
