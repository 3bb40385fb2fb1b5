//! W1 to W6 and W8: one hub as its own process and two desks of a community, through a day.
//!
//! Every step builds on the state the one before left, as it would in an office. It refuses to
//! skip a check: what was timed is looked at afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use linli_demo::office::{Programs, Street, until};
use linli_runtime::ask::{Answer, Ask, FigureQuery};
use tokio::task::{JoinSet, block_in_place};

use crate::counter;
use crate::desk::{Desk, answered, edit_live};
use crate::forms;
use crate::process::{cpu_at_rest, cpu_seconds, cpu_settled, peak_megabytes};
use crate::table::Measured;
use crate::wanted::Wanted;

const COMMUNITY: &str = "yili";
/// Machines are pressed harder than a day's limit allows.
const NO_LIMIT: (&str, &str) = ("node_megabytes_per_day", "0");
/// Warm reconnects of one repetition.
const RECONNECTS: usize = 15;
/// Entries of a group, as the peers' drivers have them, and how many of those are one with news.
const GROUP_ENTRIES: usize = 50;
const NEWS_EVERY: usize = 100;
/// So much more a community holds that has been at it for long.
const LARGE: usize = 5;
/// Edits one at a time.
const LIVE_EDITS: usize = 300;
/// Edits in a stream, and the entries they go round.
const STREAM_EDITS: usize = 5_000;
const STREAM_ENTRIES: usize = 200;

/// A hub and the two desks.
struct Office {
    street: Street,
    near: Desk,
    far: Desk,
    entries: usize,
}

/// Runs what is wanted of the day, once.
pub(crate) async fn run(
    programs: &Programs,
    dir: &Path,
    entries: usize,
    wanted: &Wanted,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let mut office = Office::open(programs, dir, entries).await?;
    office.cold_push(measured).await?;
    if wanted.has("W3") {
        measured.add("W3.ms", office.warm_reconnect().await?);
        let bytes = office.bytes_of_a_reconnect().await?;
        measured.add("W3.inner", bytes.inner);
        measured.add("W3.up", bytes.up);
        measured.add("W3.down", bytes.down);
        measured.add("W3.turns", bytes.turns);
    }
    if wanted.any(&["W2", "W4", "W5", "W6", "W8"]) {
        office.cold_pull(measured).await?;
    }
    if wanted.has("W4") {
        measured.add("W4.groups", office.reconnect_with_news(office.groups_with_news()).await?);
        measured.add("W4.ms", office.reconnect_with_news(entries / 100).await?);
    }
    if wanted.has("W5") {
        office.live(measured).await?;
    }
    if wanted.has("W6") {
        office.stream(measured).await?;
    }
    if wanted.has("W8") {
        office.killed(measured).await?;
    }
    Ok(())
}

/// W3 and W4 with a multiple of `entries`, once.
pub(crate) async fn reconnects(
    programs: &Programs,
    dir: &Path,
    entries: usize,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let mut office = Office::open(programs, dir, entries * LARGE).await?;
    // What the way there costs is told of the promised number of entries.
    let mut way = Measured::default();
    office.cold_push(&mut way).await?;
    measured.add("W3.large", office.warm_reconnect().await?);
    measured.add("W3.large_inner", office.bytes_of_a_reconnect().await?.inner);
    office.cold_pull(&mut way).await?;
    measured.add("W4.large", office.reconnect_with_news(office.groups_with_news()).await?);
    let all = office.entries / 100;
    measured.add("W4.large_all", office.reconnect_with_news(all).await?);
    Ok(())
}

/// What one reconnect says, in kilobytes: inside of TLS in both ways, and at the socket; and how
/// often one end waits for the other.
struct Bytes {
    inner: f64,
    up: f64,
    down: f64,
    turns: f64,
}

impl Office {
    async fn open(programs: &Programs, dir: &Path, entries: usize) -> anyhow::Result<Self> {
        let street = block_in_place(|| Street::found_with(programs, dir, &[NO_LIMIT]))?;
        let near = Desk::join(&street, dir, COMMUNITY, "near").await?;
        near.import(entries, 0).await?;
        let far = Desk::join(&street, dir, COMMUNITY, "far").await?;
        Ok(Self { street, near, far, entries })
    }

    /// Groups of which one entry is edited while the desk is away.
    fn groups_with_news(&self) -> usize {
        self.entries / GROUP_ENTRIES / NEWS_EVERY
    }

