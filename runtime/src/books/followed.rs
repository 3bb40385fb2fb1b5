//! Entries that somebody follows, and what came to them in this turn.
//!
//! It knows neither who follows nor what they have seen. It refuses to be asked what a turn has
//! changed in entries that nobody follows: a cold push touches ten thousand.

use std::collections::BTreeMap;

use linli_domain::digest::Digest;
use linli_domain::id::{CommunityId, EntryId, Space};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Books;

/// Entries that somebody follows.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Each with whether something came to it since that was last asked.
    entries: BTreeMap<(CommunityId, EntryId), bool>,
    /// Something was staged that was written here, and is on no disk yet.
    pub(super) wrote: bool,
}

impl<D: Disk, V: Views> Books<D, V> {
    /// Somebody follows these, and nobody any others.
    pub(crate) fn set_followed(&mut self, entries: impl Iterator<Item = (CommunityId, EntryId)>) {
        let before = std::mem::take(&mut self.followed.entries);
        let came = |place: &(CommunityId, EntryId)| before.get(place).copied().unwrap_or(false);
        self.followed.entries = entries.map(|place| (place.clone(), came(&place))).collect();
    }

    /// Followed entries to which something came since the last call. What was written here counts
    /// once it is `durable`: with it comes whatever else is staged.
    pub(crate) fn take_stirred(&mut self, durable: bool) -> Vec<(CommunityId, EntryId)> {
        if self.followed.wrote && !durable {
            return Vec::new();
        }
        let came = self.followed.entries.iter_mut().filter(|(_, came)| **came);
        let take = |(place, came): (&(CommunityId, EntryId), &mut bool)| {
            *came = false;
            place.clone()
        };
        came.map(take).collect()
    }

    /// Something came to an entry.
    pub(super) fn stir(&mut self, space: &Space, entry: &EntryId) {
        if self.followed.entries.is_empty() {
            return;
        }
        let Some(community) = space.community() else { return };
        if let Some(came) = self.followed.entries.get_mut(&(community.clone(), entry.clone())) {
            *came = true;
        }
    }

    /// The digest of an entry: of the changes of both halves that are here, and of what could be
    /// opened. Equal means that a reader sees the same, under the same definitions.
    pub(crate) fn entry_digest(&mut self, community: &CommunityId, entry: &EntryId) -> String {
        let (open, sealed) = self.halves(community, entry);
        let halves = [open, sealed].into_iter();
        let hashes = halves.flat_map(|half| half.doc.hashes().chain(half.seals.iter().copied()));
        let digest: Digest = hashes.collect();
        let erased = self.is_erased(&Space::Sealed(community.clone()), entry);
        format!("{digest}{}", if erased { ":erased" } else { "" })
    }
}
