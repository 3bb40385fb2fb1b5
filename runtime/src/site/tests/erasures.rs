//! Erasing a person: at the desk that does it, at its hub, at a desk that was away, after a restart
//! and from a backup; and who may not.

use bytes::Bytes;
use linli_domain::id::EntryId;
use linli_domain::seal::{ERASURE_KIND, envelope_hash, erasure_id, key_name, seal_shared};
use linli_replica::frame::Item;
use linli_replica::holdings::{Admission, Holdings as _};
use linli_store::SHELF_FILES;

use super::*;
use crate::ask::EntryView;
use crate::edit::read_fields;
use crate::limits::SCRUB_EVERY_MILLIS;

const NAME: &str = "金丝雀-段干";
const PHONE: &str = "13900001111";
const ALL: [(usize, usize); 2] = [(0, 1), (0, 2)];

fn sealed() -> Space {
    Space::Sealed(community())
}

/// A hub and two desks with the ring, and a household that all of them hold.
fn street() -> (Vec<TestSite>, EntryId) {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    let fields = json!({"building": "grid/b3", "entrance": "1", "room": "501", "name": NAME});
    let household = written(add(&mut sites[1], "household", fields));
    settle(&mut sites, &ALL);
    (sites, household)
}

fn erase(site: &mut TestSite, entry: &EntryId, dry_run: bool) -> Answer {
    let reason = "迁出".to_owned();
    site.ask(Ask::Erase { entry: entry.clone(), reason, dry_run })
}

