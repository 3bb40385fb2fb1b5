//! An end that was durable and is gone: zeros, a shorter file, no file. Segments alone look as if
//! they had ended there; the reach beside them knows better.

use linli_store::{Journal, MemoryDisk, OpenError};

use crate::engine::{Engine, Memory, small};
use crate::history::History;

const SEGMENT: &str = "00000001.seg";
const REACH: &str = "reach";

/// A journal of three commits in one segment, with its lengths after each.
fn three_commits() -> (MemoryDisk, History, Vec<usize>) {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let (mut history, mut ends) = (History::default(), vec![0]);
    for _ in 0..3 {
        history.grow(&mut store, 2, 2, 60);
        ends.push(engine.disk.bytes(SEGMENT).expect("a segment").len());
    }
    drop(store);
    (engine.disk.copy(), history, ends)
}

/// Whether opening it says that something durable is missing.
fn is_noticed(disk: &MemoryDisk) -> bool {
    let survey = Journal::survey(disk).map(drop);
    assert!(matches!(survey, Err(OpenError::Damaged(_))), "no backup is made of it: {survey:?}");
    match Journal::open(disk.clone(), small().journal) {
        Ok((_, report)) => report.short.is_some() && report.set_back(),
        Err(error) => matches!(error, OpenError::Damaged(_)),
    }
}

#[test]
fn an_end_that_turned_to_zeros_or_is_gone_is_noticed_without_views() {
    let (whole, _, ends) = three_commits();
    for len in 0..ends[3] {
        let cut = whole.copy();
        cut.cut(SEGMENT, len);
        assert!(is_noticed(&cut), "cut to {len} bytes");
        linli_store::Disk::append(&mut cut.clone(), SEGMENT, &vec![0; ends[3] - len]).expect("put");
        // The last byte written may be a zero: then nothing changed.
        if cut.bytes(SEGMENT) != whole.bytes(SEGMENT) {
            assert!(is_noticed(&cut), "zeros from byte {len}");
        }
    }
    let gone = whole.copy();
    gone.lose(SEGMENT);
    assert!(is_noticed(&gone));
}

#[test]
fn it_is_noticed_until_the_owner_has_committed_and_not_after() {
    let (disk, _, ends) = three_commits();
    disk.cut(SEGMENT, ends[2]);
    for _ in 0..2 {
        let (journal, report) = Journal::open(disk.clone(), small().journal).expect("opens");
        let short = report.short.expect("a commit is missing");
        assert_eq!((short.had, short.has), (3, 2));
        drop(journal);
    }
    let (mut journal, _) = Journal::open(disk.clone(), small().journal).expect("opens");
    journal.append_note("epoch", b"another life").expect("append");
    journal.commit().expect("commit");
    drop(journal);
    let (_, report) = Journal::open(disk, small().journal).expect("opens");
    assert!(!report.set_back());
}

#[test]
fn a_reach_that_is_spoilt_or_gone_costs_nothing() {
    let (whole, history, _) = three_commits();
    for bit in 0..64 * 8 {
        let spoilt = whole.copy();
        assert!(spoilt.flip_bit(REACH, bit));
        let (journal, report) = Journal::open(spoilt.clone(), small().journal).expect("opens");
        assert!(report.reach_lost && !report.set_back(), "bit {bit}");
        history.check_journal(&journal);
        assert_eq!(journal.audit().expect("audit").damage, [], "it was written anew");
        assert!(spoilt.flip_bit(REACH, bit));
        assert_eq!(journal.audit().expect("audit").damage.len(), 1, "bit {bit}");
    }
    let gone = whole.copy();
    gone.lose(REACH);
    let (journal, report) = Journal::open(gone.clone(), small().journal).expect("opens");
    assert!(!report.reach_lost && !report.set_back());
    history.check_journal(&journal);
    assert_eq!(gone.bytes(REACH), whole.bytes(REACH), "it was written anew");
}

#[test]
fn a_commit_whose_seal_rotted_is_saved_record_by_record() {
    let (disk, history, ends) = three_commits();
    assert!(disk.flip_bit(SEGMENT, ends[3] as u64 * 8 - 20));
    let opened = Journal::open(disk.clone(), small().journal).map(drop);
    assert!(matches!(opened, Err(OpenError::Damaged(_))), "{opened:?}");
    let mut mended = disk.clone();
    let report = Journal::salvage(&mut mended, small().journal).expect("salvage");
    assert_eq!(report.damage.len(), 1, "the seal: {:?}", report.damage);
    let (journal, report) = Journal::open(mended, small().journal).expect("opens");
    assert!(!report.set_back());
    history.check_journal(&journal);
}

#[test]
fn another_history_of_the_same_length_is_noticed() {
    let (disk, _, _) = three_commits();
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    History::default().grow(&mut store, 6, 2, 50);
    drop(store);
    let other = engine.disk.copy();
    linli_store::Disk::put(&mut other.clone(), REACH, &disk.bytes(REACH).expect("reach"))
        .expect("put");
    let (_, report) = Journal::open(other, small().journal).expect("opens");
    assert!(report.set_back(), "{report:?}");
}
