//! The two files of a shelf: read in step, row beside row, and written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use linli_domain::seal::DocumentPlace;

use super::slot::{self, Says, Slot};
use super::{Place, SHELF_FILES, ShelfReport};
use crate::disk::{Disk, read_full};
use crate::journal::OpenError;
use crate::limits::KEY_ROW_BYTES;

/// Rows that are read or written at once, of 160 bytes.
const PIECE_ROWS: usize = 4_096;

const ROW_BYTES: u64 = KEY_ROW_BYTES as u64;

/// Reads a file from a row on, a piece at a time.
pub(super) struct Reader {
    file: &'static str,
    /// Whole rows in the file.
    rows: u64,
    /// The row that comes next.
    next: u64,
    piece: Vec<u8>,
    at: usize,
}

impl Reader {
    /// A reader of whole rows from `first` on; an absent file has none.
    pub(super) fn new<D: Disk + ?Sized>(
        disk: &D,
        file: &'static str,
        first: u64,
    ) -> io::Result<Self> {
        let rows = len(disk, file)?.unwrap_or_default() / ROW_BYTES;
        Ok(Self { file, rows, next: first, piece: Vec::new(), at: 0 })
    }

    /// The next row and its number, sound or not.
    pub(super) fn next<D: Disk + ?Sized>(&mut self, disk: &D) -> io::Result<Option<(u64, &Slot)>> {
        if self.at == self.piece.len() {
            let left = usize::try_from(self.rows.saturating_sub(self.next)).unwrap_or(usize::MAX);
            self.piece.resize(left.min(PIECE_ROWS) * KEY_ROW_BYTES, 0);
            let read = read_full(disk, self.file, self.next * ROW_BYTES, &mut self.piece)?;
            self.piece.truncate(read - read % KEY_ROW_BYTES);
            self.at = 0;
        }
        let Some(slot) = self.piece[self.at..].first_chunk::<KEY_ROW_BYTES>() else {
            return Ok(None);
        };
        self.at += KEY_ROW_BYTES;
        self.next += 1;
        Ok(Some((self.next - 1, slot)))
    }
}

/// What both files hold.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Rows of keys, in their order.
    pub(super) keys: Vec<Place>,
    /// Erased documents, with whether the views' files are free of them.
    pub(super) erased: BTreeMap<DocumentPlace, bool>,
    /// Rows of each file up to its last sound one, the header among them. What lies behind was never
    /// finished, or is room reserved.
    pub(super) ends: [u64; 2],
    /// Damaged rows of each, before that end.
    damaged: [BTreeSet<u64>; 2],
    /// No row is sound in both files and not the same.
    pub(super) aligned: bool,
}

impl Seen {
    /// Reads both files from their first row to their last.
    pub(super) fn of<D: Disk + ?Sized>(disk: &D) -> Result<Self, OpenError> {
        let mut seen = Self { aligned: true, ..Self::default() };
        let mut doubtful = [Vec::new(), Vec::new()];
        let [first, second] = SHELF_FILES;
        let mut readers = (Reader::new(disk, first, 0)?, Reader::new(disk, second, 0)?);
        loop {
            let rows = [readers.0.next(disk)?, readers.1.next(disk)?];
            if rows == [None, None] {
                return Ok(seen);
            }
            let mut sound: [Option<(&Slot, Says)>; 2] = [None, None];
            for (file, row) in rows.into_iter().enumerate() {
                let Some((number, slot)) = row else { continue };
                let Some(says) = slot::says(slot) else {
                    doubtful[file].push(number);
                    continue;
                };
                if let Says::Newer(version) = says {
                    return Err(OpenError::Newer { version });
                }
                seen.damaged[file].extend(doubtful[file].drain(..));
                seen.ends[file] = number + 1;
                sound[file] = Some((slot, says));
            }
            let number = rows.into_iter().flatten().next().map_or(0, |(number, _)| number);
            match sound {
                [Some((left, _)), Some((right, _))] if left != right => seen.aligned = false,
                [Some((_, says)), _] | [None, Some((_, says))] => seen.take(says, number),
                [None, None] => {}
            }
        }
    }

    fn take(&mut self, says: Says, number: u64) {
        match says {
            Says::Key(place) => self.keys.push(Place::of(&place, number)),
            // Where the files differ, it is cleaned once more.
            Says::Erased(place, clean) => {
                *self.erased.entry(place).or_insert(clean) &= clean;
            }
            Says::Header | Says::Newer(_) | Says::Other => {}
        }
    }

