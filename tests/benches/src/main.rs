//! `cargo bench`: measures what we promise, and prints it beside the promise and beside what grows.
//!
//! The hub is the program that offices run, in its own process; desks are the same daemons inside
//! of this one, asked without the local API in between; all of it on loopback, with mutual TLS,
//! the gate, durable acknowledgements and figures. It measures and says so; it refuses to fail
//! because a machine is slow.

mod attack;
mod attackers;
mod counter;
mod desk;
mod forms;
mod growth;
mod herd;
mod idle;
mod parts;
mod process;
mod street;
mod table;
mod wanted;

use std::path::PathBuf;
use std::thread;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use linli_demo::office::Programs;
use serde_json::json;

use growth::Grown;
use table::Measured;
use wanted::Wanted;

/// 把承诺的数字都量一遍 / Measures the numbers we promise.
#[derive(Debug, Parser)]
#[command(name = "linli-bench")]
struct Words {
    #[command(subcommand)]
    alone: Option<Alone>,
    /// 记录数 / Entries of the community.
    #[arg(long, default_value_t = 10_000)]
    entries: usize,
    /// 只量这些 / Only these, such as `W1,W5`: W1 to W8, F1, F2, S1, G (gate), J (journal), growth.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// 重复次数 / Repetitions; medians are shown.
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// 结果写成 JSON / Also write the table as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// 已有的程序所在目录 / A folder with linli-hub and linli-node; they are built where absent.
    #[arg(long, global = true)]
    programs: Option<PathBuf>,
    /// 临时目录 / Where the stores are made; the disk there is measured.
    #[arg(long, global = true, default_value = "target/bench")]
    dir: PathBuf,
}

/// What is measured by itself.
#[derive(Debug, Subcommand)]
enum Alone {
    Attack(attack::Words),
    #[command(hide = true)]
    Attackers(attackers::Words),
    Growth(growth::Words),
    Herd(herd::Words),
}

fn main() -> anyhow::Result<()> {
    let words = Words::parse();
    let wanted = Wanted::new(words.only);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let programs = || match &words.programs {
        Some(dir) => Ok(Programs { hub: dir.join("linli-hub"), node: dir.join("linli-node") }),
        None => Programs::build(true),
    };
    std::fs::create_dir_all(&words.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(alone) = words.alone {
        let dir = tempfile::tempdir_in(&words.dir)?;
        return match alone {
            Alone::Attack(words) => runtime.block_on(attack::run(&programs()?, dir.path(), &words)),
            Alone::Attackers(words) => attackers::run(&words),
            Alone::Growth(words) => runtime.block_on(growth::run(&programs()?, dir.path(), &words)),
            Alone::Herd(words) => runtime.block_on(herd::run(&programs()?, dir.path(), &words)),
        };
    }
    let programs = programs()?;
    let mut measured = Measured::default();
    for nth in 1..=words.reps {
        eprintln!("{nth}/{}", words.reps);
        let dir = tempfile::tempdir_in(&words.dir)?;
        if wanted.any(&["W1", "W2", "W3", "W4", "W5", "W6", "W8"]) {
            let dir = dir.path().join("street");
            let day = street::run(&programs, &dir, words.entries, &wanted, &mut measured);
            runtime.block_on(day)?;
        }
        if wanted.any(&["W3", "W4"]) {
            let dir = dir.path().join("large");
            let reconnects = street::reconnects(&programs, &dir, words.entries, &mut measured);
            runtime.block_on(reconnects)?;
        }
        if wanted.has("W7") {
            runtime.block_on(idle::run(&programs, &dir.path().join("idle"), &mut measured))?;
        }
        parts::run(&dir.path().join("parts"), words.entries, &wanted, &mut measured)?;
    }
    println!("{} entries, {} repetitions, {cores} cores\n", words.entries, words.reps);
    print!("{}", measured.render());
    let grown = if wanted.has("GROWTH") {
        let dir = tempfile::tempdir_in(&words.dir)?;
        let grown = runtime.block_on(growth::measure(
            &programs,
            dir.path(),
            &growth::SIZES,
            growth::SEALED_EVERY,
        ))?;
        print!("\n{}", grown.render());
        grown
    } else {
        Grown::default()
    };
    if let Some(path) = words.json {
        let table = json!({
            "entries": words.entries,
            "repetitions": words.reps,
            "cores": cores,
            "figures": measured.json(),
            "growth": grown.json(),
        });
        std::fs::write(&path, serde_json::to_string_pretty(&table)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
