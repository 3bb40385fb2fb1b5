//! Power cuts, failing calls, full disks and rot, each at every place of a small journal.
//!
//! The rule for rot: found at open, by a read or by an audit, and never wrong data.

use linli_store::{
    CommitError, CrashKeep, DiskCall, Flaw, Journal, MemoryDisk, NoBlocks, OpenError, Rebuild,
    Refusal, StoreError, ViewBatch,
};

use crate::engine::{Engine, Memory, small};
use crate::history::{History, apply, catch_up, change, rows, rows_of, same, space};

const SEGMENT: &str = "00000001.seg";
/// Never synced: where a power cut is played by cutting a file, it is not there.
const REACH: &str = "reach";

/// A store of three commits, two changes and a note each, all in one segment.
fn three_commits() -> (Memory, Vec<History>) {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    let mut after = vec![history.clone()];
    for commit in 0..3 {
        history.note(&mut store, "commit", &[commit as u8; 5]);
        history.add(&mut store, &space(0), change(commit * 2, 70));
        history.add(&mut store, &space(1), change(commit * 2 + 1, 30));
        store.commit().expect("commit");
        after.push(history.clone());
    }
    (engine, after)
}

fn segment_bytes(disk: &MemoryDisk) -> usize {
    disk.bytes(SEGMENT).expect("a segment").len()
}

/// Lengths of the segment after each commit, the empty journal first.
fn commit_ends() -> Vec<usize> {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    let mut ends = vec![0];
    for commit in 0..3 {
        history.note(&mut store, "commit", &[commit as u8; 5]);
        history.add(&mut store, &space(0), change(commit * 2, 70));
        history.add(&mut store, &space(1), change(commit * 2 + 1, 30));
        store.commit().expect("commit");
        ends.push(segment_bytes(&engine.disk));
    }
    ends
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let (engine, after) = three_commits();
    let ends = commit_ends();
    for len in 0..=ends[3] {
        for zeros in [0, 1, 100] {
            let mut disk = engine.disk.copy();
            disk.cut(SEGMENT, len);
            disk.lose(REACH);
            // What the file system had made room for and not written.
            linli_store::Disk::append(&mut disk, SEGMENT, &vec![0; zeros]).expect("append");
            let (journal, report) = Journal::open(disk, small().journal).expect("opens");
            let whole = ends.iter().rposition(|end| *end <= len).expect("zero at least");
            after[whole].check_journal(&journal);
            // The header of a segment without a commit is no loss.
            let torn = len > ends[whole] && len != 64;
            assert_eq!(report.cut.is_some(), torn, "{len} bytes and {zeros} zeros");
        }
    }
}

#[test]
fn a_store_goes_on_after_a_torn_tail() {
    let (engine, after) = three_commits();
    let ends = commit_ends();
    for len in ends[2]..=ends[3] {
        let disk = engine.disk.copy();
        disk.cut(SEGMENT, len);
        disk.lose(REACH);
        let torn = Memory { disk, ..Memory::new() };
        let (mut store, _) = torn.open(small());
        catch_up(&mut store);
        let mut history = after[if len == ends[3] { 3 } else { 2 }].clone();
        history.grow(&mut store, 30, 4, 60);
        drop(store);
        torn.disk.crash(CrashKeep::Nothing);
        let (mut store, opened) = torn.open(small());
        assert_eq!(opened.journal.cut, None);
        history.check(&mut store);
    }
}

#[test]
fn sectors_may_reach_the_disk_in_any_order() {
    for seed in 0..300 {
        let engine = Memory::new();
        let (mut store, _) = engine.open(small());
        let mut history = History::default();
        history.grow(&mut store, 12, 3, 300);
        let before = history.clone();
        for number in 0..6 {
            history.add(&mut store, &space(number), change(100 + number as u64, 300));
        }
        // The power goes after the write and before the sync.
        engine.disk.fail(DiskCall::Sync, 1);
        store.commit().expect_err("the sync fails");
        drop(store);
        engine.disk.crash(CrashKeep::Sectors(seed));
        let (mut store, opened) = engine.open(small());
        if opened.journal.commits_read == 5 { &history } else { &before }.check(&mut store);
    }
}

