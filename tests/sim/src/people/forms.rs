//! The forms people fill in: a few kinds of the real packs, with derived and keyed ids from small
//! ranges, so that two desks often open the same entry.
//!
//! It refuses to put the canary into a field that is not personal.

use std::collections::BTreeMap;

use linli_domain::id::EntryId;
use linli_runtime::ask::{Ask, RecordForm, StepForm};
use serde_json::{Value as Json, json};

use super::People;

impl People {
    /// A new entry; without personal fields at a desk that cannot seal.
    pub(super) fn form(&mut self, locked: bool) -> RecordForm {
        let (kind, open, personal) = match self.chance.between(0, 9) {
            0..=3 => self.issue(),
            4 | 5 => self.duty_turn(),
            6 if !locked => self.household(),
            7 => self.group(),
            8 => self.score(),
            _ => self.fact(),
        };
        let mut fields = BTreeMap::new();
        let personal = if locked { Vec::new() } else { personal };
        for (name, value) in open.into_iter().chain(personal) {
            fields.insert(name.to_owned(), value);
        }
        RecordForm { kind: kind.to_owned(), id: None, fields, steps: Vec::new() }
    }

    /// A record of an import: a form with a history.
    pub(super) fn record(&mut self, locked: bool) -> RecordForm {
        let mut record = self.form(locked);
        let history: &[&str] = match record.kind.as_str() {
            "issue" => &["report", "accept", "handle", "resolve"],
            "duty_turn" => &["begin", "hand_over"],
            "household" => &["collect", "verify"],
            _ => &[],
        };
        let steps = self.chance.between(0, history.len() as u64) as usize;
        for action in &history[..steps] {
            let at = Some(self.date());
            let by = Some("desk".to_owned());
            record.steps.push(StepForm { action: (*action).to_owned(), at, by, note: None });
        }
        record
    }

    /// A field of a kind and its new value; `None` where the desk could not write it.
    pub(super) fn new_value(&mut self, kind: &str, locked: bool) -> Option<(&'static str, Json)> {
        let open: &[&str] = match kind {
            "issue" => &["title", "category", "grid", "place", "due", "satisfaction"],
            "household" => &["group", "slot", "tenure"],
            "mutual_group" => &["board_place", "grid"],
            "duty_turn" => &["tasks", "grid"],
            "group_score" => &["civility", "safety", "deduction"],
            "profile" => &["amount", "day"],
            _ => return None,
        };
        let personal = personal_fields(kind);
        if !locked && !personal.is_empty() && self.chance.one_in(3) {
            let field = self.chance.one_of(personal);
            return Some((field, Json::from(self.secret())));
        }
        let field = self.chance.one_of(open);
        if !["title", "amount"].contains(&field) && self.chance.one_in(8) {
            return Some((field, Json::Null));
        }
        let value = match field {
            "category" => self.category(),
            "satisfaction" => json!(self.chance.one_of(&["satisfied", "fair", "dissatisfied"])),
            "tenure" => json!(self.chance.one_of(&["owned", "rented"])),
            "grid" => self.grid(),
            "group" => self.group_id(),
            "due" | "day" => json!(self.date()),
            "slot" | "civility" | "safety" | "deduction" | "amount" => {
                json!(self.chance.between(0, 20))
            }
            "tasks" => self.tasks(),
            _ => json!(self.word()),
        };
        Some((field, value))
    }

    /// The same thing, as two people put it down who do not know of one another.
    pub(crate) fn same_thing(&mut self) -> [Ask; 2] {
        let turn = [
            ("group", self.group_id()),
            ("month", json!(format!("2026-{:02}", self.chance.between(1, 3)))),
        ];
        [0, 1].map(|_| {
            let own = [
                ("tasks", self.tasks()),
                ("grid", self.grid()),
                ("household_name", json!(self.secret())),
            ];
            let fields = turn.clone().into_iter().chain(own);
            let fields = fields.map(|(name, value)| (name.to_owned(), value)).collect();
            Ask::Add { kind: "duty_turn".to_owned(), id: None, fields }
        })
    }

