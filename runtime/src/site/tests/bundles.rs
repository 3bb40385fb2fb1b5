//! Bundles between machines: what bad changes in one do, and who may hand one over.

use linli_domain::id::{ChangeHash, MachineId};
use linli_replica::frame::{Batch, Frame, Item};
use linli_replica::holdings::Holdings as _;

use super::found::items;
use super::*;
use crate::ask::{BundleOpened, BundleTaken};
use crate::bundle::{frame_of, text_of};

/// Two desks that know each other, the first with an issue that the second has not.
fn desks() -> Vec<TestSite> {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let mut desks = sites.split_off(1);
    written(add(&mut desks[0], "issue", json!({"title": "路灯", "phone": "13900000000"})));
    desks[0].end_turn().expect("commits");
    desks
}

fn opened(site: &mut TestSite, reader: Option<&str>) -> BundleOpened {
    opened_since(site, reader, None)
}

fn opened_since(site: &mut TestSite, reader: Option<&str>, since: Option<&str>) -> BundleOpened {
    let reader = reader.map(|name| MachineId::parse(name).expect("slug"));
    match site.ask(Ask::BundleOpen { reader, since: since.map(str::to_owned) }) {
        Answer::BundleOpened(opened) => opened,
        other => panic!("{other:?}"),
    }
}

/// Every batch of a bundle for all.
fn batches(site: &mut TestSite, opened: &BundleOpened) -> Vec<Batch> {
    let mut all = Vec::new();
    for stretch in &opened.stretches {
        let (space, mut after) = (stretch.space.clone(), stretch.after);
        loop {
            let (space, until) = (space.clone(), stretch.until);
            let page = site.ask(Ask::BundleRead { reader: None, space, after, until });
            let Answer::BundlePage { frame, after: next, .. } = page else { panic!("{page:?}") };
            let Some(frame) = frame else { break };
            let Some(Frame::Batch(batch)) = frame_of(&frame) else { panic!("a batch") };
            all.push(batch);
            after = next;
        }
    }
    all
}

fn take(site: &mut TestSite, from: &str, batch: &Batch) -> BundleTaken {
    let ask = Ask::BundleTake { from: peer(from), frame: text_of(Frame::Batch(batch.clone())) };
    let answer = site.ask(ask);
    site.end_turn().expect("commits");
    let Answer::BundleTaken(taken) = answer else { panic!("{answer:?}") };
    taken
}

fn close(site: &mut TestSite, from: &str, opened: &BundleOpened, whole: bool) -> (bool, bool) {
    close_telling(site, from, opened, whole).0
}

/// As [`close`], with the number of changes that were left out.
fn close_telling(
    site: &mut TestSite,
    from: &str,
    opened: &BundleOpened,
    whole: bool,
) -> ((bool, bool), u64) {
    let me = site.me().clone();
    let said = opened.said.iter().find(|said| said.to.as_ref() == Some(&me)).expect("known");
    let spaces = opened.stretches.iter().filter(|_| whole).map(|it| it.space.clone());
    let answer = site.ask(Ask::BundleClose {
        from: peer(from),
        hello: said.frame.clone(),
        to_me: true,
        begins: opened.stretches.iter().map(|it| it.begins.clone()).collect(),
        whole: spaces.collect(),
    });
    site.end_turn().expect("commits");
    let Answer::BundleClosed { spaces } = answer else { panic!("{answer:?}") };
    assert_eq!(spaces.len(), 3);
    let stands = (spaces.iter().all(|it| it.complete), spaces.iter().all(|it| it.agreed));
    (stands, spaces.iter().map(|it| it.left_out).sum())
}

#[test]
fn a_bundle_is_taken_counted_once_and_a_link_after_it_sends_nothing_again() {
    let mut desks = desks();
    let told = opened(&mut desks[0], None);
    let carried = batches(&mut desks[0], &told);
    let news: usize = carried.iter().map(|batch| take(&mut desks[1], "d/s/c/a", batch).taken).sum();
    assert!(news >= 2, "an open half and a sealed one, not {news}");
    assert_eq!(close(&mut desks[1], "d/s/c/a", &told, true), (true, true));
    let again: Vec<BundleTaken> =
        carried.iter().map(|batch| take(&mut desks[1], "d/s/c/a", batch)).collect();
    assert!(again.iter().all(|told| told.taken == 0 && told.refused.is_empty()), "{again:?}");
    let Answer::Recount { differences, entries, .. } = desks[1].ask(Ask::Recount {}) else {
        panic!("a recount")
    };
    assert!(differences.is_empty() && entries > 0, "{differences:?}");
    // The second tells how far it has read: the next file for it has nothing to carry.
    let back = opened(&mut desks[1], Some("a"));
    assert_eq!(close(&mut desks[0], "d/s/c/b", &back, true), (true, true));
    let next = opened(&mut desks[0], Some("b"));
    assert!(next.stretches.iter().all(|it| it.after == it.until), "{next:?}");
    let name = desks[1].me().clone();
    desks[0].link_up(LinkId(1), name);
    for effect in desks[0].end_turn().expect("commits") {
        let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
        let Frame::Hello(hello) = frame else { continue };
        for told in hello.spaces {
            let theirs = desks[1].held(&told.space);
            assert_eq!(told.cursor.map(|it| (it.seq, it.chain)), Some((theirs.head, theirs.chain)));
        }
    }
}

