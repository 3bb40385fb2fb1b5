//! A metric 指标: what is counted, over which base, and a hash that pins its meaning.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::formula::Formula;
use super::kind::{Kind, Label};
use super::reads::Reads;

/// A metric as its pack defines it.
#[derive(Debug)]
pub struct Metric {
    /// Its id, such as `M01`.
    pub id: String,
    /// The pack that defines it.
    pub pack: String,
    /// Its name for people.
    pub name: Label,
    /// What is counted, such as 件.
    pub unit: String,
    /// How it is counted.
    pub counts: Counts,
    /// Whether a figure is printed in percent.
    pub percent: bool,
    /// Whether it is a stock: the figure of a period sums all cells up to its end.
    pub accumulate: bool,
    /// What a ratio is measured against.
    pub base: Option<Label>,
    /// Whether it reads what only the community may read; a hub does not keep such a metric.
    pub sealed: bool,
    /// Pins its meaning.
    pub definition: DefinitionHash,
}

/// How a metric is counted.
#[derive(Debug)]
pub enum Counts {
    /// A sum over entries.
    Entries(Box<EntryCount>),
    /// Months in which another metric reached a number, of all months.
    MonthsMet {
        /// The other metric.
        metric: String,
        /// The number.
        at_least: i64,
    },
}

/// A sum over entries, kept in cells of one period each.
#[derive(Debug)]
pub struct EntryCount {
    /// The kinds whose entries count.
    pub kinds: Vec<String>,
    /// How long the period of a cell is.
    pub grain: Grain,
    /// What is added up.
    pub numerator: Vec<Term>,
    /// What it is measured against; `None` for a plain sum.
    pub denominator: Option<Vec<Term>>,
    /// What the cells are broken down by.
    pub category: Option<Formula>,
    /// What the formulas read, together.
    pub reads: Reads,
}

/// One summand of a metric.
#[derive(Debug)]
pub struct Term {
    /// Which entries count.
    pub wanted: Formula,
    /// The business date they count at; `None` where cells have no period.
    pub date: Option<Formula>,
    /// How much each counts; 1 where `None`.
    pub value: Option<Formula>,
}

/// The period of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// `YYYY-MM-DD`.
    Day,
    /// `YYYY-MM`.
    Month,
    /// `YYYY`.
    Year,
    /// The empty period: what is, without a date.
    None,
}

impl Grain {
    /// The period that a date falls into, or `None` if the text is no such date.
    pub fn period_of(self, date: &str) -> Option<&str> {
        let (end, rest) = match self {
            Self::Day => (10, ""),
            Self::Month => (7, "-01"),
            Self::Year => (4, "-01-01"),
            Self::None => return Some(""),
        };
        let head = date.get(..end)?;
        is_day(head.as_bytes(), rest.as_bytes()).then_some(head)
    }
}

/// Whether the two halves of `YYYY-MM-DD` name a day of the calendar.
fn is_day(head: &[u8], rest: &[u8]) -> bool {
    let mut digits = [0_i16; 8];
    let mut filled = 0;
    for (at, byte) in head.iter().chain(rest).enumerate() {
        match (at, byte) {
            (4 | 7, b'-') => {}
            (4 | 7, _) => return false,
            (_, b'0'..=b'9') => {
                digits[filled] = i16::from(byte - b'0');
                filled += 1;
            }
            _ => return false,
        }
    }
    let number = |from: usize, to: usize| digits[from..to].iter().fold(0, |n, d| n * 10 + d);
    filled == 8 && Date::new(number(0, 4), number(4, 6) as i8, number(6, 8) as i8).is_ok()
}

/// SHA-256 over all that a figure of a metric depends on, the workflows of its kinds included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DefinitionHash(pub [u8; 32]);

impl fmt::Display for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Metric {
    /// Whether its figures have a denominator.
    pub fn is_ratio(&self) -> bool {
        match &self.counts {
            Counts::Entries(count) => count.denominator.is_some(),
            Counts::MonthsMet { .. } => true,
        }
    }

