//! The simulator: a world of desks, hubs, disks, people and a network, all from one seed.
//!
//! The machines are the real ones; time, disks and wires are invented, and break. Checkers stand
//! outside and believe nobody. One seed gives one run, to the byte. It refuses to open a socket or
//! a file, or to look at a clock.

#![allow(
    clippy::unnecessary_wraps,
    clippy::single_match_else,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "faults, acts and checks share one shape, also where one of them cannot fail"
)]

mod chance;
mod checkers;
mod hostile;
mod machine;
mod medium;
mod network;
mod packs;
mod people;
mod plan;
mod planted;
#[cfg(test)]
mod tests;
mod trace;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use linli_domain::pack::Registry;

pub use checkers::{Checker, Violation};
pub use planted::Planted;

use world::World;

/// How a world is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Acts and faults before peace.
    pub steps: u32,
    /// A bug to be found.
    pub planted: Option<Planted>,
    /// Somebody carries files between desks of a community.
    pub sticks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: 250, planted: None, sticks: false }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// SHA-256 over all events and effects.
    pub trace: [u8; 32],
    /// The last lines of the trace.
    pub tail: Vec<String>,
    /// What happened how often.
    pub happened: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// A run that ended in a panic.
    pub fn panicked(text: &str) -> Self {
        let violation = Violation::new(Checker::Sound, format!("a machine panicked: {text}"));
        Self {
            violation: Some(violation),
            trace: [0; 32],
            tail: Vec::new(),
            happened: BTreeMap::new(),
        }
    }
}

/// The definitions every world uses; made once.
#[derive(Debug, Clone)]
pub struct Definitions {
    now: Arc<Registry>,
    /// Those of a later release, which some machines have.
    newer: Arc<Registry>,
}

impl Default for Definitions {
    fn default() -> Self {
        Self { now: Arc::new(packs::real()), newer: Arc::new(packs::newer()) }
    }
}

/// Runs a world once.
pub fn run(seed: u64, options: &Options, definitions: &Definitions) -> Outcome {
    let mut world = World::new(seed, options, definitions);
    let violation = world.live().err();
    let (trace, tail, happened) = world.trace.finish();
    Outcome { violation, trace, tail, happened }
}

/// Runs a world twice; other traces for the same seed are a violation too.
pub fn run_twice(seed: u64, options: &Options, definitions: &Definitions) -> Outcome {
    let first = run(seed, options, definitions);
    let second = run(seed, options, definitions);
    if first.violation.is_none() && first.trace != second.trace {
        let violation =
            Violation::new(Checker::Repeatable, "two runs of this seed give other traces");
        return Outcome { violation: Some(violation), ..second };
    }
    first
}
