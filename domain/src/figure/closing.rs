//! Closings 关账: what was reported of a period, and where its figures differ by now.
//!
//! A closing keeps numbers as they were given out, one line for each metric. It refuses to be a
//! total that anything is counted from: a figure is measured from its entries as ever, and only
//! shows the closed number beside its own. Reading never fails; a line that is none is left out.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use super::Figure;
use crate::entry::Entry;
use crate::pack::{Counts, Grain, Metric, Registry};

/// The kind whose entries are closings; the id is the period as written.
pub const KIND: &str = "closing";
/// The field that holds the lines.
pub const FIGURES_FIELD: &str = "figures";

/// What stands for the absent denominator of a plain sum.
const NO_BASE: &str = "-";
/// What stands for an exact number, so that every line has four words. Further words are kept for
/// programs to come.
const EXACT: &str = "=";
const SIGNS: [&str; 3] = ["≥", "≈", "<"];

/// A metric's numbers as they were reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The number, or the upper part of a ratio.
    pub numerator: i64,
    /// The lower part of a ratio.
    pub denominator: Option<i64>,
    /// "", "≥", "≈" or "<".
    pub qualifier: &'static str,
}

/// What was reported of a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closing {
    /// The day it was closed, or corrected.
    pub day: String,
    /// How far the community had been heard then.
    pub as_of: String,
    /// The numbers by metric id.
    pub figures: BTreeMap<String, Reported>,
}

/// The closed number that a figure carries beside its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// The day the period was closed, or corrected.
    pub day: String,
    /// How far the entries had been heard then.
    pub as_of: String,
    /// As reported.
    pub numerator: i64,
    /// As reported.
    pub denominator: Option<i64>,
    /// As reported.
    pub qualifier: &'static str,
    /// The value as people read it; see [`Figure::text`].
    pub text: String,
}

/// A number that is another than was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The metric's id.
    pub metric: String,
    /// As reported; `None` for a metric that was not.
    pub old: Option<Reported>,
    /// As it is now.
    pub new: Reported,
}

impl Reported {
    /// The numbers of a figure.
    pub fn of(figure: &Figure) -> Self {
        let Figure { numerator, denominator, qualifier, .. } = *figure;
        Self { numerator, denominator, qualifier }
    }

    /// Reads the words of a line behind the metric's id.
    fn read<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<Self> {
        let numerator = words.next()?.parse().ok()?;
        let denominator = match words.next()? {
            NO_BASE => None,
            number => Some(number.parse().ok()?),
        };
        let qualifier = match words.next()? {
            EXACT => "",
            word => SIGNS.into_iter().find(|sign| *sign == word)?,
        };
        Some(Self { numerator, denominator, qualifier })
    }

    /// Both together; `None` where one is a ratio and the other is not.
    fn plus(self, other: Self) -> Option<Self> {
        let denominator = match (self.denominator, other.denominator) {
            (Some(left), Some(right)) => Some(left.wrapping_add(right)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        let qualifier = match (self.qualifier, other.qualifier) {
            (left, right) if left == right || right.is_empty() => left,
            ("", right) => right,
            _ => "≈",
        };
        let numerator = self.numerator.wrapping_add(other.numerator);
        Some(Self { numerator, denominator, qualifier })
    }
}

impl fmt::Display for Reported {
    /// `60`, `≥520`, `55/60`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.qualifier, self.numerator)?;
        self.denominator.map_or(Ok(()), |base| write!(f, "/{base}"))
    }
}

impl Closing {
    /// Reads an entry of the kind; `None` if it holds no number.
    pub fn of(entry: &Entry) -> Option<Self> {
        let figures = read_lines(entry.text(FIGURES_FIELD));
        let text = |field: &str| entry.text(field).to_owned();
        (!figures.is_empty()).then(|| Self { day: text("day"), as_of: text("as_of"), figures })
    }

    /// The closings of one period of several communities as one: closed when the last was, and
    /// heard as far as the least. Holds the metrics that all of them have and that add up.
    pub fn together(registry: &Registry, closings: &[Self]) -> Option<Self> {
        let (first, rest) = closings.split_first()?;
        let mut sum = first.clone();
        sum.figures.retain(|id, _| registry.metric(id).is_some_and(adds_up));
        for closing in rest {
            sum.day = sum.day.max(closing.day.clone());
            sum.as_of = sum.as_of.min(closing.as_of.clone());
            let all = std::mem::take(&mut sum.figures).into_iter();
            let both = |(id, left): (String, Reported)| {
                let right = closing.figures.get(&id)?;
                Some((id, left.plus(*right)?))
            };
            sum.figures = all.filter_map(both).collect();
        }
        Some(sum)
    }