#[test]
fn sectors_of_a_new_segment_may_reach_the_disk_in_any_order() {
    for seed in 0..100 {
        let engine = Memory::new();
        let (mut store, _) = engine.open(small());
        let mut history = History::default();
        let mut commits = 0;
        let before = loop {
            let before = history.clone();
            for number in 0..6 {
                history.add(&mut store, &space(number), change(6 * commits + number as u64, 300));
            }
            commits += 1;
            // Only where a segment is begun is there a second sync, of its first commit.
            engine.disk.fail(DiskCall::Sync, 2);
            let committed = store.commit();
            engine.disk.heal();
            if committed.is_err() {
                break before;
            }
        };
        drop(store);
        engine.disk.crash(CrashKeep::Sectors(seed));
        let (mut store, opened) = engine.open(small());
        if opened.journal.commits_read == commits { &history } else { &before }.check(&mut store);
    }
}

#[test]
fn after_a_failed_call_nothing_succeeds_until_the_journal_is_opened_anew() {
    for call in [DiskCall::Append, DiskCall::Sync, DiskCall::SyncDir] {
        for nth in 1..30 {
            for keep in [CrashKeep::Nothing, CrashKeep::Prefix(90), CrashKeep::Everything] {
                failing_call(call, nth, keep);
            }
        }
    }
}

fn failing_call(call: DiskCall, nth: u64, keep: CrashKeep) {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    engine.disk.fail(call, nth);
    let (mut acked, mut history) = (History::default(), History::default());
    let mut failed = false;
    for number in 0..40 {
        let change = change(number, 200);
        let appended =
            store.append(&space(0), change.origin, &change.entry, &change.hash, &change.bytes);
        assert_eq!(appended.is_err(), failed, "appending goes on until a commit fails");
        if !failed {
            history.spaces.entry(space(0)).or_default().push(change);
        }
        match store.commit() {
            Ok(()) => {
                assert!(!failed, "a commit succeeded after one had failed");
                acked = history.clone();
            }
            Err(CommitError::Io(_)) => {
                assert!(!failed, "only one call was planned to fail");
                failed = true;
                assert!(store.journal().is_poisoned());
                acked.check(&mut store);
            }
            Err(CommitError::Poisoned) => assert!(failed),
        }
    }
    assert!(store.checkpoint().is_err() == failed);
    drop(store);
    engine.disk.crash(keep);
    let (mut store, _) = engine.open(small());
    // The failed commit may have become durable; nothing acknowledged may be lost.
    if store.head(&space(0)).seq == acked.changes() { &acked } else { &history }.check(&mut store);
}

#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    for room in (0..6000).step_by(53) {
        let engine = Memory::new();
        let (mut store, _) = engine.open(small());
        engine.disk.fill_after(room);
        let mut history = History::default();
        let mut acked = History::default();
        for number in 0..40 {
            history.add(&mut store, &space(0), change(number, 150));
            if store.commit().is_err() {
                break;
            }
            acked = history.clone();
        }
        assert!(acked.changes() < 40);
        drop(store);
        engine.disk.heal();
        let (mut store, _) = engine.open(small());
        catch_up(&mut store);
        acked.check(&mut store);
        acked.grow(&mut store, 5, 2, 10);
        acked.check(&mut store);
    }
}

#[test]
fn failing_reads_are_errors_and_pass() {
    let (engine, after) = three_commits();
    let options = linli_store::JournalOptions { tail_bytes: 0, ..small().journal };
    let (journal, _) = Journal::open(engine.disk(), options).expect("opens");
    engine.disk.fail(DiskCall::Read, 1);
    journal.read(&space(0), 0, 9, usize::MAX, &NoBlocks).expect_err("planned");
    after[3].check_journal(&journal);
    engine.disk.fail(DiskCall::Read, 1);
    journal.audit().expect_err("planned");
    for nth in 1..4 {
        let disk = engine.disk.copy();
        disk.fail(DiskCall::Read, nth);
        assert!(matches!(
            Journal::open(disk, options),
            Err(OpenError::Io(_) | OpenError::Salvage(_))
        ));
    }
}

/// What became of one spoilt store: found at open, or by every reader that meets the damage.
fn found(engine: &Memory, history: &History, what: &str) -> bool {
    let (mut store, opened) = match engine.try_open(small()) {
        Err(StoreError::Journal(OpenError::Damaged(_) | OpenError::Newer { .. })) => return true,
        Err(error) => unreachable!("{what}: {error}"),
        Ok(opened) => opened,
    };
    let reported = opened.journal.cut.is_some() || !opened.journal.lost.is_empty();
    let mut unread = false;
    for (at, list) in &history.spaces {
        for (change, seq) in list.iter().zip(1..) {
            match store.read_one(at, seq) {
                Ok(Some(record)) => assert!(same(&record, at, seq, change), "{what}: {record:?}"),
                Ok(None) => assert!(reported, "{what}: {at} {seq} is silently gone"),
                Err(_) => unread = true,
            }
        }
    }
    for (key, value) in store.journal().notes() {
        let known = history.notes.get(key).is_some_and(|known| known == value);
        assert!(known || reported, "{what}: note {key}");
    }
    let audited = !store.journal().audit().expect("audit").damage.is_empty();
    assert!(audited || !unread, "{what}: an audit finds what a read finds");
    reported || audited
}

