//! The pre-scan: a change chunk's frame and the run lengths of its columns, before any parser
//! that trusts them.
//!
//! Columns are run-length encoded, so a few bytes can claim billions of operations; the parser
//! would walk them all. Source of the layout: the Automerge binary format specification, chunks
//! and column encodings.

use super::Refusal;
use crate::limits::{CHANGE_ACTORS_MAX, CHANGE_DEPS_MAX, CHANGE_OPS_MAX};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const PLAIN_CHANGE: u8 = 1;
/// No column of a flat change has more values than ops and predecessors together could need.
const COLUMN_VALUES_MAX: u64 = (CHANGE_OPS_MAX * 8) as u64;
/// A flat change has at most obj, key, insert, action, value and predecessor columns.
const COLUMNS_MAX: u64 = 16;

/// The data of a plain change chunk with nothing behind it, without its header.
pub(super) fn chunk_data(bytes: &[u8]) -> Result<&[u8], Refusal> {
    if bytes.len() < 10 || bytes[..4] != MAGIC || bytes[8] != PLAIN_CHANGE {
        return Err(Refusal::NotAChange);
    }
    let mut input = Input(&bytes[9..]);
    let len = input.unsigned().ok_or(Refusal::NotAChange)?;
    if len == input.0.len() as u64 { Ok(input.0) } else { Err(Refusal::NotAChange) }
}

/// Refuses a change whose counts or run lengths exceed our bounds.
pub(super) fn bounded_runs(data: &[u8]) -> Result<(), Refusal> {
    let mut input = Input(data);
    let deps = input.unsigned().ok_or(Refusal::Malformed)?;
    if deps > CHANGE_DEPS_MAX as u64 {
        return Err(Refusal::TooMuch);
    }
    input.skip(deps * 32).ok_or(Refusal::Malformed)?;
    input.skip_prefixed().ok_or(Refusal::Malformed)?; // actor
    input.unsigned().ok_or(Refusal::Malformed)?; // seq
    input.unsigned().ok_or(Refusal::Malformed)?; // start op
    input.signed().ok_or(Refusal::Malformed)?; // time
    input.skip_prefixed().ok_or(Refusal::Malformed)?; // message
    let others = input.unsigned().ok_or(Refusal::Malformed)?;
    if others > CHANGE_ACTORS_MAX as u64 {
        return Err(Refusal::TooMuch);
    }
    for _ in 0..others {
        input.skip_prefixed().ok_or(Refusal::Malformed)?;
    }
    let columns = input.unsigned().ok_or(Refusal::Malformed)?;
    if columns > COLUMNS_MAX {
        return Err(Refusal::TooMuch);
    }
    let mut shapes = [(0, 0); COLUMNS_MAX as usize];
    for shape in shapes.iter_mut().take(columns as usize) {
        let spec = input.unsigned().ok_or(Refusal::Malformed)?;
        let len = input.unsigned().ok_or(Refusal::Malformed)?;
        *shape = (spec, len);
    }
    for (spec, len) in shapes.into_iter().take(columns as usize) {
        let column = input.take(len).ok_or(Refusal::Malformed)?;
        bounded_column(spec, column)?;
    }
    Ok(())
}

fn bounded_column(spec: u64, column: &[u8]) -> Result<(), Refusal> {
    const COMPRESSED: u64 = 0b1000;
    if spec & COMPRESSED != 0 {
        return Err(Refusal::NotAChange);
    }
    let mut values: u64 = 0;
    let mut input = Input(column);
    match spec & 0b111 {
        // Group cardinality, actor, unsigned integer, delta, text and value metadata.
        kind @ (0..=3 | 5 | 6) => {
            while !input.0.is_empty() {
                let run = input.signed().ok_or(Refusal::Malformed)?;
                let count = if run == 0 {
                    input.unsigned().ok_or(Refusal::Malformed)?
                } else {
                    run.unsigned_abs()
                };
                values = values.checked_add(count).ok_or(Refusal::TooMuch)?;
                if values > COLUMN_VALUES_MAX {
                    return Err(Refusal::TooMuch);
                }
                let literals = match run {
                    0 => 0,
                    1.. => 1,
                    _ => count,
                };
                for _ in 0..literals {
                    let skipped = match kind {
                        5 => input.skip_prefixed(),
                        3 => input.signed().map(|_| ()),
                        _ => input.unsigned().map(|_| ()),
                    };
                    skipped.ok_or(Refusal::Malformed)?;
                }
            }
        }
        // Booleans: alternating run lengths.
        4 => {
            while !input.0.is_empty() {
                let run = input.unsigned().ok_or(Refusal::Malformed)?;
                values = values.checked_add(run).ok_or(Refusal::TooMuch)?;
                if values > COLUMN_VALUES_MAX {
                    return Err(Refusal::TooMuch);
                }
            }
        }
        // Raw values: their lengths stand in the metadata, their bytes are the column.
        _ => {}
    }
    Ok(())
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Default)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let len = usize::try_from(len).ok()?;
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, len: u64) -> Option<()> {
        self.take(len).map(|_| ())
    }

    fn skip_prefixed(&mut self) -> Option<()> {
        let len = self.unsigned()?;
        self.skip(len)
    }

    /// A number in as few bytes as it can be written.
    pub(super) fn shortest_unsigned(&mut self) -> Option<u64> {
        let before = self.0;
        let number = self.unsigned()?;
        // What was not needed ends in a byte of zeros.
        let bytes = &before[..before.len() - self.0.len()];
        (bytes.len() == 1 || bytes.last() != Some(&0)).then_some(number)
    }

    /// The same with a sign.
    pub(super) fn shortest_signed(&mut self) -> Option<i64> {
        let before = self.0;
        let number = self.signed()?;
        let bytes = &before[..before.len() - self.0.len()];
        // The tenth byte has one bit that counts; all others must repeat it.
        if bytes.get(9).is_some_and(|last| *last != 0 && *last != 0x7f) {
            return None;
        }
        // Seven bits a byte, and one of all is the sign.
        let bits = 65 - number.unsigned_abs().wrapping_sub(u64::from(number < 0)).leading_zeros();
        (bytes.len() == bits.div_ceil(7) as usize).then_some(number)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.take(1)?.first()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return None;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let mut value: i64 = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.take(1)?.first()?;
            let low = i64::from(byte & 0x7f);
            value |= low.checked_shl(shift)?;
            if byte & 0x80 == 0 {
                let sign_bits = shift + 7;
                if byte & 0x40 != 0 && sign_bits < 64 {
                    value |= -1 << sign_bits;
                }
                return Some(value);
            }
        }
        None
    }
}
