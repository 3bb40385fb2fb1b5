//! People who follow an entry: who has it open sees at once what it becomes.
//!
//! What a peer has said is shown before this machine's own commit: the peer has it on its disk, and
//! gives it again to a machine that lost it. What was written here is shown after the commit. It
//! refuses personal fields, of which each look is put on record.

use std::collections::BTreeMap;

use linli_domain::id::{CommunityId, EntryId};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::{Answer, Trouble};
use crate::limits::{FOLLOW_MILLIS_MAX, FOLLOWERS_MAX};

/// Who follows, by numbers of the shell's choice.
pub(super) type Followers = BTreeMap<u64, Follower>;

/// Somebody who follows an entry.
#[derive(Debug)]
pub(super) struct Follower {
    place: (CommunityId, EntryId),
    /// The entry's digest when it was seen.
    seen: String,
    /// Since when, in milliseconds since 1970.
    since: u64,
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Somebody follows an entry that was `seen` with a digest. An answer is there if it is another
    /// by now, or not at all; it is to be kept back until the turn is durable.
    pub fn follow_entry(
        &mut self,
        follower: u64,
        community: Option<CommunityId>,
        entry: EntryId,
        seen: Option<String>,
    ) -> Option<Answer> {
        let (community, shown) = match self.look_at(community, &entry) {
            Ok(found) => found,
            Err(trouble) => return Some(Answer::Trouble(trouble)),
        };
        let digest = match &shown {
            Answer::Entry(view) => &view.digest,
            _ => return Some(shown),
        };
        let Some(seen) = seen.filter(|seen| seen == digest) else { return Some(shown) };
        if self.followers.len() >= FOLLOWERS_MAX {
            return Some(Answer::Trouble(too_many()));
        }
        let since = self.books.now_millis();
        self.followers.insert(follower, Follower { place: (community, entry), seen, since });
        self.follow_places();
        None
    }

    /// Somebody follows no more.
    pub fn unfollow_entry(&mut self, follower: u64) {
        if self.followers.remove(&follower).is_some() {
            self.follow_places();
        }
    }

    /// What followers are to be told now, each once: before the commit what came from peers, and
    /// after it, `durable`, the rest. Nothing once a view has failed: what rests on it may be wrong,
    /// and the turn is not going to end well.
    pub fn tell_followers(&mut self, durable: bool) -> Vec<(u64, Answer)> {
        if self.followers.is_empty() {
            return Vec::new();
        }
        let stirred = self.books.take_stirred(durable);
        let now = self.books.now_millis();
        let due = self.followers.iter().filter_map(|(number, follower)| {
            let late = durable && now.abs_diff(follower.since) >= FOLLOW_MILLIS_MAX;
            let (place, seen) = (&follower.place, &follower.seen);
            (late || stirred.contains(place)).then(|| (*number, place.clone(), seen.clone(), late))
        });
        let due: Vec<(u64, (CommunityId, EntryId), String, bool)> = due.collect();
        let mut answers = Vec::with_capacity(due.len());
        for (number, (community, entry), seen, late) in due {
            let answer = match self.look_at(Some(community), &entry) {
                // What came leaves it as it was: a change that is put off, or cannot be opened.
                Ok((_, Answer::Entry(view))) if view.digest == seen && !late => continue,
                Ok((_, shown)) => shown,
                Err(trouble) => Answer::Trouble(trouble),
            };
            self.followers.remove(&number);
            answers.push((number, answer));
        }
        if self.books.views_failed() {
            return Vec::new();
        }
        if !answers.is_empty() {
            self.follow_places();
        }
        answers
    }

    fn look_at(
        &mut self,
        community: Option<CommunityId>,
        entry: &EntryId,
    ) -> Result<(CommunityId, Answer), Trouble> {
        let community = self.community(community.as_ref()).map_err(|error| error.trouble())?;
        let shown = self.show(Some(community.clone()), entry, None)?;
        Ok((community, shown))
    }

    fn follow_places(&mut self) {
        let places = self.followers.values().map(|follower| follower.place.clone());
        self.books.set_followed(places);
    }
}

fn too_many() -> Trouble {
    Trouble {
        code: "too-many-followers".into(),
        zh: format!("同时跟踪的已有 {FOLLOWERS_MAX} 个，请先结束一些再试。"),
        en: format!("{FOLLOWERS_MAX} follow entries already; end some of them and try again."),
    }
}
