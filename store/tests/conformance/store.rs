//! Journal and views together: replay, checkpoints, the index, the owner's rows.

use std::collections::BTreeMap;

use linli_store::{CheckpointError, Disk, Store, StoreOptions, ViewBatch, Views};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::engine::{Engine, Memory, over_all_engines, small};
use crate::history::{History, apply, catch_up, change, rows, rows_of, space};

over_all_engines!(
    views_follow_exactly_once,
    checkpoints_land_behind,
    deleted_views_are_derived_again,
    a_replay_can_be_checkpointed_halfway,
    the_index_moves_to_the_views,
    another_version_of_the_rows_is_derived_again,
    rows_in_memory_lie_over_rows_in_the_views,
    views_are_derived_again_on_request,
);

/// Grows the history and applies each commit's records as an owner does.
fn live<D: Disk, V: Views>(store: &mut Store<D, V>, history: &mut History, changes: u64) {
    let before = history.clone();
    history.grow(store, changes, 3, 60);
    for (at, list) in &history.spaces {
        let seen = before.spaces.get(at).map_or(0, Vec::len) as u64;
        for record in store.read(at, seen, list.len(), usize::MAX).expect("read") {
            apply(store, &record);
        }
    }
}

fn views_follow_exactly_once(engine: &impl Engine) {
    let mut history = History::default();
    for (round, checkpointed) in [true, false, false, true, false].into_iter().enumerate() {
        let (mut store, opened) = engine.open(small());
        assert!(opened.rebuilt.is_none() || round == 0, "{:?}", opened.rebuilt);
        let replayed = catch_up(&mut store);
        assert_eq!(replayed as u64, opened.replay_changes);
        assert!(replayed < 100, "replay is what came after the checkpoint, not {replayed}");
        assert_eq!(rows(&store), rows_of(&history));
        live(&mut store, &mut history, 20);
        if checkpointed {
            assert!(store.checkpoint_useful());
            store.checkpoint().expect("checkpoint");
            assert!(!store.checkpoint_useful());
            live(&mut store, &mut history, 4);
        }
        history.add(&mut store, &space(1), change(1000 + round as u64, 10));
        assert!(matches!(store.checkpoint(), Err(CheckpointError::Uncommitted)));
        history.spaces.get_mut(&space(1)).expect("space").pop();
        assert_eq!(rows(&store), rows_of(&history));
    }
}

/// Work goes on while a checkpoint lands; reads never miss a row, and the next open finds either
/// the checkpoint or the one before, exactly.
fn checkpoints_land_behind(engine: &impl Engine) {
    let mut history = History::default();
    for round in 0..6 {
        let (mut store, opened) = engine.open(small());
        assert!(opened.rebuilt.is_none() || round == 0, "{:?}", opened.rebuilt);
        catch_up(&mut store);
        for _ in 0..4 {
            live(&mut store, &mut history, 30);
            let waited = store.landed(round % 2 == 0).expect("lands");
            assert!(waited || round % 2 == 1);
            let useful = store.checkpoint_useful();
            assert!(useful && (store.checkpoint_behind().expect("begins") || !waited));
            assert_eq!(rows(&store), rows_of(&history));
            live(&mut store, &mut history, 5);
            assert_eq!(rows(&store), rows_of(&history));
        }
        if round == 2 {
            assert!(store.landed(true).expect("lands"));
            store.audit_views().expect("audit");
            history.check(&mut store);
        }
    }
    let (mut store, opened) = engine.open(small());
    assert!(opened.rebuilt.is_none());
    let behind = catch_up(&mut store) as u64;
    assert!(behind < 6 * 4 * 35, "{behind} changes are applied again: nothing ever landed");
    assert_eq!(rows(&store), rows_of(&history));
    history.check(&mut store);
}

