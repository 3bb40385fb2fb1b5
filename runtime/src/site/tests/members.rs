//! The member list between machines: who is let in, what a removal keeps closed, what a hub can
//! put into entries without anybody believing it, and the way back by recovery sheets. Who has which
//! key is told in a file of its own.

mod keys;

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
