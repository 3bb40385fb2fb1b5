//! Everything that is known about a journal up to one of its commits.
//!
//! The journal advances one of these as it grows; a replay advances another one from where the
//! views stand; a manifest is one written down. It refuses a record that does not follow the one
//! before it in its space.

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::id::{EntryId, Space};

use super::Flaw;
use super::index::Places;
use super::record::{Body, Change, Head};
use super::segment::Position;
use super::walk::{Commit, Link};

/// State of a journal after one of its commits: heads, places of records, notes.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    pub(crate) at: Position,
    pub(crate) link: Link,
    pub(crate) spaces: BTreeMap<Space, Track>,
    pub(crate) notes: BTreeMap<String, Vec<u8>>,
    /// Bytes of all notes, keys included.
    pub(crate) notes_bytes: usize,
    /// Notes set or removed since the last manifest.
    pub(crate) notes_changed: BTreeSet<String>,
}

/// One space of a journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Track {
    /// With the records that wait for their commit.
    pub head: Head,
    /// Without them.
    pub durable: Head,
    pub places: Places,
    /// Whether it grew since the last manifest.
    pub changed: bool,
}

impl Checkpoint {
    /// Where the next commit will stand.
    pub fn at(&self) -> Position {
        self.at
    }

    /// Number of commits up to here.
    pub fn commits(&self) -> u64 {
        self.link.commits
    }

    /// How far a space has come.
    pub fn head(&self, space: &Space) -> Head {
        self.spaces.get(space).map(|track| track.durable).unwrap_or_default()
    }

    /// Takes in a whole commit of `segment`. Returns how many changes it held.
    pub(crate) fn apply(&mut self, segment: u32, commit: &Commit<'_>) -> Result<u64, (u32, Flaw)> {
        let mut changes = 0;
        for (offset, body) in commit.records() {
            match body {
                Some(Body::Change(change)) => {
                    self.apply_change(&change, Position { segment, offset })
                        .map_err(|flaw| (offset, flaw))?;
                    changes += 1;
                }
                Some(Body::Note { key, value }) => self.set_note(key, Some(value)),
                Some(Body::NoteGone { key }) => self.set_note(key, None),
                Some(Body::Seal(_)) | None => return Err((offset, Flaw::Shape)),
            }
        }
        self.at = Position { segment, offset: commit.end() };
        self.link = commit.link;
        Ok(changes)
    }

    fn apply_change(&mut self, change: &Change<'_>, place: Position) -> Result<(), Flaw> {
        let space = Space::parse(change.space).map_err(|_| Flaw::Shape)?;
        EntryId::parse(change.entry).map_err(|_| Flaw::Shape)?;
        let track = self.spaces.entry(space).or_default();
        let head = track.head.after(&change.hash);
        if change.seq != head.seq || change.chain != head.chain {
            return Err(Flaw::Order);
        }
        track.push(head, place);
        track.durable = head;
        Ok(())
    }

    /// Drops the places of records: for who only reads along.
    pub(crate) fn forget_places(&mut self) {
        self.notes_changed.clear();
        for track in self.spaces.values_mut() {
            track.places.forget_whole();
        }
    }

    pub(crate) fn set_note(&mut self, key: &str, value: Option<&[u8]>) {
        let before = match value {
            Some(value) => {
                self.notes_bytes += key.len() + value.len();
                self.notes.insert(key.to_owned(), value.to_vec())
            }
            None => self.notes.remove(key),
        };
        self.notes_bytes -= before.map_or(0, |before| key.len() + before.len());
        self.notes_changed.insert(key.to_owned());
    }
}

impl Track {
    pub(crate) fn push(&mut self, head: Head, place: Position) {
        self.head = head;
        self.changed = true;
        self.places.push(place);
    }
}

#[cfg(test)]
mod tests {
    use linli_domain::id::ChangeHash;

    use super::*;

    #[test]
    fn a_record_that_does_not_follow_is_refused() {
        let hash = ChangeHash([3; 32]);
        let head = Head::default().after(&hash);
        let change = Change {
            space: "street/he-ping/board",
            seq: 1,
            origin: 0,
            chain: head.chain,
            entry: "issue/1",
            hash,
            bytes: b"",
        };
        let at = Position { segment: 1, offset: 64 };
        let mut state = Checkpoint::default();
        assert_eq!(state.apply_change(&Change { seq: 2, ..change }, at), Err(Flaw::Order));
        assert_eq!(state.apply_change(&Change { chain: 9, ..change }, at), Err(Flaw::Order));
        assert_eq!(state.apply_change(&Change { space: "else", ..change }, at), Err(Flaw::Shape));
        assert_eq!(state.apply_change(&Change { entry: "else", ..change }, at), Err(Flaw::Shape));
        assert_eq!(state.apply_change(&change, at), Ok(()));
        assert_eq!(state.apply_change(&change, at), Err(Flaw::Order));
        let space = Space::parse(change.space).expect("a space");
        assert_eq!(state.head(&space), head);
    }

    #[test]
    fn the_bytes_of_notes_are_counted() {
        let mut state = Checkpoint::default();
        state.set_note("key", Some(b"12345"));
        state.set_note("other", Some(b""));
        state.set_note("key", Some(b"1"));
        assert_eq!(state.notes_bytes, 9);
        state.set_note("key", None);
        state.set_note("absent", None);
        assert_eq!(state.notes_bytes, 5);
    }
}
