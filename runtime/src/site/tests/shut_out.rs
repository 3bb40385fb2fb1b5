//! Revocations between machines: whose word counts, that nobody takes it back, and what follows for
//! links and bundles.

use linli_domain::id::EntryId;
use linli_domain::value::Value;
use tempfile::TempDir;

use super::*;
use crate::authority::Authority;
use crate::enrol::{REVOCATION_STATEMENT, Revocation};

const HUB: usize = 0;

/// An authority that lies in a folder of its own.
struct Realm {
    authority: Authority,
    _dir: TempDir,
}

impl Realm {
    fn found() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let authority = Authority::create(dir.path(), &peer("d/s/-/hub"), NOW_MS / 1_000);
        Self { authority: authority.expect("an authority"), _dir: dir }
    }

    fn open(&self, name: &str, seed: u8) -> TestSite {
        self.open_on((MemoryDisk::default(), MemoryViews::default()), name, seed)
    }

    fn open_on(&self, place: (MemoryDisk, MemoryViews), name: &str, seed: u8) -> TestSite {
        let leaf = Leaf::read(self.authority.certificate()).expect("one of ours");
        let ring = (!name.contains("/-/")).then(ring);
        open_under(Some(leaf), place, name, ring, seed, 0)
    }

    /// The hub's word that a machine is shut out.
    fn word(&self, name: &str) -> Revocation {
        Revocation::sign(&self.authority, &peer(name), NOW_MS / 1_000).expect("signs")
    }

    /// A hub and desks `a`, `b` and `c` that know one another.
    fn street(&self) -> Vec<TestSite> {
        let names = ["d/s/c/a", "d/s/c/b", "d/s/c/c"];
        let mut sites = vec![self.open("d/s/-/hub", 1)];
        sites[HUB].enrolled(&names.map(peer));
        sites.extend(names.iter().zip(2..).map(|(name, seed)| self.open(name, seed)));
        settle(&mut sites, &[(0, 1), (0, 2), (0, 3)]);
        sites
    }
}

/// Puts a text into an entry of revocations, as whoever writes there may.
fn put(site: &mut TestSite, machine: &str, text: Option<&str>) {
    let entry = EntryId::new("revocation", machine).expect("an id");
    let puts = vec![(REVOCATION_STATEMENT.to_owned(), text.map(Value::from))];
    let written = site.write_in(&Space::Open(community()), &entry, puts, false);
    assert_eq!(written.expect("it fits"), 1);
}

fn shut_out(site: &TestSite) -> Vec<String> {
    site.shut_out().iter().map(ToString::to_string).collect()
}

#[test]
fn only_the_authority_shuts_a_desk_out_whoever_writes_it_down() {
    let (realm, other) = (Realm::found(), Realm::found());
    let mut sites = realm.street();
    let b = peer("d/s/c/b");
    let forged = other.word("d/s/c/b").text().to_owned();
    put(&mut sites[1], "b", Some("d/s/c/b 1770000000 AAAA"));
    put(&mut sites[1], "b", Some(&forged));
    // What is signed is of another machine, stands in another's place, or is of elsewhere.
    put(&mut sites[3], "a", Some(realm.word("d/s/c/b").text()));
    put(&mut sites[3], "c", Some(realm.word("d/s/e/c").text()));
    // A hub is trusted no more than its signature.
    put(&mut sites[HUB], "c", Some(other.word("d/s/c/c").text()));
    settle(&mut sites, &[(0, 1), (0, 2), (0, 3)]);
    assert!(sites.iter().all(|site| site.shut_out().is_empty()));
    // A desk that was handed the word may write it down as well as the hub.
    put(&mut sites[1], "b", Some(realm.word("d/s/c/b").text()));
    settle(&mut sites, &[(0, 1), (0, 3)]);
    for at in [HUB, 1, 3] {
        assert_eq!(shut_out(&sites[at]), ["d/s/c/b"]);
        assert_eq!(sites[at].books().revoked()[&b], NOW_MS / 1_000);
    }
}

#[test]
fn nobody_takes_a_revocation_back_and_it_passes_from_desk_to_desk_without_the_hub() {
    let realm = Realm::found();
    let mut sites = realm.street();
    let place = (MemoryDisk::default(), MemoryViews::default());
    sites[HUB].enrolled(&[peer("d/s/c/d")]);
    sites.push(realm.open_on(place.clone(), "d/s/c/d", 9));
    settle(&mut sites, &[(0, 4)]);
    // Written beside the hub's word, and over it.
    put(&mut sites[3], "b", Some("d/s/c/b nothing of the kind"));
    sites[HUB].revoke(vec![realm.word("d/s/c/b")]);
    settle(&mut sites, &[(0, 1), (0, 3)]);
    assert_eq!([1, 3].map(|at| shut_out(&sites[at]).len()), [1, 1]);
    put(&mut sites[3], "b", None);
    settle(&mut sites, &[(1, 3)]);
    assert_eq!(shut_out(&sites[1]), ["d/s/c/b"]);
    assert!(sites[4].shut_out().is_empty());
    settle(&mut sites, &[(1, 4)]);
    assert_eq!(shut_out(&sites[4]), ["d/s/c/b"], "from a desk, though it was written over");
    // A start knows it still, though the entry says nothing any more; also with views that are gone.
    sites.pop().expect("a desk").close().expect("closes");
    let (copy, views) = (place.0.copy(), place.1);
    for (place, seed) in [((place.0, views), 10), ((copy, MemoryViews::default()), 12)] {
        let mut again = realm.open_on(place, "d/s/c/d", seed);
        let entry = EntryId::parse("revocation/b").expect("an id");
        let doc = &again.books().half(&Space::Open(community()), &entry).doc;
        assert_eq!(doc.get(REVOCATION_STATEMENT), None);
        assert_eq!(shut_out(&again), ["d/s/c/b"]);
    }
    // So does a hub that was set up anew from what its desks hold.
    let mut hub = realm.open("d/s/-/hub", 11);
    hub.enrolled(&["d/s/c/a", "d/s/c/b", "d/s/c/c", "d/s/c/d"].map(peer));
    sites[HUB] = hub;
    settle(&mut sites, &[(0, 1)]);
    assert_eq!(shut_out(&sites[HUB]), ["d/s/c/b"]);
}

