//! A peer that asks for rest is left alone, and in the end nothing is missing.

use super::*;
use crate::engine::Standing;
use crate::limits::{BATCH_ITEMS_MAX, BATCHES_IN_FLIGHT_MAX, PAUSE_TICKS_MAX};

/// Ticks of rest that the receiver of these tests asks for.
const REST: u32 = 5;
/// All of it is sent before the first answer.
const LESS_THAN_WINDOW: u64 = 2_000;
/// Some of it waits when the answers come.
const MORE_THAN_WINDOW: u64 = 5_000;
const _: () = assert!(MORE_THAN_WINDOW > (BATCHES_IN_FLIGHT_MAX * BATCH_ITEMS_MAX) as u64);

/// Two sides on one link, second by second.
struct Pair {
    left: Side,
    right: Side,
    link: LinkId,
    inboxes: Inboxes,
}

impl Pair {
    fn new(left: Side, right: Side) -> Self {
        Self { left, right, link: LinkId(0), inboxes: Inboxes::default() }
    }

    /// Connects anew, and plays until both fall silent; gives what each said.
    fn connect(&mut self) -> (Vec<Frame>, Vec<Frame>) {
        for side in [&mut self.left, &mut self.right] {
            let event = Event::LinkDown { link: self.link };
            side.engine.step(Hlc(0), event, &mut side.memory, &mut Vec::new());
        }
        self.link.0 += 1;
        self.inboxes = link_up(&self.left, &self.right, self.link);
        self.play()
    }

    /// Plays until both fall silent; gives what each said.
    fn play(&mut self) -> (Vec<Frame>, Vec<Frame>) {
        let mut said = (Vec::new(), Vec::new());
        loop {
            let inboxes = std::mem::take(&mut self.inboxes);
            let sides = [&mut self.left, &mut self.right];
            self.inboxes = turns(sides, self.link, inboxes, &mut said);
            if self.inboxes.iter().all(Vec::is_empty) {
                return said;
            }
        }
    }

    /// One second, with all that follows from it.
    fn second(&mut self) -> (Vec<Frame>, Vec<Frame>) {
        self.inboxes = [vec![Event::Tick], vec![Event::Tick]];
        self.play()
    }

    /// Seconds until both know that they agree.
    fn seconds_until_agreed(&mut self) -> u32 {
        for seconds in 0..1_000 {
            let standings =
                [self.standing(), self.right.engine.standings(&self.right.memory)[0].clone()];
            if standings.iter().all(|standing| standing.agreed && standing.unsent == 0) {
                return seconds;
            }
            self.second();
        }
        panic!("they do not agree: {:?}", self.standing());
    }

    fn standing(&self) -> Standing {
        self.left.engine.standings(&self.left.memory)[0].clone()
    }
}

/// Numbers of changes in batches.
fn sent(frames: &[Frame]) -> Vec<usize> {
    let items = |frame: &Frame| match frame {
        Frame::Batch(batch) => Some(batch.items.len()),
        _ => None,
    };
    frames.iter().filter_map(items).collect()
}

fn compares(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| matches!(frame, Frame::Ranges(_) | Frame::Hashes(_)))
}

/// A sender of so many changes, put off by a receiver that took the first 700.
fn put_off_of(changes: u64) -> Pair {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all(0..changes);
    right.memory.room = Some((700, REST));
    let mut pair = Pair::new(left, right);
    pair.connect();
    assert_eq!(pair.right.memory.log.len(), 700);
    pair
}

/// See [`put_off_of`]: more than may be under way.
fn put_off() -> Pair {
    put_off_of(MORE_THAN_WINDOW)
}

#[test]
fn who_is_put_off_sends_nothing_until_the_rest_is_over_and_then_one_change() {
    leaves_alone(put_off_of(LESS_THAN_WINDOW));
    leaves_alone(put_off_of(MORE_THAN_WINDOW));
}

fn leaves_alone(mut pair: Pair) {
    assert!(pair.standing().resting && !pair.standing().agreed);
    for round in 0..4 {
        pair.left.memory.write(1_000_000 + 100 * round);
        for second in 1..REST {
            let (from_left, from_right) = pair.second();
            assert_eq!(from_left, [], "round {round}, second {second}");
            assert!(!compares(&from_right), "what was put off is no news to who put it off");
            assert!(pair.standing().resting);
        }
        let (from_left, _) = pair.second();
        assert_eq!(sent(&from_left), [1], "one change asks");
    }
    assert_eq!(pair.right.memory.log.len(), 700);
}

#[test]
fn who_was_put_off_sends_all_in_the_end_and_in_order() {
    sends_all_in_order(put_off_of(LESS_THAN_WINDOW));
    sends_all_in_order(put_off_of(MORE_THAN_WINDOW));
}

