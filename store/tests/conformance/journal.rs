//! Appending, committing, reading and opening again.

use linli_domain::id::EntryId;
use linli_store::limits::{NOTE_KEY_BYTES_MAX, PAYLOAD_BYTES_MAX, PENDING_BYTES_MAX};
use linli_store::{AppendError, Head};

use crate::engine::{Engine, over_all_engines, small};
use crate::history::{History, change, space};

over_all_engines!(
    what_was_committed_is_read_back,
    it_is_still_there_after_opening_again,
    what_was_not_committed_is_not_seen_and_not_kept,
    reads_keep_to_their_limits,
    notes_keep_the_last_value,
    many_segments_are_one_journal,
    what_is_too_long_is_refused,
    an_empty_commit_writes_nothing,
);

fn what_was_committed_is_read_back(engine: &impl Engine) {
    let (mut store, opened) = engine.open(small());
    assert!(opened.rebuilt.is_none() && store.replay_done());
    let mut history = History::default();
    for (number, bytes) in [0, 1, 300, 5000, 70_000, PAYLOAD_BYTES_MAX].into_iter().enumerate() {
        history.add(&mut store, &space(number), change(number as u64, bytes));
    }
    store.commit().expect("commit");
    history.check(&mut store);
    history.grow(&mut store, 200, 3, 40);
    history.check(&mut store);
}

fn it_is_still_there_after_opening_again(engine: &impl Engine) {
    let mut history = History::default();
    for round in 0..4 {
        let (mut store, opened) = engine.open(small());
        assert_eq!(opened.journal.cut, None);
        assert_eq!(opened.replay_changes, history.changes());
        while !store.replay_done() {
            store.replay_next(1000).expect("replay");
        }
        history.check(&mut store);
        history.note(&mut store, "round", &[round]);
        history.grow(&mut store, 30, 4, 100);
        history.check(&mut store);
    }
}

fn what_was_not_committed_is_not_seen_and_not_kept(engine: &impl Engine) {
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 10, 2, 50);
    let kept = history.clone();
    history.add(&mut store, &space(0), change(99, 50));
    history.add(&mut store, &space(3), change(98, 50));
    assert!(store.journal().has_pending());
    assert_eq!(store.head(&space(3)), Head::default());
    assert_eq!(store.read(&space(3), 0, 9, usize::MAX).expect("read"), []);
    kept.check(&mut store);
    store.append_note("waiting", b"yes").expect("note");
    drop(store);
    let (mut store, _) = engine.open(small());
    kept.check(&mut store);
}

fn reads_keep_to_their_limits(engine: &impl Engine) {
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    for number in 0..40 {
        history.add(&mut store, &space(0), change(number, 100));
    }
    store.commit().expect("commit");
    let mut read = |after, records, bytes| {
        let records = store.read(&space(0), after, records, bytes).expect("read");
        records.iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 3, usize::MAX), [1, 2, 3]);
    assert_eq!(read(38, 9, usize::MAX), [39, 40]);
    assert_eq!(read(5, 9, 0), [6], "at least one");
    assert!(read(5, 0, 9).is_empty());
    let some = read(5, usize::MAX, 1000).len();
    assert!((3..10).contains(&some), "{some} records of 100 bytes in 1,000");
    assert!(read(40, 9, 9).is_empty());
    assert!(read(u64::MAX, 9, 9).is_empty());
}

fn notes_keep_the_last_value(engine: &impl Engine) {
    let mut history = History::default();
    let (mut store, _) = engine.open(small());
    for (key, value) in [("epoch", "1"), ("author/b", "乙"), ("author/a", "甲"), ("epoch", "2")] {
        history.note(&mut store, key, value.as_bytes());
    }
    store.commit().expect("commit");
    history.note(&mut store, "gone", b"soon");
    history.note(&mut store, "empty", b"");
    store.commit().expect("commit");
    store.remove_note("gone").expect("remove");
    store.remove_note("never was").expect("remove");
    history.notes.remove("gone");
    store.commit().expect("commit");
    for checkpointed in [false, true, false] {
        assert_eq!(store.journal().note("epoch"), Some("2".as_bytes()));
        assert_eq!(store.journal().note("empty"), Some(b"".as_slice()));
        assert_eq!(store.journal().note("gone"), None);
        let authors: Vec<_> = store.journal().notes_with_prefix("author/").collect();
        assert_eq!(authors, [("author/a", "甲".as_bytes()), ("author/b", "乙".as_bytes())]);
        history.check(&mut store);
        if checkpointed {
            store.checkpoint().expect("checkpoint");
        }
        drop(store);
        store = engine.open(small()).0;
        while !store.replay_done() {
            store.replay_next(9).expect("replay");
        }
    }
}

fn many_segments_are_one_journal(engine: &impl Engine) {
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 120, 3, 90);
    let segments = store.journal().segments();
    assert!(segments > 8, "{segments} segments");
    history.check(&mut store);
    let report = store.journal().audit().expect("audit");
    assert_eq!((report.changes, report.damage), (120, vec![]));
    drop(store);
    let (mut store, opened) = engine.open(small());
    assert_eq!(opened.journal.segments, segments);
    history.check(&mut store);
}

fn what_is_too_long_is_refused(engine: &impl Engine) {
    let (mut store, _) = engine.open(small());
    let entry = EntryId::parse("issue/1").expect("an entry id");
    let hash = change(0, 0).hash;
    let long = vec![7; PAYLOAD_BYTES_MAX + 1];
    let refused = store.append(&space(0), 0, &entry, &hash, &long);
    assert!(matches!(refused, Err(AppendError::TooLong { .. })));
    let refused = store.append_note(&"k".repeat(NOTE_KEY_BYTES_MAX + 1), b"");
    assert!(matches!(refused, Err(AppendError::TooLong { .. })));
    let refused = store.append_note("k", &vec![0; 1 << 20]);
    assert!(matches!(refused, Err(AppendError::TooLong { .. })));
    assert!(!store.journal().has_pending());

    let mut history = History::default();
    let mut number = 0;
    let large = change(0, PAYLOAD_BYTES_MAX);
    while store.append(&space(0), 0, &entry, &large.hash, &large.bytes).is_ok() {
        let kept = crate::history::Change { origin: 0, entry: entry.clone(), ..large.clone() };
        history.spaces.entry(space(0)).or_default().push(kept);
        number += 1;
    }
    assert_eq!(number, PENDING_BYTES_MAX.div_ceil(PAYLOAD_BYTES_MAX));
    let refused = store.append(&space(0), 0, &entry, &hash, b"");
    assert!(matches!(refused, Err(AppendError::CommitDue { .. })));
    store.commit().expect("commit");
    history.add(&mut store, &space(0), change(1, 10));
    store.commit().expect("commit");
    history.check(&mut store);
}

fn an_empty_commit_writes_nothing(engine: &impl Engine) {
    let (mut store, _) = engine.open(small());
    store.commit().expect("commit");
    assert_eq!(store.journal().segments(), 0);
    store.checkpoint().expect("checkpoint of nothing");
    let mut history = History::default();
    history.grow(&mut store, 3, 3, 10);
    let at = store.journal().checkpoint().at();
    store.commit().expect("commit");
    assert_eq!(store.journal().checkpoint().at(), at);
    drop(store);
    let (mut store, _) = engine.open(small());
    history.check(&mut store);
}
