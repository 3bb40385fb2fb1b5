//! The keys that a list names: who was given which, who lacks one, and when the next is due.
//!
//! It refuses to hold a key: it knows them by their marks.

use std::collections::BTreeSet;

use super::statement::{Act, KeyMark, mark};
use super::{MemberKeys, Members};
use crate::id::StatementHash;
use crate::seal::ring::KeyRing;

impl Members {
    /// Every key the list names, with the place of the statement that does.
    pub(super) fn marks(&self) -> impl Iterator<Item = (usize, KeyMark)> + '_ {
        self.list.iter().enumerate().flat_map(|(at, node)| {
            let marks: &[KeyMark] = match &node.statement.act {
                Act::Found { marks, .. } => marks,
                Act::Remove { mark, .. } => std::slice::from_ref(mark),
                Act::Admit { .. } | Act::Recovery { .. } => &[],
            };
            marks.iter().map(move |mark| (at, *mark))
        })
    }

    /// Keys the list names and the ring lacks, with the wrapped key if one was made for `to`.
    pub fn lacking(&self, ring: &KeyRing, to: StatementHash) -> Vec<(KeyMark, Option<&[u8]>)> {
        let wrapped = |at: usize| {
            let Act::Remove { wraps, .. } = &self.list[at].statement.act else { return None };
            wraps.iter().find(|(own, _)| *own == to).map(|(_, wrapped)| wrapped.as_slice())
        };
        self.unheld(ring).map(|(at, mark)| (mark, wrapped(at))).collect()
    }

    fn unheld(&self, ring: &KeyRing) -> impl Iterator<Item = (usize, KeyMark)> + '_ {
        let held: BTreeSet<KeyMark> = ring.keys().map(|key| mark(&self.community, key)).collect();
        self.marks().filter(move |(_, mark)| !held.contains(mark))
    }

    /// Keys the list names and the ring lacks, by whether who began them is on the list.
    pub fn lacks(&self, ring: &KeyRing) -> Lacks {
        let mut lacks = Lacks::default();
        for (at, mark) in self.unheld(ring) {
            let by = self.places.get(&self.list[at].statement.by).copied().unwrap_or(0);
            if self.is_live(by) {
                lacks.awaited.insert(mark);
            } else {
                lacks.withheld.insert(mark);
            }
        }
        lacks
    }

    /// Whether the admission at `to` was given a key: by the statement at `named`, which names it,
    /// or by who let in.
    fn gave(&self, (named, mark): (usize, KeyMark), to: usize) -> bool {
        let (node, admitted) = (&self.list[named], &self.list[to]);
        if named == to {
            return true;
        }
        if admitted.past.holds(named) {
            // Who comes in is handed all that who lets in has.
            return match &admitted.statement.act {
                Act::Admit { without, .. } | Act::Recovery { without, .. } => {
                    !without.contains(&mark)
                }
                Act::Found { .. } | Act::Remove { .. } => true,
            };
        }
        let hash = admitted.statement.hash;
        match &node.statement.act {
            Act::Remove { wraps, .. } => {
                // Who begins an epoch has its key.
                node.statement.by == hash || wraps.iter().any(|(own, _)| *own == hash)
            }
            _ => false,
        }
    }

    /// Who is in force and was not given a key: it came in while the epoch began, or by somebody
    /// who lacked the key.
    pub fn in_need(&self) -> Vec<(StatementHash, MemberKeys, KeyMark)> {
        let live: Vec<usize> = self.admissions().filter(|at| self.is_live(*at)).collect();
        let mut needs = Vec::new();
        for (named, mark) in self.marks() {
            for at in &live {
                let statement = &self.list[*at].statement;
                if !self.gave((named, mark), *at)
                    && let Some(keys) = statement.admitted()
                {
                    needs.push((statement.hash, *keys, mark));
                }
            }
        }
        needs
    }

    /// Whether somebody who is no longer in force was given the key that seals.
    pub fn must_rotate(&self, ring: &KeyRing) -> bool {
        let newest = mark(&self.community, ring.newest());
        let gone: Vec<usize> = self.admissions().filter(|at| !self.is_live(*at)).collect();
        self.marks()
            .filter(|(_, mark)| *mark == newest)
            .any(|named| gone.iter().any(|at| self.gave(named, *at)))
    }
}

/// Keys that a list names and a ring lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Begun by who is on the list: they are on their way.
    pub awaited: BTreeSet<KeyMark>,
    /// Begun by who is on it no more: they come if anybody who stays was given them, and a thief
    /// gives them to nobody.
    pub withheld: BTreeSet<KeyMark>,
}

impl Lacks {
    /// Both.
    pub fn all(self) -> BTreeSet<KeyMark> {
        self.awaited.into_iter().chain(self.withheld).collect()
    }
}
