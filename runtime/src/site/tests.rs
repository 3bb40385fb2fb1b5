//! Machines joined by hand: what is written at one desk is read at the other, counted at the hub,
//! and sealed from it.

mod audits;
mod bundles;
mod closings;
mod erasures;
mod figures;
mod follow;
mod found;
mod lives;
mod members;
mod packs;
mod pages;
mod quota;
mod refusals;
mod restored;
mod room;
mod shut_out;

use std::sync::Arc;

use linli_domain::id::{CommunityId, PeerName, Space};
use linli_domain::pack::Registry;
use linli_domain::seal::{CommunityKey, DeviceKey, KeyRing};
use linli_replica::engine::{Effect, LinkId};
use linli_store::disk::MemoryDisk;
use linli_store::store::{Store, StoreOptions};
use linli_store::views::MemoryViews;
use serde_json::json;

use super::{Opening, Site, Standing};
use crate::ask::{Answer, Ask, StepForm};
use crate::authority::Leaf;
use crate::books::BooksTrouble;

/// When these machines are opened.
const NOW_MS: u64 = 1_770_000_000_000;

type TestSite = Site<MemoryDisk, MemoryViews>;

fn peer(text: &str) -> PeerName {
    PeerName::parse(text).expect("name")
}

fn ring() -> KeyRing {
    KeyRing::new([7; 32], CommunityKey { epoch: 1, secret: [9; 32] })
}

fn open(name: &str, ring: Option<KeyRing>, seed: u8) -> TestSite {
    open_on((MemoryDisk::default(), MemoryViews::default()), name, ring, seed, 0)
}

fn open_on(
    place: (MemoryDisk, MemoryViews),
    name: &str,
    ring: Option<KeyRing>,
    seed: u8,
    node_bytes_per_day: u64,
) -> TestSite {
    open_under(None, place, name, ring, seed, node_bytes_per_day)
}

/// As [`open_on`], with the authority whose revocations count.
fn open_under(
    authority: Option<Leaf>,
    (disk, views): (MemoryDisk, MemoryViews),
    name: &str,
    ring: Option<KeyRing>,
    seed: u8,
    node_bytes_per_day: u64,
) -> TestSite {
    let (store, _) = Store::open(disk, views, StoreOptions::default()).expect("a sound store");
    let mut turn = seed;
    let opening = Opening {
        me: peer(name),
        registry: Arc::new(Registry::builtin()),
        ring,
        members: Standing::default(),
        device: (!name.contains("/-/")).then(|| DeviceKey::derive(&[seed; 32])),
        entropy: Box::new(move |bytes| {
            for byte in bytes {
                turn = turn.wrapping_mul(109).wrapping_add(57);
                *byte = turn;
            }
        }),
        utc_offset_minutes: 480,
        node_bytes_per_day,
        authority,
    };
    Site::open(opening, store, NOW_MS).expect("opens")
}

/// Delivers everything until nobody has anything to say, and nothing went wrong on the way.
fn settle(sites: &mut [TestSite], links: &[(usize, usize)]) {
    settle_but(sites, links, |_| false);
}

/// As [`settle`], but for troubles that were to be expected.
fn settle_but(
    sites: &mut [TestSite],
    links: &[(usize, usize)],
    expected: fn(&BooksTrouble) -> bool,
) {
    for (at, (left, right)) in links.iter().enumerate() {
        let (left_name, right_name) = (sites[*left].me().clone(), sites[*right].me().clone());
        sites[*left].link_up(LinkId(at as u64), right_name);
        sites[*right].link_up(LinkId(at as u64), left_name);
    }
    for round in 0..200 {
        let mut quiet = true;
        for at in 0..sites.len() {
            if round % 10 == 9 {
                sites[at].tick();
            }
            for effect in sites[at].end_turn().expect("commits") {
                quiet = false;
                let Effect::Send { link, frame } = effect else { panic!("{effect:?}") };
                let (left, right) = links[link.0 as usize];
                let other = if left == at { right } else { left };
                sites[other].frame(link, frame);
            }
        }
        if quiet && round > 60 {
            break;
        }
    }
    for site in sites.iter_mut() {
        let mut troubles = site.take_troubles();
        troubles.retain(|trouble| !expected(trouble));
        assert!(troubles.is_empty(), "{troubles:?}");
        let refused = site.ask(Ask::Refused { max: 9 });
        assert!(
            matches!(&refused, Answer::Refused { refused, .. } if refused.is_empty()),
            "{refused:?}"
        );
        for standing in site.standings() {
            assert!(standing.agreed && standing.unsent == 0, "{standing:?}");
        }
    }
    for (at, (left, right)) in links.iter().enumerate() {
        sites[*left].link_down(LinkId(at as u64));
        sites[*right].link_down(LinkId(at as u64));
    }
}