fn show(site: &mut TestSite, entry: &EntryId, reason: Option<&str>) -> EntryView {
    let reason = reason.map(str::to_owned);
    let community = Some(community());
    match site.ask(Ask::Show { community, entry: entry.clone(), reason }) {
        Answer::Entry(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn keys(sites: &mut [TestSite], entry: &EntryId) -> Vec<usize> {
    sites.iter_mut().map(|site| site.books().keys_held(&sealed(), entry)).collect()
}

fn assert_forgotten(site: &mut TestSite, entry: &EntryId) {
    let me = site.me().clone();
    assert!(site.books().is_erased(&sealed(), entry), "{me}");
    assert_eq!(site.books().keys_held(&sealed(), entry), 0, "{me}");
    assert!(site.books().half(&sealed(), entry).is_forgotten(), "{me}");
    let view = show(site, entry, None);
    assert!(view.erased && !view.fields.contains_key("name"), "{me}: {view:?}");
}

#[test]
fn erasing_reaches_hub_and_desks_and_a_desk_that_was_away_brings_nothing_back() {
    let (mut sites, household) = street();
    assert_eq!(keys(&mut sites, &household), [1, 1, 1], "the hub relays and keeps it, too");
    let before: Vec<_> = sites.iter().map(|site| site.held(&sealed()).digest).collect();
    // The second desk is away, and writes into the entry meanwhile.
    let Answer::Erased { envelopes, already, .. } = erase(&mut sites[1], &household, true) else {
        panic!("a preview")
    };
    assert!(envelopes > 0 && !already);
    assert_eq!(keys(&mut sites, &household), [1, 1, 1], "a preview destroys nothing");
    let Answer::Erased { already: false, .. } = erase(&mut sites[1], &household, false) else {
        panic!("an erasure")
    };
    settle(&mut sites, &ALL[..1]);
    for at in [0, 1] {
        assert_forgotten(&mut sites[at], &household);
        assert_eq!(sites[at].held(&sealed()).digest, before[at], "history stays");
    }
    written(edit(&mut sites[2], &household, json!({"phone": PHONE})));
    assert_eq!(show(&mut sites[2], &household, Some("核对")).fields["name"], NAME);

    settle(&mut sites, &ALL);
    for site in &mut sites {
        assert_forgotten(site, &household);
        let Answer::Recount { differences, .. } = site.ask(Ask::Recount {}) else { panic!() };
        assert!(differences.is_empty(), "{differences:?}");
        let Answer::Audit { damage, .. } = site.ask(Ask::Audit {}) else { panic!() };
        assert!(damage.is_empty(), "{damage:?}");
    }
    for desk in &mut sites[1..] {
        for words in [NAME, PHONE] {
            let found = desk.ask(Ask::Find { text: words.to_owned(), after: None, max: 9 });
            let Answer::Entries { entries, .. } = found else { panic!("{found:?}") };
            assert!(entries.is_empty(), "{entries:?}");
        }
        let refused = edit(desk, &household, json!({"phone": PHONE}));
        assert!(matches!(&refused, Answer::Trouble(t) if t.code == "erased"), "{refused:?}");
    }
    written(edit(&mut sites[1], &household, json!({"tenure": "rented"})));
    let Answer::Erased { already: true, .. } = erase(&mut sites[2], &household, false) else {
        panic!("it was erased before")
    };
    settle(&mut sites, &ALL);
    let Answer::Erasures { erasures, .. } = sites[0].ask(Ask::Erasures { max: 9 }) else {
        panic!()
    };
    assert_eq!(erasures.len(), 1);
    assert_eq!((&erasures[0].entry, erasures[0].by.as_str()), (&household, "a"));
    assert_eq!(erasures[0].backups_until, "2026-03-04", "thirty days after the second of February");
}

#[test]
fn a_machine_is_clean_once_its_views_were_written_anew_and_says_so() {
    let (mut sites, household) = street();
    let unclean = |site: &mut TestSite| {
        let Answer::Status(status) = site.ask(Ask::Status {}) else { panic!("status") };
        status.unclean
    };
    erase(&mut sites[1], &household, false);
    settle(&mut sites, &ALL);
    for site in &mut sites {
        assert_eq!(unclean(site), 1);
        while site.idle() {}
        assert_eq!(unclean(site), 0, "{}", site.me());
        let Answer::Erasures { erasures, .. } = site.ask(Ask::Erasures { max: 9 }) else {
            panic!()
        };
        assert!(erasures[0].clean);
    }
    let issue = written(add(&mut sites[1], "issue", json!({"title": "漏水", "phone": PHONE})));
    erase(&mut sites[1], &issue, false);
    sites[1].end_turn().expect("commits");
    while sites[1].idle() {}
    assert_eq!(unclean(&mut sites[1]), 1, "many erasures are cleaned together");
    sites[1].set_now(NOW_MS + SCRUB_EVERY_MILLIS);
    while sites[1].idle() {}
    assert_eq!(unclean(&mut sites[1]), 0);
}

#[test]
fn a_store_from_before_an_erasure_destroys_again_what_it_still_had() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let (disk, views) = (MemoryDisk::default(), MemoryViews::default());
    let desk = open_on((disk.clone(), views.clone()), "d/s/c/b", Some(ring()), 3, 0);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), desk];
    let fields = json!({"building": "grid/b3", "entrance": "1", "room": "501", "name": NAME});
    let household = written(add(&mut sites[1], "household", fields));
    settle(&mut sites, &ALL);
    let shelf = SHELF_FILES.map(|file| disk.bytes(file).expect("a shelf"));
    let backup = disk.copy();
    sites[2].write_through();
    sites[2].checkpoint();
    let views_before = views.copy();
    erase(&mut sites[1], &household, false);
    settle(&mut sites, &ALL);
    assert_forgotten(&mut sites[2], &household);
    while sites[2].idle() {}
    assert_eq!(sites[2].books().unclean(), 0);
    sites[2].end_turn().expect("commits");

    // From a backup: the erasure comes again.
    let erased = sites.pop().expect("the second desk");
    erased.close().expect("ends with its views written");
    sites.push(open_on((backup, MemoryViews::default()), "d/s/c/b", Some(ring()), 4, 0));
    assert_eq!(show(&mut sites[2], &household, Some("核对")).fields["name"], NAME);
    sites[2].end_turn().expect("commits");
    // A copy of the disk and no proper restore: its peers say that they see two lives.
    settle_but(&mut sites, &ALL, |trouble| matches!(trouble, BooksTrouble::OtherLife { .. }));
    assert_forgotten(&mut sites[2], &household);

    // Only the views are old ones: they are freed of the text once more.
    let mut desk = open_on((disk.copy(), views_before.clone()), "d/s/c/b", Some(ring()), 6, 0);
    assert_forgotten(&mut desk, &household);
    assert_eq!(desk.books().unclean(), 1, "the text is back in a file");
    desk.end_turn().expect("commits");
    while desk.idle() {}
    assert_eq!(desk.books().unclean(), 0);
    let name = NAME.as_bytes();
    let left = views_before.rows().into_values();
    assert!(left.into_iter().all(|row| !row.windows(name.len()).any(|part| part == name)));

    // Only the shelf is an old one: journal and views have the erasure.
    let mut disk = disk.copy();
    for (file, bytes) in SHELF_FILES.iter().zip(&shelf) {
        linli_store::disk::Disk::write_whole(&mut disk, file, bytes).expect("write");
    }
    let mut desk = open_on((disk.clone(), views), "d/s/c/b", Some(ring()), 5, 0);
    assert_forgotten(&mut desk, &household);
    desk.end_turn().expect("commits");
    for (file, before) in SHELF_FILES.iter().zip(&shelf) {
        assert!(disk.bytes(file).expect("a shelf").len() <= before.len());
        assert_ne!(disk.bytes(file).as_ref(), Some(before));
    }
}