#[test]
fn a_hello_that_a_bundle_has_overtaken_is_no_trouble_and_a_link_sets_the_cursor_again() {
    let mut desks = desks();
    let (link, place) = (LinkId(1), Space::Open(community()));
    let [a, b] = [desks[0].me().clone(), desks[1].me().clone()];
    desks[0].link_up(link, b);
    let hello = desks[0].end_turn().expect("commits");
    written(add(&mut desks[0], "issue", json!({"title": "后写的"})));
    desks[0].end_turn().expect("commits");
    let told = opened(&mut desks[0], None);
    for batch in batches(&mut desks[0], &told) {
        take(&mut desks[1], "d/s/c/a", &batch);
    }
    assert_eq!(close(&mut desks[1], "d/s/c/a", &told, true), (true, true));
    assert!(desks[1].books().is_carried(&a, &place));
    // Only now does it hear that the link stands, and what was said when it came up.
    desks[1].link_up(link, a.clone());
    talk(&mut desks, link, hello);
    assert!(desks[1].take_troubles().is_empty());
    written(add(&mut desks[0], "issue", json!({"title": "再后来"})));
    let news = desks[0].end_turn().expect("commits");
    talk(&mut desks, link, news);
    assert!(!desks[1].books().is_carried(&a, &place));
    assert_eq!(desks[0].held(&place).digest, desks[1].held(&place).digest);
}

/// What the first of two desks has said, and all that follows from it within some seconds.
fn talk(desks: &mut [TestSite], link: LinkId, mut said: Vec<Effect>) {
    for at in [1, 0].repeat(20) {
        for effect in std::mem::take(&mut said) {
            let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
            desks[at].frame(link, frame);
        }
        desks[at].tick();
        said = desks[at].end_turn().expect("commits");
    }
}

#[test]
fn bad_changes_in_a_bundle_are_refused_and_listed_and_the_others_taken() {
    let mut desks = desks();
    let open_space = Space::Open(community());
    let told = opened(&mut desks[0], None);
    let mut carried = batches(&mut desks[0], &told);
    let good = items(&mut desks[0], &open_space).pop().expect("an issue");
    let mut broken = good.bytes.to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let bad = [
        Item { bytes: broken.into(), ..good.clone() },
        Item {
            hash: ChangeHash([5; 32]),
            bytes: b"no change at all".as_slice().into(),
            ..good.clone()
        },
    ];
    let batch = carried.iter_mut().find(|batch| batch.space == open_space).expect("one");
    batch.items.splice(0..0, bad);
    let outcomes: Vec<BundleTaken> =
        carried.iter().map(|batch| take(&mut desks[1], "d/s/c/a", batch)).collect();
    let refused: Vec<_> = outcomes.iter().flat_map(|told| &told.refused).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    for one in refused {
        assert_eq!((one.from.as_str(), one.by.as_str()), ("d/s/c/a", "here"));
        assert!(!one.words.zh.is_empty() && !one.words.en.is_empty());
    }
    let held: Vec<_> = desks.iter().map(|desk| desk.books.held(&open_space).digest).collect();
    assert_eq!(held[0], held[1], "what was good is here");
}

#[test]
fn a_bundle_of_a_stranger_is_not_taken_and_hubs_make_none() {
    let mut desks = desks();
    let told = opened(&mut desks[0], None);
    let batch = batches(&mut desks[0], &told).remove(0);
    let before = desks[1].held(&batch.space);
    for stranger in ["d/s/x/a", "d/t/c/a", "d/s/-/hub", "d/s/c/b"] {
        let frame = text_of(Frame::Batch(batch.clone()));
        let answer = desks[1].ask(Ask::BundleTake { from: peer(stranger), frame });
        let Answer::Trouble(trouble) = answer else { panic!("{stranger}: {answer:?}") };
        assert_eq!(trouble.code, "foreign-bundle", "{stranger}");
    }
    assert_eq!(desks[1].held(&batch.space), before);
    let unknown =
        desks[0].ask(Ask::BundleOpen { reader: MachineId::parse("nobody").ok(), since: None });
    assert!(matches!(unknown, Answer::Trouble(trouble) if trouble.code == "no-such-device"));
    let mut hub = open("d/s/-/hub", None, 1);
    let answer = hub.ask(Ask::BundleOpen { reader: None, since: None });
    assert!(matches!(answer, Answer::Trouble(trouble) if trouble.code == "not-here"));
}