    /// Whether any row is damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.iter().any(|rows| !rows.is_empty())
    }

    /// What is damaged, and whether the other file has it.
    pub(super) fn report(&self) -> ShelfReport {
        let mut report = ShelfReport::default();
        let sound =
            |file: usize, row: &u64| *row < self.ends[file] && !self.damaged[file].contains(row);
        for (file, other) in [(0, 1), (1, 0)] {
            for row in &self.damaged[file] {
                if sound(other, row) {
                    report.mended += 1;
                } else if !report.lost.contains(row) {
                    report.lost.push(*row);
                }
            }
        }
        report
    }
}

/// Every sound row of both files but their headers: those of the first, then what the second has
/// beyond it. For files that a crash left with different rows in one place; it takes them all into
/// memory.
pub(super) fn union<D: Disk + ?Sized>(disk: &D) -> io::Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for file in SHELF_FILES {
        let known = slots.len();
        let mut reader = Reader::new(disk, file, 0)?;
        while let Some((_, slot)) = reader.next(disk)? {
            if slot::says(slot).is_some_and(|says| says != Says::Header) {
                slots.push(*slot);
            }
        }
        let (before, after) = slots.split_at(known);
        let before: BTreeSet<&Slot> = before.iter().collect();
        let fresh: Vec<Slot> =
            after.iter().filter(|slot| !before.contains(slot)).copied().collect();
        slots.truncate(known);
        slots.extend(fresh);
    }
    Ok(slots)
}

/// Replaces a file, durably: after a crash either the old one stands or the new one. `piece` gives
/// rows until it gives none.
pub(super) fn write_anew<D: Disk + ?Sized>(
    disk: &mut D,
    file: &str,
    mut piece: impl FnMut(&D) -> io::Result<Vec<Slot>>,
) -> io::Result<()> {
    let part = part(file);
    match disk.remove(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut len = 0;
    loop {
        let rows = piece(disk)?;
        if rows.is_empty() {
            break;
        }
        disk.append(&part, rows.as_flattened())?;
        len += rows.as_flattened().len() as u64;
    }
    disk.truncate(&part, len)?;
    disk.sync(&part)?;
    disk.rename(&part, file)?;
    disk.sync_dir()
}

/// Appends the rows from `first` on of one file to another, durably.
pub(super) fn append_rest<D: Disk + ?Sized>(
    disk: &mut D,
    from: &'static str,
    first: u64,
    to: &str,
) -> io::Result<()> {
    let mut reader = Reader::new(disk, from, first)?;
    loop {
        let rows = some_rows(|| Ok(reader.next(disk)?.map(|(_, slot)| *slot)))?;
        if rows.is_empty() {
            break;
        }
        disk.append(to, rows.as_flattened())?;
    }
    disk.sync(to)?;
    disk.sync_dir()
}

/// As many rows as make a piece, of what `next` gives.
pub(super) fn some_rows(
    mut next: impl FnMut() -> io::Result<Option<Slot>>,
) -> io::Result<Vec<Slot>> {
    let mut rows = Vec::new();
    while rows.len() < PIECE_ROWS
        && let Some(row) = next()?
    {
        rows.push(row);
    }
    Ok(rows)
}

/// A row of a file; `None` if it is damaged.
pub(super) fn read_row<D: Disk + ?Sized>(
    disk: &D,
    file: &str,
    row: u64,
) -> io::Result<Option<Slot>> {
    let mut slot = [0; KEY_ROW_BYTES];
    let read = read_full(disk, file, row * ROW_BYTES, &mut slot)?;
    Ok((read == KEY_ROW_BYTES && slot::says(&slot).is_some()).then_some(slot))
}

/// Length of a file in bytes; `None` if there is none.
pub(super) fn len<D: Disk + ?Sized>(disk: &D, file: &str) -> io::Result<Option<u64>> {
    match disk.len(file) {
        Ok(len) => Ok(Some(len)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Cuts a file behind a row.
pub(super) fn cut<D: Disk + ?Sized>(disk: &mut D, file: &str, rows: u64) -> io::Result<()> {
    match len(disk, file)? {
        Some(len) if len != rows * ROW_BYTES => disk.truncate(file, rows * ROW_BYTES),
        _ => Ok(()),
    }
}

/// The name of a file while it is being written anew.
pub(super) fn part(file: &str) -> String {
    format!("{file}.part")
}
