//! Asking for figures: cells in, a number with its proof out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::closing::{Closed, Reported};
use super::period::{Period, Unit, months};
use super::{Amount, Contributions, Slot, Tally};
use crate::grid::Patch;
use crate::id::CommunityId;
use crate::pack::{Counts, Grain, Label, Metric, Nearest, Registry};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// Metric ids; empty for all that can answer.
    pub metrics: Vec<String>,
    /// One community, or all.
    pub community: Option<CommunityId>,
    /// One grid with everything below it, or all; needs a community.
    pub grid: Option<Patch>,
    /// The stretch of days.
    pub period: Period,
    /// One category, or all.
    pub category: Option<String>,
    /// Breaks each figure down.
    pub by: Option<By>,
    /// What the caller knows of the cells' completeness.
    pub coverage: Coverage,
}

/// What a figure is broken down by. Only values that occur give a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// One figure per community.
    Community,
    /// One figure per grid that entries name, without what lies below it.
    Grid,
    /// One figure per category.
    Category,
    /// One figure per day, month, quarter or year.
    Period(Unit),
}

/// How complete the cells are, as the caller knows it.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Communities whose entries are in the cells.
    pub communities_included: u32,
    /// Communities that should be.
    pub communities_expected: u32,
    /// The oldest moment the cells may be from: `YYYY-MM-DDTHH:MM` or as the caller writes it.
    /// Its first ten characters bound the months that a months-met figure counts.
    pub as_of: String,
    /// Space to the digest the cells were computed from.
    pub digests: BTreeMap<String, String>,
}

impl Query {
    /// All metrics of all communities over a period.
    pub fn new(period: Period, coverage: Coverage) -> Self {
        Self {
            metrics: Vec::new(),
            community: None,
            grid: None,
            period,
            category: None,
            by: None,
            coverage,
        }
    }

    /// Only this metric.
    #[must_use]
    pub fn metric(mut self, id: &str) -> Self {
        self.metrics = vec![id.to_owned()];
        self
    }

    /// Only this community.
    #[must_use]
    pub fn community(mut self, id: CommunityId) -> Self {
        self.community = Some(id);
        self
    }

    /// Whether a cell of a metric is summed into the figure.
    fn takes(&self, metric: &Metric, community: &CommunityId, slot: &Slot) -> bool {
        let in_period = if metric.accumulate {
            self.period.reaches(&slot.period)
        } else {
            self.period.takes(&slot.period)
        };
        in_period && self.takes_place(community, slot)
    }

    fn takes_place(&self, community: &CommunityId, slot: &Slot) -> bool {
        self.community.as_ref().is_none_or(|id| id == community)
            && self.grid.as_ref().is_none_or(|patch| patch.within.contains(slot.grid.as_str()))
            && self.category.as_ref().is_none_or(|category| *category == slot.category)
    }
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No such metric among the packs in force.
    #[error("no metric `{id}` among the packs in force{nearest}")]
    UnknownMetric {
        /// As asked.
        id: String,
        /// What was probably meant.
        nearest: Nearest,
    },
    /// The metric is kept by month or year, and the period cuts through one.
    #[error("`{metric}` is kept by {grain}: ask for whole ones, not {period}")]
    TooFine {
        /// The metric.
        metric: String,
        /// `month` or `year`.
        grain: &'static str,
        /// As asked.
        period: String,
    },
    /// Grid ids are only unique within a community.
    #[error("a grid needs its community: grids of different communities may share an id")]
    GridWithoutCommunity,
}

/// A metric's value with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The metric's id.
    pub metric: String,
    /// Its name for people.
    pub name: Label,
    /// The community, or `all`.
    pub community: String,
    /// The bare id of the grid; empty for all.
    pub grid: String,
    /// The period as written.
    pub period: String,
    /// The category; empty for all.
    pub category: String,
    /// The number, or the upper part of a ratio.
    pub numerator: i64,
    /// The lower part of a ratio.
    pub denominator: Option<i64>,
    /// What is counted.
    pub unit: String,
    /// "", "≥", "≈" or "<": what the estimates among the entries make of the number.
    pub qualifier: &'static str,
    /// The ratio as people read it, `91.67%`, or `—` over an empty base. Absent for metrics that
    /// are not printed in percent.
    pub percent: Option<String>,
    /// What a ratio is measured against.
    pub base: Option<Label>,
    /// Hash of the metric's definition, in hex.
    pub definition: String,
    /// Communities whose entries are counted.
    pub communities_included: u32,
    /// Communities that should be.
    pub communities_expected: u32,
    /// The oldest moment the figure may be from.
    pub as_of: String,
    /// Space to the digest the figure was computed from.
    pub digests: BTreeMap<String, String>,
    /// What was reported, where the period is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// Whether the figure is another by now than what was reported.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

