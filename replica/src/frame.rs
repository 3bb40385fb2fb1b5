//! What is said on a link. The runtime turns these into protobuf messages and back.
//!
//! Frames are symmetric: node and hub, node and node, hub and hub say the same things.

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::hlc::Hlc;
use linli_domain::id::{AuthorId, ChangeHash, EntryId, EpochId, Space};

/// One message on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens a session; the first frame from either side.
    Hello(Hello),
    /// Changes of one space, in the sender's journal order.
    Batch(Batch),
    /// What became of a batch.
    Ack(Ack),
    /// Fingerprints of hash ranges of a space whose digests differ.
    Ranges(Ranges),
    /// All hashes the sender holds in one range.
    Hashes(Hashes),
    /// Machines whose changes may be accepted, as the hub knows them.
    Authors(Vec<AuthorGrant>),
    /// A frame this version does not know; carried so that it can be counted and skipped.
    Unknown,
}

/// Opens a session: who I am in this life of my store, what I hold, and how far I read yours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The life of the sender's store.
    pub epoch: EpochId,
    /// The sender's clock, for its peer's notes; never used for order.
    pub now: Hlc,
    /// Every space the sender shares with this peer.
    pub spaces: Vec<SpaceState>,
}

/// What the sender holds of one space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceState {
    /// The space.
    pub space: Space,
    /// Digest of every change the sender holds in it.
    pub held: Digest,
    /// Last sequence number of this space in the sender's journal.
    pub head: u64,
    /// Chain value at `head`.
    pub chain: u64,
    /// How far the sender has read the receiver's journal; `None` if it never has.
    pub cursor: Option<Cursor>,
    /// Digest of the receiver's changes that the sender has refused for good.
    pub refused: Digest,
}

/// A place in a peer's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The life of the peer's store that `seq` belongs to.
    pub epoch: EpochId,
    /// Everything up to and including this sequence number has been read.
    pub seq: u64,
    /// The peer's chain value there, so that a journal that was set back is noticed.
    pub chain: u64,
}

/// Changes of one space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The space.
    pub space: Space,
    /// The receiver's new cursor once this batch is durable; `None` in a repair, which leaves
    /// cursors alone.
    pub to: Option<Cursor>,
    /// The batch's number, per space; acknowledgements name it. The sender begins each link elsewhere,
    /// so that no number of one link is one of another.
    pub number: u64,
    /// The changes. Those that came from the receiver are left out.
    pub items: Vec<Item>,
    /// The sender has nothing more in this space for now.
    pub last: bool,
    /// The sender's digest of the space when it made this batch.
    pub held: Digest,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The entry whose half this changes.
    pub entry: EntryId,
    /// The change's hash, as the sender knows it; the receiver computes it again.
    pub hash: ChangeHash,
    /// The change chunk, or the sealed envelope in a sealed space.
    pub bytes: Bytes,
    /// Wrapped keys that open the envelope, as far as the sender has them: at most
    /// [`KEYS_PER_ITEM_MAX`](crate::limits::KEYS_PER_ITEM_MAX). No part of the change, nor of its
    /// hash.
    pub keys: Vec<Bytes>,
}

/// What became of a batch: everything in it is durable here, but what is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The space.
    pub space: Space,
    /// The batch.
    pub number: u64,
    /// The acknowledging side's digest of the space, once the batch was durable.
    pub held: Digest,
    /// Changes refused for good, with reasons.
    pub refused: Vec<Refused>,
    /// Changes that could not be taken yet, because something they depend on is missing or their
    /// sender is put off; they are not durable here and should be sent again later.
    pub again: Vec<ChangeHash>,
    /// Nothing more is taken in this space for so many seconds; 0 where all is well.
    pub rest_seconds: u32,
}

/// One refused change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The change.
    pub hash: ChangeHash,
    /// A stable reason code, as `linli_domain::gate::Refusal::code` gives it.
    pub reason: String,
}

/// Fingerprints of the children of one hash prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The space.
    pub space: Space,
    /// The prefix all hashes of these ranges share; empty for the whole space.
    pub prefix: Vec<u8>,
    /// One fingerprint for each next byte that occurs.
    pub children: Vec<(u8, Digest)>,
}

/// All hashes of one range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// The space.
    pub space: Space,
    /// The range.
    pub prefix: Vec<u8>,
    /// The sender's hashes in it, ascending.
    pub hashes: Vec<ChangeHash>,
    /// Whether the receiver should answer with its own hashes of the range.
    pub answer: bool,
}

/// A machine whose changes may be accepted in a space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorGrant {
    /// The space.
    pub space: Space,
    /// The machine's author id.
    pub author: AuthorId,
    /// The machine's name, for people.
    pub name: String,
}
