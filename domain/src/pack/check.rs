//! Checks that need all files at once: names that stand twice, and references that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Fault, Nearest};
use super::formula::{FUNCTIONS, Formula};
use super::kind::{Field, FieldType};
use super::metric::Grain;
use super::read::{
    CountsDraft, Draft, EntriesDraft, IdDraft, KindDraft, MetricDraft, WorkflowDraft,
};
use super::reads::Mentioned;
use super::scope::VARIABLES;
use super::source::{Placed, Source};

/// Words that CEL keeps for itself; `f.void` would not parse.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Checks all drafts; faults go to the source of the file they stand in.
pub(super) fn check(sources: &mut [Source<'_>], drafts: &[Draft]) {
    let mut checker = Checker { found: Vec::new(), known: Known::default() };
    checker.collect(sources, drafts);
    for (file, draft) in drafts.iter().enumerate() {
        for kind in &draft.kinds {
            checker.kind(file, kind);
        }
        for workflow in &draft.workflows {
            checker.workflow(file, workflow);
        }
        for metric in &draft.metrics {
            checker.metric(file, metric);
        }
    }
    for (file, spot, fault) in checker.found {
        let at = match spot {
            Spot::At(at) => at,
            Spot::Inside(text, chars) => sources[file].inside(text, chars),
        };
        sources[file].fault(at, fault);
    }
}

/// All names of all files.
#[derive(Default)]
struct Known<'d> {
    packs: BTreeMap<&'d str, String>,
    kinds: BTreeMap<&'d str, (String, &'d KindDraft)>,
    workflows: BTreeMap<&'d str, (String, &'d WorkflowDraft)>,
    metrics: BTreeMap<&'d str, (String, &'d MetricDraft)>,
}

/// Where a fault stands in its file.
enum Spot {
    /// At a byte offset.
    At(usize),
    /// So many characters into the text that begins at a byte offset.
    Inside(usize, usize),
}

struct Checker<'d> {
    found: Vec<(usize, Spot, Fault)>,
    known: Known<'d>,
}

impl<'d> Checker<'d> {
    fn fault(&mut self, file: usize, at: usize, fault: Fault) {
        self.found.push((file, Spot::At(at), fault));
    }