    async fn cold_push(&mut self, measured: &mut Measured) -> anyhow::Result<()> {
        let hub = self.hub()?;
        // The desk has written its rows, as one that was opened in the morning has.
        self.settle().await?;
        let cpu = block_in_place(|| cpu_settled(hub))?;
        let began = Instant::now();
        let address = self.near.hub.clone();
        self.near.dial(&address);
        self.near.until("the hub has everything", Desk::agrees).await?;
        measured.add("W1.s", began.elapsed().as_secs_f64());
        measured.add("W1.cpu_ack", cpu_seconds(hub)? - cpu);
        let query = FigureQuery { metric: Some("M01".to_owned()), ..FigureQuery::default() };
        let figures = block_in_place(|| self.street.hub.figures(query))?;
        measured.add("W1.figures", began.elapsed().as_secs_f64());
        let counted = figures.first().and_then(|figure| figure["numerator"].as_f64());
        ensure!(counted == Some(self.entries as f64), "the hub counts {counted:?}: {figures:?}");
        measured.add("W1.cpu_figures", block_in_place(|| cpu_at_rest(hub))? - cpu);
        measured.add("W1.cpu", block_in_place(|| cpu_settled(hub))? - cpu);
        measured.add("W1.peak", peak_megabytes(hub)?);
        Ok(())
    }

    async fn cold_pull(&mut self, measured: &mut Measured) -> anyhow::Result<()> {
        let began = Instant::now();
        let address = self.far.hub.clone();
        self.far.dial(&address);
        self.far.until("the new desk agrees", Desk::agrees).await?;
        measured.add("W2.s", began.elapsed().as_secs_f64());
        measured.add("W2.down", self.far.traffic().received() as f64 / 1e6);
        // The new desk has said something of its own: its device key.
        let all = self.far.digest().await?;
        let same = async |near: &Desk| Ok(near.digest().await? == all);
        self.near.until("the old desk holds the same", same).await?;
        let last = forms::entry(self.entries - 1);
        let seen = self.far.field(&last, forms::EDITED).await?;
        ensure!(seen == self.near.field(&last, forms::EDITED).await?, "the last entry differs");
        Ok(())
    }

