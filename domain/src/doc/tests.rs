//! Our flat document against Automerge: same histories, same read-outs, same heads.

use automerge::ReadDoc as _;
use proptest::prelude::*;

use super::*;
use crate::change::{from_scalar, to_scalar};
use crate::gate;

/// One edit of a random history.
#[derive(Debug, Clone)]
struct Act {
    desk: usize,
    /// Take everything another desk has first.
    pull_from: Option<usize>,
    puts: Vec<(u8, Option<i64>)>,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let puts = proptest::collection::vec((0u8..5, proptest::option::of(0i64..4)), 1..4);
    let act = (0usize..3, proptest::option::of(0usize..3), puts)
        .prop_map(|(desk, pull_from, puts)| Act { desk, pull_from, puts });
    proptest::collection::vec(act, 1..25)
}

/// Plays a history over three desks; returns every change in order of making, and the desks.
fn play(acts: &[Act]) -> (Vec<Change>, Vec<Doc>) {
    let mut desks = vec![Doc::new(), Doc::new(), Doc::new()];
    let mut all: Vec<Change> = Vec::new();
    for act in acts {
        if let Some(from) = act.pull_from {
            merge(&all, &desks[from].clone(), &mut desks[act.desk]);
        }
        let mut puts: Vec<(String, Option<Value>)> = Vec::new();
        for (key, value) in &act.puts {
            let key = format!("k{key}");
            if !puts.iter().any(|(other, _)| *other == key) {
                puts.push((key, value.map(Value::Int)));
            }
        }
        if let Some(change) = desks[act.desk].edit(ActorId([act.desk as u8 + 1; 16]), 0, puts) {
            assert_eq!(desks[act.desk].check(&change), Ok(Fit::Fits));
            desks[act.desk].apply(&change);
            all.push(change);
        }
    }
    for desk in &mut desks {
        for change in &all {
            if desk.check(change) == Ok(Fit::Fits) {
                desk.apply(change);
            }
        }
    }
    (all, desks)
}

fn merge(all: &[Change], from: &Doc, into: &mut Doc) {
    for change in all.iter().filter(|change| from.holds(&change.hash)) {
        match into.check(change) {
            Ok(Fit::Fits) => into.apply(change),
            Ok(Fit::Known) => {}
            other => panic!("an honest change does not fit: {other:?}"),
        }
    }
}

/// All live values of all keys, as Automerge sees them.
fn read_automerge(doc: &automerge::Automerge) -> BTreeMap<String, Vec<Value>> {
    doc.keys(automerge::ROOT)
        .map(|key| {
            let sides = doc.get_all(automerge::ROOT, key.as_str()).expect("the root is a map");
            let values = sides
                .iter()
                .map(|(value, _)| match value {
                    automerge::Value::Scalar(scalar) => from_scalar(scalar).expect("a scalar"),
                    automerge::Value::Object(_) => panic!("an object in a flat document"),
                })
                .collect();
            (key, values)
        })
        .collect()
}

fn read_ours(doc: &Doc) -> BTreeMap<String, Vec<Value>> {
    doc.values()
        .map(|(key, _)| {
            (key.to_owned(), doc.sides(key).into_iter().map(|(_, value)| value.clone()).collect())
        })
        .collect()
}

fn as_automerge(changes: &[Change]) -> automerge::Automerge {
    let mut doc = automerge::Automerge::new();
    let parsed: Vec<automerge::Change> = changes
        .iter()
        .map(|change| automerge::Change::try_from(&change.bytes[..]).expect("our own encoding"))
        .collect();
    doc.apply_changes(parsed).expect("honest changes apply");
    doc
}

