//! The forms that nearly all formulas have, answered without the interpreter.
//!
//! `state in ['a', 'b'] && has(f.due)` is a look at two maps; the interpreter makes values, lists
//! and calls of it. What has another form is left to the interpreter, operand by operand, so that
//! both always answer the same; a property test compares them. It refuses to know more of CEL than
//! its logic: an operand that cannot be answered is outweighed by one that decides alone.

use cel::Context;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use cel::common::types::{CelBool, CelInt, CelString};

use super::super::scope::Scope;
use crate::value::Value;

/// A formula that answers yes or no.
#[derive(Debug)]
pub(super) enum Test {
    Always(bool),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    /// The state is one of these.
    State(Vec<String>),
    Has(Map, String),
    /// The field is a text, and one of these; anything but a text is left to the interpreter.
    FieldIn(String, Vec<String>, IdedExpr),
    /// The field itself, if it is a yes or no.
    Flag(String),
    Other(IdedExpr),
}

/// A formula that answers a text.
#[derive(Debug)]
pub(super) enum Words {
    Of(Map, String),
    Other(IdedExpr),
}

/// A formula that answers a whole number.
#[derive(Debug)]
pub(super) enum Number {
    Literal(i64),
    Field(String),
    /// The field if it is there, else the number.
    FieldOr(String, i64),
    Other(IdedExpr),
}

/// The maps of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Map {
    Fields,
    Sets,
    Done,
    Entered,
}

impl Test {
    pub(super) fn of(node: &IdedExpr) -> Self {
        Self::known(node).unwrap_or_else(|| Self::Other(node.clone()))
    }

    fn known(node: &IdedExpr) -> Option<Self> {
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(flag)) => Some(Self::Always(*flag.inner())),
            Expr::Select(select) if select.test => {
                Some(Self::Has(map_of(&select.operand)?, select.field.clone()))
            }
            Expr::Select(select) => field_of(select).map(|field| Self::Flag(field.to_owned())),
            Expr::Call(call) => Self::call(node, call),
            _ => None,
        }
    }

    fn call(node: &IdedExpr, call: &CallExpr) -> Option<Self> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => {
                Some(Self::All(vec![Self::of(left), Self::of(right)]))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                Some(Self::Any(vec![Self::of(left), Self::of(right)]))
            }
            (operators::LOGICAL_NOT, [inner]) => Some(Self::Not(Box::new(Self::of(inner)))),
            (operators::EQUALS, [left, right]) => Self::one_of(node, left, vec![text_of(right)?]),
            (operators::NOT_EQUALS, [left, right]) => {
                let equal = Self::one_of(node, left, vec![text_of(right)?])?;
                // Of a field that is no text the interpreter answers for `!=` as a whole.
                matches!(equal, Self::State(_)).then(|| Self::Not(Box::new(equal)))
            }
            (operators::IN, [left, right]) => {
                let Expr::List(list) = &right.expr else { return None };
                let texts = list.elements.iter().map(text_of).collect::<Option<_>>()?;
                Self::one_of(node, left, texts)
            }
            _ => None,
        }
    }

    fn one_of(node: &IdedExpr, subject: &IdedExpr, texts: Vec<String>) -> Option<Self> {
        match &subject.expr {
            Expr::Ident(name) if name == "state" => Some(Self::State(texts)),
            Expr::Select(select) if !select.test => {
                Some(Self::FieldIn(field_of(select)?.to_owned(), texts, node.clone()))
            }
            _ => None,
        }
    }

    /// Yes, no, or neither: something is missing or of another type.
    pub(super) fn answer(&self, scope: &Scope<'_>, about: &Context<'_, '_>) -> Option<bool> {
        match self {
            Self::Always(flag) => Some(*flag),
            Self::All(parts) => decided(parts, false, scope, about),
            Self::Any(parts) => decided(parts, true, scope, about),
            Self::Not(inner) => inner.answer(scope, about).map(|flag| !flag),
            Self::State(states) => Some(states.iter().any(|state| state == scope.state())),
            Self::Has(map, key) => Some(scope.has(*map, key)),
            Self::FieldIn(field, texts, node) => match scope.field(field)? {
                Value::Text(text) => Some(texts.iter().any(|one| one == text)),
                _ => interpret(node, about),
            },
            Self::Flag(field) => match scope.field(field)? {
                Value::Bool(flag) => Some(*flag),
                _ => None,
            },
            Self::Other(node) => interpret(node, about),
        }
    }
}

/// An operand that decides does so whatever the others say; else all of them must answer.
fn decided(
    parts: &[Test],
    decides: bool,
    scope: &Scope<'_>,
    about: &Context<'_, '_>,
) -> Option<bool> {
    let mut all = Some(!decides);
    for part in parts {
        match part.answer(scope, about) {
            Some(flag) if flag == decides => return Some(decides),
            Some(_) => {}
            None => all = None,
        }
    }
    all
}

