//! Runs a target over its corpus and over mutations of it, from a seed: the same seed runs the same
//! inputs. A finding is a panic, an input that takes too long, or too much memory.
//!
//! It refuses to go on after a finding, and to lose the input: each one is written down before it
//! is run where the process may die of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::chance::Chance;
use crate::corpus;
use crate::{Target, Verdict};

/// An input that takes longer is a finding. Far above what any takes, since machines are busy.
pub const INPUT_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes by which the process may grow over what it had before the first input.
pub const GROWTH_BYTES_MAX: u64 = 192 * 1024 * 1024;

/// Inputs that are mutated again, in memory.
const POOL_MAX: usize = 1_024;

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many mutations.
    Inputs(u64),
    /// After so long.
    Elapsed(Duration),
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Inputs run.
    pub inputs: u64,
    /// Of these, taken.
    pub accepted: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Time of the slowest.
    pub slowest: Duration,
    /// Bytes by which the process has grown, at most; 0 where the system does not tell.
    pub growth: u64,
}

/// Something that does not hold.
#[derive(Debug)]
pub struct Finding {
    /// What.
    pub what: String,
    /// The input.
    pub input: Vec<u8>,
    /// Inputs run until then.
    pub after: u64,
}

/// Runs one input. A panic becomes an error with its message.
pub fn one(target: &Target, input: &[u8]) -> Result<Verdict, String> {
    panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|why| message(&*why))
}

/// Runs the committed inputs, then mutations until the end. `now` is where each input is written
/// before it is run, so that one that ends the process is not lost.
pub fn run(
    target: &Target,
    seed: u64,
    until: Until,
    now: Option<&Path>,
    tally: &mut Tally,
) -> Result<(), Finding> {
    let committed = corpus::read(target).unwrap_or_default().into_iter().map(|input| input.bytes);
    let mut pool: Vec<Vec<u8>> = committed.collect();
    if pool.is_empty() {
        pool.extend((target.seeds)().into_iter().map(|(_, bytes)| bytes));
    }
    let fixed = pool.len();
    let memory = Memory::new();
    for input in &pool {
        step(target, input, now, &memory, tally)?;
    }
    let mut chance = Chance::new(seed);
    let began = Instant::now();
    let mut mutations = 0;
    loop {
        let over = match until {
            Until::Inputs(inputs) => mutations >= inputs,
            Until::Elapsed(most) => began.elapsed() >= most,
        };
        if over {
            return Ok(());
        }
        let mut input = pool[chance.below(pool.len())].clone();
        let other = chance.below(pool.len());
        for _ in 0..=chance.below(3) {
            (target.mutate)(&mut input, &[&pool[other]], &mut chance);
        }
        mutations += 1;
        let verdict = step(target, &input, now, &memory, tally)?;
        // What is taken is the way to more that is.
        if verdict == Verdict::Accepted && chance.one_in(4) {
            if pool.len() < POOL_MAX {
                pool.push(input);
            } else {
                let at = fixed + chance.below(pool.len() - fixed);
                pool[at] = input;
            }
        }
    }
}

fn step(
    target: &Target,
    input: &[u8],
    now: Option<&Path>,
    memory: &Memory,
    tally: &mut Tally,
) -> Result<Verdict, Finding> {
    tally.inputs += 1;
    let after = tally.inputs;
    let found = |what: String| Finding { what, input: input.to_vec(), after };
    if let Some(now) = now {
        fs::write(now, input).map_err(|error| found(format!("cannot write it down: {error}")))?;
    }
    let began = Instant::now();
    let verdict = one(target, input).map_err(found)?;
    let took = began.elapsed();
    tally.slowest = tally.slowest.max(took);
    tally.growth = tally.growth.max(memory.growth());
    if took > INPUT_TIME_MAX {
        return Err(found(format!("it took {} s", took.as_secs())));
    }
    if tally.growth > GROWTH_BYTES_MAX {
        return Err(found(format!("the process grew by {} MiB", tally.growth >> 20)));
    }
    match &verdict {
        Verdict::Accepted => tally.accepted += 1,
        Verdict::Refused(why) => *tally.refused.entry(why.to_string()).or_default() += 1,
    }
    Ok(verdict)
}

/// Keeps an input that was found; returns its file.
pub fn keep(target: &Target, input: &[u8], folder: &Path) -> io::Result<PathBuf> {
    let sum = crc32c::crc32c(input);
    let path = folder.join(format!("found-{}-{sum:08x}", target.name));
    fs::create_dir_all(folder)?;
    fs::write(&path, input)?;
    Ok(path)
}

fn message(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| why.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// The most memory that the process has held, as Linux tells it.
struct Memory {
    before: Option<u64>,
}

impl Memory {
    fn new() -> Self {
        Self { before: Self::peak() }
    }

    fn growth(&self) -> u64 {
        let now = self.before.and_then(|before| Some(Self::peak()?.saturating_sub(before)));
        now.unwrap_or(0)
    }

    fn peak() -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }
}
