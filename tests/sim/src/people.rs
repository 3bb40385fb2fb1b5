//! The people of the world: what they enter, change, step, look up and hand in, at desks and at
//! the street office.
//!
//! Every personal field they write begins with the canary, so that a checker can smell it
//! anywhere. They refuse to remember anything: they look at the screen like everybody.

mod forms;

use std::collections::BTreeMap;

use linli_domain::entry::StepId;
use linli_domain::hlc::Hlc;
use linli_domain::id::{ChangeHash, CommunityId, EntryId, PeerName, Role, Space};
use linli_domain::seal::{ERASURE_KIND, MemberKeys, erasure_id, member_code};
use linli_runtime::ask::{Answer, Ask, EntryView, FigureQuery, RecordForm, StepForm};
use linli_runtime::limits::CLOCK_DRIFT_MILLIS_MAX;
use serde_json::Value as Json;

use crate::chance::Chance;
use crate::checkers::{CANARY, Checker, Violation};
use crate::machine::{Machine, SimSite};
use crate::world::Open;

/// What the street office may do with an entry of a community.
const STREET_ACTIONS: [&str; 4] = ["dispatch", "dispatch_note", "street_reply", "arrive"];
/// Texts this long cross the borders of segments and slow roads.
const LONG_TEXT_BYTES: usize = 3_000;

/// How far a step may be ahead of its machine's wall: twice what a peer's clock is followed.
const AHEAD_MS_MAX: u64 = 2 * CLOCK_DRIFT_MILLIS_MAX;

/// The people.
pub(crate) struct People {
    chance: Chance,
    words: u64,
    codes: BTreeMap<PeerName, String>,
    /// Personal texts written into each entry.
    secrets: BTreeMap<(CommunityId, EntryId), Vec<String>>,
}

/// What an act came to.
#[derive(Debug)]
pub(crate) struct Told {
    /// For the trace, without content.
    pub(crate) what: String,
    /// For the counters.
    pub(crate) counted: &'static str,
    /// The answer as text, where no personal field may be in it.
    pub(crate) shown: Option<String>,
    /// Changes that the person is told are saved.
    pub(crate) saved: Vec<(Space, EntryId, ChangeHash)>,
    /// The act that says the same once more, if it wrote something.
    pub(crate) again: Option<Ask>,
    /// A rule that was broken before the person's eyes.
    pub(crate) violation: Option<Violation>,
}

impl People {
    pub(crate) fn new(chance: Chance) -> Self {
        Self { chance, words: 0, codes: BTreeMap::new(), secrets: BTreeMap::new() }
    }

    /// Personal texts that were written into an entry.
    pub(crate) fn secrets_of(&self, community: &CommunityId, entry: &EntryId) -> &[String] {
        let place = (community.clone(), entry.clone());
        self.secrets.get(&place).map(Vec::as_slice).unwrap_or_default()
    }

    /// One person's act at a machine. `waiting` are desks of the same community without its key.
    pub(crate) fn sit_down(
        &mut self,
        at: &mut Machine,
        waiting: &[(PeerName, MemberKeys)],
    ) -> Vec<Told> {
        match at.name.role() {
            Role::Node => self.at_desk(at, waiting),
            Role::StreetHub => self.at_street(at),
            Role::DistrictHub => vec![self.ask(at, Ask::Digests {}, "questions")],
        }
    }

    fn at_desk(&mut self, at: &mut Machine, waiting: &[(PeerName, MemberKeys)]) -> Vec<Told> {
        let locked = at.site.as_mut().is_none_or(|site| site.books().ring().is_none());
        if !locked
            && self.chance.one_in(4)
            && let Some((name, key)) = self.chance.pick(waiting)
        {
            return vec![self.approve(at, name, *key)];
        }
        match self.chance.between(0, 20) {
            0..=6 => {
                let RecordForm { kind, id, fields, .. } = self.form(locked);
                vec![self.ask(at, Ask::Add { kind, id, fields }, "entries added")]
            }
            7..=10 => self.edit(at, locked),
            11..=15 => self.step(at, locked),
            16 => {
                let many = self.chance.between(1, 4);
                let records = (0..many).map(|_| self.record(locked)).collect();
                let dry_run = self.chance.one_in(4);
                vec![self.ask(at, Ask::Import { records, dry_run }, "imports")]
            }
            17 => self.look_up(at),
            18 => vec![self.mistake(at)],
            19 => self.erase(at),
            _ => vec![self.question(at)],
        }
    }

