//! Audits in slices: each sort of damage is named with its place, and work goes on in between.

use linli_store::disk::Disk as _;
use linli_store::keys::SHELF_FILES;
use linli_store::limits::KEY_ROW_BYTES;
use linli_store::views::ViewBatch;

use super::*;
use crate::limits::{AUDIT_EVERY_MILLIS, AUDIT_FIRST_MILLIS};
use crate::site::Audited;

const SEGMENT: &str = "00000001.seg";

/// A desk with some entries, written to its views, and what it stands on.
fn at_work() -> (TestSite, MemoryDisk, MemoryViews) {
    let (disk, views) = (MemoryDisk::default(), MemoryViews::default());
    let mut site = open_on((disk.clone(), views.clone()), "d/s/c/a", Some(ring()), 1, 0);
    for number in 0..40 {
        let fields = json!({"title": format!("路灯 {number}"), "phone": "13900000000"});
        let fields = serde_json::from_value(fields).expect("an object");
        let id = Some(format!("n{number}"));
        written(site.ask(Ask::Add { kind: "issue".to_owned(), id, fields }));
    }
    site.end_turn().expect("commits");
    while site.idle() {}
    site.checkpoint();
    (site, disk, views)
}

/// Lets quiet moments pass until an audit has ended.
fn quiet(site: &mut TestSite) -> Audited {
    for _ in 0..10_000 {
        site.idle();
        if let Some(audited) = site.take_audited() {
            return audited;
        }
    }
    panic!("no audit ended")
}

#[test]
fn one_comes_after_the_start_and_then_every_day_and_edits_go_on_in_between() {
    let (mut site, _, _) = at_work();
    site.set_now(NOW_MS + AUDIT_FIRST_MILLIS - 1);
    assert!(!site.idle() && site.take_audited().is_none());
    site.set_now(NOW_MS + AUDIT_FIRST_MILLIS);
    let mut edits = 0;
    let audited = loop {
        // While rows are on their way to the disk, an audit rests.
        let more = site.idle() || {
            site.land(true);
            site.idle()
        };
        assert!(more, "there is more to do until it has ended");
        if let Some(audited) = site.take_audited() {
            break audited;
        }
        written(add(&mut site, "issue", json!({"title": "井盖"})));
        site.end_turn().expect("commits");
        edits += 1;
        if edits > 30 {
            break quiet(&mut site);
        }
    };
    assert!(edits > 3, "{edits}");
    assert_eq!(audited.damage, Vec::<String>::new());
    // Each of the first 40 entries has an open half and a sealed one.
    assert!(audited.documents >= 80 && audited.records >= 80, "{audited:?}");
    while site.idle() {}
    assert!(site.take_audited().is_none());
    site.set_now(NOW_MS + AUDIT_FIRST_MILLIS + AUDIT_EVERY_MILLIS);
    assert_eq!(quiet(&mut site).damage, Vec::<String>::new());
    // A clock that goes back by years does not put the next one off for years.
    site.set_now(NOW_MS - found::TWENTY_YEARS_MS);
    assert_eq!(quiet(&mut site).damage, Vec::<String>::new());
}

#[test]
fn rot_in_the_key_shelf_is_named_and_mended_where_one_file_has_it() {
    let (mut site, disk, _) = at_work();
    let [first, second] = SHELF_FILES;
    let sound = disk.bytes(first).expect("a shelf");
    let row = |row: u64| (row * KEY_ROW_BYTES as u64 + 70) * 8;
    assert!(disk.flip_bit(second, row(5)));
    site.set_now(NOW_MS + AUDIT_FIRST_MILLIS);
    let damage = quiet(&mut site).damage;
    assert!(damage.len() == 1 && damage[0].contains("row 5 of"), "{damage:?}");
    site.end_turn().expect("commits");
    assert_eq!([first, second].map(|file| disk.bytes(file)), [Some(sound.clone()), Some(sound)]);
    for file in SHELF_FILES {
        assert!(disk.flip_bit(file, row(7)));
    }
    site.set_now(NOW_MS + AUDIT_FIRST_MILLIS + AUDIT_EVERY_MILLIS);
    let damage = quiet(&mut site).damage;
    assert!(
        damage.len() == 1 && damage[0].ends_with(&format!("{first} and {second}")),
        "{damage:?}"
    );
}

