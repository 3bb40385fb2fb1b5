//! The few file operations a journal needs, and nothing else.
//!
//! A disk is one flat directory. It promises only what a file system promises: bytes appended may
//! vanish until `sync` returned, and a new, renamed or removed name may be undone until `sync_dir`
//! returned. It refuses to know what the bytes mean.

mod memory;
mod real;

use std::io;

pub use memory::{CrashKeep, DiskCall, MemoryDisk};
pub(crate) use real::place::{read_at, write_all_at};
pub(crate) use real::sync_directory;
pub use real::{DiskError, RealDisk};

/// A flat directory of files that grow at their end.
///
/// Names are plain file names. An absent file is `io::ErrorKind::NotFound`.
pub trait Disk: Send {
    /// The names of all files, in ascending order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Length in bytes. Room reserved ahead of the end may be counted until the file is truncated.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Writes at the end, making the file if it is absent. Not durable.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Reads from `offset`; returns fewer bytes than asked for at the end of the file only.
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Makes the file's bytes durable (fdatasync).
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Makes names durable: files made, renamed or removed since the last call.
    fn sync_dir(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes and gives back room reserved ahead. Not durable.
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;

    /// Gives a file another name, replacing what stood there. Not durable.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Not durable.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Writes a small file in place, making it if it is absent; what it holds behind these bytes
    /// stays. Not durable: a crash may keep the old bytes, the new ones, or pieces of both.
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Replaces a file as a whole and durably: after a crash either the old content stands or the
    /// new one.
    fn write_whole(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let part = format!("{name}.part");
        match self.remove(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.append(&part, bytes)?;
        self.truncate(&part, bytes.len() as u64)?;
        self.sync(&part)?;
        self.rename(&part, name)?;
        self.sync_dir()
    }
}

/// A disk lent out for a while is a disk.
impl<D: Disk + ?Sized> Disk for &mut D {
    fn list(&self) -> io::Result<Vec<String>> {
        (**self).list()
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        (**self).len(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).append(name, bytes)
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(name, offset, into)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        (**self).sync(name)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        (**self).sync_dir()
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        (**self).truncate(name, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).put(name, bytes)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }
}

/// Reads until `into` is full or the file ends; returns the bytes read.
pub(crate) fn read_full<D: Disk + ?Sized>(
    disk: &D,
    name: &str,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match disk.read_at(name, offset + done as u64, &mut into[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