    fn at_street(&mut self, at: &mut Machine) -> Vec<Told> {
        let Some((community, entry)) = self.known(at, "issue") else {
            return vec![self.question(at)];
        };
        if self.chance.one_in(3) {
            return vec![self.question(at)];
        }
        let Some(view) = show(at, Some(&community), &entry) else { return Vec::new() };
        let may: Vec<&String> =
            view.next.iter().filter(|next| STREET_ACTIONS.contains(&next.as_str())).collect();
        let Some(action) = self.chance.pick(&may).map(|action| (*action).clone()) else {
            return Vec::new();
        };
        let note = Some(self.word());
        let step = StepForm { action, at: Some(self.date()), by: None, note };
        let fields = BTreeMap::new();
        let ask = Ask::Step { community: Some(community), entry, step, fields };
        vec![self.take_step(at, ask, &view, "steps of the street")]
    }

    fn edit(&mut self, at: &mut Machine, locked: bool) -> Vec<Told> {
        let Some((_, entry)) = self.known(at, "") else { return Vec::new() };
        let Some((field, value)) = self.new_value(entry.kind(), locked) else { return Vec::new() };
        let personal = at.registry.class_of(entry.kind(), field).is_sealed();
        let fields = BTreeMap::from([(field.to_owned(), value.clone())]);
        let ask = Ask::Edit { community: None, entry: entry.clone(), fields };
        let mut told = self.ask(at, ask, "edits");
        // Read your writes.
        if !personal
            && told.what.contains("written")
            && let Some(view) = show(at, None, &entry)
            && view.fields.get(field).unwrap_or(&Json::Null) != &value
        {
            let text = format!("{} does not show what was written to {entry} {field}", at.name);
            told.violation = Some(Violation::new(Checker::Causal, text));
        }
        vec![told]
    }

    fn step(&mut self, at: &mut Machine, locked: bool) -> Vec<Told> {
        let Some((_, entry)) = self.known(at, "") else { return Vec::new() };
        let Some(view) = show(at, None, &entry) else { return Vec::new() };
        let Some(action) = self.chance.pick(&view.next).cloned() else { return Vec::new() };
        let personal = at
            .registry
            .kind(entry.kind())
            .is_none_or(|kind| kind.step_note_class(&action).is_sealed());
        let note = match (personal, self.chance.between(0, 2)) {
            (_, 0) => None,
            (true, _) if locked => None,
            (true, _) => Some(self.secret()),
            (false, _) => Some(self.word()),
        };
        let mut fields = BTreeMap::new();
        if action == "merge"
            && let Some((_, other)) = self.known(at, "issue")
        {
            fields.insert("merged_into".to_owned(), Json::from(other.as_str()));
        }
        let step = StepForm { action, at: Some(self.date()), by: None, note };
        let ask = Ask::Step { community: None, entry, step, fields };
        vec![self.take_step(at, ask, &view, "steps")]
    }

    /// Takes a step, and looks whether it stands behind all that was there.
    fn take_step(
        &mut self,
        at: &mut Machine,
        ask: Ask,
        before: &EntryView,
        counted: &'static str,
    ) -> Told {
        let mut told = self.ask(at, ask, counted);
        let last = before.steps.iter().map(|step| &step.id).max();
        if let Some(after) = show(at, before.community.as_ref(), &before.entry) {
            let known = |id: &String| before.steps.iter().any(|step| step.id == *id);
            let early = after
                .steps
                .iter()
                .map(|step| &step.id)
                .find(|id| !known(id) && last.is_some_and(|last| *id <= last));
            let fresh = after.steps.iter().map(|step| &step.id).find(|id| !known(id));
            if let Some(violation) = fresh.and_then(|id| too_far_ahead(at, id, last)) {
                told.violation = Some(violation);
            }
            if let (Some(early), Some(last)) = (early, last) {
                let text = format!(
                    "{} makes step {early} on {}, where it had seen {last}",
                    at.name, before.entry
                );
                told.violation = Some(Violation::new(Checker::Causal, text));
            }
        }
        told
    }

    /// Somebody has moved away.
    fn erase(&mut self, at: &mut Machine) -> Vec<Told> {
        let Some((_, entry)) = self.known(at, "") else { return Vec::new() };
        let reason = "moved away".to_owned();
        let dry_run = self.chance.one_in(8);
        vec![self.ask(at, Ask::Erase { entry, reason, dry_run }, "erasures")]
    }

    fn look_up(&mut self, at: &mut Machine) -> Vec<Told> {
        let Some((_, entry)) = self.known(at, "") else { return Vec::new() };
        let reason = Some(self.word());
        let mut told =
            self.ask(at, Ask::Show { community: None, entry, reason }, "personal look-ups");
        told.shown = None;
        vec![told]
    }