#[test]
fn every_flipped_bit_is_found() {
    let (engine, after) = three_commits();
    let last = commit_ends()[2] as u64 * 8;
    for bit in 0..segment_bytes(&engine.disk) as u64 * 8 {
        let spoilt = engine.copy();
        assert!(spoilt.disk.flip_bit(SEGMENT, bit));
        assert!(found(&spoilt, &after[3], &format!("bit {bit}")), "bit {bit} is not found");
        // Before the last commit it cannot be a crash's, so nothing may be cut.
        if bit < last {
            let refused = Journal::open(spoilt.disk(), small().journal).map(|_| ());
            let refused = refused.expect_err("a commit behind it is sealed");
            assert!(matches!(refused, OpenError::Damaged(_) | OpenError::Newer { .. }), "{bit}");
        }
    }
}

#[test]
fn every_flipped_bit_before_a_checkpoint_is_found() {
    let (engine, after) = three_commits();
    let (mut store, _) = engine.open(small());
    catch_up(&mut store);
    store.checkpoint().expect("checkpoint");
    drop(store);
    for bit in 0..segment_bytes(&engine.disk) as u64 * 8 {
        let spoilt = engine.copy();
        assert!(spoilt.disk.flip_bit(SEGMENT, bit));
        assert!(found(&spoilt, &after[3], &format!("bit {bit}")), "bit {bit} is not found");
    }
}

#[test]
fn a_shortened_journal_is_told_by_its_views() {
    let (engine, after) = three_commits();
    let (mut store, _) = engine.open(small());
    for record in std::iter::from_fn(|| Some(store.replay_next(9).expect("replay")))
        .take_while(|records| !records.is_empty())
        .flatten()
        .collect::<Vec<_>>()
    {
        apply(&mut store, &record);
    }
    store.checkpoint().expect("checkpoint");
    drop(store);
    let ends = commit_ends();
    for len in 0..ends[3] {
        let spoilt = engine.copy();
        spoilt.disk.cut(SEGMENT, len);
        spoilt.disk.lose(REACH);
        let (mut store, opened) = spoilt.open(small());
        assert!(matches!(opened.rebuilt, Some(Rebuild::Refused(Refusal::BeyondTheEnd))), "{len}");
        let whole = ends.iter().rposition(|end| *end <= len).expect("zero at least");
        let had: Vec<_> = opened.journal.lost.iter().map(|lost| lost.had - lost.has).collect();
        assert_eq!(had, [3 - whole as u64; 2]);
        catch_up(&mut store);
        after[whole].check(&mut store);
        assert_eq!(rows(&store), rows_of(&after[whole]));
    }
}

#[test]
fn lost_and_zeroed_parts_of_a_long_journal_are_found() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 200, 5, 200);
    catch_up(&mut store);
    store.checkpoint().expect("checkpoint");
    let segments = store.journal().segments();
    drop(store);
    for number in 1..=segments {
        let name = format!("{number:08}.seg");
        let spoilt = engine.copy();
        spoilt.disk.lose(&name);
        assert!(found(&spoilt, &history, &format!("{name} lost")));
        let spoilt = engine.copy();
        assert!(spoilt.disk.zero_page(&name, 0));
        assert!(found(&spoilt, &history, &format!("{name} zeroed")));
        for len in (0..2000).step_by(97) {
            let spoilt = engine.copy();
            spoilt.disk.cut(&name, len);
            assert!(found(&spoilt, &history, &format!("{name} cut to {len}")));
        }
    }
    let (mut store, _) = engine.open(small());
    history.check(&mut store);
}

#[test]
fn swapped_segments_are_found() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 60, 5, 200);
    drop(store);
    let mut disk = engine.disk();
    for (from, to) in [("2", "x"), ("3", "2"), ("x", "3")] {
        let name = |n: &str| format!("{n:0>8}.seg");
        linli_store::Disk::rename(&mut disk, &name(from), &name(to)).expect("rename");
    }
    let refused = Journal::open(disk, small().journal).expect_err("swapped");
    assert!(matches!(refused, OpenError::Damaged(damage) if damage.flaw == Flaw::Header));
}