    /// Where these numbers differ from the closed ones, by metric id.
    pub fn corrections(&self, now: &BTreeMap<String, Reported>) -> Vec<Correction> {
        let differs = |(id, new): (&String, &Reported)| {
            let old = self.figures.get(id).copied();
            let metric = id.clone();
            (old != Some(*new)).then_some(Correction { metric, old, new: *new })
        };
        now.iter().filter_map(differs).collect()
    }
}

impl Figure {
    /// Puts the closed number beside its own, and marks it late where the two differ.
    pub fn set_beside(&mut self, closing: &Closing) {
        let Some(reported) = closing.figures.get(&self.metric) else { return };
        let Reported { numerator, denominator, qualifier } = *reported;
        self.late = Reported::of(self) != *reported;
        self.closed = Some(Closed {
            day: closing.day.clone(),
            as_of: closing.as_of.clone(),
            numerator,
            denominator,
            qualifier,
            text: self.written(reported),
        });
    }
}

/// Whether a metric's figures are those of a period. One that only knows what is now would make
/// every closed period look late with each new entry.
pub fn is_of_a_period(metric: &Metric) -> bool {
    metric.entry_count().is_none_or(|count| count.grain != Grain::None)
}

/// Whether the figures of communities add up to the figure over all. Months that were met in each
/// do not: another month may be met by all together.
fn adds_up(metric: &Metric) -> bool {
    match metric.counts {
        Counts::Entries(_) => true,
        Counts::MonthsMet { .. } => false,
    }
}

/// One line for each metric: id, numerator, denominator or `-`, and the sign or `=`.
pub fn write_lines(figures: &BTreeMap<String, Reported>) -> String {
    let mut text = String::new();
    for (id, reported) in figures {
        let base = reported.denominator.map_or_else(|| NO_BASE.to_owned(), |base| base.to_string());
        let sign = if reported.qualifier.is_empty() { EXACT } else { reported.qualifier };
        writeln!(text, "{id} {} {base} {sign}", reported.numerator).expect("a string takes all");
    }
    text
}

/// Reads the lines that are some, whatever the others are.
pub fn read_lines(text: &str) -> BTreeMap<String, Reported> {
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let id = words.next()?.to_owned();
        Some((id, Reported::read(words)?))
    };
    text.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::figure::{Coverage, Period, Query, Tally, measure};
    use crate::value::Value;

    fn any_reported() -> impl Strategy<Value = Reported> {
        let sign = prop_oneof![Just(""), Just("≥"), Just("≈"), Just("<")];
        (any::<i64>(), any::<Option<i64>>(), sign).prop_map(
            |(numerator, denominator, qualifier)| Reported { numerator, denominator, qualifier },
        )
    }

    fn any_figures() -> impl Strategy<Value = BTreeMap<String, Reported>> {
        proptest::collection::btree_map("[A-Za-z0-9_-]{1,32}", any_reported(), 0..9)
    }

    fn exact(numerator: i64, denominator: Option<i64>) -> Reported {
        Reported { numerator, denominator, qualifier: "" }
    }

    fn closing(day: &str, as_of: &str, lines: &str) -> Closing {
        Closing { day: day.into(), as_of: as_of.into(), figures: read_lines(lines) }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(figures in any_figures()) {
            prop_assert_eq!(read_lines(&write_lines(&figures)), figures);
        }

        #[test]
        fn any_text_is_read_and_sound_lines_stand_among_the_others(
            figures in any_figures(),
            noise in "(\\PC{0,20}\n){0,4}",
        ) {
            let read = read_lines(&format!("{noise}{}", write_lines(&figures)));
            for (id, reported) in &figures {
                prop_assert_eq!(read.get(id), Some(reported));
            }
            prop_assert!(read.len() <= figures.len() + noise.lines().count());
        }

        #[test]
        fn what_differs_is_listed_and_nothing_else(left in any_figures(), right in any_figures()) {
            let before = Closing { figures: left.clone(), ..Closing::default() };
            prop_assert!(before.corrections(&left).is_empty());
            let mut corrected = left;
            for correction in before.corrections(&right) {
                corrected.insert(correction.metric, correction.new);
            }
            for (id, reported) in &right {
                prop_assert_eq!(corrected.get(id), Some(reported));
            }
        }
    }

