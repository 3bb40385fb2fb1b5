//! The member list between machines: who is let in, what a removal keeps closed, what a hub can
//! put into entries without anybody believing it, and the way back by recovery sheets.

use data_encoding::BASE64;
use linli_domain::id::EntryId;

use super::*;
use crate::ask::{DeviceView, ListView, Seed, Status};

const HUB: usize = 0;
const CANARY: &str = "13900000000";

/// A hub and a founding desk `a`, with desks that are linked to the hub and let in by `a`.
fn community_of(others: &[&str]) -> Vec<TestSite> {
    let names = ["a", "b", "c", "d"].map(|name| peer(&format!("d/s/c/{name}")));
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&names);
    let founding = Standing { list: None, founding: true };
    let place = (MemoryDisk::default(), MemoryViews::default());
    let mut sites = vec![hub, open_as(place, "d/s/c/a", Some(ring()), founding, (2, 2))];
    for (nth, name) in others.iter().enumerate() {
        sites.push(open(&format!("d/s/c/{name}"), None, 3 + nth as u8));
    }
    meet(&mut sites);
    for at in 2..sites.len() {
        let approved = approve(&mut sites, at);
        meet(&mut sites);
        assert_eq!(status(&mut sites[at]).ring_code, Some(approved));
    }
    sites
}

fn open_as(
    place: (MemoryDisk, MemoryViews),
    name: &str,
    ring: Option<KeyRing>,
    members: Standing,
    (key, seed): (u8, u8),
) -> TestSite {
    let (store, _) = Store::open(place.0, place.1, StoreOptions::default()).expect("a store");
    let mut turn = u64::from(seed);
    let opening = Opening {
        me: peer(name),
        registry: Arc::new(Registry::builtin()),
        ring,
        members,
        device: Some(DeviceKey::derive(&[key; 32])),
        entropy: Box::new(move |bytes| {
            for byte in bytes {
                turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (turn >> 33) as u8;
            }
        }),
        utc_offset_minutes: 480,
        node_bytes_per_day: 0,
        authority: None,
    };
    Site::open(opening, store, NOW_MS).expect("opens")
}

/// Everybody syncs with the hub.
fn meet(sites: &mut [TestSite]) {
    let links: Vec<(usize, usize)> = (1..sites.len()).map(|at| (HUB, at)).collect();
    settle(sites, &links);
}

fn status(site: &mut TestSite) -> Status {
    let Answer::Status(status) = site.ask(Ask::Status {}) else { panic!("a status") };
    *status
}

fn list(site: &mut TestSite) -> ListView {
    status(site).list.expect("a desk says how its list stands")
}

fn approve(sites: &mut [TestSite], at: usize) -> String {
    approve_by(sites, 1, at)
}

fn approve_by(sites: &mut [TestSite], by: usize, at: usize) -> String {
    let status = status(&mut sites[at]);
    let machine = sites[at].me().machine.to_string();
    let ask = Ask::Approve { machine, code: status.code.expect("a code") };
    let answer = sites[by].ask(ask);
    let Answer::Approved { ring_code } = answer else { panic!("{answer:?}") };
    ring_code
}

fn remove(site: &mut TestSite, machine: &str) -> Answer {
    site.ask(Ask::RemoveDevice { machine: machine.to_owned() })
}

fn devices(site: &mut TestSite) -> Vec<DeviceView> {
    let Answer::Devices { devices } = site.ask(Ask::Devices {}) else { panic!("devices") };
    devices
}

fn household(site: &mut TestSite, room: &str) -> EntryId {
    let fields = json!({"building": "3", "entrance": "1", "room": room, "phone": CANARY});
    written(add(site, "household", fields))
}

/// Whether a desk reads the personal half of an entry.
fn reads(site: &mut TestSite, entry: &EntryId) -> bool {
    let space = Space::Sealed(community());
    site.books().half(&space, entry).doc.get("phone").is_some()
}

fn code_of(answer: &Answer) -> &str {
    let Answer::Trouble(trouble) = answer else { panic!("{answer:?}") };
    &trouble.code
}

