//! The work that is measured: entries as a community writes them, always the same ones.
//!
//! An entry is an issue of the built-in packs with eight fields (a title of 20 and a body of 80
//! Chinese characters among them) and three steps; all of it lies in the open half, so that it
//! makes one change. Where growth is measured, each so many of them names a telephone as well, which
//! is sealed: a second change, under a key of its own. It refuses chance: the characters follow from
//! the entry's number.

use std::collections::BTreeMap;

use linli_domain::id::EntryId;
use linli_runtime::ask::{Ask, PAGE_MAX, RecordForm, StepForm};
use serde_json::Value as Json;

const KIND: &str = "issue";
const SOURCES: [&str; 5] = ["phone", "visit", "patrol", "group_leader", "hotline"];
const CATEGORIES: [&str; 6] = ["cleaning", "lighting", "water", "sewer", "leak", "parking"];
/// Entries change hands between so many desks of the office.
const HANDLERS: usize = 7;

/// The entry's id.
pub(crate) fn entry(number: usize) -> EntryId {
    EntryId::new(KIND, &format!("01J9ZK8Q4T{number:016}")).expect("26 digits and letters")
}

/// The entry as an import brings it.
pub(crate) fn record(number: usize) -> RecordForm {
    let day = format!("2026-{:02}-{:02}", number % 3 + 1, number % 28 + 1);
    let fields = [
        ("number", format!("YL-{number:06}")),
        ("title", characters(number, 20)),
        ("result", characters(number + 1_000_003, 80)),
        ("source", SOURCES[number % SOURCES.len()].to_owned()),
        ("category", CATEGORIES[number % CATEGORIES.len()].to_owned()),
        ("size", if number.is_multiple_of(4) { "big" } else { "small" }.to_owned()),
        ("place", format!("{}号楼{}单元", number % 36 + 1, number % 4 + 1)),
        ("handler", format!("网格{}", number % HANDLERS)),
    ];
    let step = |action: &str, note: Option<&str>| StepForm {
        action: action.to_owned(),
        at: Some(day.clone()),
        by: Some(format!("网格员{}", number % HANDLERS)),
        note: note.map(str::to_owned),
    };
    RecordForm {
        kind: KIND.to_owned(),
        id: Some(entry(number).as_str()[KIND.len() + 1..].to_owned()),
        fields: fields.map(|(name, text)| (name.to_owned(), Json::from(text))).into(),
        steps: vec![
            step("report", None),
            step("accept", None),
            step("dispatch", Some("请物业今日内到场处置并回复")),
        ],
    }
}

/// The same with a telephone in each `every`th; in none where that is 0.
fn record_with(number: usize, every: usize) -> RecordForm {
    let mut record = record(number);
    if every > 0 && number.is_multiple_of(every) {
        record.fields.insert("phone".to_owned(), Json::from(format!("100{number:08}")));
    }
    record
}

/// Imports of all entries from `from` to before `to`, a telephone in each `every`th.
pub(crate) fn imports(from: usize, to: usize, every: usize) -> impl Iterator<Item = Ask> {
    (from..to).step_by(PAGE_MAX).map(move |first| {
        let numbers = first..(first + PAGE_MAX).min(to);
        let records = numbers.map(|number| record_with(number, every)).collect();
        Ask::Import { records, dry_run: false }
    })
}

/// An edit of one field of an entry, as a desk makes all day.
pub(crate) fn edit(number: usize, text: &str) -> Ask {
    let fields = BTreeMap::from([(EDITED.to_owned(), Json::from(text))]);
    Ask::Edit { community: None, entry: entry(number), fields }
}

/// The field that [`edit`] writes.
pub(crate) const EDITED: &str = "handler";

/// A workflow step that changes what figures count.
pub(crate) fn step(number: usize, action: &str) -> Ask {
    let step = StepForm {
        action: action.to_owned(),
        at: Some("2026-03-20".to_owned()),
        by: None,
        note: None,
    };
    Ask::Step { community: None, entry: entry(number), step, fields: BTreeMap::new() }
}

/// Chinese characters of the common block that follow from `seed`.
fn characters(seed: usize, count: usize) -> String {
    const FIRST: u32 = 0x4e00;
    const COMMON: u64 = 3_500;
    let mut state = seed as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        char::from_u32(FIRST + ((state >> 33) % COMMON) as u32).expect("inside of the block")
    };
    (0..count).map(|_| next()).collect()
}
