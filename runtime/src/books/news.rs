//! What changed since somebody last looked: entries to be measured, and what the member list is
//! read from.

use std::collections::BTreeSet;

use linli_domain::id::{EntryId, Role, Space};
use linli_store::disk::Disk;
use linli_store::views::Views;
use smol_str::SmolStr;

use super::Books;

/// Kinds of entries that the member list and the ring are read from.
const MEMBER_KINDS: [&str; 3] = ["member", "handed_key", "device"];

impl<D: Disk, V: Views> Books<D, V> {
    /// Notes an entry that the member list or the ring is read from; only a node reads them.
    pub(super) fn note_member_news(&mut self, space: &Space, entry: &EntryId) {
        if self.me.role() == Role::Node
            && matches!(space, Space::Open(_))
            && MEMBER_KINDS.contains(&entry.kind())
        {
            self.member_news.insert(entry.clone());
        }
    }

    /// Entries touched since they were last taken, with the keys that changed; latest first.
    pub fn take_touched(&mut self, max: usize) -> Vec<((Space, EntryId), BTreeSet<SmolStr>)> {
        let mut taken = Vec::with_capacity(max.min(self.touched.len()));
        while taken.len() < max {
            let Some(last) = self.touched.pop() else { break };
            taken.push(last);
        }
        taken
    }

    /// Entries about machines and their keys that changed since the last call.
    pub fn take_member_news(&mut self) -> BTreeSet<EntryId> {
        std::mem::take(&mut self.member_news)
    }

    /// Whether entries wait to be measured.
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }
}
