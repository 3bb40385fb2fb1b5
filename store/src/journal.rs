//! The journal: the append-only truth of one store.
//!
//! # What it promises
//! - `append` and the note calls only fill a buffer. `commit` writes it with one append and one
//!   sync. When `commit` has returned `Ok`, its records and notes survive a power cut, together;
//!   before that, a crash leaves all of them or none.
//! - Records of a space are numbered 1, 2, 3 without a gap, in the order of `append`.
//! - Readers see durable records only. Notes are seen at once by the process that sets them.
//! - After a failed `commit` nothing more is accepted: whether the bytes reached the disk is not
//!   known, and asking again would lie. The process opens the journal anew. Reading goes on.
//! - Opening keeps everything up to the last sealed commit and cuts what a crash left behind it;
//!   the report says how much. A flaw anywhere else refuses the open and names the place;
//!   [`Journal::salvage`] then makes a sound journal of what is intact.
//! - Opening from a [`Checkpoint`] reads only what came after it. A flaw before it is found by the
//!   read that meets it, or by [`Journal::audit`].
//!
//! It refuses to understand changes, to delete, and to read a clock.

mod audit;
mod checkpoint;
mod index;
mod open;
mod read;
mod record;
mod salvage;
mod scan;
mod segment;
mod tail;
mod walk;

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use linli_domain::id::{ChangeHash, EntryId, Space};
use sha2::{Digest as _, Sha256};

pub use self::audit::AuditReport;
pub use self::checkpoint::Checkpoint;
pub(crate) use self::checkpoint::Track;
pub use self::index::{Blocks, NoBlocks};
pub(crate) use self::index::{Places, decode_block, encode_block};
pub use self::open::{Cut, Lost, OpenReport, Refusal};
pub use self::read::ReadError;
pub use self::record::{Head, Record, link};
pub(crate) use self::record::{u32_at, u64_at};
pub use self::salvage::{SalvageError, SalvageReport};
pub use self::segment::Position;
pub(crate) use self::walk::Link;

use self::record::{Body, Change, Seal};
use self::segment::Header;
use self::tail::Tail;
use crate::disk::{Disk, DiskError};
use crate::limits::{
    NOTE_KEY_BYTES_MAX, NOTE_VALUE_BYTES_MAX, NOTES_BYTES_MAX, PAYLOAD_BYTES_MAX,
    PENDING_BYTES_MAX, SEGMENT_BYTES, TAIL_BYTES,
};

/// How a journal is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes after which the next commit opens a new segment; at most 2 GiB are used.
    pub segment_bytes: u64,
    /// Bytes of recent commits kept in memory.
    pub tail_bytes: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, tail_bytes: TAIL_BYTES }
    }
}

/// The journal of one store.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    disk: D,
    options: JournalOptions,
    /// Of every segment, the first being number 1.
    headers: Vec<Header>,
    state: Checkpoint,
    pending: Pending,
    tail: Tail,
    poisoned: bool,
}

/// What waits for the next commit.
#[derive(Debug, Default)]
struct Pending {
    /// The bytes to write, a new segment's header included.
    buffer: Vec<u8>,
    /// Where the buffer will stand.
    start: Position,
    seed: u32,
    new_segment: Option<Header>,
    records: u32,
    sha: Sha256,
    /// Spaces that grew, each at least once.
    touched: Vec<Space>,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on it. Stop that one first.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The disk failed. Try again once it is well.
    #[error("the journal's disk failed")]
    Io(#[from] io::Error),
    /// Durable bytes are missing or changed. Salvage what is intact and fetch the rest from a peer.
    #[error("the journal is damaged: {0}")]
    Damaged(Damage),
    /// A salvage was interrupted and could not be finished. Try again once the disk is well.
    #[error("an interrupted salvage could not be finished")]
    Salvage(#[from] Box<SalvageError>),
    /// Written by a newer version of this program. Use that one.
    #[error("the journal has format {version}, newer than this program's {}", segment::VERSION)]
    Newer {
        /// Version of its format.
        version: u32,
    },
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::InUse { path } => Self::InUse { path },
            DiskError::Io { source, .. } => Self::Io(source),
        }
    }
}

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
}

