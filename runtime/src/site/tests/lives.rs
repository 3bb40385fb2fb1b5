//! Two machines on copies of one disk: the hub goes on with the one it has read, also after it has
//! lost its views, and with an honest machine whatever becomes of its own.

use linli_domain::id::CommunityId;
use linli_replica::engine::{Effect, LinkId, OTHER_LIFE};
use linli_store::disk::MemoryDisk;
use linli_store::views::MemoryViews;
use serde_json::json;

use super::{TestSite, add, open_on, peer, ring, written};

const HUB: &str = "d/s/-/hub";
const DESK: &str = "d/s/c/a";

fn hub(disk: &MemoryDisk) -> TestSite {
    // Views of its own each time: its cursors are gone with the old ones.
    let mut hub = open_on((disk.clone(), MemoryViews::default()), HUB, None, 1, 0);
    hub.host(&[CommunityId::parse("c").expect("slug")]);
    hub.enrolled(&[peer(DESK)]);
    hub.end_second_lives();
    hub
}

/// A desk whose program knows nothing of second lives.
fn desk(disk: &MemoryDisk, seed: u8) -> TestSite {
    open_on((disk.clone(), MemoryViews::default()), DESK, Some(ring()), seed, 0)
}

/// A link until both are quiet; true if the hub has ended it for the sake of another machine.
fn call(hub: &mut TestSite, desk: &mut TestSite) -> bool {
    let link = LinkId(1);
    let (hub_name, desk_name) = (hub.me().clone(), desk.me().clone());
    hub.link_up(link, desk_name);
    desk.link_up(link, hub_name);
    let mut ended = false;
    for round in 0..100 {
        for effect in hub.end_turn().expect("commits") {
            match effect {
                Effect::Send { frame, .. } => desk.frame(link, frame),
                Effect::Close { reason, .. } => ended = reason == OTHER_LIFE,
            }
        }
        for effect in desk.end_turn().expect("commits") {
            let Effect::Send { frame, .. } = effect else { panic!("{effect:?}") };
            hub.frame(link, frame);
        }
        if round % 10 == 9 {
            hub.tick();
            desk.tick();
        }
    }
    hub.link_down(link);
    desk.link_down(link);
    ended
}

#[test]
fn a_hub_goes_on_with_the_machine_it_has_read_also_without_its_views() {
    let (hub_disk, disk) = (MemoryDisk::default(), MemoryDisk::default());
    let (mut at_hub, mut first) = (hub(&hub_disk), desk(&disk, 2));
    written(add(&mut first, "issue", json!({"title": "lamp"})));
    assert!(!call(&mut at_hub, &mut first));
    let copied = disk.copy();
    written(add(&mut first, "issue", json!({"title": "door"})));
    assert!(!call(&mut at_hub, &mut first), "the same machine again");

    let mut second = desk(&copied, 3);
    assert!(call(&mut at_hub, &mut second), "an older end than was read");
    assert_eq!(at_hub.books().doubled().count(), 1);
    assert!(at_hub.books().second_life().is_none());
    at_hub.end_turn().expect("commits");
    drop(at_hub);
    let mut at_hub = hub(&hub_disk);
    assert_eq!(at_hub.books().doubled().count(), 1, "it is noted");
    assert!(call(&mut at_hub, &mut second), "what was read is noted, too");
    written(add(&mut first, "issue", json!({"title": "gate"})));
    assert!(!call(&mut at_hub, &mut first));
    let held = |site: &TestSite| site.books.heads().map(|(_, head)| head.digest.count).sum::<u64>();
    assert_eq!(held(&at_hub), held(&first), "the first goes on as before");

    // One that lost its views is no other machine.
    drop(first);
    assert!(!call(&mut at_hub, &mut desk(&disk, 4)));
    // Nor is one that the operator goes on with.
    assert!(at_hub.accept_life(DESK).is_ok() && at_hub.accept_life(DESK).is_err());
    assert!(!call(&mut at_hub, &mut second));
    assert_eq!(held(&at_hub), held(&second), "it has what the first one wrote");
}
