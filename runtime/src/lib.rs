//! The shell around the replica: links, certificates, enrolment, configuration.
//!
//! Here the clock, the sockets and chance are. It refuses to decide what a change means or who
//! may write it: it tells the replica who is on the other end, and carries frames.

pub mod ahead;
pub mod ask;
pub mod authority;
pub mod backup;
pub mod books;
pub mod bundle;
pub mod conduct;
pub mod config;
pub mod daemon;
pub mod dial;
pub mod edit;
pub mod enrol;
pub mod half;
pub mod lan;
pub mod limits;
pub mod link;
mod lobby;
pub mod local_api;
pub mod policy;
mod seldom;
pub mod serve;
mod shelf;
pub mod site;
pub mod terminal;
pub mod tls;
pub mod wire;

#[cfg(test)]
mod street;

/// Of every program that links this room. An entry is many short texts that live for one turn:
/// with the system's allocator, 40 % of the time of a busy desk and of a recount went into it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
