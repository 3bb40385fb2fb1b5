//! What a machine's store stands on: the disk and the views in memory, with the planted bugs that
//! live below the store.
//!
//! It refuses to fail by itself: faults are planned by the world.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linli_domain::pack::PackHash;
use linli_runtime::half::Half;
use linli_store::disk::Disk;
use linli_store::views::{Begun, RowAudit, ViewBatch, Views, ViewsError};
use linli_store::{MemoryDisk, MemoryViews, SHELF_FILES};

use crate::planted::Planted;

/// Every so many syncs a lying disk lies.
const LIES_EVERY: u64 = 7;
/// What the keys of the owner's rows begin with: of cells.
const CELLS: &[u8] = &[1, b't'];
/// Every so many replaced rows a careless engine leaves one as it was.
const STALE_EVERY: u64 = 3;
/// The row that says under which definitions the figures were measured.
const DEFINITIONS: &[u8] = &[1, b'd'];
/// And of halves of entries.
const HALVES: &[u8] = &[1, b'h'];
/// Every so many reads of a half give what stood there before.
const OLD_READ_EVERY: u64 = 5;
/// What the files of a journal end with.
const SEGMENT: &str = ".seg";

/// A disk in memory.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    pub(crate) disk: MemoryDisk,
    pub(crate) planted: Option<Planted>,
    pub(crate) syncs: u64,
    /// The next sync of a segment is durable, and is said to have failed.
    pub(crate) unsure: Arc<AtomicBool>,
    /// The file that was appended to last, and not synced since.
    appended: Option<String>,
    /// Every row that was put on the key shelf, kept by a planted bug.
    shelved: Vec<u8>,
}

