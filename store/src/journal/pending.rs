//! What waits for the next commit: the very bytes that will be written.
//!
//! It refuses to write them.

use linli_domain::id::Space;
use sha2::{Digest as _, Sha256};

use super::record::{self, Body, Seal};
use super::segment::{Header, Position};
use super::walk::{self, Link};

/// What waits for the next commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The bytes to write, a new segment's header included.
    pub buffer: Vec<u8>,
    /// Where the buffer will stand.
    pub start: Position,
    seed: u32,
    pub new_segment: Option<Header>,
    pub records: u32,
    sha: Sha256,
    /// Spaces that grew, each at least once.
    pub touched: Vec<Space>,
}

impl Pending {
    /// Begins a commit at the end of the last segment, whose records' checksums start at `seed`.
    pub(super) fn begin(&mut self, at: Position, seed: u32, link: Link) {
        self.buffer.clear();
        self.start = at;
        self.seed = seed;
        self.new_segment = None;
        self.sha = walk::begin_chain(link);
    }

    /// Begins a commit that opens a new segment.
    pub(super) fn begin_segment(&mut self, number: u32, link: Link) {
        let header = Header { number, commits: link.commits, chain: link.chain };
        self.begin(Position { segment: number, offset: 0 }, header.seed(), link);
        self.buffer.extend_from_slice(&header.encode());
        self.new_segment = Some(header);
    }

    /// Where the next record will stand.
    pub(super) fn end(&self) -> Position {
        let offset = self.start.offset + self.buffer.len() as u32;
        Position { segment: self.start.segment, offset }
    }

    pub(super) fn write(&mut self, body: &Body<'_>) {
        let offset = self.end().offset;
        let crc = record::encode(&mut self.buffer, self.seed, offset, body);
        self.sha.update(crc.to_le_bytes());
        self.records += 1;
    }

    /// Closes the commit; returns the chain after it.
    pub(super) fn seal(&mut self, before: Link) -> Link {
        let chain: [u8; 32] = std::mem::take(&mut self.sha).finalize().into();
        let link = Link { commits: before.commits + 1, chain };
        let seal = Seal { records: self.records, ordinal: link.commits, chain };
        let offset = self.end().offset;
        record::encode(&mut self.buffer, self.seed, offset, &Body::Seal(seal));
        link
    }
}
