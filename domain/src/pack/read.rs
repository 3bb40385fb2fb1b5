//! One pack file, read into drafts whose references are not yet followed.

use toml::de::DeTable;

use super::fault::{Fault, Nearest};
use super::formula::Formula;
use super::kind::{Choice, Class, Field, FieldType, Label};
use super::metric::{Grain, Term};
use super::source::{Part, Placed, Source};
use crate::workflow::{Action, State, Workflow};

/// A file's content, with the places of all names that refer to something.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) name: Placed<String>,
    pub(super) version: i64,
    pub(super) label: Label,
    pub(super) source: String,
    pub(super) kinds: Vec<KindDraft>,
    pub(super) workflows: Vec<WorkflowDraft>,
    pub(super) metrics: Vec<MetricDraft>,
}

pub(super) struct KindDraft {
    pub(super) name: Placed<String>,
    pub(super) ledger: Option<String>,
    pub(super) label: Label,
    pub(super) id: IdDraft,
    pub(super) sealed: bool,
    pub(super) grid: Option<Placed<String>>,
    pub(super) fields: Vec<FieldDraft>,
    pub(super) workflow: Option<Placed<String>>,
}

pub(super) enum IdDraft {
    Ulid,
    From(Vec<Placed<String>>),
    Keyed(Vec<Placed<String>>),
}

pub(super) struct FieldDraft {
    pub(super) field: Field,
    pub(super) at: usize,
    pub(super) of: Option<Placed<String>>,
}

pub(super) struct WorkflowDraft {
    pub(super) workflow: Workflow,
    pub(super) at: usize,
    pub(super) initial_at: usize,
    /// Per state, where its name stands.
    pub(super) states_at: Vec<usize>,
    /// Per action, where its name and the states it leads from and to stand.
    pub(super) actions_at: Vec<ActionPlaces>,
}

pub(super) struct ActionPlaces {
    pub(super) name: usize,
    pub(super) from: Vec<usize>,
    pub(super) to: usize,
}

pub(super) struct MetricDraft {
    pub(super) id: Placed<String>,
    pub(super) name: Label,
    pub(super) unit: String,
    pub(super) percent: bool,
    pub(super) accumulate: bool,
    pub(super) base: Option<Label>,
    pub(super) counts: CountsDraft,
}

pub(super) enum CountsDraft {
    Entries(Box<EntriesDraft>),
    MonthsMet { metric: Placed<String>, at_least: i64 },
}

pub(super) struct EntriesDraft {
    pub(super) kinds: Vec<Placed<String>>,
    pub(super) grain: Grain,
    pub(super) numerator: Vec<TermDraft>,
    pub(super) denominator: Option<Vec<TermDraft>>,
    pub(super) category: Option<Placed<Formula>>,
}

impl EntriesDraft {
    pub(super) fn formulas(&self) -> impl Iterator<Item = &Placed<Formula>> {
        let terms = self.numerator.iter().chain(self.denominator.iter().flatten());
        terms.flat_map(TermDraft::formulas).chain(&self.category)
    }
}

/// A term; a formula that did not compile is `None` and stands in the list of faults.
pub(super) struct TermDraft {
    pub(super) wanted: Option<Placed<Formula>>,
    pub(super) date: Option<Placed<Formula>>,
    pub(super) value: Option<Placed<Formula>>,
}

impl TermDraft {
    pub(super) fn formulas(&self) -> impl Iterator<Item = &Placed<Formula>> {
        [&self.wanted, &self.date, &self.value].into_iter().flatten()
    }

    /// The term, where all its formulas compiled.
    pub(super) fn settle(self) -> Option<Term> {
        Some(Term {
            wanted: self.wanted?.value,
            date: self.date.map(|formula| formula.value),
            value: self.value.map(|formula| formula.value),
        })
    }
}

