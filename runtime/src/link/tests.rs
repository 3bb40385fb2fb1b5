//! Links over real sockets on this machine.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::hlc::Hlc;
use linli_domain::id::{ChangeHash, CommunityId, EntryId, EpochId, PeerName, Space};
use linli_proto::v1::{self, envelope, replication_client::ReplicationClient};
use linli_replica::frame::{Batch, Hello, Item};
use linli_replica::limits::BATCH_ITEMS_MAX;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use super::*;
use crate::authority::{Authority, Identity, MachineKey};
use crate::dial::LinkState;
use crate::enrol::Registry;
use crate::limits::{CONNECTIONS_PER_PEER_MAX, MESSAGE_BYTES_MAX};
use crate::serve::{Door, Terms, serve};
use crate::street::{DAY, Events, NOW, Street, fixed};
use crate::tls::{Census, Expect, channel_over, client_config, connect, enrolling_config};

fn hello(now: u64) -> Frame {
    Frame::Hello(Hello { epoch: EpochId([3; 16]), now: Hlc(now), spaces: vec![] })
}

fn batch(items: usize, change: &[u8]) -> Frame {
    let change = Bytes::copy_from_slice(change);
    let items = (0..items)
        .map(|at| Item {
            entry: EntryId::new("issue", &format!("i{at}")).unwrap(),
            hash: ChangeHash([at as u8; 32]),
            bytes: change.clone(),
            keys: Vec::new(),
        })
        .collect();
    let space = Space::Open(CommunityId::parse("anping").unwrap());
    let held = Digest::default();
    Frame::Batch(Batch { space, to: None, number: 1, items, last: false, held })
}

fn name(text: &str) -> PeerName {
    PeerName::parse(text).unwrap()
}

/// A channel to the hub as any program that has these credentials could make it.
async fn raw_channel(street: &Street, identity: Option<&Identity>) -> Channel {
    let config = if let Some(identity) = identity {
        client_config(identity, Expect::Hub, &street.clock()).unwrap()
    } else {
        let fingerprint = street.registrar.authority().fingerprint();
        enrolling_config(fingerprint, &street.clock()).unwrap()
    };
    let dialled = connect(&street.address(), config, Arc::default()).await.unwrap();
    channel_over(dialled.stream).await.unwrap()
}

#[tokio::test]
async fn frames_travel_both_ways_between_named_peers() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    let mut dialled = street.dial(desk.enrolled.identity);
    let (desk_link, hub, to_hub) = dialled.events.up().await;
    to_hub.try_send(hello(1)).unwrap();
    let (hub_link, peer, to_desk) = street.events.up().await;
    assert_eq!(hub, name("jiangbei/hongqi/-/hub"));
    assert_eq!(peer, name("jiangbei/hongqi/anping/desk1"));
    to_desk.try_send(batch(200, &[7; 300])).unwrap();
    match street.events.next().await {
        LinkEvent::Frame { link, frame, .. } => assert_eq!((link, frame), (hub_link, hello(1))),
        other => panic!("{other:?}"),
    }
    match dialled.events.next().await {
        LinkEvent::Frame { link, frame, .. } => {
            assert_eq!((link, frame), (desk_link, batch(200, &[7; 300])));
        }
        other => panic!("{other:?}"),
    }
    assert!(street.links.traffic().received() > 0);
    // Whoever lets go of the sender closes the link, for both.
    drop(to_hub);
    assert_eq!(dialled.events.down().await, DownReason::LetGo);
    assert_eq!(street.events.down().await, DownReason::PeerClosed);
    assert!(matches!(to_desk.try_send(hello(2)), Err(SendRefused::Gone)));
}

#[tokio::test]
async fn either_side_may_let_go() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    let mut dialled = street.dial(desk.enrolled.identity);
    let (_, _, _to_hub) = dialled.events.up().await;
    drop(street.events.up().await);
    assert_eq!(street.events.down().await, DownReason::LetGo);
    assert_eq!(dialled.events.down().await, DownReason::PeerClosed);
}

