//! Two and three engines over plain memory: everybody ends with the same set, and reconnecting
//! costs one hello each way.

mod carried;
mod lives;
mod order;
mod replayed;
mod rest;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::gate::Refusal;
use linli_domain::hlc::Hlc;
use linli_domain::id::{ChangeHash, CommunityId, EntryId, EpochId, PeerName, Space};
use proptest::prelude::*;

use crate::engine::{Effect, Event, LinkId, Replica};
use crate::frame::{AuthorGrant, Cursor, Frame, Item};
use crate::holdings::{Admission, Held, Holdings, Placed, Whose};
use crate::session::origin_of;

/// Changes are numbers; a change depends on the number before it in its hundred.
#[derive(Default, Clone)]
struct Memory {
    epoch: EpochId,
    log: Vec<Placed>,
    cursors: BTreeMap<PeerName, Cursor>,
    carried: BTreeSet<PeerName>,
    proven: BTreeMap<PeerName, Cursor>,
    acked: BTreeMap<PeerName, u64>,
    /// So many more are taken before the rest is put off for so many seconds.
    room: Option<(usize, u32)>,
    refuses: BTreeSet<u64>,
    refused_from: BTreeMap<PeerName, BTreeSet<ChangeHash>>,
    refused_by: BTreeMap<PeerName, BTreeSet<ChangeHash>>,
    other_lives: BTreeSet<(PeerName, Whose)>,
}

fn space() -> Space {
    Space::Open(CommunityId::parse("c").expect("slug"))
}

fn peer(name: &str) -> PeerName {
    PeerName::parse(&format!("d/s/c/{name}")).expect("name")
}

fn item(number: u64) -> Item {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    hash[24..].copy_from_slice(&number.to_be_bytes());
    let entry = EntryId::parse("issue/1").expect("id");
    Item {
        entry,
        hash: ChangeHash(hash),
        bytes: Bytes::copy_from_slice(&number.to_be_bytes()),
        keys: Vec::new(),
    }
}

fn number(item: &Item) -> u64 {
    u64::from_be_bytes(item.bytes[..].try_into().expect("eight bytes"))
}

impl Memory {
    fn write(&mut self, value: u64) {
        self.push(0, item(value));
    }

    fn write_all(&mut self, values: impl IntoIterator<Item = u64>) {
        for value in values {
            self.write(value);
        }
    }

    fn push(&mut self, origin: u64, item: Item) {
        let seq = self.log.len() as u64 + 1;
        self.log.push(Placed { seq, origin, item });
    }

    fn has(&self, value: u64) -> bool {
        self.log.iter().any(|placed| number(&placed.item) == value)
    }

    fn set(&self) -> BTreeSet<u64> {
        self.log.iter().map(|placed| number(&placed.item)).collect()
    }
}

