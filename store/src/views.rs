//! Views: rows that can be derived again from the journal.
//!
//! # The contract
//! - `write` is atomic: after a crash all of a batch is there or none, and never a later batch
//!   without an earlier one.
//! - Rows are durable once `flush` has returned; what was written since may or may not survive.
//! - `begin` writes and flushes a batch while its owner goes on. Until `landed` has said so, reads
//!   of its rows give the old ones, the new ones or some of each, and a crash keeps all or none.
//! - A row is returned as it was written or not at all: every row carries a checksum, and anything
//!   doubtful is [`ViewsError::Broken`], upon which the owner clears the views and derives them
//!   again from the journal.
//!
//! It refuses to hold anything that exists nowhere else.

mod memory;
mod sled;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use self::sled::Tally;

pub use self::memory::{Begun, MemoryViews};
pub use self::sled::SledViews;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Rows ordered by key.
pub trait Views: Send {
    /// The value of a row; `None` if there is none.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError>;

    /// At most `max` rows whose keys begin with `prefix` and come after `after`, in order.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max: usize)
    -> Result<Vec<Row>, ViewsError>;

    /// Puts and removes rows, all or none.
    fn write(&mut self, batch: &ViewBatch) -> Result<(), ViewsError>;

    /// Makes everything written durable.
    fn flush(&mut self) -> Result<(), ViewsError>;

    /// Begins to write a batch and to make it durable. Waits for one that was begun before.
    fn begin(&mut self, batch: Arc<ViewBatch>) -> Result<(), ViewsError>;

    /// Whether nothing is on its way to the disk any more; with `wait`, once it is not. The error
    /// is that of the batch begun last, and is said once.
    fn landed(&mut self, wait: bool) -> Result<bool, ViewsError>;

    /// Removes every row, durably; also the way back from `Broken`.
    fn clear(&mut self) -> Result<(), ViewsError>;

    /// Leaves no byte of rows that were replaced or removed in any file, durably; rows stay as they
    /// are. Takes as long as writing all of them.
    fn scrub(&mut self) -> Result<(), ViewsError>;

    /// Reads every row and compares their number and sum with what was written.
    fn audit(&self) -> Result<(), ViewsError> {
        let mut audit = RowAudit::default();
        while self.audit_slice(&mut audit, usize::MAX)? {}
        Ok(())
    }

    /// Takes an audit on by at most `max` rows; true while there is more. Rows may be written
    /// meanwhile.
    fn audit_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError>;
}

/// An audit of rows that is under way.
#[derive(Debug, Clone, Default)]
pub struct RowAudit {
    /// The last row read, as the engine stores it.
    after: Vec<u8>,
    /// Rows read.
    rows: u64,
    /// What was read, and what it is to come to at the end; the engine's own sums.
    found: Tally,
    of: Option<Tally>,
    /// How often it began anew, because rows were written meanwhile.
    restarts: u32,
}

impl RowAudit {
    /// Rows read so far, in the pass that is under way.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// Why views do not answer.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// Rows are missing or changed, or the engine gave up. Clear and derive again.
    #[error("the views are broken: {0}")]
    Broken(Doubt),
    /// A key or value is longer than a row may have. A mistake of the caller.
    #[error("a row of {bytes} bytes is longer than the {max} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The disk failed.
    #[error("the views' disk failed")]
    Io(#[from] io::Error),
}

/// What makes views doubtful.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Doubt {
    /// The engine panicked.
    #[error("the engine panicked")]
    Panicked,
    /// The engine did not answer in time.
    #[error("the engine does not answer")]
    Silent,
    /// The engine reports damage, or a mistake of its own.
    #[error("the engine says: {0}")]
    Engine(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// A row's checksum is wrong, or a piece of it is missing.
    #[error("a row is not what was written")]
    Row,
    /// The rows are not as many, or not the same, as were written.
    #[error("rows are missing or added")]
    Tally,
    /// They were found doubtful before.
    #[error("they were found broken before")]
    Marked,
}

/// Rows to put and remove together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewBatch {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl ViewBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.set(key.into(), Some(value.into()));
    }

    /// Removes a row.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.set(key.into(), None);
    }

    /// Sets a row, or removes it with `None`. The last word on a key counts.
    pub fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let key_bytes = key.len();
        let size = |value: &Option<Vec<u8>>| key_bytes + value.as_ref().map_or(0, Vec::len);
        self.bytes += size(&value);
        if let Some(before) = self.rows.insert(key, value) {
            self.bytes -= size(&before);
        }
    }

    /// What the batch says about a key: `None` nothing, `Some(None)` that it is removed.
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.rows.get(key).map(Option::as_deref)
    }

    /// The rows in the order of their keys; `None` for removed ones.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// The rows from a key on, exclusively, in order.
    pub fn rows_after(&self, after: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let rows = self.rows.range::<[u8], _>((Excluded(after), Unbounded));
        rows.map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// The rows from a key on, inclusively, in order.
    pub fn rows_from(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        use std::ops::Bound::{Included, Unbounded};
        let rows = self.rows.range::<[u8], _>((Included(from), Unbounded));
        rows.map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Adds the rows of a later batch.
    pub fn extend(&mut self, later: Self) {
        for (key, value) in later {
            self.set(key, value);
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl IntoIterator for ViewBatch {
    type Item = (Vec<u8>, Option<Vec<u8>>);
    type IntoIter = std::collections::btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}
