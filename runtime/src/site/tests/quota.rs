//! A desk that sends too much is put off until the next day; nothing is lost, nobody else waits.

use linli_domain::id::EntryId;
use linli_replica::frame::{Frame, Item};
use linli_replica::holdings::{Admission, Holdings as _};
use linli_replica::limits::REST_SECONDS_MAX;

use super::found::{TWENTY_YEARS_MS, items};
use super::*;
use crate::books::{BooksTrouble, TakenToday};

const DAY_MS: u64 = 86_400_000;
const QUOTA: u64 = 20_000;
/// More than one day's bytes, less than four.
const ISSUES: usize = 120;

/// A hub and two desks of different communities, second by second.
struct Street {
    sites: Vec<TestSite>,
    links: u64,
    now_ms: u64,
    /// Batches with changes that the first desk sent.
    batches: usize,
}

impl Street {
    fn site(&mut self, at: usize) -> &mut TestSite {
        &mut self.sites[at]
    }

    /// Connects both desks with the hub anew.
    fn connect(&mut self) {
        self.links += 1;
        for desk in 1..self.sites.len() {
            let (old, new) = (link_of(self.links - 1, desk), link_of(self.links, desk));
            let (hub, name) = (self.sites[0].me().clone(), self.sites[desk].me().clone());
            for (at, peer) in [(0, name), (desk, hub)] {
                self.sites[at].link_down(old);
                self.sites[at].link_up(new, peer);
            }
        }
        self.deliver();
    }

