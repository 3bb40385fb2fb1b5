//! Edits over links that are replaced all the time.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::ask::{Answer, Ask};
use crate::daemon::Handle;
use crate::dial::{Dial, dial};

const EDITS: usize = 150;

async fn digest(handle: &Handle) -> Option<String> {
    let Answer::Digests { digests } = handle.ask(Ask::Digests {}).await else { panic!("digests") };
    let anping = CommunityId::parse("anping").unwrap();
    digests.get(&linli_domain::id::Space::Open(anping)).cloned()
}

#[tokio::test]
async fn nothing_is_lost_while_links_replace_one_another() {
    let mut street = Street::open().await;
    let enrolled = street.desk("anping", "desk1").await.enrolled;
    let events = std::mem::replace(&mut street.events.0, tokio::sync::mpsc::channel(1).1);
    let (hub, _hub_ended) = cells::machine(&PeerName::parse(HUB).unwrap(), events);
    hub.enrolled(vec![enrolled.identity.peer().clone()], vec![]).await;
    let (links, events) = Links::new();
    let (desk, _desk_ended) = cells::machine(enrolled.identity.peer(), events);
    let dialling = dial(Dial {
        address: street.address(),
        expect: Expect::Hub,
        identity: fixed(enrolled.identity),
        registry: crate::enrol::Registry::in_memory(),
        links,
        clock: street.clock(),
        link_age: Duration::from_millis(20),
    });
    let mut states = dialling.status();
    let mut seen = std::collections::BTreeSet::new();
    for nth in 0..EDITS {
        let fields = BTreeMap::from([("title".to_owned(), json!(format!("灯{nth}")))]);
        let ask = Ask::Add { kind: "issue".into(), id: None, fields };
        let answer = desk.ask(ask).await;
        assert!(matches!(answer, Answer::Written { .. }), "{answer:?}");
        // Until the next link: edits fall into every phase of a link's life.
        if nth % 10 == 9 {
            let next = |status: &crate::dial::LinkStatus| match &status.state {
                LinkState::Up { link, .. } => !seen.contains(link),
                _ => false,
            };
            let status = timeout(PATIENCE, states.wait_for(next)).await.expect("a link").unwrap();
            if let LinkState::Up { link, .. } = &status.state {
                seen.insert(*link);
            }
        }
    }
    assert_eq!(seen.len(), EDITS / 10);
    let wanted = digest(&desk).await;
    assert!(wanted.is_some());
    let agreed = async {
        while digest(&hub).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE * 3, agreed).await.expect("the hub has every edit");
}
