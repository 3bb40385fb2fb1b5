//! One open sled database behind a fence.
//!
//! No panic of sled's leaves this file, opening runs in a thread of its own with a deadline, and
//! after the first failure every call is refused. It refuses to know what rows mean.

use std::fs::File;
use std::io;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use super::place;
use crate::views::{Doubt, Row, ViewsError};

/// An open of 1.3 million rows took 0.12 s on an office machine; a slow disk may take a hundred
/// times as long.
const OPEN_WAIT: Duration = Duration::from_secs(60);
/// A background thread of sled may hold the file for a moment after its database was dropped.
const LOCK_TRIES: u32 = 100;
const LOCK_WAIT: Duration = Duration::from_millis(20);
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// A round frees at most eight bags of 64 pieces; what was replaced last goes in the third.
const LET_GO_ROUNDS: u32 = 16;

#[derive(Debug)]
pub(super) struct Engine {
    dir: PathBuf,
    /// `None` only while being dropped.
    db: Option<sled::Db>,
    /// Our own handle of sled's file, for syncing.
    file: File,
    failed: OnceLock<Failed>,
}

#[derive(Debug)]
enum Failed {
    Broken(Doubt),
    Io(io::ErrorKind),
}

impl Engine {
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, ViewsError> {
        std::fs::create_dir_all(dir)?;
        let path = dir.to_owned();
        let opened = apart(OPEN_WAIT, move || open_db(&path, cache_bytes))?;
        let db = opened.map_err(|error| match failure(error) {
            Failed::Broken(doubt) => ViewsError::Broken(doubt),
            Failed::Io(kind) => ViewsError::Io(kind.into()),
        })?;
        let file = File::options().read(true).write(true).open(dir.join("db"))?;
        Ok(Self { dir: dir.to_owned(), db: Some(db), file, failed: OnceLock::new() })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        self.fenced(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    pub(super) fn is_empty(&self) -> Result<bool, ViewsError> {
        self.fenced(|db| Ok(db.first()?.is_none()))
    }

    /// At most `max` rows with this prefix, after a key.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Row>, ViewsError> {
        let from = match after {
            Some(after) if after >= prefix => Excluded(after),
            _ => Included(prefix),
        };
        self.fenced(|db| {
            let mut rows = Vec::new();
            for row in db.range::<&[u8], _>((from, Unbounded)).take(max) {
                let (key, value) = row?;
                if !key.starts_with(prefix) {
                    break;
                }
                rows.push((key.to_vec(), value.to_vec()));
            }
            Ok(rows)
        })
    }

    pub(super) fn rows_after(&self, after: &[u8], max: usize) -> Result<Vec<Row>, ViewsError> {
        self.scan(&[], Some(after), max)
    }

    pub(super) fn apply(&self, plan: sled::Batch) -> Result<(), ViewsError> {
        self.fenced(|db| db.apply_batch(plan))?;
        let_go(1);
        Ok(())
    }

    /// Writes sled's buffers out and makes the file durable.
    pub(super) fn flush(&self) -> Result<(), ViewsError> {
        self.fenced(|db| db.flush())?;
        let_go(LET_GO_ROUNDS);
        self.file.sync_data().map_err(|error| self.failed(error))
    }

    /// Refuses every call from now on; the next open may go on.
    pub(super) fn failed(&self, error: io::Error) -> ViewsError {
        let _ = self.failed.set(Failed::Io(error.kind()));
        ViewsError::Io(error)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Gives up on the database, also for the next open.
    pub(super) fn broken(&self, doubt: Doubt) -> ViewsError {
        place::mark(&self.dir);
        let _ = self.failed.set(Failed::Broken(doubt.clone()));
        ViewsError::Broken(doubt)
    }

    fn fenced<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> Result<T, sled::Error>,
    ) -> Result<T, ViewsError> {
        match self.failed.get() {
            Some(Failed::Broken(doubt)) => return Err(ViewsError::Broken(doubt.clone())),
            Some(Failed::Io(kind)) => return Err(ViewsError::Io((*kind).into())),
            None => {}
        }
        let Some(db) = &self.db else { return Err(self.broken(Doubt::Silent)) };
        match catch_unwind(AssertUnwindSafe(|| work(db))) {
            Ok(Ok(done)) => Ok(done),
            Err(_) => Err(self.broken(Doubt::Panicked)),
            Ok(Err(error)) => match failure(error) {
                Failed::Broken(doubt) => Err(self.broken(doubt)),
                Failed::Io(kind) => {
                    let _ = self.failed.set(Failed::Io(kind));
                    Err(ViewsError::Io(kind.into()))
                }
            },
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Sled flushes when it is dropped, and may panic or wait for ever if it is broken.
        if let Some(db) = self.db.take() {
            let _ = apart(CLOSE_WAIT, move || drop(db));
        }
    }
}

/// Frees the memory of what sled has replaced. By itself it does so while a thread goes on calling, after
/// each 128 calls, and keeps megabytes when it is left alone.
fn let_go(rounds: u32) {
    for _ in 0..rounds {
        crossbeam_epoch::pin().flush();
    }
}

fn open_db(dir: &Path, cache_bytes: u64) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None);
    for _ in 1..LOCK_TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(LOCK_WAIT);
            }
            opened => return opened,
        }
    }
    config.open()
}

fn failure(error: sled::Error) -> Failed {
    match error {
        sled::Error::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Failed::Io(error.kind())
        }
        error => Failed::Broken(Doubt::Engine(Arc::new(error))),
    }
}

/// Runs `work` in a thread of its own, which is left behind if it does not end in time.
fn apart<T: Send + 'static>(
    wait: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ViewsError> {
    let (done, wait_done) = mpsc::channel();
    let builder = thread::Builder::new().name("linli-views".to_owned());
    builder.spawn(move || {
        let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
    })?;
    match wait_done.recv_timeout(wait) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
            Err(ViewsError::Broken(Doubt::Panicked))
        }
        Err(RecvTimeoutError::Timeout) => Err(ViewsError::Broken(Doubt::Silent)),
    }
}
