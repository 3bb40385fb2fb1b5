//! People who leave an entry open on their screen, and are shown what it becomes.
//!
//! Whoever looked at an entry last follows it. Durable: what a screen shows before the machine's own
//! commit is on the disk of whoever made it. Live: at peace every screen shows what there is.

use linli_domain::id::{ChangeHash, CommunityId, EntryId};
use linli_runtime::ask::{Answer, Ask, EntryView};

use super::World;
use crate::checkers::{Checker, Violation};
use crate::machine::{Machine, SimSite};
use crate::planted::Planted;
use crate::trace::short;
use crate::truth::MachineNo;

/// The number under which a machine's person follows.
const FOLLOWER: u64 = 0;

/// An entry that is open on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    community: CommunityId,
    entry: EntryId,
    /// As it is shown.
    digest: String,
    /// The machine knows that somebody follows.
    followed: bool,
}

impl Open {
    /// As a person has just seen it.
    pub(crate) fn of(community: CommunityId, view: &EntryView) -> Self {
        let (entry, digest) = (view.entry.clone(), view.digest.clone());
        Self { community, entry, digest, followed: false }
    }
}

impl World {
    /// Shows people what became of what they follow, as it may be before the commit.
    pub(super) fn show_before_commit(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let early = self.planted == Some(Planted::ShownTooEarly);
        let forgets = self.planted == Some(Planted::ScreensForgotten);
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return Ok(()) };
        let answers = site.tell_followers(early);
        if answers.is_empty() || forgets {
            return Ok(());
        }
        self.trace.count_by("screens told before a commit", answers.len() as u64);
        for (_, answer) in &answers {
            let Answer::Entry(view) = answer else { continue };
            let all = changes_of(site, view);
            let durable =
                |hash: &ChangeHash| self.truth.made(hash).is_some() || self.truth.is_crafted(hash);
            if let Some(hash) = all.iter().find(|hash| !durable(hash)) {
                let (name, hash) = (&at.name, short(&hash.0));
                let text = format!("{name} shows {hash} of {}, which is on no disk", view.entry);
                return Err(Violation::new(Checker::Durable, text));
            }
        }
        take(at, answers);
        Ok(())
    }

    /// The rest, after the commit; who looked at another entry follows that one from now on.
    pub(super) fn show_after_commit(&mut self, machine: MachineNo) {
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return };
        let answers = site.tell_followers(true);
        self.trace.count_by("screens told after a commit", answers.len() as u64);
        take(at, answers);
        let Some(open) = at.open.as_ref().filter(|open| !open.followed).cloned() else { return };
        let Some(site) = &mut at.site else { return };
        site.unfollow_entry(FOLLOWER);
        let Open { community, entry, digest, .. } = open;
        match site.follow_entry(FOLLOWER, Some(community), entry, Some(digest)) {
            Some(answer) => take(at, vec![(FOLLOWER, answer)]),
            None => {
                if let Some(open) = &mut at.open {
                    open.followed = true;
                }
            }
        }
    }

    /// Live: what screens show is what there is.
    pub(super) fn screens_are_up_to_date(&mut self) -> Result<(), Violation> {
        for at in &mut self.machines {
            let Some(open) = at.open.clone() else { continue };
            let Some(site) = &mut at.site else { continue };
            let there = view_of(site, &open);
            if there.as_ref().is_some_and(|view| view.digest != open.digest) {
                let text = format!("{} still shows {} as it was", at.name, open.entry);
                return Err(Violation::new(Checker::Live, text));
            }
        }
        Ok(())
    }
}

/// A screen takes what it is told; it follows again after the commit.
fn take(at: &mut Machine, answers: Vec<(u64, Answer)>) {
    for (_, answer) in answers {
        let Some(open) = &mut at.open else { continue };
        match answer {
            Answer::Entry(view) if view.entry == open.entry => {
                open.digest.clone_from(&view.digest);
                open.followed = false;
            }
            // Another one is open by now.
            Answer::Entry(_) => {}
            _ => at.open = None,
        }
    }
}

/// Every change in an entry that is shown.
fn changes_of(site: &mut SimSite, view: &EntryView) -> Vec<ChangeHash> {
    let Some(community) = view.community.clone() else { return Vec::new() };
    let books = site.books();
    let (open, sealed) = books.halves(&community, &view.entry);
    open.doc.hashes().chain(sealed.seals.iter().copied()).collect()
}

fn view_of(site: &mut SimSite, open: &Open) -> Option<EntryView> {
    let ask = Ask::Show {
        community: Some(open.community.clone()),
        entry: open.entry.clone(),
        reason: None,
    };
    match site.ask(ask) {
        Answer::Entry(view) => Some(*view),
        _ => None,
    }
}
