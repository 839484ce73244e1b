//! Named scenarios.
#![cfg(test)]
