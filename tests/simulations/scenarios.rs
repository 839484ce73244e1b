//! Named scenarios: one thing goes wrong, and this is what becomes of it.
#![cfg(test)]

mod backlog;
mod bulk;
mod endings;
mod forecast;
mod grants;
mod isolation;
mod keys;
mod limits;
mod losses;
mod pace;
