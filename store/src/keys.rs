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
//!
//! ```text
//! kind u8 | length u8 | place 32 | name 32 | wrapped key 80 | 10 zeros | crc32c u32
//! ```
//!
//! It refuses to know what a wrapped key means, and to hold one longer than a row has room for.

use std::collections::BTreeMap;
use std::io;

use linli_domain::seal::{DocumentPlace, KeyName, WRAPPED_KEY_BYTES_MAX};

use crate::disk::{Disk, read_full};
use crate::journal::OpenError;
use crate::limits::{KEY_ROW_BYTES, WRAPS_PER_NAME_MAX};

/// The two files, beside the segments of the journal.
pub const SHELF_FILES: [&str; 2] = ["documents-1.keys", "documents-2.keys"];

const MAGIC: &[u8; 8] = b"linlikey";
const VERSION: u32 = 1;
const KEY: u8 = 1;
/// A document that was erased here, whose text may still lie in the files of the views.
const ERASED: u8 = 2;
/// One whose text is gone from there, too.
const CLEAN: u8 = 3;

const PLACE_AT: usize = 2;
const NAME_AT: usize = 34;
const WRAPPED_AT: usize = 66;
const SUM_AT: usize = KEY_ROW_BYTES - 4;
const _: () = assert!(WRAPPED_AT + WRAPPED_KEY_BYTES_MAX <= SUM_AT);

/// One row of a file.
type Slot = [u8; KEY_ROW_BYTES];

/// A wrapped key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// What it is known by.
    pub name: KeyName,
    /// The key, wrapped.
    pub wrapped: Box<[u8]>,
}

/// The wrapped keys of one store, and what was erased.
#[derive(Debug, Default)]
pub struct KeyShelf {
    keys: BTreeMap<DocumentPlace, Vec<KeyRow>>,
    /// With whether the views' files are free of it.
    erased: BTreeMap<DocumentPlace, bool>,
    /// Put since the last flush.
    pending: Vec<(DocumentPlace, KeyRow)>,
    /// Both files are to be written anew.
    stale: bool,
    /// The files are there.
    made: bool,
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

impl KeyShelf {
    /// Reads both files, and mends one with the other.
    pub fn open<D: Disk + ?Sized>(disk: &mut D) -> Result<(Self, ShelfReport), OpenError> {
        let names = disk.list()?;
        let mut copies = Vec::new();
        for file in SHELF_FILES {
            let part = format!("{file}.part");
            if names.contains(&part) {
                // Half written; its keys may have been erased since.
                disk.remove(&part)?;
            }
            let there = names.iter().any(|name| name == file);
            let bytes = if there { Some(read_whole(disk, file)?) } else { None };
            copies.push(bytes.as_deref().map(Copy::read).transpose()?);
        }
        let made = copies.iter().any(Option::is_some);
        for (file, copy) in SHELF_FILES.iter().zip(&copies) {
            // Room reserved ahead, or a row that was cut.
            if let Some(copy) = copy.as_ref().filter(|copy| copy.end != copy.len) {
                disk.truncate(file, copy.end)?;
            }
        }
        let (mut shelf, report, alike) = Self::merge(&copies);
        shelf.made = made;
        shelf.stale = made && !alike;
        shelf.rewrite(disk)?;
        Ok((shelf, report))
    }

    /// What both files say together, whether they are the same, and what is damaged.
    fn merge(copies: &[Option<Copy>]) -> (Self, ShelfReport, bool) {
        let mut shelf = Self::default();
        let mut alike = true;
        for copy in copies.iter().flatten() {
            for slot in &copy.slots {
                shelf.take(slot);
            }
        }
        let before: usize = shelf.keys.values().map(Vec::len).sum();
        shelf.keys.retain(|place, _| !shelf.erased.contains_key(place));
        alike &= before == shelf.keys.values().map(Vec::len).sum::<usize>();
        let mut report = ShelfReport::default();
        let sound = |copy: &Option<Copy>, row: u64| {
            copy.as_ref().is_some_and(|copy| copy.rows().any(|held| held == row))
        };
        for (copy, other) in [(0, 1), (1, 0)] {
            for &row in copies[copy].iter().flat_map(|copy| &copy.damaged) {
                if sound(&copies[other], row) {
                    report.mended += 1;
                } else if !report.lost.contains(&row) {
                    report.lost.push(row);
                }
            }
        }
        let slots = |copy: &Option<Copy>| copy.as_ref().map(|copy| copy.slots.clone());
        alike &= report == ShelfReport::default() && slots(&copies[0]) == slots(&copies[1]);
        (shelf, report, alike)
    }

