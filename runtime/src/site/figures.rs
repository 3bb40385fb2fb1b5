//! Figures of one machine: kept from what each change touched, and counted again on demand.
//!
//! What an entry contributes lies in the row of its open half, and cells are rows like any other. Only
//! open halves count, so that a node, its hub and the district count the same.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use indexmap::IndexSet;
use linli_domain::doc::{Doc, entry_of};
use linli_domain::figure::{
    Amount, By, CellKey, Contributions, Coverage, Figure, InvalidPeriod, InvalidRow, Period, Query,
    Tally, contributions, counted_part, measure, refresh, share,
};
use linli_domain::grid::{self, Trees};
use linli_domain::id::{CommunityId, EntryId, Role, Space};
use linli_store::disk::Disk;
use linli_store::views::Views;
use smol_str::SmolStr;

use super::Site;
use super::answers::views_trouble;
use super::entries::Sight;
use super::walk::{Halves, Page};
use crate::ask::{Answer, FigureQuery, PAGE_MAX, Trouble};
use crate::books::{Books, BooksTrouble, Row};
use crate::half::Half;

const CELL: u8 = b't';
const HEARD: u8 = b'l';

/// The kept figures.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    pub(super) tally: Tally,
    /// Cells whose rows the next checkpoint writes. Entries share most of theirs, so that a cell
    /// changes a hundred times in between.
    changed: IndexSet<CellKey>,
}

impl Keeper {
    /// Reads the kept cells.
    pub(super) fn load<D: Disk, V: Views>(books: &mut Books<D, V>) -> Self {
        let mut tally = Tally::default();
        for (key, value) in books.rows(&[CELL]) {
            let cell = CellKey::from_bytes(&key[1..]).ok();
            if let (Some(cell), Ok(amount)) = (cell, Amount::from_bytes(&value)) {
                tally.set(&cell, amount);
            }
        }
        Self { tally, changed: IndexSet::new() }
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Measures up to `max` touched entries again; false if none waited.
    pub(super) fn measure_touched(&mut self, max: usize) -> bool {
        let touched = self.books.take_touched(max);
        for ((space, entry), keys) in &touched {
            match space {
                Space::Open(community) => self.measure_entry(community, entry, keys),
                Space::Board(_) => self.definitions.changed |= entry.kind() == super::packs::KIND,
                Space::Sealed(_) | Space::Figures(_) => {}
            }
        }
        if self.definitions.changed {
            self.load_packs();
        }
        !touched.is_empty()
    }

    /// Writes the rows of cells that changed. They belong in the same checkpoint as the contributions
    /// that changed them.
    pub(super) fn write_cells(&mut self) {
        let row = |cell: CellKey| {
            let mut key = vec![CELL];
            key.extend_from_slice(&cell.to_bytes());
            (key, self.keeper.tally.get(&cell).map(|amount| amount.to_bytes()))
        };
        let rows = std::mem::take(&mut self.keeper.changed).into_iter().map(row).collect();
        self.books.write(rows);
    }

    /// Measures one entry; `keys` are those that changed since it was measured.
    pub(super) fn measure_entry(
        &mut self,
        community: &CommunityId,
        id: &EntryId,
        keys: &BTreeSet<SmolStr>,
    ) {
        let whole = self.definitions.measuring();
        if !whole && self.registry.metrics_of(id.kind()).next().is_none() {
            return;
        }
        let space = Space::Open(community.clone());
        let half = self.books.half(&space, id);
        let old = match counted(half) {
            Ok(old) => old,
            Err(error) => {
                self.books.trouble(BooksTrouble::View(format!("{id}: {error}")));
                return;
            }
        };
        // What was measured under other definitions says nothing of these.
        let since = (!whole).then_some((&old, keys));
        let new = measured(&self.registry, community, id, &half.doc, since);
        if new == old {
            return;
        }
        for change in self.keeper.tally.replace(&old, &new) {
            if !self.keeper.changed.contains(change.key) {
                self.keeper.changed.insert(change.key.clone());
            }
        }
        let bytes = if new.is_empty() { Vec::new() } else { new.to_bytes() };
        self.books.count(&space, id, bytes.into());
    }

    /// Figures as asked for, one line per community unless a total is wanted.
    pub(super) fn figures(&mut self, asked: &FigureQuery) -> Result<Answer, Trouble> {
        self.finish_measuring()?;
        let mut figures = Vec::new();
        let communities: Vec<Option<CommunityId>> = match &asked.community {
            Some(one) => vec![Some(self.community(Some(one)).map_err(|error| error.trouble())?)],
            None if asked.total => vec![None],
            None => self.hosted.iter().cloned().map(Some).collect(),
        };
        for community in communities {
            let query = self.query(asked, community)?;
            let mut lines = measure(&self.registry, &self.keeper.tally, &query)
                .map_err(|error| figure_trouble(&error.to_string()))?;
            self.set_beside(&query, &mut lines);
            figures.extend(lines);
        }
        let json = |figure: &Figure| {
            let mut line = serde_json::to_value(figure).unwrap_or_default();
            line["text"] = figure.text().into();
            line
        };
        Ok(Answer::Figures { figures: figures.iter().map(json).collect() })
    }

    /// The entries behind a figure.
    pub(super) fn behind(
        &mut self,
        asked: &FigureQuery,
        mut after: Option<EntryId>,
        max: usize,
    ) -> Result<Answer, Trouble> {
        self.finish_measuring()?;
        while self.write_rows(PAGE_MAX) {}
        let metric = asked.metric.clone().ok_or_else(|| figure_trouble("name a metric"))?;
        let communities: Vec<CommunityId> = match &asked.community {
            Some(one) => vec![self.community(Some(one)).map_err(|error| error.trouble())?],
            None => self.hosted.iter().cloned().collect(),
        };
        let one_community = communities.len() == 1;
        let mut page = Page::new(max);
        'full: for community in communities {
            let query = self.query(asked, Some(community.clone()))?;
            let space = Space::Open(community.clone());
            let kinds = self.books.kinds_in(&space).map_err(views_trouble)?;
            let from = after.as_ref().map(|after| after.kind().to_owned());
            let before = |kind: &String| from.as_ref().is_some_and(|from| kind < from);
            for kind in kinds.into_iter().skip_while(before) {
                let after = after.take_if(|after| after.kind() == kind);
                let walked = self.walk(&community, &kind, Halves::Open, after, |site, id| {
                    let counted = counted(site.books.half(&space, id)).ok();
                    let amount = counted.and_then(|it| share(&site.registry, &query, &metric, &it));
                    let Some(amount) = amount else { return ControlFlow::Continue(()) };
                    let entry = site.entry(&community, id);
                    let mut view = site.view(&community, id, &entry, Sight::Masked);
                    view.oddities.push(format!("{metric}: {}/{}", amount.num, amount.den));
                    page.add(view)
                });
                if walked.map_err(views_trouble)?.is_break() {
                    break 'full;
                }
            }
        }
        Ok(page.answer(one_community))
    }

