//! What a machine's store stands on: the disk and the views in memory, with the planted bugs that
//! live below the store.
//!
//! It refuses to fail by itself: faults are planned by the world.

use std::io;

use linli_store::disk::Disk;
use linli_store::views::{RowAudit, ViewBatch, Views, ViewsError};
use linli_store::{MemoryDisk, MemoryViews};

use crate::planted::Planted;

/// Every so many syncs a lying disk lies.
const LIES_EVERY: u64 = 7;
/// What the keys of the owner's rows begin with: of contributions, and of cells.
const CONTRIBUTIONS: &[u8] = &[1, b'c'];
const CELLS: &[u8] = &[1, b't'];

/// A disk in memory.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    pub(crate) disk: MemoryDisk,
    pub(crate) planted: Option<Planted>,
    pub(crate) syncs: u64,
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.disk.len(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let full = self.planted == Some(Planted::FullDiskIgnored);
        self.disk.append(name, bytes).or_else(|error| if full { Ok(()) } else { Err(error) })
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(name, offset, into)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.syncs += 1;
        match self.planted {
            Some(Planted::LyingSync) if self.syncs.is_multiple_of(LIES_EVERY) => Ok(()),
            Some(Planted::SyncErrorIgnored) => self.disk.sync(name).or(Ok(())),
            _ => self.disk.sync(name),
        }
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        if self.planted == Some(Planted::NamesNotSynced) { Ok(()) } else { self.disk.sync_dir() }
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        if self.planted == Some(Planted::TailNotCut) {
            return Ok(());
        }
        self.disk.truncate(name, len)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.put(name, bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
}

/// Views in memory.
#[derive(Debug, Clone)]
pub(crate) struct SimViews {
    pub(crate) views: MemoryViews,
    pub(crate) planted: Option<Planted>,
}

impl Views for SimViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        if self.planted == Some(Planted::FiguresNotReduced) && key.starts_with(CONTRIBUTIONS) {
            return Ok(None);
        }
        self.views.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, ViewsError> {
        self.views.scan(prefix, after, max)
    }

    fn write(&mut self, batch: &ViewBatch) -> Result<(), ViewsError> {
        match self.planted {
            Some(Planted::TornViews) => self.write_torn(batch),
            Some(Planted::FiguresNotRemoved) => {
                let mut kept = ViewBatch::new();
                for (key, value) in batch.rows() {
                    if value.is_some() || !key.starts_with(CELLS) {
                        kept.set(key.to_vec(), value.map(<[u8]>::to_vec));
                    }
                }
                self.views.write(&kept)
            }
            _ => self.views.write(batch),
        }
    }

    fn flush(&mut self) -> Result<(), ViewsError> {
        if self.planted == Some(Planted::TornViews) { Ok(()) } else { self.views.flush() }
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        let rows = self.views.rows();
        self.views.clear()?;
        if self.planted == Some(Planted::ViewsHalfCleared) {
            let mut left = ViewBatch::new();
            // The store's own rows begin with 0, the machine's with 1.
            for (key, value) in rows.into_iter().filter(|(key, _)| key.first() == Some(&1)) {
                left.put(key, value);
            }
            self.views.write(&left)?;
        }
        Ok(())
    }

    fn audit_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError> {
        self.views.audit_slice(audit, max)
    }
}

impl SimViews {
    fn write_torn(&mut self, batch: &ViewBatch) -> Result<(), ViewsError> {
        let half = batch.len() / 2;
        let mut pieces = [ViewBatch::new(), ViewBatch::new()];
        for (at, (key, value)) in batch.rows().enumerate() {
            pieces[usize::from(at >= half)].set(key.to_vec(), value.map(<[u8]>::to_vec));
        }
        let [first, second] = pieces;
        self.views.write(&first)?;
        self.views.flush()?;
        self.views.write(&second)
    }
}
