//! Bugs planted on purpose, to see that the checkers would find them.
//!
//! Each is a change of the shell around honest machines: what a careless programmer would have
//! written there. It refuses to be on unless it is asked for by name.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// People are told that their edit is saved before the commit.
    AckBeforeCommit,
    /// Frames leave before the commit.
    FramesBeforeCommit,
    /// A commit fails, and people are told that their edit is saved.
    CommitErrorIgnored,
    /// A peer is told that a batch is durable, and the batch is thrown away.
    AckWithoutAdmit,
    /// The second half of a batch is left out, and the batch is acknowledged.
    HalfABatch,
    /// The disk says that it has synced, and has not.
    LyingSync,
    /// Names of new files are never synced.
    NamesNotSynced,
    /// A sync that failed counts as done.
    SyncErrorIgnored,
    /// A write that failed on a full disk counts as done.
    FullDiskIgnored,
    /// What a crash left behind the last commit is not cut off.
    TailNotCut,
    /// A checkpoint is written in two pieces, and a crash keeps the first.
    TornViews,
    /// Views that do not fit the journal are only half cleared.
    ViewsHalfCleared,
    /// A restored machine draws the same random numbers again, and so its old actor id.
    ActorReuse,
    /// A machine draws from the system, and not from its seed.
    SystemRandomness,
    /// A frame gets lost inside a link that goes on standing.
    LostFrame,
    /// A frame comes twice.
    DoubledFrame,
    /// Frames of a link that is gone are taken for the next one's.
    DeadLinkFrames,
    /// A frame is taken for one of another link.
    CrossedLinks,
    /// A machine does not hear that a link is gone.
    LinkNeverLetGo,
    /// The timer of a machine that was restarted does not run.
    DeadTimer,
    /// Every peer is believed to hold the same.
    BlindDigest,
    /// The last range of a comparison is left out.
    RangesOffByOne,
    /// What is queued for repair is forgotten when its turn comes.
    RepairsForgotten,
    /// What was sent counts as held by the hub.
    BelievedSent,
    /// A desk that was put off stays so when the limit is raised.
    LimitStays,
    /// Some touched entries are not measured again.
    UntouchedFigures,
    /// What an entry contributed before is not taken out of the figures.
    FiguresNotReduced,
    /// What is replayed after a crash counts once more.
    CountedAgain,
    /// Figures that fall to nothing are not removed.
    FiguresNotRemoved,
    /// One desk's pack puts a phone number into the open half.
    OpenPersonal,
    /// A sealed change leaves without its envelope.
    PlainForSealed,
    /// A hub was given the key of a community.
    KeyAtTheHub,
    /// The hub takes a desk's word for its community.
    WrongCertificate,
    /// A hub says to all what it has to say to one.
    SaidToAll,
    /// A hub files a change under a second community.
    FiledTwice,
    /// A machine stages what the gate would refuse.
    GateOff,
    /// Two changes of one author with one number are both taken.
    ForksLetIn,
    /// A step of somebody else may be replaced.
    StepsRewritten,
    /// Whoever writes is taken for an author.
    StrangersWrite,
    /// Anybody may say who is an author.
    GrantsFromAnyone,
    /// The name of an envelope is not compared with its bytes.
    HashNotCompared,
    /// A hub is not told of desks that join later.
    LostEnrolment,
    /// Refusals are thrown away at a start.
    RefusalsForgotten,
    /// A peer's clock is followed, however far it is ahead.
    ClockFollowed,
    /// Keys of an erased document go from one file of the shelf and stay in the other.
    ErasedKeyKept,
    /// Keys that were erased are put on the shelf once more.
    ErasedKeyTakenAgain,
    /// A row that has become shorter is not written, so that what was erased stays in the views.
    ErasedTextKept,
    /// A file counts as read whole, whatever of it was read.
    BundleCursorBelieved,
    /// What machines find of a copied disk is told to nobody.
    CloneNotNoticed,
    /// What is sealed is not handed to a hub that was made anew.
    HubRebuiltForgetsSealed,
    /// Some rows that are replaced stay as they were.
    StaleViewRow,
    /// Rows on their way to the disk are not read.
    LandingRowsMissed,
    /// A checkpoint counts as landed before it is written, and the next one takes its place.
    LandedTooEarly,
    /// Figures measured under other definitions are taken for those of the new ones.
    DefinitionsMixed,
    /// Only one of the two files of the key shelf is written.
    ShelfOnce,
    /// What comes about the member list is not read at some turns.
    MembersUnheard,
    /// A machine that gets a later key of its community goes on with the one it has.
    OldKeyKept,
    /// A new ring is copied to every desk, also to those that were removed.
    RingHandedOn,
    /// Conflicts are listed nowhere.
    ConflictsHidden,
    /// What may have been saved is tried again as something new.
    RetriedAsNew,
    /// A row of an entry is read as it was before it was replaced.
    OldRowsRead,
    /// A hub hears whoever came last when nobody else has anything to say.
    LastComeNeverServed,
    /// Each time a small file is replaced, what it was is left beside it.
    OldFilesLeft,
    /// Who follows an entry is shown what was written here before the commit.
    ShownTooEarly,
    /// Who follows an entry is not shown what came from peers.
    ScreensForgotten,
}