#[test]
fn a_commit_of_another_journal_does_not_fit() {
    let make = |first: u64| {
        let engine = Memory::new();
        let (mut store, _) = engine.open(small());
        let mut history = History::default();
        for number in [first, 7, 8] {
            history.add(&mut store, &space(0), change(number, 50));
            store.commit().expect("commit");
        }
        engine.disk.bytes(SEGMENT).expect("a segment")
    };
    let (ours, theirs) = (make(1), make(2));
    let third = ours.len() - (ours.len() - 64) / 3;
    let mixed = [&ours[..third], &theirs[third..]].concat();
    let mut disk = MemoryDisk::new();
    linli_store::Disk::append(&mut disk, SEGMENT, &mixed).expect("append");
    let (journal, report) = Journal::open(disk, small().journal).expect("opens");
    assert_eq!(journal.head(&space(0)).seq, 2);
    let cut = report.cut.expect("the foreign commit is cut");
    assert!(cut.sealed && cut.kept_as.is_some());
}

/// A journal of several segments whose first change has this number, with views at its end.
fn journal_beginning_with(first: u64) -> Memory {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    for number in std::iter::once(first).chain(10..40) {
        history.add(&mut store, &space(0), change(number, 200));
        store.commit().expect("commit");
    }
    store.checkpoint().expect("checkpoint");
    engine
}

#[test]
fn a_segment_of_another_journal_does_not_fit() {
    let (ours, theirs) = (journal_beginning_with(1), journal_beginning_with(2));
    let foreign = theirs.disk.bytes("00000002.seg").expect("a segment");
    let mut disk = ours.disk();
    linli_store::Disk::write_whole(&mut disk, "00000002.seg", &foreign).expect("write");
    let refused = Journal::open(disk, small().journal).expect_err("foreign");
    assert!(matches!(refused, OpenError::Damaged(damage) if damage.flaw == Flaw::Chain));
}

#[test]
fn views_of_another_journal_are_refused() {
    let (ours, theirs) = (journal_beginning_with(1), journal_beginning_with(2));
    let mixed = Memory { disk: ours.disk, views: theirs.views };
    let (mut store, opened) = mixed.open(small());
    assert!(matches!(opened.rebuilt, Some(Rebuild::Refused(Refusal::OtherHistory))));
    assert_eq!(catch_up(&mut store), 31);
}

#[test]
fn lost_and_foreign_index_rows_are_made_up_for() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 400, 5, 20);
    store.checkpoint().expect("checkpoint");
    for key in engine.views.rows().keys().filter(|key| key.starts_with(b"\0i")) {
        for spoilt in [None, Some(b"".to_vec()), Some(vec![255; 30]), Some(vec![1; 64])] {
            let mut batch = ViewBatch::new();
            batch.set(key.clone(), spoilt);
            let other = engine.copy();
            other.views.tamper(batch);
            let (mut store, opened) = other.open(small());
            assert!(opened.rebuilt.is_none());
            history.check(&mut store);
        }
    }
}

#[test]
fn lost_rows_of_the_manifest_are_found() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.note(&mut store, "epoch", b"7");
    history.grow(&mut store, 20, 5, 20);
    store.checkpoint().expect("checkpoint");
    drop(store);
    let own = |key: &&Vec<u8>| key.starts_with(b"\0") && !key.starts_with(b"\0i");
    let rows = engine.views.rows();
    assert_eq!(rows.keys().filter(own).count(), 5);
    for key in rows.keys().filter(own) {
        let other = engine.copy();
        let mut batch = ViewBatch::new();
        batch.delete(key.clone());
        other.views.tamper(batch);
        let (mut store, opened) = other.open(small());
        assert!(opened.rebuilt.is_some(), "{key:?}");
        assert_eq!(catch_up(&mut store), 20);
        history.check(&mut store);
        assert_eq!(crate::history::rows(&store), rows_of(&history));
    }
}

#[test]
fn broken_views_are_replaced() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 20, 5, 20);
    store.checkpoint().expect("checkpoint");
    engine.views.break_with(linli_store::Doubt::Panicked);
    store.get(b"x").expect_err("broken");
    history.grow(&mut store, 10, 5, 20);
    store.checkpoint().expect_err("broken");
    history.check(&mut store);
    store.rebuild_views().expect("rebuild");
    assert_eq!(catch_up(&mut store), 30);
    store.checkpoint().expect("checkpoint");
    assert_eq!(rows(&store), rows_of(&history));
    drop(store);
    engine.views.break_with(linli_store::Doubt::Row);
    let (mut store, opened) = engine.open(small());
    assert!(matches!(opened.rebuilt, Some(Rebuild::Broken(_))));
    assert_eq!(catch_up(&mut store), 30);
    history.check(&mut store);
}
