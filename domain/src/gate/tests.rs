//! Crafted inputs: everything that was seen to crash, hang or poison an Automerge document.

use proptest::prelude::*;

use super::*;
use crate::doc::{Doc, Fit};

/// A chunk around any data, with length and checksum as they must be.
pub(super) fn chunk(kind: u8, data: &[u8]) -> Bytes {
    let mut out = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, kind];
    let mut len = data.len();
    while len >= 0x80 {
        out.push((len as u8 & 0x7f) | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(data);
    seal(out)
}

/// Repairs checksum and hash, as an attacker would.
fn seal(mut chunk: Vec<u8>) -> Bytes {
    let hash = Sha256::digest(&chunk[8..]);
    chunk[4..8].copy_from_slice(&hash[..4]);
    Bytes::from(chunk)
}

fn hash_of(chunk: &Bytes) -> ChangeHash {
    ChangeHash(Sha256::digest(&chunk[8..]).into())
}

fn honest() -> Change {
    let put = |key: &str, value: Value| (key.to_owned(), Some(value));
    Doc::new()
        .edit(
            ActorId([3; 16]),
            1_700_000_000_000,
            vec![
                put("title", Value::from("路灯不亮")),
                put("floor", Value::Int(-3)),
                put("tag:a", Value::Bool(true)),
            ],
        )
        .expect("a new entry")
}

/// A header of a change by a sixteen-byte actor, up to and without the columns.
fn header(seq: u8, start_op: &[u8]) -> Vec<u8> {
    let mut data = vec![0, 16];
    data.extend_from_slice(&[3; 16]);
    data.push(seq);
    data.extend_from_slice(start_op);
    data.extend_from_slice(&[0, 0, 0]); // time, message, other actors
    data
}

#[test]
fn an_honest_change_passes() {
    let change = honest();
    assert_eq!(parse(&change.bytes, &change.hash).as_ref(), Ok(&change));
}

#[test]
fn run_lengths_of_billions_are_refused_at_once() {
    // One column (action) that claims 134 million operations in six bytes.
    let mut data = header(1, &[1]);
    data.extend_from_slice(&[1, 0x42, 6, 0x80, 0x80, 0x80, 0xc0, 0x00, 1]);
    let bomb = chunk(1, &data);
    assert_eq!(parse(&bomb, &hash_of(&bomb)), Err(Refusal::TooMuch));
    let mut null_run = header(1, &[1]);
    null_run.extend_from_slice(&[1, 0x42, 6, 0, 0x80, 0x80, 0x80, 0x80, 0x08]);
    let bomb = chunk(1, &null_run);
    assert_eq!(parse(&bomb, &hash_of(&bomb)), Err(Refusal::TooMuch));
}

#[test]
fn chunks_of_every_other_kind_are_refused() {
    let data = honest().bytes[10..].to_vec();
    for kind in [0u8, 2, 3, 4, 255] {
        let other = chunk(kind, &data);
        assert_eq!(parse(&other, &hash_of(&other)), Err(Refusal::NotAChange), "kind {kind}");
    }
    let mut two = honest().bytes.to_vec();
    two.extend_from_slice(&honest().bytes);
    let two = Bytes::from(two);
    assert_eq!(parse(&two, &honest().hash), Err(Refusal::NotAChange));
    let huge = Bytes::from(vec![0; CHANGE_BYTES_MAX + 1]);
    assert_eq!(parse(&huge, &ChangeHash::default()), Err(Refusal::TooLarge));
    for junk in [&b""[..], b"\x85\x6f\x4a\x83", b"garbage that is long enough to be a chunk"] {
        let junk = Bytes::copy_from_slice(junk);
        assert_eq!(parse(&junk, &ChangeHash::default()), Err(Refusal::NotAChange));
    }
}

#[test]
fn a_wrong_checksum_or_claim_is_refused() {
    let change = honest();
    assert_eq!(parse(&change.bytes, &ChangeHash([1; 32])), Err(Refusal::WrongHash));
    let mut bytes = change.bytes.to_vec();
    bytes[5] ^= 1;
    assert_eq!(parse(&Bytes::from(bytes), &change.hash), Err(Refusal::WrongHash));
}

#[test]
fn counters_near_the_end_are_refused() {
    for start_op in [u64::from(u32::MAX), u64::from(u32::MAX) - 1, OP_COUNTER_MAX] {
        let expanded = automerge::ExpandedChange {
            start_op: std::num::NonZeroU64::new(start_op).expect("not zero"),
            ..automerge::Change::try_from(&honest().bytes[..]).expect("honest").decode()
        };
        let change = automerge::Change::from(expanded);
        let bytes = Bytes::copy_from_slice(change.raw_bytes());
        let verdict = parse(&bytes, &ChangeHash(change.hash().0));
        assert!(verdict.is_err(), "start op {start_op}: {verdict:?}");
    }
}

#[test]
fn a_time_beyond_all_clocks_is_refused() {
    for (millis, taken) in [(i64::MIN, false), (i64::MAX, false), (-(1 << 53), true), (0, true)] {
        let puts = vec![("k".to_owned(), Some(Value::Null))];
        let change = Doc::new().edit(ActorId([3; 16]), millis, puts).expect("new");
        assert_eq!(parse(&change.bytes, &change.hash).is_ok(), taken, "{millis}");
    }
}

#[test]
fn anything_but_flat_scalars_is_refused() {
    use automerge::transaction::Transactable as _;
    use automerge::{AutoCommit, ObjType, ROOT, ScalarValue};
    let refused = |make: fn(&mut AutoCommit)| {
        let mut doc = AutoCommit::new();
        doc.set_actor(automerge::ActorId::from([3; 16]));
        make(&mut doc);
        let change = doc.get_last_local_change().expect("a change");
        let bytes = Bytes::copy_from_slice(change.raw_bytes());
        parse(&bytes, &ChangeHash(change.hash().0)).expect_err("not flat")
    };
    let map = refused(|doc| drop(doc.put_object(ROOT, "m", ObjType::Map)));
    let list = refused(|doc| drop(doc.put_object(ROOT, "l", ObjType::List)));
    let text = refused(|doc| drop(doc.put_object(ROOT, "t", ObjType::Text)));
    let counter = refused(|doc| doc.put(ROOT, "c", ScalarValue::counter(1)).expect("puts"));
    for verdict in [map, list, text, counter] {
        assert_eq!(verdict, Refusal::NotFlat);
    }
    let message = refused(|doc| {
        doc.put(ROOT, "a", 1).expect("puts");
        doc.commit_with(automerge::transaction::CommitOptions::default().with_message("hello"));
    });
    assert_eq!(message, Refusal::ExtraContent);
}

#[test]
fn long_keys_and_texts_are_refused() {
    let edit = |key: String, value: Value| {
        let change = Doc::new().edit(ActorId([3; 16]), 0, vec![(key, Some(value))]).expect("new");
        parse(&change.bytes, &change.hash)
    };
    assert_eq!(edit("k".repeat(KEY_BYTES_MAX + 1), Value::Null), Err(Refusal::TooMuch));
    let long = Value::Text("t".repeat(TEXT_BYTES_MAX + 1));
    assert_eq!(edit("k".to_owned(), long), Err(Refusal::TooMuch));
    let wide: Vec<(String, Option<Value>)> =
        (0..=CHANGE_OPS_MAX).map(|at| (format!("k{at}"), Some(Value::Null))).collect();
    let change = Doc::new().edit(ActorId([3; 16]), 0, wide).expect("new");
    assert_eq!(parse(&change.bytes, &change.hash), Err(Refusal::TooMuch));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever is accepted applies in Automerge, saves, loads and can be edited again.
    #[test]
    fn mutants_are_refused_or_harmless(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let first = honest();
        let mut doc = Doc::new();
        doc.apply(&first);
        let second = doc
            .edit(ActorId([4; 16]), 1, vec![("floor".to_owned(), Some(Value::Int(5)))])
            .expect("differs");
        let mut bytes = second.bytes.to_vec();
        for (at, value) in flips {
            let at = 8 + at.index(bytes.len() - 8);
            bytes[at] = value;
        }
        let bytes = seal(bytes);
        if let Ok(change) = parse(&bytes, &hash_of(&bytes)) && doc.check(&change) == Ok(Fit::Fits) {
            let mut judge = automerge::Automerge::new();
            for bytes in [&first.bytes, &bytes] {
                let parsed = automerge::Change::try_from(&bytes[..]).expect("passed the gate");
                judge.apply_changes([parsed]).expect("applies");
            }
            let reloaded = automerge::Automerge::load(&judge.save()).expect("loads");
            prop_assert_eq!(reloaded.get_heads(), judge.get_heads());
            doc.apply(&change);
            let more = doc
                .edit(ActorId([5; 16]), 2, vec![("floor".to_owned(), Some(Value::Int(77)))])
                .expect("differs");
            let more = automerge::Change::try_from(&more.bytes[..]).expect("ours");
            judge.apply_changes([more]).expect("applies");
            prop_assert_eq!(judge.get_heads().len(), doc.heads().len());
        }
    }
}
