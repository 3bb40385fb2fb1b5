//! Between libFuzzer and the targets: runs one input, makes another of it. It refuses to know a
//! format.

use linli_fuzz::Verdict;
use linli_fuzz::chance::Chance;

/// Runs one input of a target.
pub fn run(name: &str, data: &[u8]) -> Verdict {
    (linli_fuzz::target(name).expect("a target of this name").run)(data)
}

/// Mutates `data[..size]` in place, up to `max_size` bytes; returns the new size. Half of the time
/// libFuzzer's own mutations, which know what it saw in comparisons, are used.
pub fn mutate(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut chance = Chance::new(u64::from(seed));
    if chance.one_in(2) {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let target = linli_fuzz::target(name).expect("a target of this name");
    let mut bytes = data[..size].to_vec();
    (target.mutate)(&mut bytes, &[], &mut chance);
    let size = bytes.len().min(max_size);
    data[..size].copy_from_slice(&bytes[..size]);
    size
}
