//! Reading ledgers: pages, search, conflicts.

use std::collections::BTreeMap;

use linli_domain::entry::Entry;
use linli_domain::id::{CommunityId, EntryId, Space};
use linli_domain::pack::{Class, IdRule, Kind};
use linli_domain::value::Value;
use linli_domain::workflow::{Progress, fold};
use linli_store::disk::Disk;
use linli_store::views::{Views, ViewsError};
use serde_json::Value as Json;

use super::Site;
use crate::ask::{ConflictView, EntryView, PAGE_MAX, StepView};
use crate::limits::SLICE_ENTRIES;

/// What stands in place of a personal field that was not asked for with a reason.
const MASK: &str = "•••";

/// Letters of a drawn or keyed id by which it is found: fewer are too often in a name or number.
const ID_LETTERS_MIN: usize = 6;

/// How much of an entry a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Personal fields masked.
    Masked,
    /// Everything this machine can read.
    Whole,
}

/// Entries to show, and whether others were left out.
struct Page {
    entries: Vec<EntryView>,
    max: usize,
    /// One more was wanted than there is room for.
    over: bool,
}

impl Page {
    fn new(max: usize) -> Self {
        Self { entries: Vec::new(), max: max.clamp(1, PAGE_MAX), over: false }
    }

    fn add(&mut self, view: impl FnOnce() -> EntryView) {
        if self.entries.len() < self.max {
            self.entries.push(view());
        } else {
            self.over = true;
        }
    }

    /// The entries, and the last of them where there are more.
    fn end(self) -> (Vec<EntryView>, Option<EntryId>) {
        let last = self.entries.last().filter(|_| self.over).map(|view| view.entry.clone());
        (self.entries, last)
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// The entry's place in its workflow.
    pub(super) fn progress(&self, kind: &str, entry: &Entry) -> Progress {
        let workflow = self.registry.kind(kind).and_then(|kind| kind.workflow.as_ref());
        workflow.map_or_else(Progress::default, |workflow| fold(workflow, &entry.steps))
    }

    /// Ids of entries of a kind, both halves together, ascending, after `after`.
    pub(super) fn ids(
        &mut self,
        community: &CommunityId,
        kind: &str,
        after: Option<&EntryId>,
        max: usize,
    ) -> Result<Vec<EntryId>, ViewsError> {
        while self.write_rows(SLICE_ENTRIES) {}
        let open = Space::Open(community.clone());
        let sealed = Space::Sealed(community.clone());
        let mut ids = self.books.entry_ids(&open, kind, after, max)?;
        let whole = self.registry.kind(kind).is_none_or(|kind| kind.sealed);
        if whole {
            ids.extend(self.books.entry_ids(&sealed, kind, after, max)?);
            ids.sort_unstable();
            ids.dedup();
            ids.truncate(max);
        }
        Ok(ids)
    }

    /// A page of a ledger, and after which entry the next begins where there is more.
    pub(super) fn page(
        &mut self,
        community: &CommunityId,
        kind: &str,
        state: Option<&str>,
        after: Option<EntryId>,
        max: usize,
        sight: Sight,
    ) -> Result<(Vec<EntryView>, Option<EntryId>), ViewsError> {
        let mut page = Page::new(max);
        self.pick(community, kind, after, sight, &mut page, |site, entry| {
            state.is_none_or(|wanted| wanted == site.progress(kind, entry).state)
        })?;
        Ok(page.end())
    }

    /// Entries whose searchable fields, states and ids contain every word, kind by kind, and after
    /// which entry the next begin where there are more.
    pub(super) fn find(
        &mut self,
        community: &CommunityId,
        text: &str,
        mut after: Option<EntryId>,
        max: usize,
    ) -> Result<(Vec<EntryView>, Option<EntryId>), ViewsError> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let mut page = Page::new(max);
        if words.is_empty() {
            return Ok(page.end());
        }
        let registry = self.registry.clone();
        let from = after.as_ref().map_or_else(String::new, |after| after.kind().to_owned());
        let kinds = registry.kinds().skip_while(|kind| !from.is_empty() && kind.name != from);
        for kind in kinds {
            let after = after.take();
            self.pick(community, &kind.name, after, Sight::Masked, &mut page, |_, entry| {
                matches(kind, entry, &words)
            })?;
        }
        Ok(page.end())
    }