/// Reads a file; what is wrong stands in the source's list of faults.
pub(super) fn read(source: &mut Source<'_>, text: &str) -> Draft {
    let (parsed, wrong) = DeTable::parse_recoverable(text);
    if !wrong.is_empty() {
        for error in wrong {
            let at = error.span().map_or(0, |span| span.start);
            source.fault(at, Fault::Toml(error.message().to_owned()));
        }
        return Draft::default();
    }
    let root = Part::root(&parsed);
    source.only(root, &["pack", "version", "label", "source", "kind", "workflow", "metric"]);
    let version = source.number(root, "version").unwrap_or(Placed { value: 1, at: 0 });
    if version.value < 1 {
        source.fault(version.at, Fault::OutOfRange { key: "version", wanted: "1 or more" });
    }
    let kinds = source.parts(root, "kind", "a kind");
    let workflows = source.parts(root, "workflow", "a workflow");
    let metrics = source.parts(root, "metric", "a metric");
    Draft {
        name: source.text(root, "pack"),
        version: version.value,
        label: label(source, root, "label"),
        source: source.opt_text(root, "source").map(|text| text.value).unwrap_or_default(),
        kinds: kinds.into_iter().map(|part| kind(source, part)).collect(),
        workflows: workflows.into_iter().map(|part| workflow(source, part)).collect(),
        metrics: metrics.into_iter().map(|part| metric(source, part)).collect(),
    }
}

fn kind(source: &mut Source<'_>, part: Part<'_>) -> KindDraft {
    source.only(part, &["name", "ledger", "label", "id", "sealed", "grid", "fields", "workflow"]);
    let fields = source.parts(part, "fields", "a field");
    KindDraft {
        name: source.text(part, "name"),
        ledger: source.opt_text(part, "ledger").map(|text| text.value),
        label: label(source, part, "label"),
        id: id_rule(source, part),
        sealed: source.flag(part, "sealed"),
        grid: source.opt_text(part, "grid"),
        fields: fields.into_iter().map(|part| field(source, part)).collect(),
        workflow: source.opt_text(part, "workflow"),
    }
}

fn id_rule(source: &mut Source<'_>, part: Part<'_>) -> IdDraft {
    if !part.is_part("id") {
        let rule = source.text(part, "id");
        if rule.value != "ulid" && !rule.value.is_empty() {
            let nearest = Nearest::to(&rule.value, ["ulid"]);
            let what = "rule for ids (\"ulid\", { from = [..] } or { keyed = [..] })";
            source.fault(rule.at, Fault::Unknown { what, value: rule.value, nearest });
        }
        return IdDraft::Ulid;
    }
    let Some(rule) = source.opt_part(part, "id", "an id rule") else { return IdDraft::Ulid };
    source.only(rule, &["from", "keyed"]);
    if rule.has("keyed") {
        if rule.has("from") {
            let why = "an id is either derived openly or keyed";
            source.fault(rule.place_of("from"), Fault::OutOfPlace { key: "from", why });
        }
        IdDraft::Keyed(source.texts(rule, "keyed"))
    } else {
        IdDraft::From(source.texts(rule, "from"))
    }
}

const FIELD_TYPES: [(&str, FieldType); 9] = [
    ("text", FieldType::Text),
    ("int", FieldType::Int),
    ("money", FieldType::Money),
    ("date", FieldType::Date),
    ("datetime", FieldType::Datetime),
    ("bool", FieldType::Bool),
    ("choice", FieldType::Choice),
    ("entry", FieldType::Entry),
    ("set", FieldType::Set),
];

const CLASSES: [(&str, Class); 4] =
    [("C0", Class::C0), ("C1", Class::C1), ("C2", Class::C2), ("C3", Class::C3)];

const GRAINS: [(&str, Grain); 4] =
    [("day", Grain::Day), ("month", Grain::Month), ("year", Grain::Year), ("none", Grain::None)];