proptest! {
    #[test]
    fn a_flat_document_reads_as_automerge_reads_it(acts in acts()) {
        let (all, desks) = play(&acts);
        let judge = as_automerge(&all);
        let heads: Vec<ChangeHash> = judge.get_heads().iter().map(|head| ChangeHash(head.0)).collect();
        for desk in &desks {
            prop_assert_eq!(read_ours(desk), read_automerge(&judge));
            let mut sorted = heads.clone();
            sorted.sort_unstable();
            prop_assert_eq!(desk.heads(), sorted);
        }
        let reloaded = automerge::Automerge::load(&judge.save()).expect("loads again");
        prop_assert_eq!(read_automerge(&reloaded), read_automerge(&judge));
    }

    #[test]
    fn the_gate_takes_every_honest_change_and_gives_it_back_whole(acts in acts()) {
        let (all, _) = play(&acts);
        for change in &all {
            prop_assert_eq!(&gate::parse(&change.bytes, &change.hash).expect("honest"), change);
        }
    }

    #[test]
    fn any_order_that_respects_causes_gives_the_same_document(acts in acts(), seed in any::<u64>()) {
        let (all, desks) = play(&acts);
        let mut waiting = all.clone();
        let mut doc = Doc::new();
        let mut turn = seed;
        while !waiting.is_empty() {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (turn >> 33) as usize % waiting.len();
            match doc.check(&waiting[at]) {
                Ok(Fit::Fits) => doc.apply(&waiting.swap_remove(at)),
                Ok(Fit::Missing(missing)) => prop_assert!(!missing.is_empty()),
                other => prop_assert!(false, "seed {}: {:?}", seed, other),
            }
        }
        prop_assert_eq!(read_ours(&doc), read_ours(&desks[0]));
        prop_assert_eq!(doc.heads(), desks[0].heads());
        for desk in &desks {
            prop_assert_eq!(&doc, desk);
            prop_assert_eq!(doc.to_row(), desk.to_row());
        }
    }

    #[test]
    fn a_row_gives_the_document_back(acts in acts(), cut in any::<proptest::sample::Index>()) {
        let (_, desks) = play(&acts);
        for desk in &desks {
            let row = desk.to_row();
            prop_assert_eq!(&Doc::from_row(&row).expect("own row"), desk);
            prop_assert!(Doc::from_row(&row[..cut.index(row.len())]).is_err());
        }
    }
}

#[test]
fn automerge_takes_what_other_programs_write_into_a_root_map() {
    use automerge::transaction::Transactable as _;
    let mut theirs = automerge::AutoCommit::new();
    theirs.set_actor(automerge::ActorId::from([7; 16]));
    theirs.put(automerge::ROOT, "title", "漏水").expect("puts");
    theirs.put(automerge::ROOT, "floor", to_scalar(&Value::Int(3))).expect("puts");
    let bytes = theirs.get_last_local_change().expect("a change").raw_bytes().to_vec();
    let bytes = bytes::Bytes::from(bytes);
    let change = automerge::Change::try_from(&bytes[..]).expect("a change");
    let parsed = gate::parse(&bytes, &ChangeHash(change.hash().0)).expect("flat");
    let mut doc = Doc::new();
    assert_eq!(doc.check(&parsed), Ok(Fit::Fits));
    doc.apply(&parsed);
    assert_eq!(doc.get("title"), Some(&Value::from("漏水")));
}

fn put(key: &str, preds: Vec<OpId>) -> Op {
    Op { key: key.into(), action: Action::Put(Value::Int(1)), preds }
}

fn encode(actor: u8, seq: u32, start_op: u32, deps: Vec<ChangeHash>, ops: Vec<Op>) -> Change {
    Change::encode(ActorId([actor; 16]), seq, start_op, 0, deps, ops)
}

