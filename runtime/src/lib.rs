//! The shell around the replica: links, certificates, enrolment, configuration.
//!
//! Here the clock, the sockets and chance are. It refuses to decide what a change means or who
//! may write it: it tells the replica who is on the other end, and carries frames.

pub mod authority;
pub mod config;
pub mod dial;
pub mod enrol;
pub mod limits;
pub mod link;
pub mod serve;
pub mod tls;
pub mod wire;

#[cfg(test)]
mod street;
