//! `cargo bench -- growth`: how what is promised grows with what a community holds.
//!
//! The same steps for each size, in one run on one machine: a desk takes the entries, hands them to
//! a new hub, comes back with and without news; the hub is killed and counts again; an office's own
//! program starts beside them and reads all. It refuses to call a hub served before it answers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use linli_demo::office::{Daemon, Programs, Street};
use linli_runtime::ask::{Answer, Ask, FigureQuery};
use serde_json::{Value as Json, json};
use tokio::task::block_in_place;

use crate::desk::{Desk, answered};
use crate::forms;
use crate::parts;
use crate::process::{
    cpu_at_rest, cpu_seconds, cpu_settled, folder_bytes, peak_megabytes, resident_kilobytes,
};
use crate::street::quantile;
use crate::table::show;

const COMMUNITY: &str = "yili";
/// Machines are pressed harder than a day's limit allows.
const NO_LIMIT: (&str, &str) = ("node_megabytes_per_day", "0");
/// Warm reconnects and starts of which the median is told.
const TIMES: usize = 5;
/// Entries edited while the desk is away, whatever the size.
const NEWS: usize = 100;
/// A program that has not read everything by then is broken.
const READ_MAX: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Entries of each size.
pub(crate) const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Each so many entries one has a sealed half.
pub(crate) const SEALED_EVERY: usize = 4;

/// 随数据量的增长 / What grows with what is held.
#[derive(Debug, Args)]
pub(crate) struct Words {
    /// 每一档的记录数 / Entries of each size.
    #[arg(long, value_delimiter = ',', default_values_t = SIZES)]
    sizes: Vec<usize>,
    /// 每几条记录有一条带电话（加密），0 为都不带 / Each so many entries one names a telephone,
    /// which is sealed; 0: none.
    #[arg(long, default_value_t = SEALED_EVERY)]
    sealed_every: usize,
    /// 结果写成 JSON / Also write the table as JSON.
    #[arg(long = "growth-json")]
    json: Option<PathBuf>,
}

/// What is told of every size: a key, what it says, its unit.
const LINES: [(&str, &str, &str); 19] = [
    ("raw", "raw append of 200 B and fdatasync", "/s"),
    ("import", "a desk takes the entries", "s"),
    ("push", "cold push, acknowledged", "s"),
    ("push_each", "  for 10,000 of them", "s"),
    ("hub_cpu", "  hub, processor until written, for 10,000", "s"),
    ("hub_peak", "  hub, largest memory", "MB"),
    ("hub_rest", "  hub, memory at rest", "MB"),
    ("disk", "  hub, bytes on disk an entry", "B"),
    ("reconnect", "warm reconnect, nothing changed", "ms"),
    ("reconnect_kb", "  bytes inside of TLS, both ways", "kB"),
    ("news", "reconnect with 100 entries changed", "ms"),
    ("killed", "hub serving again after a kill", "s"),
    ("stopped", "hub serving again after a stop", "s"),
    ("figures", "  its figures, asked for the first time", "ms"),
    ("recount", "recount at the hub, equal to what is kept", "s"),
    ("node_read", "an office's program has read all", "s"),
    ("node_peak", "  its largest memory", "MB"),
    ("node_idle", "  its memory at rest, started again", "MB"),
    ("node_start", "  it serves again after a stop", "s"),
];

