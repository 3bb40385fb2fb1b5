//! What a batch means for sled: rows in their stored form, and the tally afterwards.
//!
//! It refuses to change anything.

use super::engine::Engine;
use super::row::{self, Kind, Tally};
use crate::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, ROW_PIECE_BYTES};
use crate::views::{Doubt, ViewBatch, ViewsError};

/// A stored key, and its stored value or that it is removed.
pub(super) type Planned = (Vec<u8>, Option<Vec<u8>>);

/// Gives `show` the rows that a batch puts and removes, the tally last, each key once. `tally`
/// becomes that of all rows after the batch.
pub(super) fn plan(
    engine: &Engine,
    batch: &ViewBatch,
    tally: &mut Tally,
    mut show: impl FnMut(Planned) -> Result<(), ViewsError>,
) -> Result<(), ViewsError> {
    for (key, value) in batch.rows() {
        if key.len() > ROW_KEY_BYTES_MAX {
            return Err(ViewsError::TooLong { bytes: key.len(), max: ROW_KEY_BYTES_MAX });
        }
        if let Some(value) = value
            && value.len() > ROW_BYTES_MAX
        {
            return Err(ViewsError::TooLong { bytes: value.len(), max: ROW_BYTES_MAX });
        }
        let key = row::row_key(key);
        let pieces = value.map_or(0, pieces_of);
        take_old(engine, &key, value.is_none(), pieces, tally, &mut show)?;
        let Some(value) = value else { continue };
        let mut put = |key: Vec<u8>, stored: Vec<u8>| {
            tally.add(&key, &stored);
            show((key, Some(stored)))
        };
        if pieces == 0 {
            let stored = row::encode_whole(&key, value);
            put(key, stored)?;
            continue;
        }
        for (number, piece) in (0..).zip(value.chunks(ROW_PIECE_BYTES)) {
            let piece_key = row::piece_key(&key, number);
            let stored = row::encode_whole(&piece_key, piece);
            put(piece_key, stored)?;
        }
        let stored = row::encode_cut(&key, pieces, value);
        put(key, stored)?;
    }
    show((row::TALLY_KEY.to_vec(), Some(tally.encode())))
}

/// How many pieces a value is cut into; 0 if it is not.
fn pieces_of(value: &[u8]) -> u32 {
    if value.len() <= ROW_PIECE_BYTES { 0 } else { value.len().div_ceil(ROW_PIECE_BYTES) as u32 }
}

/// Takes what stands there out of the tally, and removes what no new row replaces: the row itself
/// if it `goes`, and pieces from `pieces_left` on.
fn take_old(
    engine: &Engine,
    key: &[u8],
    goes: bool,
    pieces_left: u32,
    tally: &mut Tally,
    show: &mut impl FnMut(Planned) -> Result<(), ViewsError>,
) -> Result<(), ViewsError> {
    let Some((stored, kind)) = checked(engine, key)? else { return Ok(()) };
    tally.take(key, &stored);
    if goes {
        show((key.to_vec(), None))?;
    }
    let Kind::Cut { pieces, .. } = kind else { return Ok(()) };
    for number in 0..pieces {
        let piece_key = row::piece_key(key, number);
        if let Some((stored, _)) = checked(engine, &piece_key)? {
            tally.take(&piece_key, &stored);
        }
        if number >= pieces_left {
            show((piece_key, None))?;
        }
    }
    Ok(())
}

/// The stored form of a row and its content; `None` if there is no such row.
pub(super) fn checked(engine: &Engine, key: &[u8]) -> Result<Option<(Vec<u8>, Kind)>, ViewsError> {
    let Some(stored) = engine.get(key)? else { return Ok(None) };
    match row::decode(key, &stored) {
        Some(kind) => Ok(Some((stored, kind))),
        None => Err(engine.broken(Doubt::Row)),
    }
}