fn field(source: &mut Source<'_>, part: Part<'_>) -> FieldDraft {
    source.only(part, &["name", "type", "class", "label", "required", "search", "choices", "of"]);
    let name = source.text(part, "name");
    let field_type = source.text(part, "type");
    let field_type = one_of(source, &field_type, "field type", &FIELD_TYPES, FieldType::Text);
    let class = source.text(part, "class");
    let choices = source.parts(part, "choices", "a choice");
    let of = source.opt_text(part, "of");
    if let Some(of) = &of
        && !matches!(field_type, FieldType::Entry | FieldType::Set)
    {
        let why = "only an entry field or a set points to a kind";
        source.fault(of.at, Fault::OutOfPlace { key: "of", why });
    }
    if field_type == FieldType::Choice && choices.is_empty() {
        source.fault(part.at, Fault::MissingKey { table: "a choice field", key: "choices" });
    }
    if !choices.is_empty() && !matches!(field_type, FieldType::Choice | FieldType::Set) {
        let why = "only a choice or a set has choices";
        source.fault(part.place_of("choices"), Fault::OutOfPlace { key: "choices", why });
    }
    let choices = choices
        .into_iter()
        .map(|part| {
            source.only(part, &["value", "zh", "en"]);
            Choice { value: source.text(part, "value").value, label: words(source, part) }
        })
        .collect();
    FieldDraft {
        at: name.at,
        field: Field {
            name: name.value,
            field_type,
            class: one_of(source, &class, "class", &CLASSES, Class::C2),
            label: label(source, part, "label"),
            required: source.flag(part, "required"),
            search: source.flag(part, "search"),
            choices,
            of: of.as_ref().map(|of| of.value.clone()),
        },
        of,
    }
}

fn workflow(source: &mut Source<'_>, part: Part<'_>) -> WorkflowDraft {
    source.only(part, &["name", "label", "initial", "states", "steps"]);
    let name = source.text(part, "name");
    let initial = source.text(part, "initial");
    for key in ["states", "steps"] {
        if !part.has(key) {
            source.fault(part.at, Fault::MissingKey { table: "a workflow", key });
        }
    }
    let (mut states, mut states_at) = (Vec::new(), Vec::new());
    for part in source.parts(part, "states", "a state") {
        source.only(part, &["name", "zh", "en", "end"]);
        let name = source.text(part, "name");
        states_at.push(name.at);
        let label = words(source, part);
        states.push(State { name: name.value, label, end: source.flag(part, "end") });
    }
    let (mut actions, mut actions_at) = (Vec::new(), Vec::new());
    for part in source.parts(part, "steps", "a step") {
        let (action, places) = action(source, part);
        actions.push(action);
        actions_at.push(places);
    }
    let label = label(source, part, "label");
    WorkflowDraft {
        at: name.at,
        initial_at: initial.at,
        workflow: Workflow { name: name.value, label, initial: initial.value, states, actions },
        states_at,
        actions_at,
    }
}

fn action(source: &mut Source<'_>, part: Part<'_>) -> (Action, ActionPlaces) {
    source.only(part, &["action", "from", "to", "zh", "en", "note_class"]);
    let name = source.text(part, "action");
    let from = source.texts(part, "from");
    let to = source.text(part, "to");
    let note_class = match source.opt_text(part, "note_class") {
        Some(class) => one_of(source, &class, "class", &CLASSES, Class::C2),
        None => Class::C2,
    };
    let places = ActionPlaces {
        name: name.at,
        from: from.iter().map(|state| state.at).collect(),
        to: to.at,
    };
    let action = Action {
        name: name.value,
        label: words(source, part),
        from: from.into_iter().map(|state| state.value).collect(),
        to: (to.value != "=").then_some(to.value),
        note_class,
    };
    (action, places)
}

fn metric(source: &mut Source<'_>, part: Part<'_>) -> MetricDraft {
    let shared = ["id", "name", "unit", "percent", "base"];
    let counts = if part.has("months_met") {
        source.only(part, &[&shared[..], &["months_met", "period"]].concat());
        months_met(source, part)
    } else {
        let own =
            ["kinds", "period", "numerator", "denominator", "category", "accumulate", "months_met"];
        source.only(part, &[&shared[..], &own].concat());
        entries(source, part)
    };
    let base = part.has("base").then(|| label(source, part, "base"));
    let is_ratio = part.has("denominator") || part.has("months_met");
    if part.has("denominator") && base.is_none() {
        source.fault(
            part.at,
            Fault::MissingKey { table: "a metric with a denominator", key: "base" },
        );
    }
    for key in ["base", "percent"] {
        if part.has(key) && !is_ratio {
            let why = "a plain sum has no denominator";
            source.fault(part.place_of(key), Fault::OutOfPlace { key, why });
        }
    }
    MetricDraft {
        id: source.text(part, "id"),
        name: label(source, part, "name"),
        unit: source.text(part, "unit").value,
        percent: source.flag(part, "percent"),
        accumulate: source.flag(part, "accumulate"),
        base,
        counts,
    }
}

