//! The book of one community while its ledgers are written: new ids, and what all communities keep.
//!
//! Ids of one-off entries carry their day and a running number, so that they are the same each
//! time. It refuses dates that do not exist.

use jiff::civil::Date;
use serde_json::Value;
use ulid::Ulid;

use super::people::{Person, person};
use super::record::Record;

/// The records of one community in the making.
pub(super) struct Book {
    slug: &'static str,
    /// Where this community's invented people begin.
    people: u32,
    records: Vec<Record>,
}

impl Book {
    /// An empty book; `people` keeps the persons of communities apart.
    pub(super) fn new(slug: &'static str, people: u32) -> Self {
        Self { slug, people, records: Vec::new() }
    }

    pub(super) fn add(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(super) fn finish(self) -> Vec<Record> {
        self.records
    }

    /// The `n`th invented person of this community.
    pub(super) fn person(&self, n: u32) -> Person {
        person(self.people + n)
    }

    /// An entry of a kind whose ids are drawn, made on a day.
    pub(super) fn once(&self, kind: &str, day: &str) -> Record {
        let mut record = Record::new(kind);
        record.id = Some(self.draw(kind, day));
        record
    }

    /// A ULID of that day, its random part made of community, kind and place in the book.
    fn draw(&self, kind: &str, day: &str) -> String {
        let date: Date = day[..10].parse().expect("days are written as YYYY-MM-DD");
        let epoch = Date::constant(1970, 1, 1);
        let millis = date.duration_since(epoch).as_millis();
        let name = fnv(self.slug.as_bytes(), fnv(kind.as_bytes(), FNV_START));
        let random = (u128::from(name) << 16) | (self.records.len() as u128 & 0xffff);
        Ulid::from_parts(millis as u64, random).to_string()
    }

    /// A grid cell.
    pub(super) fn grid(&mut self, code: &str, tree: &str, level: &str, parent: &str, name: &str) {
        let parent = (!parent.is_empty()).then_some(parent);
        self.add(
            Record::new("grid")
                .with("code", code)
                .with("tree", tree)
                .with("level", level)
                .with_some("parent", parent)
                .with("name", name),
        );
    }

    /// A building of the grid, of one form.
    pub(super) fn building(&mut self, code: &str, parent: &str, name: &str, form: &str) {
        self.grid(code, "grid", "building", parent, name);
        let last = self.records.last_mut().expect("a cell was just added");
        last.fields.insert("form".into(), Value::from(form));
    }

    /// A plain fact with its bound ("" for exact).
    pub(super) fn fact(&mut self, item: &str, amount: i64, unit: &str, qualifier: &str, day: &str) {
        let qualifier = (!qualifier.is_empty()).then_some(qualifier);
        self.add(
            Record::new("profile")
                .with("item", item)
                .with("amount", amount)
                .with("unit", unit)
                .with_some("qualifier", qualifier)
                .with("day", day),
        );
    }

    /// A count that the desk measured over sealed ledgers.
    pub(super) fn publish(
        &mut self,
        metric: &str,
        period: &str,
        day: &str,
        counted: (i64, Option<i64>),
    ) {
        let mut record = Record::new("published")
            .with("metric", metric)
            .with("period", period)
            .with("day", day)
            .with("numerator", counted.0);
        if let Some(denominator) = counted.1 {
            record = record.with("denominator", denominator);
        }
        self.add(record);
    }

    /// A dwelling whose people were asked, with what they answered. Its person is the `n`th.
    pub(super) fn household(&mut self, n: u32, place: &Dwelling<'_>, outcome: Outcome) {
        let address = format!("{}{}单元{}室", place.street, place.entrance, place.room);
        let mut record = Record::new("household")
            .with("building", place.building)
            .with("entrance", place.entrance)
            .with("room", place.room)
            .with("address", address)
            .with("grid", place.grid)
            .with("registered_on", place.day);
        if let Some((group, slot)) = place.slot {
            record = record.with("group", group.to_string()).with("slot", slot);
        }
        record = match outcome {
            Outcome::Declined => record.step_by("decline", place.day, "网格员"),
            Outcome::Vacant => record.step_by("find_vacant", place.day, "网格员"),
            Outcome::Collected | Outcome::Verified => {
                let Person { name, phone } = self.person(n);
                let tenure = if n % 7 == 3 { "rented" } else { "owned" };
                record
                    .with("name", name)
                    .with("phone", phone)
                    .with("members", i64::from(1 + n % 5))
                    .with("tenure", tenure)
                    .with("consent_on", place.day)
                    .step_by("collect", place.day, "网格员")
            }
        };
        if outcome == Outcome::Verified {
            record = record.step("verify", place.checked);
        }
        self.add(record);
    }
}

/// Where a household lives, and when it was asked.
pub(super) struct Dwelling<'a> {
    pub(super) building: &'a str,
    pub(super) street: &'a str,
    pub(super) entrance: &'a str,
    pub(super) room: &'a str,
    pub(super) grid: &'a str,
    /// Group number and place in the group.
    pub(super) slot: Option<(u32, i64)>,
    pub(super) day: &'a str,
    /// The day its data were checked, if they were.
    pub(super) checked: &'a str,
}

/// What came of asking a household.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Collected,
    Verified,
    Declined,
    Vacant,
}

impl Outcome {
    /// Most consent, some refuse, some dwellings are empty: one of `declined` and `vacant` each.
    pub(super) fn nth(n: u32, declined: u32, vacant: u32) -> Self {
        if n % declined == declined / 2 {
            Self::Declined
        } else if n % vacant == vacant / 3 {
            Self::Vacant
        } else if n.is_multiple_of(3) {
            Self::Verified
        } else {
            Self::Collected
        }
    }
}

/// `YYYY-MM-DD`.
pub(super) fn day(year: u32, month: u32, day: u32) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
