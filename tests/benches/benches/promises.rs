//! `cargo bench`: all that we promise, in one run: the table, the disk's raw rate, and what grows.
//!
//! The program that measures is `linli-bench`; words after `--` are its own. It refuses to measure
//! anything itself.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // Cargo tells each bench that it is one.
    let words = env::args_os().skip(1).filter(|word| word != "--bench");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_linli-bench"));
    match bench.args(words).current_dir(workspace).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("linli-bench does not start: {error}");
            ExitCode::FAILURE
        }
    }
}