/// The hub puts a value into an entry of the community.
fn forge(sites: &mut [TestSite], entry: &EntryId, field: &str, value: String) {
    let fields = [(field.to_owned(), serde_json::Value::from(value))].into();
    let ask = Ask::Edit { community: Some(community()), entry: entry.clone(), fields };
    written(sites[HUB].ask(ask));
}

fn entry(text: &str) -> EntryId {
    EntryId::parse(text).expect("an id")
}

#[test]
fn a_removed_desk_opens_nothing_sealed_afterwards_and_one_that_was_away_catches_up() {
    let mut sites = community_of(&["b", "c"]);
    let before = household(&mut sites[1], "101");
    meet(&mut sites);
    assert!((1..4).all(|at| reads(&mut sites[at], &before)));

    // c is shut out by a while b is away; b writes meanwhile under the old key.
    let answer = remove(&mut sites[1], "c");
    assert!(matches!(answer, Answer::Removed { epoch: 2, left: 2, .. }), "{answer:?}");
    let (after, apart) = (household(&mut sites[1], "102"), household(&mut sites[2], "103"));
    meet(&mut sites);
    for at in [1, 2] {
        assert!(reads(&mut sites[at], &after) && reads(&mut sites[at], &apart));
        assert!(list(&mut sites[at]).listed && list(&mut sites[at]).lacking == 0);
    }
    // c was handed every envelope and reads what it had, and nothing of the new epoch.
    let held = |site: &TestSite| site.held(&Space::Sealed(community())).digest;
    assert_eq!(held(&sites[3]), held(&sites[1]));
    assert!(reads(&mut sites[3], &before) && !reads(&mut sites[3], &after));
    let later = household(&mut sites[2], "104");
    meet(&mut sites);
    assert!(reads(&mut sites[1], &later) && !reads(&mut sites[3], &later));
    assert!(list(&mut sites[3]).removed && status(&mut sites[3]).code.is_some());
    assert_eq!(code_of(&remove(&mut sites[3], "a")), "not-listed");

    let rows = devices(&mut sites[1]);
    let row = |name: &str| rows.iter().find(|row| row.machine == name).expect("a row");
    assert!(row("b").approved && row("b").by.as_deref() == Some("a") && row("b").removed.is_none());
    assert!(!row("c").approved && row("c").removed_by.as_deref() == Some("a"));
    assert_eq!(row("a").since.as_deref(), Some("2026-02-02"));
    assert_eq!(code_of(&remove(&mut sites[1], "c")), "no-such-device");
    assert_eq!(code_of(&remove(&mut sites[1], "a")), "this-machine");
}

#[test]
fn two_removals_side_by_side_end_in_a_key_that_neither_target_has() {
    let mut sites = community_of(&["b", "c", "d"]);
    for (at, target) in [(1, "c"), (2, "d")] {
        assert!(matches!(remove(&mut sites[at], target), Answer::Removed { epoch: 2, .. }));
    }
    let apart = [household(&mut sites[1], "101"), household(&mut sites[2], "102")];
    meet(&mut sites);
    let after = household(&mut sites[2], "103");
    meet(&mut sites);
    for at in [1, 2] {
        assert!(apart.iter().chain([&after]).all(|entry| reads(&mut sites[at], entry)));
    }
    assert!([3, 4].iter().all(|at| !reads(&mut sites[*at], &after)));
    for at in [1, 2] {
        let ring = sites[at].books().ring().expect("a ring");
        assert_eq!(ring.newest().epoch, 3, "both keys of epoch 2 are known to somebody gone");
    }
}

#[test]
fn a_desk_let_in_beside_a_removal_is_handed_the_key() {
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", None, 9));
    meet(&mut sites);
    let code = status(&mut sites[4]).code.expect("a code");
    let let_in = sites[2].ask(Ask::Approve { machine: "d".to_owned(), code });
    assert!(matches!(let_in, Answer::Approved { .. }), "{let_in:?}");
    assert!(matches!(remove(&mut sites[1], "c"), Answer::Removed { .. }));
    let after = household(&mut sites[1], "101");
    meet(&mut sites);
    assert!(reads(&mut sites[4], &after) && !reads(&mut sites[3], &after));
}

