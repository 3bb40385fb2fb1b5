//! The stored form of a row: checksum, kind, content; and the sums of all rows.
//!
//! It refuses to touch a database.

use super::heap::{Place, Use, Uses};
use crate::journal::{u32_at, u64_at};

/// Where the tally stands.
pub(super) const TALLY_KEY: &[u8] = b"t";
/// With what a row about a file of the heap begins.
pub(super) const FILE: u8 = b'f';
const ROW: u8 = b'r';
const WHOLE: u8 = 0;
const PLACED: u8 = 2;

/// What a stored row holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Whole(Vec<u8>),
    /// The value lies in the heap.
    Placed(Place),
}

/// The stored key of a row.
pub(super) fn row_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 1);
    stored.push(ROW);
    stored.extend_from_slice(key);
    stored
}

/// The stored key of the row about a file of the heap.
pub(super) fn file_key(number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [FILE, a, b, c, d]
}

pub(super) fn encode_whole(key: &[u8], value: &[u8]) -> Vec<u8> {
    encode(key, WHOLE, &[value])
}

pub(super) fn encode_placed(key: &[u8], place: Place) -> Vec<u8> {
    let Place { file, at, bytes, sum } = place;
    let (bytes, sum) = (bytes.to_le_bytes(), sum.to_le_bytes());
    encode(key, PLACED, &[&file.to_le_bytes(), &at.to_le_bytes(), &bytes, &sum])
}

/// The row about a file of the heap: its key, and its stored form.
pub(super) fn encode_use(number: u32, used: Use) -> ([u8; 5], Vec<u8>) {
    let key = file_key(number);
    let stored = encode(&key, WHOLE, &[&used.end.to_le_bytes(), &used.live.to_le_bytes()]);
    (key, stored)
}

/// Reads the row about a file of the heap.
pub(super) fn decode_use(key: &[u8], stored: &[u8]) -> Option<(u32, Use)> {
    let number = u32::from_be_bytes(key.strip_prefix(&[FILE])?.try_into().ok()?);
    match decode(key, stored)? {
        Kind::Whole(value) if value.len() == 16 => {
            Some((number, Use { end: u64_at(&value, 0)?, live: u64_at(&value, 8)? }))
        }
        _ => None,
    }
}

fn encode(key: &[u8], kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut stored = vec![0; 4];
    stored.push(kind);
    for part in parts {
        stored.extend_from_slice(part);
    }
    let crc = checksum(key, &stored[4..]);
    stored[..4].copy_from_slice(&crc.to_le_bytes());
    stored
}

/// Reads a stored row; `None` if it is not what was written under this key.
pub(super) fn decode(key: &[u8], stored: &[u8]) -> Option<Kind> {
    let rest = stored.get(4..)?;
    if u32_at(stored, 0)? != checksum(key, rest) {
        return None;
    }
    match *rest.first()? {
        WHOLE => Some(Kind::Whole(rest[1..].to_vec())),
        PLACED => Some(Kind::Placed(Place {
            file: u32_at(rest, 1)?,
            at: u64_at(rest, 5)?,
            bytes: u32_at(rest, 13)?,
            sum: u32_at(rest, 17)?,
        })),
        _ => None,
    }
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let len = (key.len() as u32).to_le_bytes();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&len), key), rest)
}

/// What is known of all rows together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub tally: Tally,
    /// The files of the heap.
    pub uses: Uses,
}

impl Sums {
    /// Bytes of all rows, the heap's included, without what no row names any more.
    pub(super) fn live(&self) -> u64 {
        self.tally.bytes + self.uses.values().map(|used| used.live).sum::<u64>()
    }
}

/// Number, bytes and sum of all stored rows, the tally itself left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::views) struct Tally {
    pub rows: u64,
    pub bytes: u64,
    sum: u64,
}

impl Tally {
    pub(super) fn add(&mut self, key: &[u8], stored: &[u8]) {
        self.rows += 1;
        self.bytes += (key.len() + stored.len()) as u64;
        self.sum = self.sum.wrapping_add(weight(stored));
    }

    pub(super) fn take(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.bytes = self.bytes.wrapping_sub((key.len() + stored.len()) as u64);
        self.sum = self.sum.wrapping_sub(weight(stored));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(24);
        for number in [self.rows, self.bytes, self.sum] {
            value.extend_from_slice(&number.to_le_bytes());
        }
        encode_whole(TALLY_KEY, &value)
    }

    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        match decode(TALLY_KEY, stored)? {
            Kind::Whole(value) if value.len() == 24 => Some(Self {
                rows: u64_at(&value, 0)?,
                bytes: u64_at(&value, 8)?,
                sum: u64_at(&value, 16)?,
            }),
            _ => None,
        }
    }
}

/// A row's part in the sum: its checksum, which covers the key, spread over 64 bits.
fn weight(stored: &[u8]) -> u64 {
    let crc = u64::from(u32_at(stored, 0).unwrap_or(0)) << 32 | stored.len() as u64;
    let mut word = crc.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^ (word >> 29)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_reads_back_under_its_own_key_only(
            key in proptest::collection::vec(any::<u8>(), 0..40),
            value in proptest::collection::vec(any::<u8>(), 0..60),
            bit in any::<proptest::sample::Index>(),
        ) {
            let key = row_key(&key);
            let mut stored = encode_whole(&key, &value);
            prop_assert_eq!(decode(&key, &stored), Some(Kind::Whole(value)));
            prop_assert_eq!(decode(&row_key(&key), &stored), None);
            let bit = bit.index(stored.len() * 8);
            stored[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&key, &stored), None);
        }
    }

    #[test]
    fn a_tally_returns_to_nothing() {
        let (a, b) = (encode_whole(b"ra", b"1"), encode_whole(b"rb", &[5; 900]));
        let mut tally = Tally::default();
        tally.add(b"ra", &a);
        tally.add(b"rb", &b);
        assert_eq!(Tally::decode(&tally.encode()), Some(tally));
        assert_eq!(tally.rows, 2);
        tally.take(b"ra", &a);
        assert_ne!(tally, Tally::default());
        tally.take(b"rb", &b);
        assert_eq!(tally, Tally::default());
    }
}