impl Figure {
    /// The value as people read it, without its unit: `60`, `≥520`, `91.67%`, `12.50`, `—`.
    pub fn text(&self) -> String {
        self.written(&Reported::of(self))
    }

    /// Other numbers of the same metric, as people read them.
    pub(super) fn written(&self, numbers: &Reported) -> String {
        let value = match (numbers.denominator, &self.percent) {
            (None, _) => numbers.numerator.to_string(),
            (Some(base), None) => hundredths(numbers.numerator, base, 1),
            (Some(base), Some(_)) => in_percent(numbers.numerator, base),
        };
        if value == EMPTY_BASE { value } else { format!("{}{value}", numbers.qualifier) }
    }
}

/// What stands for a ratio over an empty base.
const EMPTY_BASE: &str = "—";

/// Measures what is asked for, by metric id and then by what it is broken down by.
pub fn measure(
    registry: &Registry,
    tally: &Tally,
    query: &Query,
) -> Result<Vec<Figure>, QueryError> {
    if query.grid.is_some() && query.community.is_none() {
        return Err(QueryError::GridWithoutCommunity);
    }
    let mut figures = Vec::new();
    if query.metrics.is_empty() {
        for metric in registry.metrics() {
            if answers(registry, metric, query).is_ok() {
                figures.extend(measure_metric(registry, tally, query, metric));
            }
        }
    }
    for id in &query.metrics {
        let metric = registry.metric(id).ok_or_else(|| QueryError::UnknownMetric {
            id: id.clone(),
            nearest: Nearest::to(id, registry.metrics().map(|metric| metric.id.as_str())),
        })?;
        answers(registry, metric, query)?;
        figures.extend(measure_metric(registry, tally, query, metric));
    }
    Ok(figures)
}

/// What an entry with these contributions adds to a figure of the query, or `None` if it does not
/// stand behind it: how the entries behind a figure are found. For a months-met metric it is the
/// entry's share in the metric underneath.
pub fn share(
    registry: &Registry,
    query: &Query,
    metric: &str,
    contributions: &Contributions,
) -> Option<Amount> {
    let metric = ground(registry, registry.metric(metric)?)?;
    let mut sum = None;
    for (key, amount) in &contributions.cells {
        if key.metric == metric.id && query.takes(metric, &key.community, &key.slot) {
            sum = Some(sum.unwrap_or(Amount::default()).plus(*amount));
        }
    }
    sum
}

/// The metric whose cells are summed: itself, or the one underneath.
fn ground<'r>(registry: &'r Registry, metric: &'r Metric) -> Option<&'r Metric> {
    match &metric.counts {
        Counts::Entries(_) => Some(metric),
        Counts::MonthsMet { metric, .. } => registry.metric(metric),
    }
}

fn answers(registry: &Registry, metric: &Metric, query: &Query) -> Result<(), QueryError> {
    let Some(count) = ground(registry, metric).and_then(Metric::entry_count) else {
        return Ok(());
    };
    let (grain, len): (_, usize) = match (&metric.counts, count.grain) {
        (Counts::MonthsMet { .. }, _) | (_, Grain::Month) => ("month", 7),
        (_, Grain::Year) => ("year", 4),
        (_, Grain::Day | Grain::None) => return Ok(()),
    };
    let too_short = match query.by {
        Some(By::Period(unit)) => unit.cell_len() > len,
        _ => false,
    };
    let even = if too_short {
        false
    } else if metric.accumulate {
        query.period.ends_evenly(len)
    } else {
        query.period.begins_evenly(len) && query.period.ends_evenly(len)
    };
    if even {
        return Ok(());
    }
    let (metric, period) = (metric.id.clone(), query.period.to_string());
    Err(QueryError::TooFine { metric, grain, period })
}

