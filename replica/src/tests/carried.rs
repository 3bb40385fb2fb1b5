//! Files carried between machines: late, twice, in any order, cut short; and whatever a cursor says
//! afterwards is so.

use std::collections::BTreeSet;

use linli_domain::hlc::Hlc;
use linli_domain::id::EpochId;
use proptest::prelude::*;

use super::{Memory, Side, link_up, meet, number, peer, side, space, turns};
use crate::carried::{self, Stands};
use crate::engine::{Event, LinkId};
use crate::frame::{Batch, Cursor, Hello};
use crate::holdings::Holdings as _;
use crate::limits::BATCH_ITEMS_MAX;

/// A file as it lies on a stick.
#[derive(Clone)]
pub(super) struct Carried {
    maker: usize,
    /// The hello to each side.
    said: Vec<Hello>,
    /// The hello to anybody.
    to_all: Hello,
    begins: Cursor,
    batches: Vec<Batch>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

pub(super) fn make(sides: &mut [Side], maker: usize, reader: Option<usize>) -> Carried {
    make_since(sides, maker, reader, 0)
}

/// A file that leaves out the maker's first changes, whether its reader has them or not.
fn make_since(sides: &mut [Side], maker: usize, reader: Option<usize>, since: u64) -> Carried {
    let reader = reader.map(|reader| peer(NAMES[reader]));
    let memory = &mut sides[maker].memory;
    let hello = |to: Option<&str>, memory: &Memory| {
        carried::hello(&[space()], to.map(peer).as_ref(), memory)
    };
    let said = NAMES.iter().map(|name| hello(Some(name), memory)).collect();
    let to_all = hello(None, memory);
    let stretch = carried::stretch(&space(), reader.as_ref(), since, memory);
    let (mut batches, mut after) = (Vec::new(), stretch.from.seq);
    while let Some((batch, end)) = carried::read(&stretch, after, reader.as_ref(), memory) {
        batches.push(batch);
        after = end;
    }
    Carried { maker, said, to_all, begins: stretch.from, batches }
}

/// Takes a file, or as many of its batches as `cut` allows; a file that was cut draws no conclusion.
pub(super) fn take(
    sides: &mut [Side],
    at: usize,
    file: &Carried,
    cut: usize,
    personal: bool,
) -> Option<Stands> {
    let (from, memory) = (peer(NAMES[file.maker]), &mut sides[at].memory);
    let mut whole = true;
    for batch in file.batches.iter().take(cut) {
        whole &= carried::take(&from, batch, memory).is_whole();
    }
    if cut < file.batches.len() {
        return None;
    }
    let hello = if personal { &file.said[at] } else { &file.to_all };
    let told = &hello.spaces[0];
    Some(carried::conclude(&from, hello.epoch, told, personal, &file.begins, whole, memory))
}

/// Where a cursor of a machine's living journal stands, all before it is here or was refused here.
fn assert_cursors_are_true(sides: &[Side]) {
    for reader in sides {
        let held = reader.memory.set();
        for maker in sides {
            let memory = &reader.memory;
            let told = [memory.cursors.get(&maker.name), memory.proven.get(&maker.name)];
            let told = told.into_iter().flatten().filter(|told| told.epoch == maker.memory.epoch);
            let Some(cursor) = told.max_by_key(|told| told.seq) else { continue };
            let refused = reader.memory.refused_from.get(&maker.name);
            for placed in maker.memory.log.iter().take(cursor.seq as usize) {
                let gone = refused.is_some_and(|all| all.contains(&placed.item.hash));
                assert!(
                    held.contains(&number(&placed.item)) || gone,
                    "{} has not read {placed:?} of {}, and its cursor says {cursor:?}",
                    reader.name,
                    maker.name
                );
            }
        }
    }
}

fn three() -> Vec<Side> {
    vec![side("a", 1), side("b", 2), side("c", 3)]
}

pub(super) fn swap(sides: &mut [Side], left: usize, right: usize) -> [Option<Stands>; 2] {
    let there = make(sides, left, Some(right));
    let first = take(sides, right, &there, usize::MAX, true);
    let back = make(sides, right, Some(left));
    [first, take(sides, left, &back, usize::MAX, true)]
}

#[test]
fn two_files_there_and_back_make_both_the_same_and_the_next_carry_nothing() {
    let mut sides = three();
    sides[0].memory.write_all((0..700).map(|number| number * 100));
    sides[1].memory.write_all((1_000..1_300).map(|number| number * 100));
    assert_eq!(swap(&mut sides, 0, 1), [Some(Stands::Ahead), Some(Stands::Agreed)]);
    assert_eq!(sides[0].memory.set(), sides[1].memory.set());
    for (maker, reader) in [(0, 1), (1, 0)] {
        let next = make(&mut sides, maker, Some(reader));
        assert!(next.batches.is_empty(), "{maker} has nothing to tell");
        assert_eq!(take(&mut sides, reader, &next, usize::MAX, true), Some(Stands::Agreed));
    }
    // A link that comes later has nothing left to say.
    let (mut first, mut second) = (sides.remove(0), sides.remove(0));
    let (from_first, from_second) = meet(&mut first, &mut second, 1);
    assert_eq!((from_first.len(), from_second.len()), (1, 1), "a hello each");
}

#[test]
fn two_who_write_between_all_files_carry_only_what_is_new() {
    let mut sides = three();
    for round in 0..6_u64 {
        sides[0].memory.write_all((0..50).map(|number| (round * 1_000 + number) * 100));
        let there = make(&mut sides, 0, Some(1));
        sides[1].memory.write_all((0..50).map(|number| (round * 1_000 + 500 + number) * 100));
        let bytes = |file: &Carried| {
            let items = file.batches.iter().flat_map(|batch| &batch.items);
            items.filter(|item| !item.bytes.is_empty()).count()
        };
        assert_eq!(bytes(&there), 50, "round {round}");
        take(&mut sides, 1, &there, usize::MAX, true);
        let back = make(&mut sides, 1, Some(0));
        sides[0].memory.write((round * 1_000 + 999) * 100);
        assert!(bytes(&back) <= 50, "round {round}: {}", bytes(&back));
        assert_eq!(take(&mut sides, 0, &back, usize::MAX, true), Some(Stands::Ahead));
        // What was written last waits for the next file.
        let last = make(&mut sides, 0, Some(1));
        assert_eq!(bytes(&last), 1, "round {round}");
        take(&mut sides, 1, &last, usize::MAX, true);
        let told = make(&mut sides, 1, Some(0));
        take(&mut sides, 0, &told, usize::MAX, true);
        assert_cursors_are_true(&sides);
    }
    assert_eq!(sides[0].memory.set(), sides[1].memory.set());
}

#[test]
fn a_file_for_another_desk_is_taken_as_far_as_it_goes_and_moves_no_cursor() {
    let mut sides = three();
    sides[1].memory.write_all([100, 200, 300]);
    swap(&mut sides, 0, 1);
    sides[0].memory.write(400);
    let for_b = make(&mut sides, 0, Some(1));
    assert_eq!(take(&mut sides, 2, &for_b, usize::MAX, true), Some(Stands::Behind));
    assert_eq!(sides[2].memory.set(), BTreeSet::from([400]));
    assert!(sides[2].memory.cursors.is_empty());
    let for_all = make(&mut sides, 0, None);
    assert_eq!(take(&mut sides, 2, &for_all, usize::MAX, true), Some(Stands::Agreed));
}

#[test]
fn a_file_of_late_changes_leaves_the_reader_where_it_was_unless_it_joins() {
    let mut sides = three();
    sides[0].memory.write_all([100, 200, 300, 301]);
    let late = make_since(&mut sides, 0, None, 3);
    assert_eq!(take(&mut sides, 1, &late, usize::MAX, true), Some(Stands::Behind));
    assert!(sides[1].memory.set().is_empty(), "its one change needs what is left out");
    swap(&mut sides, 0, 1);
    sides[1].memory.write(900);
    sides[0].memory.write(302);
    let joining = make_since(&mut sides, 0, None, 4);
    assert_eq!(take(&mut sides, 1, &joining, usize::MAX, true), Some(Stands::Ahead));
    assert_eq!(sides[1].memory.cursors[&peer("a")].seq, 5);
    // A reader is not given again what it is known to have, however early the file begins.
    let early = make_since(&mut sides, 0, Some(1), 1);
    assert_eq!(early.begins.seq, 4);
    assert_cursors_are_true(&sides);
}

#[test]
fn who_lost_what_it_gave_is_told_so_and_gets_it_back_from_a_file_for_all() {
    let mut sides = three();
    sides[0].memory.write_all([100, 200]);
    swap(&mut sides, 0, 1);
    sides[0].memory.log.clear();
    sides[0].memory.epoch = EpochId([9; 16]);
    sides[0].memory.cursors.clear();
    sides[1].memory.write(300);
    sides[1].memory.acked.clear();
    let for_a = make(&mut sides, 1, Some(0));
    assert_eq!(take(&mut sides, 0, &for_a, usize::MAX, true), Some(Stands::Behind));
    assert_eq!(sides[0].memory.cursors.len(), 0);
    let for_all = make(&mut sides, 1, None);
    assert_eq!(take(&mut sides, 0, &for_all, usize::MAX, true), Some(Stands::Agreed));
    assert_eq!(sides[0].memory.set().len(), 3);
}

#[test]
fn a_file_does_not_go_by_a_cursor_that_a_link_moved_over_what_was_missing() {
    let mut sides = three();
    sides[1].memory.write_all([300, 400]);
    // b asks again for a change whose cause nobody has, and the link ends.
    sides[0].memory.write(101);
    let [left, right, _] = &mut sides[..] else { panic!("three") };
    let (link, mut said) = (LinkId(1), (Vec::new(), Vec::new()));
    let mut inboxes = link_up(left, right, link);
    for _ in 0..4 {
        inboxes = turns([left, right], link, inboxes, &mut said);
    }
    for side in [left, right] {
        side.engine.step(Hlc(0), Event::LinkDown { link }, &mut side.memory, &mut Vec::new());
    }
    assert_eq!(sides[1].memory.cursors[&peer("a")].seq, 1, "as far as a link goes");
    assert!(!sides[1].memory.has(101));
    // a hears from b's file how far it is, and carries what came since.
    sides[0].memory.write(200);
    let there = make(&mut sides, 1, Some(0));
    take(&mut sides, 0, &there, usize::MAX, true);
    let back = make(&mut sides, 0, Some(1));
    assert_eq!(take(&mut sides, 1, &back, usize::MAX, true), Some(Stands::Behind));
    // Nor by one that begins where the link had come.
    let late = make_since(&mut sides, 0, Some(1), 1);
    assert_eq!(late.begins.seq, 1);
    assert_eq!(take(&mut sides, 1, &late, usize::MAX, true), Some(Stands::Behind));
    // Once the cause is there, a file brings all.
    sides[1].memory.write(100);
    let back = make(&mut sides, 0, Some(1));
    assert_eq!(take(&mut sides, 1, &back, usize::MAX, true), Some(Stands::Ahead));
    assert!(sides[1].memory.has(101));
}

#[derive(Debug, Clone)]
enum Act {
    Write(usize, u64, u64),
    /// Who makes it, for whom, and how many of the first changes are left out.
    Make(usize, Option<usize>, u64),
    /// The file, by its number; who takes it; how many of its batches; whether it speaks to them.
    Take(usize, usize, usize, bool),
    Link(usize, usize),
    Restore(usize, usize),
    Refuse(usize, u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let at = 0usize..3;
    let act = prop_oneof![
        6 => (at.clone(), 0u64..40, prop_oneof![20 => 1u64..4, 1 => Just(600u64)])
            .prop_map(|(at, hundreds, many)| Act::Write(at, hundreds, many)),
        4 => (at.clone(), proptest::option::of(at.clone()), prop_oneof![2 => Just(0), 1 => 0u64..40])
            .prop_map(|(at, reader, since)| Act::Make(at, reader, since)),
        6 => (0usize..100, at.clone(), prop_oneof![1 => 0usize..3, 4 => Just(usize::MAX)], any::<bool>())
            .prop_map(|(file, at, cut, personal)| Act::Take(file, at, cut, personal)),
        1 => (at.clone(), at.clone()).prop_map(|(left, right)| Act::Link(left, right)),
        1 => (at.clone(), 0usize..50).prop_map(|(at, keep)| Act::Restore(at, keep)),
        1 => (at, 0u64..40).prop_map(|(at, hundreds)| Act::Refuse(at, hundreds)),
    ];
    proptest::collection::vec(act, 1..60)
}

proptest! {
    // Each case copies journals a hundred times; more of them found nothing more.
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn whatever_is_carried_no_cursor_lies_and_files_for_all_make_all_the_same(acts in acts()) {
        let mut sides = three();
        let mut files: Vec<Carried> = Vec::new();
        let mut next = 100_000;
        let mut lives = 10;
        for act in acts {
            match act {
                Act::Write(at, hundreds, many) => {
                    // One after another in their hundred, or many that stand alone.
                    for _ in 0..many.min(3) {
                        let base = hundreds * 100;
                        let free = (base..base + 99).find(|it| !sides[at].memory.has(*it));
                        sides[at].memory.write(free.expect("few writes"));
                    }
                    if many > BATCH_ITEMS_MAX as u64 {
                        sides[at].memory.write_all((next..next + many).map(|it| it * 100));
                        next += many;
                    }
                }
                Act::Make(at, reader, since) => {
                    let reader = reader.filter(|reader| *reader != at);
                    let file = make_since(&mut sides, at, reader, since);
                    files.push(file);
                }
                Act::Take(file, at, cut, personal) if !files.is_empty() => {
                    let file = files[file % files.len()].clone();
                    if file.maker != at {
                        take(&mut sides, at, &file, cut, personal);
                    }
                }
                Act::Link(left, right) if left != right => {
                    let mut first = sides.remove(left.max(right));
                    let mut second = sides.remove(left.min(right));
                    lives += 1;
                    if first.memory.refuses.is_empty() && second.memory.refuses.is_empty() {
                        meet(&mut first, &mut second, u64::from(lives));
                    }
                    sides.extend([first, second]);
                    sides.sort_by(|a, b| a.name.cmp(&b.name));
                }
                Act::Take(..) | Act::Link(..) => {}
                Act::Restore(at, keep) => {
                    // From a backup, as `restore` does: an older journal, and a new life.
                    let memory = &mut sides[at].memory;
                    memory.log.truncate(keep);
                    lives += 1;
                    memory.epoch = EpochId([lives; 16]);
                    memory.cursors.clear();
                    memory.proven.clear();
                    memory.acked.clear();
                }
                Act::Refuse(at, hundreds) => {
                    let number = hundreds * 100 + 1;
                    if sides.iter().all(|side| !side.memory.has(number)) {
                        sides[at].memory.refuses.insert(number);
                    }
                }
            }
            assert_cursors_are_true(&sides);
        }
        // Nobody refuses any more: what waited behind a refusal comes, too.
        for side in &mut sides {
            side.memory.refuses.clear();
            side.memory.refused_from.clear();
            side.memory.refused_by.clear();
        }
        let union: BTreeSet<u64> = sides.iter().flat_map(|side| side.memory.set()).collect();
        for _ in 0..2 {
            for maker in 0..3 {
                let file = make(&mut sides, maker, None);
                for reader in (0..3).filter(|reader| *reader != maker) {
                    take(&mut sides, reader, &file, usize::MAX, true);
                }
            }
            assert_cursors_are_true(&sides);
        }
        for side in &sides {
            prop_assert_eq!(side.memory.set(), union.clone());
            let held = side.memory.held(&space()).digest;
            prop_assert_eq!(held.count as usize, union.len(), "nothing is there twice");
        }
    }
}