impl Planted {
    /// All of them, with the names they are asked for by.
    pub const ALL: [(Self, &'static str); 65] = [
        (Self::AckBeforeCommit, "ack-before-commit"),
        (Self::FramesBeforeCommit, "frames-before-commit"),
        (Self::CommitErrorIgnored, "commit-error-ignored"),
        (Self::AckWithoutAdmit, "ack-without-admit"),
        (Self::HalfABatch, "half-a-batch"),
        (Self::LyingSync, "lying-sync"),
        (Self::NamesNotSynced, "names-not-synced"),
        (Self::SyncErrorIgnored, "sync-error-ignored"),
        (Self::FullDiskIgnored, "full-disk-ignored"),
        (Self::TailNotCut, "tail-not-cut"),
        (Self::TornViews, "torn-views"),
        (Self::ViewsHalfCleared, "views-half-cleared"),
        (Self::ActorReuse, "actor-reuse"),
        (Self::SystemRandomness, "system-randomness"),
        (Self::LostFrame, "lost-frame"),
        (Self::DoubledFrame, "doubled-frame"),
        (Self::DeadLinkFrames, "dead-link-frames"),
        (Self::CrossedLinks, "crossed-links"),
        (Self::LinkNeverLetGo, "link-never-let-go"),
        (Self::DeadTimer, "dead-timer"),
        (Self::BlindDigest, "blind-digest"),
        (Self::RangesOffByOne, "ranges-off-by-one"),
        (Self::RepairsForgotten, "repairs-forgotten"),
        (Self::BelievedSent, "believed-sent"),
        (Self::LimitStays, "limit-stays"),
        (Self::UntouchedFigures, "untouched-figures"),
        (Self::FiguresNotReduced, "figures-not-reduced"),
        (Self::CountedAgain, "counted-again"),
        (Self::FiguresNotRemoved, "figures-not-removed"),
        (Self::OpenPersonal, "open-personal"),
        (Self::PlainForSealed, "plain-for-sealed"),
        (Self::KeyAtTheHub, "key-at-the-hub"),
        (Self::WrongCertificate, "wrong-certificate"),
        (Self::SaidToAll, "said-to-all"),
        (Self::FiledTwice, "filed-twice"),
        (Self::GateOff, "gate-off"),
        (Self::ForksLetIn, "forks-let-in"),
        (Self::StepsRewritten, "steps-rewritten"),
        (Self::StrangersWrite, "strangers-write"),
        (Self::GrantsFromAnyone, "grants-from-anyone"),
        (Self::HashNotCompared, "hash-not-compared"),
        (Self::LostEnrolment, "lost-enrolment"),
        (Self::RefusalsForgotten, "refusals-forgotten"),
        (Self::ClockFollowed, "clock-followed"),
        (Self::ErasedKeyKept, "erased-key-kept"),
        (Self::ErasedKeyTakenAgain, "erased-key-taken-again"),
        (Self::ErasedTextKept, "erased-text-kept"),
        (Self::BundleCursorBelieved, "bundle-cursor-believed"),
        (Self::CloneNotNoticed, "clone-not-noticed"),
        (Self::HubRebuiltForgetsSealed, "hub-rebuilt-forgets-sealed"),
        (Self::StaleViewRow, "stale-view-row"),
        (Self::LandingRowsMissed, "landing-rows-missed"),
        (Self::LandedTooEarly, "landed-too-early"),
        (Self::DefinitionsMixed, "definitions-mixed"),
        (Self::ShelfOnce, "shelf-once"),
        (Self::MembersUnheard, "members-unheard"),
        (Self::OldKeyKept, "old-key-kept"),
        (Self::RingHandedOn, "ring-handed-on"),
        (Self::ConflictsHidden, "conflicts-hidden"),
        (Self::RetriedAsNew, "retried-as-new"),
        (Self::OldRowsRead, "old-rows-read"),
        (Self::LastComeNeverServed, "last-come-never-served"),
        (Self::OldFilesLeft, "old-files-left"),
        (Self::ShownTooEarly, "shown-too-early"),
        (Self::ScreensForgotten, "screens-forgotten"),
    ];

    /// The name it is asked for by.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(planted, _)| *planted == self);
        named.map(|(_, name)| name).expect("every planted bug is in the list")
    }

    /// The bug of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(planted, _)| planted)
    }
}
