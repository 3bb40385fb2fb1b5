//! A journal and its views, joined.
//!
//! # The contract
//! - The journal decides what happened; its own contract holds unchanged.
//! - Rows written with [`Store::write`] are seen by [`Store::get`] and [`Store::scan`] at once and
//!   kept in memory. [`Store::checkpoint`] writes them, the index and the manifest as one atomic
//!   batch: **the views on disk are always exactly those of the manifest's commit.** Applying a
//!   record twice is therefore impossible, and a figure may be kept by adding and taking away.
//! - After open, the records that the views have not seen are handed out by
//!   [`Store::replay_next`], in order, whole commits at a time. The owner applies them before it
//!   appends anything. A checkpoint in the middle of a replay is exact too.
//! - Views that are absent, damaged, of another version or of another journal are cleared with one
//!   line in the log, and the replay begins at the first record. Nothing else is lost by that.
//! - [`Store::checkpoint_behind`] does the same while its owner goes on; its rows are kept in memory
//!   until [`Store::landed`] has said that they are durable.
//! - Keys put on the shelf are durable before the commit that they were put for; what an erasure
//!   in that commit destroys is destroyed after it, and again after a crash in between.
//! - A checkpoint may be called when the rows of every committed (or replayed) record were written.
//!
//! It refuses to know what a row means.

mod behind;
mod manifest;
mod open;
mod rows;

use std::io;

use linli_domain::id::{ChangeHash, EntryId, Space};
use linli_domain::seal::{DocumentPlace, KeyName};

pub use self::open::{Opened, RealStore, Rebuild, SalvageRealError, StoreError, StoreOptions};

use crate::disk::Disk;
use crate::journal::{
    AppendError, Blocks, Checkpoint, CommitError, Head, Journal, ReadError, Record,
};
use crate::keys::{KeyRow, KeyShelf, ShelfAudit};
use crate::limits::{DIRTY_BYTES_DUE, REPLAY_RECORDS_DUE};
use crate::views::{ViewBatch, Views, ViewsError};

/// One store: journal and views.
#[derive(Debug)]
pub struct Store<D: Disk, V: Views> {
    journal: Journal<D>,
    views: V,
    keys: KeyShelf,
    views_version: u32,
    /// Rows that changed since the last checkpoint, by their stored keys.
    dirty: ViewBatch,
    /// A checkpoint on its way to the disk.
    landing: Option<behind::Landing>,
    replay: Option<Replay>,
    /// Records and notes appended, or records replayed, since the last checkpoint.
    records_since: u64,
    set_back: bool,
}

/// How far the views lag behind the journal.
#[derive(Debug)]
struct Replay {
    state: Checkpoint,
    until: u64,
}

/// Why a checkpoint was not written. The views keep the one before.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Records wait for a commit. Commit first.
    #[error("records wait for a commit")]
    Uncommitted,
    /// The views failed. Call `rebuild_views`, or open the store anew.
    #[error("the checkpoint could not be written")]
    Views(#[from] ViewsError),
}