    /// The count over entries, unless it is derived from another metric.
    pub fn entry_count(&self) -> Option<&EntryCount> {
        match &self.counts {
            Counts::Entries(count) => Some(count),
            Counts::MonthsMet { .. } => None,
        }
    }

    /// Hashes the canonical form: JSON with the keys in the order written here.
    pub(super) fn hash(&self, kinds: &BTreeMap<String, std::sync::Arc<Kind>>) -> DefinitionHash {
        let form = CanonicalMetric {
            id: &self.id,
            name: &self.name,
            unit: &self.unit,
            percent: self.percent,
            accumulate: self.accumulate,
            base: self.base.as_ref(),
            counts: match &self.counts {
                Counts::MonthsMet { metric, at_least } => {
                    CanonicalCounts::MonthsMet { metric, at_least: *at_least }
                }
                Counts::Entries(count) => CanonicalCounts::Entries {
                    grain: count.grain,
                    numerator: count.numerator.iter().map(CanonicalTerm::of).collect(),
                    denominator: count
                        .denominator
                        .as_ref()
                        .map(|terms| terms.iter().map(CanonicalTerm::of).collect()),
                    category: count.category.as_ref().map(Formula::text),
                    kinds: count
                        .kinds
                        .iter()
                        .filter_map(|name| kinds.get(name))
                        .map(|kind| CanonicalKind {
                            name: &kind.name,
                            grid: &kind.grid,
                            initial: kind.workflow.as_ref().map_or("", |flow| &flow.initial),
                            moves: kind
                                .workflow
                                .iter()
                                .flat_map(|flow| &flow.actions)
                                .map(|action| (&*action.name, &*action.from, action.to.as_deref()))
                                .collect(),
                        })
                        .collect(),
                },
            },
        };
        let text = serde_json::to_vec(&form).expect("strings, numbers and lists are always JSON");
        DefinitionHash(Sha256::digest(text).into())
    }
}

#[derive(Serialize)]
struct CanonicalMetric<'a> {
    id: &'a str,
    name: &'a Label,
    unit: &'a str,
    percent: bool,
    accumulate: bool,
    base: Option<&'a Label>,
    counts: CanonicalCounts<'a>,
}

#[derive(Serialize)]
enum CanonicalCounts<'a> {
    Entries {
        grain: Grain,
        numerator: Vec<CanonicalTerm<'a>>,
        denominator: Option<Vec<CanonicalTerm<'a>>>,
        category: Option<&'a str>,
        kinds: Vec<CanonicalKind<'a>>,
    },
    MonthsMet {
        metric: &'a str,
        at_least: i64,
    },
}

#[derive(Serialize)]
struct CanonicalTerm<'a> {
    wanted: &'a str,
    date: Option<&'a str>,
    value: Option<&'a str>,
}

impl<'a> CanonicalTerm<'a> {
    fn of(term: &'a Term) -> Self {
        Self {
            wanted: term.wanted.text(),
            date: term.date.as_ref().map(Formula::text),
            value: term.value.as_ref().map(Formula::text),
        }
    }
}

#[derive(Serialize)]
struct CanonicalKind<'a> {
    name: &'a str,
    grid: &'a str,
    initial: &'a str,
    moves: Vec<(&'a str, &'a [String], Option<&'a str>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_falls_into_its_period_and_other_texts_into_none() {
        assert_eq!(Grain::Day.period_of("2026-02-28T09:00"), Some("2026-02-28"));
        assert_eq!(Grain::Day.period_of("2026-02-29"), None);
        assert_eq!(Grain::Day.period_of("2026-02"), None);
        assert_eq!(Grain::Month.period_of("2026-02"), Some("2026-02"));
        assert_eq!(Grain::Month.period_of("2026-13-01"), None);
        assert_eq!(Grain::Year.period_of("2026-02-28"), Some("2026"));
        assert_eq!(Grain::Year.period_of("明年二月"), None);
        assert_eq!(Grain::None.period_of("whenever"), Some(""));
    }
}
