//! Bugs that the simulator found, each as the smallest meeting that shows it.

use std::collections::BTreeSet;

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::id::{ChangeHash, EpochId};
use linli_replica::frame::{Batch, Frame, Hello, Item, SpaceState};
use linli_replica::holdings::{Admission, Holdings as _};
use linli_store::views::Doubt;

use super::*;
use crate::books::TurnError;

pub(super) const TWENTY_YEARS_MS: u64 = 20 * 365 * 86_400_000;

/// Everything a site holds of a space, in the order of its journal.
pub(super) fn items(site: &mut TestSite, space: &Space) -> Vec<Item> {
    site.end_turn().expect("commits");
    let placed = site.books().read(space, 0, usize::MAX, usize::MAX);
    placed.into_iter().map(|placed| placed.item).collect()
}

/// Sends items over a link of their own, all in one turn, and ends the turn.
pub(super) fn hand_over(from: &str, to: &mut TestSite, space: &Space, items: Vec<Item>) {
    let link = LinkId(900);
    to.link_up(link, peer(from));
    let state = |space: &Space| SpaceState {
        space: space.clone(),
        held: Digest::default(),
        head: 0,
        chain: 0,
        cursor: None,
        refused: Digest::default(),
    };
    let now = linli_domain::hlc::Hlc::default();
    let hello = Hello { epoch: EpochId([9; 16]), now, spaces: vec![state(space)] };
    to.frame(link, Frame::Hello(hello));
    let held = Digest::default();
    let batch = Batch { space: space.clone(), to: None, number: 1, items, last: true, held };
    to.frame(link, Frame::Batch(batch));
    to.end_turn().expect("commits");
    to.link_down(link);
}

#[test]
fn a_desk_met_before_the_hub_named_it_is_waited_for() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    let issue = written(add(&mut sites[2], "issue", json!({"title": "井盖松动"})));
    for space in [Space::Open(community()), Space::Sealed(community())] {
        let early = items(&mut sites[2], &space);
        hand_over("d/s/c/b", &mut sites[1], &space, early);
        assert_eq!(sites[1].books().refused_here().count(), 0);
    }
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let seen = sites[1].ask(Ask::Show { community: None, entry: issue, reason: None });
    assert!(matches!(seen, Answer::Entry(_)), "{seen:?}");
}

#[test]
fn junk_under_the_name_of_a_change_does_not_keep_the_change_out() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut desk = open("d/s/c/a", Some(ring()), 2);
    written(add(&mut desk, "issue", json!({"title": "路灯不亮", "phone": "13900000000"})));
    for space in [Space::Open(community()), Space::Sealed(community())] {
        let honest = items(&mut desk, &space);
        let junk =
            |item: &Item| Item { bytes: Bytes::from_static(b"not that change"), ..item.clone() };
        let stolen = honest.iter().map(junk).collect();
        hand_over("d/s/c/b", &mut hub, &space, stolen);
        assert_eq!(hub.held(&space).digest.count, 0);
        for item in &honest {
            let admission = hub.books().admit(&space, &peer("d/s/c/a"), item);
            assert_eq!(admission, Admission::Taken, "{space}");
        }
    }
}

#[test]
fn an_answer_stands_behind_a_question_from_years_ahead() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    sites[1].set_now(NOW_MS + TWENTY_YEARS_MS);
    let issue = written(add(&mut sites[1], "issue", json!({"title": "漏水"})));
    written(step(&mut sites[1], &issue, "report"));
    settle(&mut sites, &[(0, 1), (0, 2)]);
    written(step(&mut sites[2], &issue, "accept"));
    let seen = sites[2].ask(Ask::Show { community: None, entry: issue, reason: None });
    let Answer::Entry(seen) = seen else { panic!("{seen:?}") };
    let actions: Vec<&str> = seen.steps.iter().map(|step| step.action.as_str()).collect();
    assert_eq!((actions.as_slice(), seen.state.as_str()), (&["report", "accept"][..], "accepted"));
    // The wrong clock itself is not caught.
    let fresh = written(add(&mut sites[2], "issue", json!({"title": "停车"})));
    written(step(&mut sites[2], &fresh, "report"));
    let seen = sites[2].ask(Ask::Show { community: None, entry: fresh, reason: None });
    let Answer::Entry(seen) = seen else { panic!("{seen:?}") };
    let first = linli_domain::entry::StepId(seen.steps[0].id.clone()).hlc().expect("a clock");
    assert!(first.millis() < NOW_MS + TWENTY_YEARS_MS);
}

