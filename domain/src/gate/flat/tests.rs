//! Our reader against Automerge: what it takes Automerge takes, and reads the same; and it takes
//! whatever our machines write.

use proptest::prelude::*;

use super::*;
use crate::gate::tests::chunk;
use crate::gate::{Refusal, by_automerge, hash_of, parse, scan};

/// Reads a chunk with our reader alone.
fn ours(bytes: &Bytes) -> Option<Change> {
    let data = scan::chunk_data(bytes).ok()?;
    scan::bounded_runs(data).ok()?;
    read(bytes, data, hash_of(bytes)?)
}

fn judged(bytes: &Bytes) -> Result<Change, Refusal> {
    by_automerge(bytes, hash_of(bytes).unwrap_or_default())
}

fn actors() -> impl Strategy<Value = ActorId> {
    (0_u8..4).prop_map(|byte| ActorId([byte; 16]))
}

/// Values that our machines write.
fn values() -> impl Strategy<Value = Value> {
    let small = prop_oneof![Just(0_i64), Just(-1), Just(63), Just(64), Just(-64), Just(-65)];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![small, any::<i64>(), Just(i64::MIN), Just(i64::MAX)].prop_map(Value::Int),
        "[ab路灯]{0,4}".prop_map(Value::Text),
        "[a-z]{120,140}".prop_map(Value::Text),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let preds = proptest::collection::btree_set((1_u32..300, actors()), 0..3);
    let action = prop_oneof![4 => values().prop_map(Action::Put), 1 => Just(Action::Delete)];
    // Few keys and values, so that runs of every length come about.
    let op = ("[ab]|field:路|#s", action, preds).prop_map(|(key, action, preds)| {
        let preds = preds.into_iter().map(|(counter, actor)| OpId { counter, actor }).collect();
        Op { key: key.as_str().into(), action, preds }
    });
    proptest::collection::vec(op, 1..12)
}

prop_compose! {
    fn changes()(
        actor in actors(),
        seq in prop_oneof![1_u32..300, Just(OP_COUNTER_MAX as u32)],
        start_op in prop_oneof![1_u32..300, 1_u32..(OP_COUNTER_MAX as u32 - 12)],
        millis in prop_oneof![Just(0_i64), -(1_i64 << 53)..(1_i64 << 53)],
        deps in proptest::collection::btree_set(any::<[u8; 32]>(), 0..4),
        ops in ops(),
    ) -> Change {
        let deps = deps.into_iter().map(ChangeHash).collect();
        Change::encode(actor, seq, start_op, millis, deps, ops)
    }
}

/// A change of some bytes: which kind, where, and to what.
fn mutations() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    let telling = prop_oneof![Just(0_u8), Just(1), Just(2), Just(0x7e), Just(0x7f), Just(0x80)];
    let byte = prop_oneof![telling, any::<u8>()];
    proptest::collection::vec((0_u8..4, any::<prop::sample::Index>(), byte), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn what_our_machines_write_is_read_without_automerge(change in changes()) {
        prop_assert_eq!(judged(&change.bytes), Ok(change.clone()));
        prop_assert_eq!(ours(&change.bytes), Some(change));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40_000))]

    #[test]
    fn what_is_taken_automerge_takes_and_reads_the_same(
        change in changes(),
        mutations in mutations(),
    ) {
        let mut data = scan::chunk_data(&change.bytes).expect("a chunk").to_vec();
        for (kind, at, byte) in mutations {
            let at = at.index(data.len());
            match kind {
                0 => data[at] = byte,
                1 => data[at] = data[at].wrapping_add(1),
                2 => data.insert(at, byte),
                _ => drop(data.remove(at)),
            }
            if data.is_empty() {
                break;
            }
        }
        let bytes = chunk(1, &data);
        let judged = judged(&bytes);
        if let Some(taken) = ours(&bytes) {
            prop_assert_eq!(Ok(taken), judged.clone());
        }
        let claimed = hash_of(&bytes).unwrap_or_default();
        match parse(&bytes, &claimed) {
            // As text: a number that is none equals nothing, not even itself.
            Ok(taken) => {
                prop_assert_eq!(format!("{taken:?}"), format!("{:?}", judged.expect("taken")));
            }
            Err(_) => prop_assert!(judged.is_err() || scan::bounded_runs(&data).is_err()),
        }
    }
}