#[tokio::test]
async fn a_link_needs_a_certificate() {
    let street = Street::open().await;
    let mut client = ReplicationClient::new(raw_channel(&street, None).await);
    let refused = client.link(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let street = Street::open().await;
    let other = Street::open().await;
    let stranger = other.desk("anping", "desk1").await.enrolled.identity;
    // The stranger trusts our hub, but our hub does not know who made its certificate.
    let key = MachineKey::generate().unwrap();
    let forged = other
        .registrar
        .authority()
        .issue(stranger.peer(), &key.request().unwrap(), 60, NOW)
        .unwrap();
    let ours = street.registrar.authority().certificate().clone();
    let mut dialled = street.dial(Identity::new(key, forged, ours).unwrap());
    // A connection that is reset may take the alert with it; the desk dials again and hears the next.
    let mut told = Vec::new();
    while told.len() < 5 && !matches!(told.last(), Some(DownReason::Refused { .. })) {
        let (_, _, _to_hub) = dialled.events.up().await;
        told.push(dialled.events.down().await);
    }
    let refused = told.pop();
    assert!(matches!(refused, Some(DownReason::Refused { .. })), "{refused:?}");
    assert!(told.iter().all(|told| matches!(told, DownReason::Lost { .. })), "{told:?}");
    assert_eq!(street.registrar.registry().list(), []);
}

#[tokio::test]
async fn a_hub_must_be_the_hub_and_not_a_desk() {
    let street = Street::open().await;
    let desk = street.desk("anping", "desk1").await.enrolled.identity;
    let impostor = street.desk("anping", "desk2").await.enrolled.identity;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (links, _events) = Links::new();
    let door = Door {
        identity: fixed(impostor),
        registry: Registry::in_memory(),
        registrar: None,
        links,
        clock: street.clock(),
        census: Census::default(),
        terms: Terms::default(),
    };
    let serving = serve(listener, door).unwrap();
    let address = serving.address().to_string();
    let dialled = street.dial_to(address, Expect::Hub, desk);
    let waiting = dialled.status(|status| status.state == LinkState::Waiting).await;
    let error = waiting.last_error.unwrap();
    assert!(error.contains("is not the machine it should be"), "{error}");
}

#[tokio::test]
async fn two_desks_of_a_community_link_without_the_hub() {
    let street = Street::open().await;
    let left = street.desk("anping", "desk1").await.enrolled.identity;
    let right = street.desk("anping", "desk2").await.enrolled.identity;
    let foreign = street.desk("xingfu", "desk1").await.enrolled.identity;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (links, events) = Links::new();
    let door = Door {
        identity: fixed(left),
        registry: Registry::in_memory(),
        registrar: None,
        links,
        clock: street.clock(),
        census: Census::default(),
        terms: Terms::default(),
    };
    let serving = serve(listener, door).unwrap();
    let anping = CommunityId::parse("anping").unwrap();
    let expect = Expect::Desk(anping);
    let address = serving.address().to_string();
    let mut dialled = street.dial_to(address.clone(), expect, right);
    let (_, peer, _to_left) = dialled.events.up().await;
    assert_eq!(peer, name("jiangbei/hongqi/anping/desk1"));
    let (_, peer, _to_right) = Events(events).up().await;
    assert_eq!(peer, name("jiangbei/hongqi/anping/desk2"));
    // A desk that looks for its own neighbours does not take these for them.
    let xingfu = CommunityId::parse("xingfu").unwrap();
    let strange = street.dial_to(address, Expect::Desk(xingfu), foreign);
    let refused = strange.status(|status| status.last_error.is_some()).await.last_error.unwrap();
    assert!(refused.contains("is not the machine it should be"), "{refused}");
}

#[tokio::test]
async fn revocation_closes_a_live_link_and_keeps_it_closed() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    let other = street.desk("anping", "desk2").await;
    let mut bystander = street.dial(other.enrolled.identity);
    let (_, _, other_to_hub) = bystander.events.up().await;
    let (other_link, _, _to_other) = street.events.up().await;
    let mut dialled = street.dial(desk.enrolled.identity);
    let (_, _, _to_hub) = dialled.events.up().await;
    let (_, desk_name, _to_desk) = street.events.up().await;

    assert!(street.registrar.registry().revoke(&desk_name, NOW).unwrap());
    assert_eq!(street.events.down().await, DownReason::Revoked);
    // Others are not concerned.
    other_to_hub.try_send(hello(1)).unwrap();
    match street.events.next().await {
        LinkEvent::Frame { link, .. } => assert_eq!(link, other_link),
        other => panic!("{other:?}"),
    }
    let told = dialled.events.down().await;
    assert!(matches!(told, DownReason::Refused { .. }), "{told:?}");

    // It dials again and is refused in the handshake, after a restart of the hub as well.
    for _ in 0..2 {
        dialled.dialling.hurry();
        let (_, _, _to_hub) = dialled.events.up().await;
        let told = dialled.events.down().await;
        assert_eq!(told, DownReason::Refused { why: "CertificateRevoked".to_owned() });
        street.restart().await;
    }
}