impl Holdings for Memory {
    fn epoch(&self) -> EpochId {
        self.epoch
    }
    fn held(&self, _: &Space) -> Held {
        let head = self.log.len() as u64;
        let digest = self.log.iter().map(|placed| placed.item.hash).collect();
        Held { digest, head, chain: chain(&self.log) }
    }
    fn chain_at(&mut self, _: &Space, seq: u64) -> Option<u64> {
        self.log.get(..seq as usize).map(chain)
    }
    fn read(&mut self, _: &Space, after: u64, items: usize, _: usize) -> Vec<Placed> {
        self.log.iter().skip(after as usize).take(items).cloned().collect()
    }
    fn read_one(&mut self, _: &Space, seq: u64) -> Option<Placed> {
        self.log.get(seq as usize - 1).cloned()
    }
    fn hashes(&mut self, _: &Space) -> Vec<(ChangeHash, u64)> {
        let mut all: Vec<_> = self.log.iter().map(|p| (p.item.hash, p.seq)).collect();
        all.sort_unstable();
        all
    }
    fn admit(&mut self, _: &Space, from: &PeerName, item: &Item) -> Admission {
        if self.log.iter().any(|placed| placed.item.hash == item.hash) {
            return Admission::Known;
        }
        if item.bytes.is_empty() {
            return Admission::Refused(Refusal::Malformed);
        }
        let value = number(item);
        if self.refuses.contains(&value) {
            self.refused_from.entry(from.clone()).or_default().insert(item.hash);
            return Admission::Refused(Refusal::Malformed);
        }
        if !value.is_multiple_of(100) && !self.has(value - 1) {
            return Admission::Missing;
        }
        match &mut self.room {
            Some((0, rest)) => return Admission::Later(*rest),
            Some((room, _)) => *room -= 1,
            None => {}
        }
        self.push(origin_of(from), item.clone());
        Admission::Taken
    }
    fn cursor(&self, peer: &PeerName, _: &Space) -> Option<Cursor> {
        self.cursors.get(peer).copied()
    }
    fn set_cursor(&mut self, peer: &PeerName, _: &Space, cursor: Cursor) {
        self.cursors.insert(peer.clone(), cursor);
        self.carried.remove(peer);
    }
    fn set_cursor_carried(&mut self, peer: &PeerName, space: &Space, cursor: Cursor) {
        self.set_cursor(peer, space, cursor);
        self.carried.insert(peer.clone());
    }
    fn is_carried(&self, peer: &PeerName, _: &Space) -> bool {
        self.carried.contains(peer)
    }
    fn proven(&self, peer: &PeerName, _: &Space) -> Option<Cursor> {
        self.proven.get(peer).copied()
    }
    fn set_proven(&mut self, peer: &PeerName, _: &Space, cursor: Cursor) {
        self.proven.insert(peer.clone(), cursor);
    }
    fn acked(&self, peer: &PeerName, _: &Space) -> u64 {
        self.acked.get(peer).copied().unwrap_or_default()
    }
    fn set_acked(&mut self, peer: &PeerName, _: &Space, seq: u64) {
        self.acked.insert(peer.clone(), seq);
    }
    fn refused_from(&self, peer: &PeerName, _: &Space) -> Digest {
        self.refused_from.get(peer).into_iter().flatten().copied().collect()
    }
    fn refused_by(&self, peer: &PeerName, _: &Space) -> Digest {
        self.refused_by.get(peer).into_iter().flatten().copied().collect()
    }
    fn note_refused_by(&mut self, peer: &PeerName, _: &Space, hash: ChangeHash, _: &str) {
        self.refused_by.entry(peer.clone()).or_default().insert(hash);
    }
    fn keep_refused_by(&mut self, peer: &PeerName, _: &Space, still: &BTreeSet<ChangeHash>) {
        if let Some(listed) = self.refused_by.get_mut(peer) {
            listed.retain(|hash| still.contains(hash));
        }
    }
    fn note_other_life(&mut self, peer: &PeerName, whose: Whose) -> bool {
        self.other_lives.insert((peer.clone(), whose));
        false
    }
    fn authors(&self, _: &Space) -> Vec<AuthorGrant> {
        Vec::new()
    }
    fn grant(&mut self, _: &[AuthorGrant]) {}
}

fn chain(log: &[Placed]) -> u64 {
    log.iter().fold(0, |chain, placed| chain.wrapping_mul(31).wrapping_add(number(&placed.item)))
}

struct Side {
    name: PeerName,
    engine: Replica,
    memory: Memory,
}

fn side(name: &str, epoch: u8) -> Side {
    let memory = Memory { epoch: EpochId([epoch; 16]), ..Memory::default() };
    Side { name: peer(name), engine: Replica::new(), memory }
}

/// What waits for either side.
type Inboxes = [Vec<Event>; 2];

/// The first events of a link between two sides.
fn link_up(left: &Side, right: &Side, link: LinkId) -> Inboxes {
    let up = |peer: &PeerName| Event::LinkUp {
        link,
        peer: peer.clone(),
        spaces: vec![space()],
        trusted: false,
    };
    [vec![up(&right.name)], vec![up(&left.name)]]
}

/// A turn of each side; gives what it means for the other, and adds what was said.
fn turns(
    sides: [&mut Side; 2],
    link: LinkId,
    inboxes: Inboxes,
    said: &mut (Vec<Frame>, Vec<Frame>),
) -> Inboxes {
    let mut next: Inboxes = [Vec::new(), Vec::new()];
    for (at, (me, events)) in sides.into_iter().zip(inboxes).enumerate() {
        let mut effects = Vec::new();
        for event in events.into_iter().chain([Event::TurnEnds]) {
            me.engine.step(Hlc(0), event, &mut me.memory, &mut effects);
        }
        for effect in effects {
            let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
            let said = if at == 0 { &mut said.0 } else { &mut said.1 };
            said.push(frame.clone());
            next[1 - at].push(Event::Frame { link, frame });
        }
    }
    next
}

/// Connects two sides, plays until both fall silent, ticking now and then; returns frames sent
/// by each.
fn meet(left: &mut Side, right: &mut Side, link: u64) -> (Vec<Frame>, Vec<Frame>) {
    meet_watched(left, right, link, |_, _| {})
}

