//! The replication engine: what two machines say to each other so that both end with the same
//! changes.
//!
//! No clock, no socket, no disk and no randomness of its own: events come in, effects go out, and
//! the same events always give the same effects. It refuses to know who is on the other end of a
//! link beyond the name and the rights it is told.

pub mod carried;
pub mod engine;
pub mod frame;
pub mod holdings;
pub mod limits;
mod lives;
mod pace;
mod ranges;
pub mod session;

pub use engine::{Effect, Event, LinkId, Replica};

#[cfg(test)]
mod tests;