    fn question(&mut self, at: &mut Machine) -> Told {
        let ask = match self.chance.between(0, 6) {
            0 => Ask::Figures(FigureQuery {
                by_category: self.chance.one_in(2),
                ..FigureQuery::default()
            }),
            1 => Ask::Conflicts { max: 50 },
            2 => Ask::Refused { max: 50 },
            3 => Ask::Find { text: "w1".to_owned(), after: None, max: 20 },
            4 => Ask::Recount {},
            5 => Ask::Behind {
                figure: FigureQuery { metric: Some("M01".to_owned()), ..FigureQuery::default() },
                after: None,
                max: 20,
            },
            _ => Ask::List {
                kind: self.chance.one_of(&["issue", "household", "duty_turn"]).to_owned(),
                state: None,
                community: None,
                after: None,
                max: 30,
                whole: false,
            },
        };
        let mut told = self.ask(at, ask, "questions");
        if told.what.ends_with("differences") {
            let text = format!("{} {}", at.name, told.what);
            told.violation = Some(Violation::new(Checker::Counted, text));
        }
        told
    }

    /// What a form should refuse.
    fn mistake(&mut self, at: &mut Machine) -> Told {
        let word = Json::from(self.word());
        let fields = |name: &str| BTreeMap::from([(name.to_owned(), word.clone())]);
        let ask = match self.chance.between(0, 2) {
            0 => Ask::Add { kind: "nothing".into(), id: None, fields: fields("title") },
            1 => Ask::Add { kind: "issue".into(), id: None, fields: fields("titel") },
            _ => Ask::Add { kind: "issue".into(), id: None, fields: fields("source") },
        };
        self.ask(at, ask, "mistakes at a form")
    }

    fn approve(&mut self, at: &mut Machine, name: &PeerName, key: MemberKeys) -> Told {
        let code =
            self.codes.entry(name.clone()).or_insert_with(|| member_code(&key, name)).clone();
        self.ask(at, Ask::Approve { machine: name.machine.to_string(), code }, "approvals")
    }

    /// Asks the machine, and notes what it says.
    pub(crate) fn ask(&mut self, at: &mut Machine, ask: Ask, counted: &'static str) -> Told {
        let asked = name_of(&ask);
        let Some(site) = &mut at.site else {
            let what = format!("{asked}: nobody answers");
            let saved = Vec::new();
            return Told { what, counted, shown: None, saved, again: None, violation: None };
        };
        let personal = secrets_in(&ask);
        let answer = site.ask(ask.clone());
        let mut again = None;
        let mut saved = Vec::new();
        let what = match &answer {
            Answer::Written { entry, changes, .. } => {
                again = crate::world::again(&ask, entry).filter(|_| *changes > 0);
                for community in communities_of(&at.name, &at.entries, entry) {
                    saved.extend(new_changes(site, &community, entry, &at.held));
                }
                if let Some(community) = &at.name.community {
                    let place = (community.clone(), entry.clone());
                    self.secrets.entry(place).or_default().extend(personal);
                }
                format!("{asked}: written {entry}, {changes} changes")
            }
            Answer::Erased { entry, already: false, dry_run: false, .. } => {
                let erasure = erasure_id(entry);
                if let Some(community) = at.name.community.clone() {
                    saved.extend(new_changes(site, &community, &erasure, &at.held));
                }
                format!("{asked}: erased {entry}")
            }
            Answer::Imported { added, changed, unchanged, refused } => {
                format!("{asked}: {added} {changed} {unchanged} {}", refused.len())
            }
            Answer::Recount { differences, .. } if !differences.is_empty() => {
                format!("{asked}: {} differences", differences.len())
            }
            Answer::Trouble(trouble) => format!("{asked}: trouble {}", trouble.code),
            _ => format!("{asked}: answered"),
        };
        let shown = serde_json::to_string(&answer).ok();
        Told { what, counted, shown, saved, again, violation: None }
    }

    /// An entry that the machine has, of a kind or of any.
    fn known(&mut self, at: &Machine, kind: &str) -> Option<(CommunityId, EntryId)> {
        let housekeeping = ["device", "member", "handed_key", "lookup", ERASURE_KIND];
        let fit: Vec<&(CommunityId, EntryId)> = at
            .entries
            .iter()
            .filter(|(_, entry)| kind.is_empty() || entry.kind() == kind)
            .filter(|(_, entry)| !housekeeping.contains(&entry.kind()))
            .collect();
        self.chance.pick(&fit).map(|known| (*known).clone())
    }

    /// An open text.
    fn word(&mut self) -> String {
        self.words += 1;
        let mut word = format!("w{}", self.words);
        if self.chance.one_in(25) {
            word.push_str(&"长".repeat(LONG_TEXT_BYTES / 3));
        }
        word
    }

