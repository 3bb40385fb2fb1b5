//! Machines on copies of one disk are found, and honest ones are not taken for such.

use super::carried::{make, swap, take};
use super::*;
use crate::carried::Stands;

#[test]
fn two_machines_on_copies_of_one_disk_are_found_and_hold_the_same() {
    let (mut hub, mut desk) = (side("hub", 1), side("desk", 2));
    desk.memory.write_all((0..300).map(|number| number * 100));
    meet(&mut desk, &mut hub, 1);
    let mut copy = Side { memory: desk.memory.clone(), ..side("desk", 2) };
    desk.memory.write_all([1_000_000, 1_000_100]);
    copy.memory.write(2_000_000);
    meet(&mut desk, &mut hub, 2);
    assert!(hub.memory.other_lives.is_empty() && desk.memory.other_lives.is_empty());
    meet(&mut copy, &mut hub, 3);
    assert!(copy.memory.other_lives.contains(&(hub.name.clone(), Whose::Ours)));
    assert!(hub.memory.other_lives.contains(&(desk.name.clone(), Whose::Theirs)));
    meet(&mut desk, &mut hub, 4);
    assert!(desk.memory.other_lives.contains(&(hub.name.clone(), Whose::Ours)));
    assert_eq!(desk.memory.set(), hub.memory.set());
    assert_eq!(hub.memory.set().len(), 303);
}

#[test]
fn a_journal_with_an_epoch_of_its_own_is_no_other_life() {
    let (mut hub, mut desk) = (side("hub", 1), side("desk", 2));
    desk.memory.write_all((0..300).map(|number| number * 100));
    meet(&mut desk, &mut hub, 1);
    desk.memory.log.truncate(200);
    desk.memory.epoch = EpochId([3; 16]);
    desk.memory.write(1_000_000);
    meet(&mut desk, &mut hub, 2);
    meet(&mut desk, &mut hub, 3);
    assert!(hub.memory.other_lives.is_empty() && desk.memory.other_lives.is_empty());
}

/// What `side` says when a link to `other` comes up, of a space they share.
fn hello_of(side: &mut Side, other: &PeerName, link: LinkId) -> Vec<Event> {
    let spaces = vec![space()];
    let up = Event::LinkUp { link, peer: other.clone(), spaces, trusted: false };
    let mut effects = Vec::new();
    side.engine.step(Hlc(0), up, &mut side.memory, &mut effects);
    let said = effects.into_iter().map(|effect| match effect {
        Effect::Send { frame, .. } => Event::Frame { link, frame },
        Effect::Close { .. } => panic!("{effect:?}"),
    });
    said.collect()
}

/// Desks a and b, of which b has read a to its end by file; a third is of no matter.
fn read_by_file() -> Vec<Side> {
    let mut sides = vec![side("a", 1), side("b", 2), side("c", 3)];
    sides[0].memory.write_all([100, 200, 300]);
    assert_eq!(swap(&mut sides, 0, 1)[0], Some(Stands::Agreed));
    sides
}

#[test]
fn a_hello_that_a_file_has_overtaken_is_of_no_second_life() {
    let mut sides = read_by_file();
    let (a, b) = (peer("a"), peer("b"));
    let waits = hello_of(&mut sides[0], &b, LinkId(1));
    // While it waits, b reads a file of a later place; and hears that the link stands after that.
    sides[0].memory.write(400);
    let file = make(&mut sides, 0, Some(1));
    assert_eq!(take(&mut sides, 1, &file, usize::MAX, true), Some(Stands::Agreed));
    let mut inboxes: Inboxes = [hello_of(&mut sides[1], &a, LinkId(1)), waits];
    let [left, right, _] = &mut sides[..] else { panic!("three") };
    let mut said = (Vec::new(), Vec::new());
    for _ in 0..20 {
        inboxes = turns([left, right], LinkId(1), inboxes, &mut said);
    }
    assert_eq!(right.memory.other_lives, BTreeSet::new());
    assert_eq!(left.memory.other_lives, BTreeSet::new());
}

#[test]
fn a_copy_is_found_whether_a_file_or_a_link_had_read_the_other() {
    let mut sides = read_by_file();
    let (a, b) = (peer("a"), peer("b"));
    let copied = sides[0].memory.clone();
    sides[0].memory.write_all([400, 500]);
    let file = make(&mut sides, 0, Some(1));
    assert_eq!(take(&mut sides, 1, &file, usize::MAX, true), Some(Stands::Agreed));
    // One that is as long as what was read.
    let [_, b_side, _] = &mut sides[..] else { panic!("three") };
    let mut same = Side { memory: copied.clone(), ..side("a", 1) };
    same.memory.write_all([600, 700]);
    let mut reader = Side { memory: b_side.memory.clone(), ..side("b", 2) };
    meet(&mut same, &mut reader, 1);
    assert!(reader.memory.other_lives.contains(&(a.clone(), Whose::Theirs)));
    // A shorter one finds out by itself, at once.
    let mut copy = Side { memory: copied, ..side("a", 1) };
    copy.memory.write(800);
    meet(&mut copy, b_side, 1);
    assert!(copy.memory.other_lives.contains(&(b, Whose::Ours)));
    // Now a link has read the longer of the two, and the reader finds the other one.
    copy.memory.write_all((900..960).map(|number| number * 100));
    meet(&mut copy, b_side, 2);
    b_side.memory.other_lives.clear();
    let [a_side, b_side, _] = &mut sides[..] else { panic!("three") };
    meet(a_side, b_side, 3);
    assert!(b_side.memory.other_lives.contains(&(a, Whose::Theirs)));
}
