//! Edits: from forms to staged changes in both halves of an entry.

use std::collections::BTreeMap;

use linli_domain::change::Change;
use linli_domain::doc::entry_of;
use linli_domain::entry::{Entry, Step, StepId};
use linli_domain::figure::closing;
use linli_domain::hlc::Hlc;
use linli_domain::id::{CommunityId, EntryId, Role, Space};
use linli_domain::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX, KEY_BYTES_MAX, TEXT_BYTES_MAX};
use linli_domain::pack::{IdRule, Kind};
use linli_domain::seal::{ERASURE_KIND, keyed_id, seal};
use linli_domain::value::Value;
use linli_store::disk::Disk;
use linli_store::views::Views;
use serde_json::Value as Json;

use super::Site;
use crate::ask::{RecordForm, StepForm};
use crate::edit::{
    Content, Draft, EditError, Puts, check_required, draft_fields, draft_steps, read_fields,
};
use crate::limits::CHANGE_TIME_AHEAD_MILLIS_MAX;

/// What an edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) entry: EntryId,
    pub(super) changes: usize,
    pub(super) is_new: bool,
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Adds an entry, or edits the one its id names.
    pub(super) fn add(&mut self, record: &RecordForm, dry_run: bool) -> Result<Written, EditError> {
        let registry = self.registry.clone();
        let kind = registry
            .kind(&record.kind)
            .ok_or_else(|| EditError::unknown_kind(&registry, &record.kind))?;
        let fields = read_fields(kind, &record.fields)?;
        let community = self.own_community()?;
        let entry_id = self.id_for(kind, &community, record.id.as_deref(), &fields)?;
        let steps = self.steps(&record.steps)?;
        let entry = self.entry(&community, &entry_id);
        check_required(kind, &entry, &fields)?;
        self.write_by_hand(&community, kind, &entry_id, &entry, &fields, steps, dry_run)
    }

    /// Changes fields of an entry and takes steps on it.
    pub(super) fn change(
        &mut self,
        community: Option<&CommunityId>,
        entry_id: &EntryId,
        fields: &BTreeMap<String, Json>,
        steps: &[StepForm],
    ) -> Result<Written, EditError> {
        let registry = self.registry.clone();
        let kind = registry
            .kind(entry_id.kind())
            .ok_or_else(|| EditError::unknown_kind(&registry, entry_id.kind()))?;
        let community = self.community(community)?;
        let entry = self.entry(&community, entry_id);
        if entry.fields.is_empty() && entry.sets.is_empty() && entry.steps.is_empty() {
            return Err(EditError::NoSuchEntry { entry: entry_id.to_string() });
        }
        let fields = read_fields(kind, fields)?;
        let steps = self.steps(steps)?;
        self.write_by_hand(&community, kind, entry_id, &entry, &fields, steps, false)
    }

    /// An entry as this machine can read it.
    pub(super) fn entry(&mut self, community: &CommunityId, entry: &EntryId) -> Entry {
        let (open, sealed) = self.books.halves(community, entry);
        entry_of(entry, Some(&open.doc), Some(&sealed.doc))
    }

    /// The community meant: the named one if it is held here, or a node's own.
    pub(super) fn community(&self, named: Option<&CommunityId>) -> Result<CommunityId, EditError> {
        let community = match named {
            Some(named) => self.hosted.get(named).cloned(),
            None => self.books.me().community.clone(),
        };
        community.ok_or(EditError::WrongCommunity)
    }

    fn own_community(&self) -> Result<CommunityId, EditError> {
        self.community(None)
    }

    /// Writes what a person gave. A closing or an erasure is not written so, but an export that holds
    /// it can be imported where it is.
    #[expect(clippy::too_many_arguments, reason = "one edit, whole")]
    fn write_by_hand(
        &mut self,
        community: &CommunityId,
        kind: &Kind,
        entry_id: &EntryId,
        entry: &Entry,
        fields: &BTreeMap<String, Content>,
        steps: Vec<Step>,
        dry_run: bool,
    ) -> Result<Written, EditError> {
        let only = match kind.name.as_str() {
            closing::KIND => Some(EditError::ByClosingOnly),
            ERASURE_KIND => Some(EditError::ByErasingOnly),
            _ => None,
        };
        let dry_run = dry_run || only.is_some();
        let written = self.write(community, kind, entry_id, entry, fields, steps, dry_run)?;
        match only {
            Some(error) if written.changes > 0 => Err(error),
            _ => Ok(written),
        }
    }

    /// Writes fields and steps into both halves.
    #[expect(clippy::too_many_arguments, reason = "one edit, whole")]
    pub(super) fn write(
        &mut self,
        community: &CommunityId,
        kind: &Kind,
        entry_id: &EntryId,
        entry: &Entry,
        fields: &BTreeMap<String, Content>,
        steps: Vec<Step>,
        dry_run: bool,
    ) -> Result<Written, EditError> {
        let is_new = entry.fields.is_empty() && entry.sets.is_empty() && entry.steps.is_empty();
        let mut draft = draft_fields(kind, entry, fields);
        let tail: [u8; 4] = self.actor.0[12..].try_into().expect("an actor has sixteen bytes");
        let books = &mut self.books;
        // Behind every step of the entry, also one from a machine years ahead, whose clock is not
        // followed otherwise: an answer never stands before its question.
        let mut last =
            entry.steps.iter().filter_map(|step| step.id.hlc()).max().unwrap_or_default();
        let next_id = || {
            last = books.tick_clock().max(Hlc(last.0.saturating_add(1)));
            StepId::new(last, tail)
        };
        draft_steps(kind, entry, steps, next_id, &mut draft)?;
        if !draft.sealed.is_empty() && self.books.ring().is_none() {
            // A hub has no key by design; what it writes must be open.
            return Err(EditError::Locked);
        }
        let sealed_space = Space::Sealed(community.clone());
        if !draft.sealed.is_empty() && self.books.is_erased(&sealed_space, entry_id) {
            return Err(EditError::Erased);
        }
        let Draft { open, sealed } = draft;
        let mut changes = 0;
        let (in_open, in_sealed) = (Space::Open(community.clone()), sealed_space);
        if !within_bounds(&sealed) {
            return Err(EditError::TooLarge);
        }
        changes += self.write_in(&in_open, entry_id, open, dry_run)?;
        changes += self.write_in(&in_sealed, entry_id, sealed, dry_run)?;
        Ok(Written { entry: entry_id.clone(), changes, is_new })
    }

    /// Writes into one half, in as few changes as the bounds of a change allow; gives how many.
    /// Nothing is written if any of it would be refused by a gate.
    pub(super) fn write_in(
        &mut self,
        space: &Space,
        entry: &EntryId,
        puts: Puts,
        dry_run: bool,
    ) -> Result<usize, EditError> {
        if !within_bounds(&puts) {
            return Err(EditError::TooLarge);
        }
        let actor = self.actor;
        let mut written = 0;
        for part in puts.chunks(CHANGE_OPS_MAX) {
            let now = self.change_time();
            let doc = &self.books.half(space, entry).doc;
            let Some(change) = doc.edit(actor, now, part.to_vec()) else { continue };
            if doc.check(&change).is_err() {
                return Err(EditError::TooLarge);
            }
            written += 1;
            if !dry_run {
                self.stage(space, entry, &change)?;
            }
        }
        Ok(written)
    }

    /// A time for a change, never the same twice in a row: a change does not name its entry, so two
    /// alike in two entries would share one hash, and peers could not compare them.
    fn change_time(&mut self) -> i64 {
        let now = self.books.now_millis();
        let ahead = self.wrote_at.saturating_sub(now);
        // A clock that was set back is believed again.
        let goes_on = now <= self.wrote_at && ahead <= CHANGE_TIME_AHEAD_MILLIS_MAX;
        self.wrote_at = if goes_on { self.wrote_at + 1 } else { now };
        self.wrote_at as i64
    }

    fn stage(&mut self, space: &Space, entry: &EntryId, change: &Change) -> Result<(), EditError> {
        let staged = if space.is_sealed() {
            let drawn = self.books.sealing_key(space, entry, &mut self.entropy);
            let (key, epoch) = drawn.ok_or(EditError::Locked)?;
            let mut nonce = [0; 24];
            (self.entropy)(&mut nonce);
            let sender = self.actor.author();
            let envelope = seal(&key, epoch, space, entry, sender, nonce, &change.bytes);
            self.books.stage_own_sealed(space, entry, change, envelope)
        } else {
            self.books.stage_own(space, entry, change)
        };
        staged.map_err(|_| EditError::TooLarge)
    }

    fn id_for(
        &mut self,
        kind: &Kind,
        community: &CommunityId,
        given: Option<&str>,
        fields: &BTreeMap<String, Content>,
    ) -> Result<EntryId, EditError> {
        let bad = |id: &str| EditError::BadId { id: id.to_owned() };
        if let Some(id) = given {
            return EntryId::new(&kind.name, id).map_err(|_| bad(id));
        }
        let id = match &kind.id {
            IdRule::Ulid => self.ulid(),
            rule @ (IdRule::From(_) | IdRule::Keyed(_)) => {
                let ring = self.books.ring();
                if matches!(rule, IdRule::Keyed(_)) && ring.is_none() {
                    return Err(EditError::Locked);
                }
                let scalars: BTreeMap<String, Value> = fields
                    .iter()
                    .filter_map(|(name, content)| match content {
                        Content::Scalar(Some(value)) => Some((name.clone(), value.clone())),
                        Content::Scalar(None) | Content::Set(_) => None,
                    })
                    .collect();
                let keyed = |kind: &str, parts: &[&str]| {
                    let secret = ring.as_ref().expect("checked above").id_secret();
                    keyed_id(secret, community, kind, parts)
                };
                rule.derive(&scalars, keyed).ok_or_else(|| bad(&kind.name))?
            }
        };
        EntryId::new(&kind.name, &id).map_err(|_| bad(&id))
    }

    fn ulid(&mut self) -> String {
        let mut random = [0; 16];
        (self.entropy)(&mut random);
        ulid::Ulid::from_parts(self.books.now_millis(), u128::from_be_bytes(random)).to_string()
    }

    pub(super) fn steps(&self, forms: &[StepForm]) -> Result<Vec<Step>, EditError> {
        let me = self.books.me();
        let by = match me.role() {
            Role::Node => me.machine.to_string(),
            Role::StreetHub | Role::DistrictHub => me.to_string(),
        };
        forms
            .iter()
            .map(|form| {
                let at = form.at.clone().unwrap_or_else(|| self.today());
                if !crate::edit::is_business_date(&at) {
                    return Err(EditError::BadDate);
                }
                Ok(Step {
                    id: StepId(String::new()),
                    action: form.action.clone(),
                    at,
                    by: form.by.clone().unwrap_or_else(|| by.clone()),
                    note: form.note.clone(),
                })
            })
            .collect()
    }

    /// Today's date where this machine stands.
    pub(super) fn today(&self) -> String {
        self.local(self.books.now_millis())[..10].to_owned()
    }

    /// A wall time as `YYYY-MM-DDTHH:MM` where this machine stands.
    pub(super) fn local(&self, millis: u64) -> String {
        self.local_second(millis)[..16].to_owned()
    }

    /// A wall time as `YYYY-MM-DDTHH:MM:SS` where this machine stands.
    pub(super) fn local_second(&self, millis: u64) -> String {
        let offset = i64::from(self.utc_offset_minutes) * 60;
        let seconds = (millis / 1_000) as i64 + offset;
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    }
}

/// Whether every part of an edit keeps to the bounds of a change, as the gates of others will ask.
fn within_bounds(puts: &Puts) -> bool {
    const AROUND_AN_OP: usize = 32;
    let size = |(key, value): &(String, Option<Value>)| match value {
        Some(Value::Text(text)) => key.len() + text.len(),
        Some(Value::Bytes(bytes)) => key.len() + bytes.len(),
        _ => key.len(),
    };
    let fits = |put: &(String, Option<Value>)| {
        put.0.len() <= KEY_BYTES_MAX && size(put) - put.0.len() <= TEXT_BYTES_MAX
    };
    let whole = |part: &[(String, Option<Value>)]| {
        part.iter().map(|put| size(put) + AROUND_AN_OP).sum::<usize>() <= CHANGE_BYTES_MAX / 2
    };
    puts.iter().all(fits) && puts.chunks(CHANGE_OPS_MAX).all(whole)
}
