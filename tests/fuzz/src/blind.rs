//! Mutations that know nothing of a format. It refuses to let an input grow beyond a bound.

use crate::chance::Chance;

/// Largest input a mutator makes, in bytes: small ones are fast and find as much.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Changes some bytes, drops or doubles stretches, or takes one from another input.
pub fn mutate(bytes: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    mutate_within(bytes, others, chance, INPUT_BYTES_MAX);
}

/// As [`mutate`], up to `max` bytes.
pub fn mutate_within(bytes: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance, max: usize) {
    for _ in 0..=chance.below(3) {
        once(bytes, others, chance);
    }
    bytes.truncate(max);
}

fn once(bytes: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    let at = chance.below(bytes.len());
    let end = (at + 1 + chance.below(16)).min(bytes.len());
    match chance.below(9) {
        0..=2 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
        3 if !bytes.is_empty() => bytes[at] = chance.one_of(&[0, 1, 0x7f, 0x80, 0xff]),
        4 if !bytes.is_empty() => bytes[at] = chance.bytes::<1>()[0],
        5 if !bytes.is_empty() => drop(bytes.drain(at..end)),
        6 if !bytes.is_empty() => {
            let stretch = bytes[at..end].repeat(1 + chance.below(4));
            bytes.splice(at..at, stretch);
        }
        7 => {
            let other = chance.pick(others).copied().unwrap_or_default();
            let from = chance.below(other.len());
            let to = (from + 1 + chance.below(64)).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        _ => {
            let more = chance.bytes::<4>();
            bytes.splice(at..at, more[..=chance.below(4)].iter().copied());
        }
    }
}
