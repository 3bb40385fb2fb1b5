//! Who was revoked, as the authority has signed it.
//!
//! A revocation counts for its signature, whoever wrote the entry it came in. It is noted in the
//! same commit, so nothing that is written over the entry takes it back. It refuses to judge what
//! follows from it.

use std::collections::BTreeMap;

use linli_domain::id::{EntryId, PeerName, Space};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Books;
use crate::authority::Leaf;
use crate::enrol::{REVOCATION_KIND, REVOCATION_STATEMENT, Revocation};
use crate::limits::REVOCATIONS_MAX;

/// Begins the keys of the notes; a machine's name follows.
const REVOKED: &str = "revoked ";

/// The revocations a machine knows.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Whose signature counts; without it nothing is taken.
    authority: Option<Leaf>,
    /// When each was, in seconds since 1970.
    machines: BTreeMap<PeerName, u64>,
    /// There are more than when they were last taken.
    news: bool,
    /// Not noted yet: nothing is while a replay is under way.
    unkept: Vec<Revocation>,
}

impl Revoked {
    pub(super) fn by(authority: Option<Leaf>) -> Self {
        Self { authority, news: true, ..Self::default() }
    }
}

impl<D: Disk, V: Views> Books<D, V> {
    pub(super) fn load_revoked(&mut self) {
        for (_, text) in self.notes(REVOKED) {
            let kept = String::from_utf8(text).ok();
            if let Some(one) = kept.and_then(|text| Revocation::read_kept(&text)) {
                self.revoked.machines.insert(one.peer, one.at);
            }
        }
    }

    /// Takes what an entry of revocations says, also what a concurrent writer would hide.
    pub(super) fn follow_revocation(&mut self, space: &Space, entry: &EntryId) {
        let Space::Open(community) = space else { return };
        if entry.kind() != REVOCATION_KIND {
            return;
        }
        let Some(authority) = self.revoked.authority.clone() else { return };
        let sides = self.half(space, entry).doc.sides(REVOCATION_STATEMENT).into_iter();
        let texts = sides.filter_map(|(_, value)| value.as_text().map(str::to_owned));
        let texts: Vec<String> = texts.collect();
        let read = |text: &str| {
            // A look before the signature is checked, which costs more.
            let said = Revocation::read_kept(text)?;
            let known = self.revoked.machines.contains_key(&said.peer);
            if known { None } else { Revocation::read(text, &authority) }
        };
        let told: Vec<Revocation> = texts.iter().filter_map(|text| read(text)).collect();
        for one in told {
            if one.peer.community.as_ref() == Some(community) && one.entry() == *entry {
                self.note_revoked(&one);
            }
        }
    }

    fn note_revoked(&mut self, one: &Revocation) {
        let known = &mut self.revoked.machines;
        if known.contains_key(&one.peer) || known.len() >= REVOCATIONS_MAX {
            return;
        }
        known.insert(one.peer.clone(), one.at);
        self.revoked.news = true;
        self.revoked.unkept.push(one.clone());
    }

    /// Notes what is new; it becomes durable with the turn.
    pub(super) fn keep_revoked(&mut self) {
        for one in std::mem::take(&mut self.revoked.unkept) {
            self.keep_note(&format!("{REVOKED}{}", one.peer), one.text().as_bytes());
        }
    }

    /// Follows every revocation in the journal: a release that knew of none has taken them without.
    /// Rows must have been written first.
    pub(crate) fn follow_all_revocations(&mut self) {
        let spaces: Vec<Space> = self.spaces.keys().cloned().collect();
        for space in spaces {
            let entries = self.entry_ids(&space, REVOCATION_KIND, None, REVOCATIONS_MAX);
            let entries = entries.unwrap_or_else(|error| {
                self.view_failed(error.to_string());
                Vec::new()
            });
            for entry in &entries {
                self.follow_revocation(&space, entry);
            }
        }
    }

    /// Who was revoked, and when, in seconds since 1970 by the hub's clock.
    pub fn revoked(&self) -> &BTreeMap<PeerName, u64> {
        &self.revoked.machines
    }

    /// Whether there are more than at the last call; true at the first.
    pub(crate) fn take_revoked_news(&mut self) -> bool {
        std::mem::take(&mut self.revoked.news)
    }
}