    /// Enters every name, and notes those that stand twice or break the rule of names.
    fn collect(&mut self, sources: &[Source<'_>], drafts: &'d [Draft]) {
        for (file, draft) in drafts.iter().enumerate() {
            let line = |at| sources[file].line_of(at);
            self.code(file, &draft.name.value, draft.name.at);
            let pack = draft.name.value.as_str();
            if let Some(first) = self.known.packs.insert(pack, line(draft.name.at)) {
                self.twice(file, draft.name.at, "pack", pack, first);
            }
            for kind in &draft.kinds {
                let (name, at) = (kind.name.value.as_str(), kind.name.at);
                self.name(file, name, at);
                if let Some((first, _)) = self.known.kinds.insert(name, (line(at), kind)) {
                    self.twice(file, at, "kind", name, first);
                }
            }
            for workflow in &draft.workflows {
                let (name, at) = (workflow.workflow.name.as_str(), workflow.at);
                self.name(file, name, at);
                if let Some((first, _)) = self.known.workflows.insert(name, (line(at), workflow)) {
                    self.twice(file, at, "workflow", name, first);
                }
            }
            for metric in &draft.metrics {
                let (id, at) = (metric.id.value.as_str(), metric.id.at);
                self.code(file, id, at);
                if let Some((first, _)) = self.known.metrics.insert(id, (line(at), metric)) {
                    self.twice(file, at, "metric", id, first);
                }
            }
        }
    }

    fn kind(&mut self, file: usize, kind: &KindDraft) {
        let mut seen = BTreeSet::new();
        for field in &kind.fields {
            let name = field.field.name.as_str();
            self.word(file, name, field.at);
            if !seen.insert(name) {
                self.twice(file, field.at, "field", name, "this kind".to_owned());
            }
            if let Some(of) = &field.of
                && !self.known.kinds.contains_key(of.value.as_str())
            {
                let nearest = Nearest::to(&of.value, self.known.kinds.keys().copied());
                self.unknown(file, of, "kind", nearest);
            }
        }
        let (parts, keyed) = match &kind.id {
            IdDraft::Ulid => (&[][..], true),
            IdDraft::From(parts) => (parts.as_slice(), false),
            IdDraft::Keyed(parts) => (parts.as_slice(), true),
        };
        for part in parts {
            match self.field_of(file, kind, part) {
                Some(field) if !keyed && field.class.is_sealed() => {
                    self.fault(file, part.at, Fault::PersonalIdPart(part.value.clone()));
                }
                _ => {}
            }
        }
        if let Some(grid) = &kind.grid
            && let Some(field) = self.field_of(file, kind, grid)
            && field.class.is_sealed()
            && !kind.sealed
        {
            self.fault(file, grid.at, Fault::PersonalGrid(grid.value.clone()));
        }
        if let Some(workflow) = &kind.workflow
            && !self.known.workflows.contains_key(workflow.value.as_str())
        {
            let nearest = Nearest::to(&workflow.value, self.known.workflows.keys().copied());
            self.unknown(file, workflow, "workflow", nearest);
        }
    }

    /// The field that a name of its own kind refers to.
    fn field_of<'k>(
        &mut self,
        file: usize,
        kind: &'k KindDraft,
        name: &Placed<String>,
    ) -> Option<&'k Field> {
        let found = kind.fields.iter().find(|field| field.field.name == name.value);
        if found.is_none() {
            let known = kind.fields.iter().map(|field| field.field.name.as_str());
            self.unknown(file, name, "field of this kind", Nearest::to(&name.value, known));
        }
        found.map(|field| &field.field)
    }

    fn workflow(&mut self, file: usize, draft: &WorkflowDraft) {
        let flow = &draft.workflow;
        let states: BTreeSet<&str> = flow.states.iter().map(|state| &*state.name).collect();
        let mut seen = BTreeSet::new();
        for (state, at) in flow.states.iter().zip(&draft.states_at) {
            self.word(file, &state.name, *at);
            if !seen.insert(&state.name) {
                self.twice(file, *at, "state", &state.name, "this workflow".to_owned());
            }
        }
        self.state(file, &states, &flow.initial, draft.initial_at);
        let mut taken = BTreeSet::new();
        for (action, at) in flow.actions.iter().zip(&draft.actions_at) {
            self.word(file, &action.name, at.name);
            for (from, from_at) in action.from.iter().zip(&at.from) {
                self.state(file, &states, from, *from_at);
                if !taken.insert((&action.name, from)) {
                    let first = format!("this workflow, from `{from}`");
                    self.twice(file, *from_at, "step", &action.name, first);
                }
            }
            if let Some(to) = &action.to {
                self.state(file, &states, to, at.to);
            }
        }
    }

    fn state(&mut self, file: usize, states: &BTreeSet<&str>, name: &str, at: usize) {
        if !states.contains(name) && !name.is_empty() {
            let nearest = Nearest::to(name, states.iter().copied());
            self.unknown(file, &Placed { value: name.to_owned(), at }, "state", nearest);
        }
    }

    fn metric(&mut self, file: usize, metric: &MetricDraft) {
        match &metric.counts {
            CountsDraft::MonthsMet { metric: other, .. } => self.months_met(file, other),
            CountsDraft::Entries(count) => {
                let mut meant = Vec::new();
                let mut all_known = true;
                for kind in &count.kinds {
                    if let Some((_, draft)) = self.known.kinds.get(kind.value.as_str()) {
                        meant.push(*draft);
                    } else {
                        all_known = false;
                        let nearest = Nearest::to(&kind.value, self.known.kinds.keys().copied());
                        self.unknown(file, kind, "kind", nearest);
                    }
                }
                let words = Words::of(&meant, &self.known);
                for formula in count.formulas() {
                    self.formula(file, formula, &words, all_known);
                }
            }
        }
    }

    fn months_met(&mut self, file: usize, other: &Placed<String>) {
        let fits = |count: &EntriesDraft| matches!(count.grain, Grain::Day | Grain::Month);
        match self.known.metrics.get(other.value.as_str()).map(|(_, draft)| &draft.counts) {
            Some(CountsDraft::Entries(count)) if fits(count) => {}
            Some(_) => {
                let wanted = "a metric that counts entries by day or month";
                self.fault(file, other.at, Fault::OutOfRange { key: "metric", wanted });
            }
            None => {
                let nearest = Nearest::to(&other.value, self.known.metrics.keys().copied());
                self.unknown(file, other, "metric", nearest);
            }
        }
    }

    /// Every name in a formula must be known to at least one of the metric's kinds.
    fn formula(&mut self, file: usize, formula: &Placed<Formula>, words: &Words<'_>, all: bool) {
        for mention in formula.value.mentions() {
            let (what, name, known): (_, _, Vec<&str>) = match &mention.what {
                Mentioned::Variable(name) => ("variable of formulas", name, VARIABLES.to_vec()),
                Mentioned::Function(name) => ("function of formulas", name, FUNCTIONS.to_vec()),
                _ if !all => continue,
                Mentioned::Action(_) | Mentioned::State(_) if words.flow_missing => continue,
                Mentioned::Field(name) => {
                    ("field of these kinds", name, words.fields.iter().copied().collect())
                }
                Mentioned::Set(name) => {
                    ("set of these kinds", name, words.sets.iter().copied().collect())
                }
                Mentioned::Action(name) => {
                    ("step of these kinds", name, words.actions.iter().copied().collect())
                }
                // An entry without workflow is in the empty state.
                Mentioned::State(name) if name.is_empty() => continue,
                Mentioned::State(name) => {
                    ("state of these kinds", name, words.states.iter().copied().collect())
                }
                Mentioned::Choice(field, value) => match words.choices.get(field.as_str()) {
                    Some(choices) if !value.is_empty() => {
                        ("choice of this field", value, choices.iter().copied().collect())
                    }
                    _ => continue,
                },
            };
            if !known.contains(&name.as_str()) {
                let nearest = Nearest::to(name, known);
                let fault = Fault::Unknown { what, value: name.clone(), nearest };
                self.found.push((file, Spot::Inside(formula.at, mention.at), fault));
            }
        }
    }

    fn unknown(
        &mut self,
        file: usize,
        name: &Placed<String>,
        what: &'static str,
        nearest: Nearest,
    ) {
        // An empty name was missing, and that is a fault already.
        if !name.value.is_empty() {
            self.fault(file, name.at, Fault::Unknown { what, value: name.value.clone(), nearest });
        }
    }

    fn twice(&mut self, file: usize, at: usize, what: &'static str, name: &str, first: String) {
        if !name.is_empty() {
            self.fault(file, at, Fault::Duplicate { what, name: name.to_owned(), first });
        }
    }

    /// The rule of names: a kind, workflow, field, state or step.
    fn name(&mut self, file: usize, name: &str, at: usize) {
        let fits = name.len() <= 32
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !fits && !name.is_empty() {
            self.fault(file, at, Fault::BadName(name.to_owned()));
        }
    }

    /// A name that formulas write after a dot.
    fn word(&mut self, file: usize, name: &str, at: usize) {
        self.name(file, name, at);
        if RESERVED.contains(&name) {
            self.fault(file, at, Fault::Reserved(name.to_owned()));
        }
    }

    /// The rule of codes: a pack or a metric.
    fn code(&mut self, file: usize, code: &str, at: usize) {
        let fits = code.len() <= 32
            && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fits {
            self.fault(file, at, Fault::BadCode(code.to_owned()));
        }
    }
}