    #[test]
    fn a_line_that_is_none_is_left_out() {
        let text = "M01 21 - =\nM02\nM03 1 2\nM04 x - =\nM05 1 y =\nM06 1 - ?\n\n\
                    M07 99999999999999999999 - =\nM08 -3 4 ≥ and more\n数";
        let read = read_lines(text);
        assert_eq!(read.keys().collect::<Vec<_>>(), ["M01", "M08"]);
        assert_eq!(read["M01"], exact(21, None));
        assert_eq!(read["M08"].to_string(), "≥-3/4", "words of programs to come do no harm");
    }

    #[test]
    fn an_entry_without_a_number_closes_nothing() {
        let mut entry = Entry::default();
        entry.fields.insert("day".into(), Value::from("2026-05-01"));
        entry.fields.insert(FIGURES_FIELD.into(), Value::from("nothing here"));
        assert_eq!(Closing::of(&entry), None);
        entry.fields.insert(FIGURES_FIELD.into(), Value::from("M01 1 - =\n"));
        assert_eq!(Closing::of(&entry), Some(closing("2026-05-01", "", "M01 1 - =")));
    }

    #[test]
    fn a_figure_is_late_if_any_part_of_it_differs() {
        let period = Period::parse("2026-03").unwrap();
        let query = Query::new(period, Coverage::default()).metric("M03a");
        let measured = measure(&Registry::builtin(), &Tally::default(), &query).unwrap();
        let beside = |lines: &str| {
            let mut figure = measured[0].clone();
            figure.set_beside(&closing("2026-04-05", "2026-04-04T09:00", lines));
            figure
        };
        let now = Reported::of(&measured[0]);
        assert_eq!(now, exact(0, Some(0)));
        assert_eq!(beside("M01 7 - ="), measured[0], "this metric was not reported");
        let closed = beside("M03a 0 0 =");
        assert_eq!((closed.late, closed.closed.unwrap().text), (false, "—".to_owned()));
        for (lines, text) in
            [("M03a 55 60 =", "91.67%"), ("M03a 0 1 =", "0.00%"), ("M03a 0 0 ≥", "—")]
        {
            let late = beside(lines);
            assert!(late.late, "{lines}");
            assert_eq!(late.closed.unwrap().text, text);
            let before = closing("", "", lines);
            let old = before.figures.get("M03a").copied();
            let listed = before.corrections(&BTreeMap::from([("M03a".to_owned(), now)]));
            assert_eq!(listed, [Correction { metric: "M03a".to_owned(), old, new: now }]);
        }
    }

    #[test]
    fn communities_add_up_where_all_closed_the_metric() {
        let registry = Registry::builtin();
        let one = closing("2026-05-02", "2026-05-02T09:00", "M01 3 - ≥\nM02 1 - =\nM03a 1 2 =");
        let two = closing("2026-05-04", "2026-05-01T09:00", "M01 4 - <\nM03a 2 3 ≥\nM04 1 - =");
        let sum = Closing::together(&registry, &[one.clone(), two]).unwrap();
        assert_eq!((&*sum.day, &*sum.as_of), ("2026-05-04", "2026-05-01T09:00"));
        let texts: Vec<String> =
            sum.figures.iter().map(|(id, reported)| format!("{id} {reported}")).collect();
        assert_eq!(texts, ["M01 ≈7", "M03a ≥3/5"], "at least and fewer together are about");
        assert_eq!(Closing::together(&registry, &[]), None);
        assert_eq!(Closing::together(&registry, std::slice::from_ref(&one)), Some(one));
    }

    #[test]
    fn months_met_do_not_add_up_and_stocks_without_a_date_are_of_no_period() {
        let registry = Registry::builtin();
        let months = registry.metrics().find(|metric| metric.entry_count().is_none()).unwrap();
        let closed = closing("", "", &format!("{} 1 1 =", months.id));
        let sum = Closing::together(&registry, &[closed.clone(), closed]).unwrap();
        assert!(sum.figures.is_empty());
        assert!(is_of_a_period(months));
        assert!(is_of_a_period(registry.metric("M01").unwrap()));
        assert!(!is_of_a_period(registry.metric("M70").unwrap()));
    }
}
