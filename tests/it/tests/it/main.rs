//! The integration tests, in one binary: what holds across rooms.
//!
//! A story over real processes or a rule of the house is one module here. It refuses to test
//! what a single room can test for itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what went wrong by stopping")]

mod stories;
mod tidy;
