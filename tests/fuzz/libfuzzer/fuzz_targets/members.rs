//! The target `members` under libFuzzer. It refuses to hold anything of its own.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| drop(linli_libfuzzer::run("members", data)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    linli_libfuzzer::mutate("members", data, size, max_size, seed)
});
