//! Reading ledgers: pages, search, conflicts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use linli_domain::entry::Entry;
use linli_domain::id::{CommunityId, EntryId, Space};
use linli_domain::pack::{Class, IdRule, Kind};
use linli_domain::value::Value;
use linli_domain::workflow::{Progress, fold};
use linli_store::disk::Disk;
use linli_store::views::{Views, ViewsError};
use serde_json::Value as Json;

use super::Site;
use super::walk::{Halves, Page};
use crate::ask::{ConflictView, EntryView, StepView};
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

impl<D: Disk, V: Views> Site<D, V> {
    /// The entry's place in its workflow.
    pub(super) fn progress(&self, kind: &str, entry: &Entry) -> Progress {
        let workflow = self.registry.kind(kind).and_then(|kind| kind.workflow.as_ref());
        workflow.map_or_else(Progress::default, |workflow| fold(workflow, &entry.steps))
    }

    /// Adds the entries of a ledger that come after `after` to a page, those in a state if one is
    /// named.
    pub(super) fn list_into(
        &mut self,
        page: &mut Page<EntryView>,
        community: &CommunityId,
        kind: &str,
        state: Option<&str>,
        after: Option<EntryId>,
        sight: Sight,
    ) -> Result<ControlFlow<()>, ViewsError> {
        self.walk(community, kind, Halves::Both, after, |site, id| {
            let entry = site.entry(community, id);
            if state.is_some_and(|wanted| wanted != site.progress(kind, &entry).state) {
                return ControlFlow::Continue(());
            }
            page.add(site.view(community, id, &entry, sight))
        })
    }

    /// Entries whose searchable fields, states and ids contain every word, kind by kind.
    pub(super) fn find(
        &mut self,
        community: &CommunityId,
        text: &str,
        mut after: Option<EntryId>,
        max: usize,
    ) -> Result<Page<EntryView>, ViewsError> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let mut page = Page::new(max);
        if words.is_empty() {
            return Ok(page);
        }
        let registry = self.registry.clone();
        let from = after.as_ref().map(|after| after.kind().to_owned());
        let kinds =
            registry.kinds().skip_while(|kind| from.as_ref().is_some_and(|f| *f != kind.name));
        for kind in kinds {
            let walked =
                self.walk(community, &kind.name, Halves::Both, after.take(), |site, id| {
                    let entry = site.entry(community, id);
                    if !matches(kind, &entry, &words) {
                        return ControlFlow::Continue(());
                    }
                    page.add(site.view(community, id, &entry, Sight::Masked))
                })?;
            if walked.is_break() {
                break;
            }
        }
        Ok(page)
    }

    /// Adds to a page the fields with several live values, and the steps that are not legal where
    /// they landed.
    pub(super) fn conflicts_into(
        &mut self,
        page: &mut Page<ConflictView>,
        community: &CommunityId,
    ) -> Result<ControlFlow<()>, ViewsError> {
        while self.write_rows(SLICE_ENTRIES) {}
        for kind in self.books.kinds_in(&Space::Open(community.clone()))? {
            let walked = self.walk(community, &kind, Halves::Both, None, |site, id| {
                site.conflicts_of(community, id).into_iter().try_for_each(|one| page.add(one))
            })?;
            if walked.is_break() {
                return Ok(walked);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn conflicts_of(&mut self, community: &CommunityId, id: &EntryId) -> Vec<ConflictView> {
        let mut found = Vec::new();
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
        found
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
