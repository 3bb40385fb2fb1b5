//! Answering what people ask.

use std::collections::BTreeMap;

use linli_domain::id::{CommunityId, EntryId, Role, Space};
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::views::{Views, ViewsError};

use super::Site;
use super::entries::Sight;
use super::walk::Page;
use super::writes::Written;
use crate::ask::{
    Answer, Ask, EntryView, KindView, LinkView, PAGE_MAX, RecordForm, SpaceView, Status, Trouble,
};
use crate::edit::EditError;

impl<D: Disk, V: Views> Site<D, V> {
    /// Answers. What an answer says was written is durable only after [`Self::end_turn`].
    pub fn ask(&mut self, ask: Ask) -> Answer {
        self.try_ask(ask).unwrap_or_else(Answer::Trouble)
    }

    fn try_ask(&mut self, ask: Ask) -> Result<Answer, Trouble> {
        self.check_met(&ask)?;
        self.check_room(&ask)?;
        match ask {
            Ask::Status {} => Ok(Answer::Status(Box::new(self.status()))),
            Ask::Snapshot {} => self.snapshot(),
            Ask::Add { kind, id, fields } => {
                let record = RecordForm { kind, id, fields, steps: Vec::new() };
                let written = self.add(&record, false).map_err(|error| error.trouble())?;
                Ok(self.written(None, written))
            }
            Ask::Edit { community, entry, fields } => {
                let written = self.change(community.as_ref(), &entry, &fields, &[]);
                Ok(self.written(community, written.map_err(|error| error.trouble())?))
            }
            Ask::Step { community, entry, step, fields } => {
                let written = self.change(community.as_ref(), &entry, &fields, &[step]);
                Ok(self.written(community, written.map_err(|error| error.trouble())?))
            }
            Ask::Import { records, dry_run } => self.import(&records, dry_run),
            Ask::Show { community, entry, reason } => self.show(community, &entry, reason),
            Ask::Follow { community, entry, .. } => self.show(community, &entry, None),
            Ask::List { kind, state, community, after, max, whole } => {
                if self.registry.kind(&kind).is_none() {
                    return Err(EditError::unknown_kind(&self.registry, &kind).trouble());
                }
                let sight = if whole { Sight::Whole } else { Sight::Masked };
                self.list(&kind, state.as_deref(), community, after, max, sight)
            }
            Ask::Kinds {} => Ok(Answer::Kinds { kinds: self.kinds() }),
            Ask::Find { text, after, max } => {
                if let Some(kind) = after.as_ref().map(EntryId::kind)
                    && self.registry.kind(kind).is_none()
                {
                    return Err(EditError::unknown_kind(&self.registry, kind).trouble());
                }
                let community = self.community(None).map_err(|error| error.trouble())?;
                let found = self.find(&community, &text, after, max).map_err(views_trouble)?;
                Ok(found.answer(true))
            }
            Ask::Figures(query) => self.figures(&query),
            Ask::Behind { figure, after, max } => self.behind(&figure, after, max),
            Ask::Conflicts { max } => {
                let mut page = Page::new(max);
                for community in self.hosted.clone() {
                    let walked = self.conflicts_into(&mut page, &community);
                    if walked.map_err(views_trouble)?.is_break() {
                        break;
                    }
                }
                Ok(Answer::Conflicts { conflicts: page.found, more: page.more })
            }
            Ask::Refused { max } => Ok(self.refused(max)),
            Ask::RefusedBytes { after } => Ok(self.refused_bytes(after)),
            Ask::JudgeAgain { change } => self.judge_again(change.as_deref()),
            Ask::AcceptLife { machine } => self.accept_life(&machine),
            Ask::Devices {} => Ok(Answer::Devices { devices: self.devices() }),
            Ask::Approve { machine, code } => {
                self.approve(&machine, &code).map(|ring_code| Answer::Approved { ring_code })
            }
            Ask::RemoveDevice { machine } => self.remove_device(&machine),
            Ask::PrintRecovery { sealing, signing } => self.print_recovery(&sealing, &signing),
            Ask::Recover { seed } => self.recover(seed.bytes()),
            Ask::Packs {} => Ok(Answer::Packs { packs: self.packs() }),
            Ask::Publish { files } => self.publish(&files),
            Ask::Withdraw { pack } => self.withdraw(&pack),
            Ask::Erase { entry, reason, dry_run } => self.erase(&entry, &reason, dry_run),
            Ask::Erasures { max } => self.erasures(max),
            Ask::Recount {} => self.recount(),
            Ask::Audit {} => Ok(self.audit()),
            Ask::Digests {} => {
                let digest = |(space, head): (&Space, linli_store::journal::Head)| {
                    (space.clone(), head.digest.to_string())
                };
                let held = self.books.heads().filter(|(_, head)| head.digest.count > 0);
                Ok(Answer::Digests { digests: held.map(digest).collect() })
            }
            Ask::BundleOpen { reader, since } => {
                self.bundle_open(reader.as_ref(), since.as_deref())
            }
            Ask::BundleRead { reader, space, after, until } => {
                self.bundle_read(reader.as_ref(), &space, after, until)
            }
            Ask::BundleTake { from, frame } => self.bundle_take(&from, &frame),
            Ask::BundleClose { from, hello, to_me, begins, whole } => {
                self.bundle_close(&from, &hello, to_me, &begins, &whole)
            }
            Ask::Close { period, community, note } => {
                self.close_period(&period, community.as_ref(), note.as_deref())
            }
            Ask::Online { .. } | Ask::Invite { .. } | Ask::Nodes {} | Ask::Revoke { .. } => {
                Err(not_here())
            }
        }
    }