    fn take(&mut self, slot: &Slot) {
        let place = DocumentPlace(array(slot, PLACE_AT));
        match slot[0] {
            KEY => {
                let len = usize::from(slot[1]).min(WRAPPED_KEY_BYTES_MAX);
                let wrapped = slot[WRAPPED_AT..WRAPPED_AT + len].into();
                let row = KeyRow { name: KeyName(array(slot, NAME_AT)), wrapped };
                let rows = self.keys.entry(place).or_default();
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
            ERASED | CLEAN => {
                // Where the files differ, it is cleaned once more.
                let clean = self.erased.entry(place).or_insert(slot[0] == CLEAN);
                *clean &= slot[0] == CLEAN;
            }
            _ => {}
        }
    }

    /// Keys of a document.
    pub fn keys(&self, place: &DocumentPlace) -> &[KeyRow] {
        self.keys.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    /// Keys of a document that have this name.
    pub fn named<'a>(
        &'a self,
        place: &DocumentPlace,
        name: &KeyName,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let name = *name;
        self.keys(place).iter().filter(move |row| row.name == name).map(|row| &*row.wrapped)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Puts a key on the shelf; durable with the next flush. True if it is new. One of an erased
    /// document is not taken, nor one that is too long, nor a third of the same name: who relays
    /// keys cannot tell a right one from a wrong one.
    pub fn put(&mut self, place: DocumentPlace, name: KeyName, wrapped: &[u8]) -> bool {
        let fits = (1..=WRAPPED_KEY_BYTES_MAX).contains(&wrapped.len());
        if !fits || self.erased.contains_key(&place) {
            return false;
        }
        let rows = self.keys.entry(place).or_default();
        let mut alike = rows.iter().filter(|row| row.name == name);
        if alike.clone().any(|row| *row.wrapped == *wrapped)
            || alike.by_ref().count() >= WRAPS_PER_NAME_MAX
        {
            return false;
        }
        let row = KeyRow { name, wrapped: wrapped.into() };
        rows.push(row.clone());
        self.pending.push((place, row));
        true
    }

    /// Takes every key of a document away, for good; durable with the next rewrite. True if it was
    /// not erased before.
    pub fn erase(&mut self, place: DocumentPlace) -> bool {
        if self.erased.contains_key(&place) {
            return false;
        }
        self.keys.remove(&place);
        self.pending.retain(|(at, _)| *at != place);
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
        let mut bytes = Vec::with_capacity((self.pending.len() + 1) * KEY_ROW_BYTES);
        if !self.made {
            bytes.extend_from_slice(&header());
        }
        for (place, row) in &self.pending {
            bytes.extend_from_slice(&key_slot(place, row));
        }
        for file in SHELF_FILES {
            disk.append(file, &bytes)?;
            disk.sync(file)?;
        }
        if !self.made {
            disk.sync_dir()?;
        }
        self.pending.clear();
        (self.made, self.poisoned) = (true, false);
        Ok(())
    }

    /// Writes both files anew, if anything was erased since. After an error open the shelf anew.
    pub(crate) fn rewrite<D: Disk + ?Sized>(&mut self, disk: &mut D) -> io::Result<()> {
        if !self.stale {
            return Ok(());
        }
        self.check_sound()?;
        self.poisoned = true;
        let image = self.image();
        for file in SHELF_FILES {
            disk.write_whole(file, &image)?;
        }
        self.pending.clear();
        (self.made, self.stale, self.poisoned) = (true, false, false);
        Ok(())
    }

    fn check_sound(&self) -> io::Result<()> {
        let failed = || io::Error::other("a write of the key shelf has failed before");
        if self.poisoned { Err(failed()) } else { Ok(()) }
    }

    /// A file with everything in it.
    fn image(&self) -> Vec<u8> {
        let mut out = header().to_vec();
        for (place, clean) in &self.erased {
            let mut slot = [0; KEY_ROW_BYTES];
            slot[0] = if *clean { CLEAN } else { ERASED };
            slot[PLACE_AT..NAME_AT].copy_from_slice(&place.0);
            out.extend_from_slice(&summed(slot));
        }
        for (place, rows) in &self.keys {
            for row in rows {
                out.extend_from_slice(&key_slot(place, row));
            }
        }
        out
    }

    /// The content of a file made of what both files hold, for a backup; `None` where there is no
    /// shelf. A file may be read while it grows.
    pub fn whole(copies: &[Option<Vec<u8>>; 2]) -> Result<Option<Vec<u8>>, OpenError> {
        let read = |copy: &Option<Vec<u8>>| copy.as_deref().map(Copy::read).transpose();
        let copies = [read(&copies[0])?, read(&copies[1])?];
        let made = copies.iter().any(Option::is_some);
        Ok(made.then(|| Self::merge(&copies).0.image()))
    }
}

/// One file as it was read.
struct Copy {
    slots: Vec<Slot>,
    damaged: Vec<u64>,
    /// Where the last sound row ends.
    end: u64,
    len: u64,
}

impl Copy {
    /// Reads a file. What lies behind the last sound row was never finished, or is room reserved.
    fn read(bytes: &[u8]) -> Result<Self, OpenError> {
        let mut copy =
            Self { slots: Vec::new(), damaged: Vec::new(), end: 0, len: bytes.len() as u64 };
        let mut doubtful = Vec::new();
        for (row, slot) in (0..).zip(bytes.as_chunks::<KEY_ROW_BYTES>().0) {
            if !is_sound(slot) {
                doubtful.push(row);
                continue;
            }
            if slot.starts_with(MAGIC) {
                let version = u32::from_le_bytes(array(slot, MAGIC.len()));
                if version > VERSION {
                    return Err(OpenError::Newer { version });
                }
            } else {
                copy.slots.push(*slot);
            }
            copy.damaged.append(&mut doubtful);
            copy.end = (row + 1) * KEY_ROW_BYTES as u64;
        }
        Ok(copy)
    }

    /// Numbers of the sound rows.
    fn rows(&self) -> impl Iterator<Item = u64> + '_ {
        let rows = self.end / KEY_ROW_BYTES as u64;
        (0..rows).filter(|row| !self.damaged.contains(row))
    }
}

fn read_whole<D: Disk + ?Sized>(disk: &D, file: &str) -> io::Result<Vec<u8>> {
    let len = usize::try_from(disk.len(file)?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let read = read_full(disk, file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn header() -> Slot {
    let mut slot = [0; KEY_ROW_BYTES];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..12].copy_from_slice(&VERSION.to_le_bytes());
    summed(slot)
}

fn key_slot(place: &DocumentPlace, row: &KeyRow) -> Slot {
    let mut slot = [0; KEY_ROW_BYTES];
    slot[0] = KEY;
    slot[1] = row.wrapped.len() as u8;
    slot[PLACE_AT..NAME_AT].copy_from_slice(&place.0);
    slot[NAME_AT..WRAPPED_AT].copy_from_slice(&row.name.0);
    slot[WRAPPED_AT..WRAPPED_AT + row.wrapped.len()].copy_from_slice(&row.wrapped);
    summed(slot)
}

fn summed(mut slot: Slot) -> Slot {
    let sum = crc32c::crc32c(&slot[..SUM_AT]);
    slot[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    slot
}

fn is_sound(slot: &Slot) -> bool {
    // Zeros have a sum that is not zero.
    summed(*slot) == *slot
}

/// `N` bytes of a row.
fn array<const N: usize>(slot: &Slot, at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&slot[at..at + N]);
    out
}

#[cfg(test)]
mod tests;
