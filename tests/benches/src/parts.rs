//! F1, F2, S1 and what a change costs in the parts: the gate, the journal, the raw disk.
//!
//! All of it runs in this process, on one thread, so that nothing but the part is timed.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use bytes::Bytes;
use linli_domain::doc::{Doc, Fit};
use linli_domain::gate;
use linli_domain::id::{ActorId, AuthorId, ChangeHash, PeerName, Space};
use linli_domain::pack::Registry;
use linli_domain::value::Value;
use linli_runtime::ask::{Answer, Ask, FigureQuery};
use linli_runtime::daemon::{self, CHINA_OFFSET_MINUTES, Opened, now_millis};
use linli_runtime::site::{Opening, Site, Standing};
use linli_store::disk::Disk;
use linli_store::views::Views;
use linli_store::{
    Journal, JournalOptions, MemoryDisk, MemoryViews, RealDisk, Store, StoreOptions,
};

use crate::desk::answered;
use crate::forms;
use crate::process::folder_bytes;
use crate::table::Measured;
use crate::wanted::Wanted;

/// Each rate is taken over this long.
const RATE_TIME: Duration = Duration::from_secs(1);
/// Changes whose effect is measured together.
const EFFECTS: usize = 500;
/// Edits whose room on disk is measured, over so many entries.
const ROOM_EDITS: usize = 5_000;
const ROOM_ENTRIES: usize = 200;
/// Changes of one document that go through the gate.
const GATE_CHANGES: usize = 2_000;

/// Measures once what is wanted.
pub(crate) fn run(
    dir: &Path,
    entries: usize,
    wanted: &Wanted,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    if wanted.any(&["F1", "F2"]) {
        figures(entries, measured)?;
    }
    if wanted.has("S1") {
        room(&dir.join("room"), measured)?;
    }
    if wanted.has("G") {
        at_the_gate(measured)?;
    }
    if wanted.has("J") {
        std::fs::create_dir_all(dir)?;
        measured.add("J.raw", raw(&dir.join("raw"))?);
        measured.add("J.one", journal(&dir.join("one"), 1)?);
        measured.add("J.many", journal(&dir.join("many"), 64)? * 64.0);
    }
    Ok(())
}

fn opening() -> anyhow::Result<Opening> {
    Ok(Opening {
        me: PeerName::parse("demo/demo/yili/one")?,
        registry: Arc::new(Registry::builtin().open_metrics()),
        ring: None,
        members: Standing::default(),
        device: None,
        entropy: daemon::system_entropy(),
        utc_offset_minutes: CHINA_OFFSET_MINUTES,
        node_bytes_per_day: 0,
        authority: None,
    })
}

fn figures(entries: usize, measured: &mut Measured) -> anyhow::Result<()> {
    let (store, _) = Store::open(MemoryDisk::new(), MemoryViews::new(), StoreOptions::default())?;
    let mut site = Site::open(opening()?, store, now_millis())?;
    fill(&mut site, entries)?;
    let touched = EFFECTS.min(entries);
    let own = Instant::now();
    for number in 0..touched {
        turn(&mut site, forms::edit(number, "换了承办"))?;
    }
    measured.add("D.edit", micros(own.elapsed(), touched));
    measured.add("F1.field", effect(&mut site, touched)?);
    for number in 0..touched {
        turn(&mut site, forms::step(number, "handle"))?;
    }
    measured.add("F1.step", effect(&mut site, touched)?);
    while site.idle() {}
    let began = Instant::now();
    match site.ask(Ask::Recount {}) {
        Answer::Recount { entries: counted, differences, .. } => {
            ensure!(counted == entries as u64, "{counted} entries counted");
            ensure!(differences.is_empty(), "kept and counted differ: {differences:?}");
        }
        other => bail!("a recount answered {other:?}"),
    }
    let took = began.elapsed().as_secs_f64();
    measured.add("F2.s", took);
    measured.add("F2.million", took / entries as f64 * 1e6);
    Ok(())
}