#[test]
fn a_desk_that_two_let_in_apart_has_the_keys_of_both() {
    // Which of two rings stands first, and which of two admissions, follows from names and hashes.
    for key in 9..13 {
        for (by, gone) in [(1, "b"), (1, "c"), (2, "a"), (2, "c")] {
            let mut sites = community_of(&["b", "c"]);
            sites.push(open("d/s/c/d", None, key));
            meet(&mut sites);
            // One begins an epoch, of which the other knows nothing where it lets the desk in too.
            assert!(matches!(remove(&mut sites[by], gone), Answer::Removed { .. }));
            let code = status(&mut sites[4]).code.expect("a code");
            for at in [1, 2] {
                let ask = Ask::Approve { machine: "d".to_owned(), code: code.clone() };
                assert!(matches!(sites[at].ask(ask), Answer::Approved { .. }));
            }
            let apart = [household(&mut sites[1], "101"), household(&mut sites[2], "102")];
            meet(&mut sites);
            let list = list(&mut sites[4]);
            assert!(list.listed && list.lacking == 0 && !list.ring_refused, "{key}: {list:?}");
            assert!(apart.iter().all(|entry| reads(&mut sites[4], entry)), "{key}");
        }
    }
}

#[test]
fn a_removal_shuts_a_desk_out_that_was_let_in_twice_apart() {
    let mut sites = community_of(&["b"]);
    sites.push(open("d/s/c/c", None, 9));
    meet(&mut sites);
    let code = status(&mut sites[3]).code.expect("a code");
    for at in [1, 2] {
        let ask = Ask::Approve { machine: "c".to_owned(), code: code.clone() };
        assert!(matches!(sites[at].ask(ask), Answer::Approved { .. }));
    }
    // b does not hear what c is told in the meantime, and removes it by the approval it knows.
    settle(&mut sites, &[(HUB, 1), (HUB, 3)]);
    assert!(list(&mut sites[3]).listed);
    assert!(matches!(remove(&mut sites[2], "c"), Answer::Removed { .. }));
    meet(&mut sites);
    let after = household(&mut sites[1], "101");
    meet(&mut sites);
    assert!(reads(&mut sites[2], &after) && !reads(&mut sites[3], &after));
    assert!(list(&mut sites[3]).removed && status(&mut sites[3]).code.is_some());

    approve(&mut sites, 3);
    meet(&mut sites);
    assert!(reads(&mut sites[3], &after) && list(&mut sites[3]).listed);
}

#[test]
fn a_key_that_only_removed_desks_have_is_handed_to_who_stays() {
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", None, 9));
    meet(&mut sites);
    approve(&mut sites, 4);
    settle(&mut sites, &[(HUB, 1), (HUB, 4)]);
    assert!(list(&mut sites[4]).listed);
    // b begins an epoch with a key for a and itself, and is removed with a by d, which was let in
    // apart from that.
    assert!(matches!(remove(&mut sites[2], "c"), Answer::Removed { .. }));
    let apart = household(&mut sites[2], "101");
    for name in ["a", "b"] {
        assert!(matches!(remove(&mut sites[4], name), Answer::Removed { .. }));
    }
    meet(&mut sites);
    assert!([1, 2, 3].iter().all(|at| list(&mut sites[*at]).removed));
    let view = list(&mut sites[4]);
    assert!(view.listed && view.lacking == 0, "{view:?}");
    let after = household(&mut sites[4], "102");
    meet(&mut sites);
    assert!(reads(&mut sites[4], &apart) && reads(&mut sites[4], &after));
    assert!([1, 2, 3].iter().all(|at| !reads(&mut sites[*at], &after)));
}