#[test]
fn a_number_is_taken_in_its_shortest_form_alone() {
    let signed = |bytes: &[u8]| Input(bytes).shortest_signed();
    let unsigned = |bytes: &[u8]| Input(bytes).shortest_unsigned();
    assert_eq!(unsigned(&[0]), Some(0));
    assert_eq!(unsigned(&[0x80, 1]), Some(128));
    assert_eq!(unsigned(&[0x80, 0]), None);
    assert_eq!(unsigned(&[0xff, 0x80, 0]), None);
    for (bytes, number) in [(&[0][..], 0), (&[0x7f], -1), (&[0x40], -64), (&[0xbf, 0x7f], -65)] {
        assert_eq!(signed(bytes), Some(number), "{bytes:x?}");
    }
    for long in [&[0x80, 0][..], &[0xff, 0x7f], &[0xc0, 0x7f], &[0xbf, 0]] {
        assert_eq!(signed(long), None, "{long:x?}");
    }
    let ten = |last| [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, last];
    assert_eq!(signed(&ten(0)), Some(i64::MAX));
    for last in [1, 2, 0x7e] {
        assert_eq!(signed(&ten(last)), None, "{last:x}");
    }
}

#[test]
fn runs_are_as_long_as_they_can_be() {
    let read = |bytes: &'static [u8], many: usize| {
        let mut runs = Runs::<u64>::of(Input(bytes));
        let read: Option<Vec<u64>> = (0..many).map(|_| runs.next()).collect();
        read.filter(|_| runs.ended())
    };
    // Minus two and two values; three times a value; minus one and a value.
    assert_eq!(read(&[0x7e, 1, 2], 2), Some(vec![1, 2]));
    assert_eq!(read(&[3, 5], 3), Some(vec![5, 5, 5]));
    assert_eq!(read(&[0x7f, 1, 2, 7], 3), Some(vec![1, 7, 7]));
    for long in [
        &[0x7f, 1, 0x7f, 2][..], // literals that were not joined
        &[1, 1],                 // a run of one
        &[0x7e, 1, 1],           // a literal of equals
        &[2, 1, 2, 1],           // a run that goes on
        &[0x7f, 1, 2, 1],        // a literal that belongs to the run behind it
        &[2, 1, 0x7f, 1],        // and to the one before
        &[0, 2],                 // absent values
    ] {
        assert!((1..6).all(|many| read(long, many).is_none()), "{long:x?}");
    }
}

#[test]
fn values_without_bytes_have_no_length_and_columns_have_one_order() {
    let mut raws = Input(&[1, 2, 3]);
    assert_eq!(value(TRUE, &mut raws), Some(Value::Bool(true)));
    for kind in [NULL, FALSE, TRUE] {
        assert_eq!(value(kind | 1 << 4, &mut raws), None, "{kind}");
    }
    let columns = |bytes: &[u8]| Columns::read(&mut Input(bytes)).is_some();
    assert!(columns(&[2, 0x34, 1, 0x42, 1, 9, 9]));
    assert!(!columns(&[2, 0x42, 1, 0x34, 1, 9, 9]), "another order");
    assert!(!columns(&[2, 0x34, 1, 0x34, 1, 9, 9]), "one of them twice");
    assert!(!columns(&[2, 0x34, 1, 0x42, 0, 9]), "an empty one");
    assert!(!columns(&[1, 0x11, 1, 9]), "one of lists");
}
