//! Machines that this one has no more to do with: those whose certificate the hub revoked and, at a
//! desk, those that the member list removed.
//!
//! The set goes to the shell, which refuses them at handshakes and calls and ends their links; here
//! they are not heard from the turn on in which that became known. What they wrote before stays, and
//! is relayed by others. It refuses to judge on a removed machine's word: one that is itself no more
//! on the list goes by revocations alone, so that desks a thief has removed find one another again.

use std::collections::BTreeSet;

use linli_domain::id::{MachineId, PeerName, Role, Space};
use linli_domain::seal::{MemberRow, Members};
use linli_domain::value::Value;
use linli_replica::engine::{Effect, LinkId};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::Trouble;
use crate::enrol::{REVOCATION_STATEMENT, Revocation};

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct ShutOut {
    machines: BTreeSet<PeerName>,
    /// Another set than when it was last taken.
    news: bool,
    /// Signed, and not written down yet; of a hub.
    unwritten: Vec<Revocation>,
}

impl ShutOut {
    pub(super) fn contains(&self, peer: &PeerName) -> bool {
        self.machines.contains(peer)
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// The machines shut out, if they are others than at the last call.
    pub fn take_shut_out(&mut self) -> Option<BTreeSet<PeerName>> {
        std::mem::take(&mut self.shut_out.news).then(|| self.shut_out.machines.clone())
    }

    /// The machines shut out.
    pub fn shut_out(&self) -> &BTreeSet<PeerName> {
        &self.shut_out.machines
    }

    /// Writes revocations down where desks find them; a hub's act. One that is known stands there.
    pub fn revoke(&mut self, revocations: Vec<Revocation>) {
        for one in revocations {
            let waits = self.shut_out.unwritten.iter().any(|other| other.peer == one.peer);
            if !waits && !self.books.revoked().contains_key(&one.peer) {
                self.shut_out.unwritten.push(one);
            }
        }
        self.write_revocations();
    }

    /// Writes what waits, but not into a space of a restored store that has not met its peers.
    pub(super) fn write_revocations(&mut self) {
        for one in std::mem::take(&mut self.shut_out.unwritten) {
            let Some(community) = one.peer.community.clone() else { continue };
            let space = Space::Open(community);
            let puts = vec![(REVOCATION_STATEMENT.to_owned(), Some(Value::from(one.text())))];
            let unmet = self.books.unmet().contains(&space);
            if unmet || self.write_in(&space, &one.entry(), puts, false).is_err() {
                self.shut_out.unwritten.push(one);
            }
        }
    }

    /// After news: who is shut out now. Links to them say nothing more.
    pub(super) fn follow_shut_out(&mut self) {
        let (revoked, listed) = (self.books.take_revoked_news(), self.roll.take_news());
        if !revoked && !listed {
            return;
        }
        let mut machines: BTreeSet<PeerName> = self.books.revoked().keys().cloned().collect();
        let me = self.books.me().clone();
        let names = removed_names(self.removing_list());
        machines.extend(names.into_iter().map(|machine| PeerName { machine, ..me.clone() }));
        machines.remove(&me);
        if machines == self.shut_out.machines {
            return;
        }
        let ended = self.peers.iter().filter(|(_, peer)| machines.contains(peer));
        for link in ended.map(|(link, _)| *link).collect::<Vec<LinkId>>() {
            self.link_down(link);
            self.effects
                .retain(|effect| !matches!(effect, Effect::Send { link: to, .. } if *to == link));
        }
        self.shut_out.machines = machines;
        self.shut_out.news = true;
    }

    /// The list whose removals count here.
    fn removing_list(&self) -> Option<&Members> {
        let (list, device) = (self.roll.list.as_ref()?, self.device.as_ref()?);
        let counts =
            self.books.me().role() == Role::Node && list.admission(&device.keys()).is_some();
        counts.then_some(list)
    }

    /// Refuses what comes from a machine that is shut out, by whatever way it came.
    pub(super) fn check_not_shut_out(&self, peer: &PeerName) -> Result<(), Trouble> {
        if !self.shut_out.machines.contains(peer) {
            return Ok(());
        }
        let machine = &peer.machine;
        let (zh, en) = if self.books.revoked().contains_key(peer) {
            (
                format!(
                    "{machine} 已被街道平台停用，与它的交换文件没有收也没有导出。它停用前写的内容，请从其他电脑取得；如要重新使用这台电脑，请街道平台换一个名字重新邀请。"
                ),
                format!(
                    "The street office has revoked {machine}, so nothing was taken from it or exported for it. What it wrote before comes from the other desks; to use that machine again, have the street office invite it under another name."
                ),
            )
        } else {
            (
                format!(
                    "{machine} 已被移出社区的电脑名单，与它的交换文件没有收也没有导出。它被移除前写的内容，请从其他电脑取得；如移除有误，请在本机运行 approve 重新批准它。"
                ),
                format!(
                    "{machine} was removed from the community's list of machines, so nothing was taken from it or exported for it. What it wrote before comes from the other desks; if the removal was a mistake, `approve` it again here."
                ),
            )
        };
        Err(Trouble { code: "shut-out".into(), zh, en })
    }
}

/// Names that only removed admissions have. A machine that was let in again is in.
fn removed_names(list: Option<&Members>) -> BTreeSet<MachineId> {
    let rows = list.map(Members::rows).unwrap_or_default();
    let named = |removed: bool| {
        let rows = rows.iter().filter(move |row: &&MemberRow| row.removed.is_some() == removed);
        rows.map(|row| row.member.name.clone()).collect::<BTreeSet<_>>()
    };
    named(true).difference(&named(false)).cloned().collect()
}