fn written(answer: Answer) -> linli_domain::id::EntryId {
    let Answer::Written { entry, .. } = answer else { panic!("{answer:?}") };
    entry
}

fn add(site: &mut TestSite, kind: &str, fields: serde_json::Value) -> Answer {
    let fields = serde_json::from_value(fields).expect("an object");
    site.ask(Ask::Add { kind: kind.to_owned(), id: None, fields })
}

fn edit(
    site: &mut TestSite,
    entry: &linli_domain::id::EntryId,
    fields: serde_json::Value,
) -> Answer {
    let fields = serde_json::from_value(fields).expect("an object");
    site.ask(Ask::Edit { community: None, entry: entry.clone(), fields })
}

fn step(site: &mut TestSite, entry: &linli_domain::id::EntryId, action: &str) -> Answer {
    let step = StepForm {
        action: action.to_owned(),
        at: Some("2026-03-06".to_owned()),
        by: None,
        note: Some("金丝雀备注".to_owned()),
    };
    site.ask(Ask::Step { community: None, entry: entry.clone(), step, fields: [].into() })
}

fn community() -> CommunityId {
    CommunityId::parse("c").expect("slug")
}

#[test]
fn two_desks_and_a_hub_hold_the_same_and_count_the_same() {
    let mut hub = open("d/s/-/hub", None, 1);
    let desks = [peer("d/s/c/a"), peer("d/s/c/b")];
    hub.enrolled(&desks);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    settle(&mut sites, &[(0, 1), (0, 2)]);

    let issue =
        written(add(&mut sites[1], "issue", json!({"title": "路灯不亮", "category": "other"})));
    for action in ["report", "accept"] {
        written(step(&mut sites[1], &issue, action));
    }
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let seen = sites[2].ask(Ask::Show { community: None, entry: issue.clone(), reason: None });
    let Answer::Entry(seen) = seen else { panic!("{seen:?}") };
    assert_eq!(seen.state, "accepted");
    assert_eq!(seen.steps.len(), 2);
    assert_eq!(seen.steps[0].note.as_deref(), Some("•••"), "notes are personal until asked for");

    for space in [Space::Open(community()), Space::Sealed(community())] {
        let held: Vec<_> = sites.iter().map(|site| site.held(&space).digest).collect();
        assert!(held.iter().all(|digest| *digest == held[0] && digest.count > 0), "{held:?}");
    }
    for site in &mut sites {
        let asked =
            serde_json::from_value(json!({"metric": "M01", "community": "c"})).expect("query");
        let Answer::Figures { figures } = site.ask(Ask::Figures(asked)) else { panic!("figures") };
        assert_eq!(figures[0]["numerator"], 1, "at {}", site.me());
        let Answer::Recount { differences, .. } = site.ask(Ask::Recount {}) else {
            panic!("recount")
        };
        assert!(differences.is_empty(), "{differences:?}");
        let Answer::Audit { damage, .. } = site.ask(Ask::Audit {}) else { panic!("audit") };
        assert!(damage.is_empty(), "{damage:?}");
    }
}

#[test]
fn a_desk_that_waits_for_the_key_gets_it_by_approval() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", None, 3)];
    let fields = json!({"building": "3", "entrance": "1", "room": "501", "name": "金丝雀", "phone": "13900000000"});
    let household = written(add(&mut sites[1], "household", fields));
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let refused =
        add(&mut sites[2], "household", json!({"building": "3", "entrance": "1", "room": "502"}));
    assert!(
        matches!(&refused, Answer::Trouble(trouble) if trouble.code == "locked"),
        "{refused:?}"
    );
    let Answer::Status(status) = sites[2].ask(Ask::Status {}) else { panic!("status") };
    let code = status.code.expect("a code to compare");
    let wrong = sites[1].ask(Ask::Approve { machine: "b".into(), code: "aaaaa-aaaaa".into() });
    assert!(matches!(wrong, Answer::Trouble(_)));
    let approved = sites[1].ask(Ask::Approve { machine: "b".into(), code });
    let Answer::Approved { ring_code } = approved else { panic!("{approved:?}") };
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let Answer::Status(status) = sites[2].ask(Ask::Status {}) else { panic!("status") };
    assert_eq!(status.ring_code, Some(ring_code));
    assert!(sites[2].take_ring().is_some());
    let reason = Some("漏水，联系住户".to_owned());
    let seen = sites[2].ask(Ask::Show { community: None, entry: household, reason });
    let Answer::Entry(seen) = seen else { panic!("{seen:?}") };
    assert_eq!(seen.fields["name"], "金丝雀");
}