/// Why the views' files were not written anew. Try again after the next start.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The views failed.
    #[error(transparent)]
    Views(#[from] CheckpointError),
    /// The key shelf could not be written. Open the store anew.
    #[error("the key shelf could not be written")]
    Keys(#[from] std::io::Error),
}

impl<D: Disk, V: Views> Store<D, V> {
    /// As [`Journal::append`].
    pub fn append(
        &mut self,
        space: &Space,
        origin: u64,
        entry: &EntryId,
        hash: &ChangeHash,
        bytes: &[u8],
    ) -> Result<u64, AppendError> {
        assert!(self.replay.is_none(), "the replay ends before anything new is appended");
        self.records_since += 1;
        self.journal.append(space, origin, entry, hash, bytes)
    }

    /// As [`Journal::append_note`].
    pub fn append_note(&mut self, key: &str, value: &[u8]) -> Result<(), AppendError> {
        assert!(self.replay.is_none(), "the replay ends before anything new is appended");
        self.records_since += 1;
        self.journal.append_note(key, value)
    }

    /// As [`Journal::remove_note`].
    pub fn remove_note(&mut self, key: &str) -> Result<(), AppendError> {
        assert!(self.replay.is_none(), "the replay ends before anything new is appended");
        self.records_since += 1;
        self.journal.remove_note(key)
    }

    /// As [`Journal::commit`], with the key shelf: keys first, erasures last. After an error the
    /// store must be opened anew.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        self.keys.flush(self.journal.disk_mut()).map_err(CommitError::Io)?;
        self.journal.commit()?;
        self.keys.rewrite(self.journal.disk_mut()).map_err(CommitError::Io)
    }

    /// The shelf of wrapped keys: what was erased, and how many keys there are.
    pub fn shelf(&self) -> &KeyShelf {
        &self.keys
    }

    /// The same, to erase; durable with the next commit.
    pub fn shelf_mut(&mut self) -> &mut KeyShelf {
        &mut self.keys
    }

    /// The wrapped keys of a sealed document; see [`KeyShelf::keys`].
    pub fn keys(&mut self, place: &DocumentPlace) -> io::Result<Vec<KeyRow>> {
        self.keys.keys(self.journal.disk(), place)
    }

    /// Puts a key on the shelf, durable with the next commit; true if it is new. See
    /// [`KeyShelf::put`].
    pub fn put_key(&mut self, place: DocumentPlace, name: KeyName, wrapped: &[u8]) -> bool {
        self.keys.put(self.journal.disk(), place, name, wrapped)
    }

    /// Takes an audit of the key shelf on by at most `max` rows; true while there is more.
    pub fn audit_keys_slice(&mut self, audit: &mut ShelfAudit, max: usize) -> io::Result<bool> {
        self.keys.audit_slice(self.journal.disk(), audit, max)
    }

    /// Writes a checkpoint, and then the views' files anew, so that no byte of a row that was
    /// replaced or removed is left in them; notes on the shelf that what was erased is gone.
    pub fn scrub(&mut self) -> Result<(), ScrubError> {
        self.checkpoint()?;
        self.views.scrub().map_err(CheckpointError::Views)?;
        self.keys.note_clean();
        Ok(self.keys.rewrite(self.journal.disk_mut())?)
    }

    /// How far a space has come, durably.
    pub fn head(&self, space: &Space) -> Head {
        self.journal.head(space)
    }

    /// The journal, for heads, spaces, notes and audits.
    pub fn journal(&self) -> &Journal<D> {
        &self.journal
    }

    /// Whether the journal was found set back when it was opened; see [`OpenReport::set_back`](crate::journal::OpenReport::set_back).
    pub fn was_set_back(&self) -> bool {
        self.set_back
    }

    /// Ends the store; returns its views. Nothing is written.
    pub fn into_views(mut self) -> V {
        // What did not land is derived again.
        let _landed = self.views.landed(true);
        self.views
    }

    /// As [`Journal::read`]. An index that the views have lost is found again by walking the
    /// journal.
    pub fn read(
        &mut self,
        space: &Space,
        after_seq: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.with_index(|journal, blocks| {
            journal.read(space, after_seq, max_records, max_bytes, blocks)
        })
    }

    /// As [`Journal::read_one`].
    pub fn read_one(&mut self, space: &Space, seq: u64) -> Result<Option<Record>, ReadError> {
        self.with_index(|journal, blocks| journal.read_one(space, seq, blocks))
    }

    /// As [`Journal::chain_at`].
    pub fn chain_at(&mut self, space: &Space, seq: u64) -> Result<Option<u64>, ReadError> {
        self.with_index(|journal, blocks| journal.chain_at(space, seq, blocks))
    }

    /// As [`Journal::hashes`].
    pub fn hashes(&mut self, space: &Space) -> Result<Vec<(ChangeHash, u64)>, ReadError> {
        self.with_index(|journal, blocks| journal.hashes(space, blocks))
    }

    /// The next records that the views have not seen: about `max_records`, to the end of a commit
    /// (of at most 16 MiB). Empty when the views have seen everything.
    pub fn replay_next(&mut self, max_records: usize) -> Result<Vec<Record>, ReadError> {
        let Some(replay) = &mut self.replay else { return Ok(Vec::new()) };
        let records = self.journal.advance(&mut replay.state, max_records.max(1), replay.until)?;
        self.records_since += records.len() as u64;
        if replay.state.commits() == replay.until {
            self.replay = None;
        }
        Ok(records)
    }

    /// Whether the views have been handed everything.
    pub fn replay_done(&self) -> bool {
        self.replay.is_none()
    }

    /// Clears the views and begins a replay from the first record: after `ViewsError::Broken`, or
    /// to derive them again on request.
    pub fn rebuild_views(&mut self) -> Result<(), StoreError> {
        self.views.clear()?;
        self.landing = None;
        self.dirty = ViewBatch::new();
        self.records_since = 0;
        self.journal.rebuild_places()?;
        let state = self.journal.checkpoint_mut();
        state.notes_changed = state.notes.keys().cloned().collect();
        let until = state.commits();
        self.replay = (until > 0).then(|| Replay { state: Checkpoint::default(), until });
        Ok(())
    }

    /// Writes changed rows, index and manifest as one batch and makes them durable, after waiting
    /// for a checkpoint that was begun before.
    pub fn checkpoint(&mut self) -> Result<(), CheckpointError> {
        if self.journal.has_pending() {
            return Err(CheckpointError::Uncommitted);
        }
        self.landed(true)?;
        let state = match &self.replay {
            Some(replay) => &replay.state,
            None => self.journal.checkpoint(),
        };
        let mut batch = ViewBatch::new();
        std::mem::swap(&mut batch, &mut self.dirty);
        let rows = batch.len();
        manifest::add_rows(state, self.views_version, &mut batch);
        let written = self.views.write(&batch).and_then(|()| self.views.flush());
        if let Err(error) = written {
            // The rows stay readable; those of the manifest among them are written again.
            self.dirty = batch;
            return Err(CheckpointError::Views(error));
        }
        tracing::debug!(rows, commits = state.commits(), "checkpoint");
        self.records_since = 0;
        if let Some(replay) = &mut self.replay {
            replay.state.written();
            let (seen, all) = (&replay.state, self.journal.checkpoint_mut());
            all.forget_places_of(seen);
        } else {
            self.journal.checkpoint_mut().written();
        }
        Ok(())
    }

    /// Whether enough has changed since the last checkpoint for another one.
    pub fn checkpoint_due(&self) -> bool {
        self.dirty.bytes() > DIRTY_BYTES_DUE || self.records_since >= REPLAY_RECORDS_DUE
    }

    /// Whether a checkpoint would write anything.
    pub fn checkpoint_useful(&self) -> bool {
        self.records_since > 0 || !self.dirty.is_empty()
    }

    fn with_index<T>(
        &mut self,
        read: impl Fn(&Journal<D>, &dyn Blocks) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        match read(&self.journal, &manifest::RowBlocks(&self.views)) {
            Err(error @ (ReadError::IndexLost { .. } | ReadError::Views(_))) => {
                tracing::warn!(%error, "walking the journal to find its records again");
                self.journal.rebuild_places()?;
                read(&self.journal, &manifest::RowBlocks(&self.views))
            }
            read => read,
        }
    }
}
