//! Names for what can be wrong with a journal's files, and where.
//!
//! It refuses to judge what to do about it.

/// A place where a journal is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment}, byte {offset}: {flaw}")]
pub struct Damage {
    /// Number of the segment.
    pub segment: u32,
    /// Offset in it.
    pub offset: u64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What can be wrong with a place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The segment's file is not there.
    #[error("the file is missing")]
    Missing,
    /// The segment's header is not one.
    #[error("the header is not readable")]
    Header,
    /// The file ends inside a record or a commit.
    #[error("the file ends too early")]
    CutShort,
    /// No record is that long or that short.
    #[error("the length of a record is impossible")]
    Length,
    /// The bytes are not the ones that were written.
    #[error("the checksum of a record is wrong")]
    Checksum,
    /// The bytes are intact, but not of a known shape.
    #[error("a record has an unknown shape")]
    Shape,
    /// A commit or segment does not continue the one before.
    #[error("the chain of commits is broken")]
    Chain,
    /// A record does not continue its space.
    #[error("a record is out of order in its space")]
    Order,
    /// The note of how far the journal reaches is not what was written.
    #[error("the note of how far the journal reaches is not what was written")]
    Reach,
}