/// The words that the formulas of a metric may use: those of its kinds together.
#[derive(Default)]
struct Words<'d> {
    fields: BTreeSet<&'d str>,
    sets: BTreeSet<&'d str>,
    actions: BTreeSet<&'d str>,
    states: BTreeSet<&'d str>,
    choices: BTreeMap<&'d str, BTreeSet<&'d str>>,
    /// Whether a kind names a workflow that is not there, which is a fault already.
    flow_missing: bool,
}

impl<'d> Words<'d> {
    fn of(kinds: &[&'d KindDraft], known: &Known<'d>) -> Self {
        let mut words = Self::default();
        for kind in kinds {
            for draft in &kind.fields {
                let field = &draft.field;
                let place = match field.field_type {
                    FieldType::Set => &mut words.sets,
                    _ => &mut words.fields,
                };
                place.insert(&field.name);
                if field.field_type == FieldType::Choice {
                    let values = field.choices.iter().map(|choice| &*choice.value);
                    words.choices.entry(&field.name).or_default().extend(values);
                }
            }
            let Some(flow) = &kind.workflow else { continue };
            if let Some((_, draft)) = known.workflows.get(&*flow.value) {
                words.actions.extend(draft.workflow.actions.iter().map(|action| &*action.name));
                words.states.extend(draft.workflow.states.iter().map(|state| &*state.name));
            } else {
                words.flow_missing = true;
            }
        }
        words
    }
}
