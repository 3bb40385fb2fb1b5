//! Following an entry: told once, of what a peer said before the commit, of one's own after it.

use linli_domain::id::EntryId;
use linli_replica::holdings::{Admission, Holdings as _};
use serde_json::json;

use super::*;
use crate::limits::{FOLLOW_MILLIS_MAX, FOLLOWERS_MAX};

const FOLLOWER: u64 = 7;

fn seen(site: &mut TestSite, entry: &EntryId) -> String {
    let ask = Ask::Show { community: Some(community()), entry: entry.clone(), reason: None };
    match site.ask(ask) {
        Answer::Entry(view) => view.digest,
        other => panic!("{other:?}"),
    }
}

/// Follows an entry as it is now.
fn follow(site: &mut TestSite, entry: &EntryId) {
    let seen = seen(site, entry);
    let at_once = site.follow_entry(FOLLOWER, Some(community()), entry.clone(), Some(seen));
    assert!(at_once.is_none(), "{at_once:?}");
}

fn edit(site: &mut TestSite, entry: &EntryId, fields: serde_json::Value) {
    written(super::edit(site, entry, fields));
}

/// The title that the follower is told, if it is told anything.
fn told(site: &mut TestSite, durable: bool) -> Option<String> {
    let mut answers = site.tell_followers(durable);
    assert!(answers.len() <= 1, "{answers:?}");
    let (number, answer) = answers.pop()?;
    assert_eq!(number, FOLLOWER);
    let Answer::Entry(view) = answer else { panic!("{answer:?}") };
    Some(view.fields["title"].as_str().expect("a text").to_owned())
}

/// A hub and two desks that hold one issue.
fn street() -> (Vec<TestSite>, EntryId) {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    let issue = written(add(&mut sites[1], "issue", json!({"title": "路灯不亮"})));
    settle(&mut sites, &[(0, 1), (0, 2)]);
    (sites, issue)
}

/// Lets hub and desk `a` speak until the hub has been told something; what it was told before its
/// commit, and after.
fn speak(sites: &mut [TestSite]) -> (Option<String>, Option<String>) {
    sites[0].link_up(LinkId(0), peer("d/s/c/a"));
    sites[1].link_up(LinkId(0), peer("d/s/-/hub"));
    for _ in 0..50 {
        for effect in sites[1].end_turn().expect("commits") {
            let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
            sites[0].frame(LinkId(0), frame);
        }
        let early = told(&mut sites[0], false);
        let effects = sites[0].end_turn().expect("commits");
        let late = told(&mut sites[0], true);
        if early.is_some() || late.is_some() {
            return (early, late);
        }
        for effect in effects {
            let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
            sites[1].frame(LinkId(0), frame);
        }
    }
    panic!("nobody was told anything");
}

#[test]
fn what_a_peer_said_is_shown_before_the_commit_and_once() {
    let (mut sites, issue) = street();
    follow(&mut sites[0], &issue);
    edit(&mut sites[1], &issue, json!({"title": "路灯修好了"}));
    assert_eq!(speak(&mut sites), (Some("路灯修好了".to_owned()), None));
    assert_eq!(told(&mut sites[0], true), None, "nobody follows any more");
}

#[test]
fn what_was_written_here_is_shown_after_the_commit_and_so_is_what_came_beside_it() {
    let (mut sites, issue) = street();
    follow(&mut sites[1], &issue);
    edit(&mut sites[1], &issue, json!({"title": "路灯修好了"}));
    assert_eq!(told(&mut sites[1], false), None);
    sites[1].end_turn().expect("commits");
    assert_eq!(told(&mut sites[1], true), Some("路灯修好了".to_owned()));

    follow(&mut sites[0], &issue);
    let answer = sites[0].ask(Ask::Close { period: "2026-01".into(), community: None, note: None });
    assert!(matches!(answer, Answer::Closed { .. }), "{answer:?}");
    hand_over(&mut sites, &issue);
    assert_eq!(told(&mut sites[0], false), None, "the hub's own closing is on no disk yet");
    sites[0].end_turn().expect("commits");
    assert_eq!(told(&mut sites[0], true), Some("路灯修好了".to_owned()));
}