#[test]
fn what_a_hub_puts_into_entries_is_believed_by_nobody_and_told() {
    let mut sites = community_of(&["b", "c"]);
    let rows = sites[1].statement_entries();
    assert_eq!(rows.len(), 3, "the beginning and two admissions");
    let honest = devices(&mut sites[2]);

    let made_up = KeyRing::new([5; 32], CommunityKey { epoch: 9, secret: [6; 32] });
    // A newcomer is not let in by a ring of the hub's making.
    sites.push(open("d/s/c/d", None, 9));
    meet(&mut sites);
    let to = DeviceKey::derive(&[9; 32]).public();
    let wrapped = linli_domain::seal::wrap(&made_up, to, &peer("d/s/c/d"), [1; 32]).expect("wraps");
    forge(&mut sites, &entry("device/d"), "wrapped_key", BASE64.encode(&wrapped));
    meet(&mut sites);
    assert!(!status(&mut sites[4]).unlocked && list(&mut sites[4]).ring_refused);

    // The hub's own key in a desk's entry; a ring of its own; a statement altered and one thrown away.
    let own = DeviceKey::derive(&[77; 32]);
    forge(&mut sites, &entry("device/c"), "public_key", BASE64.encode(&own.public().0));
    let b = peer("d/s/c/b");
    let to = DeviceKey::derive(&[3; 32]).public();
    let wrapped = linli_domain::seal::wrap(&made_up, to, &b, [1; 32]).expect("wraps");
    forge(&mut sites, &entry("device/b"), "wrapped_key", BASE64.encode(&wrapped));
    for row in &rows {
        forge(&mut sites, row, "statement", BASE64.encode(b"not a statement"));
    }
    meet(&mut sites);
    let ring_code = status(&mut sites[1]).ring_code;
    for site in &mut sites[1..4] {
        assert_eq!(list(site).doubted, 3, "at {}", site.me());
        assert!(list(site).listed, "what it once believed stays");
        assert_eq!(status(site).ring_code, ring_code);
    }
    let now = devices(&mut sites[2]);
    let row = |rows: &[DeviceView], name: &str, approved: bool| {
        rows.iter().filter(|row| row.machine == name && row.approved == approved).count()
    };
    assert_eq!(row(&now, "b", true), row(&honest, "b", true));
    assert!(now.iter().any(|row| row.machine == "c" && row.differs && !row.approved));
}

#[test]
fn a_desk_that_starts_again_puts_back_what_was_thrown_out_of_entries() {
    let (disk, views) = (MemoryDisk::default(), MemoryViews::default());
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a")]);
    let founding = Standing { list: None, founding: true };
    let desk = open_as((disk.clone(), views.clone()), "d/s/c/a", Some(ring()), founding, (2, 2));
    let mut sites = vec![hub, desk];
    meet(&mut sites);
    let kept = sites[1].take_list().expect("it began a list");
    let row = sites[1].statement_entries().remove(0);
    forge(&mut sites, &row, "statement", BASE64.encode(b"gone"));
    meet(&mut sites);
    assert_eq!(list(&mut sites[1]).doubted, 1);
    sites.pop().expect("a desk").close().expect("closes");
    let list_kept = linli_domain::seal::Members::from_bytes(&community(), &kept).expect("reads");
    let standing = Standing { list: Some(list_kept), founding: true };
    sites.push(open_as((disk, views), "d/s/c/a", Some(ring()), standing, (2, 20)));
    assert_eq!(list(&mut sites[1]).doubted, 0);
    assert!(sites[1].statement(&row).is_some(), "others find it again");
}

#[test]
fn an_approval_that_a_backup_has_forgotten_and_the_list_has_not_is_made_whole() {
    let mut sites = community_of(&[]);
    sites.push(open("d/s/c/b", None, 3));
    meet(&mut sites);
    approve(&mut sites, 2);
    let kept = sites[1].take_list().expect("it let a desk in");
    // Before anybody hears of it, the store is put back as it was, and the list's file is not.
    let list_kept = linli_domain::seal::Members::from_bytes(&community(), &kept).expect("reads");
    let standing = Standing { list: Some(list_kept), founding: true };
    let place = (MemoryDisk::default(), MemoryViews::default());
    sites[1] = open_as(place, "d/s/c/a", Some(ring()), standing, (2, 20));
    meet(&mut sites);
    assert!(list(&mut sites[2]).listed && status(&mut sites[2]).unlocked);
}

