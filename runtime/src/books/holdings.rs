//! What the replication engine asks of the books, answered.
//!
//! It refuses to judge a change and to keep a note itself: the files beside it do.

use std::collections::BTreeSet;

use linli_domain::digest::Digest;
use linli_domain::id::{ChangeHash, EpochId, PeerName, Space};
use linli_replica::frame::{AuthorGrant, Cursor, Item};
use linli_replica::holdings::{Admission, Held, Holdings, Placed, Whose};
use linli_store::disk::Disk;
use linli_store::journal::Record;
use linli_store::views::Views;

use super::{Books, BooksTrouble};

impl<D: Disk, V: Views> Holdings for Books<D, V> {
    fn epoch(&self) -> EpochId {
        self.epoch
    }

    fn held(&self, space: &Space) -> Held {
        let head = self.spaces.get(space).map(|book| book.head).unwrap_or_default();
        Held { digest: head.digest, head: head.seq, chain: head.chain }
    }

    fn chain_at(&mut self, space: &Space, seq: u64) -> Option<u64> {
        match self.store.chain_at(space, seq) {
            Ok(chain) => chain,
            Err(error) => {
                self.troubles.push(BooksTrouble::Read(format!("{space} {seq}: {error}")));
                None
            }
        }
    }

    fn read(&mut self, space: &Space, after: u64, items: usize, bytes: usize) -> Vec<Placed> {
        match self.store.read(space, after, items, bytes) {
            // Those before one that cannot be read with its keys.
            Ok(records) => records.into_iter().map_while(|record| self.placed(record)).collect(),
            Err(error) => {
                self.troubles.push(BooksTrouble::Read(format!("{space}: {error}")));
                Vec::new()
            }
        }
    }

    fn read_one(&mut self, space: &Space, seq: u64) -> Option<Placed> {
        self.record(space, seq).and_then(|record| self.placed(record))
    }

    fn hashes(&mut self, space: &Space) -> Vec<(ChangeHash, u64)> {
        match self.store.hashes(space) {
            Ok(mut hashes) => {
                hashes.sort_unstable();
                hashes
            }
            Err(error) => {
                self.troubles.push(BooksTrouble::Read(format!("{space}: {error}")));
                Vec::new()
            }
        }
    }

    fn admit(&mut self, space: &Space, from: &PeerName, item: &Item) -> Admission {
        self.admit_item(space, from, item)
    }

    fn cursor(&self, peer: &PeerName, space: &Space) -> Option<Cursor> {
        self.cursors.get(&(peer.clone(), space.clone())).copied()
    }

    fn set_cursor(&mut self, peer: &PeerName, space: &Space, cursor: Cursor) {
        let key = (peer.clone(), space.clone());
        self.carried.remove(&key);
        if self.cursors.insert(key.clone(), cursor) != Some(cursor) {
            self.cursors_dirty.insert(key);
        }
    }

    fn set_cursor_carried(&mut self, peer: &PeerName, space: &Space, cursor: Cursor) {
        self.set_cursor(peer, space, cursor);
        self.carried.insert((peer.clone(), space.clone()));
    }

    fn is_carried(&self, peer: &PeerName, space: &Space) -> bool {
        self.carried.contains(&(peer.clone(), space.clone()))
    }

    fn proven(&self, peer: &PeerName, space: &Space) -> Option<Cursor> {
        self.proven.get(&(peer.clone(), space.clone())).copied()
    }

    fn set_proven(&mut self, peer: &PeerName, space: &Space, cursor: Cursor) {
        let key = (peer.clone(), space.clone());
        if self.proven.insert(key.clone(), cursor) != Some(cursor) {
            self.proven_dirty.insert(key);
        }
    }

    fn acked(&self, peer: &PeerName, space: &Space) -> u64 {
        self.acked.get(&(peer.clone(), space.clone())).copied().unwrap_or_default()
    }

    fn set_acked(&mut self, peer: &PeerName, space: &Space, seq: u64) {
        let key = (peer.clone(), space.clone());
        if self.acked.insert(key.clone(), seq) != Some(seq) {
            self.acked_dirty.insert(key);
        }
    }

    fn refused_from(&self, peer: &PeerName, space: &Space) -> Digest {
        self.refusals.digest_from(peer, space)
    }

    fn refused_by(&self, peer: &PeerName, space: &Space) -> Digest {
        self.refusals.digest_by(peer, space)
    }

    fn note_refused_by(&mut self, peer: &PeerName, space: &Space, hash: ChangeHash, reason: &str) {
        self.write_refused_by(peer, space, hash, reason);
    }

    fn keep_refused_by(&mut self, peer: &PeerName, space: &Space, still: &BTreeSet<ChangeHash>) {
        self.keep_refused_by_only(peer, space, still);
    }

    fn note_other_life(&mut self, peer: &PeerName, whose: Whose) -> bool {
        let trouble = BooksTrouble::OtherLife { peer: peer.clone(), whose };
        // Once for all spaces of a hello.
        if self.troubles.last() != Some(&trouble) {
            self.troubles.push(trouble);
        }
        self.note_life(peer, whose)
    }

    fn authors(&self, space: &Space) -> Vec<AuthorGrant> {
        self.author_grants(space)
    }

    fn grant(&mut self, grants: &[AuthorGrant]) {
        for grant in grants {
            self.grant_author(grant);
        }
    }
}

impl<D: Disk, V: Views> Books<D, V> {
    /// A record as it travels: with the keys that open it. `None` if those could not be read.
    fn placed(&mut self, record: Record) -> Option<Placed> {
        let Record { space, seq, origin, entry, hash, bytes, .. } = record;
        match self.keys_beside(&space, &entry, &bytes) {
            Ok(keys) => Some(Placed { seq, origin, item: Item { entry, hash, bytes, keys } }),
            Err(error) => {
                self.troubles.push(BooksTrouble::Read(format!("keys of {space} {seq}: {error}")));
                None
            }
        }
    }
}