/// Why a record or note was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A commit has failed before. Open the journal anew.
    #[error("a commit has failed; the journal must be opened anew")]
    Poisoned,
    /// Longer than a record may be. Refuse it to its author.
    #[error("{bytes} bytes are more than the {max} a record may have")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// As much waits as one commit may hold. Commit first.
    #[error("a commit is due: {bytes} bytes wait")]
    CommitDue {
        /// Bytes that wait.
        bytes: usize,
    },
    /// All notes together would exceed their limit. Remove some first.
    #[error("the notes would have {bytes} bytes, more than the {max} allowed")]
    NotesFull {
        /// What they would come to.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

/// Why a commit did not become durable, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A commit has failed before. Open the journal anew.
    #[error("a commit has failed; the journal must be opened anew")]
    Poisoned,
    /// This commit failed. Nothing of it may be called durable; open the journal anew.
    #[error("the journal's disk failed while committing")]
    Io(#[source] io::Error),
}

impl<D: Disk> Journal<D> {
    /// Takes in one change or envelope; returns its number in the space. Not durable yet.
    pub fn append(
        &mut self,
        space: &Space,
        origin: u64,
        entry: &EntryId,
        hash: &ChangeHash,
        bytes: &[u8],
    ) -> Result<u64, AppendError> {
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(AppendError::TooLong { bytes: bytes.len(), max: PAYLOAD_BYTES_MAX });
        }
        self.begin()?;
        let place = self.pending.end();
        if !self.state.spaces.contains_key(space) {
            self.state.spaces.insert(space.clone(), Track::default());
        }
        let track = self.state.spaces.get_mut(space).expect("inserted above");
        if track.head.seq == track.durable.seq {
            self.pending.touched.push(space.clone());
        }
        let head = track.head.after(hash);
        track.push(head, place);
        let name = SpaceName::of(space);
        self.pending.write(&Body::Change(Change {
            space: name.as_str(),
            seq: head.seq,
            origin,
            chain: head.chain,
            entry: entry.as_str(),
            hash: *hash,
            bytes,
        }));
        Ok(head.seq)
    }

    /// Sets a small fact by its key; the last value wins. Not durable yet.
    pub fn append_note(&mut self, key: &str, value: &[u8]) -> Result<(), AppendError> {
        let max = NOTE_VALUE_BYTES_MAX;
        if key.len() > NOTE_KEY_BYTES_MAX || value.len() > max {
            return Err(AppendError::TooLong { bytes: key.len() + value.len(), max });
        }
        let bytes = self.state.notes_bytes + key.len() + value.len();
        if bytes > NOTES_BYTES_MAX {
            return Err(AppendError::NotesFull { bytes, max: NOTES_BYTES_MAX });
        }
        self.begin()?;
        self.state.set_note(key, Some(value));
        self.pending.write(&Body::Note { key, value });
        Ok(())
    }

    /// Removes a small fact. Not durable yet.
    pub fn remove_note(&mut self, key: &str) -> Result<(), AppendError> {
        if self.state.notes.contains_key(key) {
            self.begin()?;
            self.state.set_note(key, None);
            self.pending.write(&Body::NoteGone { key });
        }
        Ok(())
    }

    /// Makes everything taken in since the last commit durable: one append, one sync (and, once per
    /// segment, a sync of the directory). With nothing to commit it does nothing.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        if self.poisoned {
            return Err(CommitError::Poisoned);
        }
        if self.pending.records == 0 {
            return Ok(());
        }
        let link = self.pending.seal(self.state.link);
        if let Err(error) = self.write_pending() {
            self.poisoned = true;
            return Err(CommitError::Io(error));
        }
        let pending = std::mem::take(&mut self.pending);
        self.headers.extend(pending.new_segment);
        self.state.at = pending.end();
        self.state.link = link;
        for space in &pending.touched {
            let track = self.state.spaces.get_mut(space).expect("touched by append");
            track.durable = track.head;
        }
        self.tail.push(pending.start, Bytes::from(pending.buffer));
        Ok(())
    }

    /// How far a space has come, durably.
    pub fn head(&self, space: &Space) -> Head {
        self.state.head(space)
    }

    /// All spaces with their durable heads, in order.
    pub fn spaces(&self) -> impl Iterator<Item = (&Space, Head)> {
        self.state.spaces.iter().map(|(space, track)| (space, track.durable))
    }

    /// The value of a note.
    pub fn note(&self, key: &str) -> Option<&[u8]> {
        self.state.notes.get(key).map(Vec::as_slice)
    }

    /// All notes in the order of their keys.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.state.notes.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// The notes whose keys begin with `prefix`, in order.
    pub fn notes_with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &[u8])> {
        let from = self.state.notes.range(prefix.to_owned()..);
        from.take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// Whether records or notes wait for a commit.
    pub fn has_pending(&self) -> bool {
        self.pending.records > 0
    }

    /// Whether a commit has failed.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Everything known up to the last commit; what waits is included until it is committed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.state
    }

    /// Ends the journal without a commit; returns what is known of it.
    pub fn into_checkpoint(self) -> Checkpoint {
        self.state
    }

    pub(crate) fn checkpoint_mut(&mut self) -> &mut Checkpoint {
        &mut self.state
    }

    /// Number of segment files.
    pub fn segments(&self) -> u32 {
        self.headers.len() as u32
    }

    fn begin(&mut self) -> Result<(), AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        let bytes = self.pending.buffer.len();
        if bytes > PENDING_BYTES_MAX {
            return Err(AppendError::CommitDue { bytes });
        }
        if self.pending.records > 0 {
            return Ok(());
        }
        let segment_bytes = self.options.segment_bytes.min(1 << 31);
        let (at, link) = (self.state.at, self.state.link);
        self.pending.buffer.clear();
        self.pending.sha = walk::begin_chain(link);
        if at.segment == 0 || u64::from(at.offset) >= segment_bytes {
            let header =
                Header { number: at.segment + 1, commits: link.commits, chain: link.chain };
            self.pending.buffer.extend_from_slice(&header.encode());
            self.pending.start = Position { segment: header.number, offset: 0 };
            self.pending.seed = header.seed();
            self.pending.new_segment = Some(header);
        } else {
            self.pending.start = at;
            self.pending.seed = self.header(at.segment).seed();
            self.pending.new_segment = None;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let pending = &self.pending;
        let name = segment::name(pending.start.segment);
        if pending.new_segment.is_some() && self.state.at.segment > 0 {
            // Gives back the room reserved behind the segment that is now full.
            let full = segment::name(self.state.at.segment);
            self.disk.truncate(&full, u64::from(self.state.at.offset))?;
            self.disk.sync(&full)?;
        }
        self.disk.append(&name, &pending.buffer)?;
        self.disk.sync(&name)?;
        if pending.new_segment.is_some() {
            self.disk.sync_dir()?;
        }
        Ok(())
    }

    fn header(&self, segment: u32) -> &Header {
        self.headers.get(segment as usize - 1).expect("a place lies in a segment that exists")
    }
}

