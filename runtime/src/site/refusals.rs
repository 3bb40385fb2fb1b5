//! Refused changes: listed with their reasons, exported, and judged once more.
//!
//! It refuses to open a sealed one: what is exported of it is its envelope.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use linli_domain::gate::{self, Refusal};
use linli_domain::id::{AuthorId, ChangeHash, Space};
use linli_domain::seal;
use linli_replica::frame::Item;
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use super::walk::Page;
use crate::ask::{Answer, PAGE_MAX, RefusedChange, RefusedView, Trouble};
use crate::books::JudgedAgain;
use crate::limits::REFUSED_PAGE_BYTES;

impl<D: Disk, V: Views> Site<D, V> {
    pub(super) fn refused(&mut self, max: usize) -> Answer {
        let mut page = Page::new(max);
        // Broken off where the page is over.
        let _over = self.all_refused().into_iter().try_for_each(|(_, view, _)| page.add(view));
        Answer::Refused { refused: page.found, more: page.more }
    }

    /// A page of them with their bytes: at least one, and as many as an answer may hold.
    pub(super) fn refused_bytes(&mut self, after: usize) -> Answer {
        let mut page = Vec::new();
        let (mut bytes, mut next) = (0, after);
        let all = self.all_refused();
        let many = all.len();
        for (hash, refused, ours) in all.into_iter().skip(after) {
            if bytes >= REFUSED_PAGE_BYTES || page.len() >= PAGE_MAX {
                break;
            }
            let change = match ours {
                Some(item) => Some(item.bytes),
                None => self.books.refused_change(&hash).map(|(bytes, _)| bytes),
            };
            bytes += change.as_ref().map_or(0, bytes::Bytes::len);
            let author =
                change.as_ref().and_then(|change| self.author_of(&refused.space, hash, change));
            let change = change.map(|change| BASE64.encode(&change));
            page.push(RefusedChange { refused, author, change });
            next += 1;
        }
        Answer::RefusedBytes { refused: page, next: (next < many).then_some(next) }
    }

    pub(super) fn judge_again(&mut self, change: Option<&str>) -> Result<Answer, Trouble> {
        let wanted = |hash: &ChangeHash| {
            change.is_none_or(|begins| hash.to_string().starts_with(&begins.to_lowercase()))
        };
        if !self.books.refused_here().any(|(hash, _)| wanted(&hash)) && change.is_some() {
            return Err(not_refused_here());
        }
        let JudgedAgain { taken, known, without_bytes, .. } = self.books.judge_again(wanted);
        let mut still: Vec<RefusedView> = self
            .books
            .refused_here()
            .filter(|(hash, _)| wanted(hash) && self.books.keeps_refused(hash))
            .map(|(hash, refused)| self.refused_here_view(hash, refused))
            .collect();
        still.truncate(PAGE_MAX);
        Ok(Answer::JudgedAgain { taken, known, still, without_bytes })
    }

    /// Every refusal, those here first, with the change itself where it is one of our journal.
    fn all_refused(&mut self) -> Vec<(ChangeHash, RefusedView, Option<Item>)> {
        let here = self.books.refused_here();
        let mut all: Vec<_> = here
            .map(|(hash, refused)| (hash, self.refused_here_view(hash, refused), None))
            .collect();
        let there: Vec<_> =
            self.books.refused_there().map(|(hash, refused)| (hash, refused.clone())).collect();
        let mut places: BTreeMap<Space, Vec<(ChangeHash, u64)>> = BTreeMap::new();
        for (hash, refused) in there {
            if !places.contains_key(&refused.space) {
                places.insert(refused.space.clone(), self.books.hashes(&refused.space));
            }
            let known = &places[&refused.space];
            let place = known.binary_search_by(|(known, _)| known.cmp(&hash)).ok();
            let item = place
                .and_then(|at| self.books.read_one(&refused.space, known[at].1))
                .map(|placed| placed.item);
            let view = RefusedView {
                space: refused.space,
                entry: item.as_ref().map(|item| item.entry.clone()),
                hash: hash.to_string(),
                by: refused.by.to_string(),
                from: self.books.me().to_string(),
                words: words(&refused.reason),
                reason: refused.reason,
                at: None,
                kept: item.is_some(),
            };
            all.push((hash, view, item));
        }
        all
    }

    fn refused_here_view(
        &self,
        hash: ChangeHash,
        refused: &crate::books::RefusedHere,
    ) -> RefusedView {
        RefusedView {
            space: refused.space.clone(),
            entry: Some(refused.entry.clone()),
            hash: hash.to_string(),
            by: "here".to_owned(),
            from: refused.from.to_string(),
            reason: refused.reason.clone(),
            words: words(&refused.reason),
            at: (refused.at > 0).then_some(refused.at),
            kept: self.books.keeps_refused(&hash),
        }
    }

    /// Who made a change, as far as its bytes say so.
    fn author_of(&self, space: &Space, hash: ChangeHash, bytes: &bytes::Bytes) -> Option<String> {
        let author: AuthorId = if space.is_sealed() {
            seal::inspect(bytes).ok()?.sender
        } else {
            gate::parse(bytes, &hash).ok()?.actor.author()
        };
        let known = self.books.author_name(space, author).map(str::to_owned);
        Some(known.unwrap_or_else(|| author.to_string()))
    }
}

fn not_refused_here() -> Trouble {
    Trouble {
        code: "not-refused-here".to_owned(),
        zh: "本机没有拒收过编号以此开头的变更，用 refusals 查看。对端拒收的，请在那一端重新审核。".to_owned(),
        en: "No change whose number begins so was refused here; see `refusals`. What a peer refused is judged again there."
            .to_owned(),
    }
}

/// A refusal code in words, with what to do next.
pub(super) fn words(code: &str) -> Trouble {
    let known = Refusal::from_code(code);
    let en = known.map_or_else(|| code.to_owned(), |refusal| refusal.to_string());
    let (zh, todo) = match known {
        Some(Refusal::UnknownAuthor) => (
            "作者电脑未登记，请联系街道平台重新登记，再重新审核。",
            "let the hub enrol that machine again, then have it judged again",
        ),
        Some(Refusal::Fork) => (
            "两台电脑用了同一身份（可能是复制的硬盘），请重新登记其中一台。",
            "enrol one of the two machines anew",
        ),
        Some(Refusal::DocumentFull) => ("这条记录已到上限，请另立一条。", "begin a new entry"),
        Some(Refusal::TooLarge | Refusal::TooMuch) => {
            ("内容太多，请分成几条。", "make several entries of it")
        }
        Some(Refusal::DependsOnRefused) => {
            ("它依赖的一次修改已被拒收，请先处理那一次。", "see to that change first")
        }
        Some(Refusal::StepRewritten) => {
            ("流转记录不能改写，请另加一步说明。", "take a further step that says what is right")
        }
        Some(_) | None => (
            "修改不符合规则，已拒收；请升级两端的程序后重新审核，仍不行请把编号告诉街道平台。",
            "upgrade both programs and have it judged again; if that does not help tell the hub its number",
        ),
    };
    Trouble { code: code.to_owned(), zh: zh.to_owned(), en: format!("{en}: {todo}") }
}
