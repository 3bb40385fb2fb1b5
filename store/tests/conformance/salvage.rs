//! A damaged journal becomes a sound one, however often that is interrupted.

use std::collections::BTreeSet;

use linli_domain::id::ChangeHash;
use linli_store::{
    CrashKeep, Disk as _, DiskCall, Journal, MemoryDisk, NoBlocks, OpenError, StoreOptions,
};

use crate::engine::{Engine, Memory, small};
use crate::history::{History, catch_up, rows, rows_of, space};

fn long_journal() -> (Memory, History) {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.note(&mut store, "epoch", b"7");
    history.grow(&mut store, 60, 4, 100);
    (engine, history)
}

fn hashes(history: &History) -> BTreeSet<ChangeHash> {
    history.spaces.values().flatten().map(|change| change.hash).collect()
}

fn held(journal: &Journal<MemoryDisk>) -> BTreeSet<ChangeHash> {
    let spaces: Vec<_> = journal.spaces().map(|(at, _)| at.clone()).collect();
    let all = spaces.iter().flat_map(|at| journal.hashes(at, &NoBlocks).expect("hashes"));
    all.map(|(hash, _)| hash).collect()
}

#[test]
fn what_is_intact_is_kept() {
    let (engine, history) = long_journal();
    for bit in (0..1900 * 8).step_by(101) {
        let mut disk = engine.disk.copy();
        assert!(disk.flip_bit("00000002.seg", bit));
        let refused = Journal::open(disk.clone(), small().journal).expect_err("damaged");
        assert!(matches!(refused, OpenError::Damaged(damage) if damage.segment <= 3));
        let report = Journal::salvage(&mut disk, small().journal).expect("salvage");
        assert_eq!(report.damage.len(), 1, "bit {bit}: {report:?}");
        let (journal, opened) = Journal::open(disk, small().journal).expect("sound again");
        assert_eq!((opened.cut, opened.refused), (None, None));
        assert_eq!(journal.audit().expect("audit").damage, []);
        assert_eq!(journal.note("epoch"), Some(b"7".as_slice()));
        let kept = held(&journal);
        assert!(kept.is_subset(&hashes(&history)));
        assert!(kept.len() >= 59, "one flipped bit costs one record, not {}", 60 - kept.len());
        assert_eq!(report.changes, kept.len() as u64);
        for (at, head) in journal.spaces() {
            assert_eq!(head.digest, held_digest(&journal, at));
        }
    }
}

fn held_digest(
    journal: &Journal<MemoryDisk>,
    at: &linli_domain::id::Space,
) -> linli_domain::digest::Digest {
    journal.hashes(at, &NoBlocks).expect("hashes").into_iter().map(|(hash, _)| hash).collect()
}

#[test]
fn records_that_were_never_sealed_are_not_kept() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(StoreOptions::default());
    let mut history = History::default();
    history.grow(&mut store, 6, 2, 100);
    let sealed = engine.disk.bytes("00000001.seg").expect("a segment").len();
    history.grow(&mut store, 3, 3, 100);
    drop(store);
    // The last commit is torn behind two of its records, and a bit of the first is spoilt.
    engine.disk.cut("00000001.seg", sealed + 600);
    engine.disk.lose("reach");
    assert!(engine.disk.flip_bit("00000001.seg", 8 * 150));
    let mut disk = engine.disk();
    Journal::open(disk.clone(), small().journal).map(|_| ()).expect_err("damaged");
    let report = Journal::salvage(&mut disk, small().journal).expect("salvage");
    // The torn tail is no loss: nobody was told that it was durable.
    assert_eq!((report.changes, report.damage.len()), (5, 1));
}

#[test]
fn a_sound_journal_stays_what_it_is() {
    let (engine, history) = long_journal();
    let mut disk = engine.disk();
    for _ in 0..2 {
        let report = Journal::salvage(&mut disk, small().journal).expect("salvage");
        assert_eq!((report.changes, report.damage), (60, vec![]));
        let (mut store, _) = engine.open(small());
        catch_up(&mut store);
        history.check(&mut store);
        store.checkpoint().expect("checkpoint");
    }
}

