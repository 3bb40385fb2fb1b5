//! The data of the demo: the ledgers of six communities, and the figures that their reports state.
//!
//! Everything here is generated the same way each time. It refuses to start processes, which is
//! the program's work, and to hold data of real persons: every name, number and room is invented.

pub mod communities;
pub mod reported;
