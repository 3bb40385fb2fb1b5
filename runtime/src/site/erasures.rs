//! Deleting a person: the keys of an entry's sealed half are destroyed on every machine that hears
//! of it, and what was opened with them is dropped.
//!
//! The envelopes stay in the journals, so that history, digests and cursors hold; nobody can open
//! them. It refuses to erase open halves, which the street reads and counts: what is personal must
//! not stand there.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use jiff::ToSpan as _;
use linli_domain::entry::Entry;
use linli_domain::id::{CommunityId, EntryId, Role, Space};
use linli_domain::seal::{ERASURE_KIND, erasure_id, is_shared};
use linli_domain::value::Value;
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::store::ScrubError;
use linli_store::views::{Views, ViewsError};
use serde_json::Value as Json;

use super::Site;
use super::answers::{not_here, views_trouble};
use super::walk::{Halves, Page};
use crate::ask::{Answer, ErasureView, Trouble};
use crate::books::{BooksTrouble, ERASURE_TARGET};
use crate::edit::{EditError, read_fields};
use crate::limits::{
    ERASED_IN_BACKUPS_DAYS, ERASURE_REASON_LETTERS_MAX, LINKED_MAX, SCRUB_EVERY_MILLIS,
};

impl<D: Disk, V: Views> Site<D, V> {
    /// Erases the sealed half of an entry, or says with `dry_run` what that would mean.
    pub(super) fn erase(
        &mut self,
        target: &EntryId,
        reason: &str,
        dry_run: bool,
    ) -> Result<Answer, Trouble> {
        if self.books.me().role() != Role::Node {
            return Err(not_here());
        }
        if self.books.ring().is_none() {
            return Err(EditError::Locked.trouble());
        }
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > ERASURE_REASON_LETTERS_MAX {
            return Err(bad_reason());
        }
        let community = self.community(None).map_err(|error| error.trouble())?;
        let sealed = Space::Sealed(community.clone());
        let envelopes = self.books.half(&sealed, target).seals.len();
        let already = self.books.is_erased(&sealed, target);
        if envelopes == 0 && !already {
            return Err(nothing_sealed(target));
        }
        let shared = self.shared_envelopes(&sealed, target);
        let linked = self.linked(&community, target).map_err(views_trouble)?;
        if !dry_run && !already {
            self.write_erasure(&community, target, reason).map_err(|error| error.trouble())?;
        }
        let entry = target.clone();
        Ok(Answer::Erased { entry, envelopes, shared, linked, already, dry_run })
    }

    fn write_erasure(
        &mut self,
        community: &CommunityId,
        target: &EntryId,
        reason: &str,
    ) -> Result<(), EditError> {
        let registry = self.registry.clone();
        let kind = registry
            .kind(ERASURE_KIND)
            .ok_or_else(|| EditError::unknown_kind(&registry, ERASURE_KIND))?;
        let id = erasure_id(target);
        let at = self.local(self.books.now_millis());
        let by = self.books.me().machine.to_string();
        let fields =
            [(ERASURE_TARGET, target.as_str()), ("reason", reason), ("at", &at), ("by", &by)];
        let fields = fields.map(|(name, text)| (name.to_owned(), Json::from(text)));
        let fields = read_fields(kind, &fields.into())?;
        let entry = self.entry(community, &id);
        self.write(community, kind, &id, &entry, &fields, Vec::new(), false).map(|_| ())
    }

    /// What was erased in the communities held here, oldest id first.
    pub(super) fn erasures(&mut self, max: usize) -> Result<Answer, Trouble> {
        let mut page = Page::new(max);
        for community in self.hosted.clone() {
            let walked = self.walk(&community, ERASURE_KIND, Halves::Both, None, |site, id| {
                site.erasure(&community, id).map_or(ControlFlow::Continue(()), |one| page.add(one))
            });
            if walked.map_err(views_trouble)?.is_break() {
                break;
            }
        }
        Ok(Answer::Erasures { erasures: page.found, more: page.more })
    }

    /// One that counts: its target is erased here.
    fn erasure(&mut self, community: &CommunityId, id: &EntryId) -> Option<ErasureView> {
        let entry = self.entry(community, id);
        let target = EntryId::parse(entry.text(ERASURE_TARGET)).ok()?;
        let sealed = Space::Sealed(community.clone());
        if !self.books.is_erased(&sealed, &target) {
            return None;
        }
        let at = entry.text("at").to_owned();
        Some(ErasureView {
            clean: self.books.is_clean(&sealed, &target),
            entry: target,
            community: community.clone(),
            backups_until: days_after(&at, ERASED_IN_BACKUPS_DAYS),
            by: entry.text("by").to_owned(),
            reason: entry.text("reason").to_owned(),
            at,
        })
    }

