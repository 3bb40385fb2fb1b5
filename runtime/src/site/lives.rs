//! Machines that are there twice, as `status` tells of them and an operator decides.

use linli_domain::id::{PeerName, Role};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use super::answers::not_here;
use crate::ask::{Answer, Trouble};
use crate::limits::DOUBLED_TOLD_DAYS;

impl<D: Disk, V: Views> Site<D, V> {
    /// Ends links to the later of two machines that go on with copies of one disk.
    pub fn end_second_lives(&mut self) {
        self.books.end_second_lives();
    }

    /// A hub that holds the same as this machine knows its journal as its own again.
    pub(super) fn look_for_own_life(&mut self) {
        let Some(hub) = self.books.second_life().cloned() else { return };
        let met: Vec<bool> = self
            .standings()
            .into_iter()
            .filter(|standing| standing.peer == hub)
            .map(|standing| standing.agreed)
            .collect();
        if !met.is_empty() && met.into_iter().all(|agreed| agreed) {
            self.books.end_second_life();
        }
    }

    pub(super) fn doubled(&self) -> Vec<(String, String)> {
        let told = |(peer, at): (&PeerName, u64)| (peer.to_string(), self.local(at));
        let since = self.books.now_millis().saturating_sub(DOUBLED_TOLD_DAYS * 24 * 3_600 * 1_000);
        self.books.doubled().filter(|(_, at)| *at >= since).map(told).collect()
    }

    pub(super) fn accept_life(&mut self, machine: &str) -> Result<Answer, Trouble> {
        if self.books.me().role() == Role::Node {
            return Err(not_here());
        }
        let known = PeerName::parse(machine).is_ok_and(|peer| self.books.accept_life(&peer));
        if known { Ok(Answer::Done {}) } else { Err(not_doubled(machine)) }
    }
}

fn not_doubled(machine: &str) -> Trouble {
    Trouble {
        code: "not-doubled".into(),
        zh: format!("没有第二台电脑以“{machine}”的名字来过。用 status 查看。"),
        en: format!("No second machine has called under the name `{machine}`; see `status`."),
    }
}
