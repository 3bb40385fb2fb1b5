//! The command line of the simulator: many seeds, one seed, or the planted bugs.
//!
//! A failure prints the line that replays it. It refuses to pick seeds by itself: the same words
//! give the same runs.

#![allow(
    clippy::unnecessary_wraps,
    clippy::single_match_else,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "faults, acts and checks share one shape, also where one of them cannot fail"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::bail;
use clap::Parser;
use linli_sim::{Definitions, Options, Outcome, Planted, Violation, run_twice};

/// Seeds within which every planted bug must be found.
const PLANTED_SEEDS_MAX: u64 = 1_000;

/// Simulated worlds of desks and hubs, with crashes, partitions and restored backups.
#[derive(Debug, Parser)]
#[command(name = "cargo sim")]
struct Cli {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Show the last lines of the trace, also without a violation.
    #[arg(long)]
    trace: bool,
    /// Plant a bug, by name, or see that `all` of them are found.
    #[arg(long)]
    planted: Option<String>,
    /// Worlds at a time; as many as there are cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Acts and faults in a world, before peace.
    #[arg(long, default_value_t = Options::default().steps)]
    steps: u32,
    /// Somebody carries files between desks of a community.
    #[arg(long)]
    sticks: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let definitions = Definitions::default();
    // A panic inside a machine is a violation, with its own words below.
    std::panic::set_hook(Box::new(|_| {}));
    let planted = match cli.planted.as_deref() {
        None => None,
        Some("all") => return Ok(find_all(&cli, &definitions)),
        Some(name) => match Planted::from_name(name) {
            Some(planted) => Some(planted),
            None => {
                let names: Vec<&str> = Planted::ALL.iter().map(|(_, name)| *name).collect();
                bail!("no planted bug is called `{name}`; there are {}", names.join(", "));
            }
        },
    };
    let options = Options { steps: cli.steps, planted, sticks: cli.sticks };
    let (from, many) = cli.seed.map_or((cli.from, cli.seeds), |seed| (seed, 1));
    Ok(run_many(&cli, &options, &definitions, from, many))
}

/// Runs seeds, several at a time, and reports in the order they end.
fn run_many(
    cli: &Cli,
    options: &Options,
    definitions: &Definitions,
    from: u64,
    many: u64,
) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let totals: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let failed = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cli.jobs.unwrap_or(cores).max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + many {
                        return;
                    }
                    let outcome = fenced(|| run_twice(seed, options, definitions));
                    if let Some(violation) = &outcome.violation {
                        failed.fetch_add(1, Ordering::Relaxed);
                        report(seed, options, violation);
                    }
                    if cli.trace {
                        println!("{}", outcome.tail.join("\n"));
                    }
                    if let Ok(mut totals) = totals.lock() {
                        for (what, many) in outcome.happened {
                            *totals.entry(what).or_default() += many;
                        }
                    }
                }
            });
        }
    });
    for (what, many) in totals.into_inner().unwrap_or_default() {
        println!("{many:>10} {what}");
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("{:.0} seeds a minute, each run twice", many as f64 / minutes);
    let failed = failed.into_inner();
    println!("{} passed, {failed} failed", many - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sees that every planted bug is found, and says by which seed.
fn find_all(cli: &Cli, definitions: &Definitions) -> ExitCode {
    let mut missed = 0;
    for (planted, name) in Planted::ALL {
        let options = Options { steps: cli.steps, planted: Some(planted), sticks: cli.sticks };
        let found = (0..PLANTED_SEEDS_MAX).find_map(|seed| {
            let outcome = fenced(|| run_twice(seed, &options, definitions));
            outcome.violation.map(|violation| (seed, violation))
        });
        match found {
            Some((seed, violation)) => {
                let command = format!("cargo sim --planted {name} --seed {seed}");
                println!(
                    "{name:>20}: seed {seed}, {}: {}",
                    violation.checker.name(),
                    violation.text
                );
                println!("{:>20}  {command}", "");
            }
            None => {
                missed += 1;
                println!("{name:>20}: NOT FOUND in {PLANTED_SEEDS_MAX} seeds");
            }
        }
    }
    println!("{} passed, {missed} failed", Planted::ALL.len() - missed);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A panic inside a machine is a violation like any other.
fn fenced(play: impl FnOnce() -> Outcome) -> Outcome {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Outcome::panicked(&text)
    })
}

fn report(seed: u64, options: &Options, violation: &Violation) {
    let planted = options.planted.map_or_else(String::new, |p| format!(" --planted {}", p.name()));
    let steps = if options.steps == Options::default().steps {
        String::new()
    } else {
        format!(" --steps {}", options.steps)
    };
    println!("{}: {}", violation.checker.name(), violation.text);
    let sticks = if options.sticks { " --sticks" } else { "" };
    println!("    cargo sim --seed {seed}{steps}{planted}{sticks} --trace");
}
