//! A disk in memory that can lose power, fail calls and rot, all on request.
//!
//! What was written and what would survive a power cut are kept apart, names as well as bytes.
//! Nothing happens by chance: the same calls give the same disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Disk;

/// A handle of a disk in memory; clones share the disk, so that a test can crash it, drop the
/// owner and open it again.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// What a power cut leaves of the bytes that were written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashKeep {
    /// None of them.
    Nothing,
    /// Of each file, this many bytes of the unsynced tail.
    Prefix(usize),
    /// Of each file, some sectors of 512 bytes and zeros for the others, chosen by the seed: a
    /// disk need not write in order.
    Sectors(u64),
    /// All of them: the process died, the machine did not.
    Everything,
}

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskCall {
    /// `append`; half of the bytes are written before it fails.
    Append,
    /// `sync`; nothing becomes durable.
    Sync,
    /// `sync_dir`.
    SyncDir,
    /// `read_at`.
    Read,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    /// Names as the process sees them, and as a power cut leaves them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    calls: BTreeMap<DiskCall, u64>,
    failing: BTreeSet<(DiskCall, u64)>,
    room_bytes: Option<u64>,
}

#[derive(Debug, Default)]
struct Content {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// Bytes before this one are the same in both.
    same_until: usize,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: unsynced bytes are lost but for `keep`, and with `CrashKeep::Nothing` names
    /// that were not synced are undone. Planned failures are forgotten.
    pub fn crash(&self, keep: CrashKeep) {
        let mut state = self.state();
        if keep == CrashKeep::Nothing {
            state.names = state.durable_names.clone();
        }
        for file in &mut state.files {
            file.crash(keep);
        }
        state.durable_names = state.names.clone();
        state.failing.clear();
        state.room_bytes = None;
    }

    /// Makes the `nth` call from now on (1 is the next) fail.
    pub fn fail(&self, call: DiskCall, nth: u64) {
        let mut state = self.state();
        let count = state.calls.get(&call).copied().unwrap_or(0) + nth;
        state.failing.insert((call, count));
    }

    /// Lets `bytes` more be appended, then the disk is full.
    pub fn fill_after(&self, bytes: u64) {
        self.state().room_bytes = Some(bytes);
    }

    /// Takes back every planned failure.
    pub fn heal(&self) {
        let mut state = self.state();
        state.failing.clear();
        state.room_bytes = None;
    }

    /// Turns one bit of a file over, durably. Returns whether the file has that bit.
    pub fn flip_bit(&self, name: &str, bit: u64) -> bool {
        let byte = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        self.spoil(name, |bytes| match bytes.get_mut(byte) {
            Some(byte) => {
                *byte ^= 1 << (bit % 8);
                true
            }
            None => false,
        })
    }

    /// Fills one page of 4,096 bytes with zeros, durably. Returns whether the file has that page.
    pub fn zero_page(&self, name: &str, page: usize) -> bool {
        self.spoil(name, |bytes| {
            let start = page * 4096;
            let end = bytes.len().min(start + 4096);
            bytes.get_mut(start..end).is_some_and(|page| {
                page.fill(0);
                !page.is_empty()
            })
        })
    }

    /// Cuts a file to `len` bytes, durably.
    pub fn cut(&self, name: &str, len: usize) {
        self.spoil(name, |bytes| {
            bytes.truncate(len);
            true
        });
    }

    /// Deletes a file, durably.
    pub fn lose(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// The bytes of a file as the process sees them; `None` if it is absent.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = *state.names.get(name)?;
        Some(state.files[file].written.clone())
    }