fn measure_metric(
    registry: &Registry,
    tally: &Tally,
    query: &Query,
    metric: &Metric,
) -> Vec<Figure> {
    let groups = match &metric.counts {
        Counts::Entries(_) => entry_groups(tally, query, metric),
        Counts::MonthsMet { metric: under, at_least } => match registry.metric(under) {
            Some(under) => month_groups(tally, query, under, *at_least),
            None => return Vec::new(),
        },
    };
    groups.into_iter().map(|(group, amount)| figure(query, metric, &group, amount)).collect()
}

/// Sums per value of the break-down; without one there is a single group.
fn entry_groups(tally: &Tally, query: &Query, metric: &Metric) -> BTreeMap<String, Amount> {
    let cells = tally.cells_of(&metric.id, query.community.as_ref());
    let mut groups: BTreeMap<String, Amount> = BTreeMap::new();
    if query.by.is_none() {
        groups.insert(String::new(), Amount::default());
    }
    for (community, slot, amount) in cells {
        if !query.takes(metric, community, slot) {
            continue;
        }
        let Some(group) = group_of(query.by, community, slot) else { continue };
        let sum = groups.entry(group).or_default();
        *sum = sum.plus(amount);
    }
    match query.by {
        Some(By::Period(unit)) if metric.accumulate => levels(query, unit, &groups),
        _ => groups,
    }
}

/// The stock at the end of every period, those without a change included.
fn levels(
    query: &Query,
    unit: Unit,
    changes: &BTreeMap<String, Amount>,
) -> BTreeMap<String, Amount> {
    let whole = |text: &String| Period::parse(text).ok();
    let first = changes.keys().next().and_then(whole);
    let last = changes.keys().next_back().and_then(whole);
    let days = |period: &Option<Period>| {
        period.as_ref().and_then(Period::days).map(|(from, to)| (from.to_owned(), to.to_owned()))
    };
    let (Some((earliest, _)), Some((_, latest))) = (days(&first), days(&last)) else {
        return BTreeMap::new();
    };
    let (from, to) = query.period.days().unwrap_or((&earliest, &latest));
    let mut stock = Amount::default();
    let mut changes = changes.iter().peekable();
    let mut levels = BTreeMap::new();
    for period in unit.between(from, to) {
        while let Some((_, amount)) = changes.next_if(|(changed, _)| **changed <= period) {
            stock = stock.plus(*amount);
        }
        levels.insert(period, stock);
    }
    levels
}

fn group_of(by: Option<By>, community: &CommunityId, slot: &Slot) -> Option<String> {
    match by {
        None => Some(String::new()),
        Some(By::Community) => Some(community.to_string()),
        Some(By::Grid) => Some(slot.grid.to_string()),
        Some(By::Category) => Some(slot.category.to_string()),
        Some(By::Period(unit)) => unit.of(&slot.period),
    }
}

