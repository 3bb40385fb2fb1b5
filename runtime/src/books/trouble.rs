//! What the books tell of and cannot answer to anyone.

use linli_domain::id::{EntryId, PeerName};
use linli_replica::holdings::Whose;

/// What went wrong inside, or out of measure, and is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BooksTrouble {
    /// A journal read failed; the space or entry is named.
    Read(String),
    /// A view failed; it will be rebuilt at the next start.
    View(String),
    /// A published pack is not in force here; it is named with the reason.
    Pack(String),
    /// A peer uses an author's identity twice: a copied disk or a restored backup.
    Fork {
        /// The entry it showed in.
        entry: EntryId,
        /// The peer that sent it.
        from: PeerName,
    },
    /// A journal has two lives under one epoch: two machines run on copies of one disk, or an old
    /// copy was put back unnoticed.
    OtherLife {
        /// The peer that said so, or whose journal it is.
        peer: PeerName,
        /// Whose journal it is.
        whose: Whose,
    },
    /// A desk has handed over most of what it may today.
    NearQuota {
        /// The desk.
        from: PeerName,
        /// What it has handed over.
        bytes: u64,
        /// What it may.
        bytes_per_day: u64,
    },
    /// The disk came short of room, or has room again.
    Room {
        /// Bytes that are free.
        free: u64,
        /// Bytes that are kept free.
        min: u64,
        /// Nothing more is taken until there is room again.
        short: bool,
    },
    /// A desk has handed over what it may today: the rest is put off.
    PutOff {
        /// The desk.
        from: PeerName,
        /// What it has handed over.
        bytes: u64,
        /// What it may.
        bytes_per_day: u64,
    },
}