impl SimDisk {
    pub(crate) fn new(disk: MemoryDisk, planted: Option<Planted>) -> Self {
        Self {
            disk,
            planted,
            syncs: 0,
            unsure: Arc::default(),
            appended: None,
            shelved: Vec::new(),
        }
    }
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
        self.appended = Some(name.to_owned());
        if self.planted == Some(Planted::ErasedKeyTakenAgain) && name == SHELF_FILES[0] {
            self.shelved.extend_from_slice(bytes);
        }
        if self.planted == Some(Planted::ShelfOnce) && name == SHELF_FILES[1] {
            return Ok(());
        }
        self.disk.append(name, bytes).or_else(|error| if full { Ok(()) } else { Err(error) })
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(name, offset, into)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.syncs += 1;
        let appended = self.appended.take().is_some_and(|last| last == name);
        if appended && name.ends_with(SEGMENT) && self.unsure.load(Ordering::Relaxed) {
            // Another fault may come first: then it was not durable, and is rightly said to be lost.
            self.disk.sync(name)?;
            self.disk.sync_dir()?;
            self.unsure.store(false, Ordering::Relaxed);
            return Err(io::Error::other("nobody hears what became of it"));
        }
        match self.planted {
            Some(Planted::ShelfOnce) if name == SHELF_FILES[1] => Ok(()),
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
        if self.planted == Some(Planted::OldFilesLeft)
            && let Some(old) = self.disk.bytes(name)
        {
            self.disk.append(&format!("{name}.{}", self.syncs), &old)?;
        }
        self.disk.put(name, bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        match self.planted {
            // The second file is left as it was.
            Some(Planted::ErasedKeyKept | Planted::ShelfOnce) if to == SHELF_FILES[1] => {
                self.disk.remove(from)
            }
            Some(Planted::ErasedKeyTakenAgain) if SHELF_FILES.contains(&to) => {
                self.disk.rename(from, to)?;
                self.disk.append(to, &self.shelved)?;
                self.disk.sync(to)
            }
            _ => self.disk.rename(from, to),
        }
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
    /// What the owner has begun to write; gone with its owner.
    pub(crate) begun: Begun,
    /// Rows of halves that were replaced.
    pub(crate) replaced: u64,
    /// Rows of halves as they were before they were replaced, kept by a planted bug.
    pub(crate) before: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Reads of such rows.
    pub(crate) reads: Cell<u64>,
    /// The hash of the definitions published last.
    pub(crate) published: Arc<Mutex<Option<PackHash>>>,
}

impl Views for SimViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        if self.planted == Some(Planted::FiguresNotReduced) && key.starts_with(HALVES) {
            let row = self.views.get(key)?;
            let half = row.as_deref().and_then(|row| Half::from_row(row).ok());
            return Ok(half.map(|half| Half { counted: Box::default(), ..half }.to_row()).or(row));
        }
        if self.planted == Some(Planted::DefinitionsMixed)
            && key == DEFINITIONS
            && let Some(hash) = *self.published.lock().unwrap_or_else(PoisonError::into_inner)
        {
            return Ok(Some(hash.0.to_vec()));
        }
        if let Some(before) = self.before.get(key) {
            self.reads.set(self.reads.get() + 1);
            if self.reads.get().is_multiple_of(OLD_READ_EVERY) {
                return Ok(Some(before.clone()));
            }
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
            Some(Planted::OldRowsRead) => {
                for (key, _) in batch.rows().filter(|(key, _)| key.starts_with(HALVES)) {
                    if let Some(before) = self.views.get(key)? {
                        self.before.insert(key.to_vec(), before);
                    }
                }
                self.views.write(batch)
            }
            Some(Planted::FiguresNotRemoved) => {
                let mut kept = ViewBatch::new();
                for (key, value) in batch.rows() {
                    if value.is_some() || !key.starts_with(CELLS) {
                        kept.set(key.to_vec(), value.map(<[u8]>::to_vec));
                    }
                }
                self.views.write(&kept)
            }
            Some(Planted::ErasedTextKept) => {
                let shrinks = |key: &[u8], value: Option<&[u8]>| {
                    let before = self.views.get(key).ok().flatten();
                    let before = before.filter(|_| key.starts_with(HALVES));
                    before
                        .is_some_and(|before| value.is_some_and(|value| value.len() < before.len()))
                };
                let mut kept = ViewBatch::new();
                for (key, value) in batch.rows().filter(|(key, value)| !shrinks(key, *value)) {
                    kept.set(key.to_vec(), value.map(<[u8]>::to_vec));
                }
                self.views.write(&kept)
            }
            Some(Planted::StaleViewRow) => {
                let mut kept = ViewBatch::new();
                for (key, value) in batch.rows() {
                    let replaces = key.starts_with(HALVES)
                        && self.views.get(key).is_ok_and(|row| row.is_some());
                    self.replaced += u64::from(replaces);
                    if !replaces || !self.replaced.is_multiple_of(STALE_EVERY) {
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

    fn begin(&mut self, batch: Arc<ViewBatch>) -> Result<(), ViewsError> {
        if self.planted != Some(Planted::LandedTooEarly) {
            self.go_on(true)?;
        }
        self.begun = Begun::Waiting(batch);
        Ok(())
    }

    fn landed(&mut self, wait: bool) -> Result<bool, ViewsError> {
        match self.planted {
            Some(Planted::LandingRowsMissed | Planted::LandedTooEarly) if !wait => Ok(true),
            _ => self.go_on(wait),
        }
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        self.begun = Begun::Nothing;
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

    fn scrub(&mut self) -> Result<(), ViewsError> {
        self.views.scrub()
    }

    fn audit_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError> {
        self.views.audit_slice(audit, max)
    }
}

impl SimViews {
    /// Takes what was begun one stage further; true if nothing is left of it.
    fn go_on(&mut self, wait: bool) -> Result<bool, ViewsError> {
        let mut begun = std::mem::take(&mut self.begun);
        begun.go_on(self, wait)?;
        self.begun = begun;
        Ok(matches!(self.begun, Begun::Nothing))
    }

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

#[cfg(test)]
mod tests {
    use linli_store::{CrashKeep, DiskCall};

    use super::*;

    #[test]
    fn a_sync_that_fails_by_itself_is_no_commit_of_which_nobody_heard() {
        let mut disk = SimDisk::new(MemoryDisk::default(), None);
        disk.unsure.store(true, Ordering::Relaxed);
        let name = "00000001.seg";
        for (call, nth) in [(DiskCall::Sync, 1), (DiskCall::SyncDir, 1)] {
            disk.append(name, b"lost").unwrap();
            disk.disk.fail(call, nth);
            assert!(disk.sync(name).is_err());
            assert!(disk.unsure.load(Ordering::Relaxed), "{call:?} failed");
            disk.disk.heal();
        }
        disk.append(name, b"kept").unwrap();
        assert!(disk.sync(name).is_err());
        assert!(!disk.unsure.load(Ordering::Relaxed), "it is durable");
        disk.disk.crash(CrashKeep::Nothing);
        assert!(disk.disk.bytes(name).is_some_and(|bytes| bytes.ends_with(b"kept")));
        assert!(disk.sync(name).is_ok());
    }
}
