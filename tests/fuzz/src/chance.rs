//! Chance of the mutators, all of it from a seed. It refuses the system's randomness.

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// One stream of numbers.
#[derive(Debug, Clone)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Below `end`; 0 where there is nothing below.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// True once in `many`.
    pub fn one_in(&mut self, many: u32) -> bool {
        self.0.random_ratio(1, many)
    }

    /// One of a list; `None` if it is empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }

    /// One of a list of copies, which is not empty.
    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill_bytes(&mut out);
        out
    }

    /// A number that is likely to be at an edge of something.
    pub fn number(&mut self) -> u64 {
        let edge = 1_u64 << self.below(64);
        match self.below(6) {
            0 => edge,
            1 => edge - 1,
            2 => edge.wrapping_neg(),
            3 => u64::MAX,
            _ => self.below(20) as u64,
        }
    }
}