#[tokio::test]
async fn a_revoked_machine_is_refused_at_the_call_even_with_a_live_connection() {
    let street = Street::open().await;
    let desk = street.desk("anping", "desk1").await.enrolled.identity;
    let channel = raw_channel(&street, Some(&desk)).await;
    // The connection is there; no call was made on it yet.
    street.registrar.registry().revoke(desk.peer(), NOW).unwrap();
    let refused = ReplicationClient::new(channel).link(tokio_stream::pending()).await.unwrap_err();
    assert!(
        matches!(refused.code(), Code::PermissionDenied | Code::Unknown | Code::Unavailable),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_ends_closes_the_link_and_renews() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    street.time.store(NOW + 61 * DAY, Ordering::SeqCst);
    let mut client =
        ReplicationClient::new(raw_channel(&street, Some(&desk.enrolled.identity)).await);
    let refused = client.link(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");

    let hub = street.address();
    let clock = street.clock();
    let renewed = crate::enrol::renew(&desk.enrolled, &hub, desk.dir.path(), &clock).await.unwrap();
    assert_eq!(renewed.peer(), desk.enrolled.identity.peer());
    assert_eq!(renewed.leaf().not_after, NOW + 121 * DAY);
    let loaded = crate::enrol::load(desk.dir.path()).unwrap().unwrap();
    assert_eq!(loaded.identity.leaf(), renewed.leaf());
    let record = street.registrar.registry().record(renewed.peer()).unwrap();
    assert_eq!(record.serial, renewed.leaf().serial);
    assert!(record.founding);

    let mut dialled = street.dial(renewed);
    let (_, _, _to_hub) = dialled.events.up().await;
    street.events.up().await;
}

#[tokio::test]
async fn a_certificate_that_ended_long_ago_cannot_even_renew() {
    let street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    street.time.store(NOW + (60 + 181) * DAY, Ordering::SeqCst);
    let hub = street.address();
    let renewed = crate::enrol::renew(&desk.enrolled, &hub, desk.dir.path(), &street.clock()).await;
    assert!(renewed.is_err());
    assert_eq!(
        street.registrar.registry().record(desk.enrolled.identity.peer()).unwrap().serial,
        desk.enrolled.identity.leaf().serial
    );
}

#[tokio::test]
async fn a_clock_that_is_years_behind_does_not_keep_a_desk_out() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    // Every clock of the street is set back, the hub's and the desk's.
    street.time.store(NOW - 3_650 * DAY, Ordering::SeqCst);
    let mut dialled = street.dial(desk.enrolled.identity);
    let (_, _, _to_hub) = dialled.events.up().await;
    street.events.up().await;
}

#[tokio::test]
async fn a_message_or_frame_beyond_the_bounds_closes_the_link() {
    let body = |bytes: usize| v1::Envelope {
        version: 1,
        frame: Some(envelope::Frame::Batch(v1::Batch {
            space: "community/anping/open".to_owned(),
            plain_len: bytes as u32,
            body: vec![0; bytes].into(),
            held: vec![0; 40].into(),
            ..Default::default()
        })),
    };
    let parts = v1::Envelope {
        version: 1,
        frame: Some(envelope::Frame::Hello(v1::Hello {
            spaces: vec![v1::SpaceState::default(); 20_000],
            ..Default::default()
        })),
    };
    let items = wire::encode(batch(BATCH_ITEMS_MAX + 1, b"x"));
    let too_many =
        WireError::TooMany { what: "items", count: BATCH_ITEMS_MAX + 1, max: BATCH_ITEMS_MAX };
    for (envelope, error) in [
        (body(MESSAGE_BYTES_MAX), WireError::Message),
        (parts, WireError::Message),
        (items, too_many),
        (body(100), WireError::Malformed { what: "body" }),
    ] {
        let mut street = Street::open().await;
        let desk = street.desk("anping", "desk1").await.enrolled.identity;
        let mut client = ReplicationClient::new(raw_channel(&street, Some(&desk)).await);
        let sent = tokio_stream::once(envelope).chain(tokio_stream::pending());
        let mut answers = client.link(sent).await.unwrap().into_inner();
        let (_, _, _to_desk) = street.events.up().await;
        assert_eq!(street.events.down().await, DownReason::Broken(error));
        // The sender is told, so that its people can find out.
        let told = answers.message().await.unwrap_err();
        assert_eq!(told.code(), Code::InvalidArgument, "{told:?}");
    }
}

#[tokio::test]
async fn one_connection_carries_one_link_and_one_machine_few_connections() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await.enrolled.identity;
    let mut client = ReplicationClient::new(raw_channel(&street, Some(&desk)).await);
    let _first = client.link(tokio_stream::pending()).await.unwrap();
    let (first_link, _, _to_desk) = street.events.up().await;
    let second = client.link(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(second.code(), Code::ResourceExhausted);

    let mut more = Vec::new();
    for _ in 1..CONNECTIONS_PER_PEER_MAX {
        let mut client = ReplicationClient::new(raw_channel(&street, Some(&desk)).await);
        let link = client.link(tokio_stream::pending()).await.unwrap();
        more.push((client, link, street.events.up().await));
    }
    // The next one takes the place of the oldest, and of no other.
    let mut beyond = ReplicationClient::new(raw_channel(&street, Some(&desk)).await);
    let _link = beyond.link(tokio_stream::pending()).await.unwrap();
    let (mut up, mut down) = (0, 0);
    while up + down < 2 {
        match street.events.next().await {
            LinkEvent::Up { .. } => up += 1,
            LinkEvent::Down { link, .. } => {
                assert_eq!(link, first_link);
                down += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((up, down), (1, 1));
    // Others are not concerned.
    let other = street.desk("anping", "desk2").await.enrolled.identity;
    let mut client = ReplicationClient::new(raw_channel(&street, Some(&other)).await);
    client.link(tokio_stream::pending()).await.unwrap();
}

#[tokio::test]
async fn a_dialled_link_comes_back_after_the_hub_restarts() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    let mut dialled = street.dial(desk.enrolled.identity);
    let (first, _, _to_hub) = dialled.events.up().await;
    let (_, _, _to_desk) = street.events.up().await;

    street.restart().await;
    assert_eq!(street.events.down().await, DownReason::ShuttingDown);
    let lost = dialled.events.down().await;
    assert!(matches!(lost, DownReason::Lost { .. }), "{lost:?}");

    let (_, peer, _to_desk) = street.events.up().await;
    assert_eq!(peer, name("jiangbei/hongqi/anping/desk1"));
    let up = dialled
        .status(|status| matches!(&status.state, LinkState::Up { link, .. } if *link != first))
        .await;
    assert_eq!(up.last_attempt, Some(NOW));
    assert_eq!(up.last_success, Some(NOW));
    assert_eq!(up.last_error, None);
}

#[tokio::test]
async fn a_dialler_that_is_stopped_dials_no_more() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    let mut dialled = street.dial(desk.enrolled.identity);
    let (_, _, _to_hub) = dialled.events.up().await;
    let (_, _, _to_desk) = street.events.up().await;
    let status = dialled.dialling.status();
    dialled.dialling.stop().await;
    assert_eq!(status.borrow().state, LinkState::Stopped);
    assert_eq!(dialled.events.down().await, DownReason::ShuttingDown);
    assert_eq!(street.events.down().await, DownReason::PeerClosed);
}

#[tokio::test]
async fn a_full_queue_gives_the_frame_back_and_tells_when_there_is_room() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await;
    let mut dialled = street.dial(desk.enrolled.identity);
    let (link, _, to_hub) = dialled.events.up().await;
    let (_, _, _to_desk) = street.events.up().await;
    // Nobody reads at the hub, so that its queue, then the network, then ours fill up.
    let mut noise = 1_u64;
    let change: Vec<u8> = (0..1_000)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 33) as u8
        })
        .collect();
    let mut sent = 0;
    let full = loop {
        match to_hub.try_send(batch(400, &change)) {
            Ok(()) => sent += 1,
            Err(SendRefused::Full(frame)) => break frame,
            Err(SendRefused::Gone) => panic!("the link is gone"),
        }
        // Let the connection draw what it can.
        tokio::task::yield_now().await;
        assert!(sent < 10_000, "the queues never fill");
    };
    assert_eq!(*full, batch(400, &change));

    let mut received = 0;
    while received < sent {
        match street.events.next().await {
            LinkEvent::Frame { frame, .. } => {
                assert_eq!(frame, *full);
                received += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(dialled.events.next().await, LinkEvent::Room { link: with } if with == link));
    to_hub.try_send(*full).unwrap();
}

#[tokio::test]
async fn an_authority_that_is_not_the_hubs_own_proves_nothing() {
    // A hub enrolled with a district shows the district's authority, but speaks for its own.
    let district = Street::open_as("jiangbei/-/-/district").await;
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = Authority::create(dir.path(), &name("jiangbei/hongqi/-/hub"), NOW).unwrap();
    let pinned = enrolling_config(elsewhere.fingerprint(), &district.clock()).unwrap();
    let reached = connect(&district.address(), pinned, Arc::default()).await;
    assert!(matches!(reached, Err(crate::tls::ConnectError::Stranger { .. })));
}
