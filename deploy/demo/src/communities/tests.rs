//! The proof of the demo's data: every record is sound under its packs, and the figures that a hub
//! counts from the open halves alone are those of the reports.

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::entry::{Entry, Step, StepId};
use linli_domain::figure::{Coverage, Figure, Period, Query, Tally, contributions, measure};
use linli_domain::hlc::Hlc;
use linli_domain::id::{CommunityId, EntryId};
use linli_domain::pack::{Field, FieldType, IdRule, Kind, Registry};
use linli_domain::value::Value;
use serde_json::Value as Json;

use super::{CANARY, Community, LEAK, Record, communities};
use crate::reported::reported;

/// A community's entries, and the registry that reads them.
struct World {
    community: Community,
    registry: Registry,
    entries: Vec<Entry>,
}

fn worlds() -> Vec<World> {
    communities()
        .into_iter()
        .map(|community| {
            let registry = Registry::builtin().enabled(&community.packs);
            let entries = community.records.iter().map(|record| entry(&registry, record)).collect();
            World { community, registry, entries }
        })
        .collect()
}

/// The entry that an import makes of a record.
fn entry(registry: &Registry, record: &Record) -> Entry {
    let kind = registry.kind(&record.kind).unwrap_or_else(|| panic!("{record:?}: no such kind"));
    let mut entry = Entry::default();
    for (name, value) in &record.fields {
        if let Json::Array(items) = value {
            let items = items.iter().map(|item| item.as_str().unwrap().to_owned());
            entry.sets.insert(name.clone(), items.collect());
        } else {
            entry.fields.insert(name.clone(), scalar(value));
        }
    }
    let keyed = |kind: &str, parts: &[&str]| format!("k{:x}", hash(&[&[kind], parts].concat()));
    let id = match &kind.id {
        IdRule::Ulid => record.id.clone(),
        rule => rule.derive(&entry.fields, keyed),
    };
    let id = id.unwrap_or_else(|| panic!("{record:?}: no id"));
    entry.id = Some(EntryId::new(&record.kind, &id).unwrap());
    entry.steps = record
        .steps
        .iter()
        .enumerate()
        .map(|(nth, step)| Step {
            id: StepId::new(Hlc::at_millis(nth as u64 + 1), [0; 4]),
            action: step.action.clone(),
            at: step.at.clone(),
            by: step.by.clone(),
            note: step.note.clone(),
        })
        .collect();
    entry
}

fn scalar(value: &Json) -> Value {
    match value {
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::Bool(flag) => Value::Bool(*flag),
        _ => panic!("{value} is no scalar of a field"),
    }
}

fn hash(parts: &[&str]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// What a hub sees of an entry: the open half.
fn open_half(registry: &Registry, entry: &Entry) -> Entry {
    let open = |key: &str| !registry.class_of(entry.kind(), key).is_sealed();
    let mut half = entry.clone();
    half.fields.retain(|key, _| open(key));
    half.sets.retain(|key, _| open(key));
    let kind = registry.kind(entry.kind()).unwrap();
    for step in &mut half.steps {
        if kind.step_note_class(&step.action).is_sealed() {
            step.note = None;
        }
    }
    if kind.sealed { Entry { id: half.id, ..Entry::default() } } else { half }
}

fn tally<'e>(
    world: &World,
    registry: &Registry,
    entries: impl Iterator<Item = &'e Entry>,
) -> Tally {
    let community = CommunityId::parse(world.community.slug).unwrap();
    let mut tally = Tally::default();
    for entry in entries {
        let progress = registry.progress(entry);
        let now = contributions(registry, &community, entry, &progress);
        tally.replace(&Default::default(), &now);
    }
    tally
}

fn figure(registry: &Registry, tally: &Tally, metric: &str, period: &str) -> Figure {
    let coverage = Coverage { as_of: "2026-11-22T08:00".into(), ..Coverage::default() };
    let query = Query::new(Period::parse(period).unwrap(), coverage).metric(metric);
    measure(registry, tally, &query).unwrap_or_else(|error| panic!("{error}")).remove(0)
}