impl Words {
    pub(super) fn of(node: &IdedExpr) -> Self {
        let known = match &node.expr {
            Expr::Select(select) if !select.test => map_of(&select.operand)
                .filter(|map| *map != Map::Sets)
                .map(|map| (map, &select.field)),
            _ => None,
        };
        match known {
            Some((map, key)) => Self::Of(map, key.clone()),
            None => Self::Other(node.clone()),
        }
    }

    pub(super) fn answer(&self, scope: &Scope<'_>, about: &Context<'_, '_>) -> Option<String> {
        match self {
            Self::Of(map, key) => scope.text(*map, key).map(str::to_owned),
            Self::Other(node) => {
                let answer = cel::Value::resolve_val(node, about).ok()?;
                answer.downcast_ref::<CelString>().map(|text| text.inner().to_owned())
            }
        }
    }
}

impl Number {
    pub(super) fn of(node: &IdedExpr) -> Self {
        Self::known(node).unwrap_or_else(|| Self::Other(node.clone()))
    }

    fn known(node: &IdedExpr) -> Option<Self> {
        match &node.expr {
            Expr::Literal(LiteralValue::Int(number)) => Some(Self::Literal(*number.inner())),
            Expr::Select(select) => field_of(select).map(|field| Self::Field(field.to_owned())),
            Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
                let [test, then, otherwise] = call.args.as_slice() else { return None };
                let Some(Test::Has(Map::Fields, field)) = Test::known(test) else { return None };
                let (Some(Self::Field(same)), Some(Self::Literal(number))) =
                    (Self::known(then), Self::known(otherwise))
                else {
                    return None;
                };
                (same == field).then_some(Self::FieldOr(field, number))
            }
            _ => None,
        }
    }

    pub(super) fn answer(&self, scope: &Scope<'_>, about: &Context<'_, '_>) -> Option<i64> {
        let of = |value: &Value| match value {
            Value::Int(_) | Value::Uint(_) => value.as_int(),
            _ => None,
        };
        match self {
            Self::Literal(number) => Some(*number),
            Self::Field(field) => scope.field(field).and_then(of),
            Self::FieldOr(field, number) => match scope.field(field) {
                Some(value) => of(value),
                None => Some(*number),
            },
            Self::Other(node) => {
                let answer = cel::Value::resolve_val(node, about).ok()?;
                answer.downcast_ref::<CelInt>().map(|number| *number.inner())
            }
        }
    }
}

fn interpret(node: &IdedExpr, about: &Context<'_, '_>) -> Option<bool> {
    let answer = cel::Value::resolve_val(node, about).ok()?;
    answer.downcast_ref::<CelBool>().map(|flag| *flag.inner())
}

fn map_of(node: &IdedExpr) -> Option<Map> {
    let Expr::Ident(name) = &node.expr else { return None };
    match name.as_str() {
        "f" => Some(Map::Fields),
        "sets" => Some(Map::Sets),
        "at" => Some(Map::Done),
        "since" => Some(Map::Entered),
        _ => None,
    }
}

/// The field of `f.name`.
fn field_of(select: &SelectExpr) -> Option<&str> {
    let is_field = !select.test && map_of(&select.operand) == Some(Map::Fields);
    is_field.then_some(select.field.as_str())
}

