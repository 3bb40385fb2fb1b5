//! Measures the store on the disk of the current directory, beside the raw disk.
//!
//! `cargo run --release -p linli-store --example measure [records] [disk|memory|store]`. It prints
//! and judges nothing.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use linli_domain::id::{ChangeHash, EntryId, Space};
use linli_store::limits::RESERVE_BYTES;
use linli_store::{
    Journal, JournalOptions, MemoryDisk, NoBlocks, RealDisk, RealStore, Store, StoreOptions,
    ViewBatch,
};

const PAYLOAD: [u8; 225] = [7; 225];

fn main() {
    let records: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let home = tempfile::tempdir_in(".").expect("temporary directory");
    let part = std::env::args().nth(2).unwrap_or_default();
    let wanted = |name: &str| part.is_empty() || part == name;
    for batch in [1, 64, 512].into_iter().filter(|_| wanted("disk")) {
        disk(home.path(), batch);
    }
    if wanted("memory") {
        append_only(records);
    }
    if wanted("store") {
        whole_store(home.path(), records);
    }
}

/// The raw disk and the journal in turns, so that both meet the same neighbours.
fn disk(home: &Path, batch: u64) {
    let mut file = File::create(home.join("raw")).expect("file");
    let bytes = vec![7; 350 * batch as usize];
    let mut raw = move || {
        file.write_all(&bytes).expect("write");
        file.sync_data().expect("sync");
    };
    let mut bare = journal(home, batch, 0);
    let mut ahead = journal(home, batch, RESERVE_BYTES);
    let mut runners: [(&str, &mut dyn FnMut(), u64, Duration); 3] = [
        ("raw append + fdatasync", &mut raw, 0, Duration::ZERO),
        ("journal, nothing reserved", &mut bare, 0, Duration::ZERO),
        ("journal", &mut ahead, 0, Duration::ZERO),
    ];
    for _ in 0..20 {
        for (_, work, commits, took) in &mut runners {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(100) {
                work();
                *commits += 1;
            }
            *took += start.elapsed();
        }
    }
    for (what, _, commits, took) in runners {
        let per_second = commits as f64 / took.as_secs_f64();
        let records = per_second * batch as f64;
        println!(
            "{what:26} {batch:4} a commit: {per_second:6.0} commits/s {records:8.0} records/s"
        );
    }
}

fn journal(home: &Path, batch: u64, reserve: u64) -> impl FnMut() {
    let dir = home.join(format!("journal-{batch}-{reserve}"));
    let disk = RealDisk::open(&dir).expect("disk").reserving(reserve);
    let (mut journal, _) = Journal::open(disk, JournalOptions::default()).expect("journal");
    let (space, entry, mut hash) = names(0);
    move || {
        for _ in 0..batch {
            hash.0[0] = hash.0[0].wrapping_add(1);
            journal.append(&space, 0, &entry, &hash, &PAYLOAD).expect("append");
        }
        journal.commit().expect("commit");
    }
}

/// Appending without a disk: what a record costs the processor.
fn append_only(records: u64) {
    let (mut journal, _) =
        Journal::open(MemoryDisk::new(), JournalOptions::default()).expect("journal");
    let (space, entry, mut hash) = names(0);
    let start = Instant::now();
    for number in 0..records {
        hash.0[..8].copy_from_slice(&number.to_le_bytes());
        journal.append(&space, 0, &entry, &hash, &PAYLOAD).expect("append");
        if number % 512 == 511 {
            journal.commit().expect("commit");
        }
    }
    journal.commit().expect("commit");
    println!("append in memory: {:.0} ns a record", nanos(start.elapsed(), records));
    let start = Instant::now();
    let read = journal.read(&space, 0, usize::MAX, usize::MAX, &NoBlocks).expect("read");
    println!("read in memory: {:.0} ns a record", nanos(start.elapsed(), read.len() as u64));
}

fn whole_store(home: &Path, records: u64) {
    let dir = home.join("store");
    let open =
        || -> RealStore { Store::open_real(&dir, StoreOptions::default()).expect("store").0 };
    let mut store = open();
    let start = Instant::now();
    let mut checkpoints = Duration::ZERO;
    for number in 0..records {
        let (space, entry, hash) = names(number);
        store.append(&space, 0, &entry, &hash, &PAYLOAD).expect("append");
        let mut batch = ViewBatch::new();
        batch.put(format!("{space}/{entry}"), vec![7; 120]);
        store.write(batch);
        if number % 64 == 63 {
            store.commit().expect("commit");
            if store.checkpoint_due() {
                let start = Instant::now();
                store.checkpoint().expect("checkpoint");
                checkpoints += start.elapsed();
            }
        }
    }
    store.commit().expect("commit");
    store.checkpoint().expect("checkpoint");
    println!(
        "store, 64 a commit, a row a record: {:.0} records/s, of which checkpoints {:.1} us a record",
        records as f64 / start.elapsed().as_secs_f64(),
        nanos(checkpoints, records) / 1000.0,
    );
    drop(store);
    let start = Instant::now();
    let mut store = open();
    println!("open from a checkpoint: {:?}", start.elapsed());
    let (space, _, _) = names(0);
    let start = Instant::now();
    let (mut after, mut read) = (0, 0);
    loop {
        let page = store.read(&space, after, 512, 1 << 20).expect("read");
        let Some(last) = page.last() else { break };
        (after, read) = (last.seq, read + page.len() as u64);
    }
    println!("read from disk, 512 at a time: {:.0} ns a record", nanos(start.elapsed(), read));
    let start = Instant::now();
    let hashes = store.hashes(&space).expect("hashes").len() as u64;
    println!("hashes: {:.0} ns a record", nanos(start.elapsed(), hashes));
    let start = Instant::now();
    store.journal().audit().expect("audit");
    println!("audit: {:.0} ns a record", nanos(start.elapsed(), records));
    let start = Instant::now();
    store.audit_views().expect("audit");
    println!("audit of the views: {:?}", start.elapsed());
    drop(store);
    for part in ["journal", "views"] {
        let files = std::fs::read_dir(dir.join(part)).expect("directory");
        let bytes: u64 = files.map(|file| file.expect("file").metadata().expect("len").len()).sum();
        println!("{part}: {:.0} bytes a record", bytes as f64 / records as f64);
    }
    std::fs::remove_dir_all(dir.join("views")).expect("views");
    let start = Instant::now();
    let mut store = open();
    let opened = start.elapsed();
    let start = Instant::now();
    while !store.replay_done() {
        store.replay_next(512).expect("replay");
    }
    println!("open without views: {opened:?}, replay {:?}", start.elapsed());
}

fn names(number: u64) -> (Space, EntryId, ChangeHash) {
    let space =
        Space::parse(["community/cui-zhu/open", "community/song-tao/open"][number as usize % 2]);
    let entry = EntryId::new("issue", &format!("01J9ZK8Q4T3V{:014}", number / 3));
    let mut hash = [5; 32];
    hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    (space.expect("a space"), entry.expect("an entry"), ChangeHash(hash))
}

fn nanos(took: Duration, times: u64) -> f64 {
    took.as_nanos() as f64 / times.max(1) as f64
}
