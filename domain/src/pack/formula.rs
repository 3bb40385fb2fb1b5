//! A formula of a pack: one CEL expression, compiled once, evaluated against one entry.
//!
//! It refuses to fail: a formula that cannot be answered for an entry (a field is missing, a text
//! stands where a number should) answers nothing.

mod plain;

use std::fmt;
use std::sync::Arc;

use cel::{Context, ExecutionError, Program};
use jiff::civil::Date;

pub(super) use self::plain::Map;
use self::plain::{Number, Test, Words};
use super::reads::{self, Mention, Reads};
use super::scope::Scope;
use crate::limits::{FORMULA_BYTES_MAX, FORMULA_SIGNS_MAX};

/// The functions that formulas may call, beside the operators and macros of CEL.
pub(super) const FUNCTIONS: [&str; 14] = [
    "bool",
    "contains",
    "day",
    "days_between",
    "double",
    "endsWith",
    "int",
    "month",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "dyn",
];

/// A compiled formula.
pub struct Formula {
    text: String,
    /// For comparison.
    #[cfg(test)]
    program: Program,
    test: Test,
    number: Number,
    words: Words,
    reads: Reads,
    mentions: Vec<Mention>,
}

/// What formulas are asked about: one entry, as the plain forms and as the interpreter see it.
pub(crate) struct About<'a, 'p, 'v> {
    scope: &'a Scope<'a>,
    context: &'a Context<'p, 'v>,
}

/// Refuses a text that could be nested deeper than a stack is high, before anything walks it.
fn bounded(text: &str) -> Result<(), NotAFormula> {
    if text.len() > FORMULA_BYTES_MAX {
        let message = format!("longer than {FORMULA_BYTES_MAX} bytes; split it into several terms");
        return Err(NotAFormula { at: 0, message });
    }
    let signs = |c: &char| ".([{!-+*/%<>=&|?:".contains(*c);
    if text.chars().filter(signs).count() > FORMULA_SIGNS_MAX {
        let message = format!("more than {FORMULA_SIGNS_MAX} signs; split it into several terms");
        return Err(NotAFormula { at: 0, message });
    }
    Ok(())
}

/// Why a text is not a formula, and where, in characters from its start.
pub(super) struct NotAFormula {
    pub(super) at: usize,
    pub(super) message: String,
}

impl Formula {
    /// Compiles a formula.
    pub(super) fn compile(text: &str) -> Result<Self, Vec<NotAFormula>> {
        bounded(text).map_err(|wrong| vec![wrong])?;
        let program = Program::compile(text).map_err(|wrong| {
            let point = |(line, column): (isize, isize)| chars_before(text, line, column);
            wrong
                .errors
                .into_iter()
                .map(|error| NotAFormula { at: point(error.pos), message: error.msg })
                .collect::<Vec<_>>()
        })?;
        let (reads, mentions) = reads::walk(&program);
        let node = program.expression();
        let (test, number, words) = (Test::of(node), Number::of(node), Words::of(node));
        Ok(Self {
            text: text.to_owned(),
            test,
            number,
            words,
            reads,
            mentions,
            #[cfg(test)]
            program,
        })
    }

