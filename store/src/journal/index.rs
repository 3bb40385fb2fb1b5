//! Where the records of a space stand: sequence number to place.
//!
//! Places are kept in memory, 8 bytes each, until a manifest is written; then whole blocks of 64
//! move to the views as rows of about 140 bytes, and only the last, unfinished block stays. It
//! refuses to guess: a block that cannot be read is lost, and the journal is walked again.

use super::segment::Position;
use crate::limits::BLOCK_RECORDS;
use crate::views::ViewsError;

/// Where blocks of the index are kept once a manifest was written.
pub trait Blocks {
    /// The bytes of one block of a space; `None` if there is no such row. Block 0 holds the records
    /// 1 to 64.
    fn block(&self, space: &str, number: u64) -> Result<Option<Vec<u8>>, ViewsError>;
}

/// No blocks: for a journal without views, whose places are all in memory.
#[derive(Debug, Clone, Copy)]
pub struct NoBlocks;

impl Blocks for NoBlocks {
    fn block(&self, _space: &str, _number: u64) -> Result<Option<Vec<u8>>, ViewsError> {
        Ok(None)
    }
}

/// Places of the records `first_block * 64 + 1` and up of one space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    first_block: u64,
    held: Vec<Position>,
}

impl Places {
    /// The places of an unfinished block, as a manifest keeps them.
    pub(crate) fn new(first_block: u64, held: Vec<Position>) -> Self {
        Self { first_block, held }
    }

    pub(crate) fn push(&mut self, place: Position) {
        self.held.push(place);
    }

    /// The place of a record; `None` if its block has moved to the views or it does not exist.
    pub(crate) fn get(&self, seq: u64) -> Option<Position> {
        let first = self.first_block * BLOCK_RECORDS as u64 + 1;
        self.held.get(usize::try_from(seq.checked_sub(first)?).ok()?).copied()
    }

    /// Number of the first block held.
    pub(crate) fn first_block(&self) -> u64 {
        self.first_block
    }

    /// The whole blocks, with their numbers, and the places of the unfinished one.
    pub(crate) fn blocks(&self) -> (impl Iterator<Item = (u64, Vec<u8>)> + '_, &[Position]) {
        let whole = self.held.chunks_exact(BLOCK_RECORDS);
        let rest = whole.remainder();
        ((self.first_block..).zip(whole.map(encode_block)), rest)
    }

    /// Number of the first block that is not whole.
    pub(crate) fn first_unfinished(&self) -> u64 {
        self.first_block + (self.held.len() / BLOCK_RECORDS) as u64
    }

    /// Drops every block before `block`, which the views now hold.
    pub(crate) fn forget_before(&mut self, block: u64) {
        let blocks = usize::try_from(block.saturating_sub(self.first_block)).unwrap_or(usize::MAX);
        let whole = (self.held.len() / BLOCK_RECORDS).min(blocks);
        self.held.drain(..whole * BLOCK_RECORDS);
        self.first_block += whole as u64;
    }

    /// Drops every whole block, which the views now hold.
    pub(crate) fn forget_whole(&mut self) {
        self.forget_before(u64::MAX);
    }
}

/// The block of a record and its place in the block.
pub(crate) fn block_of(seq: u64) -> (u64, usize) {
    let at = seq.saturating_sub(1);
    (at / BLOCK_RECORDS as u64, (at % BLOCK_RECORDS as u64) as usize)
}

/// Writes places: each the distance from the one before, as a variable-length number.
pub(crate) fn encode_block(places: &[Position]) -> Vec<u8> {
    let mut out = Vec::with_capacity(places.len() * 2 + 8);
    let mut before = 0;
    for place in places {
        let word = place.to_word();
        let mut distance = word - before;
        before = word;
        while distance >= 0x80 {
            out.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        out.push(distance as u8);
    }
    out
}

/// Reads what [`encode_block`] wrote; `None` if the bytes are not that.
pub(crate) fn decode_block(bytes: &[u8]) -> Option<Vec<Position>> {
    let mut out = Vec::with_capacity(BLOCK_RECORDS);
    let mut word = 0_u64;
    let (mut distance, mut shift) = (0_u64, 0);
    for byte in bytes {
        distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            word = word.checked_add(distance)?;
            out.push(Position::from_word(word));
            (distance, shift) = (0, 0);
        }
    }
    (shift == 0 && out.len() <= BLOCK_RECORDS).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_survive_the_move_to_blocks(
            steps in proptest::collection::vec((0_u32..2, 56_u32..300_000), 0..300),
        ) {
            let (mut places, mut all) = (Places::default(), Vec::new());
            let mut place = Position { segment: 1, offset: 64 };
            for (segments, bytes) in steps {
                place.segment += segments;
                place.offset = if segments > 0 { 64 } else { place.offset + bytes };
                places.push(place);
                all.push(place);
            }
            let before = places.clone();
            let (blocks, rest) = before.blocks();
            let blocks: Vec<_> = blocks.collect();
            prop_assert!(rest.len() < BLOCK_RECORDS);
            places.forget_whole();
            for (seq, place) in (1..).zip(&all) {
                prop_assert_eq!(before.get(seq), Some(*place));
                let (block, at) = block_of(seq);
                let found = match blocks.get(block as usize) {
                    Some((number, bytes)) => {
                        prop_assert_eq!(*number, block);
                        prop_assert!(bytes.len() < 64 * 5 + 8);
                        decode_block(bytes).and_then(|places| places.get(at).copied())
                    }
                    None => places.get(seq),
                };
                prop_assert_eq!(found, Some(*place));
            }
            prop_assert_eq!(before.get(all.len() as u64 + 1), None);
            prop_assert_eq!(before.get(0), None);
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = decode_block(&bytes);
        }
    }
}