#[test]
fn only_a_desk_of_the_community_is_believed() {
    let (mut sites, household) = street();
    let refused = sites[0].ask(Ask::Erase {
        entry: household.clone(),
        reason: "迁出".to_owned(),
        dry_run: false,
    });
    assert!(matches!(&refused, Answer::Trouble(t) if t.code == "not-here"), "{refused:?}");
    for reason in [String::new(), "长".repeat(201)] {
        let refused = sites[1].ask(Ask::Erase { entry: household.clone(), reason, dry_run: false });
        assert!(matches!(&refused, Answer::Trouble(t) if t.code == "bad-reason"), "{refused:?}");
    }
    let nothing = EntryId::parse("household/nobody").expect("an id");
    let refused = erase(&mut sites[1], &nothing, false);
    assert!(matches!(&refused, Answer::Trouble(t) if t.code == "nothing-sealed"), "{refused:?}");
    let forged =
        json!({"target": household.as_str(), "reason": "x", "at": "2026-02-02T12:00", "by": "a"});
    let by_hand = add(&mut sites[1], ERASURE_KIND, forged.clone());
    assert!(matches!(&by_hand, Answer::Trouble(t) if t.code == "by-erasing-only"), "{by_hand:?}");

    // A hub of bad will writes the entry; and one desk names another target under that id.
    let forge = |site: &mut TestSite, id: &EntryId, fields: &serde_json::Value| {
        let registry = site.registry.clone();
        let kind = registry.kind(ERASURE_KIND).expect("built in");
        let fields = serde_json::from_value(fields.clone()).expect("an object");
        let fields = read_fields(kind, &fields).expect("fields");
        let entry = site.entry(&community(), id);
        site.write(&community(), kind, id, &entry, &fields, Vec::new(), false).expect("writes");
    };
    forge(&mut sites[0], &erasure_id(&household), &forged);
    let elsewhere = EntryId::new(ERASURE_KIND, "elsewhere").expect("an id");
    forge(&mut sites[1], &elsewhere, &forged);
    settle(&mut sites, &ALL);
    assert_eq!(keys(&mut sites, &household), [1, 1, 1]);
    assert_eq!(show(&mut sites[2], &household, Some("核对")).fields["name"], NAME);
    erase(&mut sites[1], &household, false);
    settle(&mut sites, &ALL);
    assert_eq!(keys(&mut sites, &household), [0, 0, 0], "a desk's word counts beside it");
}

