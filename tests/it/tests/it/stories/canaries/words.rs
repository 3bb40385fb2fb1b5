//! Canaries: personal texts that nobody else would write, drawn from a seed.
//!
//! Each is drawn once. It refuses texts so short that chance could write them.

use pinyin::ToPinyin as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Where canaries come from.
pub(super) struct Words {
    rng: ChaCha8Rng,
    drawn: Vec<String>,
}

impl Words {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), drawn: Vec::new() }
    }

    /// All drawn so far.
    pub(super) fn drawn(&self) -> &[String] {
        &self.drawn
    }

    /// A person's name, Chinese or, every fourth, Latin.
    pub(super) fn name(&mut self) -> String {
        if self.drawn.len() % 4 == 3 {
            let words = [self.latin(7), self.latin(8)];
            return self.keep(words.join(" "));
        }
        let name = self.chinese(4);
        self.keep(name)
    }

    pub(super) fn phone(&mut self) -> String {
        let number = format!("1{}{}", self.rng.random_range(3..10), self.digits(9));
        self.keep(number)
    }

    /// Digits like those of an identity card.
    pub(super) fn id_number(&mut self) -> String {
        let number = format!("6201{}", self.digits(14));
        self.keep(number)
    }

    pub(super) fn address(&mut self) -> String {
        let (road, house) = (self.chinese(5), self.digits(3));
        self.keep(format!("{road}路{house}号院"))
    }

    /// What somebody tells about a hardship.
    pub(super) fn note(&mut self) -> String {
        let note = if self.drawn.len().is_multiple_of(2) {
            self.chinese(12)
        } else {
            [self.latin(9), self.latin(6), self.latin(10)].join(" ")
        };
        self.keep(note)
    }

    fn keep(&mut self, word: String) -> String {
        assert!(!self.drawn.contains(&word), "{word} was drawn before");
        self.drawn.push(word.clone());
        word
    }

    fn chinese(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| {
                loop {
                    let char = char::from_u32(self.rng.random_range(0x4e00..0x9fa5)).unwrap();
                    if char.to_pinyin().is_some() {
                        break char;
                    }
                }
            })
            .collect()
    }

    fn latin(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.rng.random_range(b'a'..=b'z'))).collect()
    }

    fn digits(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.rng.random_range(b'0'..=b'9'))).collect()
    }
}
