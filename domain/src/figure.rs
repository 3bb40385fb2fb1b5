//! Figures 数字: what an entry contributes to the metrics, kept in cells, and measured with proof.
//!
//! A cell is the sum of one metric over the entries of one community, grid, period and category.
//! When an entry changes, its old contributions are taken out and its new ones put in, so that the
//! cells equal a recount from scratch, bit for bit. It refuses floating point: every number is a
//! whole number until it is printed.

pub mod closing;
mod measure;
mod period;
mod rows;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;
use smol_str::SmolStr;

pub use self::measure::{By, Coverage, Figure, Query, QueryError, measure, share};
pub use self::period::{InvalidPeriod, Period, Unit};
pub use self::rows::InvalidRow;
pub use self::tally::{CellChange, Tally};

use crate::doc::{Doc, part_of};
use crate::entry::Entry;
use crate::grid;
use crate::id::{CommunityId, EntryId};
use crate::pack::{About, Metric, Registry, Scope, Term};
use crate::workflow::Progress;

/// The field that marks an estimate: ">=" (at least), "~" (about) or "<" (fewer than).
const QUALIFIER_FIELD: &str = "qualifier";

/// Largest amount one term may contribute, either way: ten trillion yuan in 分. Nine thousand of
/// those still fit a cell.
const TERM_MAX: i64 = 1_000_000_000_000_000;

/// Which cell an amount belongs to. The order is that of the encoded rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The metric's id.
    pub metric: SmolStr,
    /// The community whose entry it is.
    pub community: CommunityId,
    /// Which of the community's cells of the metric it is.
    pub slot: Slot,
}

/// Which cell of one metric of one community. The order is that of the encoded rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The bare id of the grid the entry lies in; empty where it lies in none.
    pub grid: SmolStr,
    /// `YYYY-MM-DD`, `YYYY-MM`, `YYYY` or empty, as the metric's grain says.
    pub period: SmolStr,
    /// The category; empty where the metric has none.
    pub category: SmolStr,
}

/// What a cell holds, and what an entry adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount {
    /// The numerator.
    pub num: i64,
    /// The denominator; 0 throughout for a plain sum.
    pub den: i64,
    /// Contributions marked "at least".
    pub at_least: i64,
    /// Contributions marked "about".
    pub about: i64,
    /// Contributions marked "fewer than".
    pub below: i64,
}

impl Amount {
    /// Whether nothing is left.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The sum. It wraps: only so do additions and subtractions in any order cancel exactly.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            num: self.num.wrapping_add(other.num),
            den: self.den.wrapping_add(other.den),
            at_least: self.at_least.wrapping_add(other.at_least),
            about: self.about.wrapping_add(other.about),
            below: self.below.wrapping_add(other.below),
        }
    }

    /// The difference; wraps as [`Self::plus`] does.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            num: self.num.wrapping_sub(other.num),
            den: self.den.wrapping_sub(other.den),
            at_least: self.at_least.wrapping_sub(other.at_least),
            about: self.about.wrapping_sub(other.about),
            below: self.below.wrapping_sub(other.below),
        }
    }
}

/// What one entry adds to the cells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contributions {
    /// Ascending by key, no key twice, no zero amounts.
    cells: Vec<(CellKey, Amount)>,
}

impl Contributions {
    /// Amount by cell, ascending.
    pub fn cells(&self) -> &[(CellKey, Amount)] {
        &self.cells
    }

    /// Whether it adds nothing to any cell.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// From cells in any order, each once.
    fn of(mut cells: Vec<(CellKey, Amount)>) -> Self {
        cells.retain(|(_, amount)| !amount.is_zero());
        cells.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self { cells }
    }
}

impl FromIterator<(CellKey, Amount)> for Contributions {
    /// Amounts of one cell are added up.
    fn from_iter<I: IntoIterator<Item = (CellKey, Amount)>>(cells: I) -> Self {
        let mut sums: BTreeMap<CellKey, Amount> = BTreeMap::new();
        for (key, amount) in cells {
            let sum = sums.entry(key).or_default();
            *sum = sum.plus(amount);
        }
        Self::of(sums.into_iter().collect())
    }
}

/// As much of an entry's open half as its figures are counted from: [`contributions`] and [`refresh`]
/// give the same for it as for the whole entry.
pub fn counted_part(registry: &Registry, id: &EntryId, open: &Doc) -> Entry {
    let reads = registry.reads_of(id.kind());
    let grid = registry.kind(id.kind()).map_or("", |kind| kind.grid.as_str());
    part_of(id, open, |key| {
        key == grid || key == QUALIFIER_FIELD || reads.is_some_and(|reads| reads.touched_by(key))
    })
}

/// What an entry adds to the cells of all metrics that count its kind.
///
/// `progress` is what [`Registry::progress`] says of the entry. An entry of an unknown kind adds
/// nothing.
pub fn contributions(
    registry: &Registry,
    community: &CommunityId,
    entry: &Entry,
    progress: &Progress,
) -> Contributions {
    let metrics = registry.metrics_of(entry.kind());
    weigh(registry, community, entry, progress, metrics, Vec::new())
}