/// As [`meet`]; `watch` looks at both after each round.
fn meet_watched(
    left: &mut Side,
    right: &mut Side,
    link: u64,
    watch: impl Fn(&Side, &Side),
) -> (Vec<Frame>, Vec<Frame>) {
    let link = LinkId(link);
    let mut said = (Vec::new(), Vec::new());
    let mut inboxes = link_up(left, right, link);
    for round in 0..400 {
        if round > 0 && inboxes.iter().all(Vec::is_empty) {
            if round % 20 == 19 && left.memory.set() == right.memory.set() {
                break;
            }
            inboxes = [vec![Event::Tick], vec![Event::Tick]];
        }
        inboxes = turns([left, right], link, inboxes, &mut said);
        // Before the hellos were heard, a peer may have lost what it acknowledged.
        if round > 0 {
            watch(left, right);
        }
    }
    for me in [left, right] {
        let agreed = me.engine.standings(&me.memory).iter().all(|standing| standing.agreed);
        assert!(agreed, "both sides know that they agree");
        me.engine.step(Hlc(0), Event::LinkDown { link }, &mut me.memory, &mut Vec::new());
    }
    said
}

/// What counts as held by a peer is held by it, or was refused by it for good.
fn assert_acked_is_held(me: &Side, peer: &Side) {
    let acked = me.memory.acked.get(&peer.name).copied().unwrap_or_default() as usize;
    let held = peer.memory.set();
    let refused = me.memory.refused_by.get(&peer.name);
    for placed in &me.memory.log[..acked] {
        let is_refused = refused.is_some_and(|all| all.contains(&placed.item.hash));
        assert!(held.contains(&number(&placed.item)) || is_refused, "{placed:?} of {acked}");
    }
}

#[test]
fn reconnecting_with_nothing_new_costs_one_hello_each_way() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all(0..5_000);
    meet(&mut left, &mut right, 1);
    assert_eq!(right.memory.set().len(), 5_000);
    let (from_left, from_right) = meet(&mut left, &mut right, 2);
    assert!(matches!(from_left.as_slice(), [Frame::Hello(_)]), "{}", from_left.len());
    assert!(matches!(from_right.as_slice(), [Frame::Hello(_)]), "{}", from_right.len());
}

#[test]
fn a_new_machine_with_a_note_of_its_own_is_sent_the_journal_and_compares_nothing() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all(0..6_000);
    right.memory.write(1_000_000);
    let (from_left, from_right) = meet(&mut left, &mut right, 1);
    assert_eq!(left.memory.set(), right.memory.set());
    let compares = |frame: &Frame| matches!(frame, Frame::Ranges(_) | Frame::Hashes(_));
    assert!(!from_left.iter().chain(&from_right).any(compares));
}

#[test]
fn a_restored_backup_gets_back_what_it_lost_and_keeps_what_it_writes() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all(0..3_000);
    meet(&mut left, &mut right, 1);
    left.memory.log.truncate(1_250);
    left.memory.write_all(10_000..10_040);
    meet(&mut left, &mut right, 2);
    assert_eq!(left.memory.set(), right.memory.set());
    assert_eq!(left.memory.set().len(), 3_040);
}

#[test]
fn what_a_peer_lost_does_not_count_as_held_by_it() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write_all((0..6_000).map(|number| number * 100));
    meet(&mut left, &mut right, 1);
    assert_eq!(left.memory.acked[&right.name], 6_000);
    right.memory.log.truncate(5_000);
    right.memory.cursors.clear();
    meet_watched(&mut left, &mut right, 2, |left, right| {
        assert_acked_is_held(left, right);
        assert_acked_is_held(right, left);
    });
    assert_eq!(right.memory.set().len(), 6_000);
    assert_eq!(left.memory.acked[&right.name], 6_000, "known again at the end");
}

#[test]
fn a_refused_change_is_noted_and_holds_up_nobody() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    right.memory.refuses.insert(100);
    left.memory.write_all([100, 200, 201, 300]);
    meet(&mut left, &mut right, 1);
    assert_eq!(right.memory.set(), BTreeSet::from([200, 201, 300]));
    assert_eq!(left.memory.refused_by[&right.name].len(), 1);
    let (from_left, _) = meet(&mut left, &mut right, 2);
    assert_eq!(from_left.len(), 1, "the refused change is not sent again");
}

#[test]
fn a_change_refused_twice_counts_once() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    right.memory.refuses.insert(100);
    left.memory.write_all([100, 200]);
    meet(&mut left, &mut right, 1);
    right.memory.log.clear();
    let (from_left, from_right) = meet(&mut left, &mut right, 2);
    assert_eq!(right.memory.set(), BTreeSet::from([200]));
    let begins = |frame: &&Frame| matches!(frame, Frame::Ranges(told) if told.prefix.is_empty());
    let begun = from_left.iter().chain(&from_right).filter(begins).count();
    assert!(begun <= 2, "each side compares once at most, not {begun} times together");
}

