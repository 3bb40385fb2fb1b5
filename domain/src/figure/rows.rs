//! Cells and contributions as bytes, for view rows. Each form begins with its version.
//!
//! Views can be deleted and measured again, so an unknown version is an error and not migrated.

use smol_str::SmolStr;

use super::{Amount, CellKey, Contributions, Slot};
use crate::id::CommunityId;

/// Bytes that are no row of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRow {
    /// Written by another version: measure again.
    #[error("the row has version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// Cut short, too long, or not text where text should be.
    #[error("the row is damaged")]
    Damaged,
}

const VERSION: u8 = 1;

impl CellKey {
    /// The key of a view row. Byte order is key order: rows of one metric, then of one community,
    /// lie together.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let [metric, community, grid, period, category] = self.parts();
        for part in [metric, community, grid, period] {
            out.extend_from_slice(part.as_bytes());
            out.push(0);
        }
        out.extend_from_slice(category.as_bytes());
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidRow> {
        let rest = versioned(bytes)?;
        let mut parts = rest.splitn(5, |byte| *byte == 0).map(|part| {
            std::str::from_utf8(part).map(SmolStr::from).map_err(|_| InvalidRow::Damaged)
        });
        let mut next = || parts.next().unwrap_or(Err(InvalidRow::Damaged));
        Ok(Self {
            metric: next()?,
            community: CommunityId::parse(&next()?).map_err(|_| InvalidRow::Damaged)?,
            slot: Slot { grid: next()?, period: next()?, category: next()? },
        })
    }

    fn parts(&self) -> [&str; 5] {
        let Slot { grid, period, category } = &self.slot;
        [&self.metric, self.community.as_str(), grid, period, category]
    }
}

impl Amount {
    /// The value of a view row: as few numbers as are needed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.write(&mut out);
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidRow> {
        let mut rest = versioned(bytes)?;
        let amount = Self::read(&mut rest)?;
        if rest.is_empty() { Ok(amount) } else { Err(InvalidRow::Damaged) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let numbers = [self.num, self.den, self.at_least, self.about, self.below];
        let used = numbers.iter().rposition(|number| *number != 0).map_or(0, |at| at + 1);
        out.push(used as u8);
        for number in &numbers[..used] {
            write_number(out, zigzag(*number));
        }
    }

    fn read(rest: &mut &[u8]) -> Result<Self, InvalidRow> {
        let used = usize::from(read_byte(rest)?);
        let mut numbers = [0; 5];
        for number in numbers.get_mut(..used).ok_or(InvalidRow::Damaged)? {
            *number = unzigzag(read_number(rest)?);
        }
        let [num, den, at_least, about, below] = numbers;
        Ok(Self { num, den, at_least, about, below })
    }
}

impl Contributions {
    /// One entry's contributions; parts of a key that repeat the key before are left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_number(&mut out, self.cells.len() as u64);
        let mut before = [""; 5];
        for (key, amount) in &self.cells {
            let parts = key.parts();
            let mut same = 0_u8;
            for (at, (part, last)) in parts.iter().zip(&before).enumerate() {
                same |= u8::from(part == last) << at;
            }
            out.push(same);
            for (at, part) in parts.iter().enumerate() {
                if same & (1 << at) == 0 {
                    write_number(&mut out, part.len() as u64);
                    out.extend_from_slice(part.as_bytes());
                }
            }
            amount.write(&mut out);
            before = parts;
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidRow> {
        let mut rest = versioned(bytes)?;
        let count = read_number(&mut rest)?;
        let mut contributions = Self::default();
        let mut before: [SmolStr; 5] = Default::default();
        let mut home: Option<CommunityId> = None;
        for _ in 0..count {
            let same = read_byte(&mut rest)?;
            for (at, part) in before.iter_mut().enumerate() {
                if same & (1 << at) == 0 {
                    *part = read_text(&mut rest)?;
                }
            }
            let [metric, community, grid, period, category] = before.clone();
            let community = match &home {
                Some(home) if home.as_str() == community => home.clone(),
                _ => CommunityId::parse(&community).map_err(|_| InvalidRow::Damaged)?,
            };
            home = Some(community.clone());
            let key = CellKey { metric, community, slot: Slot { grid, period, category } };
            if contributions.cells.last().is_some_and(|(last, _)| *last >= key) {
                return Err(InvalidRow::Damaged);
            }
            contributions.cells.push((key, Amount::read(&mut rest)?));
        }
        if rest.is_empty() { Ok(contributions) } else { Err(InvalidRow::Damaged) }
    }
}

fn versioned(bytes: &[u8]) -> Result<&[u8], InvalidRow> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&other, _)) => Err(InvalidRow::Version(other)),
        None => Err(InvalidRow::Damaged),
    }
}

