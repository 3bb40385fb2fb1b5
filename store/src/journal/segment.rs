//! Segment files: their names, their headers, and places inside them.
//!
//! A header is 64 bytes: magic, version, number, commits before it, chain value it continues from,
//! checksum. The first three segments of a journal are `00000001.seg` to `00000003.seg`. This file
//! refuses to read records.

use crate::disk::{Disk, read_full};
use crate::journal::record::{u32_at, u64_at};
use crate::journal::{Damage, Flaw, OpenError};

const MAGIC: &[u8; 8] = b"linliseg";
/// Version of the journal's format. A reader refuses a greater one.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 64;
const ENDING: &str = ".seg";

/// A place in the journal: segment, and byte offset in it. Greater is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Number of the segment, from 1; 0 before the first.
    pub segment: u32,
    /// Offset of a byte in it.
    pub offset: u32,
}

impl Position {
    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Self { segment: (word >> 32) as u32, offset: word as u32 }
    }
}

/// What a segment states about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub number: u32,
    /// Commits in all segments before this one.
    pub commits: u64,
    /// The journal's chain at the end of the segment before.
    pub chain: [u8; 32],
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.commits.to_le_bytes());
        out[24..56].copy_from_slice(&self.chain);
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Where the checksums of this segment's records start from.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.encode()[8..])
    }

    pub(crate) fn decode(bytes: &[u8], number: u32) -> Result<Self, HeaderFlaw> {
        let whole = bytes.len() == HEADER_BYTES
            && bytes.starts_with(MAGIC)
            && u32_at(bytes, 60) == Some(crc32c::crc32c(&bytes[..60]));
        if !whole {
            return Err(HeaderFlaw::NotAHeader);
        }
        match u32_at(bytes, 8) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(HeaderFlaw::Newer(version)),
            _ => return Err(HeaderFlaw::NotAHeader),
        }
        let stated = u32_at(bytes, 12).filter(|stated| *stated == number);
        let commits = u64_at(bytes, 16);
        let chain = bytes.get(24..56).and_then(|chain| chain.try_into().ok());
        match (stated, commits, chain) {
            (Some(number), Some(commits), Some(chain)) => Ok(Self { number, commits, chain }),
            _ => Err(HeaderFlaw::NotAHeader),
        }
    }
}

pub(crate) enum HeaderFlaw {
    NotAHeader,
    Newer(u32),
}

/// Reads the header of a segment; `None` if the file does not begin with one.
pub(crate) fn read_header<D: Disk + ?Sized>(
    disk: &D,
    number: u32,
) -> Result<Option<Header>, OpenError> {
    let mut bytes = [0; HEADER_BYTES];
    let read = read_full(disk, &name(number), 0, &mut bytes)?;
    match Header::decode(&bytes[..read], number) {
        Ok(header) => Ok(Some(header)),
        Err(HeaderFlaw::NotAHeader) => Ok(None),
        Err(HeaderFlaw::Newer(version)) => Err(OpenError::Newer { version }),
    }
}

/// The segments on a disk: 1, 2, 3 up to the last, none missing.
pub(crate) fn count<D: Disk + ?Sized>(disk: &D) -> Result<u32, OpenError> {
    let mut numbers: Vec<u32> = disk.list()?.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected {
            let damage = Damage { segment: expected, offset: 0, flaw: Flaw::Missing };
            return Err(OpenError::Damaged(damage));
        }
    }
    Ok(numbers.len() as u32)
}

/// The file name of a segment.
pub(crate) fn name(number: u32) -> String {
    format!("{number:08}{ENDING}")
}

/// The segment a file name stands for.
pub(crate) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(ENDING)?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (self::name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_headers_read_back() {
        assert_eq!(number(&name(12)), Some(12));
        for other in ["LOCK", "12.seg", "00000000.seg", "00000001.seg.part", "+0000001.seg"] {
            assert_eq!(number(other), None, "{other}");
        }
        let header = Header { number: 3, commits: 9, chain: [7; 32] };
        let bytes = header.encode();
        assert!(Header::decode(&bytes, 3).is_ok_and(|read| read == header));
        assert!(Header::decode(&bytes, 4).is_err());
        for bit in 0..HEADER_BYTES * 8 {
            let mut spoilt = bytes;
            spoilt[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&spoilt, 3).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn positions_order_as_the_journal_does() {
        let place = Position { segment: 2, offset: 64 };
        assert_eq!(Position::from_word(place.to_word()), place);
        assert!(place > Position { segment: 1, offset: u32::MAX });
    }
}