#[test]
fn what_a_peer_takes_at_last_leaves_the_list_of_its_author_and_the_rest_stays() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    right.memory.refuses.extend([100, 200, 300]);
    left.memory.write_all([100, 200, 300, 400]);
    meet(&mut left, &mut right, 1);
    assert_eq!(left.memory.refused_by[&right.name].len(), 3);
    let item = take_at_last(&mut right, &left, 200);
    meet(&mut left, &mut right, 2);
    let listed = &left.memory.refused_by[&right.name];
    assert!(listed.len() == 2 && !listed.contains(&item.hash), "{listed:?}");
    let (from_left, _) = meet(&mut left, &mut right, 3);
    assert_eq!(from_left.len(), 1, "both know the same again: {from_left:?}");
    // An author that has lost its list hears of it again.
    left.memory.refused_by.clear();
    meet(&mut left, &mut right, 4);
    assert_eq!(left.memory.refused_by[&right.name].len(), 2);
}

/// A side judges again what it refused from another, and takes it.
fn take_at_last(side: &mut Side, from: &Side, wanted: u64) -> Item {
    side.memory.refuses.remove(&wanted);
    let taken = from.memory.log.iter().find(|placed| number(&placed.item) == wanted).unwrap();
    let item = taken.item.clone();
    side.memory.refused_from.get_mut(&from.name).unwrap().remove(&item.hash);
    side.memory.push(origin_of(&from.name), item.clone());
    item
}

#[test]
fn what_a_peer_takes_at_any_moment_of_a_link_leaves_the_list_of_its_author() {
    for moment in 0..24 {
        let (mut left, mut right) = (side("a", 1), side("b", 2));
        right.memory.refuses.extend([100, 200]);
        left.memory.write_all([100, 200, 300]);
        meet(&mut left, &mut right, 1);
        let link = LinkId(2);
        let mut said = (Vec::new(), Vec::new());
        let mut inboxes = link_up(&left, &right, link);
        for round in 0..60 {
            if round == moment {
                take_at_last(&mut right, &left, 200);
            }
            inboxes = turns([&mut left, &mut right], link, inboxes, &mut said);
            if round % 4 == 3 {
                for events in &mut inboxes {
                    events.push(Event::Tick);
                }
            }
        }
        let listed = &left.memory.refused_by[&right.name];
        assert_eq!(*listed, BTreeSet::from([item(100).hash]), "taken before round {moment}");
    }
}

#[test]
fn two_who_hold_only_each_others_changes_do_not_wait_for_each_other() {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    right.memory.write(100);
    meet(&mut left, &mut right, 1);
    left.memory.write(200);
    meet(&mut left, &mut right, 2);
    // What is left to each came from the other, so neither has anything to send.
    right.memory.log.remove(0);
    right.memory.log[0].seq = 1;
    left.memory.cursors.clear();
    meet(&mut left, &mut right, 3);
    assert_eq!(right.memory.set(), BTreeSet::from([100, 200]));
}

#[derive(Debug, Clone)]
enum Act {
    Write(usize, u64),
    Meet(usize, usize),
    Restore(usize, usize),
    ForgetCursors(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0usize..3, 0u64..40).prop_map(|(at, hundreds)| Act::Write(at, hundreds)),
        3 => (0usize..3, 0usize..3).prop_map(|(left, right)| Act::Meet(left, right)),
        1 => (0usize..3, 0usize..50).prop_map(|(at, keep)| Act::Restore(at, keep)),
        1 => (0usize..3).prop_map(Act::ForgetCursors),
    ];
    proptest::collection::vec(act, 1..60)
}

proptest! {
    #[test]
    fn after_meeting_all_hold_the_union(acts in acts()) {
        let mut sides = vec![side("a", 1), side("b", 2), side("c", 3)];
        let mut links = 0;
        let mut meet_two = |sides: &mut Vec<Side>, left: usize, right: usize| {
            links += 1;
            let mut first = sides.swap_remove(left.max(right));
            let mut second = sides.swap_remove(left.min(right));
            meet(&mut first, &mut second, links);
            sides.extend([first, second]);
        };
        for act in acts {
            match act {
                Act::Write(at, hundreds) => {
                    // The next change of a chain of dependencies at this side.
                    let base = hundreds * 100;
                    let next = (base..base + 99).find(|value| !sides[at].memory.has(*value));
                    sides[at].memory.write(next.expect("few writes"));
                }
                Act::Meet(left, right) if left != right => meet_two(&mut sides, left, right),
                Act::Meet(..) => {}
                Act::Restore(at, keep) => sides[at].memory.log.truncate(keep),
                Act::ForgetCursors(at) => sides[at].memory.cursors.clear(),
            }
        }
        let union: BTreeSet<u64> = sides.iter().flat_map(|side| side.memory.set()).collect();
        for (left, right) in [(0, 1), (0, 1), (0, 2), (1, 2), (0, 1), (0, 2)] {
            meet_two(&mut sides, left, right);
        }
        for side in &sides {
            prop_assert_eq!(side.memory.set(), union.clone());
        }
    }
}
