//! The machines a hub has named, and those it no longer wants.
//!
//! A name is given once: a machine that was revoked or lost comes back under another. A machine
//! that shows a good certificate and is not in the books (they were restored from a backup) is
//! written in again, so that a restored hub does not lock its street out. Beside the books stands
//! who is shut out by what the machine's journal says: it tells a restored hub whom it revoked since
//! the backup, and a desk, which has no books, whom it must refuse.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linli_domain::id::{PeerName, Role};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::BookError;
use super::book::Book;
use crate::authority::Leaf;

/// One machine in the books. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub peer: PeerName,
    /// Serial number of its latest certificate, in hex.
    pub serial: String,
    /// Enrolled at.
    pub since: u64,
    /// Its latest certificate ends at.
    pub expires: u64,
    /// Whether it was the first machine of its community.
    #[serde(default)]
    pub founding: bool,
    /// Revoked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

/// What the books say about a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Enrolled.
    Good,
    /// Enrolled once, and no longer wanted.
    Revoked,
    /// Not in the books.
    Unknown,
}

/// The books of a hub; clones share them.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Book,
    records: Mutex<Vec<Record>>,
    shut_out: Mutex<BTreeSet<PeerName>>,
    version: watch::Sender<u64>,
}

impl Registry {
    /// Opens the books kept in a file; there need not be one yet.
    pub fn open(path: PathBuf) -> Result<Self, BookError> {
        let (book, records) = Book::open(path)?;
        Ok(Self::with(book, records))
    }

    /// Books without a file: for a machine that answers its neighbours and is no hub.
    pub fn in_memory() -> Self {
        Self::with(Book::in_memory(), Vec::new())
    }

    fn with(book: Book, records: Vec<Record>) -> Self {
        let version = watch::Sender::new(0);
        let shut_out = Mutex::default();
        Self(Arc::new(Inner { book, records: Mutex::new(records), shut_out, version }))
    }

    /// Shuts these machines out, and no others beside those that the books have revoked. Their links
    /// end within seconds.
    pub fn shut_out(&self, machines: BTreeSet<PeerName>) {
        *self.0.shut_out.lock().unwrap_or_else(PoisonError::into_inner) = machines;
        self.0.version.send_modify(|version| *version += 1);
    }

    /// Goes on shutting out whom `machines` names, until nobody says so any more.
    pub async fn follow(self, mut machines: watch::Receiver<BTreeSet<PeerName>>) {
        while machines.changed().await.is_ok() {
            let now = machines.borrow_and_update().clone();
            self.shut_out(now);
        }
    }

    /// Resolves once a machine is no longer wanted.
    pub(crate) async fn until_revoked(self, peer: PeerName) {
        let mut changes = self.watch();
        // The registry lives as long as we hold it, and so do its changes.
        while self.standing(&peer) != Standing::Revoked && changes.changed().await.is_ok() {}
    }

    /// What is known about a machine.
    pub fn standing(&self, peer: &PeerName) -> Standing {
        if self.0.shut_out.lock().unwrap_or_else(PoisonError::into_inner).contains(peer) {
            return Standing::Revoked;
        }
        match self.lock().iter().find(|record| record.peer == *peer) {
            None => Standing::Unknown,
            Some(Record { revoked: None, .. }) => Standing::Good,
            Some(_) => Standing::Revoked,
        }
    }

    /// All machines, in the order of their enrolment.
    pub fn list(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// Revokes a machine: durable when this returns, and its links end within seconds. False if it
    /// is not in the books or was revoked before.
    pub fn revoke(&self, peer: &PeerName, now: u64) -> Result<bool, BookError> {
        self.change(|records| {
            let found = records.iter_mut().find(|record| record.peer == *peer);
            match found {
                Some(record) if record.revoked.is_none() => {
                    record.revoked = Some(now);
                    true
                }
                _ => false,
            }
        })
    }

    /// Changes whenever the books do.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Whether a machine of this name, enrolled now, would be the first of its community.
    pub(super) fn would_found(&self, peer: &PeerName) -> bool {
        peer.role() == Role::Node
            && !self.lock().iter().any(|record| {
                record.revoked.is_none()
                    && record.peer.street == peer.street
                    && record.peer.community == peer.community
            })
    }

    /// Writes a machine in, or its fresh certificate.
    pub(crate) fn note(&self, leaf: &Leaf, founding: bool, now: u64) -> Result<(), BookError> {
        self.change(|records| {
            let found = records.iter_mut().find(|record| record.peer == leaf.peer);
            match found {
                Some(record) => {
                    record.serial.clone_from(&leaf.serial);
                    record.expires = leaf.not_after;
                }
                None => records.push(Record {
                    peer: leaf.peer.clone(),
                    serial: leaf.serial.clone(),
                    since: now,
                    expires: leaf.not_after,
                    founding,
                    revoked: None,
                }),
            }
            true
        })
        .map(|_| ())
    }

    /// The record of a machine.
    pub fn record(&self, peer: &PeerName) -> Option<Record> {
        self.lock().iter().find(|record| record.peer == *peer).cloned()
    }

    /// Changes the books: on disk first, so that what we say is never taken back by a crash.
    fn change(&self, edit: impl FnOnce(&mut Vec<Record>) -> bool) -> Result<bool, BookError> {
        let mut records = self.lock();
        let mut edited = records.clone();
        if !edit(&mut edited) {
            return Ok(false);
        }
        self.0.book.write(&edited)?;
        *records = edited;
        drop(records);
        self.0.version.send_modify(|version| *version += 1);
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // Nothing panics while it is held, and a half-made edit is never put in place.
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
