//! The key shelf: wrapped keys of sealed documents, outside of the journal, so that they can be
//! destroyed.
//!
//! # The contract
//! - Two files hold the same rows. A row that one of them has lost is taken from the other, and
//!   both are written anew; one that both have lost is named.
//! - What was put is appended and made durable before the commit of the envelopes that need it.
//! - [`KeyShelf::erase`] takes every key of a document away and leaves a mark; no key of it is
//!   taken again. Both files are then written anew, beside the old ones, and take their names.
//! - Rows have one length, so a damaged one hides no other.
//! - Memory holds where the rows of a document lie, and not the rows: a hub has a key for each
//!   sealed half of a whole street.
//!
//! ```text
//! kind u8 | length u8 | place 32 | name 32 | wrapped key 80 | 10 zeros | crc32c u32
//! ```
//!
//! It refuses to know what a wrapped key means, and to hold one longer than a row has room for.

mod files;
mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use linli_domain::seal::{DocumentPlace, KeyName, WRAPPED_KEY_BYTES_MAX};

use self::files::{Reader, Seen};
use self::slot::{Says, Slot};
use crate::disk::{Disk, MemoryDisk};
use crate::journal::OpenError;
use crate::limits::WRAPS_PER_NAME_MAX;

/// The two files, beside the segments of the journal.
pub const SHELF_FILES: [&str; 2] = ["documents-1.keys", "documents-2.keys"];

/// A wrapped key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// What it is known by.
    pub name: KeyName,
    /// The key, wrapped.
    pub wrapped: Box<[u8]>,
}

/// Where a key of a document lies: the first bytes of the document's place, which are those of a
/// hash, and the row. The row says whether it is really this document's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    head: u64,
    row: u32,
}

impl Place {
    fn of(place: &DocumentPlace, row: u64) -> Self {
        let head = place.0.first_chunk().expect("32 bytes hold 8");
        let row = u32::try_from(row).expect("a shelf of 680 GB is not written");
        Self { head: u64::from_be_bytes(*head), row }
    }
}

/// The wrapped keys of one store, and what was erased.
#[derive(Debug, Default)]
pub struct KeyShelf {
    places: BTreeSet<Place>,
    /// With whether the views' files are free of it.
    erased: BTreeMap<DocumentPlace, bool>,
    /// Rows of each file, the header among them; 0 where there are no files.
    rows: u64,
    /// Put since the last flush: the rows that come next.
    pending: Vec<Slot>,
    /// Both files are to be written anew.
    stale: bool,
    /// A write has failed: what the files hold is not known.
    poisoned: bool,
}

/// What opening a shelf found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ShelfReport {
    /// Damaged rows that the other file had.
    pub mended: usize,
    /// Damaged rows that both files have lost, by their number from 1.
    pub lost: Vec<u64>,
}

/// An audit of both files that is under way.
#[derive(Debug, Default)]
pub struct ShelfAudit {
    /// The row that comes next.
    row: u64,
    mended: Vec<u64>,
    lost: Vec<u64>,
}

impl ShelfAudit {
    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.row
    }

    /// Rows that one file has lost, by their number from 1; the next commit mends them.
    pub fn mended(&self) -> &[u64] {
        &self.mended
    }

    /// Rows that both files have lost.
    pub fn lost(&self) -> &[u64] {
        &self.lost
    }
}

impl KeyShelf {
    /// Reads both files, and mends one with the other.
    pub fn open<D: Disk + ?Sized>(disk: &mut D) -> Result<(Self, ShelfReport), OpenError> {
        let names = disk.list()?;
        for part in SHELF_FILES.map(files::part) {
            if names.contains(&part) {
                // Half written; its keys may have been erased since.
                disk.remove(&part)?;
            }
        }
        let seen = Seen::of(disk)?;
        for (file, end) in SHELF_FILES.into_iter().zip(seen.ends) {
            // Room reserved ahead, or a row that was cut.
            files::cut(disk, file, end)?;
        }
        let report = seen.report();
        let (damaged, [first, second]) = (seen.is_damaged(), seen.ends);
        let mut shelf = Self { erased: seen.erased, rows: first.max(second), ..Self::default() };
        if !seen.aligned {
            shelf.take_all(disk)?;
            return Ok((shelf, report));
        }
        shelf.places = seen.keys.into_iter().collect();
        shelf.stale = damaged || shelf.has_erased(disk)?;
        if !shelf.stale && first != second {
            let [one, two] = SHELF_FILES;
            let (from, to) = if first > second { (one, two) } else { (two, one) };
            files::append_rest(disk, from, first.min(second), to)?;
        }
        shelf.rewrite(disk)?;
        Ok((shelf, report))
    }

