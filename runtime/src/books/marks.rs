//! When records were stored, about: where each space stood at most once a day.
//!
//! The journal keeps no times, since nothing may hang on a clock. A person who carries files wants
//! those of the last weeks; for that a mark a day is enough. It answers with a place that is early
//! rather than late, and refuses to guess where it has no mark.

use std::collections::BTreeMap;

use linli_domain::id::{Role, Space};
use linli_replica::frame::Cursor;
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::views::Views;
use serde::{Deserialize, Serialize};

use super::{Books, BooksTrouble};
use crate::limits::{MARK_EVERY_MILLIS, MARKS_KEPT_MAX};

/// Begins the keys of the notes; the mark's number follows.
const STORED: &str = "stored ";

/// Where the spaces stood before something was stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    /// By this machine's clock, in milliseconds since 1970.
    at: u64,
    /// Each space: number of its last record, and its chain value.
    heads: BTreeMap<Space, (u64, u64)>,
}

/// The marks of a desk, by number.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<u64, Mark>);

impl<D: Disk, V: Views> Books<D, V> {
    pub(super) fn load_marks(&mut self) {
        for (number, mark) in self.notes(STORED) {
            if let (Ok(number), Ok(mark)) = (number.parse(), serde_json::from_slice(&mark)) {
                self.marks.0.insert(number, mark);
            }
        }
    }

    /// Before a record is stored: a mark, if the last one is a day old or the clock was set back.
    pub(super) fn mark_time(&mut self) {
        let now = self.now_millis;
        let last = self.marks.0.last_key_value();
        let due = last.is_none_or(|(_, mark)| {
            now.checked_sub(mark.at).is_none_or(|since| since >= MARK_EVERY_MILLIS)
        });
        if !due || self.me.role() != Role::Node {
            return;
        }
        let number = last.map_or(0, |(number, _)| number + 1);
        let head = |(space, book): (&Space, &super::SpaceBook)| {
            (space.clone(), (book.head.seq, book.head.chain))
        };
        let mark = Mark { at: now, heads: self.spaces.iter().map(head).collect() };
        let bytes = serde_json::to_vec(&mark).expect("names and numbers serialise");
        self.keep_note(&format!("{STORED}{number:010}"), &bytes);
        self.marks.0.insert(number, mark);
        while self.marks.0.len() > MARKS_KEPT_MAX {
            let Some((oldest, _)) = self.marks.0.pop_first() else { return };
            if let Err(error) = self.store.remove_note(&format!("{STORED}{oldest:010}")) {
                self.troubles.push(BooksTrouble::Read(format!("a note: {error}")));
            }
        }
    }

    /// A place of a space before everything that was stored at or after `since`, in milliseconds since
    /// 1970 by this machine's clock; the beginning where that is not known.
    pub(crate) fn place_before(&mut self, space: &Space, since: u64) -> Cursor {
        let beginning = Cursor { epoch: self.epoch, ..Cursor::default() };
        // What was stored between a mark and the next is at most a day later than the mark.
        let late = |(_, mark): &(&u64, &Mark)| mark.at.saturating_add(MARK_EVERY_MILLIS) > since;
        let found = self.marks.0.iter().find(late);
        let place = match found {
            // Before the first mark nothing has a time.
            Some((number, mark))
                if mark.at > since && self.marks.0.keys().next() == Some(number) =>
            {
                None
            }
            Some((_, mark)) => Some(mark.heads.get(space).copied().unwrap_or_default()),
            None if self.marks.0.is_empty() => None,
            // Nothing was stored since.
            None => {
                let held = self.held(space);
                Some((held.head, held.chain))
            }
        };
        // Numbers of another life, as after a salvage, mean nothing.
        let sound = |(seq, chain): &(u64, u64)| self.chain_at(space, *seq) == Some(*chain);
        let Some((seq, chain)) = place.filter(sound) else { return beginning };
        Cursor { seq, chain, ..beginning }
    }
}