type Column = Vec<(&'static str, f64)>;

/// What was measured of each size.
#[derive(Debug, Default)]
pub(crate) struct Grown(Vec<(usize, Column)>);

/// Measures every size once, and shows it.
pub(crate) async fn run(programs: &Programs, dir: &Path, words: &Words) -> anyhow::Result<()> {
    let grown = measure(programs, dir, &words.sizes, words.sealed_every).await?;
    print!("{}", grown.render());
    if let Some(path) = &words.json {
        std::fs::write(path, serde_json::to_string_pretty(&grown.json())?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Measures every size once.
pub(crate) async fn measure(
    programs: &Programs,
    dir: &Path,
    sizes: &[usize],
    sealed_every: usize,
) -> anyhow::Result<Grown> {
    let mut grown = Grown::default();
    for &size in sizes {
        eprintln!("{size} entries");
        let below = dir.join(size.to_string());
        let column = one_size(programs, &below, size, sealed_every).await?;
        // The next size finds the disk as this one did.
        std::fs::remove_dir_all(&below)?;
        grown.0.push((size, column));
    }
    Ok(grown)
}

impl Grown {
    /// The table as text, a column for each size.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{:46} {:3}", "", "");
        // Writing into a string does not fail.
        for (size, _) in &self.0 {
            let _ = write!(text, " {size:>10}");
        }
        text.push('\n');
        for (key, what, unit) in LINES {
            let _ = write!(text, "{what:46} {unit:3}");
            for (_, column) in &self.0 {
                let value = column.iter().find(|(known, _)| *known == key);
                let told = value.map(|(_, value)| show(*value)).unwrap_or_default();
                let _ = write!(text, " {told:>10}");
            }
            text.push('\n');
        }
        text
    }

    /// The table as JSON: one object a size.
    pub(crate) fn json(&self) -> Json {
        let sizes = self.0.iter().map(|(size, column)| {
            let figures: serde_json::Map<String, Json> =
                column.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
            json!({ "entries": size, "figures": figures })
        });
        sizes.collect()
    }
}

async fn one_size(
    programs: &Programs,
    dir: &Path,
    size: usize,
    sealed_every: usize,
) -> anyhow::Result<Column> {
    let mut told: Column = Vec::new();
    std::fs::create_dir_all(dir)?;
    told.push(("raw", parts::raw(&dir.join("raw"))?));
    let street = dir.join("street");
    let mut street = block_in_place(|| Street::found_with(programs, &street, &[NO_LIMIT]))?;
    let hub = street.hub.pid().context("the hub runs")?;
    let mut near = Desk::join(&street, dir, COMMUNITY, "near").await?;
    let address = near.hub.clone();
    let per_10_000 = 10_000.0 / size as f64;

    let began = Instant::now();
    near.import(size, sealed_every).await?;
    told.push(("import", began.elapsed().as_secs_f64()));
    near.ask(Ask::Figures(FigureQuery::default())).await?;
    block_in_place(|| cpu_at_rest(std::process::id()))?;

    let cpu = block_in_place(|| cpu_settled(hub))?;
    let began = Instant::now();
    near.dial(&address);
    near.until("the hub has everything", Desk::agrees).await?;
    let took = began.elapsed().as_secs_f64();
    told.push(("push", took));
    told.push(("push_each", took * per_10_000));
    block_in_place(|| counted(&street.hub, size))?;
    let rested = block_in_place(|| cpu_settled(hub))?;
    told.push(("hub_cpu", (rested - cpu) * per_10_000));
    told.push(("hub_peak", peak_megabytes(hub)?));
    told.push(("hub_rest", resident_kilobytes(hub)? / 1e3));
    told.push(("disk", folder_bytes(street.hub.data())? as f64 / size as f64));

    let mut times = Vec::new();
    let mut bytes = 0_u64;
    for _ in 0..TIMES {
        near.hang_up().await?;
        let traffic = near.traffic();
        let before = traffic.sent() + traffic.received();
        let began = Instant::now();
        near.dial(&address);
        near.until("both agree again", Desk::agrees).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        let traffic = near.traffic();
        // A look may come before the last answer was counted; the next one has it.
        bytes = bytes.max(traffic.sent() + traffic.received() - before);
    }
    told.push(("reconnect", quantile(&mut times, 0.5)));
    told.push(("reconnect_kb", bytes as f64 / 1e3));
    near.hang_up().await?;
    for nth in 0..NEWS.min(size) {
        near.ask(forms::edit(nth * 7_919 % size, "趁没有网络")).await?;
    }
    let began = Instant::now();
    near.dial(&address);
    near.until("the hub has the news", Desk::agrees).await?;
    told.push(("news", began.elapsed().as_secs_f64() * 1e3));
    near.hang_up().await?;

    block_in_place(|| hub_starts(&mut street, size, &mut told))?;
    block_in_place(|| office_reads(&street, &mut told))?;
    Ok(told)
}

fn hub_starts(street: &mut Street, size: usize, told: &mut Column) -> anyhow::Result<()> {
    let pid = |hub: &Daemon| hub.pid().context("the hub runs");
    let (mut killed, mut stopped, mut figures) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        cpu_settled(pid(&street.hub)?)?;
        street.hub.kill();
        killed.push(street.hub.resume()?.as_secs_f64());
        let began = Instant::now();
        counted(&street.hub, size)?;
        figures.push(began.elapsed().as_secs_f64() * 1e3);
        cpu_at_rest(pid(&street.hub)?)?;
        street.hub.stop()?;
        stopped.push(street.hub.resume()?.as_secs_f64());
        counted(&street.hub, size)?;
    }
    told.push(("killed", quantile(&mut killed, 0.5)));
    told.push(("stopped", quantile(&mut stopped, 0.5)));
    told.push(("figures", quantile(&mut figures, 0.5)));
    let before = cpu_seconds(pid(&street.hub)?)?;
    let began = Instant::now();
    match answered(street.hub.try_ask(&Ask::Recount {})?)? {
        Answer::Recount { entries, differences, .. } => {
            ensure!(entries >= size as u64, "{entries} entries counted");
            ensure!(differences.is_empty(), "kept and counted differ: {differences:?}");
        }
        other => anyhow::bail!("a recount answered {other:?}"),
    }
    ensure!(cpu_seconds(pid(&street.hub)?)? > before, "nothing was counted");
    told.push(("recount", began.elapsed().as_secs_f64()));
    Ok(())
}

/// A new machine of the community reads all of it; then it is at rest.
fn office_reads(street: &Street, told: &mut Column) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut office = street.desk(COMMUNITY, "office")?;
    // Each adds what the other lacks: the new machine has a device key to tell.
    while open_digest(&office)? != open_digest(&street.hub)? {
        ensure!(began.elapsed() < READ_MAX, "a program does not read everything");
        std::thread::park_timeout(LOOK_AGAIN);
    }
    told.push(("node_read", began.elapsed().as_secs_f64()));
    let pid = office.pid().context("the office's program runs")?;
    cpu_settled(pid)?;
    told.push(("node_peak", peak_megabytes(pid)?));
    office.stop()?;
    told.push(("node_start", office.resume()?.as_secs_f64()));
    let pid = office.pid().context("the office's program runs")?;
    cpu_settled(pid)?;
    told.push(("node_idle", resident_kilobytes(pid)? / 1e3));
    Ok(())
}

fn open_digest(daemon: &Daemon) -> anyhow::Result<Option<String>> {
    let digests = daemon.digests(COMMUNITY)?;
    Ok(digests.into_iter().find(|(space, _)| space.ends_with("open")).map(|(_, digest)| digest))
}

/// The hub's figures count every entry.
fn counted(hub: &Daemon, size: usize) -> anyhow::Result<()> {
    let query = FigureQuery { metric: Some("M01".to_owned()), ..FigureQuery::default() };
    let figures = hub.figures(query)?;
    let counted = figures.first().and_then(|figure| figure["numerator"].as_f64());
    ensure!(counted == Some(size as f64), "the hub counts {counted:?} of {size}");
    Ok(())
}