#[test]
fn what_an_older_release_took_without_knowing_counts_from_the_next_start_on() {
    let realm = Realm::found();
    let mut sites = realm.street();
    sites[HUB].enrolled(&[peer("d/s/c/d")]);
    let place = (MemoryDisk::default(), MemoryViews::default());
    sites.push(open_on(place.clone(), "d/s/c/d", Some(ring()), 9, 0));
    sites[HUB].revoke(vec![realm.word("d/s/c/b")]);
    settle(&mut sites, &[(0, 4)]);
    assert!(sites[4].shut_out().is_empty(), "no authority, no word");
    sites.pop().expect("a desk").close().expect("closes");
    let (copy, views) = (place.0.copy(), place.1);
    let again = realm.open_on((place.0, views), "d/s/c/d", 10);
    assert_eq!(shut_out(&again), ["d/s/c/b"]);
    let derived = realm.open_on((copy, MemoryViews::default()), "d/s/c/d", 11);
    assert_eq!(shut_out(&derived), ["d/s/c/b"], "also while the views are derived again");
}

#[test]
fn a_revoked_desk_is_not_heard_from_the_turn_on_in_which_that_became_known() {
    let realm = Realm::found();
    let mut sites = realm.street();
    let (a, b) = (peer("d/s/c/a"), peer("d/s/c/b"));
    sites[1].link_up(LinkId(7), b.clone());
    sites[2].link_up(LinkId(7), a);
    let hellos: Vec<_> = sites[2].end_turn().expect("commits");
    for effect in hellos {
        let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
        sites[1].frame(LinkId(7), frame);
    }
    put(&mut sites[1], "b", Some(realm.word("d/s/c/b").text()));
    let said = sites[1].end_turn().expect("commits");
    assert!(said.is_empty(), "nothing more is said to it: {said:?}");
    assert_eq!(sites[1].take_shut_out().expect("news"), [b.clone()].into());
    written(add(&mut sites[2], "issue", json!({"title": "太晚了"})));
    let before = sites[1].held(&Space::Open(community()));
    for effect in sites[2].end_turn().expect("commits") {
        let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
        sites[1].frame(LinkId(7), frame);
    }
    assert_eq!(sites[1].held(&Space::Open(community())), before);
    sites[1].link_up(LinkId(8), b);
    assert!(sites[1].end_turn().expect("commits").is_empty(), "no hello to it");
    assert!(sites[1].standings().is_empty());
}

#[test]
fn a_bundle_of_a_revoked_desk_is_refused_and_none_is_made_for_it() {
    let realm = Realm::found();
    let mut sites = realm.street();
    let code = |answer: Answer| match answer {
        Answer::Trouble(trouble) => {
            assert!(trouble.zh.contains("已被街道平台停用") && trouble.en.contains("revoked"));
            trouble.code
        }
        other => panic!("{other:?}"),
    };
    sites[HUB].revoke(vec![realm.word("d/s/c/b")]);
    settle(&mut sites, &[(0, 1), (0, 3)]);
    let opened = sites[2].ask(Ask::BundleOpen { reader: None, since: None });
    let Answer::BundleOpened(opened) = opened else { panic!("{opened:?}") };
    let from = peer("d/s/c/b");
    let frame = opened.stretches[0].begins.clone();
    let taken = sites[1].ask(Ask::BundleTake { from: from.clone(), frame });
    assert_eq!(code(taken), "shut-out");
    let (hello, begins) = (opened.said[0].frame.clone(), Vec::new());
    let close = Ask::BundleClose { from, hello, to_me: false, begins, whole: Vec::new() };
    assert_eq!(code(sites[1].ask(close)), "shut-out");
    let reader = |name: &str| Some(linli_domain::id::MachineId::parse(name).expect("slug"));
    assert_eq!(
        code(sites[1].ask(Ask::BundleOpen { reader: reader("b"), since: None })),
        "shut-out"
    );
    let for_all = sites[1].ask(Ask::BundleOpen { reader: None, since: None });
    let Answer::BundleOpened(for_all) = for_all else { panic!("{for_all:?}") };
    let named: Vec<_> = for_all.said.iter().filter_map(|said| said.to.clone()).collect();
    assert_eq!(named, [peer("d/s/c/c")]);
}
