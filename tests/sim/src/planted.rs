//! Bugs planted on purpose, to see that the checkers would find them.
//!
//! Each is a change of the shell around honest machines: what a careless programmer would have
//! written there. It refuses to be on unless it is asked for by name.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// People are told that their edit is saved before the commit.
    AckBeforeCommit,
    /// A peer is told that a batch is durable, and the batch is thrown away.
    AckWithoutAdmit,
    /// The disk says that it has synced, and has not.
    LyingSync,
    /// A restored machine draws the same random numbers again, and so its old actor id.
    ActorReuse,
    /// A frame gets lost inside a link that goes on standing.
    LostFrame,
    /// Every peer is believed to hold the same.
    BlindDigest,
    /// Some touched entries are not measured again.
    UntouchedFigures,
    /// A checkpoint is written in two pieces, and a crash keeps the first.
    TornViews,
    /// One desk's pack puts a phone number into the open half.
    OpenPersonal,
    /// The hub takes a desk's word for its community.
    WrongCertificate,
    /// A machine stages what the gate would refuse.
    GateOff,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AckBeforeCommit,
        Self::AckWithoutAdmit,
        Self::LyingSync,
        Self::ActorReuse,
        Self::LostFrame,
        Self::BlindDigest,
        Self::UntouchedFigures,
        Self::TornViews,
        Self::OpenPersonal,
        Self::WrongCertificate,
        Self::GateOff,
    ];

    /// The name it is asked for by.
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::AckWithoutAdmit => "ack-without-admit",
            Self::LyingSync => "lying-sync",
            Self::ActorReuse => "actor-reuse",
            Self::LostFrame => "lost-frame",
            Self::BlindDigest => "blind-digest",
            Self::UntouchedFigures => "untouched-figures",
            Self::TornViews => "torn-views",
            Self::OpenPersonal => "open-personal",
            Self::WrongCertificate => "wrong-certificate",
            Self::GateOff => "gate-off",
        }
    }

    /// The bug of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|planted| planted.name() == name)
    }
}