/// Small numbers of either sign become small numbers without one.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Seven bits a byte, lowest first, the top bit set on all but the last.
fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(rest: &mut &[u8]) -> Result<u64, InvalidRow> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(InvalidRow::Damaged)
}

fn read_byte(rest: &mut &[u8]) -> Result<u8, InvalidRow> {
    let (first, tail) = rest.split_first().ok_or(InvalidRow::Damaged)?;
    *rest = tail;
    Ok(*first)
}

fn read_text(rest: &mut &[u8]) -> Result<SmolStr, InvalidRow> {
    let len = usize::try_from(read_number(rest)?).map_err(|_| InvalidRow::Damaged)?;
    let (text, tail) = rest.split_at_checked(len).ok_or(InvalidRow::Damaged)?;
    *rest = tail;
    std::str::from_utf8(text).map(SmolStr::from).map_err(|_| InvalidRow::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = CellKey> {
        ("M0[1-3]", "[a-c]{1,2}", "[a-z一-三]{0,3}", "(2026-0[1-3])?", ".{0,4}").prop_map(
            |(metric, community, grid, period, category)| CellKey {
                metric: metric.into(),
                community: CommunityId::parse(&community).unwrap(),
                slot: Slot { grid: grid.into(), period: period.into(), category: category.into() },
            },
        )
    }

    fn any_amount() -> impl Strategy<Value = Amount> {
        (any::<i64>(), any::<i64>(), -3_i64..3, 0_i64..2, 0_i64..2).prop_map(
            |(num, den, at_least, about, below)| Amount { num, den, at_least, about, below },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            cells in proptest::collection::btree_map(any_key(), any_amount(), 0..8),
        ) {
            for (key, amount) in &cells {
                prop_assert_eq!(&CellKey::from_bytes(&key.to_bytes()), &Ok(key.clone()));
                prop_assert_eq!(Amount::from_bytes(&amount.to_bytes()), Ok(*amount));
            }
            let all = Contributions::of(cells.into_iter().collect());
            prop_assert_eq!(Contributions::from_bytes(&all.to_bytes()), Ok(all));
        }

        #[test]
        fn byte_order_is_key_order(left in any_key(), right in any_key()) {
            prop_assert_eq!(left.to_bytes().cmp(&right.to_bytes()), left.cmp(&right));
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut versioned = vec![VERSION];
            versioned.extend(&bytes);
            let _ = CellKey::from_bytes(&versioned);
            let _ = Amount::from_bytes(&versioned);
            if let Ok(read) = Contributions::from_bytes(&versioned) {
                prop_assert!(read.cells.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(Amount::from_bytes(&[9, 0]), Err(InvalidRow::Version(9)));
        assert_eq!(Amount::from_bytes(&[]), Err(InvalidRow::Damaged));
        assert_eq!(Amount::from_bytes(&[1, 0, 7]), Err(InvalidRow::Damaged), "a byte too many");
    }

    #[test]
    fn one_plain_count_takes_few_bytes() {
        assert_eq!(Amount { num: 1, ..Amount::default() }.to_bytes(), [1, 1, 2]);
    }
}
