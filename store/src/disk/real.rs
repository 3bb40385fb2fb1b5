//! A directory of the file system, owned by one process at a time.
//!
//! Files stay open between calls. Zeros are written ahead of a growing file, so that a sync seldom
//! has to record a new length; `truncate` gives that room back. It refuses a directory that another
//! process holds.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Disk;
use crate::limits::{FILES_OPEN_MAX, RESERVE_BYTES};

/// Written by one call, ahead of what grows.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
const LOCK_NAME: &str = "LOCK";

/// A directory on a real disk.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
    reserve_bytes: u64,
    files: Mutex<BTreeMap<String, Open>>,
    /// Held for as long as this value lives; the system releases it when the process ends.
    _lock: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process works on this directory. Stop it first.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be made or read.
    #[error("cannot use {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Where the next append goes.
    end: u64,
    /// Length of the file, at least `end`.
    reserved: u64,
}

impl RealDisk {
    /// Opens a directory, making it if it is absent, and locks it for this process.
    pub fn open(dir: &Path) -> Result<Self, DiskError> {
        let wrong = |source| DiskError::Io { path: dir.to_owned(), source };
        if !dir.is_dir() {
            fs::create_dir_all(dir).map_err(wrong)?;
            if let Some(parent) = dir.parent() {
                sync_directory(parent).map_err(wrong)?;
            }
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_NAME))
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DiskError::InUse { path: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(wrong(source)),
        }
        let files = Mutex::new(BTreeMap::new());
        Ok(Self { dir: dir.to_owned(), reserve_bytes: RESERVE_BYTES, files, _lock: lock })
    }

    /// Sets how many bytes of zeros are written ahead of a growing file; 0 writes none.
    #[must_use]
    pub fn reserving(mut self, bytes: u64) -> Self {
        self.reserve_bytes = bytes;
        self
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        name: &str,
        make: bool,
        work: impl FnOnce(&mut Open) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut files = self.files();
        if !files.contains_key(name) {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(make)
                .truncate(false)
                .open(self.dir.join(name))?;
            let end = file.metadata()?.len();
            if files.len() >= FILES_OPEN_MAX {
                // The lowest name is the oldest segment; a file with room ahead is still growing.
                let oldest = files.iter().find(|(_, open)| open.end == open.reserved);
                if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                    files.remove(&name);
                }
            }
            files.insert(name.to_owned(), Open { file, end, reserved: end });
        }
        work(files.get_mut(name).expect("inserted above"))
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if let (true, Ok(name)) =
                (entry.file_type()?.is_file(), entry.file_name().into_string())
                && name != LOCK_NAME
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.with(name, false, |open| Ok(open.end))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let reserve = self.reserve_bytes;
        self.with(name, true, |open| {
            place::write_all_at(&open.file, bytes, open.end)?;
            open.end += bytes.len() as u64;
            if open.end > open.reserved {
                open.reserved = open.end;
                // Failing to reserve is no failure: the bytes themselves are written.
                while open.reserved < open.end + reserve
                    && place::write_all_at(&open.file, &ZEROS, open.reserved).is_ok()
                {
                    open.reserved += ZEROS.len() as u64;
                }
            }
            Ok(())
        })
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.with(name, false, |open| {
            let left = usize::try_from(open.end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let most = into.len().min(left);
            place::read_at(&open.file, &mut into[..most], offset)
        })
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.with(name, false, |open| open.file.sync_data())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        sync_directory(&self.dir)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.with(name, false, |open| {
            open.file.set_len(len)?;
            open.end = len;
            open.reserved = len;
            Ok(())
        })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(name, true, |open| {
            place::write_all_at(&open.file, bytes, 0)?;
            open.end = open.end.max(bytes.len() as u64);
            open.reserved = open.reserved.max(open.end);
            Ok(())
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        files.remove(from);
        files.remove(to);
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files().remove(name);
        fs::remove_file(self.dir.join(name))
    }
}

/// Makes the names in a directory durable. Windows does so with the files themselves.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(unix)]
pub(super) mod place {
    //! Reading and writing at an offset.
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(into, offset)
    }

    pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

#[cfg(windows)]
pub(super) mod place {
    //! Reading and writing at an offset.
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;

    pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(into, offset)
    }

    pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = file.seek_write(bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_chinese_work_and_a_second_owner_is_refused() {
        let home = tempfile::tempdir().expect("temporary directory");
        let dir = home.path().join("翠竹社区 台账").join("journal");
        let mut disk = RealDisk::open(&dir).expect("first owner");
        assert!(matches!(RealDisk::open(&dir), Err(DiskError::InUse { path }) if path == dir));
        disk.append("a", "邻里".as_bytes()).expect("append");
        disk.sync("a").expect("sync");
        drop(disk);
        let disk = RealDisk::open(&dir).expect("the next owner");
        let mut bytes = [0; 6];
        assert_eq!(disk.read_at("a", 0, &mut bytes).expect("read"), 6);
        assert_eq!(bytes, "邻里".as_bytes());
    }

    #[test]
    fn room_ahead_is_hidden_from_readers_and_given_back() {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut disk = RealDisk::open(home.path()).expect("open").reserving(4096);
        disk.append("a", b"one").expect("append");
        disk.append("a", b"two").expect("append");
        assert_eq!(disk.len("a").expect("len"), 6);
        let mut bytes = [9; 10];
        assert_eq!(disk.read_at("a", 0, &mut bytes).expect("read"), 6);
        assert_eq!(&bytes[..6], b"onetwo");
        assert!(fs::metadata(home.path().join("a")).expect("file").len() > 4096);
        disk.truncate("a", 6).expect("truncate");
        assert_eq!(fs::metadata(home.path().join("a")).expect("file").len(), 6);
    }

    #[test]
    fn many_files_are_read_with_few_of_them_open() {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut disk = RealDisk::open(home.path()).expect("open").reserving(0);
        for number in 0..FILES_OPEN_MAX * 2 {
            disk.append(&format!("{number:04}"), &[number as u8]).expect("append");
        }
        assert!(disk.files().len() <= FILES_OPEN_MAX);
        let mut byte = [0];
        disk.read_at("0003", 0, &mut byte).expect("read");
        assert_eq!(byte, [3]);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut disk = RealDisk::open(home.path()).expect("open");
        disk.write_whole("a", b"a long first text").expect("write");
        disk.write_whole("a", b"short").expect("write");
        assert_eq!(fs::read(home.path().join("a")).expect("file"), b"short");
        assert_eq!(disk.list().expect("list"), ["a"]);
    }
}
