//! The digest of a space: how many changes it holds, and the sum of their hashes.
//!
//! Two peers with equal digests hold the same set; order of arrival does not matter, and adding
//! one change costs one addition.

use std::fmt;

use crate::id::ChangeHash;

/// Count and additive hash (sum modulo 2^256, little-endian limbs) over change hashes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest {
    /// Number of changes.
    pub count: u64,
    /// Sum of the change hashes modulo 2^256, least significant limb first.
    pub sum: [u64; 4],
}

impl Digest {
    /// Adds one change hash.
    pub fn add(&mut self, hash: &ChangeHash) {
        self.count += 1;
        self.carry(limbs(hash));
    }

    /// The digest of both sets, which must be disjoint.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.count += other.count;
        self.carry(other.sum);
        self
    }

    /// The digest of this set without a subset of it.
    #[must_use]
    pub fn minus(mut self, other: &Self) -> Self {
        self.count = self.count.wrapping_sub(other.count);
        let mut borrow = false;
        for (limb, less) in self.sum.iter_mut().zip(other.sum) {
            let (first, under1) = limb.overflowing_sub(less);
            let (second, under2) = first.overflowing_sub(u64::from(borrow));
            *limb = second;
            borrow = under1 || under2;
        }
        self
    }

    fn carry(&mut self, more: [u64; 4]) {
        let mut carry = false;
        for (limb, add) in self.sum.iter_mut().zip(more) {
            let (first, over1) = limb.overflowing_add(add);
            let (second, over2) = first.overflowing_add(u64::from(carry));
            *limb = second;
            carry = over1 || over2;
        }
    }

    /// 40 bytes: count, then the limbs, all little-endian.
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut out = [0; 40];
        out[..8].copy_from_slice(&self.count.to_le_bytes());
        for (place, limb) in out[8..].chunks_exact_mut(8).zip(self.sum) {
            place.copy_from_slice(&limb.to_le_bytes());
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 40] = bytes.try_into().ok()?;
        let limb = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Some(Self { count: limb(0), sum: [limb(8), limb(16), limb(24), limb(32)] })
    }
}

fn limbs(hash: &ChangeHash) -> [u64; 4] {
    let mut out = [0; 4];
    for (limb, word) in out.iter_mut().zip(hash.0.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        *limb = u64::from_le_bytes(eight);
    }
    out
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}{:016x}", self.count, self.sum[3], self.sum[2])
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromIterator<ChangeHash> for Digest {
    fn from_iter<T: IntoIterator<Item = ChangeHash>>(hashes: T) -> Self {
        let mut digest = Self::default();
        for hash in hashes {
            digest.add(&hash);
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn order_does_not_matter_and_minus_undoes_plus(
            left in proptest::collection::vec(any::<[u8; 32]>(), 0..20),
            right in proptest::collection::vec(any::<[u8; 32]>(), 0..20),
        ) {
            let forward: Digest = left.iter().chain(&right).copied().map(ChangeHash).collect();
            let backward: Digest = right.iter().rev().chain(left.iter().rev()).copied().map(ChangeHash).collect();
            prop_assert_eq!(forward, backward);
            let only_right: Digest = right.iter().copied().map(ChangeHash).collect();
            let only_left: Digest = left.iter().copied().map(ChangeHash).collect();
            prop_assert_eq!(forward.minus(&only_right), only_left);
            prop_assert_eq!(only_left.plus(&only_right), forward);
            prop_assert_eq!(Digest::from_bytes(&forward.to_bytes()), Some(forward));
        }
    }
}
