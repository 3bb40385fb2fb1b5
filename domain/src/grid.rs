//! Grids 网格 as trees: the community's patches, duty groups, estates and teams, to any depth.
//!
//! Built from entries of the kind `grid` with the fields `tree`, `level`, `parent` and `name`.
//! Several trees stand beside each other, and a grid may hang under one of another tree. It never
//! fails: a parent that does not exist or a circle is noted, and the grid stands as a root.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::entry::Entry;

/// The kind whose entries are grids.
pub const KIND: &str = "grid";

/// The id of a grid without its kind: fields may hold `grid/g01` or `g01`.
pub fn bare(id: &str) -> &str {
    id.strip_prefix("grid/").unwrap_or(id).trim()
}

/// One grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its bare id.
    pub id: String,
    /// The tree it belongs to.
    pub tree: String,
    /// Its level, as the community calls it.
    pub level: String,
    /// Its name.
    pub name: String,
    /// The bare id of the grid above, where there is one that exists.
    pub parent: Option<String>,
    /// The bare ids of the grids below, in order.
    pub children: Vec<String>,
}

/// A grid with everything below it: what a figure of a grid sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Its bare id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The bare ids of itself and everything below.
    pub within: BTreeSet<String>,
}

/// What is wrong with a grid's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Oddity {
    /// The bare id of the grid.
    pub id: String,
    /// What is wrong.
    pub what: GridFault,
}

/// Ways in which a grid's place can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GridFault {
    /// The grid above does not exist (or has not arrived).
    ParentMissing,
    /// Following the parents leads back to the grid.
    Circle,
}

/// All grids of one community.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trees {
    nodes: BTreeMap<String, Node>,
    oddities: Vec<Oddity>,
}

impl Trees {
    /// Builds the trees from a community's entries; entries of other kinds are passed over.
    pub fn from_entries<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Self {
        let mut nodes = BTreeMap::new();
        for entry in entries {
            let Some(id) = entry.id.as_ref().filter(|id| id.kind() == KIND) else { continue };
            let parent = bare(entry.text("parent"));
            let node = Node {
                id: id.id().to_owned(),
                tree: entry.text("tree").to_owned(),
                level: entry.text("level").to_owned(),
                name: entry.text("name").to_owned(),
                parent: (!parent.is_empty()).then(|| parent.to_owned()),
                children: Vec::new(),
            };
            nodes.insert(node.id.clone(), node);
        }
        let mut trees = Self { nodes, oddities: Vec::new() };
        trees.cut_loose_ends();
        trees.hang_children();
        trees
    }

    /// The grid of that id, bare or not.
    pub fn get(&self, id: &str) -> Option<&Node> {
        self.nodes.get(bare(id))
    }

    /// All grids, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The names of the trees, in order.
    pub fn trees(&self) -> BTreeSet<&str> {
        self.nodes.values().map(|node| node.tree.as_str()).collect()
    }