fn months_met(source: &mut Source<'_>, part: Part<'_>) -> CountsDraft {
    let Some(rule) = source.opt_part(part, "months_met", "months_met") else {
        return CountsDraft::MonthsMet { metric: Placed::default(), at_least: 1 };
    };
    source.only(rule, &["metric", "at_least"]);
    if let Some(period) = source.opt_text(part, "period")
        && period.value != "month"
    {
        source.fault(period.at, Fault::OutOfRange { key: "period", wanted: "\"month\"" });
    }
    let at_least = source.number(rule, "at_least").map_or(1, |number| number.value);
    CountsDraft::MonthsMet { metric: source.text(rule, "metric"), at_least }
}

fn entries(source: &mut Source<'_>, part: Part<'_>) -> CountsDraft {
    let kinds = source.texts(part, "kinds");
    let grain = source.text(part, "period");
    let grain = one_of(source, &grain, "period", &GRAINS, Grain::Day);
    if !part.has("numerator") {
        source.fault(part.at, Fault::MissingKey { table: "a metric", key: "numerator" });
    }
    let numerator = terms(source, part, "numerator", grain);
    let denominator = part.has("denominator").then(|| terms(source, part, "denominator", grain));
    let category = formula(source, part, "category");
    CountsDraft::Entries(Box::new(EntriesDraft { kinds, grain, numerator, denominator, category }))
}

fn terms(
    source: &mut Source<'_>,
    part: Part<'_>,
    key: &'static str,
    grain: Grain,
) -> Vec<TermDraft> {
    let mut terms = Vec::new();
    for part in source.parts(part, key, "a term") {
        source.only(part, &["where", "date", "value"]);
        if grain == Grain::None && part.has("date") {
            let why = "the period is \"none\"";
            source.fault(part.place_of("date"), Fault::OutOfPlace { key: "date", why });
        }
        if grain != Grain::None && !part.has("date") {
            source.fault(part.at, Fault::MissingKey { table: "a term with a period", key: "date" });
        }
        terms.push(TermDraft {
            wanted: required_formula(source, part, "where"),
            date: formula(source, part, "date"),
            value: formula(source, part, "value"),
        });
    }
    terms
}

fn required_formula(
    source: &mut Source<'_>,
    part: Part<'_>,
    key: &'static str,
) -> Option<Placed<Formula>> {
    if !part.has(key) {
        source.fault(part.at, Fault::MissingKey { table: part.what, key });
    }
    formula(source, part, key)
}

fn formula(source: &mut Source<'_>, part: Part<'_>, key: &'static str) -> Option<Placed<Formula>> {
    let text = source.opt_text(part, key)?;
    match Formula::compile(&text.value) {
        Ok(formula) => Some(Placed { value: formula, at: text.at }),
        Err(wrong) => {
            for fault in wrong {
                let at = source.inside(text.at, fault.at);
                source.fault(at, Fault::Formula(fault.message));
            }
            None
        }
    }
}

fn label(source: &mut Source<'_>, part: Part<'_>, key: &'static str) -> Label {
    if !part.has(key) {
        source.fault(part.at, Fault::MissingKey { table: part.what, key });
        return Label::default();
    }
    let Some(part) = source.opt_part(part, key, "a label") else { return Label::default() };
    source.only(part, &["zh", "en"]);
    words(source, part)
}

fn words(source: &mut Source<'_>, part: Part<'_>) -> Label {
    Label { zh: source.text(part, "zh").value, en: source.text(part, "en").value }
}

fn one_of<T: Copy>(
    source: &mut Source<'_>,
    text: &Placed<String>,
    what: &'static str,
    known: &[(&'static str, T)],
    otherwise: T,
) -> T {
    if let Some((_, value)) = known.iter().find(|(word, _)| *word == text.value) {
        return *value;
    }
    if !text.value.is_empty() {
        let nearest = Nearest::to(&text.value, known.iter().map(|(word, _)| *word));
        source.fault(text.at, Fault::Unknown { what, value: text.value.clone(), nearest });
    }
    otherwise
}
