//! What a machine's store stands on: the disk and the views in memory, with the two planted bugs
//! that live below the store.
//!
//! It refuses to fail by itself: faults are planned by the world.

use std::io;

use linli_store::disk::Disk;
use linli_store::views::{ViewBatch, Views, ViewsError};
use linli_store::{MemoryDisk, MemoryViews};

/// A disk in memory.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    pub(crate) disk: MemoryDisk,
    /// Every so many syncs one does nothing and says that it did.
    pub(crate) lies_every: Option<u64>,
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
        self.disk.append(name, bytes)
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(name, offset, into)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.syncs += 1;
        if self.lies_every.is_some_and(|every| self.syncs.is_multiple_of(every)) {
            return Ok(());
        }
        self.disk.sync(name)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(name, len)
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
    /// Batches are written in two pieces.
    pub(crate) torn: bool,
}

impl Views for SimViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
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
        if !self.torn {
            return self.views.write(batch);
        }
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

    fn flush(&mut self) -> Result<(), ViewsError> {
        if self.torn { Ok(()) } else { self.views.flush() }
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        self.views.clear()
    }

    fn audit(&self) -> Result<(), ViewsError> {
        self.views.audit()
    }
}
