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
//! - An end that was durable and is gone is noticed by the reach, a small file that is written
//!   after each commit and never synced.
//! - Opening from a [`Checkpoint`] reads only what came after it. A flaw before it is found by the
//!   read that meets it, or by [`Journal::audit`].
//!
//! It refuses to understand changes, to delete, and to read a clock.

mod audit;
mod checkpoint;
mod damage;
mod index;
mod open;
mod pending;
mod reach;
mod read;
mod record;
mod salvage;
mod scan;
mod segment;
mod survey;
mod tail;
mod walk;

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use linli_domain::id::{ChangeHash, EntryId, Space};

pub use self::audit::{AuditReport, Auditing};
pub use self::checkpoint::Checkpoint;
pub(crate) use self::checkpoint::Track;
pub use self::damage::{Damage, Flaw};
pub use self::index::{Blocks, NoBlocks};
pub(crate) use self::index::{Places, decode_block, encode_block};
pub use self::open::{Cut, Lost, OpenReport, Refusal, Short};
pub use self::read::ReadError;
pub use self::record::{Head, Record, link};
pub(crate) use self::record::{u32_at, u64_at};
pub use self::salvage::{SalvageError, SalvageReport};
pub use self::segment::Position;
pub use self::survey::{Extent, Retrace, Survey};
pub(crate) use self::walk::Link;

use self::pending::Pending;
use self::reach::Reach;
use self::record::{Body, Change, SpaceName};
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
    /// A salvage was interrupted. Opening the journal finishes it.
    #[error("a salvage was interrupted and is not finished yet")]
    Unfinished,
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
        Reach::write(&mut self.disk, &self.state);
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
        if at.segment == 0 || u64::from(at.offset) >= segment_bytes {
            self.pending.begin_segment(at.segment + 1, link);
        } else {
            let seed = self.header(at.segment).seed();
            self.pending.begin(at, seed, link);
        }
        Ok(())
    }

    /// The disk, for the files that lie beside the segments.
    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    pub(crate) fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
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
