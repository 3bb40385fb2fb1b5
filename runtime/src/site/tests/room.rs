//! A disk with little room: nothing is taken, nothing is refused for good, and work goes on by
//! itself once there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linli_replica::holdings::{Admission, Holdings as _};

use super::found::items;
use super::*;

const MIN: u64 = 500_000_000;

#[test]
fn little_room_stops_edits_and_peers_until_there_is_more() {
    let mut desk = open("d/s/c/a", Some(ring()), 2);
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a")]);
    let issue = written(add(&mut desk, "issue", json!({"title": "路灯"})));
    let open = Space::Open(community());
    let from_desk = items(&mut desk, &open);
    let free = Arc::new(AtomicU64::new(MIN));
    for site in [&mut desk, &mut hub] {
        let free = free.clone();
        site.guard_room(Box::new(move || Some(free.load(Ordering::Relaxed))), MIN);
        assert_eq!(site.short_of_room(), None);
    }
    free.store(MIN - 1, Ordering::Relaxed);
    for site in [&mut desk, &mut hub] {
        site.tick();
        let told = site.take_troubles();
        assert!(matches!(told[..], [BooksTrouble::Room { short: true, .. }]), "{told:?}");
    }
    let Answer::Trouble(refused) = add(&mut desk, "issue", json!({"title": "井盖"})) else {
        panic!("there is no room")
    };
    assert_eq!(refused.code, "disk-full");
    assert!(refused.zh.contains("不必重启") && refused.en.contains("499 MB"), "{refused}");
    let show = |reason: Option<&str>| Ask::Show {
        community: None,
        entry: issue.clone(),
        reason: reason.map(str::to_owned),
    };
    assert!(matches!(desk.ask(show(None)), Answer::Entry(_)), "reading goes on");
    assert!(
        matches!(desk.ask(show(Some("核对"))), Answer::Trouble(_)),
        "it would be put on record"
    );
    for item in &from_desk {
        let admission = hub.books().admit(&open, &peer("d/s/c/a"), item);
        assert!(matches!(admission, Admission::Later(_)), "{admission:?}");
    }
    assert_eq!((hub.held(&open).digest.count, hub.books().refused_here().count()), (0, 0));
    // A little more is not enough: it would go back and forth.
    free.store(MIN, Ordering::Relaxed);
    desk.tick();
    assert_eq!(desk.short_of_room(), Some(MIN));
    free.store(MIN + MIN / 8, Ordering::Relaxed);
    for site in [&mut desk, &mut hub] {
        site.tick();
        assert_eq!(site.short_of_room(), None);
    }
    written(add(&mut desk, "issue", json!({"title": "井盖"})));
    for item in &from_desk {
        assert_eq!(hub.books().admit(&open, &peer("d/s/c/a"), item), Admission::Taken);
    }
}
