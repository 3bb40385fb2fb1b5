//! The cells of all metrics, kept in step with the entries.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{Amount, CellKey, Contributions, Slot};
use crate::id::CommunityId;

/// Cells by metric and community. Never holds a cell that is zero, so that two tallies of the same
/// entries are equal whatever their history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    metrics: BTreeMap<SmolStr, BTreeMap<CommunityId, BTreeMap<Slot, Amount>>>,
}

/// A cell as it stands after a change; `None` when nothing is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange<'k> {
    /// The cell.
    pub key: &'k CellKey,
    /// What it holds now.
    pub now: Option<Amount>,
}

impl Tally {
    /// Takes out what an entry contributed and puts in what it contributes now; returns the cells
    /// that are different now, in key order.
    pub fn replace<'k>(
        &mut self,
        old: &'k Contributions,
        new: &'k Contributions,
    ) -> Vec<CellChange<'k>> {
        let changes = difference(&old.cells, &new.cells);
        changes.map(|(key, delta)| CellChange { key, now: self.add(key, delta) }).collect()
    }

    /// Sets a cell, as read back from a view row.
    pub fn set(&mut self, key: &CellKey, amount: Amount) {
        let now = self.get(key).unwrap_or_default();
        self.add(key, amount.minus(now));
    }

    /// What a cell holds.
    pub fn get(&self, key: &CellKey) -> Option<Amount> {
        self.metrics.get(&key.metric)?.get(&key.community)?.get(&key.slot).copied()
    }

    /// All cells, in key order.
    pub fn cells(&self) -> impl Iterator<Item = (CellKey, Amount)> {
        let cells = self.metrics.iter().flat_map(|(metric, communities)| {
            communities.iter().flat_map(move |(community, slots)| {
                slots.iter().map(move |(slot, amount)| (metric, community, slot, *amount))
            })
        });
        cells.map(|(metric, community, slot, amount)| {
            let (metric, community, slot) = (metric.clone(), community.clone(), slot.clone());
            (CellKey { metric, community, slot }, amount)
        })
    }

    /// The cells of a metric, of one community or of all, in key order.
    pub fn cells_of<'a>(
        &'a self,
        metric: &str,
        community: Option<&'a CommunityId>,
    ) -> impl Iterator<Item = (&'a CommunityId, &'a Slot, Amount)> {
        self.metrics
            .get(metric)
            .into_iter()
            .flatten()
            .filter(move |(id, _)| community.is_none_or(|wanted| *id == wanted))
            .flat_map(|(id, slots)| slots.iter().map(move |(slot, amount)| (id, slot, *amount)))
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
        let slots = communities.and_then(|communities| communities.get_mut(&key.community));
        if let Some(amount) = slots.and_then(|slots| slots.get_mut(&key.slot)) {
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
        communities.entry(key.community.clone()).or_default().insert(key.slot.clone(), delta);
        Some(delta)
    }

    fn remove(&mut self, key: &CellKey) {
        let Some(communities) = self.metrics.get_mut(&key.metric) else { return };
        if let Some(slots) = communities.get_mut(&key.community) {
            slots.remove(&key.slot);
            if slots.is_empty() {
                communities.remove(&key.community);
            }
        }
        if communities.is_empty() {
            self.metrics.remove(&key.metric);
        }
    }
}

/// What must be added to each cell when what an entry contributes changes from `old` to `new`, in
/// key order. Cells that stay as they are do not appear.
fn difference<'k>(
    mut old: &'k [(CellKey, Amount)],
    mut new: &'k [(CellKey, Amount)],
) -> impl Iterator<Item = (&'k CellKey, Amount)> {
    let mut next = move || {
        let order = match (old.first(), new.first()) {
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let take = |from: &mut &'k [(CellKey, Amount)], wanted: bool| {
            let (first, rest) = from.split_first().filter(|_| wanted)?;
            *from = rest;
            Some(first)
        };
        let gone = take(&mut old, order.is_le());
        let come = take(&mut new, order.is_ge());
        let (key, _) = come.or(gone)?;
        let amount = |of: Option<&(CellKey, Amount)>| of.map(|of| of.1).unwrap_or_default();
        Some((key, amount(come).minus(amount(gone))))
    };
    std::iter::from_fn(move || {
        loop {
            let (key, delta) = next()?;
            if !delta.is_zero() {
                return Some((key, delta));
            }
        }
    })
}