fn text_of(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::{Formula, Root};
    use super::*;
    use crate::entry::Entry;
    use crate::pack::Registry;
    use crate::workflow::Progress;

    /// What the interpreter alone says of the whole formula.
    fn interpreted(
        formula: &Formula,
        about: &Context<'_, '_>,
    ) -> (bool, Option<i64>, Option<String>) {
        let node = formula.program.expression();
        let of = |node| cel::Value::resolve_val(node, about).ok();
        (
            interpret(node, about) == Some(true),
            of(node)
                .and_then(|answer| answer.downcast_ref::<CelInt>().map(|number| *number.inner())),
            of(node).and_then(|answer| {
                answer.downcast_ref::<CelString>().map(|text| text.inner().to_owned())
            }),
        )
    }

    fn assert_same(formula: &Formula, entry: &Entry, progress: &Progress) {
        let scope = Scope::new(entry, progress);
        Root::new().with(&scope, |about| {
            let said = (formula.holds(about), formula.number(about), formula.words(about));
            assert_eq!(
                said,
                interpreted(formula, about.context),
                "{formula:?} of {entry:?} {progress:?}"
            );
        });
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "[ab]{0,1}".prop_map(Value::from),
            (-2_i64..3).prop_map(Value::Int),
            (0_u64..3).prop_map(Value::Uint),
            Just(Value::Uint(u64::MAX)),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Float(1.0)),
            Just(Value::Null),
        ]
    }

    fn any_name() -> impl Strategy<Value = String> {
        proptest::sample::select(&NAMES[..]).prop_map(str::to_owned)
    }

    fn any_entry() -> impl Strategy<Value = (Entry, Progress)> {
        let dates = || proptest::collection::btree_map(any_name(), "[ab]{0,1}", 0..3);
        let set = proptest::collection::btree_set("[ab]", 0..2);
        let fields = proptest::collection::btree_map(any_name(), any_value(), 0..4);
        let sets = proptest::collection::btree_map(any_name(), set, 0..3);
        (fields, sets, any_name(), dates(), dates()).prop_map(
            |(fields, sets, state, done, entered)| {
                let sets: BTreeMap<String, BTreeSet<String>> = sets;
                let entry = Entry { fields, sets, ..Entry::default() };
                (entry, Progress { state, done, entered, conflicts: Vec::new() })
            },
        )
    }

    fn any_formula() -> impl Strategy<Value = String> {
        let leaf =
            (0..16_usize, any_name(), any_name(), -2_i64..3).prop_map(
                |(form, a, b, n)| match form {
                    0 => format!("state == '{a}'"),
                    1 => format!("state != '{a}'"),
                    2 => format!("state in ['{a}', '{b}']"),
                    3 => format!("has(f.{a})"),
                    4 => format!("has(at.{a})"),
                    5 => format!("has(since.{a}) && has(sets.{b})"),
                    6 => format!("f.{a} == '{b}'"),
                    7 => format!("f.{a} != '{b}'"),
                    8 => format!("f.{a} in ['{a}', '{b}']"),
                    9 => format!("f.{a}"),
                    10 => format!("at.{a} == since.{b}"),
                    11 => format!("f.{a} > {n}"),
                    12 => format!("'{a}' in sets.{b}"),
                    13 => format!("has(f.{a}) ? f.{a} : {n}"),
                    14 => format!("[{n}].exists(f, f == {n})"),
                    _ => format!("since.{a}"),
                },
            );
        leaf.prop_recursive(3, 12, 2, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                pair.clone().prop_map(|(a, b)| format!("({a}) && ({b})")),
                pair.prop_map(|(a, b)| format!("({a}) || ({b})")),
                inner.prop_map(|a| format!("!({a})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        #[test]
        fn it_answers_as_the_interpreter_does(
            text in any_formula(),
            (entry, progress) in any_entry(),
        ) {
            let Ok(formula) = Formula::compile(&text) else {
                return Err(TestCaseError::fail(format!("`{text}` does not compile")));
            };
            assert_same(&formula, &entry, &progress);
        }
    }

    /// The formulas of the packs, over entries that have some of what they ask for.
    #[test]
    fn the_packs_are_answered_as_the_interpreter_does() {
        let registry = Registry::builtin();
        let mut asked = 0;
        for metric in registry.metrics() {
            let Some(count) = metric.entry_count() else { continue };
            for kind in count.kinds.iter().filter_map(|kind| registry.kind(kind)) {
                let states: Vec<String> = kind.workflow.as_ref().map_or_else(
                    || vec![String::new()],
                    |flow| flow.states.iter().map(|state| state.name.clone()).collect(),
                );
                for (at, state) in states.iter().enumerate() {
                    let mut entry = Entry::default();
                    for (nth, field) in
                        kind.fields.iter().enumerate().filter(|(nth, _)| nth % 3 != at % 3)
                    {
                        let choice = field.choices.get((at + nth) % field.choices.len().max(1));
                        let value = match choice {
                            Some(choice) => Value::from(choice.value.as_str()),
                            None if nth % 2 == 0 => Value::from("2026-03-06"),
                            None => Value::Int(nth as i64),
                        };
                        entry.fields.insert(field.name.clone(), value);
                    }
                    let dated = |names: Vec<&String>| {
                        let dates =
                            names.into_iter().enumerate().filter(|(nth, _)| nth % 2 == at % 2);
                        dates.map(|(_, name)| (name.clone(), "2026-03-05".to_owned())).collect()
                    };
                    let actions = kind.workflow.iter().flat_map(|flow| &flow.actions);
                    let progress = Progress {
                        state: state.clone(),
                        done: dated(actions.map(|action| &action.name).collect()),
                        entered: dated(states.iter().collect()),
                        conflicts: Vec::new(),
                    };
                    for term in count.numerator.iter().chain(count.denominator.iter().flatten()) {
                        let formulas =
                            [Some(&term.wanted), term.date.as_ref(), term.value.as_ref()];
                        for formula in formulas.into_iter().flatten().chain(&count.category) {
                            assert_same(formula, &entry, &progress);
                            asked += 1;
                        }
                    }
                }
            }
        }
        assert!(asked > 1_000, "{asked}");
    }
}