    /// The formula as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(super) fn mentions(&self) -> &[Mention] {
        &self.mentions
    }

    /// Whether it answers true.
    pub(crate) fn holds(&self, about: &About<'_, '_, '_>) -> bool {
        self.test.answer(about.scope, about.context) == Some(true)
    }

    /// The whole number it answers.
    pub(crate) fn number(&self, about: &About<'_, '_, '_>) -> Option<i64> {
        self.number.answer(about.scope, about.context)
    }

    /// The text it answers.
    pub(crate) fn words(&self, about: &About<'_, '_, '_>) -> Option<String> {
        self.words.answer(about.scope, about.context)
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The root context all formulas share: building one costs as much as forty evaluations.
#[derive(Clone)]
pub(super) struct Root(Arc<Context<'static, 'static>>);

impl Root {
    pub(super) fn new() -> Self {
        let mut root = Context::default();
        let free = "the standard library of CEL has no function of this name";
        root.add_function("day", day).expect(free);
        root.add_function("month", month).expect(free);
        root.add_function("days_between", days_between).expect(free);
        Self(Arc::new(root))
    }

    /// Lends `work` the context of one entry.
    pub(super) fn with<T>(
        &self,
        scope: &Scope<'_>,
        work: impl FnOnce(&About<'_, '_, '_>) -> T,
    ) -> T {
        let root: &Context<'_, '_> = &self.0;
        let mut context = root.new_inner_scope();
        context.set_variable_resolver(scope);
        work(&About { scope, context: &context })
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root")
    }
}

fn day(text: Arc<String>) -> Result<Arc<String>, ExecutionError> {
    date_of(&text)?;
    Ok(Arc::new(text[..10].to_owned()))
}

fn month(text: Arc<String>) -> Result<Arc<String>, ExecutionError> {
    let head = text.get(..7).ok_or_else(|| not_a_date(&text))?;
    date_of(&format!("{head}-01"))?;
    Ok(Arc::new(head.to_owned()))
}

fn days_between(from: Arc<String>, to: Arc<String>) -> Result<i64, ExecutionError> {
    let (from, to) = (date_of(&from)?, date_of(&to)?);
    let span = from.until(to).map_err(|_| not_a_date("days_between"))?;
    Ok(i64::from(span.get_days()))
}

fn date_of(text: &str) -> Result<Date, ExecutionError> {
    let head = text.get(..10).ok_or_else(|| not_a_date(text))?;
    head.parse().map_err(|_| not_a_date(text))
}

fn not_a_date(_: &str) -> ExecutionError {
    ExecutionError::function_error("date", "not a date")
}

/// Characters before line and column (from 1 and 0 or 1, as the parser counts them).
fn chars_before(text: &str, line: isize, column: isize) -> usize {
    let above: usize = text
        .split_inclusive('\n')
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(|line| line.chars().count())
        .sum();
    above + usize::try_from(column - 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::reads::Mentioned;
    use super::*;
    use crate::entry::Entry;
    use crate::value::Value;
    use crate::workflow::Progress;

    /// Asks a formula about one entry that has a bit of everything.
    fn ask<T>(text: &str, answer: impl FnOnce(&Formula, &About<'_, '_, '_>) -> T) -> T {
        let formula = Formula::compile(text).unwrap_or_else(|wrong| panic!("{}", wrong[0].message));
        let fields = [
            ("category", Value::from("照明")),
            ("amount", Value::Int(12)),
            ("done", Value::Bool(true)),
            ("due", Value::from("2026-03-04")),
            ("cleared", Value::Null),
        ];
        let entry = Entry {
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
            sets: [("tags".to_owned(), BTreeSet::from(["red".to_owned(), "blue".to_owned()]))]
                .into(),
            ..Entry::default()
        };
        let dated = |name: &str, at: &str| BTreeMap::from([(name.to_owned(), at.to_owned())]);
        let progress = Progress {
            state: "solved".to_owned(),
            done: dated("solve", "2026-03-01T23:59"),
            entered: dated("solved", "2026-03-01"),
            conflicts: Vec::new(),
        };
        Root::new().with(&Scope::new(&entry, &progress), |about| answer(&formula, about))
    }

    fn holds(text: &str) -> bool {
        ask(text, Formula::holds)
    }

    #[test]
    fn a_formula_sees_fields_sets_state_and_dates() {
        assert!(holds("f.category == '照明' && f.amount > 10 && f.done"));
        assert!(holds("'red' in sets.tags && size(sets.tags) == 2"));
        assert!(holds("state == 'solved' && state in ['draft', 'solved']"));
        assert!(holds("day(at.solve) <= f.due && since[state] == '2026-03-01'"));
        assert!(holds("sets.tags.exists(tag, tag.startsWith('bl'))"));
        assert_eq!(ask("f.amount * 2 + 1", Formula::number), Some(25));
        assert_eq!(ask("f['category'] + '!'", Formula::words).as_deref(), Some("照明!"));
    }

    #[test]
    fn what_is_missing_answers_nothing() {
        for text in ["f.phone == ''", "f.phone != ''", "!(f.phone == '')", "at.accept > ''"] {
            assert!(!holds(text), "{text}");
        }
        assert!(!holds("has(f.phone)") && holds("!has(f.phone)") && holds("has(f.due)"));
        assert!(holds("'due' in f") && !holds("'phone' in f"));
        assert!(!holds("has(f.cleared)"), "a field set to nothing is as good as missing");
        assert_eq!(ask("f.missing", Formula::number), None);
        assert!(holds("f.phone == '' || f.done"), "either side suffices");
    }

    #[test]
    fn a_wrong_type_answers_nothing() {
        assert!(!holds("f.category"));
        assert!(!holds("f.category > 3"));
        assert_eq!(ask("f.category", Formula::number), None);
        assert_eq!(ask("f.amount", Formula::words), None);
        assert_eq!(ask("9223372036854775807 + f.amount", Formula::number), None);
        assert_eq!(ask("f.amount / 0", Formula::number), None);
    }

    #[test]
    fn dates_are_cut_and_counted() {
        let words = |text: &str| ask(text, Formula::words);
        assert_eq!(words("day('2026-03-01T23:59')").as_deref(), Some("2026-03-01"));
        assert_eq!(words("month('2026-03-01')").as_deref(), Some("2026-03"));
        assert_eq!(words("month('2026-03')").as_deref(), Some("2026-03"));
        assert_eq!(words("day('2026-02-30')"), None);
        assert_eq!(words("day('照明照明照明照明')"), None, "cut where a character ends");
        let number = |text: &str| ask(text, Formula::number);
        assert_eq!(number("days_between('2026-02-27', '2026-03-02T08:00')"), Some(3));
        assert_eq!(number("days_between('2026-03-02', '2025-03-02')"), Some(-365));
        assert_eq!(number("days_between('', '2026-03-02')"), None);
    }

    #[test]
    fn what_is_read_is_known_from_the_text() {
        let reads = |text: &str| Formula::compile(text).ok().unwrap().reads().clone();
        let fields = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let of = |names, steps, any_field| Reads { fields: fields(names), steps, any_field };
        assert_eq!(
            reads("has(f.a) && f['b'] == 1 && 'x' in sets.c"),
            of(&["a", "b", "c"], false, false)
        );
        for text in ["at.solve > ''", "has(since.solved)", "state == ''", "'solve' in at"] {
            assert_eq!(reads(text), of(&[], true, false), "{text}");
        }
        assert_eq!(reads("f[state] == ''"), of(&[], true, true));
        assert_eq!(reads("['x'].exists(f, f == 'x')"), of(&[], false, false), "another f");
    }

    #[test]
    fn a_text_that_is_no_formula_says_where() {
        let wrong = Formula::compile("f.a ==").err().unwrap();
        assert!(wrong[0].at >= 5, "{}", wrong[0].at);
        let wrong = Formula::compile("true &&\n  void").err().unwrap();
        assert_eq!(wrong[0].at, 10, "counted across lines");
        let wrong = Formula::compile("f.a == '照明' && void").err().unwrap();
        assert_eq!(wrong[0].at, 15, "counted in characters");
        let wrong = Formula::compile("f.a == '照明' )").err().unwrap();
        assert_eq!(wrong[0].at, 12, "counted in characters");
    }

    #[test]
    fn a_formula_that_is_nested_too_deep_is_refused_before_it_is_walked() {
        for pile in ["1 + ", "!", "-", "(", "size(", "true ? "] {
            for count in [300, 1_500, 10_000] {
                let wrong = Formula::compile(&format!("{}1", pile.repeat(count))).err();
                assert!(wrong.is_some_and(|wrong| wrong[0].message.contains("split")), "{pile}");
            }
        }
        assert!(Formula::compile(&format!("f{} == ''", "[0]".repeat(1_000))).is_err());
        assert!(Formula::compile(&format!("{}1 > 0", "1 + ".repeat(30))).is_ok());
        // Whatever passes must not need more than half a thread's stack: this one would die of it.
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let deep = format!("{}1 > 0", "1 + ".repeat(FORMULA_SIGNS_MAX - 1));
        let made = small.spawn(move || drop(Formula::compile(&deep))).expect("a thread");
        made.join().expect("it ends");
    }

    #[test]
    fn a_mention_is_placed_by_characters() {
        let formula = Formula::compile("f.a == '照明' && wat").ok().unwrap();
        let last = formula.mentions().last().unwrap();
        assert_eq!(last.what, Mentioned::Variable("wat".to_owned()));
        assert_eq!(last.at, 15);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_compiler_panic(
            words in proptest::collection::vec(
                prop_oneof![
                    "[a-z]{1,3}", "[0-9]{1,20}", "[.,:?!()\\[\\]{}<>=&|+*/%'\"`@#-]{1,3}", "\\PC{0,3}",
                    Just("f.a".to_owned()), Just("has(".to_owned()), Just("照明".to_owned()),
                    Just("\\u00".to_owned()), Just(".map(x,".to_owned()), Just("\n".to_owned()),
                ],
                0..12,
            ),
        ) {
            let text = words.concat();
            match Formula::compile(&text) {
                Ok(formula) => prop_assert_eq!(formula.text(), text),
                Err(wrong) => prop_assert!(!wrong.is_empty()),
            }
        }
    }
}
