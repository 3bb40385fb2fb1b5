//! The targets, one file each. They refuse to share state between two inputs.

pub(crate) mod backup;
pub(crate) mod enrolment;
pub(crate) mod envelope;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod inflate;
pub(crate) mod journal;
pub(crate) mod members;
pub(crate) mod packs;
pub(crate) mod rows;
