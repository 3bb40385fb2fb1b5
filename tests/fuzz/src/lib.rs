//! Fuzz targets for everything that bytes of strangers reach: plain functions, which stable Rust
//! runs from a seed and libFuzzer runs with coverage.
//!
//! A target is handed bytes and says whether they were taken or refused; where something is not as
//! it should be, it panics. Its mutator repairs lengths, checksums and chains, since random bytes
//! never pass them. It refuses to know how its inputs come about.

#![allow(clippy::panic, reason = "what does not hold is told by a panic")]

pub mod blind;
pub mod chance;
pub mod corpus;
pub mod runner;
pub mod targets;

use std::borrow::Cow;

use crate::chance::Chance;

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Taken, and all that must then hold was found to hold.
    Accepted,
    /// Refused, with the reason.
    Refused(Cow<'static, str>),
}

impl Verdict {
    pub(crate) fn refused(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(reason.into())
    }
}

/// A place that strangers' bytes reach.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, on the command line and as a folder of the corpus.
    pub name: &'static str,
    /// Runs one input; panics where something does not hold.
    pub run: fn(&[u8]) -> Verdict,
    /// Makes another input of one, with help of others.
    pub mutate: fn(&mut Vec<u8>, &[&[u8]], &mut Chance),
    /// The first inputs, by name: `honest-…` are accepted, `crafted-…` are refused.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    targets::gate::TARGET,
    targets::frames::TARGET,
    targets::inflate::TARGET,
    targets::journal::TARGET,
    targets::packs::TARGET,
    targets::envelope::TARGET,
    targets::members::TARGET,
    targets::enrolment::TARGET,
    targets::backup::TARGET,
    targets::rows::TARGET,
];

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