    /// Adds to the page what is wanted of a kind, in id order, until the page is over.
    fn pick(
        &mut self,
        community: &CommunityId,
        kind: &str,
        mut after: Option<EntryId>,
        sight: Sight,
        page: &mut Page,
        wanted: impl Fn(&Self, &Entry) -> bool,
    ) -> Result<(), ViewsError> {
        while !page.over {
            let ids = self.ids(community, kind, after.as_ref(), PAGE_MAX)?;
            for id in &ids {
                let entry = self.entry(community, id);
                if wanted(self, &entry) {
                    page.add(|| self.view(community, id, &entry, sight));
                    if page.over {
                        return Ok(());
                    }
                }
            }
            if ids.len() < PAGE_MAX {
                return Ok(());
            }
            after = ids.last().cloned();
        }
        Ok(())
    }

    /// Fields with several live values and steps that are not legal where they landed.
    pub(super) fn conflicts(
        &mut self,
        community: &CommunityId,
        max: usize,
    ) -> Result<Vec<ConflictView>, ViewsError> {
        while self.write_rows(SLICE_ENTRIES) {}
        let mut found = Vec::new();
        for kind in self.books.kinds_in(&Space::Open(community.clone()))? {
            let mut after = None;
            loop {
                let ids = self.ids(community, &kind, after.as_ref(), PAGE_MAX)?;
                for id in &ids {
                    self.conflicts_of(community, id, &mut found);
                    if found.len() >= max.clamp(1, PAGE_MAX) {
                        found.truncate(max);
                        return Ok(found);
                    }
                }
                after = ids.last().cloned();
                if ids.len() < PAGE_MAX {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn conflicts_of(
        &mut self,
        community: &CommunityId,
        id: &EntryId,
        found: &mut Vec<ConflictView>,
    ) {
        let entry = self.entry(community, id);
        let space = Space::Open(community.clone());
        for conflict in &entry.conflicts {
            let personal = self.class(id.kind(), &conflict.field) >= Class::C2;
            let show = |value: &Value| if personal { MASK.to_owned() } else { value.to_string() };
            let name = |actor: &str| {
                let author = actor.get(..16).and_then(|hex| {
                    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
                    linli_domain::id::AuthorId::from_slice(&bytes)
                });
                let known = author.and_then(|author| self.books.author_name(&space, author));
                known.unwrap_or(actor).to_owned()
            };
            let others =
                conflict.others.iter().map(|(actor, value)| (name(actor), show(value))).collect();
            found.push(ConflictView {
                entry: id.clone(),
                field: conflict.field.clone(),
                chosen: show(&conflict.chosen),
                others,
            });
        }
        let progress = self.progress(id.kind(), &entry);
        for conflict in &progress.conflicts {
            let by = entry.steps.iter().find(|step| step.id == conflict.step);
            found.push(ConflictView {
                entry: id.clone(),
                field: format!("#{}", conflict.step.0),
                chosen: conflict.state.clone(),
                others: vec![(
                    by.map_or_else(String::new, |s| s.by.clone()),
                    conflict.action.clone(),
                )],
            });
        }
    }

    fn class(&self, kind: &str, field: &str) -> Class {
        self.registry.kind(kind).map_or(Class::C2, |kind| kind.class_of(field))
    }

    /// An entry as it is shown.
    pub(super) fn view(
        &self,
        community: &CommunityId,
        id: &EntryId,
        entry: &Entry,
        sight: Sight,
    ) -> EntryView {
        let kind = self.registry.kind(id.kind());
        let progress = self.progress(id.kind(), entry);
        let masked =
            |field: &str| sight == Sight::Masked && self.class(id.kind(), field) >= Class::C2;
        let mut fields: BTreeMap<String, Json> = BTreeMap::new();
        for (name, value) in &entry.fields {
            let shown = if masked(name) { Json::from(MASK) } else { to_json(value) };
            fields.insert(name.clone(), shown);
        }
        for (name, items) in &entry.sets {
            let shown = if masked(name) {
                Json::from(MASK)
            } else {
                items.iter().cloned().map(Json::from).collect()
            };
            fields.insert(name.clone(), shown);
        }
        let steps = entry
            .steps
            .iter()
            .map(|step| StepView {
                id: step.id.0.clone(),
                action: step.action.clone(),
                at: step.at.clone(),
                by: step.by.clone(),
                note: step.note.as_ref().map(|note| {
                    let sealed = kind.is_none_or(|k| k.step_note_class(&step.action).is_sealed());
                    if sealed && sight == Sight::Masked { MASK.to_owned() } else { note.clone() }
                }),
                conflict: progress.conflicts.iter().any(|conflict| conflict.step == step.id),
            })
            .collect();
        let workflow = kind.and_then(|kind| kind.workflow.as_ref());
        let next = workflow.map_or_else(Vec::new, |workflow| {
            workflow.allowed(&progress.state).iter().map(|action| action.name.clone()).collect()
        });
        EntryView {
            entry: id.clone(),
            community: Some(community.clone()),
            state: progress.state,
            fields,
            steps,
            next,
            oddities: entry
                .oddities
                .iter()
                .map(|odd| format!("{}: {}", odd.key, odd.what))
                .collect(),
            erased: self.books.is_erased(&Space::Sealed(community.clone()), id),
            digest: String::new(),
        }
    }
}

fn matches(kind: &Kind, entry: &Entry, words: &[String]) -> bool {
    let mut hay = String::new();
    for field in kind.fields.iter().filter(|field| field.search) {
        if let Some(value) = entry.fields.get(&field.name) {
            hay.push_str(&value.to_string().to_lowercase());
            hay.push('\n');
        }
        for item in entry.sets.get(&field.name).into_iter().flatten() {
            hay.push_str(&item.to_lowercase());
            hay.push('\n');
        }
    }
    let id = entry.id.as_ref().map(|id| id.as_str().to_lowercase()).unwrap_or_default();
    words.iter().all(|word| hay.contains(word.as_str()) || names_id(kind, &id, word))
}

/// Whether a word names an id. One made of fields is read like them; of a drawn or keyed one, whose
/// letters say nothing, its beginning must be given.
fn names_id(kind: &Kind, id: &str, word: &str) -> bool {
    if matches!(kind.id, IdRule::From(_)) {
        return id.contains(word);
    }
    let bare = id.split_once('/').map_or(id, |(_, bare)| bare);
    id.starts_with(word) && word.contains('/')
        || word.len() >= ID_LETTERS_MIN && bare.starts_with(word)
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::from(*flag),
        Value::Int(number) | Value::Timestamp(number) => Json::from(*number),
        Value::Uint(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bytes(_) => Json::from(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use linli_domain::pack::Registry;

    use super::*;

    #[test]
    fn letters_of_an_id_that_says_nothing_are_not_found_by_chance() {
        let registry = Registry::builtin();
        let household = registry.kind("household").unwrap();
        let found = |words: &str| {
            let id = EntryId::parse("household/b54xl5oih3lh5n2ov6ymwhrx7z").unwrap();
            let entry = Entry { id: Some(id), ..Entry::default() };
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            matches(household, &entry, &words)
        };
        assert!(!found("b5") && !found("oih3lh5n") && !found("household"));
        assert!(found("b54xl5") && found("household/b54x"));
        let grid = registry.kind("grid").unwrap();
        let id = EntryId::parse("grid/cao-xi-b5").unwrap();
        let entry = Entry { id: Some(id), ..Entry::default() };
        assert!(matches(grid, &entry, &["b5".to_owned()]), "an id made of fields");
    }
}