#[test]
fn a_desk_from_before_there_were_lists_follows_the_one_begun_with_its_ring() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/b", Some(ring()), 3)];
    meet(&mut sites);
    assert!(!list(&mut sites[1]).begun && status(&mut sites[1]).code.is_none(), "it goes on");
    let founding = Standing { list: None, founding: true };
    let place = (MemoryDisk::default(), MemoryViews::default());
    sites.insert(1, open_as(place, "d/s/c/a", Some(ring()), founding, (2, 2)));
    meet(&mut sites);
    let seen = list(&mut sites[2]);
    assert!(seen.begun && !seen.listed && !seen.removed);
    assert_eq!(status(&mut sites[2]).ring_code, status(&mut sites[1]).ring_code);
    approve(&mut sites, 2);
    meet(&mut sites);
    assert!(list(&mut sites[2]).listed && status(&mut sites[2]).code.is_none());
}

#[test]
fn a_desk_that_has_an_old_ring_when_it_is_let_in_is_handed_the_keys_since() {
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", Some(ring()), 9));
    for target in ["b", "c"] {
        assert!(matches!(remove(&mut sites[1], target), Answer::Removed { .. }));
    }
    let meanwhile = household(&mut sites[1], "101");
    meet(&mut sites);
    assert!((2..5).all(|at| !reads(&mut sites[at], &meanwhile)));
    // c was removed by mistake; d has the ring from before there was a list.
    for at in [3, 4] {
        approve(&mut sites, at);
        meet(&mut sites);
        assert!(reads(&mut sites[at], &meanwhile), "at {}", sites[at].me());
        assert!(list(&mut sites[at]).listed && list(&mut sites[at]).lacking == 0);
    }
    assert!(!reads(&mut sites[2], &meanwhile), "b stays outside");
    let after = household(&mut sites[4], "102");
    meet(&mut sites);
    assert!([1, 3].iter().all(|at| reads(&mut sites[*at], &after)));
    assert!(!reads(&mut sites[2], &after));
}

#[test]
fn with_every_desk_lost_the_sheets_bring_a_new_one_in() {
    let mut sites = community_of(&["b", "c"]);
    let seed = [44; 32];
    let keys = DeviceKey::derive(&seed).keys();
    let print = Ask::PrintRecovery {
        sealing: BASE64.encode(&keys.sealing.0),
        signing: BASE64.encode(&keys.signing.0),
    };
    let printed = sites[1].ask(print.clone());
    assert!(matches!(printed, Answer::RecoveryPrinted { .. }), "{printed:?}");
    let first = household(&mut sites[1], "101");
    assert!(matches!(remove(&mut sites[1], "c"), Answer::Removed { .. }));
    let second = household(&mut sites[1], "102");
    meet(&mut sites);
    assert_eq!(code_of(&sites[3].ask(print)), "not-listed");
    let ring_code = status(&mut sites[1]).ring_code.expect("a code");

    let hub = sites.swap_remove(HUB);
    let mut sites = vec![hub, open("d/s/c/d", None, 9)];
    let recover =
        |site: &mut TestSite, seed: [u8; 32]| site.ask(Ask::Recover { seed: Seed::new(seed) });
    assert_eq!(code_of(&recover(&mut sites[1], seed)), "no-such-sheets", "nothing has come yet");
    meet(&mut sites);
    assert_eq!(code_of(&recover(&mut sites[1], [45; 32])), "no-such-sheets");
    let answer = recover(&mut sites[1], seed);
    assert!(
        matches!(&answer, Answer::Approved { ring_code: code } if *code == ring_code),
        "{answer:?}"
    );
    meet(&mut sites);
    assert!(reads(&mut sites[1], &first) && reads(&mut sites[1], &second));
    assert!(list(&mut sites[1]).listed);
    assert_eq!(code_of(&recover(&mut sites[1], seed)), "not-needed");
    for lost in ["a", "b"] {
        assert!(matches!(remove(&mut sites[1], lost), Answer::Removed { .. }));
    }
    let rows = devices(&mut sites[1]);
    let own = rows.iter().find(|row| row.machine == "d").expect("a row");
    assert_eq!(own.by.as_deref(), Some("recovery-sheets"));
}

