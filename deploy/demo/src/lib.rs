//! The demo: the ledgers of six communities, the figures that their reports state, and the real
//! processes that keep and count them.
//!
//! The data is generated the same way each time. It refuses to hold data of real persons: every
//! name, number and room is invented.

pub mod board;
pub mod communities;
pub mod office;
pub mod reported;
pub mod story;
