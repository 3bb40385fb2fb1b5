//! Desks that dial each other: one link is enough, and none is kept to who is shut out.

use linli_domain::id::CommunityId;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::limits::LINK_AGE;
use crate::serve::{Door, Terms, serve};
use crate::street::{Events, Street, fixed};
use crate::tls::Census;

/// Nothing here takes this long unless it never happens.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_desk_that_is_linked_is_left_alone_and_one_that_is_shut_out_is_let_go() {
    let street = Street::open().await;
    let left = street.desk("anping", "desk1").await.enrolled.identity;
    let right = street.desk("anping", "desk2").await.enrolled.identity;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (theirs, _their_events) = Links::new();
    let door = Door {
        identity: fixed(left),
        registry: Registry::in_memory(),
        registrar: None,
        links: theirs,
        clock: street.clock(),
        census: Census::default(),
        terms: Terms::default(),
    };
    let serving = serve(listener, door).unwrap();
    let ((links, events), registry) = (Links::new(), Registry::in_memory());
    let plan = Dial {
        address: serving.address().to_string(),
        expect: Expect::Desk(CommunityId::parse("anping").unwrap()),
        identity: fixed(right),
        registry: registry.clone(),
        links: links.clone(),
        clock: street.clock(),
        link_age: LINK_AGE,
    };
    let mut events = Events(events);
    let first = dial(plan.clone());
    let (_, peer, _frames) = events.up().await;
    assert!(links.stands(&peer));
    let second = dial(plan);
    let mut status = second.status();
    let left_alone = |status: &LinkStatus| {
        status.last_error.as_ref().is_some_and(|why| why.contains("there is a link already"))
    };
    timeout(PATIENCE, status.wait_for(left_alone)).await.expect("in time").unwrap();
    first.stop().await;
    assert_eq!(events.down().await, DownReason::ShuttingDown);
    let (_, _, _frames) = events.up().await;
    registry.shut_out([peer.clone()].into());
    assert_eq!(events.down().await, DownReason::Revoked);
    let shut_out = |status: &LinkStatus| {
        status.last_error.as_ref().is_some_and(|why| why.contains("was shut out"))
    };
    timeout(PATIENCE, status.wait_for(shut_out)).await.expect("in time").unwrap();
    assert!(!links.stands(&peer));
}