fn deleted_views_are_derived_again(engine: &impl Engine) {
    let mut history = History::default();
    let (mut store, _) = engine.open(small());
    history.note(&mut store, "epoch", b"7");
    live(&mut store, &mut history, 90);
    store.checkpoint().expect("checkpoint");
    drop(store);
    engine.lose_views();
    let (mut store, opened) = engine.open(small());
    assert!(opened.rebuilt.is_some());
    assert_eq!(catch_up(&mut store), 90);
    assert_eq!(rows(&store), rows_of(&history));
    history.check(&mut store);
    store.checkpoint().expect("checkpoint");
    drop(store);
    let (mut store, opened) = engine.open(small());
    assert_eq!((opened.replay_changes, opened.rebuilt.is_none()), (0, true));
    assert_eq!(rows(&store), rows_of(&history));
    history.check(&mut store);
}

fn a_replay_can_be_checkpointed_halfway(engine: &impl Engine) {
    let mut history = History::default();
    let (mut store, _) = engine.open(small());
    history.note(&mut store, "epoch", b"7");
    history.grow(&mut store, 400, 3, 20);
    drop(store);
    let mut left = 400;
    loop {
        let (mut store, opened) = engine.open(small());
        assert_eq!(opened.replay_changes, left);
        history.check(&mut store);
        for record in store.replay_next(64).expect("replay") {
            apply(&mut store, &record);
            left -= 1;
        }
        store.checkpoint().expect("checkpoint");
        history.check(&mut store);
        for record in store.replay_next(10).expect("replay") {
            // Applied and lost with the next open.
            apply(&mut store, &record);
        }
        if store.replay_done() {
            break;
        }
    }
    let (mut store, _) = engine.open(small());
    catch_up(&mut store);
    assert_eq!(rows(&store), rows_of(&history));
    history.grow(&mut store, 10, 3, 20);
    history.check(&mut store);
}

fn the_index_moves_to_the_views(engine: &impl Engine) {
    let mut history = History::default();
    let options = StoreOptions::default();
    for round in 0..5 {
        let (mut store, _) = engine.open(options);
        catch_up(&mut store);
        history.check(&mut store);
        history.grow(&mut store, 50 + 100 * round, 9, 20);
        store.checkpoint().expect("checkpoint");
        history.check(&mut store);
        history.grow(&mut store, 11, 9, 20);
        history.check(&mut store);
    }
}

fn another_version_of_the_rows_is_derived_again(engine: &impl Engine) {
    let mut history = History::default();
    let (mut store, _) = engine.open(small());
    live(&mut store, &mut history, 12);
    store.checkpoint().expect("checkpoint");
    drop(store);
    let options = small();
    let views_version = options.views_version + 1;
    let (mut store, opened) = engine.open(StoreOptions { views_version, ..options });
    assert_eq!(opened.replay_changes, 12);
    assert_eq!(rows(&store), BTreeMap::new());
    catch_up(&mut store);
    assert_eq!(rows(&store), rows_of(&history));
}

fn views_are_derived_again_on_request(engine: &impl Engine) {
    let mut history = History::default();
    let (mut store, _) = engine.open(small());
    history.note(&mut store, "epoch", b"7");
    live(&mut store, &mut history, 100);
    store.checkpoint().expect("checkpoint");
    live(&mut store, &mut history, 7);
    store.rebuild_views().expect("rebuild");
    assert_eq!(rows(&store), BTreeMap::new());
    history.check(&mut store);
    assert_eq!(catch_up(&mut store), 107);
    assert_eq!(rows(&store), rows_of(&history));
    store.checkpoint().expect("checkpoint");
    drop(store);
    let (mut store, opened) = engine.open(small());
    assert_eq!((opened.replay_changes, opened.rebuilt.is_none()), (0, true));
    history.check(&mut store);
}