    fn written(&mut self, community: Option<CommunityId>, written: Written) -> Answer {
        let Written { entry, changes, .. } = written;
        let state = match self.community(community.as_ref()) {
            Ok(community) => {
                let read = self.entry(&community, &entry);
                self.progress(entry.kind(), &read).state
            }
            Err(_) => String::new(),
        };
        Answer::Written { entry, changes, state }
    }

    fn import(&mut self, records: &[RecordForm], dry_run: bool) -> Result<Answer, Trouble> {
        if records.len() > PAGE_MAX {
            return Err(Trouble {
                code: "too-many".to_owned(),
                zh: format!("一次最多导入 {PAGE_MAX} 条。"),
                en: format!("At most {PAGE_MAX} records at a time."),
            });
        }
        let (mut added, mut changed, mut unchanged) = (0, 0, 0);
        let mut refused = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match self.add(record, dry_run) {
                Ok(written) if written.is_new => added += 1,
                Ok(written) if written.changes > 0 => changed += 1,
                Ok(_) => unchanged += 1,
                Err(error) => refused.push((at, error.trouble())),
            }
        }
        Ok(Answer::Imported { added, changed, unchanged, refused })
    }

    pub(super) fn show(
        &mut self,
        community: Option<CommunityId>,
        id: &EntryId,
        reason: Option<String>,
    ) -> Result<Answer, Trouble> {
        let community = self.community(community.as_ref()).map_err(|error| error.trouble())?;
        let entry = self.entry(&community, id);
        let erased = self.books.is_erased(&Space::Sealed(community.clone()), id);
        let empty = entry.fields.is_empty() && entry.sets.is_empty() && entry.steps.is_empty();
        if empty && !erased {
            let error = EditError::NoSuchEntry { entry: id.to_string() };
            return Err(error.trouble());
        }
        let sight = match reason.filter(|reason| !reason.trim().is_empty()) {
            Some(reason) => {
                self.log_look_up(id, &reason)?;
                Sight::Whole
            }
            None => Sight::Masked,
        };
        let digest = self.books.entry_digest(&community, id);
        let view = self.view(&community, id, &entry, sight);
        Ok(Answer::Entry(Box::new(EntryView { digest, ..view })))
    }

    /// Each look-up of personal fields is an entry of its own (L25).
    fn log_look_up(&mut self, id: &EntryId, reason: &str) -> Result<(), Trouble> {
        const KIND: &str = "lookup";
        if self.registry.kind(KIND).is_none() {
            return Ok(());
        }
        let at = self.local(self.books.now_millis());
        let by = self.books.me().machine.to_string();
        let fields =
            [("time", at), ("desk", by), ("entry", id.to_string()), ("reason", reason.to_owned())];
        let fields = fields.map(|(name, text)| (name.to_owned(), serde_json::Value::from(text)));
        let record = RecordForm {
            kind: KIND.to_owned(),
            id: None,
            fields: BTreeMap::from(fields),
            steps: Vec::new(),
        };
        self.add(&record, false).map(|_| ()).map_err(|error| error.trouble())
    }

    fn list(
        &mut self,
        kind: &str,
        state: Option<&str>,
        community: Option<CommunityId>,
        after: Option<EntryId>,
        max: usize,
        sight: Sight,
    ) -> Result<Answer, Trouble> {
        // A hub lists one community after the other.
        let communities: Vec<CommunityId> = match &community {
            None if self.books.me().role() != Role::Node => self.hosted.iter().cloned().collect(),
            named => vec![self.community(named.as_ref()).map_err(|error| error.trouble())?],
        };
        let one_community = communities.len() == 1;
        let mut page = Page::new(max);
        for community in communities {
            let after = after.clone();
            let walked = self.list_into(&mut page, &community, kind, state, after, sight);
            if walked.map_err(views_trouble)?.is_break() {
                break;
            }
        }
        Ok(page.answer(one_community))
    }

    fn kinds(&self) -> Vec<KindView> {
        let view = |kind: &linli_domain::pack::Kind| KindView {
            kind: kind.name.clone(),
            ledger: kind.ledger.clone().unwrap_or_default(),
            zh: kind.label.zh.clone(),
            en: kind.label.en.clone(),
            pack: kind.pack.clone(),
            fields: kind
                .fields
                .iter()
                .map(|field| (field.name.clone(), format!("{:?}", kind.class_of(&field.name))))
                .collect(),
            actions: kind.workflow.as_ref().map_or_else(Vec::new, |workflow| {
                workflow.actions.iter().map(|action| action.name.clone()).collect()
            }),
        };
        self.registry.kinds().map(view).collect()
    }

    fn status(&mut self) -> Status {
        let me = self.books.me();
        let role = match me.role() {
            Role::Node => "node",
            Role::StreetHub => "street-hub",
            Role::DistrictHub => "district-hub",
        };
        let (name, role) = (me.to_string(), role.to_owned());
        let links: Vec<LinkView> = self
            .standings()
            .into_iter()
            .map(|standing| LinkView {
                peer: standing.peer.to_string(),
                space: standing.space,
                agreed: standing.agreed,
                unsent: standing.unsent,
                resting: standing.resting,
            })
            .collect();
        let spaces = self
            .books
            .heads()
            .map(|(space, head)| SpaceView {
                space: space.clone(),
                changes: head.digest.count,
                digest: head.digest.to_string(),
            })
            .collect();
        let refused = self.books.refused_here().count() + self.books.refused_there().count();
        Status {
            name,
            role,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: self.books.epoch().to_string(),
            unsent: self.books.unsent(),
            spaces,
            links,
            refused: refused as u64,
            unlocked: self.books.ring().is_some(),
            code: self.own_code(),
            ring_code: self.own_ring_code(),
            list: self.list_view(),
            restored: !self.books.unmet().is_empty(),
            unclean: self.books.unclean() as u64,
            audit: self.audit_view(),
            free_bytes: self.short_of_room(),
            second_life: self.books.second_life().map(ToString::to_string),
            doubled: self.doubled(),
            ..Status::default()
        }
    }
}

/// The answer to what only another sort of machine does.
pub(super) fn not_here() -> Trouble {
    Trouble {
        code: "not-here".to_owned(),
        zh: "本机不提供这项操作。".to_owned(),
        en: "This machine does not do that.".to_owned(),
    }
}

pub(super) fn views_trouble(error: ViewsError) -> Trouble {
    Trouble {
        code: "views".to_owned(),
        zh: format!("本机的索引读不出来（{error}），请重新启动程序，它会自动重建。"),
        en: format!(
            "This machine's index cannot be read ({error}). Restart the program; it rebuilds it by itself."
        ),
    }
}
