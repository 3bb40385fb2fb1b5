//! Bytes of changes that were refused here, kept so that they can be judged once more.
//!
//! They lie in the journal's notes beside the reason, so a restart and a backup keep them. It refuses
//! to keep without a bound: beyond it the oldest of whoever has most give way, and after some months
//! all do. The refusal itself stays listed then, since both ends compare by it.

use std::collections::BTreeMap;

use bytes::Bytes;
use linli_domain::id::{ChangeHash, PeerName, Space};
use linli_replica::frame::Item;
use linli_replica::holdings::Admission;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::notes::parse_hex;
use super::{Books, RefusedHere};
use crate::limits::{REFUSED_BYTES_DAYS, REFUSED_BYTES_MAX};

const REFUSED_BYTES: &str = "refused-bytes ";
const DAY_MILLIS: u64 = 24 * 3_600 * 1_000;

/// What came of judging refused changes once more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JudgedAgain {
    /// Changes that are staged now like any other.
    pub taken: usize,
    /// Changes that had come by another way since.
    pub known: usize,
    /// Changes refused still, or whose cause is missing.
    pub still: usize,
    /// Changes whose bytes are not kept any more.
    pub without_bytes: usize,
}

impl<D: Disk, V: Views> Books<D, V> {
    pub(super) fn load_kept(&mut self) {
        for (key, value) in self.notes(REFUSED_BYTES) {
            if let Some(hash) = parse_hex(&key).map(ChangeHash) {
                self.refusals.kept.insert(hash, value.len());
            }
        }
    }

    /// Whether the bytes of a refused change are kept.
    pub fn keeps_refused(&self, hash: &ChangeHash) -> bool {
        self.refusals.kept.contains_key(hash)
    }

    /// Bytes of all refused changes that are kept.
    pub fn refused_bytes(&self) -> usize {
        self.refusals.kept.values().sum()
    }

    /// A refused change that is kept: its bytes, and the keys that came beside it.
    pub fn refused_change(&self, hash: &ChangeHash) -> Option<(Bytes, Vec<Bytes>)> {
        unpack(self.store.journal().note(&bytes_key(hash))?)
    }

    /// Keeps the bytes of a change that was just listed as refused.
    pub(super) fn keep_refused(&mut self, item: &Item) {
        if self.refusals.kept.contains_key(&item.hash) {
            return;
        }
        let value = pack(item);
        if value.len() > linli_store::limits::NOTE_VALUE_BYTES_MAX {
            return;
        }
        while self.refused_bytes() + value.len() > REFUSED_BYTES_MAX {
            let Some(oldest) = self.first_to_go() else { return };
            self.give_up(&oldest);
        }
        self.keep_note(&bytes_key(&item.hash), &value);
        self.refusals.kept.insert(item.hash, value.len());
    }

    /// Gives up the bytes of what was refused long ago.
    pub(crate) fn give_up_old(&mut self) {
        if self.refusals.kept.is_empty() {
            return;
        }
        let until = self.now_millis.saturating_sub(REFUSED_BYTES_DAYS * DAY_MILLIS);
        let old = self.refusals.here.iter().filter(|(_, refused)| refused.at < until);
        let old: Vec<ChangeHash> =
            old.map(|((hash, _, _), _)| *hash).filter(|hash| self.keeps_refused(hash)).collect();
        for hash in old {
            self.give_up(&hash);
        }
    }

