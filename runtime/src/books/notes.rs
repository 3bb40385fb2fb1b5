//! Small durable facts in the journal's notes: the epoch, who may write, and what was refused.

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::digest::Digest;
use linli_domain::gate::Refusal;
use linli_domain::id::{AuthorId, ChangeHash, EntryId, EpochId, PeerName, Space};
use linli_replica::frame::{AuthorGrant, Item};
use linli_store::disk::Disk;
use linli_store::views::Views;
use serde::{Deserialize, Serialize};

use super::Books;
use crate::limits::REFUSED_KEPT_MAX;

/// Key of the note that holds the store's epoch.
pub(crate) const EPOCH: &str = "epoch";
/// Begins the keys of notes that name spaces of a restored store, each until it has been met there.
pub(crate) const RESTORED: &str = "restored ";
const AUTHOR: &str = "author ";
const REFUSED_HERE: &str = "refused-here ";
const REFUSED_THERE: &str = "refused-there ";

/// A peer's change that was refused here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedHere {
    /// Who sent it.
    pub from: PeerName,
    /// The space.
    pub space: Space,
    /// The entry it named.
    pub entry: EntryId,
    /// Reason code.
    pub reason: String,
    /// When, in milliseconds since 1970; 0 where an earlier release noted it.
    #[serde(default)]
    pub at: u64,
}

/// A change of ours that a peer refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedThere {
    /// Who refused it.
    pub by: PeerName,
    /// The space.
    pub space: Space,
    /// Reason code.
    pub reason: String,
}

/// What was refused, here and there, by hash.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    pub(super) here: BTreeMap<(ChangeHash, PeerName, Space), RefusedHere>,
    there: BTreeMap<(ChangeHash, PeerName, Space), RefusedThere>,
    /// Length of each refused change whose bytes are kept.
    pub(super) kept: BTreeMap<ChangeHash, usize>,
}

impl Refusals {
    pub(super) fn digest_from(&self, peer: &PeerName, space: &Space) -> Digest {
        let mine = |(_, from, at): &&(ChangeHash, PeerName, Space)| from == peer && at == space;
        self.here.keys().filter(mine).map(|(hash, _, _)| *hash).collect()
    }

    pub(super) fn digest_by(&self, peer: &PeerName, space: &Space) -> Digest {
        let theirs = |(_, by, at): &&(ChangeHash, PeerName, Space)| by == peer && at == space;
        self.there.keys().filter(theirs).map(|(hash, _, _)| *hash).collect()
    }

    /// Why a change was refused here before, by whomever it came.
    pub(super) fn reason(&self, space: &Space, hash: &ChangeHash) -> Option<Refusal> {
        if self.here.is_empty() {
            return None;
        }
        self.here
            .iter()
            .skip_while(|((known, _, _), _)| known < hash)
            .take_while(|((known, _, _), _)| known == hash)
            .find(|((_, _, at), _)| at == space)
            .and_then(|(_, refused)| Refusal::from_code(&refused.reason))
    }
}

impl<D: Disk, V: Views> Books<D, V> {
    pub(super) fn load_notes(&mut self) {
        if let Some(epoch) = self.store.journal().note(EPOCH).and_then(EpochId::from_slice) {
            self.epoch = epoch;
        }
        let authors: Vec<(String, Vec<u8>)> = self.notes(AUTHOR);
        for (key, name) in authors {
            let place = key.split_once(' ').and_then(|(space, author)| {
                Some((Space::parse(space).ok()?, parse_hex::<8>(author)?))
            });
            if let Some((space, author)) = place {
                let name = String::from_utf8_lossy(&name).into_owned();
                self.authors.entry(space).or_default().insert(AuthorId(author), name);
            }
        }
        for (space, _) in self.notes(RESTORED) {
            self.unmet.extend(Space::parse(&space));
        }
        for (key, value) in self.notes(REFUSED_HERE) {
            let hash = key.split_once(' ').and_then(|(hash, _)| parse_hex(hash)).map(ChangeHash);
            let refused = serde_json::from_slice::<RefusedHere>(&value).ok();
            if let (Some(hash), Some(refused)) = (hash, refused) {
                let place = (hash, refused.from.clone(), refused.space.clone());
                self.refusals.here.insert(place, refused);
            }
        }
        self.load_kept();
        for (key, value) in self.notes(REFUSED_THERE) {
            let hash = key.split_once(' ').and_then(|(hash, _)| parse_hex(hash)).map(ChangeHash);
            let refused = serde_json::from_slice::<RefusedThere>(&value).ok();
            if let (Some(hash), Some(refused)) = (hash, refused) {
                let place = (hash, refused.by.clone(), refused.space.clone());
                self.refusals.there.insert(place, refused);
            }
        }
    }

    /// Peers' changes refused here, by hash.
    pub fn refused_here(&self) -> impl Iterator<Item = (ChangeHash, &RefusedHere)> {
        self.refusals.here.iter().map(|((hash, _, _), refused)| (*hash, refused))
    }

    /// Our changes that peers refused, by hash.
    pub fn refused_there(&self) -> impl Iterator<Item = (ChangeHash, &RefusedThere)> {
        self.refusals.there.iter().map(|((hash, _, _), refused)| (*hash, refused))
    }

    pub(super) fn may_write(&self, space: &Space, author: AuthorId) -> bool {
        self.authors.get(space).is_some_and(|known| known.contains_key(&author))
    }

