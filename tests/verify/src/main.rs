//! `cargo verify`: everything that must hold before a change is taken, in one command.
//!
//! Runs each part in order under a heading, shows its output as it comes, prints its time, and
//! stops at the first that fails. It refuses to hide output and to go on after a failure.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Simulated worlds unless told otherwise: minutes on two cores.
const SEEDS: u32 = 300;

/// How the variables begin in which cargo tells a program of its own package.
const PACKAGE_VARS: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

const HELP: &str = "\
cargo verify [--quick] [--seeds N]

  fmt, clippy, the documents of three rooms, every test of the workspace, then the simulator over N seeds (300).

  --quick     leave the simulator out
  --seeds N   simulate N seeds";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nverify: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let Some(wish) = Wish::parse(env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(());
    };
    let parts = parts(&wish);
    let begin = Instant::now();
    ensure_tools()?;
    for (nth, part) in parts.iter().enumerate() {
        println!("\n==> {}/{} cargo {}", nth + 1, parts.len(), part.join(" "));
        let start = Instant::now();
        let status = cargo().args(part).status().context("cannot start cargo")?;
        let took = seconds(start.elapsed());
        if !status.success() {
            bail!(
                "`cargo {}` failed after {took} ({status}); the parts after it did not run",
                part.join(" ")
            );
        }
        println!("<== {took}");
    }
    println!("\nverify: all {} parts hold, {}", parts.len(), seconds(begin.elapsed()));
    Ok(())
}

fn parts(wish: &Wish) -> Vec<Vec<String>> {
    let mut parts = vec![
        "fmt --all --check".to_owned(),
        "clippy --workspace --all-targets -- -D warnings".to_owned(),
        "doc --no-deps -p linli-domain -p linli-replica -p linli-store".to_owned(),
        "test --workspace".to_owned(),
    ];
    if !wish.quick {
        parts.push(format!("sim --seeds {}", wish.seeds));
    }
    parts.iter().map(|part| part.split(' ').map(str::to_owned).collect()).collect()
}

/// What the words after `cargo verify` ask for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    quick: bool,
    seeds: u32,
}

impl Wish {
    /// `None` if help is asked for.
    fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let mut wish = Self { quick: false, seeds: SEEDS };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => wish.quick = true,
                "--seeds" => {
                    let number = words.next().context("`--seeds` wants a number")?;
                    wish.seeds = number
                        .parse()
                        .with_context(|| format!("`--seeds` wants a number, not `{number}`"))?;
                }
                "--help" | "-h" => return Ok(None),
                _ => bail!("`{word}` is not a word I know\n\n{HELP}"),
            }
        }
        Ok(Some(wish))
    }
}

/// A minimal toolchain comes without formatter and linter: fetch what is missing.
fn ensure_tools() -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let present = cargo()
            .args([subcommand, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot start cargo")?
            .success();
        if present {
            continue;
        }
        println!("==> rustup component add {component}");
        let status = Command::new("rustup").args(["component", "add", component]).status();
        if !status.is_ok_and(|status| status.success()) {
            bail!("{component} is missing and rustup could not add it; install it by hand");
        }
    }
    Ok(())
}

/// The cargo that runs us, in the workspace.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if let Some(room) = env::var_os("CARGO_MANIFEST_DIR") {
        cargo.current_dir(PathBuf::from(room).join("../.."));
    }
    // The tests of whole processes use the programs that the same build made, beside ourselves.
    if let Some(programs) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        cargo.env("LINLI_PROGRAMS", programs);
    }
    // What the outer cargo says of this package would send the inner one's questions to it, and has
    // crates built anew whose build scripts look at it.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| PACKAGE_VARS.iter().any(|p| name.starts_with(p))) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn seconds(took: Duration) -> String {
    let tenths = took.as_millis() / 100;
    let (minutes, seconds) = (tenths / 600, tenths % 600);
    if minutes == 0 {
        format!("{}.{} s", seconds / 10, seconds % 10)
    } else {
        format!("{minutes} min {} s", seconds / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> anyhow::Result<Option<Wish>> {
        Wish::parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn quick_leaves_the_simulator_out_and_seeds_reach_it() {
        let quick = parse("--quick").unwrap().unwrap();
        assert!(parts(&quick).iter().all(|part| part[0] != "sim"));
        let long = parse("--seeds 1000").unwrap().unwrap();
        assert_eq!(parts(&long).last().unwrap(), &["sim", "--seeds", "1000"]);
        assert_eq!(parse("-h").unwrap(), None);
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(parse("--fast").unwrap_err().to_string().contains("--fast"));
        assert!(parse("--seeds many").is_err());
        assert!(parse("--seeds").is_err());
    }

    #[test]
    fn times_read_well() {
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(61)), "1 min 1 s");
    }
}