    /// Judges refused changes once more, oldest first and causes before what follows from them: all,
    /// or those whose hash is in `only`. What passes is staged, and leaves the list.
    pub fn judge_again(&mut self, only: impl Fn(&ChangeHash) -> bool) -> JudgedAgain {
        let mut came = JudgedAgain::default();
        let mut waiting: BTreeMap<(Space, ChangeHash), RefusedHere> = BTreeMap::new();
        for ((hash, _, space), refused) in &self.refusals.here {
            if only(hash) {
                waiting.entry((space.clone(), *hash)).or_insert_with(|| refused.clone());
            }
        }
        let mut waiting: Vec<(ChangeHash, RefusedHere)> =
            waiting.into_iter().map(|((_, hash), refused)| (hash, refused)).collect();
        waiting.sort_by_key(|(hash, refused)| (refused.at, *hash));
        loop {
            let before = waiting.len();
            let mut left = Vec::new();
            for (hash, refused) in waiting {
                match self.judge_one_again(hash, &refused) {
                    Ok(Some(Admission::Taken)) => came.taken += 1,
                    Ok(Some(_)) => came.known += 1,
                    Ok(None) => came.without_bytes += 1,
                    Err(reason) => left.push((hash, RefusedHere { reason, ..refused })),
                }
            }
            waiting = left;
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        for (hash, refused) in waiting {
            came.still += 1;
            let place = (hash, refused.from.clone(), refused.space.clone());
            if self.refusals.here.get(&place) != Some(&refused) {
                self.list_refused(hash, refused);
            }
        }
        came
    }

    /// Taken or known; nothing where its bytes are gone; else the code of why not.
    fn judge_one_again(
        &mut self,
        hash: ChangeHash,
        refused: &RefusedHere,
    ) -> Result<Option<Admission>, String> {
        let Some((bytes, keys)) = self.refused_change(&hash) else { return Ok(None) };
        let item = Item { entry: refused.entry.clone(), hash, bytes, keys };
        let (space, from) = (&refused.space, &refused.from);
        let verdict = if self.half(space, &item.entry).holds(&hash) {
            Ok(Admission::Known)
        } else if space.is_sealed() {
            self.admit_sealed(space, from, &item)
        } else {
            self.admit_open(space, from, &item)
        };
        match verdict {
            Ok(verdict @ (Admission::Taken | Admission::Known)) => {
                self.unlist_refused(space, &hash);
                self.give_up(&hash);
                Ok(Some(verdict))
            }
            // Its cause may come yet; the next try will tell.
            Ok(_) => Err(refused.reason.clone()),
            Err(reason) => Err(reason.code().to_owned()),
        }
    }

    /// The oldest of the sender whose refused changes take most room.
    fn first_to_go(&self) -> Option<ChangeHash> {
        let mut senders: BTreeMap<&PeerName, (usize, (u64, ChangeHash))> = BTreeMap::new();
        for ((hash, from, _), refused) in &self.refusals.here {
            let Some(len) = self.refusals.kept.get(hash) else { continue };
            let (bytes, oldest) = senders.entry(from).or_insert((0, (refused.at, *hash)));
            *bytes += len;
            *oldest = (*oldest).min((refused.at, *hash));
        }
        let busiest = senders.into_values().max();
        // Bytes that no line of the list speaks of any more go first of all.
        busiest.map(|(_, (_, hash))| hash).or_else(|| self.refusals.kept.keys().next().copied())
    }

    fn give_up(&mut self, hash: &ChangeHash) {
        if self.refusals.kept.remove(hash).is_some() {
            self.drop_note(&bytes_key(hash));
        }
    }
}

fn bytes_key(hash: &ChangeHash) -> String {
    format!("{REFUSED_BYTES}{hash}")
}

/// Keys with their lengths before them, then the change.
fn pack(item: &Item) -> Vec<u8> {
    let mut value = vec![item.keys.len() as u8];
    for key in &item.keys {
        value.push(key.len() as u8);
        value.extend_from_slice(key);
    }
    value.extend_from_slice(&item.bytes);
    value
}

fn unpack(value: &[u8]) -> Option<(Bytes, Vec<Bytes>)> {
    let (keys_len, mut rest) = value.split_first()?;
    let mut keys = Vec::new();
    for _ in 0..*keys_len {
        let (len, after) = rest.split_first()?;
        let (key, after) = after.split_at_checked(usize::from(*len))?;
        keys.push(Bytes::copy_from_slice(key));
        rest = after;
    }
    Some((Bytes::copy_from_slice(rest), keys))
}