fn rows_in_memory_lie_over_rows_in_the_views(engine: &impl Engine) {
    let (mut store, _) = engine.open(small());
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let key = |number: u64| format!("{}/{:02}", ["a", "b", "ba"][number as usize % 3], number);
    let mut seed = 1_u64;
    for round in 0..400_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round | 1);
        let mut batch = ViewBatch::new();
        let key = key((seed >> 33) % 40).into_bytes();
        if (seed >> 20).is_multiple_of(3) {
            batch.delete(key.clone());
            model.remove(&key);
        } else {
            batch.put(key.clone(), round.to_le_bytes());
            model.insert(key.clone(), round.to_le_bytes().to_vec());
        }
        store.write(batch);
        if round % 37 == 0 {
            store.checkpoint().expect("checkpoint");
        }
        assert_eq!(store.get(&key).expect("get"), model.get(&key).cloned());
        let prefix: &[u8] = [b"".as_slice(), b"a", b"b/", b"ba", b"c"][(seed >> 40) as usize % 5];
        let after = (seed & 64 == 0).then_some(key);
        let max = [1, 2, 5, 1000][(seed >> 50) as usize % 4];
        let expected: Vec<_> = model
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .take(max)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(store.scan(prefix, after.as_deref(), max).expect("scan"), expected);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add { space: usize, bytes: usize },
    Note { key: u8, value: Option<u8> },
    Commit,
    Checkpoint,
    Behind,
    Look,
    Crash { keep: usize, views: usize },
    LoseViews,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_usize..4, 0_usize..300).prop_map(|(space, bytes)| Step::Add { space, bytes }),
        2 => (0_u8..5, proptest::option::of(any::<u8>()))
            .prop_map(|(key, value)| Step::Note { key, value }),
        5 => Just(Step::Commit),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Behind),
        2 => Just(Step::Look),
        1 => (0_usize..900, 0_usize..2).prop_map(|(keep, views)| Step::Crash { keep, views }),
        1 => Just(Step::LoseViews),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Any order of appends, notes, commits, checkpoints, power cuts and lost views leaves the store
/// with what was committed, applied exactly once.
#[test]
fn any_life_keeps_what_was_committed() {
    let mut runner = TestRunner::new(Config { cases: 200, ..Config::default() });
    runner.run(&steps(), |steps| live_through(&steps)).expect("every life");
}

fn live_through(steps: &[Step]) -> Result<(), TestCaseError> {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let (mut durable, mut history) = (History::default(), History::default());
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Add { space: at, bytes } => {
                history.add(&mut store, &space(*at), change(number as u64, *bytes));
            }
            Step::Note { key, value: Some(value) } => {
                history.note(&mut store, &format!("key/{key}"), &[*value; 9]);
            }
            Step::Note { key, value: None } => {
                let key = format!("key/{key}");
                store.remove_note(&key).expect("remove");
                history.notes.remove(&key);
            }
            Step::Commit => {
                store.commit().expect("commit");
                for (at, list) in &history.spaces {
                    let seen = durable.spaces.get(at).map_or(0, Vec::len) as u64;
                    for record in store.read(at, seen, list.len(), usize::MAX).expect("read") {
                        apply(&mut store, &record);
                    }
                }
                durable = history.clone();
            }
            Step::Checkpoint => {
                prop_assert_eq!(store.checkpoint().is_ok(), !store.journal().has_pending());
            }
            Step::Behind => {
                let begun = store.checkpoint_behind();
                prop_assert_eq!(begun.is_ok(), !store.journal().has_pending());
            }
            Step::Look => {
                store.landed(false).expect("memory does not fail");
                prop_assert_eq!(rows(&store), rows_of(&durable));
            }
            Step::Crash { .. } | Step::LoseViews => {
                if let Step::Crash { keep, views } = step {
                    engine.disk.crash(linli_store::CrashKeep::Prefix(*keep));
                    engine.views.crash(*views);
                } else {
                    engine.lose_views();
                }
                store = engine.open(small()).0;
                catch_up(&mut store);
                history = durable.clone();
            }
        }
    }
    drop(store);
    let (mut store, _) = engine.open(small());
    catch_up(&mut store);
    durable.check(&mut store);
    prop_assert_eq!(rows(&store), rows_of(&durable));
    Ok(())
}
