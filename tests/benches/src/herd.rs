//! `cargo bench -- herd`: half past eight, when every desk of a street comes back at once.
//!
//! Each node has its own certificate, its own link over mutual TLS and its own machine with a store
//! in memory; all live in this process, and the hub is the program that offices run. A node is
//! served when the hub has acknowledged its edit and has sent it what it lacked. It refuses to
//! count a node that only connected.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use linli_demo::office::{Programs, Street, until};
use linli_domain::id::{PeerName, Space};
use linli_domain::pack::Registry;
use linli_replica::{Effect, LinkId};
use linli_runtime::ask::{Answer, Ask};
use linli_runtime::authority::Identity;
use linli_runtime::daemon::{self, CHINA_OFFSET_MINUTES, now_millis};
use linli_runtime::dial::{Dial, dial};
use linli_runtime::enrol::{self, Enrolled};
use linli_runtime::limits::LINK_AGE;
use linli_runtime::link::{LinkEvent, LinkSender, Links, SendRefused};
use linli_runtime::site::{Opening, Site};
use linli_runtime::tls::{Clock, Expect};
use linli_store::disk::MemoryDisk;
use linli_store::store::{Store, StoreOptions};
use linli_store::views::MemoryViews;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{interval, sleep, timeout};

use crate::desk::seat;
use crate::process::{cpu_at_rest, cpu_seconds, peak_megabytes, resident_kilobytes};
use crate::street::quantile;

/// Desks of one community.
const DESKS: usize = 5;
/// A node that was not served after this long is lost.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// 一起上线 / Everybody comes back at once.
#[derive(Debug, Args)]
pub(crate) struct Words {
    /// 节点数 / Nodes.
    #[arg(long, default_value_t = 1_000)]
    nodes: usize,
    /// 在多少秒内上线 / Seconds within which they come back.
    #[arg(long, default_value_t = 10)]
    within: u64,
}

/// A node's machine.
struct Node {
    site: Site<MemoryDisk, MemoryViews>,
    me: PeerName,
    senders: BTreeMap<LinkId, LinkSender>,
    /// Frames that found no room, in order.
    waiting: Vec<(LinkId, linli_replica::frame::Frame)>,
}

pub(crate) async fn run(programs: &Programs, dir: &Path, words: &Words) -> anyhow::Result<()> {
    let street = block_in_place(|| Street::found(programs, dir))?;
    let hub = street.hub.pid().context("the hub runs")?;
    let began = Instant::now();
    let mut enrolled = Vec::new();
    for nth in 0..words.nodes {
        let (community, name) = (format!("c{}", nth / DESKS), format!("desk{}", nth % DESKS));
        enrolled.push(seat(&street, &dir.join(format!("seat{nth}")), &community, &name).await?);
    }
    println!("{} nodes enrolled in {:.1} s", words.nodes, began.elapsed().as_secs_f64());
    block_in_place(|| cpu_at_rest(hub))?;
    let (cpu, before) = (cpu_seconds(hub)?, resident_kilobytes(hub)?);
    let registry = Arc::new(Registry::builtin().open_metrics());
    let mut nodes = Vec::new();
    for one in enrolled {
        nodes.push((Node::open(&one, registry.clone())?, one));
    }

    let began = Instant::now();
    let (stop, stopped) = watch::channel(false);
    let (tell, mut told) = mpsc::channel(words.nodes);
    let mut herd = JoinSet::new();
    let many = nodes.len() as u32;
    for (nth, (node, one)) in nodes.into_iter().enumerate() {
        let at = Duration::from_secs(words.within) * nth as u32 / many;
        herd.spawn(node.come_back(one, at, tell.clone(), stopped.clone()));
    }
    drop(tell);
    let mut times = Vec::new();
    let mut tries = 0;
    while times.len() < words.nodes {
        let next = timeout(WAIT_MAX, told.recv()).await;
        let (took, dialled) = next.context("a node is not served")?.context("a node ended")?;
        times.push(took.as_secs_f64());
        tries += dialled;
    }
    let all = began.elapsed();
    let served_cpu = cpu_seconds(hub)? - cpu;
    let connected = resident_kilobytes(hub)?;
    // Nothing lost: the hub holds an edit of every node.
    let held = block_in_place(|| until("the hub holds every edit", || held(&street, words.nodes)))?;
    let rest = block_in_place(|| cpu_at_rest(hub))? - cpu;
    let status = block_in_place(|| street.hub.status())?;
    stop.send_replace(true);
    while let Some(ended) = herd.join_next().await {
        ended??;
    }
    println!(
        "{:>16}: all served after {:.2} s, came within {} s",
        "herd",
        all.as_secs_f64(),
        words.within
    );
    println!(
        "{:>16}: p50 {:.3} s, p99 {:.3} s, longest {:.3} s (wanted: p99 at most 2)",
        "connect to served",
        quantile(&mut times, 0.5),
        quantile(&mut times, 0.99),
        quantile(&mut times, 1.0),
    );
    println!("{:>16}: {tries} links for {} nodes", "dialled", words.nodes);
    println!("{:>16}: {served_cpu:.2} s until served, {rest:.2} s until at rest", "hub processor");
    println!(
        "{:>16}: {:.0} MB connected, {:.0} MB before, {:.0} MB at most (wanted: below 300)",
        "hub memory",
        connected / 1e3,
        before / 1e3,
        peak_megabytes(hub)?
    );
    println!("{:>16}: {held} edits of {} nodes at the hub", "nothing lost", words.nodes);
    println!("{:>16}: {:?}, slowed {:?}", "connections", status.connections, status.slowed);
    ensure!(street.hub.pid() == Some(hub), "the hub was restarted");
    Ok(())
}

