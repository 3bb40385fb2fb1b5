//! What a batch means for sled: rows in their stored form, and the tally afterwards.
//!
//! It refuses to change anything.

use super::engine::Engine;
use super::row::{self, Kind, Tally};
use crate::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, ROW_PIECE_BYTES};
use crate::views::{Doubt, ViewBatch, ViewsError};

/// A stored key, and its stored value or that it is removed.
pub(super) type Planned = (Vec<u8>, Option<Vec<u8>>);

/// The rows that a batch puts and removes, the tally among them, each once.
#[derive(Debug, Default)]
pub(super) struct Plan {
    rows: Vec<Planned>,
}

impl Plan {
    /// Plans a batch; `tally` becomes that of all rows after it.
    pub(super) fn of(
        engine: &Engine,
        batch: &ViewBatch,
        tally: &mut Tally,
    ) -> Result<Self, ViewsError> {
        let mut plan = Self::default();
        for (key, value) in batch.rows() {
            if key.len() > ROW_KEY_BYTES_MAX {
                return Err(ViewsError::TooLong { bytes: key.len(), max: ROW_KEY_BYTES_MAX });
            }
            if let Some(value) = value
                && value.len() > ROW_BYTES_MAX
            {
                return Err(ViewsError::TooLong { bytes: value.len(), max: ROW_BYTES_MAX });
            }
            plan.change(engine, &row::row_key(key), value, tally)?;
        }
        plan.rows.push((row::TALLY_KEY.to_vec(), Some(tally.encode())));
        Ok(plan)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> &[Planned] {
        &self.rows
    }

    /// The rows in pieces of at most so many.
    pub(super) fn pieces(&self, rows: usize) -> impl Iterator<Item = &[Planned]> {
        self.rows.chunks(rows)
    }

    /// Bytes that a planned row takes when it is written down.
    pub(super) fn bytes((key, value): &Planned) -> usize {
        8 + key.len() + value.as_ref().map_or(0, Vec::len)
    }

    fn change(
        &mut self,
        engine: &Engine,
        key: &[u8],
        value: Option<&[u8]>,
        tally: &mut Tally,
    ) -> Result<(), ViewsError> {
        let pieces = value.map_or(0, |value| match value.len() {
            len if len <= ROW_PIECE_BYTES => 0,
            len => len.div_ceil(ROW_PIECE_BYTES) as u32,
        });
        self.take_old(engine, key, value.is_none(), pieces, tally)?;
        let Some(value) = value else { return Ok(()) };
        let mut put = |key: Vec<u8>, stored: Vec<u8>| {
            tally.add(&key, &stored);
            self.rows.push((key, Some(stored)));
        };
        if pieces == 0 {
            put(key.to_vec(), row::encode_whole(key, value));
            return Ok(());
        }
        put(key.to_vec(), row::encode_cut(key, pieces, value));
        for (number, piece) in (0..).zip(value.chunks(ROW_PIECE_BYTES)) {
            let piece_key = row::piece_key(key, number);
            let stored = row::encode_whole(&piece_key, piece);
            put(piece_key, stored);
        }
        Ok(())
    }

    /// Takes what stands there out of the tally, and removes what no new row replaces: the row
    /// itself if it `goes`, and pieces from `pieces_left` on.
    fn take_old(
        &mut self,
        engine: &Engine,
        key: &[u8],
        goes: bool,
        pieces_left: u32,
        tally: &mut Tally,
    ) -> Result<(), ViewsError> {
        let Some((stored, kind)) = checked(engine, key)? else { return Ok(()) };
        tally.take(key, &stored);
        if goes {
            self.rows.push((key.to_vec(), None));
        }
        let Kind::Cut { pieces, .. } = kind else { return Ok(()) };
        for number in 0..pieces {
            let piece_key = row::piece_key(key, number);
            if let Some((stored, _)) = checked(engine, &piece_key)? {
                tally.take(&piece_key, &stored);
            }
            if number >= pieces_left {
                self.rows.push((piece_key, None));
            }
        }
        Ok(())
    }
}

/// The stored form of a row and its content; `None` if there is no such row.
pub(super) fn checked(engine: &Engine, key: &[u8]) -> Result<Option<(Vec<u8>, Kind)>, ViewsError> {
    let Some(stored) = engine.get(key)? else { return Ok(None) };
    match row::decode(key, &stored) {
        Some(kind) => Ok(Some((stored, kind))),
        None => Err(engine.broken(Doubt::Row)),
    }
}
