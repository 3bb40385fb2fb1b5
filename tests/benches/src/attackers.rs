//! Attackers in a process of their own, as if on other machines.
//!
//! As threads of the desks' process they cannot step aside: stopped in the midst of something, they
//! slowed the desks more than at full speed, for a reason that no hub has.

use std::collections::BTreeMap;
use std::env;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use linli_attack::{ATTACKS, Attack, Tally, Target, attack};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

/// 由 attack 启动 / Started by `attack`.
#[derive(Debug, Args)]
pub(crate) struct Words {
    /// 要做的事 / What to do, as JSON.
    order: String,
}

/// What attackers shall do, all at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) lasting: Duration,
    pub(crate) attacks: Vec<Ordered>,
}

/// One kind of attack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ordered {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) identity: PathBuf,
    pub(crate) connections: usize,
}

/// What one kind of attackers did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) acts: u64,
}

impl Done {
    pub(crate) fn add(&mut self, more: &Self) {
        self.opened += more.opened;
        self.closed += more.closed;
        self.acts += more.acts;
    }
}

/// By the attack's name.
pub(crate) type Told = BTreeMap<String, Done>;

/// The attacks, by their names.
pub(crate) fn kinds() -> impl Iterator<Item = (String, Attack)> {
    ATTACKS.into_iter().map(|kind| (format!("{kind:?}").to_lowercase(), kind))
}

/// Begins the process; with `aside` it takes of the cores only what nobody else wants.
pub(crate) fn start(order: &Order, aside: bool) -> anyhow::Result<Child> {
    let me = env::current_exe()?;
    let mut command = if aside { Command::new("chrt") } else { Command::new(&me) };
    if aside {
        command.args(["--idle", "0"]).arg(&me);
    }
    command.arg("attackers").arg(serde_json::to_string(order)?).stdout(Stdio::piped());
    command.spawn().context("attackers do not start; without --beside they need chrt of util-linux")
}

/// Waits for their end, and what they did.
pub(crate) fn told(mut attackers: Child) -> anyhow::Result<Told> {
    let mut told = String::new();
    attackers.stdout.take().context("attackers tell")?.read_to_string(&mut told)?;
    ensure!(attackers.wait()?.success(), "attackers failed");
    Ok(serde_json::from_str(&told)?)
}

/// The process.
pub(crate) fn run(words: &Words) -> anyhow::Result<()> {
    let order: Order = serde_json::from_str(&words.order).context("an order")?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let told = runtime.block_on(async {
        let mut running = Vec::new();
        for Ordered { name, address, identity, connections } in order.attacks {
            let (_, kind) = kinds().find(|(known, _)| *known == name).context("a known attack")?;
            let target = Target { address, identity };
            let tally = Arc::new(Tally::default());
            let mine = tally.clone();
            let run = async move { attack(&target, kind, connections, order.lasting, &mine).await };
            running.push((name, tally, tokio::spawn(run)));
        }
        let mut told = Told::new();
        for (name, tally, one) in running {
            one.await??;
            let (opened, closed, acts) = (tally.opened(), tally.closed(), tally.done());
            told.insert(name, Done { opened, closed, acts });
        }
        anyhow::Ok(told)
    })?;
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}
