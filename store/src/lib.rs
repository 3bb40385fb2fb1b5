//! The store room: one journal that is the truth, and views that can be derived again.
//!
//! [`Store`] joins the two, and the [`keys`] of sealed documents, which can be destroyed. The [`journal`] says what durable means, the [`views`] what a row is
//! worth, the [`disk`] what is asked of a file system. Nothing here understands a change, an entry
//! or a row: they are bytes with names. It refuses clocks, sockets and threads of its own.

pub mod disk;
pub mod journal;
pub mod keys;
pub mod limits;
pub mod store;
pub mod views;

pub use disk::{CrashKeep, Disk, DiskCall, DiskError, MemoryDisk, RealDisk};
pub use journal::{
    AppendError, AuditReport, Auditing, Blocks, Checkpoint, CommitError, Cut, Damage, Extent, Flaw,
    Head, Journal, JournalOptions, Lost, NoBlocks, OpenError, OpenReport, Position, ReadError,
    Record, Refusal, Retrace, SalvageError, SalvageReport, Short, Survey, link,
};
pub use keys::{KeyRow, KeyShelf, SHELF_FILES, ShelfAudit, ShelfReport};
pub use store::{
    CheckpointError, Opened, RealStore, Rebuild, SalvageRealError, ScrubError, Store, StoreError,
    StoreOptions,
};
pub use views::{Doubt, MemoryViews, Row, RowAudit, SledViews, ViewBatch, Views, ViewsError};