/// Puts the last open change of desk `a` before the hub's gate.
fn hand_over(sites: &mut [TestSite], entry: &EntryId) {
    let space = Space::Open(community());
    let mut records = sites[1].books().read(&space, 0, usize::MAX, usize::MAX);
    let item = records.pop().expect("a change").item;
    assert_eq!(item.entry, *entry);
    let admitted = sites[0].books().admit(&space, &peer("d/s/c/a"), &item);
    assert_eq!(admitted, Admission::Taken);
}

#[test]
fn who_saw_an_older_state_is_told_at_once_and_who_waits_long_is_shown_it_again() {
    let (mut sites, issue) = street();
    let old = seen(&mut sites[1], &issue);
    edit(&mut sites[1], &issue, json!({"title": "路灯修好了"}));
    for seen in [None, Some(old)] {
        let answer = sites[1].follow_entry(FOLLOWER, None, issue.clone(), seen);
        let Some(Answer::Entry(view)) = answer else { panic!("{answer:?}") };
        assert_eq!(view.fields["title"], "路灯修好了");
    }
    sites[1].end_turn().expect("commits");
    follow(&mut sites[1], &issue);
    for (millis, shown) in [(FOLLOW_MILLIS_MAX - 1, false), (FOLLOW_MILLIS_MAX, true)] {
        sites[1].set_now(NOW_MS + millis);
        assert_eq!(told(&mut sites[1], false), None);
        assert_eq!(told(&mut sites[1], true).is_some(), shown, "after {millis} ms");
    }
    let nothing = EntryId::parse("issue/nothing").expect("an id");
    let answer = sites[1].follow_entry(FOLLOWER, None, nothing, None);
    assert!(matches!(answer, Some(Answer::Trouble(_))), "{answer:?}");
}

#[test]
fn nobody_is_shown_what_rests_on_a_view_that_failed() {
    for fails in [false, true] {
        let (mut sites, issue) = street();
        edit(&mut sites[1], &issue, json!({"title": "路灯修好了"}));
        sites[1].end_turn().expect("commits");
        follow(&mut sites[0], &issue);
        hand_over(&mut sites, &issue);
        if fails {
            sites[0].books().doubt_views("a row that could not be read".to_owned());
        }
        assert_eq!(told(&mut sites[0], false).is_none(), fails);
        assert_eq!(sites[0].end_turn().is_err(), fails);
    }
}

#[test]
fn who_follows_hears_of_an_erasure_and_of_other_entries_nothing() {
    let (mut sites, issue) = street();
    edit(&mut sites[1], &issue, json!({"reporter": "金丝雀"}));
    sites[1].end_turn().expect("commits");
    follow(&mut sites[1], &issue);
    written(add(&mut sites[1], "issue", json!({"title": "水管漏水"})));
    sites[1].end_turn().expect("commits");
    assert_eq!(told(&mut sites[1], true), None);
    let (entry, reason) = (issue.clone(), "moved away".to_owned());
    let answer = sites[1].ask(Ask::Erase { entry, reason, dry_run: false });
    assert!(matches!(answer, Answer::Erased { .. }), "{answer:?}");
    sites[1].end_turn().expect("commits");
    let mut answers = sites[1].tell_followers(true);
    let Some((FOLLOWER, Answer::Entry(view))) = answers.pop() else { panic!("{answers:?}") };
    assert!(view.erased);
}

#[test]
fn followers_are_bounded_and_who_goes_makes_room() {
    let (mut sites, issue) = street();
    let digest = seen(&mut sites[1], &issue);
    let mut follow =
        |number: u64| sites[1].follow_entry(number, None, issue.clone(), Some(digest.clone()));
    assert!((0..FOLLOWERS_MAX as u64).all(|number| follow(number).is_none()));
    let Some(Answer::Trouble(trouble)) = follow(1_000) else { panic!("a trouble") };
    assert_eq!(trouble.code, "too-many-followers");
    sites[1].unfollow_entry(3);
    assert!(sites[1].follow_entry(1_000, None, issue.clone(), Some(digest)).is_none());
}
