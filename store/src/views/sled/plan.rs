//! What a batch means for sled: rows in their stored form, and the sums afterwards. Long values go
//! to the heap.
//!
//! It refuses to change anything that counts: a value in the heap does once a row names it.

use super::base::Base;
use super::heap::{Pen, Place};
use super::row::{self, Kind, Sums};
use crate::limits::{
    HEAP_FACTOR, HEAP_SPARE_BYTES, ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, VALUE_INLINE_BYTES,
};
use crate::views::{Doubt, ViewBatch, ViewsError};

/// A stored key, and its stored value or that it is removed.
pub(super) type Planned = (Vec<u8>, Option<Vec<u8>>);

/// Gives `show` the rows that a batch puts and removes, the tally last, each key once; their values
/// are durable in the heap. `sums` become those of all rows after the batch. Returns the files of
/// the heap that may go once the rows are durable.
pub(super) fn plan(
    base: &Base,
    batch: &ViewBatch,
    sums: &mut Sums,
    mut show: impl FnMut(Planned) -> Result<(), ViewsError>,
) -> Result<Vec<u32>, ViewsError> {
    let before = sums.uses.clone();
    let mut pen = base.heap.pen();
    for (key, value) in batch.rows() {
        if key.len() > ROW_KEY_BYTES_MAX {
            return Err(ViewsError::TooLong { bytes: key.len(), max: ROW_KEY_BYTES_MAX });
        }
        let key = row::row_key(key);
        if let Some((stored, kind)) = base.checked(&key)? {
            sums.tally.take(&key, &stored);
            if let Kind::Placed(place) = kind {
                let_go(base, sums, place)?;
            }
            if value.is_none() {
                show((key.clone(), None))?;
            }
        }
        match value {
            None => {}
            Some(value) if value.len() > ROW_BYTES_MAX => {
                return Err(ViewsError::TooLong { bytes: value.len(), max: ROW_BYTES_MAX });
            }
            Some(value) => show(put(&mut pen, sums, key, value)?)?,
        }
    }
    if let Some(number) = sparse(sums) {
        move_away(base, number, batch, &mut pen, sums, &mut show)?;
    }
    pen.end()?;
    let last = sums.uses.last_key_value().map(|(number, _)| *number);
    let mut gone = Vec::new();
    sums.uses.retain(|number, used| {
        let goes = used.live == 0 && Some(*number) != last;
        gone.extend(goes.then_some(*number));
        !goes
    });
    for (number, used) in &before {
        if sums.uses.get(number) != Some(used) {
            let (key, stored) = row::encode_use(*number, *used);
            sums.tally.take(&key, &stored);
        }
    }
    for (number, used) in &sums.uses {
        if before.get(number) != Some(used) {
            let (key, stored) = row::encode_use(*number, *used);
            sums.tally.add(&key, &stored);
            show((key.to_vec(), Some(stored)))?;
        }
    }
    // What was made and emptied by the same batch has no row.
    for number in gone.iter().filter(|number| before.contains_key(number)) {
        show((row::file_key(*number).to_vec(), None))?;
    }
    show((row::TALLY_KEY.to_vec(), Some(sums.tally.encode())))?;
    Ok(gone)
}

/// The row of a value, which goes to the heap if it is long.
fn put(
    pen: &mut Pen<'_>,
    sums: &mut Sums,
    key: Vec<u8>,
    value: &[u8],
) -> Result<Planned, ViewsError> {
    let stored = if value.len() <= VALUE_INLINE_BYTES {
        row::encode_whole(&key, value)
    } else {
        row::encode_placed(&key, pen.append(&mut sums.uses, &key, value)?)
    };
    sums.tally.add(&key, &stored);
    Ok((key, Some(stored)))
}

/// Counts a value as named by no row any more.
fn let_go(base: &Base, sums: &mut Sums, place: Place) -> Result<(), ViewsError> {
    let used = sums.uses.get_mut(&place.file);
    let left = used.and_then(|used| {
        used.live = used.live.checked_sub(place.bytes.into())?;
        Some(())
    });
    left.ok_or_else(|| base.engine.broken(Doubt::Tally))
}

/// The file to empty, if the heap is much larger than what is live in it: that with the least.
fn sparse(sums: &Sums) -> Option<u32> {
    let all: u64 = sums.uses.values().map(|used| used.end).sum();
    let live: u64 = sums.uses.values().map(|used| used.live).sum();
    if all <= HEAP_SPARE_BYTES + live * HEAP_FACTOR {
        return None;
    }
    let (last, _) = sums.uses.last_key_value()?;
    let full = sums.uses.iter().filter(|(number, used)| *number != last && used.live > 0);
    full.min_by_key(|(_, used)| used.live).map(|(number, _)| *number)
}

/// Writes what is live in a file behind the end of the last one.
fn move_away(
    base: &Base,
    number: u32,
    batch: &ViewBatch,
    pen: &mut Pen<'_>,
    sums: &mut Sums,
    show: &mut impl FnMut(Planned) -> Result<(), ViewsError>,
) -> Result<(), ViewsError> {
    let end = sums.uses.get(&number).map_or(0, |used| used.end);
    let sound = base.heap.each(number, end, |key, value, place| {
        // A row of the batch has let go of its value before.
        if key.get(1..).is_none_or(|key| batch.get(key).is_some()) {
            return Ok(());
        }
        match base.checked(key)? {
            Some((stored, Kind::Placed(found))) if found == place => {
                sums.tally.take(key, &stored);
                let_go(base, sums, place)?;
                show(put(pen, sums, key.to_vec(), value)?)
            }
            _ => Ok(()),
        }
    })?;
    // What no row names may have changed; what one names must be found.
    let emptied = sums.uses.get(&number).is_none_or(|used| used.live == 0);
    if sound && emptied { Ok(()) } else { Err(base.engine.broken(Doubt::Row)) }
}