    /// Counts everything again from the documents, and compares with what is kept.
    pub(super) fn recount(&mut self) -> Result<Answer, Trouble> {
        while self.measure_touched(PAGE_MAX) || self.measure_again(PAGE_MAX) {
            while self.write_rows(PAGE_MAX) {}
            self.keep_bounded();
        }
        while self.write_rows(PAGE_MAX) {}
        let mut fresh = Tally::default();
        let mut entries = 0;
        for community in self.hosted.clone() {
            let space = Space::Open(community.clone());
            for kind in self.books.kinds_in(&space).map_err(views_trouble)? {
                let walked = self.walk_all(&community, &kind, Halves::Open, |site, id| {
                    entries += 1;
                    let doc = &site.books.half(&space, id).doc;
                    let new = measured(&site.registry, &community, id, doc, None);
                    fresh.replace(&Contributions::default(), &new);
                });
                walked.map_err(views_trouble)?;
            }
        }
        let kept = &self.keeper.tally;
        let keys: BTreeSet<CellKey> =
            kept.cells().chain(fresh.cells()).map(|(key, _)| key).collect();
        let differences = keys
            .iter()
            .filter(|key| kept.get(key) != fresh.get(key))
            .take(100)
            .map(|key| format!("{key:?}: kept {:?}, counted {:?}", kept.get(key), fresh.get(key)))
            .collect();
        Ok(Answer::Recount { entries, cells: keys.len() as u64, differences })
    }

    /// Rows that say when each peer was last heard; written with a checkpoint.
    pub(super) fn heard_rows(&self) -> Vec<Row> {
        let row = |(peer, millis): (&linli_domain::id::PeerName, &u64)| {
            let mut key = vec![HEARD];
            key.extend_from_slice(peer.to_string().as_bytes());
            (key, Some(millis.to_le_bytes().to_vec()))
        };
        self.heard.iter().map(row).collect()
    }