    /// Milliseconds until both know again that they hold the same, nothing having changed.
    async fn warm_reconnect(&mut self) -> anyhow::Result<f64> {
        let address = self.near.hub.clone();
        let mut times = Vec::new();
        for _ in 0..RECONNECTS {
            self.part().await?;
            let began = Instant::now();
            self.near.dial(&address);
            self.near.until("both agree again", Desk::agrees).await?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(quantile(&mut times, 0.5))
    }

    async fn bytes_of_a_reconnect(&mut self) -> anyhow::Result<Bytes> {
        let address = self.near.hub.clone();
        self.part().await?;
        let (counted_address, count) = counter::forward(address.clone()).await?;
        let traffic = self.near.traffic();
        let before = traffic.sent() + traffic.received();
        self.near.dial(&counted_address.to_string());
        self.near.until("both agree once more", Desk::agrees).await?;
        // What follows agreement, such as settings of the connection, belongs to it.
        let hub = self.hub()?;
        for process in [hub, std::process::id()] {
            block_in_place(|| cpu_at_rest(process))?;
        }
        let traffic = self.near.traffic();
        let bytes = Bytes {
            inner: (traffic.sent() + traffic.received() - before) as f64 / 1e3,
            up: count.up() as f64 / 1e3,
            down: count.down() as f64 / 1e3,
            turns: count.round_trips() as f64,
        };
        self.near.hang_up().await?;
        self.near.dial(&address);
        self.near.until("the link stands again", Desk::agrees).await?;
        Ok(bytes)
    }

    /// Brings the link of the near desk down, and waits until the hub has seen it go.
    async fn part(&mut self) -> anyhow::Result<()> {
        self.near.hang_up().await?;
        let near = format!("/{COMMUNITY}/near");
        block_in_place(|| {
            until("the hub has seen the desk go", || {
                let Answer::Nodes { nodes } = self.street.hub.ask(&Ask::Nodes {})? else {
                    bail!("a hub lists its machines")
                };
                let linked = nodes.iter().any(|n| n.connected && n.name.ends_with(&near));
                Ok((!linked).then_some(()))
            })
        })
    }

    /// Milliseconds until a desk that was away holds the `news` of as many entries, far apart.
    async fn reconnect_with_news(&mut self, news: usize) -> anyhow::Result<f64> {
        let address = self.near.hub.clone();
        self.near.hang_up().await?;
        let news = news.max(1);
        for number in 0..news {
            let number = number * (self.entries / news);
            self.far.ask(forms::edit(number, &format!("趁它不在{news}"))).await?;
        }
        self.far.until("the hub has the news", Desk::agrees).await?;
        let wanted = self.far.digest().await?;
        let began = Instant::now();
        self.near.dial(&address);
        self.near
            .until("the news are here", async |near| Ok(near.digest().await? == wanted))
            .await?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        self.near.until("both agree", Desk::agrees).await?;
        Ok(took)
    }

    async fn live(&mut self, measured: &mut Measured) -> anyhow::Result<()> {
        // An ordinary day: what the new desk still has to count is not part of it.
        self.settle().await?;
        let (mut seen, mut held, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for nth in 0..LIVE_EDITS {
            // A prime stride: entries far apart, none twice in a row.
            let number = nth * 7_919 % self.entries;
            let lived = edit_live(&self.near, &self.far, number, &format!("现场{nth}")).await?;
            own.push(lived.own);
            seen.push(lived.shown);
            held.push(lived.held);
        }
        measured.add("W5.p50", quantile(&mut seen, 0.5));
        measured.add("W5.p99", quantile(&mut seen, 0.99));
        measured.add("W5.held", quantile(&mut held, 0.5));
        measured.add("W5.own", quantile(&mut own, 0.5));
        Ok(())
    }

    async fn stream(&mut self, measured: &mut Measured) -> anyhow::Result<()> {
        self.settle().await?;
        let hub = self.hub()?;
        let cpu = cpu_seconds(hub)?;
        let (own, all) = self.pour("流水").await?;
        measured.add("W6.own", STREAM_EDITS as f64 / own.as_secs_f64());
        measured.add("W6.rate", STREAM_EDITS as f64 / all.as_secs_f64());
        let cpu = block_in_place(|| cpu_settled(hub))? - cpu;
        measured.add("W6.cpu", cpu / (STREAM_EDITS as f64 / 1e3));
        Ok(())
    }

    async fn killed(&mut self, measured: &mut Measured) -> anyhow::Result<()> {
        self.pour("断电").await?;
        self.street.hub.kill();
        let near = self.near.digest().await?;
        // They would give back what it lost.
        self.near.hang_up().await?;
        self.far.hang_up().await?;
        let served = block_in_place(|| self.street.hub.resume())?;
        measured.add("W8.s", served.as_secs_f64());
        let digests = block_in_place(|| self.street.hub.digests(COMMUNITY))?;
        let held = digests.iter().find(|(space, _)| space.ends_with("open"));
        let held = held.context("the hub holds the community")?.1;
        let lost =
            if *held == near { 0 } else { count_of(&near)?.abs_diff(count_of(held)?).max(1) };
        measured.add("W8.lost", lost as f64);
        Ok(())
    }

    /// Edits in a stream, by one clerk an entry who waits for each answer; how long until all were
    /// durable here, and until the other desk had them.
    async fn pour(&mut self, word: &'static str) -> anyhow::Result<(Duration, Duration)> {
        let entries = STREAM_ENTRIES.min(self.entries);
        let rounds = STREAM_EDITS / entries;
        let mut clerks = JoinSet::new();
        let began = Instant::now();
        for number in 0..entries {
            let handle = self.near.handle.clone();
            clerks.spawn(async move {
                for round in 0..rounds {
                    let ask = forms::edit(number, &format!("{word}{round}"));
                    answered(handle.ask(ask).await)?;
                }
                anyhow::Ok(())
            });
        }
        for ended in clerks.join_all().await {
            ended?;
        }
        let own = began.elapsed();
        let wanted = self.near.digest().await?;
        let there = async |far: &Desk| Ok(far.digest().await? == wanted);
        self.far.until("all edits are there", there).await?;
        let all = began.elapsed();
        for number in 0..entries {
            let seen = self.far.field(&forms::entry(number), forms::EDITED).await?;
            ensure!(seen == format!("{word}{}", rounds - 1), "entry {number} reads {seen}");
        }
        Ok((own, all))
    }

    /// Until all three have counted and written what came before.
    async fn settle(&self) -> anyhow::Result<()> {
        for desk in [&self.near, &self.far] {
            desk.ask(Ask::Figures(FigureQuery::default())).await?;
        }
        let hub = self.hub()?;
        for process in [hub, std::process::id()] {
            block_in_place(|| cpu_at_rest(process))?;
        }
        Ok(())
    }

    fn hub(&self) -> anyhow::Result<u32> {
        self.street.hub.pid().context("the hub runs")
    }
}

/// The number of changes a digest's text begins with.
fn count_of(digest: &str) -> anyhow::Result<u64> {
    let digits: String = digest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("a digest begins with its count")
}

/// The value below which `share` of all lie.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = (values.len() as f64 * share) as usize;
    values[at.min(values.len() - 1)]
}