    /// Delivers until nobody has anything to say.
    fn deliver(&mut self) {
        loop {
            let mut quiet = true;
            for at in 0..self.sites.len() {
                for effect in self.sites[at].end_turn().expect("commits") {
                    quiet = false;
                    let Effect::Send { link, frame } = effect else { panic!("{effect:?}") };
                    if let Frame::Batch(batch) = &frame
                        && at == 1
                    {
                        self.batches += usize::from(!batch.items.is_empty());
                    }
                    let other = if at == 0 { (link.0 % 10) as usize } else { 0 };
                    self.sites[other].frame(link, frame);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn seconds(&mut self, many: u64) {
        for _ in 0..many {
            self.now_ms += 1_000;
            for site in &mut self.sites {
                site.set_now(self.now_ms);
                site.tick();
            }
            self.deliver();
        }
    }

    /// The hub ends in good order and starts again on what it left.
    fn restart_hub(&mut self, (disk, views): (MemoryDisk, MemoryViews), quota: u64) {
        self.sites.remove(0).close().expect("closes");
        let mut hub = open_on((disk, views), "d/s/-/hub", None, 7, quota);
        hub.set_now(self.now_ms);
        self.sites.insert(0, hub);
        self.connect();
    }

    fn taken(&self) -> TakenToday {
        self.sites[0].taken_today(&peer("d/s/c/a"))
    }

    /// The hub holds what a desk holds of its community.
    fn has_all(&self, desk: usize) -> bool {
        let community = self.sites[desk].me().community.clone().expect("a desk");
        [Space::Open(community.clone()), Space::Sealed(community)]
            .iter()
            .all(|space| self.sites[0].held(space).digest == self.sites[desk].held(space).digest)
    }
}

/// A desk's link after so many connections.
fn link_of(connections: u64, desk: usize) -> LinkId {
    LinkId(connections * 10 + desk as u64)
}

fn written_many(site: &mut TestSite, many: usize) -> Vec<EntryId> {
    let title = |nth| json!({"title": format!("第{nth}号路灯不亮"), "phone": "13900000000"});
    (0..many).map(|nth| written(add(site, "issue", title(nth)))).collect()
}

/// The first desk has written too much, and everybody is connected.
fn street() -> (Street, (MemoryDisk, MemoryViews)) {
    let store = (MemoryDisk::default(), MemoryViews::default());
    let mut hub = open_on(store.clone(), "d/s/-/hub", None, 1, QUOTA);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/e/a")]);
    let sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/e/a", Some(ring()), 3)];
    let mut street = Street { sites, links: 0, now_ms: NOW_MS, batches: 0 };
    written_many(street.site(1), ISSUES);
    written_many(street.site(2), 3);
    street.connect();
    (street, store)
}

#[test]
fn a_desk_over_its_quota_is_put_off_and_nobody_else_waits() {
    let (mut street, _) = street();
    street.seconds(5);
    assert!(street.has_all(2) && !street.has_all(1));
    let taken = street.taken();
    assert!(taken.put_off && taken.bytes > QUOTA / 2 && taken.bytes <= QUOTA, "{taken:?}");
    let kinds: Vec<&str> = street
        .site(0)
        .take_troubles()
        .iter()
        .map(|trouble| match trouble {
            BooksTrouble::NearQuota { .. } => "near",
            BooksTrouble::PutOff { .. } => "put off",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["near", "put off"]);
    let Answer::Status(status) = street.site(1).ask(Ask::Status {}) else { panic!("status") };
    assert!(status.unsent > 0, "what is put off is not delivered");
    assert!(status.links.iter().any(|link| link.resting && !link.agreed), "{:?}", status.links);

    let before = street.batches;
    written_many(street.site(2), 1);
    street.seconds(2 * u64::from(REST_SECONDS_MAX));
    assert!(street.has_all(2));
    let asked = street.batches - before;
    // Two rests in each of two spaces, and each may end in this while.
    assert!((2..=6).contains(&asked), "{asked} batches in twenty minutes");
    assert_eq!(street.taken(), taken);
    assert!(street.site(0).take_troubles().is_empty(), "it is said once");
}

#[test]
fn what_was_put_off_arrives_on_the_days_that_follow() {
    let (mut street, _) = street();
    let mut days = 0;
    while !street.has_all(1) {
        assert!(street.taken().put_off && days < 6, "day {days}: {:?}", street.taken());
        days += 1;
        street.now_ms += DAY_MS;
        street.seconds(u64::from(REST_SECONDS_MAX) + 30);
        assert!(street.taken().bytes <= QUOTA);
    }
    assert!(days >= 1);
    street.seconds(5);
    for site in &mut street.sites {
        let status = site.standings();
        assert!(status.iter().all(|s| s.agreed && s.unsent == 0 && !s.resting), "{status:?}");
        assert_eq!(site.books().unsent(), 0);
    }
}

#[test]
fn a_restart_keeps_the_count_and_a_higher_limit_takes_the_rest_at_once() {
    let (mut street, store) = street();
    let (taken, held) = (street.taken(), street.sites[0].held(&Space::Open(community())));
    street.restart_hub(store.clone(), QUOTA);
    street.seconds(10);
    assert_eq!(street.taken(), taken);
    assert_eq!(street.sites[0].held(&Space::Open(community())), held);
    let Answer::Status(status) = street.site(1).ask(Ask::Status {}) else { panic!("status") };
    assert!(status.unsent > 0, "also after a link that began anew");
    street.restart_hub(store, 0);
    street.seconds(5);
    assert!(street.has_all(1) && !street.taken().put_off);
}

/// A hub that takes so much from a desk in a day, and changes the desk has for it.
fn hub_and_changes(quota: impl Fn(&[Item]) -> usize) -> (TestSite, Vec<Item>) {
    let mut desk = open("d/s/c/a", Some(ring()), 2);
    written_many(&mut desk, 4);
    let items = items(&mut desk, &Space::Open(community()));
    let store = (MemoryDisk::default(), MemoryViews::default());
    let mut hub = open_on(store, "d/s/-/hub", None, 1, quota(&items) as u64);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    (hub, items)
}

/// Room for any one of them, and for no two.
fn longest(items: &[Item]) -> usize {
    items.iter().map(|item| item.bytes.len()).max().expect("some changes")
}

fn admit(hub: &mut TestSite, item: &Item) -> Admission {
    hub.books().admit(&Space::Open(community()), &peer("d/s/c/a"), item)
}

#[test]
fn a_clock_that_is_set_back_gives_no_second_quota() {
    let (mut hub, items) = hub_and_changes(longest);
    assert_eq!(admit(&mut hub, &items[0]), Admission::Taken);
    for day in [0, 1, 0, 1, 0] {
        hub.set_now(NOW_MS - day * DAY_MS);
        assert_eq!(admit(&mut hub, &items[1]), Admission::Later(REST_SECONDS_MAX), "{day}");
    }
    let tomorrow = (NOW_MS / DAY_MS + 1) * DAY_MS;
    hub.set_now(tomorrow - 9_500);
    assert_eq!(admit(&mut hub, &items[1]), Admission::Later(10));
    hub.set_now(tomorrow);
    assert_eq!(admit(&mut hub, &items[1]), Admission::Taken);
}

#[test]
fn a_clock_that_was_years_ahead_puts_nobody_off_for_years() {
    let (mut hub, items) = hub_and_changes(longest);
    hub.set_now(NOW_MS + TWENTY_YEARS_MS);
    assert_eq!(admit(&mut hub, &items[0]), Admission::Taken);
    hub.set_now(NOW_MS);
    for _ in 0..DAY_MS / 1_000 - 1 {
        hub.tick();
    }
    assert_eq!(admit(&mut hub, &items[1]), Admission::Later(REST_SECONDS_MAX));
    hub.tick();
    assert_eq!(admit(&mut hub, &items[1]), Admission::Taken);
}

#[test]
fn what_is_refused_counts_and_what_is_known_does_not() {
    let (mut hub, items) = hub_and_changes(|items| 9 * longest(items));
    let bytes = |hub: &TestSite| hub.taken_today(&peer("d/s/c/a")).bytes;
    let junk = Item { bytes: vec![7; items[0].bytes.len()].into(), ..items[0].clone() };
    assert!(matches!(admit(&mut hub, &junk), Admission::Refused(_)));
    let refused = items[0].bytes.len() as u64;
    assert_eq!(bytes(&hub), refused);
    assert_eq!(admit(&mut hub, &items[0]), Admission::Taken);
    assert_eq!(admit(&mut hub, &items[0]), Admission::Known);
    assert_eq!(bytes(&hub), 2 * refused);
    // Nor does anything count against a desk that did not send it.
    let other = hub.books().admit(&Space::Open(community()), &peer("d/s/c/b"), &items[1]);
    assert_eq!(other, Admission::Taken);
    assert_eq!(bytes(&hub), 2 * refused);
}

#[test]
fn a_desk_puts_nobody_off() {
    let (_, items) = hub_and_changes(|_| 0);
    let store = (MemoryDisk::default(), MemoryViews::default());
    let mut desk = open_on(store, "d/s/c/b", Some(ring()), 4, 1);
    let space = Space::Open(community());
    let a = linli_replica::frame::AuthorGrant {
        space: space.clone(),
        author: peer("d/s/c/a").author(),
        name: "d/s/c/a".to_owned(),
    };
    desk.books().grant(&[a]);
    for item in &items {
        assert_eq!(desk.books().admit(&space, &peer("d/s/c/a"), item), Admission::Taken);
        assert_eq!(desk.taken_today(&peer("d/s/c/a")), TakenToday::default());
    }
}

#[test]
fn what_is_small_does_not_slip_past_what_was_put_off() {
    let sorted = |items: &[Item]| {
        let mut sorted = items.to_vec();
        sorted.sort_by_key(|item| item.bytes.len());
        sorted
    };
    let (mut hub, items) = hub_and_changes(|items| {
        let sorted = sorted(items);
        sorted[0].bytes.len() + sorted[1].bytes.len()
    });
    let sorted = sorted(&items);
    let (small, middle, large) = (&sorted[0], &sorted[1], &sorted[sorted.len() - 1]);
    assert!(large.bytes.len() > small.bytes.len());
    assert_eq!(admit(&mut hub, middle), Admission::Taken);
    assert_eq!(admit(&mut hub, large), Admission::Later(REST_SECONDS_MAX));
    assert_eq!(admit(&mut hub, small), Admission::Later(REST_SECONDS_MAX));
    hub.set_now(NOW_MS + DAY_MS);
    assert_eq!(admit(&mut hub, small), Admission::Taken);
}