    /// A personal text.
    fn secret(&mut self) -> String {
        self.words += 1;
        // Ended, so that none is the beginning of another.
        format!("{CANARY}-{}.", self.words)
    }

    fn date(&mut self) -> String {
        format!("2026-{:02}-{:02}", self.chance.between(1, 3), self.chance.between(1, 28))
    }
}

/// Causal: a new step's clock is that of the machine's own wall, or stands just behind what the
/// entry had; nobody's clock is followed over years.
fn too_far_ahead(at: &Machine, id: &str, last: Option<&String>) -> Option<Violation> {
    let millis = |id: &str| StepId(id.to_owned()).hlc().map(Hlc::millis);
    let known = last.and_then(|last| millis(last)).unwrap_or(0).max(at.wall_ms_max);
    let ahead = millis(id)?.saturating_sub(known);
    let text = format!("{} makes step {id}, {ahead} ms ahead of all it may go by", at.name);
    (ahead > AHEAD_MS_MAX).then(|| Violation::new(Checker::Causal, text))
}

/// Personal texts in an edit that no other edit has.
fn secrets_in(ask: &Ask) -> Vec<String> {
    let (fields, note) = match ask {
        Ask::Add { fields, .. } | Ask::Edit { fields, .. } => (Some(fields), None),
        Ask::Step { step, fields, .. } => (Some(fields), step.note.clone()),
        _ => (None, None),
    };
    let texts = fields.into_iter().flatten().filter_map(|(_, value)| value.as_str());
    let texts = texts.map(str::to_owned).chain(note);
    texts.filter(|text| text.starts_with(CANARY) && text.ends_with('.')).collect()
}

/// An entry as the screen shows it, personal fields masked.
fn show(at: &mut Machine, community: Option<&CommunityId>, entry: &EntryId) -> Option<EntryView> {
    let ask = Ask::Show { community: community.cloned(), entry: entry.clone(), reason: None };
    match at.site.as_mut()?.ask(ask) {
        Answer::Entry(view) => {
            let community = view.community.clone().or_else(|| at.name.community.clone())?;
            let steps = view.steps.iter().map(|step| step.id.clone()).collect();
            at.open = Some(Open::of(community.clone(), &view));
            at.showing.push(((community, view.entry.clone()), steps));
            Some(*view)
        }
        _ => None,
    }
}

/// Communities in which a machine can have written an entry.
fn communities_of(
    name: &PeerName,
    entries: &std::collections::BTreeSet<(CommunityId, EntryId)>,
    entry: &EntryId,
) -> Vec<CommunityId> {
    match &name.community {
        Some(own) => vec![own.clone()],
        None => {
            entries.iter().filter(|(_, known)| known == entry).map(|(id, _)| id.clone()).collect()
        }
    }
}

/// Changes in an entry's halves that are not in the journal yet.
fn new_changes(
    site: &mut SimSite,
    community: &CommunityId,
    entry: &EntryId,
    held: &std::collections::BTreeSet<ChangeHash>,
) -> Vec<(Space, EntryId, ChangeHash)> {
    let open = Space::Open(community.clone());
    let sealed = Space::Sealed(community.clone());
    let books = site.books();
    let mut hashes: Vec<(Space, ChangeHash)> =
        books.half(&open, entry).doc.hashes().map(|hash| (open.clone(), hash)).collect();
    hashes.extend(books.half(&sealed, entry).seals.iter().map(|hash| (sealed.clone(), *hash)));
    hashes.retain(|(_, hash)| !held.contains(hash));
    hashes.into_iter().map(|(space, hash)| (space, entry.clone(), hash)).collect()
}

fn name_of(ask: &Ask) -> String {
    match ask {
        Ask::Add { kind, .. } => format!("add {kind}"),
        Ask::Edit { entry, .. } => format!("edit {entry}"),
        Ask::Step { entry, step, .. } => format!("step {} on {entry}", step.action),
        Ask::Import { records, .. } => format!("import {}", records.len()),
        Ask::Show { entry, .. } => format!("look up {entry}"),
        Ask::Approve { machine, .. } => format!("approve {machine}"),
        Ask::List { kind, .. } => format!("list {kind}"),
        Ask::Find { .. } => "find".to_owned(),
        Ask::Figures(_) => "figures".to_owned(),
        Ask::Behind { .. } => "behind".to_owned(),
        Ask::Recount {} => "recount".to_owned(),
        Ask::Conflicts { .. } => "conflicts".to_owned(),
        Ask::Refused { .. } => "refused".to_owned(),
        _ => "ask".to_owned(),
    }
}
