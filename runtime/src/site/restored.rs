//! A machine put back from a backup: what a backup has to hold, and what a restored store waits
//! for.
//!
//! Between the backup and now it may have written more, which its peers hold. Until it has met one
//! in a space, nobody edits there: the same matter would be written down twice, and people would
//! decide on what is old. Reading goes on, and look-ups are put on record. It refuses to guess
//! whether anybody is left who knows more; `restore` is told.

use data_encoding::HEXLOWER;
use linli_domain::digest::Digest;
use linli_domain::id::{CommunityId, Role, Space};
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::journal::{Extent, Head};
use linli_store::views::Views;

use super::Site;
use crate::ask::{Answer, Ask, Snapshot, Trouble};

impl<D: Disk, V: Views> Site<D, V> {
    /// Takes note of peers that hold the same by now.
    pub(super) fn meet_again(&mut self) {
        if self.books.unmet().is_empty() {
            return;
        }
        for standing in self.standings().into_iter().filter(|standing| standing.agreed) {
            self.books.met(&standing.space);
        }
    }

    /// Whether an edit has to wait until the machine has met its peers again.
    pub(super) fn check_met(&self, ask: &Ask) -> Result<(), Trouble> {
        let unmet = self.books.unmet();
        if unmet.is_empty() {
            return Ok(());
        }
        let own = self.books.me().community.as_ref();
        let of = |community: Option<&CommunityId>| {
            unmet.iter().any(|space| space.community().is_some_and(|id| Some(id) == community))
        };
        let waits = match ask {
            Ask::Add { .. }
            | Ask::Import { dry_run: false, .. }
            | Ask::Approve { .. }
            | Ask::Erase { dry_run: false, .. }
            | Ask::RemoveDevice { .. }
            | Ask::PrintRecovery { .. } => of(own),
            Ask::Edit { community, .. } | Ask::Step { community, .. } => {
                of(community.as_ref().or(own))
            }
            Ask::Close { community: Some(community), .. } => of(Some(community)),
            Ask::Close { community: None, .. } => {
                unmet.iter().any(|space| space.community().is_some())
            }
            Ask::Publish { .. } | Ask::Withdraw { .. } => {
                unmet.iter().any(|space| matches!(space, Space::Board(_)))
            }
            _ => false,
        };
        if !waits {
            return Ok(());
        }
        let (zh, en) = match self.books.me().role() {
            Role::Node => (
                "本机是从备份恢复的，还没有与街道平台（或同社区的电脑）核对过，暂不能修改，查看不受影响。\
                 请连上网络，核对完会自动开放。如街道平台已不复存在，请加 --hub-is-lost 重新恢复一次。",
                "This machine was restored from a backup and has not met its hub or a neighbour since, so \
                 it takes no edits yet; reading goes on. Connect it: edits open by themselves. If the hub \
                 is gone for good, restore once more with --hub-is-lost.",
            ),
            Role::StreetHub | Role::DistrictHub => (
                "平台是从备份恢复的，还没有与该社区的电脑核对过，暂不能写入，查看不受影响。\
                 等社区电脑连上，核对完会自动开放。如那里的电脑都已不复存在，请加 --desks-are-lost 重新恢复一次。",
                "This hub was restored from a backup and has not met a desk that shares this since, so it \
                 writes nothing there yet; reading goes on. Wait until a desk connects: it opens by \
                 itself. If those desks are gone for good, restore once more with --desks-are-lost.",
            ),
        };
        Err(Trouble { code: "restored".into(), zh: zh.into(), en: en.into() })
    }

    /// How far the journal reaches.
    pub(super) fn snapshot(&self) -> Result<Answer, Trouble> {
        let extent = self.books.store.journal().extent().map_err(|error| Trouble {
            code: "disk".into(),
            zh: format!("日志读不出来：{error}。请检查磁盘，再试一次。"),
            en: format!("The journal cannot be read: {error}. Check the disk, then try again."),
        })?;
        let space = |(space, head): (Space, Head)| {
            (space, (head.seq, head.chain, HEXLOWER.encode(&head.digest.to_bytes())))
        };
        Ok(Answer::Snapshot(Box::new(Snapshot {
            name: self.books.me().clone(),
            epoch: self.books.epoch().to_string(),
            commits: extent.commits,
            spaces: extent.spaces.into_iter().map(space).collect(),
            segments: extent.segments,
        })))
    }
}

impl Snapshot {
    /// The same as the store says it; `None` if a digest is not one.
    pub fn extent(&self) -> Option<Extent> {
        let head = |(space, (seq, chain, digest)): (&Space, &(u64, u64, String))| {
            let digest = Digest::from_bytes(&HEXLOWER.decode(digest.as_bytes()).ok()?)?;
            Some((space.clone(), Head { seq: *seq, chain: *chain, digest }))
        };
        let spaces = self.spaces.iter().map(head).collect::<Option<_>>()?;
        Some(Extent { commits: self.commits, spaces, segments: self.segments.clone() })
    }
}