/// Microseconds for each of `touched` entries until every figure counts it.
fn effect<D: Disk, V: Views>(site: &mut Site<D, V>, touched: usize) -> anyhow::Result<f64> {
    let query = FigureQuery { metric: Some("M01".to_owned()), ..FigureQuery::default() };
    let began = Instant::now();
    answered(site.ask(Ask::Figures(query.clone())))?;
    let with = began.elapsed();
    let began = Instant::now();
    answered(site.ask(Ask::Figures(query)))?;
    Ok(micros(with.saturating_sub(began.elapsed()), touched))
}

fn room(dir: &Path, measured: &mut Measured) -> anyhow::Result<()> {
    let Opened { mut site, .. } = daemon::open(dir, opening()?)?;
    fill(&mut site, ROOM_ENTRIES)?;
    site.close()?;
    let before = folder_bytes(dir)?;
    let Opened { mut site, .. } = daemon::open(dir, opening()?)?;
    for nth in 0..ROOM_EDITS {
        turn(&mut site, forms::edit(nth % ROOM_ENTRIES, &format!("第{nth}次")))?;
        site.keep_bounded();
    }
    site.close()?;
    let more = folder_bytes(dir)?.saturating_sub(before);
    measured.add("S1.bytes", more as f64 / ROOM_EDITS as f64);
    Ok(())
}

fn fill<D: Disk, V: Views>(site: &mut Site<D, V>, entries: usize) -> anyhow::Result<()> {
    for ask in forms::imports(0, entries, 0) {
        turn(site, ask)?;
        site.keep_bounded();
    }
    while site.idle() {}
    Ok(())
}

fn turn<D: Disk, V: Views>(site: &mut Site<D, V>, ask: Ask) -> anyhow::Result<()> {
    site.set_now(now_millis());
    answered(site.ask(ask))?;
    // Nobody is linked: there is nothing to send.
    let _effects = site.end_turn()?;
    Ok(())
}

fn at_the_gate(measured: &mut Measured) -> anyhow::Result<()> {
    let actor = ActorId::new(AuthorId([1; 8]), [2; 8]);
    let mut doc = Doc::new();
    let (mut parsing, mut checking) = (Duration::ZERO, Duration::ZERO);
    for nth in 0..GATE_CHANGES {
        if nth % 25 == 0 {
            doc = Doc::new();
        }
        let text = format!("第{nth}次的承办人与说明，大约两百个字节的一次修改");
        let puts = vec![
            ("handler".to_owned(), Some(Value::Text(text.clone()))),
            ("place".to_owned(), Some(Value::Text(text))),
        ];
        let Some(change) = doc.edit(actor, nth as i64, puts) else { bail!("nothing changed") };
        let began = Instant::now();
        let parsed = gate::parse(&change.bytes, &change.hash)?;
        parsing += began.elapsed();
        let began = Instant::now();
        let fit = doc.check(&parsed)?;
        checking += began.elapsed();
        ensure!(fit == Fit::Fits, "{fit:?}");
        doc.apply(&parsed);
    }
    measured.add("G.parse", micros(parsing, GATE_CHANGES));
    measured.add("G.check", micros(checking, GATE_CHANGES));
    Ok(())
}

/// Appends of 200 bytes, each made durable, in a second.
pub(crate) fn raw(path: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(path)?;
    rate(|| {
        file.write_all(&[7; 200])?;
        Ok(file.sync_data()?)
    })
}

/// Commits a second of `many` changes of 200 bytes each.
fn journal(dir: &Path, many: usize) -> anyhow::Result<f64> {
    let (mut journal, _) = Journal::open(RealDisk::open(dir)?, JournalOptions::default())?;
    let space = Space::parse("community/yili/open")?;
    let (entry, payload) = (forms::entry(0), Bytes::from_static(&[7; 200]));
    let mut hash = ChangeHash([5; 32]);
    let mut number = 0_u64;
    rate(|| {
        for _ in 0..many {
            number += 1;
            hash.0[..8].copy_from_slice(&number.to_le_bytes());
            journal.append(&space, 0, &entry, &hash, &payload)?;
        }
        Ok(journal.commit()?)
    })
}

fn rate(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut times = 0_u32;
    while began.elapsed() < RATE_TIME {
        work()?;
        times += 1;
    }
    Ok(f64::from(times) / began.elapsed().as_secs_f64())
}

fn micros(took: Duration, times: usize) -> f64 {
    took.as_secs_f64() * 1e6 / times as f64
}