/// As [`contributions`], but metrics that read none of the changed document keys (`field`,
/// `field:item`, `#step`) keep what they had in `old`. `old` must come from the same registry.
pub fn refresh<'k>(
    registry: &Registry,
    community: &CommunityId,
    entry: &Entry,
    progress: &Progress,
    old: &Contributions,
    changed: impl IntoIterator<Item = &'k str>,
) -> Contributions {
    let changed: Vec<&str> = changed.into_iter().collect();
    let grid = registry.kind(entry.kind()).map_or("", |kind| kind.grid.as_str());
    if changed.iter().any(|key| *key == grid || *key == QUALIFIER_FIELD) {
        return contributions(registry, community, entry, progress);
    }
    let touched = |metric: &&Metric| {
        let reads = metric.entry_count().map(|count| &count.reads);
        reads.is_some_and(|reads| changed.iter().any(|key| reads.touched_by(key)))
    };
    let (mut again, mut ids) = (Vec::new(), BTreeSet::new());
    for metric in registry.metrics_of(entry.kind()).filter(touched) {
        ids.insert(metric.id.as_str());
        again.push(metric);
    }
    let kept = |(key, _): &&(CellKey, Amount)| !ids.contains(key.metric.as_str());
    let kept = old.cells.iter().filter(kept).cloned().collect();
    weigh(registry, community, entry, progress, again.into_iter(), kept)
}

/// Adds what these metrics count of the entry.
fn weigh<'m>(
    registry: &Registry,
    community: &CommunityId,
    entry: &Entry,
    progress: &Progress,
    metrics: impl Iterator<Item = &'m Metric>,
    mut cells: Vec<(CellKey, Amount)>,
) -> Contributions {
    let Some(kind) = registry.kind(entry.kind()) else { return Contributions::of(cells) };
    let place = Place {
        community,
        grid: Some(grid::bare(entry.text(&kind.grid)))
            .filter(|grid| !grid.contains('\0'))
            .unwrap_or_default()
            .into(),
        mark: Mark::of(entry.text(QUALIFIER_FIELD)),
    };
    let scope = Scope::new(entry, progress);
    registry.about(&scope, |about| {
        for metric in metrics {
            place.weigh(metric, about, &mut cells);
        }
    });
    Contributions::of(cells)
}

/// What is the same for all cells of one entry.
struct Place<'a> {
    community: &'a CommunityId,
    grid: SmolStr,
    mark: Mark,
}

impl Place<'_> {
    fn weigh(
        &self,
        metric: &Metric,
        about: &About<'_, '_, '_>,
        cells: &mut Vec<(CellKey, Amount)>,
    ) {
        let Some(count) = metric.entry_count() else { return };
        let mut own = Periods::default();
        for term in &count.numerator {
            if let Some((date, value)) = answer(term, about)
                && let Some(period) = count.grain.period_of(&date)
            {
                let amount = own.amount(period);
                amount.num = amount.num.wrapping_add(value);
            }
        }
        for term in count.denominator.iter().flatten() {
            if let Some((date, value)) = answer(term, about)
                && let Some(period) = count.grain.period_of(&date)
            {
                let amount = own.amount(period);
                amount.den = amount.den.wrapping_add(value);
            }
        }
        let mut own = own.0;
        own.retain(|(_, amount)| !amount.is_zero());
        if own.is_empty() {
            return;
        }
        let category = count.category.as_ref().and_then(|formula| formula.words(about));
        let category = SmolStr::from(category.unwrap_or_default());
        let metric = SmolStr::from(metric.id.as_str());
        for (period, amount) in own {
            let key = CellKey {
                metric: metric.clone(),
                community: self.community.clone(),
                slot: Slot { grid: self.grid.clone(), period, category: category.clone() },
            };
            cells.push((key, self.mark.on(amount)));
        }
    }
}

/// What one metric counts of one entry, by period: one or two, seldom more.
#[derive(Default)]
struct Periods(SmallVec<[(SmolStr, Amount); 2]>);

impl Periods {
    fn amount(&mut self, period: &str) -> &mut Amount {
        let at = self.0.iter().position(|(known, _)| known == period).unwrap_or_else(|| {
            self.0.push((SmolStr::new(period), Amount::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// The date and value of a term, if the entry counts.
fn answer(term: &Term, about: &About<'_, '_, '_>) -> Option<(String, i64)> {
    if !term.wanted.holds(about) {
        return None;
    }
    let value = match &term.value {
        Some(formula) => formula.number(about)?,
        None => 1,
    };
    if !(-TERM_MAX..=TERM_MAX).contains(&value) {
        return None;
    }
    let date = match &term.date {
        Some(formula) => formula.words(about)?,
        None => String::new(),
    };
    Some((date, value))
}

/// What the entry's qualifier says of its numbers.
#[derive(Clone, Copy)]
enum Mark {
    Exact,
    AtLeast,
    About,
    Below,
}

impl Mark {
    fn of(qualifier: &str) -> Self {
        match qualifier {
            ">=" | "≥" => Self::AtLeast,
            "~" | "≈" => Self::About,
            "<" => Self::Below,
            _ => Self::Exact,
        }
    }

    fn on(self, mut amount: Amount) -> Amount {
        match self {
            Self::Exact => {}
            Self::AtLeast => amount.at_least = 1,
            Self::About => amount.about = 1,
            Self::Below => amount.below = 1,
        }
        amount
    }
}