#[test]
fn an_envelope_that_came_without_its_key_opens_when_it_comes_with_it() {
    let (mut sites, household) = street();
    let placed = sites[1].books().read(&sealed(), 0, 99, usize::MAX);
    let of_it = placed.into_iter().map(|placed| placed.item);
    let items: Vec<Item> = of_it.filter(|item| item.entry == household).collect();
    assert!(items.iter().all(|item| item.keys.len() == 1 && item.keys[0].len() == 77));
    let mut newcomer = open("d/s/c/n", Some(ring()), 9);
    let a = peer("d/s/c/a");
    let grant = linli_replica::frame::AuthorGrant {
        space: sealed(),
        author: a.author(),
        name: a.to_string(),
    };
    newcomer.books().grant(std::slice::from_ref(&grant));
    for item in &items {
        let bare = Item { keys: Vec::new(), ..item.clone() };
        assert_eq!(newcomer.books().admit(&sealed(), &a, &bare), Admission::Taken);
    }
    newcomer.end_turn().expect("commits");
    assert!(!newcomer.books().half(&sealed(), &household).unread.is_empty());
    // A key of another document does not fit.
    let wrong = newcomer.books().admit(
        &sealed(),
        &a,
        &Item { keys: vec![Bytes::from_static(&[1; 99])], ..items[0].clone() },
    );
    assert_eq!((wrong, newcomer.books().keys_held(&sealed(), &household)), (Admission::Known, 0));
    for item in &items {
        assert_eq!(newcomer.books().admit(&sealed(), &a, item), Admission::Known);
    }
    newcomer.end_turn().expect("commits");
    assert!(newcomer.books().half(&sealed(), &household).unread.is_empty());
    assert_eq!(show(&mut newcomer, &household, Some("核对")).fields["name"], NAME);
}

#[test]
fn what_an_earlier_release_sealed_opens_and_an_erasure_says_what_it_cannot_destroy() {
    let (mut sites, household) = street();
    let placed = sites[1].books().read(&sealed(), 0, 99, usize::MAX);
    let mut older = open("d/s/c/n", Some(ring()), 9);
    let a = peer("d/s/c/a");
    let grant = linli_replica::frame::AuthorGrant {
        space: sealed(),
        author: a.author(),
        name: a.to_string(),
    };
    older.books().grant(std::slice::from_ref(&grant));
    let mut sent = 0;
    for item in placed.into_iter().map(|placed| placed.item).filter(|i| i.entry == household) {
        assert!(key_name(&item.bytes).is_some());
        let plain = sites[1].books().opened(&sealed(), &household, &item.bytes).expect("opens");
        let bytes = seal_shared(&ring(), &sealed(), &household, a.author(), [sent; 24], &plain);
        let hash = envelope_hash(&bytes);
        let item = Item { hash, bytes, keys: Vec::new(), ..item };
        assert_eq!(older.books().admit(&sealed(), &a, &item), Admission::Taken);
        sent += 1;
    }
    older.end_turn().expect("commits");
    assert_eq!(show(&mut older, &household, Some("核对")).fields["name"], NAME);
    let Answer::Erased { shared, envelopes, .. } = erase(&mut older, &household, false) else {
        panic!("an erasure")
    };
    assert_eq!((shared, envelopes), (usize::from(sent), usize::from(sent)));
    older.end_turn().expect("commits");
    assert_forgotten(&mut older, &household);
}

#[test]
fn linked_entries_with_personal_fields_of_their_own_are_named() {
    let (mut sites, household) = street();
    let care = json!({"title": "漏水", "household": household.as_str(), "phone": PHONE});
    let named = add(&mut sites[1], "issue", care.clone());
    let linked_by = match named {
        Answer::Written { entry, .. } => entry,
        other => panic!("{other:?}"),
    };
    let Answer::Erased { linked, .. } = erase(&mut sites[1], &household, true) else { panic!() };
    assert_eq!(linked, std::slice::from_ref(&linked_by));
    let Answer::Erased { linked, .. } = erase(&mut sites[1], &linked_by, true) else { panic!() };
    assert_eq!(linked, [household], "in both directions");
}