    /// The grids of a tree that have none of the same tree above them.
    pub fn roots<'a>(&'a self, tree: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.values().filter(move |node| {
            let above = node.parent.as_ref().and_then(|id| self.nodes.get(id));
            node.tree == tree && above.is_none_or(|above| above.tree != tree)
        })
    }

    /// From a grid up to its root, itself first.
    pub fn path(&self, id: &str) -> Vec<&Node> {
        let mut path = Vec::new();
        let mut next = self.get(id);
        while let Some(node) = next {
            path.push(node);
            next = node.parent.as_ref().and_then(|id| self.nodes.get(id));
        }
        path
    }

    /// A grid with everything below it. An unknown grid is a patch of its own: its entries exist
    /// even where its own entry has not arrived.
    pub fn patch(&self, id: &str) -> Patch {
        let id = bare(id);
        let mut within = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            if within.insert(next.to_owned())
                && let Some(node) = self.nodes.get(next)
            {
                open.extend(node.children.iter().map(String::as_str));
            }
        }
        let name = self.nodes.get(id).map(|node| node.name.clone()).unwrap_or_default();
        Patch { id: id.to_owned(), name, within }
    }

    /// What is wrong, by grid id.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// Frees grids whose parents are missing or lead in a circle. Every grid of a circle becomes
    /// a root, so that no machine depends on where it began to look.
    fn cut_loose_ends(&mut self) {
        let faults: Vec<Oddity> = self
            .nodes
            .values()
            .filter_map(|node| self.fault_of(node).map(|what| Oddity { id: node.id.clone(), what }))
            .collect();
        for oddity in &faults {
            if let Some(node) = self.nodes.get_mut(&oddity.id) {
                node.parent = None;
            }
        }
        self.oddities = faults;
    }

    fn fault_of(&self, node: &Node) -> Option<GridFault> {
        let mut above = node.parent.as_ref()?;
        if !self.nodes.contains_key(above) {
            return Some(GridFault::ParentMissing);
        }
        let mut passed = BTreeSet::new();
        while passed.insert(above) {
            if *above == node.id {
                return Some(GridFault::Circle);
            }
            above = self.nodes.get(above)?.parent.as_ref()?;
        }
        // Above it is a circle that it is no part of; the grids in the circle are freed.
        None
    }

    fn hang_children(&mut self) {
        let links: Vec<(String, String)> = self
            .nodes
            .values()
            .filter_map(|node| Some((node.parent.clone()?, node.id.clone())))
            .collect();
        for (parent, child) in links {
            if let Some(node) = self.nodes.get_mut(&parent) {
                node.children.push(child);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::EntryId;

    fn grid(id: &str, tree: &str, parent: &str) -> Entry {
        let mut entry = Entry { id: Some(EntryId::new(KIND, id).unwrap()), ..Entry::default() };
        for (field, value) in [("tree", tree), ("parent", parent), ("name", id)] {
            entry.fields.insert(field.to_owned(), value.into());
        }
        entry
    }

    fn ids<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Vec<&'n str> {
        nodes.into_iter().map(|node| node.id.as_str()).collect()
    }

    #[test]
    fn several_trees_of_any_depth_stand_beside_each_other() {
        let trees = Trees::from_entries(&[
            grid("patch", "grid", ""),
            grid("building", "grid", "grid/patch"),
            grid("stair", "grid", "building"),
            grid("group37", "mutual_group", "stair"),
            grid("team", "team", ""),
        ]);
        assert_eq!(trees.trees().into_iter().collect::<Vec<_>>(), ["grid", "mutual_group", "team"]);
        assert_eq!(ids(trees.roots("grid")), ["patch"]);
        assert_eq!(ids(trees.roots("mutual_group")), ["group37"], "it hangs under another tree");
        assert_eq!(ids(trees.path("group37")), ["group37", "stair", "building", "patch"]);
        let within: Vec<String> = trees.patch("building").within.into_iter().collect();
        assert_eq!(within, ["building", "group37", "stair"]);
        assert_eq!(trees.patch("grid/stair").name, "stair");
        assert!(trees.oddities().is_empty());
    }

    #[test]
    fn a_missing_parent_is_noted_and_the_grid_stands_as_a_root() {
        let trees = Trees::from_entries(&[grid("b1", "grid", "gone")]);
        assert_eq!(ids(trees.roots("grid")), ["b1"]);
        assert_eq!(trees.oddities(), [Oddity { id: "b1".into(), what: GridFault::ParentMissing }]);
    }

    #[test]
    fn a_circle_is_noted_and_cut_and_what_hangs_below_it_stays() {
        let trees = Trees::from_entries(&[
            grid("a", "grid", "b"),
            grid("b", "grid", "a"),
            grid("below", "grid", "a"),
            grid("itself", "grid", "itself"),
        ]);
        let odd: Vec<&str> = trees.oddities().iter().map(|oddity| oddity.id.as_str()).collect();
        assert_eq!(odd, ["a", "b", "itself"]);
        assert_eq!(ids(trees.roots("grid")), ["a", "b", "itself"]);
        assert_eq!(ids(trees.path("below")), ["below", "a"]);
    }

    #[test]
    fn a_grid_that_has_not_arrived_is_a_patch_of_its_own() {
        let patch = Trees::default().patch("grid/g9");
        assert_eq!(patch.within.into_iter().collect::<Vec<_>>(), ["g9"]);
    }

    proptest! {
        #[test]
        fn any_parents_give_trees_that_end(parents in proptest::collection::vec(0_usize..8, 8)) {
            let entries: Vec<Entry> = parents
                .iter()
                .enumerate()
                .map(|(at, parent)| grid(&format!("g{at}"), "t", &format!("g{parent}")))
                .collect();
            let trees = Trees::from_entries(&entries);
            let mut covered = BTreeSet::new();
            for root in trees.roots("t") {
                prop_assert!(root.parent.is_none());
                for id in trees.patch(&root.id).within {
                    prop_assert!(covered.insert(id), "no grid lies below two roots");
                }
            }
            prop_assert_eq!(covered.len(), entries.len());
            prop_assert!(trees.nodes().all(|node| trees.path(&node.id).len() <= entries.len()));
        }
    }
}
