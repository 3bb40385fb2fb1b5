//! Opening a store: which views are trusted, and what has to be applied again.
//!
//! It refuses to open a damaged journal; damaged views it replaces.

use std::fmt;
use std::path::Path;

use super::manifest::{self, Unfit};
use super::{Replay, Store};
use crate::disk::{Disk, RealDisk};
use crate::journal::{
    Checkpoint, Journal, JournalOptions, OpenError, OpenReport, ReadError, Refusal, SalvageError,
    SalvageReport,
};
use crate::keys::{KeyShelf, ShelfReport};
use crate::limits::CACHE_BYTES;
use crate::views::{Doubt, SledViews, ViewBatch, Views, ViewsError};

/// How a store is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Of the journal.
    pub journal: JournalOptions,
    /// Version of the owner's rows; views of another version are derived again.
    pub views_version: u32,
    /// Bytes of cache for the views; their memory is about twice that.
    pub cache_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { journal: JournalOptions::default(), views_version: 2, cache_bytes: CACHE_BYTES }
    }
}

/// What opening found.
#[derive(Debug)]
pub struct Opened {
    /// Of the journal.
    pub journal: OpenReport,
    /// Why the views are derived again; `None` if they were kept, or the store is new.
    pub rebuilt: Option<Rebuild>,
    /// Of the key shelf.
    pub shelf: ShelfReport,
    /// Changes that will be handed out by `replay_next`.
    pub replay_changes: u64,
}

/// Why views are derived again from the first record.
#[derive(Debug)]
pub enum Rebuild {
    /// There were none.
    Absent,
    /// They have another version.
    OtherVersion,
    /// Rows of the manifest are missing.
    Incomplete,
    /// They do not fit the journal.
    Refused(Refusal),
    /// They are damaged.
    Broken(Doubt),
}

impl fmt::Display for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there were none"),
            Self::OtherVersion => f.write_str("they have another version"),
            Self::Incomplete => f.write_str("rows of their manifest are missing"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Broken(doubt) => doubt.fmt(f),
        }
    }
}

/// Why a store cannot be opened, or its views not derived again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The views cannot be made.
    #[error("the views cannot be made")]
    Views(#[from] ViewsError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A store on a real disk: `journal/*.seg` and `views/` in one directory.
pub type RealStore = Store<RealDisk, SledViews>;

impl RealStore {
    /// Opens the store in a directory, making it if it is absent. One process at a time.
    pub fn open_real(dir: &Path, options: StoreOptions) -> Result<(Self, Opened), StoreError> {
        // The disk's lock comes first: it guards the views as well.
        let disk = RealDisk::open(&dir.join("journal")).map_err(OpenError::from)?;
        let (views, doubt) = SledViews::open_or_fresh(&dir.join("views"), options.cache_bytes)?;
        Self::open_with(disk, views, doubt, options)
    }

    /// Makes a sound journal of a damaged one; see [`Journal::salvage`]. The next open derives the
    /// views again.
    pub fn salvage_real(
        dir: &Path,
        options: StoreOptions,
    ) -> Result<SalvageReport, SalvageRealError> {
        let mut disk = RealDisk::open(&dir.join("journal")).map_err(OpenError::from)?;
        Ok(Journal::salvage(&mut disk, options.journal)?)
    }
}

/// Why a damaged journal was not salvaged.
#[derive(Debug, thiserror::Error)]
pub enum SalvageRealError {
    /// The directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The salvage did not finish.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
}

impl<D: Disk, V: Views> Store<D, V> {
    /// Opens a store over a disk and views.
    pub fn open(disk: D, views: V, options: StoreOptions) -> Result<(Self, Opened), StoreError> {
        Self::open_with(disk, views, None, options)
    }

    /// As `open`; `doubt` says that broken views were just replaced by empty ones.
    fn open_with(
        disk: D,
        mut views: V,
        doubt: Option<Doubt>,
        options: StoreOptions,
    ) -> Result<(Self, Opened), StoreError> {
        let (seen, unfit) = match manifest::load(&views, options.views_version) {
            Ok(state) => (Some(state), None),
            Err(Unfit::Absent) => (None, Some(Rebuild::Absent)),
            Err(Unfit::OtherVersion) => (None, Some(Rebuild::OtherVersion)),
            Err(Unfit::Incomplete) => (None, Some(Rebuild::Incomplete)),
            Err(Unfit::Views(ViewsError::Broken(doubt))) => (None, Some(Rebuild::Broken(doubt))),
            Err(Unfit::Views(error)) => return Err(error.into()),
        };
        let (mut journal, report) = Journal::open_from(disk, options.journal, seen.clone())?;
        let unfit = unfit.or(report.refused.map(Rebuild::Refused));
        let is_new = journal.checkpoint().commits() == 0;
        let state = if let (None, Some(state)) = (&unfit, seen) {
            state
        } else {
            if !matches!(unfit, Some(Rebuild::Absent)) || !is_empty(&views) {
                views.clear()?;
            }
            Checkpoint::default()
        };
        let rebuilt = match (doubt, unfit) {
            (Some(doubt), _) => Some(Rebuild::Broken(doubt)),
            (None, Some(Rebuild::Absent)) if is_new => None,
            (None, unfit) => unfit,
        };
        if let Some(reason) = &rebuilt {
            let changes = report.changes_read;
            tracing::warn!(%reason, changes, "the views are derived again from the journal");
        }
        let (keys, shelf) = KeyShelf::open(journal.disk_mut())?;
        let until = journal.checkpoint().commits();
        let set_back = report.set_back();
        let opened =
            Opened { replay_changes: report.changes_read, rebuilt, journal: report, shelf };
        let replay = (state.commits() < until).then_some(Replay { state, until });
        let store = Self {
            journal,
            views,
            keys,
            views_version: options.views_version,
            dirty: ViewBatch::new(),
            landing: None,
            replay,
            records_since: 0,
            set_back,
        };
        Ok((store, opened))
    }
}

fn is_empty<V: Views>(views: &V) -> bool {
    views.scan(&[], None, 1).is_ok_and(|rows| rows.is_empty())
}
