//! What a comparison finds goes before what is new: a hub takes a sealed change without its cause.

use super::*;
use crate::limits::{BATCHES_IN_FLIGHT_MAX, FOUND_TICKS_MAX};

/// A desk that was set back, as far as `news` rounds into a link on which ranges are compared; gives
/// the numbers that the other side has from it, in the order in which it took them.
fn written_after(rounds: usize, many: u64) -> Vec<u64> {
    let (mut desk, mut hub) = (side("desk", 1), side("hub", 2));
    hub.memory.write_all((1..=50).map(|number| 10_000_000 + number * 100));
    desk.memory.write_all((1..=many).map(|number| number * 100));
    // The hub goes by a place of another life.
    let cursor = Cursor { epoch: EpochId([9; 16]), seq: 7, chain: 7 };
    hub.memory.cursors.insert(desk.name.clone(), cursor);
    let link = LinkId(1);
    let mut said = (Vec::new(), Vec::new());
    let mut inboxes = link_up(&desk, &hub, link);
    for round in 0..60 {
        if round == rounds {
            desk.memory.write((many + 1) * 100);
        }
        if round > 0 && inboxes.iter().all(Vec::is_empty) {
            inboxes = [vec![Event::Tick], vec![Event::Tick]];
        }
        inboxes = turns([&mut desk, &mut hub], link, inboxes, &mut said);
    }
    assert!(said.0.iter().any(|frame| matches!(frame, Frame::Ranges(_))), "nothing was compared");
    let own = origin_of(&desk.name);
    let taken = hub.memory.log.iter().filter(|placed| placed.origin == own);
    taken.map(|placed| number(&placed.item)).collect()
}

#[test]
fn what_is_written_while_ranges_are_compared_comes_behind_what_was_lacking() {
    for rounds in 1..12 {
        let taken = written_after(rounds, 40);
        assert_eq!(taken.len(), 41, "round {rounds}");
        assert!(taken.is_sorted(), "round {rounds}: {taken:?}");
    }
    // More than may be under way at once.
    let many = (BATCHES_IN_FLIGHT_MAX * crate::limits::BATCH_ITEMS_MAX) as u64 + 500;
    let taken = written_after(4, many);
    assert_eq!(taken.last(), Some(&((many + 1) * 100)));
}

#[test]
fn what_lacks_its_cause_for_good_does_not_keep_what_is_new_waiting() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all([101, 200]);
    right.memory.write_all([300]);
    let cursor = Cursor { epoch: EpochId([9; 16]), seq: 7, chain: 7 };
    right.memory.cursors.insert(left.name.clone(), cursor);
    let link = LinkId(1);
    let mut said = (Vec::new(), Vec::new());
    let mut inboxes = link_up(&left, &right, link);
    let wait = u64::from(FOUND_TICKS_MAX);
    for tick in 0..80 {
        left.memory.write((1_000 + tick) * 100);
        for _ in 0..12 {
            inboxes = turns([&mut left, &mut right], link, inboxes, &mut said);
        }
        if let Some(earlier) = tick.checked_sub(wait) {
            assert!(right.memory.has((1_000 + earlier) * 100), "since tick {earlier}");
        }
        inboxes = [vec![Event::Tick], vec![Event::Tick]];
    }
    assert!(!right.memory.has(101) && right.memory.has(200));
}

/// What a side is given by others, before a round of a link: which side, the round, and the change.
type Given = (usize, usize, u64);

/// Plays a link without a tick on which ranges are compared and nothing is found; the first side writes
/// before round `writes`. `know` says what each holds, and knows of the other, at the start.
fn written_where_nothing_lacks(
    know: impl Fn(&mut Side, &mut Side),
    given: &[Given],
    writes: usize,
) {
    let mut sides = [side("a", 1), side("b", 2)];
    for side in &mut sides {
        side.memory.write_all([100, 200]);
    }
    let [left, right] = &mut sides;
    know(left, right);
    let link = LinkId(1);
    let mut said = (Vec::new(), Vec::new());
    let mut inboxes = link_up(left, right, link);
    for round in 0..20 {
        for (at, _, number) in given.iter().filter(|(_, when, _)| *when == round) {
            sides[*at].memory.push(7, item(*number));
        }
        let [left, right] = &mut sides;
        if round == writes {
            assert_eq!(left.memory.set(), right.memory.set(), "nothing lacks");
            left.memory.write(400);
        }
        inboxes = turns([left, right], link, inboxes, &mut said);
    }
    assert!(said.0.iter().any(|frame| matches!(frame, Frame::Ranges(_))), "nothing was compared");
    assert!(sides[1].memory.has(400), "it waits");
}

#[test]
fn what_is_new_does_not_wait_for_a_comparison_that_finds_nothing() {
    let elsewhere = Cursor { epoch: EpochId([9; 16]), seq: 7, chain: 7 };
    // The peer has taken since what it had refused: the hellos say that both agree.
    let refused = |left: &mut Side, right: &mut Side| {
        left.memory.refused_by.insert(right.name.clone(), [item(200).hash].into());
    };
    written_where_nothing_lacks(refused, &[], 2);
    // The peer's next batch says that it holds the same by now.
    let one_compares = |left: &mut Side, right: &mut Side| {
        left.memory.write(300);
        right.memory.cursors.insert(left.name.clone(), elsewhere);
    };
    written_where_nothing_lacks(one_compares, &[(1, 2, 300)], 4);
    // Both compare, and what is written meanwhile parts the digests: the ranges show it.
    let both_compare = |left: &mut Side, right: &mut Side| {
        left.memory.write(300);
        right.memory.write(500);
        left.memory.cursors.insert(right.name.clone(), elsewhere);
        right.memory.cursors.insert(left.name.clone(), elsewhere);
    };
    written_where_nothing_lacks(both_compare, &[(0, 1, 500), (1, 1, 300)], 2);
}