/// How many entries the hub counts, once every node has one.
fn held(street: &Street, nodes: usize) -> anyhow::Result<Option<u64>> {
    let mut counted = 0;
    let Answer::Digests { digests } = street.hub.ask(&Ask::Digests {})? else {
        return Ok(None);
    };
    for (space, digest) in digests {
        if matches!(space, Space::Open(_)) {
            let digits: String = digest.chars().take_while(char::is_ascii_digit).collect();
            counted += digits.parse::<u64>()?;
        }
    }
    Ok((counted >= nodes as u64).then_some(counted))
}

impl Node {
    fn open(one: &Enrolled, registry: Arc<Registry>) -> anyhow::Result<Self> {
        let options = StoreOptions::default();
        let (store, _) = Store::open(MemoryDisk::new(), MemoryViews::new(), options)?;
        let me = one.identity.peer().clone();
        let opening = Opening {
            me: me.clone(),
            registry,
            ring: None,
            device: None,
            members: linli_runtime::site::Standing::default(),
            entropy: daemon::system_entropy(),
            utc_offset_minutes: CHINA_OFFSET_MINUTES,
            node_bytes_per_day: 0,
            authority: None,
        };
        let site = Site::open(opening, store, now_millis())?;
        Ok(Self { site, me, senders: BTreeMap::new(), waiting: Vec::new() })
    }

    /// Writes something, dials at its time, tells how long it took until it was served, and stays
    /// until all are.
    async fn come_back(
        mut self,
        one: Enrolled,
        at: Duration,
        tell: mpsc::Sender<(Duration, usize)>,
        mut stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let title = format!("早上好 {}", self.me);
        let fields = BTreeMap::from([("title".to_owned(), json!(title))]);
        let ask = Ask::Add { kind: "issue".into(), id: None, fields };
        self.site.set_now(now_millis());
        let written = self.site.ask(ask);
        ensure!(matches!(written, Answer::Written { .. }), "{written:?}");
        self.end_turn()?;
        sleep(at).await;
        let began = Instant::now();
        let (links, mut events) = Links::new();
        let (_keep, identity) = watch::channel(Arc::new(one.identity));
        let dialling = dial(plan(one.hub, identity, links));
        let mut tick = interval(daemon_tick());
        let (mut served, mut dialled) = (false, 0);
        loop {
            tokio::select! {
                event = events.recv() => {
                    let event = event.context("links go on")?;
                    dialled += usize::from(matches!(event, LinkEvent::Up { .. }));
                    self.take(event);
                }
                _ = tick.tick() => self.site.tick(),
                _ = stopped.wait_for(|stop| *stop) => break,
            }
            self.end_turn()?;
            if !served && self.is_served() {
                served = true;
                // The one who counts may have given up.
                let _ = tell.send((began.elapsed(), dialled)).await;
            }
        }
        dialling.stop().await;
        Ok(())
    }

    fn take(&mut self, event: LinkEvent) {
        self.site.set_now(now_millis());
        match event {
            LinkEvent::Up { link, peer, frames, .. } => {
                self.senders.insert(LinkId(link.0), frames);
                self.site.link_up(LinkId(link.0), peer);
            }
            LinkEvent::Frame { link, frame, ahead } => {
                self.site.frame_ahead(LinkId(link.0), frame, ahead);
            }
            LinkEvent::Room { .. } => {}
            LinkEvent::Down { link, .. } => {
                self.senders.remove(&LinkId(link.0));
                self.waiting.retain(|(waits, _)| *waits != LinkId(link.0));
                self.site.link_down(LinkId(link.0));
            }
        }
    }

    fn end_turn(&mut self) -> anyhow::Result<()> {
        for effect in self.site.end_turn()? {
            match effect {
                Effect::Send { link, frame } => self.waiting.push((link, frame)),
                Effect::Close { link, .. } => {
                    self.senders.remove(&link);
                }
            }
        }
        let mut rest = Vec::new();
        for (link, frame) in std::mem::take(&mut self.waiting) {
            let Some(sender) = self.senders.get(&link) else { continue };
            if let Err(SendRefused::Full(frame)) = sender.try_send(frame) {
                rest.push((link, *frame));
            }
        }
        self.waiting = rest;
        Ok(())
    }

    /// A link stands, and both sides hold the same in every space they share.
    fn is_served(&self) -> bool {
        let standings = self.site.standings();
        !standings.is_empty()
            && standings.iter().all(|standing| standing.agreed && standing.unsent == 0)
    }
}

fn plan(address: String, identity: watch::Receiver<Arc<Identity>>, links: Links) -> Dial {
    let (registry, clock) = (enrol::Registry::in_memory(), Clock::system());
    Dial { address, expect: Expect::Hub, identity, registry, links, clock, link_age: LINK_AGE }
}

/// As the daemon's.
fn daemon_tick() -> Duration {
    linli_runtime::limits::TICK
}