#[test]
fn the_open_halves_amount_to_what_the_reports_state() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for world in worlds() {
        let hub = world.registry.open_metrics();
        let halves: Vec<Entry> =
            world.entries.iter().map(|entry| open_half(&world.registry, entry)).collect();
        let tally = tally(&world, &hub, halves.iter());
        for row in reported().iter().filter(|row| row.community == world.community.slug) {
            let figure = figure(&hub, &tally, row.metric, row.period);
            compared += 1;
            if !row.agrees(figure.numerator, figure.denominator, figure.qualifier)
                || figure.unit != row.unit
            {
                wrong.push(format!("{row:?}\n  counted {figure:?}"));
            }
            assert_eq!(row.source, world.community.source);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(compared, reported().len(), "a row names a community that does not exist");
}

#[test]
fn a_row_that_is_off_by_one_or_put_otherwise_does_not_agree() {
    let rows = reported();
    let row = |metric: &str, community: &str| {
        *rows.iter().find(|row| row.metric == metric && row.community == community).unwrap()
    };
    let groups = row("M20", "liulian");
    assert!(groups.agrees(188, None, ""));
    assert!(!groups.agrees(187, None, "") && !groups.agrees(188, None, "≥"));
    let fees = row("M30a", "estates");
    assert!(fees.agrees(90, Some(100), "") && fees.agrees(45, Some(50), ""));
    assert!(!fees.agrees(89, Some(100), "") && !fees.agrees(0, Some(0), ""));
    let solved = row("M03a", "jinshanyuan");
    assert!(solved.agrees(55, Some(60), "") && !solved.agrees(11, Some(12), ""));
}

#[test]
fn every_record_is_sound_under_its_packs() {
    for world in worlds() {
        let ids: BTreeSet<&EntryId> = world.entries.iter().filter_map(|e| e.id.as_ref()).collect();
        assert_eq!(ids.len(), world.entries.len(), "{}: an id twice", world.community.slug);
        for (record, entry) in world.community.records.iter().zip(&world.entries) {
            let kind = world.registry.kind(&record.kind).unwrap();
            assert_eq!(record.id.is_some(), kind.id == IdRule::Ulid, "{record:?}");
            for (name, value) in &record.fields {
                let field = kind.field(name).unwrap_or_else(|| panic!("{record:?}: {name}?"));
                assert!(fits(field, value), "{record:?}: {name}");
                assert!(points_somewhere(&world, &ids, field, value), "{record:?}: {name}");
            }
            for field in kind.fields.iter().filter(|field| field.required) {
                assert!(record.fields.contains_key(&field.name), "{record:?}: no {}", field.name);
            }
            let progress = world.registry.progress(entry);
            assert!(progress.conflicts.is_empty(), "{record:?}: {:?}", progress.conflicts);
            let dates = record.steps.windows(2).all(|pair| pair[0].at[..10] <= pair[1].at[..10]);
            assert!(dates, "{record:?}: steps go back in time");
            assert!(record.steps.iter().all(|step| is_day(&step.at)), "{record:?}");
        }
    }
}

fn fits(field: &Field, value: &Json) -> bool {
    match field.field_type {
        FieldType::Int | FieldType::Money => value.is_i64(),
        FieldType::Bool => value.is_boolean(),
        FieldType::Set => value.is_array(),
        FieldType::Date => value.as_str().is_some_and(is_day),
        FieldType::Choice => {
            value.as_str().is_some_and(|text| field.choices.iter().any(|one| one.value == text))
        }
        FieldType::Text | FieldType::Datetime | FieldType::Entry => {
            value.as_str().is_some_and(|text| !text.is_empty())
        }
    }
}

fn is_day(text: &str) -> bool {
    text.get(..10).is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok())
}

fn points_somewhere(world: &World, ids: &BTreeSet<&EntryId>, field: &Field, value: &Json) -> bool {
    let (Some(of), Some(id)) = (&field.of, value.as_str()) else { return true };
    let known: Option<&Kind> = world.registry.kind(of);
    known.is_some() && EntryId::new(of, id).is_ok_and(|id| ids.contains(&id))
}