    /// Envelopes of an entry that releases before document keys have sealed: whoever has the
    /// community's key could open them, with a program of his own.
    fn shared_envelopes(&mut self, sealed: &Space, entry: &EntryId) -> usize {
        let seals: BTreeSet<_> = self.books.half(sealed, entry).seals.iter().copied().collect();
        let places = self.books.hashes(sealed);
        let mut shared = 0;
        for (_, seq) in places.iter().filter(|(hash, _)| seals.contains(hash)) {
            let placed = self.books.read_one(sealed, *seq);
            shared += usize::from(placed.is_some_and(|placed| is_shared(&placed.item.bytes)));
        }
        shared
    }

    /// Entries with a sealed half of their own that name the target, or that it names.
    fn linked(
        &mut self,
        community: &CommunityId,
        target: &EntryId,
    ) -> Result<Vec<EntryId>, ViewsError> {
        let sealed = Space::Sealed(community.clone());
        let named = names(&self.entry(community, target));
        let mut linked = Vec::new();
        let registry = self.registry.clone();
        for kind in registry.kinds().filter(|kind| kind.name != ERASURE_KIND) {
            let walked = self.walk(community, &kind.name, Halves::Both, None, |site, id| {
                let own = !site.books.half(&sealed, id).seals.is_empty()
                    && !site.books.is_erased(&sealed, id);
                if id == target || !own {
                    return ControlFlow::Continue(());
                }
                let entry = site.entry(community, id);
                if named.contains(id.as_str()) || names(&entry).contains(target.as_str()) {
                    linked.push(id.clone());
                }
                if linked.len() < LINKED_MAX {
                    return ControlFlow::Continue(());
                }
                ControlFlow::Break(())
            })?;
            if walked.is_break() {
                break;
            }
        }
        Ok(linked)
    }

    /// Whether the views' files are to be freed of what was erased: all rows are written, and the
    /// last time was a while ago.
    pub(super) fn scrub_due(&self) -> bool {
        if self.books.unclean() == 0 || self.scrubbed_at == u64::MAX {
            return false;
        }
        // A clock that was set back holds nothing up.
        let since = self.books.now_millis().checked_sub(self.scrubbed_at);
        since.is_none_or(|since| since >= SCRUB_EVERY_MILLIS)
    }

    /// Writes the views anew.
    pub(super) fn scrub(&mut self) {
        self.scrubbed_at = self.books.now_millis();
        self.write_cells();
        match self.books.store.scrub() {
            Ok(()) => {}
            Err(ScrubError::Views(error)) => {
                self.scrubbed_at = u64::MAX;
                self.books.trouble(BooksTrouble::View(error.to_string()));
            }
            // The next commit fails alike, and says so.
            Err(ScrubError::Keys(_)) => self.scrubbed_at = u64::MAX,
        }
    }
}

/// Every text in an entry that may be another's id.
fn names(entry: &Entry) -> BTreeSet<String> {
    let fields = entry.fields.values().filter_map(Value::as_text).map(str::to_owned);
    fields.chain(entry.sets.values().flatten().cloned()).collect()
}

/// A local time's day, so many days later; empty for a text that is no time.
fn days_after(at: &str, days: i32) -> String {
    let day = at.get(..10).and_then(|day| day.parse::<jiff::civil::Date>().ok());
    let later = day.and_then(|day| day.checked_add(days.days()).ok());
    later.map_or_else(String::new, |day| day.to_string())
}

fn bad_reason() -> Trouble {
    Trouble {
        code: "bad-reason".to_owned(),
        zh: format!(
            "请用 --reason 写明理由（{ERASURE_REASON_LETTERS_MAX} 字以内），不要写任何个人信息：理由会留下，街道也看得到。"
        ),
        en: format!(
            "Give a reason with --reason, of at most {ERASURE_REASON_LETTERS_MAX} letters and without anything personal: it stays, and the street can read it."
        ),
    }
}

fn nothing_sealed(entry: &EntryId) -> Trouble {
    Trouble {
        code: "nothing-sealed".to_owned(),
        zh: format!("“{entry}”没有个人信息部分，无可销毁。用 find 查找编号。"),
        en: format!("`{entry}` has no personal fields to destroy. `find` gives ids."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_on_from_a_time_and_from_nothing_else() {
        assert_eq!(days_after("2026-02-10T09:30:00", 30), "2026-03-12");
        for wrong in ["", "soon", "2026-02-31T09:30:00"] {
            assert_eq!(days_after(wrong, 30), "", "{wrong}");
        }
    }
}