#[test]
fn who_was_removed_is_shut_out_by_who_is_listed_until_it_is_let_in_again() {
    let mut sites = community_of(&["b", "c"]);
    let shut_out = |site: &TestSite| -> Vec<String> {
        site.shut_out().iter().map(ToString::to_string).collect()
    };
    assert!(sites.iter().all(|site| site.shut_out().is_empty()));
    // Side by side, so that either removal counts.
    assert!(matches!(remove(&mut sites[1], "c"), Answer::Removed { .. }));
    meet_but(&mut sites, 3);
    assert_eq!([&sites[1], &sites[2]].map(shut_out), [["d/s/c/c"], ["d/s/c/c"]]);
    assert!(shut_out(&sites[HUB]).is_empty(), "a hub goes by its own list");
    assert!(matches!(remove(&mut sites[3], "a"), Answer::Removed { .. }));
    meet(&mut sites);
    assert_eq!(shut_out(&sites[2]), ["d/s/c/a", "d/s/c/c"]);
    for at in [1, 3] {
        assert!(list(&mut sites[at]).removed && shut_out(&sites[at]).is_empty(), "no say any more");
    }
    let code = status(&mut sites[1]).code.expect("it waits again");
    let again = sites[2].ask(Ask::Approve { machine: "a".to_owned(), code });
    assert!(matches!(again, Answer::Approved { .. }), "{again:?}");
    meet(&mut sites);
    assert_eq!([&sites[1], &sites[2]].map(shut_out), [["d/s/c/c"], ["d/s/c/c"]]);
}

/// Everybody syncs with the hub but one desk.
fn meet_but(sites: &mut [TestSite], away: usize) {
    let links: Vec<(usize, usize)> =
        (1..sites.len()).filter(|at| *at != away).map(|at| (HUB, at)).collect();
    settle(sites, &links);
}

/// A key that a stolen machine began and gave to one desk only, which then is away.
#[test]
fn a_key_that_a_removed_desk_withholds_holds_up_no_approval_and_comes_later() {
    const AWAY: &[(usize, usize)] = &[(HUB, 3), (HUB, 4)];
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", None, 9));
    // b hears nothing of d, and puts c out: its new key goes to a alone.
    settle(&mut sites, &[(HUB, 1), (HUB, 4)]);
    approve(&mut sites, 4);
    settle(&mut sites, &[(HUB, 1), (HUB, 4)]);
    let known = sites[2].statement_entries();
    assert!(matches!(remove(&mut sites[2], "c"), Answer::Removed { .. }));
    // The statement gets out, and nothing else of b: our program would hand d the key.
    let mut stated = sites[2].statement_entries();
    stated.retain(|entry| !known.contains(entry));
    let [stated] = &stated[..] else { panic!("{stated:?}") };
    let space = Space::Open(community());
    let text = sites[2].books().half(&space, stated).doc.get("statement").cloned();
    let puts = vec![("statement".to_owned(), Some(text.expect("what b states")))];
    sites[HUB].write_in(&space, stated, puts, false).expect("written");
    settle(&mut sites, AWAY);
    let view = list(&mut sites[4]);
    assert_eq!((view.lacking, view.withheld), (1, 0), "b may hand it over yet");
    let refused = Ask::Approve {
        machine: "c".to_owned(),
        code: status(&mut sites[3]).code.expect("c waits to be let in again"),
    };
    assert_eq!(code_of(&sites[4].ask(refused)), "keys-missing");

    assert!(matches!(remove(&mut sites[4], "b"), Answer::Removed { .. }));
    settle(&mut sites, AWAY);
    approve_by(&mut sites, 4, 3);
    settle(&mut sites, AWAY);
    for at in [3, 4] {
        let view = list(&mut sites[at]);
        assert!(view.listed, "{view:?}");
        assert_eq!((view.lacking, view.withheld), (0, 1));
    }
    // a comes back, which has the key, and writes with d's.
    settle(&mut sites, &[(HUB, 1), (HUB, 3), (HUB, 4)]);
    let later = household(&mut sites[1], "102");
    settle(&mut sites, &[(HUB, 1), (HUB, 3), (HUB, 4)]);
    for at in [1, 3, 4] {
        let view = list(&mut sites[at]);
        assert_eq!((view.listed, view.lacking, view.withheld), (true, 0, 0));
        assert!(reads(&mut sites[at], &later));
    }
}