    /// A disk of its own with the same files, all durable.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.state();
        let mut copy = State::default();
        for (name, file) in &state.names {
            let written = state.files[*file].written.clone();
            let same_until = written.len();
            copy.names.insert(name.clone(), copy.files.len());
            copy.files.push(Content { synced: written.clone(), written, same_until });
        }
        copy.durable_names = copy.names.clone();
        Self { state: Arc::new(Mutex::new(copy)) }
    }

    /// How often a call was made so far, failed ones included.
    pub fn calls(&self, call: DiskCall) -> u64 {
        self.state().calls.get(&call).copied().unwrap_or(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spoil(&self, name: &str, change: impl Fn(&mut Vec<u8>) -> bool) -> bool {
        let mut state = self.state();
        let Some(file) = state.names.get(name).copied() else { return false };
        let file = &mut state.files[file];
        change(&mut file.synced);
        file.same_until = 0;
        change(&mut file.written)
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let state = self.state();
        let file = state.find(name)?;
        Ok(state.files[file].written.len() as u64)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let failing = state.count(DiskCall::Append).is_err();
        let file = state.find_or_make(name);
        let mut most = if failing { bytes.len() / 2 } else { bytes.len() };
        let mut full = false;
        if let Some(room) = &mut state.room_bytes {
            let left = usize::try_from(*room).unwrap_or(usize::MAX);
            full = left < most;
            most = most.min(left);
            *room -= most as u64;
        }
        state.files[file].written.extend_from_slice(&bytes[..most]);
        match (full, failing) {
            (true, _) => Err(io::ErrorKind::StorageFull.into()),
            (false, true) => Err(planned()),
            (false, false) => Ok(()),
        }
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.count(DiskCall::Read)?;
        let file = state.find(name)?;
        let bytes = &state.files[file].written;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let read = into.len().min(bytes.len() - start);
        into[..read].copy_from_slice(&bytes[start..start + read]);
        Ok(read)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.count(DiskCall::Sync)?;
        let file = state.find(name)?;
        state.files[file].sync();
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.count(DiskCall::SyncDir)?;
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(name)?;
        let file = &mut state.files[file];
        file.written.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        file.same_until = file.same_until.min(file.written.len());
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find_or_make(name);
        let file = &mut state.files[file];
        let len = file.written.len().max(bytes.len());
        file.written.resize(len, 0);
        file.written[..bytes.len()].copy_from_slice(bytes);
        file.same_until = 0;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.find(name)?;
        state.names.remove(name);
        Ok(())
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find_or_make(&mut self, name: &str) -> usize {
        if let Some(file) = self.names.get(name) {
            return *file;
        }
        self.files.push(Content::default());
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.files.len() - 1
    }

    fn count(&mut self, call: DiskCall) -> io::Result<()> {
        let count = self.calls.entry(call).or_default();
        *count += 1;
        if self.failing.remove(&(call, *count)) { Err(planned()) } else { Ok(()) }
    }
}

impl Content {
    fn sync(&mut self) {
        self.synced.truncate(self.same_until);
        self.synced.extend_from_slice(&self.written[self.same_until..]);
        self.same_until = self.written.len();
    }

    fn crash(&mut self, keep: CrashKeep) {
        let durable = self.synced.len();
        let unsynced = self.written.get(durable..).map_or_else(Vec::new, <[u8]>::to_vec);
        match keep {
            CrashKeep::Everything => self.synced = self.written.clone(),
            CrashKeep::Nothing => {}
            CrashKeep::Prefix(bytes) => {
                self.synced.extend_from_slice(&unsynced[..bytes.min(unsynced.len())]);
            }
            CrashKeep::Sectors(seed) => {
                let mut seed = seed ^ durable as u64;
                for sector in unsynced.chunks(512) {
                    seed = mix(seed);
                    if seed & 1 == 0 {
                        self.synced.extend_from_slice(sector);
                    } else {
                        self.synced.resize(self.synced.len() + sector.len(), 0);
                    }
                }
            }
        }
        self.written = self.synced.clone();
        self.same_until = self.written.len();
    }
}

fn planned() -> io::Error {
    io::Error::other("planned failure")
}

/// One step of splitmix64.
fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(disk: &MemoryDisk, name: &str) -> Option<String> {
        disk.bytes(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_crash_undoes_what_was_not_synced() {
        let mut disk = MemoryDisk::new();
        disk.append("a", b"kept").expect("append");
        disk.sync("a").expect("sync");
        disk.sync_dir().expect("sync");
        disk.append("a", b" lost").expect("append");
        disk.append("b", b"no name").expect("append");
        disk.sync("b").expect("sync");
        let half = disk.copy();
        disk.crash(CrashKeep::Nothing);
        assert_eq!(text(&disk, "a").as_deref(), Some("kept"));
        assert_eq!(text(&disk, "b"), None);
        let mut half_again = half.clone();
        half_again.append("a", b" more").expect("append");
        half.crash(CrashKeep::Prefix(3));
        assert_eq!(text(&half, "a").as_deref(), Some("kept lost mo"));
    }

    #[test]
    fn planned_failures_happen_once_and_where_planned() {
        let mut disk = MemoryDisk::new();
        disk.fail(DiskCall::Sync, 2);
        disk.append("a", b"x").expect("append");
        disk.sync("a").expect("first sync");
        disk.sync("a").expect_err("second sync");
        disk.sync("a").expect("third sync");
        disk.fill_after(3);
        disk.append("a", b"12").expect("fits");
        let full = disk.append("a", b"34").expect_err("does not fit");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert_eq!(text(&disk, "a").as_deref(), Some("x123"));
    }

    #[test]
    fn rot_is_durable() {
        let mut disk = MemoryDisk::new();
        disk.append("a", &[0; 5000]).expect("append");
        disk.sync("a").expect("sync");
        disk.sync_dir().expect("sync");
        assert!(disk.flip_bit("a", 8 * 4999));
        assert!(!disk.flip_bit("a", 8 * 5000));
        disk.crash(CrashKeep::Nothing);
        assert_eq!(disk.bytes("a").and_then(|bytes| bytes.last().copied()), Some(1));
        assert!(disk.zero_page("a", 1));
        assert_eq!(disk.bytes("a").and_then(|bytes| bytes.last().copied()), Some(0));
    }
}