    /// An edit of a personal field of an entry, if its kind has any.
    pub(crate) fn personal_edit(&mut self, entry: &EntryId) -> Option<Ask> {
        let field = *self.chance.pick(personal_fields(entry.kind()))?;
        let fields = BTreeMap::from([(field.to_owned(), json!(self.secret()))]);
        Some(Ask::Edit { community: None, entry: entry.clone(), fields })
    }

    /// An edit that fills an open field of an entry, if its kind is one that people edit.
    pub(crate) fn open_edit(&mut self, entry: &EntryId) -> Option<Ask> {
        let (field, value) = self.new_value(entry.kind(), true)?;
        let fields = BTreeMap::from([(field.to_owned(), value)]);
        Some(Ask::Edit { community: None, entry: entry.clone(), fields })
    }

    fn issue(&mut self) -> Form {
        let open = vec![
            ("title", json!(self.word())),
            ("category", self.category()),
            ("grid", self.grid()),
            ("due", json!(self.date())),
        ];
        let personal = vec![
            ("reporter", json!(self.secret())),
            ("phone", json!(self.secret())),
            ("detail", json!(self.secret())),
        ];
        ("issue", open, personal)
    }

    fn household(&mut self) -> Form {
        let open = vec![
            ("building", json!(format!("grid/b{}", self.chance.between(1, 2)))),
            ("grid", self.grid()),
            ("tenure", json!(self.chance.one_of(&["owned", "rented"]))),
        ];
        let place = |part: &str, number: u64| json!(format!("{}-{part}{number}", super::CANARY));
        let personal = vec![
            ("entrance", place("e", self.chance.between(1, 2))),
            ("room", place("r", self.chance.between(1, 4))),
            ("name", json!(self.secret())),
        ];
        ("household", open, personal)
    }

    fn group(&mut self) -> Form {
        let open = vec![
            ("number", json!(self.chance.between(1, 6))),
            ("formed_on", json!(self.date())),
            ("grid", self.grid()),
        ];
        ("mutual_group", open, vec![("leader", json!(self.secret()))])
    }

    fn duty_turn(&mut self) -> Form {
        let open = vec![
            ("group", self.group_id()),
            ("month", json!(format!("2026-{:02}", self.chance.between(1, 3)))),
            ("tasks", self.tasks()),
        ];
        ("duty_turn", open, vec![("household_name", json!(self.secret()))])
    }

    fn score(&mut self) -> Form {
        let open = vec![
            ("group", self.group_id()),
            ("month", json!(format!("2026-{:02}", self.chance.between(1, 3)))),
            ("civility", json!(self.chance.between(0, 20))),
        ];
        ("group_score", open, vec![("reviewer", json!(self.secret()))])
    }

    fn fact(&mut self) -> Form {
        let open = vec![
            ("item", json!(self.chance.one_of(&["households", "residents", "party_members"]))),
            ("amount", json!(self.chance.between(1, 5_000))),
            ("day", json!(self.date())),
        ];
        ("profile", open, Vec::new())
    }

    fn category(&mut self) -> Json {
        json!(self.chance.one_of(&["cleaning", "lighting", "leak", "parking", "other"]))
    }

    fn grid(&mut self) -> Json {
        json!(format!("grid/g{}", self.chance.between(1, 3)))
    }

    fn group_id(&mut self) -> Json {
        json!(format!("mutual_group/{}", self.chance.between(1, 4)))
    }

    fn tasks(&mut self) -> Json {
        // In the order of the alphabet, as sets are shown, and never empty.
        let last = self.chance.one_of(&["hardship", "safety"]);
        let first: &[&str] =
            self.chance.one_of(&[&[], &["civility"], &["civility", "cleanliness"]]);
        let tasks: Vec<&str> = first.iter().copied().chain([last]).collect();
        json!(tasks)
    }
}

/// The personal fields of a kind that people edit.
fn personal_fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "issue" => &["reporter", "phone", "detail"],
        "household" => &["name", "phone", "id_number"],
        "mutual_group" => &["leader"],
        "duty_turn" => &["household_name", "handover_note"],
        "group_score" => &["reviewer"],
        _ => &[],
    }
}

/// Kind, open fields, personal fields.
type Form = (&'static str, Vec<(&'static str, Json)>, Vec<(&'static str, Json)>);