#[test]
fn keys_that_are_lost_here_come_back_with_all_that_another_desk_holds() {
    let (mut site, disk, views) = at_work();
    let space = Space::Sealed(community());
    let everything = found::items(&mut site, &space);
    let entry = everything[4].entry.clone();
    assert_eq!(site.books().keys_held(&space, &entry), 1);
    drop(site);
    for row in 1..=40 {
        for file in SHELF_FILES {
            assert!(disk.flip_bit(file, (row * KEY_ROW_BYTES as u64 + 70) * 8));
        }
    }
    let mut site = open_on((disk, views), "d/s/c/a", Some(ring()), 2, 0);
    assert_eq!(site.books().keys_held(&space, &entry), 0);
    found::hand_over("d/s/c/b", &mut site, &space, everything);
    assert_eq!(site.books().keys_held(&space, &entry), 1);
}

#[test]
fn rot_in_the_journal_is_named_with_its_place_and_shown_by_status() {
    let (mut site, disk, _) = at_work();
    let bytes = disk.bytes(SEGMENT).expect("a segment").len() as u64;
    assert!(disk.flip_bit(SEGMENT, bytes * 4));
    site.begin_audit();
    let audited = quiet(&mut site);
    assert_eq!(audited.damage.len(), 1, "{:?}", audited.damage);
    assert!(audited.damage[0].starts_with("journal: segment 1, byte "), "{:?}", audited.damage);
    let Answer::Status(status) = site.ask(Ask::Status {}) else { panic!("status") };
    assert_eq!(status.audit.damage, audited.damage);
    assert!(status.audit.ended.is_some() && !status.audit.running);
}

#[test]
fn an_end_that_turned_to_zeros_is_found_while_the_machine_runs() {
    let (mut site, disk, _) = at_work();
    let bytes = disk.bytes(SEGMENT).expect("a segment").len();
    disk.cut(SEGMENT, bytes - 100);
    let mut again = disk.clone();
    again.append(SEGMENT, &[0; 100]).expect("append");
    site.begin_audit();
    let damage = quiet(&mut site).damage;
    assert!(damage.iter().any(|what| what.starts_with("journal: segment 1")), "{damage:?}");
}

#[test]
fn a_half_that_is_not_what_its_changes_make_of_it_is_named() {
    let (site, disk, views) = at_work();
    drop(site);
    // The row of one entry is put in the place of another's: each is a sound row by itself.
    let halves: Vec<_> =
        views.rows().into_iter().filter(|(key, _)| key[..2] == *b"\x01h").collect();
    let (open, sealed) = (halves.first().expect("open"), halves.last().expect("sealed"));
    for ((key, _), (_, other)) in [(open, &halves[1]), (sealed, &halves[halves.len() - 2])] {
        let mut batch = ViewBatch::new();
        batch.put(key.clone(), other.clone());
        views.tamper(batch);
    }
    let mut site = open_on((disk, views), "d/s/c/a", Some(ring()), 2, 0);
    site.begin_audit();
    let damage = quiet(&mut site).damage;
    assert_eq!(damage.len(), 2, "{damage:?}");
    assert!(damage.iter().all(|what| what.starts_with("views: community/c/")), "{damage:?}");
}

#[test]
fn a_read_that_meets_damage_starts_an_audit() {
    let (site, disk, views) = at_work();
    drop(site);
    assert!(disk.flip_bit(SEGMENT, 8 * 1_000));
    let mut site = open_on((disk, views), "d/s/c/a", Some(ring()), 2, 0);
    while site.idle() {}
    assert!(site.take_audited().is_none(), "nothing is due");
    for space in [Space::Open(community()), Space::Sealed(community())] {
        linli_replica::holdings::Holdings::read(site.books(), &space, 0, 1_000, usize::MAX);
    }
    assert!(!site.take_troubles().is_empty(), "a read met it");
    let damage = quiet(&mut site).damage;
    assert!(damage.iter().any(|what| what.starts_with("journal: segment 1")), "{damage:?}");
}

#[test]
fn what_lies_beside_the_store_is_looked_at_too() {
    let (mut site, _, _) = at_work();
    site.watch(Box::new(|| vec!["files: keys/ring: damaged".to_owned()]));
    site.begin_audit();
    assert_eq!(quiet(&mut site).damage, ["files: keys/ring: damaged"]);
}