fn sends_all_in_order(mut pair: Pair) {
    for _ in 1..REST {
        pair.second();
    }
    pair.right.memory.room = None;
    let took = pair.seconds_until_agreed();
    assert!(took < 20, "{took} seconds");
    assert!(!pair.standing().resting);
    let order = |side: &Side| -> Vec<u64> {
        side.memory.log.iter().map(|placed| number(&placed.item)).collect()
    };
    assert_eq!(order(&pair.left), order(&pair.right));
    // The cursor has followed: another link begins at the end.
    pair.second();
    pair.right.memory.write(2_000_000);
    let (from_left, _) = pair.connect();
    assert_eq!(sent(&from_left).iter().sum::<usize>(), 0);
}

#[test]
fn who_is_put_off_does_not_believe_that_the_peer_holds_it() {
    let mut pair = put_off();
    let hub = pair.right.name.clone();
    let held = pair.left.memory.acked[&hub];
    assert_eq!(held, 700);
    // Nor on another link, while the peer goes on putting off.
    pair.left.memory.write(1_000_000);
    pair.connect();
    assert_eq!(pair.left.memory.acked[&hub], 700);
    pair.right.memory.room = None;
    pair.seconds_until_agreed();
    assert_eq!(pair.left.memory.acked[&hub], pair.left.memory.log.len() as u64);
}

#[test]
fn another_link_begins_before_what_was_put_off_and_compares_nothing() {
    let mut pair = put_off();
    pair.right.memory.room = None;
    let (from_left, from_right) = pair.connect();
    assert!(!compares(&from_left) && !compares(&from_right));
    assert_eq!(pair.seconds_until_agreed(), 0);
    let again: usize = sent(&from_left).iter().sum();
    let lacking = pair.left.memory.log.len() - 700;
    assert!(again < lacking + BATCH_ITEMS_MAX, "{again} changes sent for {lacking}");
}

#[test]
fn who_rests_still_takes_what_the_peer_has_and_answers() {
    let mut pair = put_off();
    pair.right.memory.write(1_000_000);
    let (from_left, from_right) = pair.play();
    assert_eq!(sent(&from_right), [1]);
    assert!(matches!(from_left.as_slice(), [Frame::Ack(_)]), "{from_left:?}");
    assert!(pair.left.memory.has(1_000_000) && pair.standing().resting);
}

#[test]
fn what_lacks_its_cause_is_sent_after_pauses_that_double_until_something_changes() {
    let (mut left, right) = (side("a", 1), side("b", 2));
    left.memory.write(101);
    let mut pair = Pair::new(left, right);
    pair.connect();
    let pauses = |pair: &mut Pair, many: usize| {
        let mut pauses = Vec::new();
        let mut since = 0;
        while pauses.len() < many {
            since += 1;
            if sent(&pair.second().0).iter().sum::<usize>() > 0 {
                pauses.push(std::mem::take(&mut since));
            }
        }
        pauses
    };
    // A comparison between the two may take the place of a tick.
    let expect = |pauses: Vec<u32>, wanted: &[u32]| {
        let fits = |(is, wanted): (&u32, &u32)| is == wanted || *is == wanted + 1;
        assert!(pauses.iter().zip(wanted).all(fits), "{pauses:?}");
    };
    expect(pauses(&mut pair, 9), &[1, 2, 4, 8, 16, 32, 64, PAUSE_TICKS_MAX, PAUSE_TICKS_MAX]);
    // Whatever the peer takes may be the cause.
    pair.right.memory.write(500);
    pair.play();
    expect(pauses(&mut pair, 4), &[1, 1, 2, 4]);
    pair.left.memory.write(100);
    pair.play();
    let took = pair.seconds_until_agreed();
    assert!(took <= 2, "{took} seconds after the cause");
}

/// A copied disk goes on under cursors of the other: what they were not given counts as read.
#[test]
fn two_that_wait_for_each_others_causes_compare_what_they_hold() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all([100, 101]);
    right.memory.write_all([200, 201]);
    for turned in [false, true] {
        let (reader, other) =
            if turned { (&mut right, &mut left) } else { (&mut left, &mut right) };
        let chain = other.memory.chain_at(&space(), 1).expect("one was written");
        let cursor = Cursor { epoch: other.memory.epoch(), seq: 1, chain };
        reader.memory.cursors.insert(other.name.clone(), cursor);
    }
    let mut pair = Pair::new(left, right);
    pair.connect();
    assert!(!pair.right.memory.has(101) && !pair.left.memory.has(201), "their causes are missing");
    assert!(pair.seconds_until_agreed() < 30);
    assert!(pair.right.memory.has(101) && pair.left.memory.has(201));
}

#[test]
fn what_lacked_its_cause_on_an_earlier_link_does_not_count_as_held() {
    let (mut left, right) = (side("a", 1), side("b", 2));
    left.memory.write(101);
    let mut pair = Pair::new(left, right);
    pair.connect();
    assert_eq!(pair.right.memory.cursors[&pair.left.name].seq, 1, "it was read, and not taken");
    // The repair that waited is gone with the link; what is new gets through.
    pair.left.memory.write(200);
    pair.connect();
    assert!(pair.right.memory.has(200));
    assert_acked_is_held(&pair.left, &pair.right);
    pair.left.memory.write(100);
    pair.play();
    pair.seconds_until_agreed();
    pair.second();
    assert_eq!(pair.left.memory.acked[&pair.right.name], 3);
}