#[test]
fn envelopes_that_come_the_wrong_way_round_in_one_turn_are_both_read() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let issue = written(add(&mut sites[1], "issue", json!({"title": "x", "phone": "139"})));
    let fields = serde_json::from_value(json!({"phone": "138"})).expect("an object");
    written(sites[1].ask(Ask::Edit { community: None, entry: issue.clone(), fields }));
    let space = Space::Sealed(community());
    let mut sealed = items(&mut sites[1], &space);
    sealed.reverse();
    assert_eq!(sealed.len(), 2);
    hand_over("d/s/c/a", &mut sites[2], &space, sealed);
    let half = sites[2].books().half(&space, &issue);
    assert_eq!((half.doc.len(), half.unread.len()), (2, 0));
}

#[test]
fn two_entries_alike_made_at_one_moment_are_two_changes() {
    let mut desk = open("d/s/c/a", Some(ring()), 2);
    let space = Space::Open(community());
    let before = items(&mut desk, &space).len();
    for _ in 0..3 {
        written(add(&mut desk, "issue", json!({"title": "停车"})));
    }
    let made = items(&mut desk, &space).split_off(before);
    let hashes: BTreeSet<ChangeHash> = made.iter().map(|item| item.hash).collect();
    assert_eq!((made.len(), hashes.len()), (3, 3));
}

#[test]
fn an_entry_whose_view_fails_is_not_taken_for_a_new_one() {
    let store = (MemoryDisk::default(), MemoryViews::default());
    let open_again = |seed| open_on(store.clone(), "d/s/c/a", Some(ring()), seed, 0);
    let mut desk = open_again(2);
    let space = Space::Open(community());
    let issue = written(add(&mut desk, "issue", json!({"title": "漏水"})));
    let known = items(&mut desk, &space).into_iter().find(|item| item.entry == issue);
    let known = known.expect("written above");
    desk.close().expect("closes");
    let mut desk = open_again(3);
    desk.end_turn().expect("commits");
    store.1.break_with(Doubt::Row);
    assert_eq!(desk.books().admit(&space, &peer("d/s/-/hub"), &known), Admission::Taken);
    assert!(matches!(desk.end_turn(), Err(TurnError::Views)));
    drop(desk);
    let mut desk = open_again(4);
    let again = items(&mut desk, &space).into_iter().filter(|item| item.hash == known.hash);
    assert_eq!(again.count(), 1);
    assert_eq!(desk.books().admit(&space, &peer("d/s/-/hub"), &known), Admission::Known);
}

#[test]
fn a_change_whose_cause_a_salvage_has_lost_waits_for_it() {
    let mut desk = open("d/s/c/a", Some(ring()), 2);
    let space = Space::Open(community());
    let issue = written(add(&mut desk, "issue", json!({"title": "漏水"})));
    let fields = serde_json::from_value(json!({"title": "漏水了"})).expect("an object");
    written(desk.ask(Ask::Edit { community: None, entry: issue.clone(), fields }));
    let mut made = items(&mut desk, &space);
    made.retain(|item| item.entry == issue);
    let [cause, change] = &made[..] else { panic!("{made:?}") };
    // What is left of a journal of both.
    let (disk, views) = (MemoryDisk::default(), MemoryViews::default());
    let options = StoreOptions::default();
    let (mut store, _) = Store::open(disk.clone(), views.clone(), options).expect("an empty store");
    store.append(&space, 0, &issue, &change.hash, &change.bytes).expect("fits");
    store.commit().expect("commits");
    drop(store);
    let mut desk = open_on((disk, views), "d/s/c/a", Some(ring()), 3, 0);
    let hub = peer("d/s/-/hub");
    assert_eq!(desk.books().admit(&space, &hub, change), Admission::Known);
    assert_eq!(desk.books().admit(&space, &hub, cause), Admission::Taken);
    desk.end_turn().expect("commits");
    assert!(desk.take_troubles().is_empty());
    let half = desk.books().half(&space, &issue);
    assert_eq!((half.doc.len(), half.seals.len(), half.unread.len()), (2, 0, 0));
}