#[test]
fn open_halves_name_nobody() {
    for world in worlds() {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for entry in &world.entries {
            for (key, value) in &entry.fields {
                let person =
                    ["name", "leader", "receiver", "payer", "member", "reporter", "worker"];
                if world.registry.class_of(entry.kind(), key).is_sealed()
                    && person.contains(&key.as_str())
                {
                    names.insert(value.to_string());
                }
            }
        }
        assert!(names.len() > 10, "{}", world.community.slug);
        assert!(names.contains(CANARY.name), "{}: no canary", world.community.slug);
        for entry in &world.entries {
            let half = open_half(&world.registry, entry);
            let sets = half.sets.values().flatten().cloned();
            let notes = half.steps.iter().filter_map(|step| step.note.clone());
            let posts = half.steps.iter().map(|step| step.by.clone());
            for text in
                half.fields.values().map(ToString::to_string).chain(sets).chain(notes).chain(posts)
            {
                let letters: Vec<char> = text.chars().collect();
                let named = letters
                    .windows(3)
                    .chain(letters.windows(5))
                    .any(|part| names.contains(&part.iter().collect::<String>()));
                assert!(!named, "{:?} names a person: {text}", half.id);
                assert!(longest_number(&text) < 11, "{:?} holds a phone number: {text}", half.id);
                assert!(CANARY.texts().iter().all(|canary| !text.contains(canary)));
            }
        }
    }
}

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

#[test]
fn what_a_desk_publishes_is_what_it_measures_over_sealed_ledgers() {
    let mut seen = BTreeMap::new();
    for world in worlds() {
        let all = tally(&world, &world.registry, world.entries.iter());
        let pairs = [("M46c", "M46c-desk"), ("M47", "M47-desk"), ("M48", "M48-desk")];
        for (published, measured) in pairs {
            let is_published = world
                .entries
                .iter()
                .any(|entry| entry.kind() == "published" && entry.text("metric") == published);
            if is_published {
                let out = figure(&world.registry, &all, published, "all");
                let own = figure(&world.registry, &all, measured, "all");
                assert_eq!((out.numerator, out.denominator), (own.numerator, own.denominator));
                assert!(world.registry.open_metrics().metric(measured).is_none());
                seen.insert(published, out.numerator);
            }
        }
    }
    assert_eq!(seen, BTreeMap::from([("M46c", 6), ("M47", 13), ("M48", 39)]));
}

#[test]
fn groups_have_twelve_slots_and_the_leak_is_one_of_them() {
    let world = worlds().remove(0);
    let mut slots: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    let households = world.entries.iter().filter(|entry| entry.kind() == "household");
    let mut leaks = 0;
    for home in households {
        let slot = home.fields["slot"].as_int().unwrap();
        assert!(slots.entry(home.text("group")).or_default().insert(slot), "a slot held twice");
        if home.text("address") == LEAK.address {
            leaks += 1;
            let found = (home.text("building"), home.text("entrance"), home.text("room"));
            assert_eq!(found, (LEAK.building, LEAK.entrance, LEAK.room));
            assert_eq!((home.text("group"), slot), (LEAK.group, LEAK.slot));
            assert_eq!(
                world.registry.progress(home).state,
                "collected",
                "a refusal was taken back"
            );
            assert_eq!(home.steps[0].action, "decline");
        }
    }
    assert_eq!(leaks, 1);
    assert_eq!(slots.len(), 188);
    assert!(slots.values().all(|held| held.len() == 12));
    let states: BTreeSet<String> = world
        .entries
        .iter()
        .filter(|entry| entry.kind() == "household")
        .map(|entry| world.registry.progress(entry).state)
        .collect();
    for state in ["collected", "verified", "declined", "vacant"] {
        assert!(states.contains(state), "{state}");
    }
}

#[test]
fn records_are_the_same_each_time_and_survive_their_written_form() {
    let (once, again) = (communities(), communities());
    assert_eq!(once, again);
    for record in once.iter().flat_map(|community| &community.records) {
        let line = serde_json::to_string(record).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(&serde_json::from_str::<Record>(&line).unwrap(), record);
    }
}