/// Months in which the metric underneath reached a number, of all months that have begun.
fn month_groups(
    tally: &Tally,
    query: &Query,
    under: &Metric,
    at_least: i64,
) -> BTreeMap<String, Amount> {
    let mut counts: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    if query.by.is_none() {
        counts.insert(String::new(), BTreeMap::new());
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (community, slot, amount) in tally.cells_of(&under.id, query.community.as_ref()) {
        let Some(month) = Unit::Month.of(&slot.period) else { continue };
        if !query.takes_place(community, slot) || !query.period.takes(&month) {
            continue;
        }
        let Some(group) = group_of(query.by, community, slot) else { continue };
        seen.insert(month.clone());
        let count = counts.entry(group).or_default().entry(month).or_default();
        *count = count.wrapping_add(amount.num);
    }
    let as_of = query.coverage.as_of.get(..7).filter(|month| Period::parse(month).is_ok());
    counts
        .into_iter()
        .map(|(group, met)| {
            let asked = match query.by {
                Some(By::Period(_)) => Period::parse(&group).unwrap_or_else(|_| Period::all()),
                _ => query.period.clone(),
            };
            let (from, to) = match asked.days() {
                Some((from, to)) => (Some(&from[..7]), Some(&to[..7])),
                None => (seen.first().map(String::as_str), seen.last().map(String::as_str)),
            };
            // A month that has not begun cannot have been missed.
            let to = match (to, as_of, asked.days()) {
                (Some(to), Some(as_of), Some(_)) => Some(to.min(as_of)),
                (Some(to), Some(as_of), None) => Some(to.max(as_of)),
                (to, _, _) => to,
            };
            let all = from.zip(to).map(|(from, to)| months(from, to)).unwrap_or_default();
            let reached = |month: &&String| met.get(*month).is_some_and(|n| *n >= at_least);
            let num = all.iter().filter(reached).count() as i64;
            (group, Amount { num, den: all.len() as i64, ..Amount::default() })
        })
        .collect()
}

fn figure(query: &Query, metric: &Metric, group: &str, amount: Amount) -> Figure {
    let chosen = |by: By, asked: Option<&str>, otherwise: &str| match query.by {
        Some(chosen) if chosen == by => group.to_owned(),
        _ => asked.unwrap_or(otherwise).to_owned(),
    };
    let period = match query.by {
        Some(By::Period(_)) => group.to_owned(),
        _ => query.period.to_string(),
    };
    let denominator = metric.is_ratio().then_some(amount.den);
    let percent = denominator.filter(|_| metric.percent).map(|base| in_percent(amount.num, base));
    Figure {
        metric: metric.id.clone(),
        name: metric.name.clone(),
        community: chosen(By::Community, query.community.as_ref().map(CommunityId::as_str), "all"),
        grid: chosen(By::Grid, query.grid.as_ref().map(|patch| patch.id.as_str()), ""),
        period,
        category: chosen(By::Category, query.category.as_deref(), ""),
        numerator: amount.num,
        denominator,
        unit: metric.unit.clone(),
        qualifier: qualifier(amount),
        percent,
        base: metric.base.clone(),
        definition: metric.definition.to_string(),
        communities_included: query.coverage.communities_included,
        communities_expected: query.coverage.communities_expected,
        as_of: query.coverage.as_of.clone(),
        digests: query.coverage.digests.clone(),
        closed: None,
        late: false,
    }
}

/// One sort of estimate keeps its sign; a mixture can only be called "about".
fn qualifier(amount: Amount) -> &'static str {
    match (amount.at_least > 0, amount.below > 0, amount.about > 0) {
        (false, false, false) => "",
        (true, false, false) => "≥",
        (false, true, false) => "<",
        _ => "≈",
    }
}

fn in_percent(num: i64, den: i64) -> String {
    let text = hundredths(num, den, 100);
    if text == EMPTY_BASE { text } else { format!("{text}%") }
}

/// `num * scale / den` with two decimals, rounded half up (away from zero), from whole numbers.
fn hundredths(num: i64, den: i64, scale: i128) -> String {
    if den == 0 {
        return EMPTY_BASE.to_owned();
    }
    let negative = (num < 0) != (den < 0);
    let (top, bottom) = (i128::from(num).abs() * scale * 100, i128::from(den).abs());
    let rounded = (top * 2 + bottom) / (bottom * 2);
    let sign = if negative && rounded != 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", rounded / 100, rounded % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_half_up_from_whole_numbers() {
        assert_eq!(hundredths(55, 60, 100), "91.67");
        assert_eq!(hundredths(1, 3, 100), "33.33");
        assert_eq!(hundredths(1, 800, 100), "0.13", "0.125 goes up");
        assert_eq!(hundredths(36, 36, 100), "100.00");
        assert_eq!(hundredths(0, 5, 100), "0.00");
        assert_eq!(hundredths(-1, 8, 1), "-0.13");
        assert_eq!(hundredths(25, 2, 1), "12.50");
        assert_eq!(hundredths(3, 0, 100), "—");
        assert_eq!(hundredths(i64::MAX, 1, 100), "922337203685477580700.00");
    }

    #[test]
    fn estimates_of_one_sort_keep_their_sign() {
        let with = |at_least, about, below| {
            qualifier(Amount { at_least, about, below, ..Amount::default() })
        };
        assert_eq!(with(0, 0, 0), "");
        assert_eq!(with(2, 0, 0), "≥");
        assert_eq!(with(0, 0, 1), "<");
        assert_eq!(with(0, 1, 0), "≈");
        assert_eq!(with(1, 1, 0), "≈");
        assert_eq!(with(1, 0, 1), "≈", "neither at least nor fewer");
    }
}
