//! The cells of all metrics, kept in step with the entries.

use std::collections::BTreeMap;

use super::{Amount, CellKey, Contributions};
use crate::id::CommunityId;

/// Cells by metric and community. Never holds a cell that is zero, so that two tallies of the same
/// entries are equal whatever their history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    metrics: BTreeMap<String, BTreeMap<CommunityId, BTreeMap<CellKey, Amount>>>,
}

/// A cell as it stands after a change; `None` when nothing is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange {
    /// The cell.
    pub key: CellKey,
    /// What it holds now.
    pub now: Option<Amount>,
}

impl Tally {
    /// Takes out what an entry contributed and puts in what it contributes now; returns the cells
    /// that are different now, in key order.
    pub fn replace(&mut self, old: &Contributions, new: &Contributions) -> Vec<CellChange> {
        difference(old, new)
            .into_iter()
            .map(|(key, delta)| {
                let now = self.add(&key, delta);
                CellChange { key, now }
            })
            .collect()
    }

    /// Sets a cell, as read back from a view row.
    pub fn set(&mut self, key: CellKey, amount: Amount) {
        let now = self.get(&key).unwrap_or_default();
        self.add(&key, amount.minus(now));
    }

    /// What a cell holds.
    pub fn get(&self, key: &CellKey) -> Option<Amount> {
        self.metrics.get(&key.metric)?.get(&key.community)?.get(key).copied()
    }

    /// All cells, in key order.
    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Amount)> {
        self.metrics.values().flat_map(BTreeMap::values).flatten()
    }

    /// The cells of a metric, of one community or of all, in key order.
    pub fn cells_of<'a>(
        &'a self,
        metric: &str,
        community: Option<&'a CommunityId>,
    ) -> impl Iterator<Item = (&'a CellKey, &'a Amount)> {
        self.metrics
            .get(metric)
            .into_iter()
            .flatten()
            .filter(move |(id, _)| community.is_none_or(|wanted| *id == wanted))
            .flat_map(|(_, cells)| cells)
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.metrics.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    fn add(&mut self, key: &CellKey, delta: Amount) -> Option<Amount> {
        let communities = self.metrics.get_mut(&key.metric);
        let cells = communities.and_then(|communities| communities.get_mut(&key.community));
        if let Some(amount) = cells.and_then(|cells| cells.get_mut(key)) {
            // Nearly every change moves a cell that is there.
            *amount = amount.plus(delta);
            let now = *amount;
            if now.is_zero() {
                self.remove(key);
            }
            return (!now.is_zero()).then_some(now);
        }
        if delta.is_zero() {
            return None;
        }
        let communities = self.metrics.entry(key.metric.clone()).or_default();
        communities.entry(key.community.clone()).or_default().insert(key.clone(), delta);
        Some(delta)
    }

    fn remove(&mut self, key: &CellKey) {
        let Some(communities) = self.metrics.get_mut(&key.metric) else { return };
        if let Some(cells) = communities.get_mut(&key.community) {
            cells.remove(key);
            if cells.is_empty() {
                communities.remove(&key.community);
            }
        }
        if communities.is_empty() {
            self.metrics.remove(&key.metric);
        }
    }
}

/// What must be added to each cell when an entry's contributions change from `old` to `new`.
/// Cells that stay as they are do not appear.
pub fn difference(old: &Contributions, new: &Contributions) -> BTreeMap<CellKey, Amount> {
    let mut delta = new.cells.clone();
    for (key, amount) in &old.cells {
        let cell = delta.entry(key.clone()).or_default();
        *cell = cell.minus(*amount);
    }
    delta.retain(|_, amount| !amount.is_zero());
    delta
}