    /// Whether a key of an erased document lies in the files.
    fn has_erased<D: Disk + ?Sized>(&mut self, disk: &D) -> io::Result<bool> {
        for place in self.erased.clone().into_keys() {
            for row in self.rows_at(&place) {
                let slot = self.slot(disk, row)?;
                if slot.and_then(|slot| slot::says(&slot)) == Some(Says::Key(place)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Writes both files anew with what either holds.
    fn take_all<D: Disk + ?Sized>(&mut self, disk: &mut D) -> io::Result<()> {
        let all = files::union(disk)?;
        for slot in &all {
            if let Some(Says::Erased(place, clean)) = slot::says(slot) {
                *self.erased.entry(place).or_insert(clean) &= clean;
            }
        }
        for file in SHELF_FILES {
            let mut anew = Anew::new(&self.erased);
            let mut rows = all.iter();
            files::write_anew(disk, file, |_| {
                files::some_rows(|| anew.next(|| Ok(rows.next().copied())))
            })?;
            (self.places, self.rows) = anew.end();
        }
        Ok(())
    }

    fn rows_at(&self, place: &DocumentPlace) -> Vec<u64> {
        let (first, last) = (Place::of(place, 0), Place::of(place, u32::MAX.into()));
        self.places.range(first..=last).map(|place| place.row.into()).collect()
    }

    /// The row that the first of the pending ones will have.
    fn next_row(&self) -> u64 {
        self.rows.max(1)
    }

    /// A row of either file, or one that is pending; `None` if it is damaged in both.
    fn slot<D: Disk + ?Sized>(&mut self, disk: &D, row: u64) -> io::Result<Option<Slot>> {
        if let Some(at) = row.checked_sub(self.next_row()) {
            return Ok(usize::try_from(at).ok().and_then(|at| self.pending.get(at)).copied());
        }
        let [first, second] = SHELF_FILES;
        match files::read_row(disk, first, row) {
            Ok(Some(slot)) => Ok(Some(slot)),
            Ok(None) => {
                tracing::warn!(row, file = first, "a damaged key; both files are written anew");
                self.stale = true;
                files::read_row(disk, second, row)
            }
            Err(error) => files::read_row(disk, second, row)?.map(Some).ok_or(error),
        }
    }

    /// Keys of a document: none of an erased one. A row that is damaged in both files is passed over;
    /// the next open names it.
    pub fn keys<D: Disk + ?Sized>(
        &mut self,
        disk: &D,
        place: &DocumentPlace,
    ) -> io::Result<Vec<KeyRow>> {
        let mut keys = Vec::new();
        if self.erased.contains_key(place) {
            return Ok(keys);
        }
        for row in self.rows_at(place) {
            let slot = self.slot(disk, row)?;
            let own = |slot: &Slot| slot::says(slot) == Some(Says::Key(*place));
            keys.extend(slot.filter(own).map(|slot| slot::key_row(&slot)));
        }
        Ok(keys)
    }

    /// Takes an audit of both files on by at most `max` rows; true while there is more. What one file
    /// has lost is mended by the next commit.
    pub(crate) fn audit_slice<D: Disk + ?Sized>(
        &mut self,
        disk: &D,
        audit: &mut ShelfAudit,
        max: usize,
    ) -> io::Result<bool> {
        let [first, second] = SHELF_FILES;
        let mut readers =
            (Reader::new(disk, first, audit.row)?, Reader::new(disk, second, audit.row)?);
        let end = self.rows.min(audit.row + max as u64);
        for row in audit.row..end {
            let rows = [readers.0.next(disk)?, readers.1.next(disk)?];
            let sound = rows.map(|row| row.is_some_and(|(_, slot)| slot::says(slot).is_some()));
            match sound {
                [true, true] => {}
                [false, false] => audit.lost.push(row),
                _ => {
                    self.stale = true;
                    audit.mended.push(row);
                }
            }
        }
        audit.row = end;
        Ok(end < self.rows)
    }

    /// Number of keys; those of documents that were erased count until both files are written anew.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Puts a key on the shelf; durable with the next flush. True if it is new. One of an erased
    /// document is not taken, nor one that is too long, nor a third of the same name: who relays
    /// keys cannot tell a right one from a wrong one. Where the others cannot be read just now it is
    /// taken: twice does no harm.
    pub fn put<D: Disk + ?Sized>(
        &mut self,
        disk: &D,
        place: DocumentPlace,
        name: KeyName,
        wrapped: &[u8],
    ) -> bool {
        let fits = (1..=WRAPPED_KEY_BYTES_MAX).contains(&wrapped.len());
        if !fits || self.erased.contains_key(&place) {
            return false;
        }
        let keys = self.keys(disk, &place).unwrap_or_else(|error| {
            tracing::warn!(%error, "the keys of a document could not be read");
            Vec::new()
        });
        let mut alike = keys.iter().filter(|key| key.name == name);
        if alike.clone().any(|key| *key.wrapped == *wrapped)
            || alike.by_ref().count() >= WRAPS_PER_NAME_MAX
        {
            return false;
        }
        let row = self.next_row() + self.pending.len() as u64;
        self.places.insert(Place::of(&place, row));
        self.pending.push(slot::key(&place, &name, wrapped));
        true
    }

    /// Takes every key of a document away, for good; durable with the next rewrite. True if it was
    /// not erased before.
    pub fn erase(&mut self, place: DocumentPlace) -> bool {
        if self.erased.contains_key(&place) {
            return false;
        }
        // What was only put is not written at all; what comes behind it moves up.
        let first = self.next_row();
        let pending = std::mem::take(&mut self.pending);
        let before = |at: &Place| u64::from(at.row) < first;
        if !pending.is_empty() {
            self.places.retain(before);
        }
        for slot in pending {
            match slot::says(&slot) {
                Some(Says::Key(other)) if other != place => {
                    let row = first + self.pending.len() as u64;
                    self.places.insert(Place::of(&other, row));
                    self.pending.push(slot);
                }
                _ => {}
            }
        }
        self.erased.insert(place, false);
        self.stale = true;
        true
    }

    /// Notes that text of an erased document lies in the views again: files from before the erasure
    /// have come back.
    pub fn stain(&mut self, place: &DocumentPlace) {
        if let Some(clean) = self.erased.get_mut(place) {
            self.stale |= *clean;
            *clean = false;
        }
    }

    /// Whether a document was erased.
    pub fn is_erased(&self, place: &DocumentPlace) -> bool {
        self.erased.contains_key(place)
    }

    /// Whether a document was erased and no file of this store holds its text.
    pub fn is_clean(&self, place: &DocumentPlace) -> bool {
        self.erased.get(place).copied().unwrap_or_default()
    }

    /// Documents that were erased and whose text may still lie in the files of the views.
    pub fn unclean(&self) -> usize {
        self.erased.values().filter(|clean| !**clean).count()
    }

    /// Notes that the files of the views were made anew since the last erasure.
    pub(crate) fn note_clean(&mut self) {
        self.stale |= self.unclean() > 0;
        self.erased.values_mut().for_each(|clean| *clean = true);
    }

    /// Makes what was put durable. After an error open the shelf anew.
    pub(crate) fn flush<D: Disk + ?Sized>(&mut self, disk: &mut D) -> io::Result<()> {
        if self.pending.is_empty() && !self.poisoned {
            return Ok(());
        }
        self.check_sound()?;
        self.poisoned = true;
        let made = self.rows > 0;
        let mut rows = if made { Vec::new() } else { vec![slot::header()] };
        rows.append(&mut self.pending.clone());
        for file in SHELF_FILES {
            disk.append(file, rows.as_flattened())?;
            disk.sync(file)?;
        }
        if !made {
            disk.sync_dir()?;
        }
        self.rows += rows.len() as u64;
        self.pending.clear();
        self.poisoned = false;
        Ok(())
    }

    /// Writes both files anew, if anything was erased since, or found damaged. After an error open
    /// the shelf anew.
    pub(crate) fn rewrite<D: Disk + ?Sized>(&mut self, disk: &mut D) -> io::Result<()> {
        if !self.stale {
            return Ok(());
        }
        self.check_sound()?;
        self.poisoned = true;
        let [first, second] = SHELF_FILES;
        let mut anew = Anew::new(&self.erased);
        let mut reader = Reader::new(disk, first, 1)?;
        let mut row = 1;
        let (rows, pending) = (self.rows, self.pending.len() as u64);
        let mut shelf =
            Self { rows, pending: std::mem::take(&mut self.pending), ..Self::default() };
        files::write_anew(disk, first, |disk| {
            files::some_rows(|| {
                anew.next(|| {
                    while row < rows.max(1) + pending {
                        let read = reader.next(disk)?.filter(|(at, _)| *at == row);
                        let sound = read.map(|(_, slot)| *slot).filter(|s| slot::says(s).is_some());
                        let slot = match sound {
                            Some(slot) => Some(slot),
                            None => shelf.slot(disk, row)?,
                        };
                        row += 1;
                        if slot.is_some() {
                            return Ok(slot);
                        }
                        tracing::error!(row = row - 1, "a key is damaged in both files");
                    }
                    Ok(None)
                })
            })
        })?;
        let mut copy = Reader::new(disk, first, 0)?;
        files::write_anew(disk, second, |disk| {
            files::some_rows(|| {
                let slot = copy.next(disk)?.map(|(_, slot)| *slot);
                let sound = slot.is_none_or(|slot| slot::says(&slot).is_some());
                sound.then_some(slot).ok_or_else(|| io::Error::other("it reads back damaged"))
            })
        })?;
        (self.places, self.rows) = anew.end();
        (self.stale, self.poisoned) = (false, false);
        Ok(())
    }

    fn check_sound(&self) -> io::Result<()> {
        let failed = || io::Error::other("a write of the key shelf has failed before");
        if self.poisoned { Err(failed()) } else { Ok(()) }
    }

    /// The content of a file made of what both files hold, for a backup; `None` where there is no
    /// shelf. A file may be read while it grows.
    pub fn whole(copies: [Option<Vec<u8>>; 2]) -> Result<Option<Vec<u8>>, OpenError> {
        let mut disk = MemoryDisk::new();
        for (file, copy) in SHELF_FILES.into_iter().zip(copies) {
            if let Some(bytes) = copy {
                disk.append(file, &bytes)?;
            }
        }
        Self::open(&mut disk)?;
        Ok(disk.bytes(SHELF_FILES[0]))
    }
}

/// The rows of files that are written anew: a header, the marks, and the keys that no mark names.
struct Anew<'a> {
    erased: &'a BTreeMap<DocumentPlace, bool>,
    marks: std::collections::btree_map::Iter<'a, DocumentPlace, bool>,
    places: Vec<Place>,
    rows: u64,
}

impl<'a> Anew<'a> {
    fn new(erased: &'a BTreeMap<DocumentPlace, bool>) -> Self {
        Self { erased, marks: erased.iter(), places: Vec::new(), rows: 0 }
    }

    /// The next row; `old` gives those there were.
    fn next(
        &mut self,
        mut old: impl FnMut() -> io::Result<Option<Slot>>,
    ) -> io::Result<Option<Slot>> {
        let slot = if self.rows == 0 {
            Some(slot::header())
        } else if let Some((place, clean)) = self.marks.next() {
            Some(slot::erased(place, *clean))
        } else {
            loop {
                let Some(slot) = old()? else { break None };
                if let Some(Says::Key(place)) = slot::says(&slot)
                    && !self.erased.contains_key(&place)
                {
                    self.places.push(Place::of(&place, self.rows));
                    break Some(slot);
                }
            }
        };
        self.rows += u64::from(slot.is_some());
        Ok(slot)
    }

    /// Where the keys lie now, and how many rows there are.
    fn end(self) -> (BTreeSet<Place>, u64) {
        (self.places.into_iter().collect(), self.rows)
    }
}

#[cfg(test)]
mod tests;
