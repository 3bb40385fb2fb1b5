//! Checkpoints that land while the owner goes on.
//!
//! Their rows stay readable from memory, above those in the views and below those that changed
//! since. It refuses to have two of them under way.

use std::collections::BTreeSet;
use std::sync::Arc;

use linli_domain::id::Space;

use super::{CheckpointError, Store, manifest};
use crate::disk::Disk;
use crate::views::{ViewBatch, Views};

/// A checkpoint on its way.
#[derive(Debug)]
pub(super) struct Landing {
    rows: Arc<ViewBatch>,
    /// Spaces that had grown, each with the number of its first block that is not in `rows`.
    spaces: Vec<(Space, u64)>,
    notes: BTreeSet<String>,
    records: u64,
}

impl Landing {
    pub(super) fn rows(&self) -> &ViewBatch {
        &self.rows
    }
}

impl<D: Disk, V: Views> Store<D, V> {
    /// Begins a checkpoint. False if one is still on its way, or the views lag behind: then
    /// nothing has begun.
    pub fn checkpoint_behind(&mut self) -> Result<bool, CheckpointError> {
        if self.journal.has_pending() {
            return Err(CheckpointError::Uncommitted);
        }
        if self.replay.is_some() || !self.landed(false)? {
            return Ok(false);
        }
        let mut rows = std::mem::take(&mut self.dirty);
        let state = self.journal.checkpoint_mut();
        manifest::add_rows(state, self.views_version, &mut rows);
        let rows = Arc::new(rows);
        let grown = state.spaces.iter_mut().filter(|(_, track)| track.changed);
        let spaces = grown.map(|(space, track)| {
            track.changed = false;
            (space.clone(), track.places.first_unfinished())
        });
        let landing = Landing {
            spaces: spaces.collect(),
            notes: std::mem::take(&mut state.notes_changed),
            records: std::mem::take(&mut self.records_since),
            rows: rows.clone(),
        };
        tracing::debug!(rows = rows.len(), commits = state.commits(), "checkpoint begun");
        self.landing = Some(landing);
        if let Err(error) = self.views.begin(rows) {
            self.take_back();
            return Err(CheckpointError::Views(error));
        }
        Ok(true)
    }

    /// Whether a checkpoint is on its way, as far as was heard.
    pub fn is_landing(&self) -> bool {
        self.landing.is_some()
    }

    /// Whether no checkpoint is on its way any more; with `wait`, once none is. One that failed is
    /// part of the next.
    pub fn landed(&mut self, wait: bool) -> Result<bool, CheckpointError> {
        if self.landing.is_none() {
            return Ok(true);
        }
        match self.views.landed(wait) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(error) => {
                self.take_back();
                return Err(CheckpointError::Views(error));
            }
        }
        let Some(landing) = self.landing.take() else { return Ok(true) };
        let state = self.journal.checkpoint_mut();
        for (space, block) in landing.spaces {
            if let Some(track) = state.spaces.get_mut(&space) {
                track.places.forget_before(block);
            }
        }
        Ok(true)
    }

    /// What did not land counts as changed again.
    fn take_back(&mut self) {
        let Some(landing) = self.landing.take() else { return };
        let state = self.journal.checkpoint_mut();
        for (space, _) in landing.spaces {
            if let Some(track) = state.spaces.get_mut(&space) {
                track.changed = true;
            }
        }
        state.notes_changed.extend(landing.notes);
        self.records_since += landing.records;
        let later = std::mem::take(&mut self.dirty);
        self.dirty = Arc::unwrap_or_clone(landing.rows);
        self.dirty.extend(later);
    }
}
