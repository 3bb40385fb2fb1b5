//! Repairing a store at rest: what is wrong with it is said, then mended as far as that is possible
//! without others.
//!
//! A damaged journal is salvaged and begins another life; damaged views are cleared, and derived
//! again by the next start. What was lost comes back from peers. It refuses to touch a store that
//! is sound, and one over which a daemon runs.

use std::path::Path;

use linli_store::disk::RealDisk;
use linli_store::journal::{Journal, OpenError, SalvageReport};
use linli_store::store::{RealStore, SalvageRealError, StoreError, StoreOptions};

use super::restore::forget_epoch;

/// What a repair found and did.
#[derive(Debug, Default)]
pub struct Repaired {
    /// What was wrong with the journal, if anything was.
    pub journal: Option<String>,
    /// What was kept and lost of it.
    pub salvaged: Option<SalvageReport>,
    /// Why the views are derived again, if they are.
    pub views: Option<String>,
    /// Changes the journal holds now.
    pub changes: u64,
}

/// Why a repair was not done.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// There is no journal.
    #[error("there is nothing to repair")]
    Nothing,
    /// The journal cannot be used: a daemon runs, the disk fails, the program is too old.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The salvage did not finish.
    #[error(transparent)]
    Salvage(#[from] SalvageRealError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks at the store in a data folder, and mends what is damaged.
pub fn repair(data: &Path) -> Result<Repaired, RepairError> {
    let journal = data.join("journal");
    if !journal.is_dir() {
        return Err(RepairError::Nothing);
    }
    let mut done = Repaired::default();
    let found = Journal::survey(&RealDisk::open(&journal).map_err(OpenError::from)?);
    match found {
        Ok(_) => {}
        Err(error @ (OpenError::Damaged(_) | OpenError::Unfinished)) => {
            done.journal = Some(error.to_string());
            done.salvaged = Some(RealStore::salvage_real(data, StoreOptions::default())?);
            forget_epoch(&journal, &[])?;
        }
        Err(error) => return Err(error.into()),
    }
    let (mut store, opened) = RealStore::open_real(data, StoreOptions::default())?;
    let set_back = store.was_set_back();
    done.views = opened.rebuilt.map(|why| why.to_string());
    if done.views.is_none()
        && let Err(error) = store.audit_views()
    {
        done.views = Some(error.to_string());
        store.rebuild_views()?;
    }
    done.changes = store.journal().spaces().map(|(_, head)| head.seq).sum();
    drop(store);
    if set_back && done.salvaged.is_none() {
        // Opening it has noticed; the next one would not.
        forget_epoch(&journal, &[])?;
    }
    Ok(done)
}