#[test]
fn a_bundle_that_was_cut_short_draws_no_conclusion_and_is_taken_again() {
    let mut desks = desks();
    written(add(&mut desks[1], "issue", json!({"title": "二号"})));
    let told = opened(&mut desks[0], None);
    let carried = batches(&mut desks[0], &told);
    take(&mut desks[1], "d/s/c/a", &carried[0]);
    assert_eq!(close(&mut desks[1], "d/s/c/a", &told, false), (false, false));
    for batch in &carried {
        take(&mut desks[1], "d/s/c/a", batch);
    }
    assert_eq!(close(&mut desks[1], "d/s/c/a", &told, true), (true, false));
}

#[test]
fn a_bundle_since_a_day_skips_nothing_in_silence_and_a_whole_one_fills_the_gap() {
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let mut desks = desks();
    let place = Space::Open(community());
    let old = desks[0].held(&place).head;
    // 2026-02-02, 10:40 in the office: the day of what is old. Then a week later.
    desks[0].set_now(NOW_MS + 7 * DAY_MS);
    assert_eq!(desks[0].today(), "2026-02-09");
    for title in ["一周后", "又一件"] {
        written(add(&mut desks[0], "issue", json!({"title": title})));
    }
    desks[0].end_turn().expect("commits");
    let late = opened_since(&mut desks[0], None, Some("2026-02-04"));
    let carried = batches(&mut desks[0], &late);
    let told = late.stretches.iter().find(|it| it.space == place).expect("open");
    assert_eq!((told.after, told.until), (old, old + 2), "what was stored since, and no more");
    let all = opened_since(&mut desks[0], None, Some("2026-02-02"));
    assert!(all.stretches.iter().all(|it| it.after == 0), "from before there were marks");

    // The reader lacks what is older: it takes what it can, and its cursor stays.
    let before = desks[1].books().cursor(&peer("d/s/c/a"), &place);
    let taken: usize = carried.iter().map(|one| take(&mut desks[1], "d/s/c/a", one).taken).sum();
    assert_eq!(taken, 2, "new entries need nothing older");
    let (stands, left_out) = close_telling(&mut desks[1], "d/s/c/a", &late, true);
    assert_eq!(stands, (false, false), "it is not whole");
    let begun = late.stretches.iter().filter(|it| it.space.community().is_some());
    let begun: u64 = begun.map(|it| it.after).sum();
    assert!(left_out == begun && begun > old, "and says how much was left out: {left_out}");
    assert_eq!(desks[1].books().cursor(&peer("d/s/c/a"), &place), before);
    let whole = opened(&mut desks[0], None);
    for batch in batches(&mut desks[0], &whole) {
        take(&mut desks[1], "d/s/c/a", &batch);
    }
    let (stands, left_out) = close_telling(&mut desks[1], "d/s/c/a", &whole, true);
    assert_eq!((stands, left_out), ((true, true), 0));
    assert_eq!(desks[0].held(&place).digest, desks[1].held(&place).digest);

    // From here on one since a day joins, and moves the cursor.
    desks[0].set_now(NOW_MS + 14 * DAY_MS);
    written(add(&mut desks[1], "issue", json!({"title": "自己的"})));
    desks[1].end_turn().expect("commits");
    written(add(&mut desks[0], "issue", json!({"title": "两周后"})));
    desks[0].end_turn().expect("commits");
    let later = opened_since(&mut desks[0], None, Some("2026-02-16"));
    for batch in batches(&mut desks[0], &later) {
        assert_eq!(take(&mut desks[1], "d/s/c/a", &batch).taken, 1);
    }
    assert_eq!(close_telling(&mut desks[1], "d/s/c/a", &later, true), ((true, false), 0));
    let head = desks[0].held(&place).head;
    let read = desks[1].books().cursor(&peer("d/s/c/a"), &place).expect("it has read");
    assert_eq!(read.seq, head);
    for wrong in ["2026-02-17", "2026-2-1", "gestern", "2026-02-30"] {
        let ask = Ask::BundleOpen { reader: None, since: Some(wrong.to_owned()) };
        let answer = desks[0].ask(ask);
        assert!(
            matches!(&answer, Answer::Trouble(trouble) if trouble.code == "bad-day"),
            "{wrong}"
        );
    }
}
