//! Chance, all of it from the seed: one stream per purpose, so that a change in one part of the
//! world does not move the others.
//!
//! It refuses the system's randomness.

use std::sync::{Arc, Mutex, PoisonError};

use linli_runtime::site::Entropy;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// One stream of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of that number.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        chance.set_stream(stream);
        Self(chance)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// True once in `many`.
    pub(crate) fn one_in(&mut self, many: u32) -> bool {
        self.0.random_ratio(1, many)
    }

    /// True with so many of a hundred.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.random_ratio(percent.min(100), 100)
    }

    /// A place in a list of `len`, which is not empty.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        self.0.random_range(0..len)
    }

    /// One of a list; `None` if it is empty.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { list.get(self.place(list.len())) }
    }

    /// One of a list of copies, which is not empty.
    pub(crate) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.place(list.len())]
    }

    /// Fills with random bytes.
    pub(crate) fn fill(&mut self, into: &mut [u8]) {
        self.0.fill_bytes(into);
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// A machine's own stream: it goes on over restarts, as a system's randomness does.
#[derive(Debug, Clone)]
pub(crate) struct Well(Arc<Mutex<Chance>>);

impl Well {
    pub(crate) fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(chance)))
    }

    /// What a machine draws from.
    pub(crate) fn entropy(&self) -> Entropy {
        let well = self.0.clone();
        Box::new(move |into| well.lock().unwrap_or_else(PoisonError::into_inner).fill(into))
    }

    /// A well that gives again what this one would give from now on.
    pub(crate) fn copy(&self) -> Self {
        Self::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