impl Pending {
    /// Where the next record will stand.
    fn end(&self) -> Position {
        let offset = self.start.offset + self.buffer.len() as u32;
        Position { segment: self.start.segment, offset }
    }

    fn write(&mut self, body: &Body<'_>) {
        let offset = self.end().offset;
        let crc = record::encode(&mut self.buffer, self.seed, offset, body);
        self.sha.update(crc.to_le_bytes());
        self.records += 1;
    }

    fn seal(&mut self, before: Link) -> Link {
        let chain: [u8; 32] = std::mem::take(&mut self.sha).finalize().into();
        let link = Link { commits: before.commits + 1, chain };
        let seal = Seal { records: self.records, ordinal: link.commits, chain };
        let offset = self.end().offset;
        record::encode(&mut self.buffer, self.seed, offset, &Body::Seal(seal));
        link
    }
}

/// The written form of a space, made without the heap.
struct SpaceName {
    bytes: [u8; 64],
    len: usize,
}

impl SpaceName {
    fn of(space: &Space) -> Self {
        let (before, id, after) = match space {
            Space::Open(id) => ("community/", id.as_str(), "/open"),
            Space::Sealed(id) => ("community/", id.as_str(), "/sealed"),
            Space::Board(id) => ("street/", id.as_str(), "/board"),
            Space::Figures(id) => ("street/", id.as_str(), "/figures"),
        };
        let mut name = Self { bytes: [0; 64], len: 0 };
        for part in [before, id, after] {
            let end = name.len + part.len();
            name.bytes[name.len..end].copy_from_slice(part.as_bytes());
            name.len = end;
        }
        name
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("made of whole strings")
    }
}
