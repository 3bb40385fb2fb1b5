//! What the engine may ask of the machine it runs on.
//!
//! Answers are immediate and repeatable: reading here is reading memory or a local disk, never
//! waiting for anybody. Whatever is admitted during a turn is made durable before the effects of
//! that turn leave the machine, so an acknowledgement can only follow the commit.

use std::collections::BTreeSet;

use linli_domain::digest::Digest;
use linli_domain::gate::Refusal;
use linli_domain::id::{ChangeHash, EpochId, PeerName, Space};

use crate::frame::{AuthorGrant, Cursor, Item};

/// What a space holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Digest of all changes.
    pub digest: Digest,
    /// Last sequence number.
    pub head: u64,
    /// Chain value at `head`.
    pub chain: u64,
}

/// A change with its place in our journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Sequence number within its space.
    pub seq: u64,
    /// Short id of the peer it came from; 0 if made here.
    pub origin: u64,
    /// The change.
    pub item: Item,
}

/// What became of a change from a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is new and staged in the journal.
    Taken,
    /// It was here already.
    Known,
    /// Something it depends on is not here yet; nothing was kept.
    Missing,
    /// Its sender has used up what it may send today; nothing was kept. It may come again after
    /// so many seconds.
    Later(u32),
    /// It is refused for good; kept in quarantine.
    Refused(Refusal),
}

/// Whose journal has two lives under one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// This machine's: the peer has read what is not in it.
    Ours,
    /// The peer's: it is not the one that was read before.
    Theirs,
}

/// The machine's journal, gate and notes, as the engine sees them.
pub trait Holdings {
    /// The life of this store.
    fn epoch(&self) -> EpochId;
    /// What a space holds, staged changes included.
    fn held(&self, space: &Space) -> Held;
    /// The chain value at a sequence number; `None` if there is no such place.
    fn chain_at(&mut self, space: &Space, seq: u64) -> Option<u64>;
    /// Changes after a sequence number in journal order, at most `items` and about `bytes`.
    fn read(&mut self, space: &Space, after: u64, items: usize, bytes: usize) -> Vec<Placed>;
    /// One change by its place.
    fn read_one(&mut self, space: &Space, seq: u64) -> Option<Placed>;
    /// Every hash of a space with its place, ascending by hash.
    fn hashes(&mut self, space: &Space) -> Vec<(ChangeHash, u64)>;
    /// Judges a change and stages it if it passes.
    fn admit(&mut self, space: &Space, from: &PeerName, item: &Item) -> Admission;
    /// How far this machine has read a peer's journal.
    fn cursor(&self, peer: &PeerName, space: &Space) -> Option<Cursor>;
    /// Remembers how far; need not be durable.
    fn set_cursor(&mut self, peer: &PeerName, space: &Space, cursor: Cursor);
    /// As [`Self::set_cursor`], by a file that somebody carried; remembered as such until a link sets
    /// the cursor, or the machine stops: then no link waits any more.
    fn set_cursor_carried(&mut self, peer: &PeerName, space: &Space, cursor: Cursor);
    /// Whether a file has set the cursor, and no link since.
    fn is_carried(&self, peer: &PeerName, space: &Space) -> bool;
    /// How far in a peer's journal this machine is known to hold everything. Its cursor may lie
    /// behind this: over a link, what lacked a cause is asked for again and may still be on its
    /// way when the link breaks.
    fn proven(&self, peer: &PeerName, space: &Space) -> Option<Cursor>;
    /// Remembers how far; need not be durable.
    fn set_proven(&mut self, peer: &PeerName, space: &Space, cursor: Cursor);
    /// How far a peer holds our journal, as was last noted; 0 if it never was.
    fn acked(&self, peer: &PeerName, space: &Space) -> u64;
    /// Remembers that a peer holds everything up to this place; need not be durable.
    fn set_acked(&mut self, peer: &PeerName, space: &Space, seq: u64);
    /// Digest of the changes this machine has refused for good from a peer.
    fn refused_from(&self, peer: &PeerName, space: &Space) -> Digest;
    /// Digest of this machine's changes that a peer has refused for good.
    fn refused_by(&self, peer: &PeerName, space: &Space) -> Digest;
    /// A peer has refused one of our changes for good: list it for its author to see.
    fn note_refused_by(&mut self, peer: &PeerName, space: &Space, hash: ChangeHash, reason: &str);
    /// A peer refuses these changes of ours still, and holds all others: takes those off the list.
    fn keep_refused_by(&mut self, peer: &PeerName, space: &Space, still: &BTreeSet<ChangeHash>);
    /// A peer that says hello knows another journal under this epoch than the one there is: two
    /// machines run on copies of one disk, or an old copy was put back unnoticed.
    /// True where the link must end for it.
    fn note_other_life(&mut self, peer: &PeerName, whose: Whose) -> bool;
    /// Machines whose changes may be accepted in a space.
    fn authors(&self, space: &Space) -> Vec<AuthorGrant>;
    /// Takes grants from a hub.
    fn grant(&mut self, grants: &[AuthorGrant]);
}
