//! Walking ledgers from entry to entry, and the pages that are made on the way.

use std::ops::ControlFlow;

use linli_domain::id::{CommunityId, EntryId, Space};
use linli_store::disk::Disk;
use linli_store::views::{Views, ViewsError};

use super::Site;
use crate::ask::{Answer, EntryView, PAGE_MAX};
use crate::books::BooksTrouble;
use crate::limits::SLICE_ENTRIES;

/// Which entries of a ledger are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halves {
    /// Those with an open half, as figures are counted from.
    Open,
    /// All, also those of which only what is sealed is here.
    Both,
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Has `look` see each entry of a kind that comes after `after`, in id order, until it breaks.
    /// What was read on the way is let go page by page: a ledger of any length takes little memory.
    pub(super) fn walk(
        &mut self,
        community: &CommunityId,
        kind: &str,
        halves: Halves,
        mut after: Option<EntryId>,
        mut look: impl FnMut(&mut Self, &EntryId) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ViewsError> {
        while self.write_rows(SLICE_ENTRIES) {}
        let open = Space::Open(community.clone());
        let sealed = Space::Sealed(community.clone());
        let halves = match self.registry.kind(kind) {
            Some(kind) if !kind.sealed => Halves::Open,
            _ => halves,
        };
        loop {
            let mut ids = self.books.entry_ids(&open, kind, after.as_ref(), PAGE_MAX)?;
            if halves == Halves::Both {
                ids.extend(self.books.entry_ids(&sealed, kind, after.as_ref(), PAGE_MAX)?);
                ids.sort_unstable();
                ids.dedup();
                ids.truncate(PAGE_MAX);
            }
            for id in &ids {
                if look(self, id).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            self.books.trim(&open);
            self.books.trim(&sealed);
            if ids.len() < PAGE_MAX {
                return Ok(ControlFlow::Continue(()));
            }
            after = ids.pop();
        }
    }

    /// As [`Self::walk`], from the first entry of a kind to the last.
    pub(super) fn walk_all(
        &mut self,
        community: &CommunityId,
        kind: &str,
        halves: Halves,
        mut look: impl FnMut(&mut Self, &EntryId),
    ) -> Result<(), ViewsError> {
        let all = |site: &mut Self, id: &EntryId| {
            look(site, id);
            ControlFlow::Continue(())
        };
        self.walk(community, kind, halves, None, all).map(|_| ())
    }

    /// The ids of all entries of a kind of which there are few; trouble with the views is noted.
    pub(super) fn all_of(&mut self, community: &CommunityId, kind: &str) -> Vec<EntryId> {
        let mut all = Vec::new();
        let walked = self.walk_all(community, kind, Halves::Both, |_, id| all.push(id.clone()));
        if let Err(error) = walked {
            self.books.trouble(BooksTrouble::View(error.to_string()));
        }
        all
    }
}

/// Some of what was found, and whether others were left out.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// What there was room for.
    pub(super) found: Vec<T>,
    /// There was more than that.
    pub(super) more: bool,
    room: usize,
}

impl<T> Page<T> {
    /// A page for `max` and at most [`PAGE_MAX`].
    pub(super) fn new(max: usize) -> Self {
        Self { found: Vec::new(), more: false, room: max.clamp(1, PAGE_MAX) }
    }

    /// Takes it, or notes that there is more; then nothing else need be looked for.
    pub(super) fn add(&mut self, one: T) -> ControlFlow<()> {
        if self.found.len() < self.room {
            self.found.push(one);
            return ControlFlow::Continue(());
        }
        self.more = true;
        ControlFlow::Break(())
    }
}

impl Page<EntryView> {
    /// The answer that shows it. A page of one community can be gone on with; one of several names
    /// no place, since ids repeat from community to community.
    pub(super) fn answer(self, one_community: bool) -> Answer {
        let next = self.found.last().filter(|_| self.more && one_community);
        let next = next.map(|last| last.entry.clone());
        Answer::Entries { entries: self.found, next, more: self.more }
    }
}