#[test]
fn an_interrupted_salvage_is_taken_up_by_the_next_open() {
    let (engine, history) = long_journal();
    assert!(engine.disk.flip_bit("00000002.seg", 4000));
    let mut interrupted = 0;
    for call in [DiskCall::Append, DiskCall::Sync, DiskCall::SyncDir] {
        for nth in 1..40 {
            let mut disk = engine.disk.copy();
            disk.fail(call, nth);
            if Journal::salvage(&mut disk, small().journal).is_ok() {
                continue;
            }
            interrupted += 1;
            disk.crash(if nth % 2 == 0 { CrashKeep::Nothing } else { CrashKeep::Prefix(40) });
            let opened = match Journal::open(disk.clone(), small().journal) {
                // It was interrupted before it had begun.
                Err(OpenError::Damaged(_)) => {
                    Journal::salvage(&mut disk, small().journal).expect("salvage");
                    Journal::open(disk, small().journal)
                }
                opened => opened,
            };
            let (journal, _) = opened.expect("taken up");
            assert_eq!(held(&journal).len(), 59);
            assert_eq!(journal.spaces().map(|(_, head)| head.seq).sum::<u64>(), 59);
            assert!(held(&journal).is_subset(&hashes(&history)));
        }
    }
    assert!(interrupted > 10, "{interrupted}");
}

#[test]
fn an_interrupted_salvage_that_is_asked_for_again_loses_nothing() {
    let (engine, history) = long_journal();
    assert!(engine.disk.flip_bit("00000002.seg", 4000));
    let mut interrupted = 0;
    for nth in 1..40 {
        let mut disk = engine.disk.copy();
        disk.fail(DiskCall::Append, nth);
        if Journal::salvage(&mut disk, small().journal).is_ok() {
            continue;
        }
        interrupted += 1;
        disk.crash(CrashKeep::Nothing);
        Journal::salvage(&mut disk, small().journal).expect("salvage");
        let (journal, _) = Journal::open(disk, small().journal).expect("sound");
        assert_eq!(held(&journal).len(), 59, "interrupted at append {nth}");
        assert!(held(&journal).is_subset(&hashes(&history)));
    }
    assert!(interrupted > 5, "{interrupted}");
}

#[test]
fn views_are_derived_again_after_a_salvage() {
    let (engine, mut history) = long_journal();
    let (mut store, _) = engine.open(small());
    catch_up(&mut store);
    store.checkpoint().expect("checkpoint");
    drop(store);
    // The last change of a space whose record is in the first segment.
    assert!(engine.disk.flip_bit("00000001.seg", 8 * 300));
    let mut disk = engine.disk();
    Journal::salvage(&mut disk, small().journal).expect("salvage");
    let (mut store, opened) = engine.open(small());
    assert!(opened.rebuilt.is_some());
    assert_eq!(opened.journal.lost.len(), 1);
    assert_eq!(catch_up(&mut store), 59);
    let at = &opened.journal.lost[0].space;
    let kept: BTreeSet<_> =
        store.hashes(at).expect("hashes").into_iter().map(|(hash, _)| hash).collect();
    let list = history.spaces.get_mut(at).expect("the space");
    list.retain(|change| kept.contains(&change.hash));
    assert_eq!(rows(&store), rows_of(&history));
    history.check(&mut store);
    history.grow(&mut store, 5, 2, 10);
    assert!(store.head(&space(0)).seq > 0);
    history.check(&mut store);
}

#[test]
fn room_left_behind_a_closed_segment_is_no_damage() {
    for zeros in [3, 8, 5000] {
        let (engine, mut history) = long_journal();
        let mut disk = engine.disk();
        disk.append("00000001.seg", &vec![0; zeros]).expect("append");
        let (journal, _) = Journal::open(disk, small().journal).expect("opens");
        assert_eq!(journal.audit().expect("audit").damage, [], "{zeros} zeros");
        drop(journal);
        let (mut store, _) = engine.open(small());
        assert_eq!(catch_up(&mut store), 60, "every record is replayed, {zeros} zeros");
        assert_eq!(rows(&store), rows_of(&history));
        history.check(&mut store);
        history.grow(&mut store, 5, 2, 10);
        history.check(&mut store);
    }
}