    pub(super) fn author_grants(&self, space: &Space) -> Vec<AuthorGrant> {
        let known = self.authors.get(space);
        let grant = |(author, name): (&AuthorId, &String)| AuthorGrant {
            space: space.clone(),
            author: *author,
            name: name.clone(),
        };
        known.into_iter().flatten().map(grant).collect()
    }

    /// The machine behind an author in a space, if it is known.
    pub fn author_name(&self, space: &Space, author: AuthorId) -> Option<&str> {
        self.authors.get(space)?.get(&author).map(String::as_str)
    }

    /// Lets a machine write in a space; true if it could not before.
    pub fn grant_author(&mut self, grant: &AuthorGrant) -> bool {
        let known = self.authors.entry(grant.space.clone()).or_default();
        if known.insert(grant.author, grant.name.clone()).as_ref() == Some(&grant.name) {
            return false;
        }
        let key = format!("{AUTHOR}{} {}", grant.space, grant.author);
        self.keep_note(&key, grant.name.as_bytes());
        true
    }

    pub(super) fn write_refused_from(
        &mut self,
        from: &PeerName,
        space: &Space,
        item: &Item,
        reason: Refusal,
    ) {
        let place = (item.hash, from.clone(), space.clone());
        if self.refusals.here.contains_key(&place) || self.refusals.here.len() >= REFUSED_KEPT_MAX {
            return;
        }
        let refused = RefusedHere {
            from: from.clone(),
            space: space.clone(),
            entry: item.entry.clone(),
            reason: reason.code().to_owned(),
            at: self.now_millis,
        };
        self.list_refused(item.hash, refused);
        self.keep_refused(item);
    }

    /// Lists a refusal, with its reason if it was listed before.
    pub(super) fn list_refused(&mut self, hash: ChangeHash, refused: RefusedHere) {
        let value = serde_json::to_vec(&refused).expect("names and texts serialise");
        self.keep_note(&refused_key(&hash, &refused.from), &value);
        self.refusals.here.insert((hash, refused.from.clone(), refused.space.clone()), refused);
    }

    /// Takes refusals of a change in a space off the list, by whomever it came.
    pub(super) fn unlist_refused(&mut self, space: &Space, hash: &ChangeHash) {
        let here = std::mem::take(&mut self.refusals.here);
        let (gone, left) =
            here.into_iter().partition(|((known, _, at), _)| known == hash && at == space);
        self.refusals.here = left;
        let gone: BTreeMap<_, RefusedHere> = gone;
        for (hash, from, _) in gone.into_keys() {
            self.drop_note(&refused_key(&hash, &from));
        }
    }

    /// A peer refuses no other change of ours in a space than these.
    pub(super) fn keep_refused_by_only(
        &mut self,
        by: &PeerName,
        space: &Space,
        still: &BTreeSet<ChangeHash>,
    ) {
        let is_over = |(hash, peer, at): &&(ChangeHash, PeerName, Space)| {
            peer == by && at == space && !still.contains(hash)
        };
        let over: Vec<_> = self.refusals.there.keys().filter(is_over).cloned().collect();
        for place in over {
            self.drop_note(&format!("{REFUSED_THERE}{} {}", place.0, by.author()));
            self.refusals.there.remove(&place);
        }
    }

    pub(super) fn write_refused_by(
        &mut self,
        by: &PeerName,
        space: &Space,
        hash: ChangeHash,
        reason: &str,
    ) {
        let place = (hash, by.clone(), space.clone());
        if self.refusals.there.contains_key(&place) || self.refusals.there.len() >= REFUSED_KEPT_MAX
        {
            return;
        }
        let reason = reason.chars().take(64).collect();
        let refused = RefusedThere { by: by.clone(), space: space.clone(), reason };
        let key = format!("{REFUSED_THERE}{hash} {}", by.author());
        let value = serde_json::to_vec(&refused).expect("names and texts serialise");
        self.keep_note(&key, &value);
        self.refusals.there.insert(place, refused);
    }

    /// Spaces of a store that was restored from a backup and has not met a peer in them since.
    pub fn unmet(&self) -> &BTreeSet<Space> {
        &self.unmet
    }

    /// A peer holds what this store holds in a space: whatever came after the backup is here.
    pub(crate) fn met(&mut self, space: &Space) {
        if self.unmet.remove(space)
            && let Err(error) = self.store.remove_note(&format!("{RESTORED}{space}"))
        {
            self.troubles.push(super::BooksTrouble::Read(format!("a note: {error}")));
        }
    }

    /// Keeps a fact; one that cannot be kept is a trouble for the log, and is kept in memory.
    pub(super) fn keep_note(&mut self, key: &str, value: &[u8]) {
        if let Err(error) = self.store.append_note(key, value) {
            self.troubles.push(super::BooksTrouble::Read(format!("a note: {error}")));
        }
    }

    /// Forgets a fact; one that stays is a trouble for the log.
    pub(super) fn drop_note(&mut self, key: &str) {
        if let Err(error) = self.store.remove_note(key) {
            self.troubles.push(super::BooksTrouble::Read(format!("a note: {error}")));
        }
    }

    pub(super) fn notes(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let rest = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
        self.store
            .journal()
            .notes_with_prefix(prefix)
            .map(|(key, value)| (rest(key), value.to_vec()))
            .collect()
    }
}

fn refused_key(hash: &ChangeHash, from: &PeerName) -> String {
    format!("{REFUSED_HERE}{hash} {}", from.author())
}

pub(super) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
