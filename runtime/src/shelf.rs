//! The shelf: halves of entries in memory, for as long as they are warm or not yet written to the
//! views.
//!
//! Changed halves stay until they are written; unchanged ones are dropped by age once there are
//! too many. It refuses to be the only copy of anything: the journal is the truth.

use std::collections::HashMap;

use indexmap::IndexSet;
use linli_domain::id::EntryId;

use crate::half::Half;

/// Halves of one space.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    young: Held,
    old: Held,
    /// In the order in which they were first marked.
    dirty: IndexSet<EntryId>,
}

/// Boxed, so that a table that grows has little to move and little that stands empty.
type Held = HashMap<EntryId, Box<Half>>;

impl Shelf {
    /// The half, if it is on the shelf.
    pub(crate) fn get(&mut self, entry: &EntryId) -> Option<&mut Half> {
        if !self.young.contains_key(entry) {
            let half = self.old.remove(entry)?;
            self.young.insert(entry.clone(), half);
        }
        self.young.get_mut(entry).map(Box::as_mut)
    }

    /// The half without moving it among the young.
    pub(crate) fn peek(&self, entry: &EntryId) -> Option<&Half> {
        self.young.get(entry).or_else(|| self.old.get(entry)).map(Box::as_ref)
    }

    /// Puts a half that was read from the views on the shelf.
    pub(crate) fn put(&mut self, entry: EntryId, half: Half) -> &mut Half {
        self.young.entry(entry).or_insert_with(|| Box::new(half))
    }

    /// Notes that a half differs from its row.
    pub(crate) fn mark(&mut self, entry: &EntryId) {
        if !self.dirty.contains(entry) {
            self.dirty.insert(entry.clone());
        }
    }

    /// Whether a half differs from its row.
    pub(crate) fn is_dirty(&self, entry: &EntryId) -> bool {
        self.dirty.contains(entry)
    }

    /// Number of halves that differ from their rows.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// Takes up to `max` of the halves to be written; they count as written from now on.
    pub(crate) fn take_dirty(&mut self, max: usize) -> Vec<EntryId> {
        self.dirty.split_off(self.dirty.len().saturating_sub(max)).into_iter().collect()
    }

    /// Drops the older half of what is clean once more than `max` halves are held.
    pub(crate) fn trim(&mut self, max: usize) {
        let held = self.young.len() + self.old.len();
        if held <= max {
            return;
        }
        let dirty = &self.dirty;
        if self.young.len() >= max / 2 {
            let aged = std::mem::take(&mut self.young);
            let mut kept = std::mem::replace(&mut self.old, aged);
            kept.retain(|entry, _| dirty.contains(entry));
            self.young = kept;
        } else if held.saturating_sub(dirty.len()) > max / 2 {
            // What many changed and few read since is written: nothing new would push it out.
            self.old.retain(|entry, _| dirty.contains(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trimming_keeps_what_is_not_written_yet() {
        let mut shelf = Shelf::default();
        let entry = |at: usize| EntryId::new("issue", &at.to_string()).expect("id");
        for at in 0..100 {
            shelf.put(entry(at), Half::default());
            if at % 10 == 0 {
                shelf.mark(&entry(at));
            }
            shelf.trim(20);
        }
        assert!((0..100).step_by(10).all(|at| shelf.peek(&entry(at)).is_some()));
        let held = (0..100).filter(|at| shelf.peek(&entry(*at)).is_some()).count();
        assert!(held <= 30, "{held} halves are held");
        assert_eq!(shelf.take_dirty(4).len(), 4);
        assert_eq!(shelf.dirty(), 6);
    }

    #[test]
    fn what_was_written_goes_though_nothing_new_comes() {
        let mut shelf = Shelf::default();
        let entry = |at: usize| EntryId::new("issue", &at.to_string()).expect("id");
        for at in 0..1_000 {
            shelf.put(entry(at), Half::default());
            shelf.mark(&entry(at));
            shelf.trim(20);
        }
        while shelf.dirty() > 0 {
            shelf.take_dirty(4);
            shelf.trim(20);
            let held = (0..1_000).filter(|at| shelf.peek(&entry(*at)).is_some()).count();
            assert!(held <= shelf.dirty() + 20, "{held} of {}", shelf.dirty());
        }
    }
}