    /// Reads what [`Self::heard_rows`] wrote.
    pub(super) fn load_heard(&mut self) {
        for (key, value) in self.books.rows(&[HEARD]) {
            let peer = std::str::from_utf8(&key[1..]).ok();
            let peer = peer.and_then(|text| linli_domain::id::PeerName::parse(text).ok());
            if let (Some(peer), Ok(millis)) = (peer, value.try_into().map(u64::from_le_bytes)) {
                self.heard.insert(peer, millis);
            }
        }
    }

    fn query(
        &mut self,
        asked: &FigureQuery,
        community: Option<CommunityId>,
    ) -> Result<Query, Trouble> {
        let period = match asked.period.as_deref() {
            None | Some("") => Period::all(),
            Some(text) => Period::parse(text).map_err(|error| period_trouble(&error))?,
        };
        let grid = match (&asked.grid, &community) {
            (Some(grid), Some(community)) => {
                Some(self.trees(community)?.patch(linli_domain::grid::bare(grid)))
            }
            (Some(_), None) => return Err(figure_trouble("a grid needs its community")),
            (None, _) => None,
        };
        let by = match (asked.by_category, asked.by_grid) {
            (true, _) => Some(By::Category),
            (false, true) => Some(By::Grid),
            (false, false) => None,
        };
        let coverage = self.coverage(community.as_ref());
        let metrics = asked.metric.iter().cloned().collect();
        Ok(Query { metrics, community, grid, period, category: None, by, coverage })
    }

    fn trees(&mut self, community: &CommunityId) -> Result<Trees, Trouble> {
        let space = Space::Open(community.clone());
        let mut entries = Vec::new();
        let walked = self.walk_all(community, grid::KIND, Halves::Open, |site, id| {
            entries.push(entry_of(id, Some(&site.books.half(&space, id).doc), None));
        });
        walked.map_err(views_trouble)?;
        Ok(Trees::from_entries(&entries))
    }

    /// Who is in the figures, and how old the oldest of it may be.
    pub(super) fn coverage(&self, community: Option<&CommunityId>) -> Coverage {
        let wanted: Vec<&CommunityId> = match community {
            Some(one) => vec![one],
            None => self.hosted.iter().collect(),
        };
        let mut coverage =
            Coverage { communities_expected: wanted.len() as u32, ..Coverage::default() };
        let mut oldest: Option<u64> = None;
        for community in wanted {
            let space = Space::Open(community.clone());
            let Some(head) = self.books.head(&space).filter(|head| head.seq > 0) else { continue };
            coverage.communities_included += 1;
            coverage.digests.insert(space.to_string(), head.digest.to_string());
            let heard = if self.books.me().role() == Role::Node {
                Some(self.books.now_millis())
            } else {
                let of =
                    |peer: &linli_domain::id::PeerName| peer.community.as_ref() == Some(community);
                self.heard.iter().filter(|(peer, _)| of(peer)).map(|(_, at)| *at).max()
            };
            oldest = Some(oldest.unwrap_or(u64::MAX).min(heard.unwrap_or(0)));
        }
        coverage.as_of = oldest.map(|at| self.local(at)).unwrap_or_default();
        coverage
    }
}

/// What an entry contributed when it was last measured.
fn counted(half: &Half) -> Result<Contributions, InvalidRow> {
    if half.counted.is_empty() {
        return Ok(Contributions::default());
    }
    Contributions::from_bytes(&half.counted)
}

/// What an open half contributes; `since` are the contributions before and the keys that changed
/// since, where they are known.
fn measured(
    registry: &linli_domain::pack::Registry,
    community: &CommunityId,
    id: &EntryId,
    doc: &Doc,
    since: Option<(&Contributions, &BTreeSet<SmolStr>)>,
) -> Contributions {
    let entry = counted_part(registry, id, doc);
    let progress = registry.progress(&entry);
    match since {
        Some((old, keys)) if !old.is_empty() => {
            let keys = keys.iter().map(SmolStr::as_str);
            refresh(registry, community, &entry, &progress, old, keys)
        }
        Some(_) | None => contributions(registry, community, &entry, &progress),
    }
}

pub(super) fn period_trouble(error: &InvalidPeriod) -> Trouble {
    figure_trouble(&error.to_string())
}

pub(super) fn figure_trouble(why: &str) -> Trouble {
    Trouble {
        code: "figure".to_owned(),
        zh: format!(
            "查不出这个数字：{why}。指标编号见 kinds，期间写成 2026-03、2026-Q1、2026 或 all。"
        ),
        en: format!(
            "That figure cannot be measured: {why}. Write periods as 2026-03, 2026-Q1, 2026 or all."
        ),
    }
}