#[test]
fn dishonest_headers_and_predecessors_are_refused() {
    let mut doc = Doc::new();
    let first = encode(1, 1, 1, vec![], vec![put("a", vec![])]);
    assert_eq!(doc.check(&first), Ok(Fit::Fits));
    doc.apply(&first);
    let a = first.op_id(0);
    let after = vec![first.hash];
    let refused = |change: Change, why: Refusal| assert_eq!(doc.check(&change), Err(why));

    refused(encode(1, 1, 1, vec![], vec![put("b", vec![])]), Refusal::Fork);
    refused(encode(1, 3, 2, after.clone(), vec![put("b", vec![])]), Refusal::WrongSeq);
    refused(encode(2, 1000, 2, after.clone(), vec![put("b", vec![])]), Refusal::WrongSeq);
    refused(encode(2, 1, 9, after.clone(), vec![put("b", vec![])]), Refusal::WrongStartOp);
    refused(encode(2, 1, 1, after.clone(), vec![put("b", vec![])]), Refusal::WrongStartOp);
    refused(encode(1, 2, 1, vec![], vec![put("b", vec![])]), Refusal::WrongSeq);
    refused(encode(2, 1, 2, after.clone(), vec![put("b", vec![a])]), Refusal::WrongPredecessor);
    refused(encode(2, 1, 1, vec![], vec![put("a", vec![a])]), Refusal::WrongPredecessor);
    let unknown = OpId { counter: 9, actor: a.actor };
    refused(
        encode(2, 1, 2, after.clone(), vec![put("a", vec![unknown])]),
        Refusal::WrongPredecessor,
    );
    let twice = vec![put("a", vec![a]), put("a", vec![a])];
    refused(encode(2, 1, 2, after.clone(), twice), Refusal::WrongPredecessor);
    let delete = Op { key: "a".into(), action: Action::Delete, preds: vec![] };
    refused(encode(2, 1, 2, after.clone(), vec![delete]), Refusal::WrongPredecessor);
    let stranger = ChangeHash([9; 32]);
    assert_eq!(
        doc.check(&encode(2, 1, 2, vec![stranger], vec![put("b", vec![])])),
        Ok(Fit::Missing(vec![stranger]))
    );
    assert_eq!(doc.check(&encode(2, 1, 2, after, vec![put("a", vec![a])])), Ok(Fit::Fits));
}

#[test]
fn a_step_is_written_once_and_in_its_own_name() {
    let step = |actor: u8, key: &str, preds: Vec<OpId>, seq, start, deps| {
        let text = Action::Put(Value::from("{}"));
        encode(actor, seq, start, deps, vec![Op { key: key.into(), action: text, preds }])
    };
    let mut doc = Doc::new();
    let key = "#0000000000000001-01010101";
    let first = step(1, key, vec![], 1, 1, vec![]);
    assert_eq!(doc.check(&first), Ok(Fit::Fits));
    doc.apply(&first);
    let after = vec![first.hash];
    let rewrite = step(1, key, vec![first.op_id(0)], 2, 2, after.clone());
    assert_eq!(doc.check(&rewrite), Err(Refusal::StepRewritten));
    let foreign = step(2, "#0000000000000002-01010101", vec![], 1, 2, after);
    assert_eq!(doc.check(&foreign), Err(Refusal::StepRewritten));
}

#[test]
fn the_same_entry_made_at_two_desks_merges_field_by_field() {
    let mut left = Doc::new();
    let mut right = Doc::new();
    let put = |key: &str, value: &str| (key.to_owned(), Some(Value::from(value)));
    let here = left.edit(ActorId([1; 16]), 0, vec![put("month", "2026-03"), put("a", "x")]);
    let there = right.edit(ActorId([2; 16]), 0, vec![put("month", "2026-03"), put("b", "y")]);
    let (here, there) = (here.expect("new"), there.expect("new"));
    left.apply(&here);
    right.apply(&there);
    left.apply(&there);
    right.apply(&here);
    assert_eq!(read_ours(&left), read_ours(&right));
    let entry = entry_of(
        &crate::id::EntryId::parse("duty_turn/37-2026-03").expect("id"),
        Some(&left),
        None,
    );
    assert_eq!(entry.text("a"), "x");
    assert_eq!(entry.text("b"), "y");
    assert!(entry.conflicts.is_empty(), "equal values are no conflict");
}

#[test]
fn a_float_that_is_no_number_reads_as_automerge_reads_it() {
    let puts = [f64::NAN, -f64::NAN, -0.0].map(Value::Float).into_iter().zip(["a", "b", "c"]);
    let puts = puts.map(|(value, key)| (key.to_owned(), Some(value))).collect::<Vec<_>>();
    let mut doc = Doc::new();
    let change = doc.edit(ActorId([1; 16]), 0, puts.clone()).expect("new");
    assert_eq!(gate::parse(&change.bytes, &change.hash).as_ref(), Ok(&change));
    doc.apply(&change);
    assert_eq!(doc.compare(std::slice::from_ref(&change.bytes)), Ok(()));
    assert_eq!(Doc::from_row(&doc.to_row()).as_ref(), Ok(&doc));
    assert_eq!(doc.edit(ActorId([1; 16]), 1, puts), None, "the same once more is no edit");
}
