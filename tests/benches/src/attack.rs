//! `cargo bench -- attack`: what an honest desk feels of attackers.
//!
//! The same edits of the same two desks are timed in quiet and while every attack runs, in turn, since
//! disks have their moods, in one run on one machine. Attackers are a process of their own that takes
//! of the cores only what nobody else wants, as near to attackers on machines of their own as one
//! machine comes. With `--beside` they compete for the cores: what they burn on their own side is felt
//! as well.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use linli_attack::Attack;
use linli_demo::office::{Programs, Street};
use tokio::task::block_in_place;

use crate::attackers::{self, Order, Ordered, Told};
use crate::desk::{Desk, edit_live, seat};
use crate::process::{cpu_seconds, peak_megabytes};
use crate::street::quantile;

const COMMUNITY: &str = "yili";
/// Entries that the two desks hold and edit.
const ENTRIES: usize = 1_000;
/// Times that a quiet part is followed by one under attack.
const ROUNDS: u32 = 5;
/// Between two edits: people write, and other desks with them.
const EDIT_EVERY: Duration = Duration::from_millis(5);

/// Honest machines at the hub.
const DESKS: usize = 2;
/// After the attackers have left, the hub must be rid of them within this.
const ALONE_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// 攻击之下的正常使用 / Honest work under attack.
#[derive(Debug, Args)]
pub(crate) struct Words {
    /// 两种情形各自的总秒数 / Seconds in all of quiet, and of attack.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// 每种攻击的连接数 / Connections of each attack.
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// 慢握手的连接数 / Connections of slow handshakes.
    #[arg(long, default_value_t = 1_000)]
    slow: usize,
    /// 攻击方与别人争用处理器 / Attackers compete for the cores.
    #[arg(long)]
    beside: bool,
    /// 只用这几种攻击 / Only these attacks, by name.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
}

/// What edits took, in milliseconds, and the hub's processor meanwhile.
#[derive(Debug, Default)]
struct Timed {
    times: Vec<f64>,
    cpu_s: f64,
}

impl Timed {
    fn add(&mut self, more: Self) {
        self.times.extend(more.times);
        self.cpu_s += more.cpu_s;
    }
}

pub(crate) async fn run(programs: &Programs, dir: &Path, words: &Words) -> anyhow::Result<()> {
    let street = block_in_place(|| Street::found(programs, dir))?;
    let hub = street.hub.pid().context("the hub runs")?;
    let mut near = Desk::join(&street, dir, COMMUNITY, "near").await?;
    near.import(ENTRIES, 0).await?;
    let mut far = Desk::join(&street, dir, COMMUNITY, "far").await?;
    // One machine has few connections: each attack has a machine of its own.
    let mut attacks = Vec::new();
    let wanted = |name: &String| words.kinds.is_empty() || words.kinds.contains(name);
    for (name, kind) in attackers::kinds().filter(|(name, _)| wanted(name)) {
        let identity = dir.join(&name);
        let address = seat(&street, &identity, "evil", &name).await?.hub.parse()?;
        let slow = kind == Attack::SlowHandshakes;
        let connections = if slow { words.slow } else { words.connections };
        attacks.push(Ordered { name, address, identity, connections });
    }
    let address = near.hub.clone();
    for desk in [&mut near, &mut far] {
        desk.dial(&address);
        desk.until("the desks agree", Desk::agrees).await?;
    }
    let lasting = Duration::from_secs(words.seconds) / ROUNDS;
    let (mut quiet, mut attacked) = (Timed::default(), Timed::default());
    let order = Order { lasting, attacks };
    let mut told = Told::new();
    for round in 0..ROUNDS {
        quiet.add(timed(&near, &far, hub, lasting, &format!("平时{round}-")).await?);
        let attackers = attackers::start(&order, !words.beside)?;
        attacked.add(timed(&near, &far, hub, lasting, &format!("攻击中{round}-")).await?);
        for (name, done) in block_in_place(|| attackers::told(attackers))? {
            told.entry(name).or_default().add(&done);
        }
        alone(&street).await?;
    }

    let seconds = words.seconds as f64;
    for (name, done) in told {
        println!(
            "{name:>16}: {} connections, {} ended by the hub, {:.0} acts/s",
            done.opened,
            done.closed,
            done.acts as f64 / seconds
        );
    }
    for (what, timed) in [("quiet", &mut quiet), ("attacked", &mut attacked)] {
        println!(
            "{what:>16}: {} edits, p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, hub processor {:.0} %",
            timed.times.len(),
            quantile(&mut timed.times, 0.5),
            quantile(&mut timed.times, 0.9),
            quantile(&mut timed.times, 0.99),
            timed.cpu_s / seconds * 100.0,
        );
    }
    let ratio = quantile(&mut attacked.times, 0.99) / quantile(&mut quiet.times, 0.99);
    println!("{:>16}: {ratio:.2} (wanted: at most 2)", "p99 ratio");
    println!("{:>16}: {:.0} MB at most", "hub memory", peak_megabytes(hub)?);
    let status = block_in_place(|| street.hub.status())?;
    println!("{:>16}: {:?}, slowed {:?}", "connections", status.connections, status.slowed);
    ensure!(street.hub.pid() == Some(hub), "the hub was restarted");
    Ok(())
}

/// Waits until the hub is rid of the last attacker: what is quiet shall be quiet.
async fn alone(street: &Street) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let connections = block_in_place(|| street.hub.status())?.connections;
        let connections = connections.context("a hub counts its connections")?;
        if connections.strangers == 0 && connections.machines <= DESKS {
            return Ok(());
        }
        ensure!(began.elapsed() < ALONE_MAX, "the attackers stay: {connections:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Edits at one desk until the other shows them, one after the other.
async fn timed(
    near: &Desk,
    far: &Desk,
    hub: u32,
    lasting: Duration,
    word: &str,
) -> anyhow::Result<Timed> {
    let cpu = cpu_seconds(hub)?;
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < lasting {
        let nth = times.len();
        let number = nth * 7_919 % ENTRIES;
        times.push(edit_live(near, far, number, &format!("{word}{nth}")).await?.shown);
        tokio::time::sleep(EDIT_EVERY).await;
    }
    Ok(Timed { times, cpu_s: cpu_seconds(hub)? - cpu })
}
