//! From a document's keys to an entry's fields, sets and steps, and back.
//!
//! `field` holds a scalar, `field:item` holds true while the item is in the set, `#<step id>`
//! holds one step as JSON. Reading never fails; what cannot be read becomes an oddity.

use crate::change::{Action, Change, Op};
use crate::doc::Doc;
use crate::entry::{Entry, FieldConflict, Oddity, Step, StepId, StoredStep};
use crate::gate::Refusal;
use crate::id::EntryId;
use crate::value::Value;

/// What a step's key begins with.
pub const STEP_PREFIX: char = '#';
/// What stands between a set's name and an item.
pub const ENTRY_SET_SEPARATOR: char = ':';

/// The key of a step.
pub fn step_key(id: &StepId) -> String {
    format!("{STEP_PREFIX}{}", id.0)
}

/// A step as it is stored, without the note when `with_note` is false.
pub fn step_value(step: &Step, with_note: bool) -> Value {
    let stored = StoredStep {
        action: step.action.clone(),
        at: step.at.clone(),
        by: step.by.clone(),
        note: step.note.clone().filter(|_| with_note),
    };
    Value::Text(serde_json::to_string(&stored).expect("four texts always serialise"))
}

/// Joins an entry from its open half and, where this machine can read it, its sealed half.
pub fn entry_of(id: &EntryId, open: Option<&Doc>, sealed: Option<&Doc>) -> Entry {
    read(id, [open, sealed].into_iter().flatten(), |_| true)
}

/// As [`entry_of`] an open half, with the keys that are `wanted` and no others: for who asks about many
/// entries and little of each.
pub fn part_of(id: &EntryId, open: &Doc, wanted: impl Fn(&str) -> bool) -> Entry {
    read(id, std::iter::once(open), wanted)
}

fn read<'d>(
    id: &EntryId,
    halves: impl Iterator<Item = &'d Doc>,
    wanted: impl Fn(&str) -> bool,
) -> Entry {
    let mut entry = Entry { id: Some(id.clone()), ..Entry::default() };
    for doc in halves {
        for (key, puts) in doc.keys.iter().filter(|(key, _)| wanted(key)) {
            if let Some((_, value)) = puts.live.last() {
                add(&mut entry, key, value);
            }
            if puts.live.len() > 1 && !key.contains([STEP_PREFIX, ENTRY_SET_SEPARATOR]) {
                add_conflict(&mut entry, doc, key);
            }
        }
    }
    entry.steps.sort_by(|left, right| left.id.cmp(&right.id));
    entry
}

fn add(entry: &mut Entry, key: &str, value: &Value) {
    if let Some(id) = key.strip_prefix(STEP_PREFIX) {
        add_step(entry, id, key, value);
    } else if let Some((set, item)) = key.split_once(ENTRY_SET_SEPARATOR) {
        if value.is_true() {
            entry.sets.entry(set.to_owned()).or_default().insert(item.to_owned());
        }
    } else if entry.fields.insert(key.to_owned(), value.clone()).is_some() {
        entry.oddities.push(Oddity { key: key.to_owned(), what: "in both halves" });
    }
}

/// Values that were written beside the one that is read.
fn add_conflict(entry: &mut Entry, doc: &Doc, key: &str) {
    let mut sides = doc.sides(key);
    let Some((_, chosen)) = sides.pop() else { return };
    if sides.iter().all(|(_, other)| *other == chosen) {
        return;
    }
    let others = sides.into_iter().map(|(op, value)| (op.actor.to_string(), value.clone()));
    let (field, chosen) = (key.to_owned(), chosen.clone());
    entry.conflicts.push(FieldConflict { field, chosen, others: others.collect() });
}

fn add_step(entry: &mut Entry, id: &str, key: &str, value: &Value) {
    let odd = |what| Oddity { key: key.to_owned(), what };
    let stored = value.as_text().and_then(|text| serde_json::from_str::<StoredStep>(text).ok());
    let Some(stored) = stored else {
        entry.oddities.push(odd("a step that cannot be read"));
        return;
    };
    let id = StepId(id.to_owned());
    if id.hlc().is_none() {
        entry.oddities.push(odd("a step without a clock"));
    }
    // The two halves of one step share its id: the sealed one brings the note.
    if let Some(there) = entry.steps.iter_mut().find(|step| step.id == id) {
        there.note = there.note.take().or(stored.note);
        if there.action.is_empty() {
            (there.action, there.at, there.by) = (stored.action, stored.at, stored.by);
        }
        return;
    }
    let StoredStep { action, at, by, note } = stored;
    entry.steps.push(Step { id, action, at, by, note });
}

/// A step is written once, by its own actor, and never replaced or removed.
pub(super) fn check_step(change: &Change, op: &Op, exists: bool) -> Result<(), Refusal> {
    let tail = u32::from_be_bytes([
        change.actor.0[12],
        change.actor.0[13],
        change.actor.0[14],
        change.actor.0[15],
    ]);
    let own = op.key.ends_with(&format!("-{tail:08x}"));
    let text = matches!(&op.action, Action::Put(Value::Text(_)));
    if own && text && op.preds.is_empty() && !exists { Ok(()) } else { Err(Refusal::StepRewritten) }
}
