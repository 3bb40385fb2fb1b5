//! `cargo run -p linli-fuzz`: one target for a while, one input again, or the corpus written down.
//!
//! It refuses to know what a target does.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use linli_fuzz::runner::{self, Tally, Until};
use linli_fuzz::{TARGETS, Target, corpus, target};

/// Runs a fuzz target on stable Rust.
#[derive(Debug, Parser)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Words {
    #[command(subcommand)]
    other: Option<Other>,
    /// gate, frames, inflate, journal, packs, envelope, enrolment, backup, rows; or all.
    #[arg(required = true)]
    target: Option<String>,
    /// How long, for each target.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Which inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs this one input instead.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Where an input that was found is kept.
    #[arg(long, default_value = "target/fuzz")]
    keep: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Writes the first inputs of every target into its folder of the corpus; keeps what is there.
    Corpus,
}

fn main() -> ExitCode {
    match run(&Words::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
fn run(words: &Words) -> anyhow::Result<bool> {
    if let Some(Other::Corpus) = words.other {
        for target in &TARGETS {
            println!("{}: {} written", target.name, corpus::write(target)?);
        }
        return Ok(true);
    }
    let name = words.target.as_deref().unwrap_or("all");
    let targets: Vec<&Target> = match (name, target(name)) {
        ("all", _) => TARGETS.iter().collect(),
        (_, Some(target)) => vec![target],
        (_, None) => {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            bail!("there is no target `{name}`; there are {}", names.join(", "))
        }
    };
    if let Some(path) = &words.input {
        let input = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for target in targets {
            println!("{}: {:?}", target.name, (target.run)(&input));
        }
        return Ok(true);
    }
    let mut sound = true;
    for target in targets {
        sound &= for_a_while(target, words)?;
    }
    Ok(sound)
}

fn for_a_while(target: &Target, words: &Words) -> anyhow::Result<bool> {
    let now = env::temp_dir().join(format!("linli-fuzz-{}-{}", target.name, process::id()));
    eprintln!("{}: the input being run lies in {}", target.name, now.display());
    let (mut tally, began) = (Tally::default(), Instant::now());
    let until = Until::Elapsed(Duration::from_secs(words.seconds));
    let ended = runner::run(target, words.seed, until, Some(&now), &mut tally);
    print(target, &tally, began.elapsed());
    let _ = fs::remove_file(&now);
    let Err(finding) = ended else { return Ok(true) };
    let path = runner::keep(target, &finding.input, &words.keep).context("cannot keep it")?;
    println!("FOUND after {} inputs: {}", finding.after, finding.what);
    println!("  cargo run -p linli-fuzz -- {} --input {}", target.name, path.display());
    Ok(false)
}

fn print(target: &Target, tally: &Tally, took: Duration) {
    let rate = tally.inputs as f64 / took.as_secs_f64().max(0.001);
    println!(
        "{}: {} inputs in {} s, {rate:.0}/s, {} accepted, slowest {} ms, grew by {} MiB",
        target.name,
        tally.inputs,
        took.as_secs(),
        tally.accepted,
        tally.slowest.as_millis(),
        tally.growth >> 20,
    );
    for (why, count) in &tally.refused {
        println!("  refused {count}: {why}");
    }
}
