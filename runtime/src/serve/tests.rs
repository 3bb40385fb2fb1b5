//! What a server does to callers that are slow, too many, too old or not what they say, over real
//! sockets on this machine.

mod cells;
mod flow;

use std::sync::atomic::Ordering;
use std::time::Duration;

use linli_domain::id::{CommunityId, MachineId, PeerName};
use linli_proto::v1::{EnrolReply, EnrolRequest, RenewReply};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Request};

use super::*;
use crate::dial::LinkState;
use crate::enrol::{Renewal, Standing, keep_fresh};
use crate::limits::{CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX, ENROLMENTS_MAX, RENEWAL_DAYS};
use crate::link::DownReason;
use crate::street::{DAY, NOW, Street, fixed};
use crate::tls::{Expect, channel_over, client_config, connect, enrolling_config};

const HUB: &str = "jiangbei/hongqi/-/hub";
/// Nothing here takes this long unless it never ends.
const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let terms = Terms { handshake: SOON, ..Terms::default() };
    let street = Street::open_on(HUB, terms).await;
    let mut silent = TcpStream::connect(street.address()).await.unwrap();
    let read = timeout(PATIENCE, silent.read(&mut [0; 16])).await.expect("it is closed");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    street.desk("anping", "desk1").await;
}

#[tokio::test]
async fn a_call_that_is_never_finished_is_ended() {
    let terms = Terms { call: SOON, ..Terms::default() };
    let street = Street::open_on(HUB, terms).await;
    let fingerprint = street.registrar.authority().fingerprint();
    let config = enrolling_config(fingerprint, &street.clock()).unwrap();
    let dialled = connect(&street.address(), config, Arc::default()).await.unwrap();
    let mut client = tonic::client::Grpc::new(channel_over(dialled.stream).await.unwrap());
    client.ready().await.unwrap();
    // The headers come, and the message never does.
    let codec = tonic_prost::ProstCodec::<EnrolRequest, EnrolReply>::default();
    let path = "/linli.v1.Enrolment/Enrol".parse().unwrap();
    let endless = Request::new(tokio_stream::pending());
    let ended = timeout(PATIENCE, client.client_streaming(endless, path, codec)).await;
    let told = ended.expect("an end").unwrap_err();
    assert!(matches!(told.code(), Code::DeadlineExceeded | Code::Cancelled), "{told:?}");
}

#[tokio::test]
async fn enrolments_beyond_their_places_are_told_to_come_again() {
    let street = Street::open().await;
    let registry = street.registrar.registry().clone();
    let me = PeerName::parse(HUB).unwrap();
    let desk = Arc::new(EnrolmentDesk::new(me, registry, street.registrar.clone()));
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let busy: Vec<_> = (0..ENROLMENTS_MAX)
        .map(|_| {
            let (desk, held) = (desk.clone(), held.clone());
            tokio::spawn(async move {
                desk.work("desk".into(), move |_| {
                    // Ends once the sender is gone.
                    let _ = held.lock().map(|held| held.recv());
                    Err(crate::enrol::NotIssued::Revoked)
                })
                .await
            })
        })
        .collect();
    while desk.free_places() > 0 {
        tokio::task::yield_now().await;
    }
    let late = desk.work("desk".into(), |_| Err(crate::enrol::NotIssued::Revoked));
    let shed = timeout(PATIENCE, late).await.expect("an answer while all places are taken");
    assert_eq!(shed.unwrap_err().code(), Code::ResourceExhausted);
    drop(hold);
    for one in busy {
        assert_eq!(one.await.unwrap().unwrap_err().code(), Code::PermissionDenied);
    }
    let free = desk.work("desk".into(), |_| Err(crate::enrol::NotIssued::Revoked)).await;
    assert_eq!(free.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn strangers_of_one_address_do_not_shut_out_machines() {
    let street = Street::open().await;
    let desk = street.desk("anping", "desk1").await.enrolled.identity;
    let fingerprint = street.registrar.authority().fingerprint();
    let config = enrolling_config(fingerprint, &street.clock()).unwrap();
    let mut strangers = Vec::new();
    for _ in 0..CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX + 4 {
        let dialled = connect(&street.address(), config.clone(), Arc::default()).await.unwrap();
        strangers.push(dialled.stream);
    }
    let mut closed = 0;
    for stream in &mut strangers {
        // Those that stay get the settings of HTTP/2 and nothing else.
        let mut byte = [0; 1];
        closed +=
            usize::from(!matches!(timeout(PATIENCE, stream.read(&mut byte)).await, Ok(Ok(1))));
    }
    assert_eq!(closed, 4);
    let mut dialled = street.dial(desk);
    dialled.events.up().await;
}

#[tokio::test]
async fn an_old_link_is_replaced_before_it_ends() {
    let mut street = Street::open().await;
    let desk = street.desk("anping", "desk1").await.enrolled.identity;
    let mut dialled = street.dial_for(street.address(), Expect::Hub, desk, SOON);
    let mut states = dialled.dialling.status();
    let (mut last, _, mut _to_hub) = dialled.events.up().await;
    states.wait_for(|status| matches!(status.state, LinkState::Up { .. })).await.unwrap();
    let gaps = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (seen, mut watching) = (gaps.clone(), states.clone());
    // A wait lasts for fifty milliseconds at least: it would be seen.
    let watch = tokio::spawn(async move {
        while watching.changed().await.is_ok() {
            let up = matches!(watching.borrow_and_update().state, LinkState::Up { .. });
            seen.fetch_add(usize::from(!up), Ordering::SeqCst);
        }
    });
    for round in 0..3 {
        let reason = dialled.events.down().await;
        assert_eq!(reason, DownReason::Aged, "round {round}");
        let (next, _, sender) = dialled.events.up().await;
        assert_ne!(next, last);
        (last, _to_hub) = (next, sender);
        assert_eq!(states.borrow_and_update().last_error, None);
    }
    assert_eq!(gaps.load(Ordering::SeqCst), 0, "no gap is shown");
    watch.abort();
    street.events.up().await;
}

#[tokio::test]
async fn a_server_ends_links_that_nobody_replaces() {
    let terms = Terms { link_age: SOON, grace: SOON, ..Terms::default() };
    let mut street = Street::open_on(HUB, terms).await;
    let desk = street.desk("anping", "desk1").await.enrolled.identity;
    let mut dialled = street.dial(desk);
    let _to_hub = dialled.events.up().await;
    let _to_desk = street.events.up().await;
    assert_eq!(street.events.down().await, DownReason::Aged);
    let told = dialled.events.down().await;
    assert!(matches!(told, DownReason::Lost { .. }), "{told:?}");
    // And it comes back.
    dialled.events.up().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let street = Street::open().await;
    let listening = street.desk("anping", "desk1").await;
    let caller = street.desk("anping", "desk2").await.enrolled.identity;
    let (keep, identity) = watch::channel(Arc::new(listening.enrolled.identity));
    let mut news = keep.subscribe();
    let door = Door {
        identity,
        registry: Registry::in_memory(),
        registrar: None,
        links: street.links.clone(),
        clock: street.clock(),
        census: Census::default(),
        terms: Terms::default(),
    };
    let serving = serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), door).unwrap();
    let expect = Expect::Desk(CommunityId::parse("anping").unwrap());
    let config = client_config(&caller, expect, &street.clock()).unwrap();
    let address = serving.address().to_string();
    let shown =
        async || connect(&address, config.clone(), Arc::default()).await.unwrap().leaf.serial;
    let before = shown().await;
    assert_eq!(before, news.borrow().leaf().serial);

    // Not due: the loop looks, and leaves it.
    let renewal = Renewal {
        dir: listening.dir.path().to_owned(),
        hub: street.address(),
        clock: street.clock(),
        look_every: Duration::from_millis(5),
    };
    let renewing = tokio::spawn(keep_fresh(renewal, keep));
    assert_eq!(shown().await, before);
    // A certificate that has less than thirty days left is due.
    let due = NOW + (60 - u64::from(RENEWAL_DAYS)) * DAY;
    street.time.store(due, Ordering::SeqCst);
    timeout(PATIENCE, news.changed()).await.expect("a renewal").unwrap();
    let fresh = news.borrow_and_update().leaf().clone();
    assert_eq!(fresh.not_after, due + 60 * DAY);
    assert_ne!(fresh.serial, before);
    assert_eq!(shown().await, fresh.serial);
    let kept = crate::enrol::load(listening.dir.path()).unwrap().unwrap();
    assert_eq!(kept.identity.leaf().serial, fresh.serial);
    // It is not renewed again and again, and once more when it is due again.
    street.time.store(due + 10 * DAY, Ordering::SeqCst);
    assert_eq!(shown().await, fresh.serial);
    street.time.store(due + 61 * DAY, Ordering::SeqCst);
    timeout(PATIENCE, news.changed()).await.expect("a late renewal").unwrap();
    renewing.abort();
}

#[tokio::test]
async fn who_breaks_the_rules_over_and_over_gets_no_link_for_a_while() {
    let mut street = Street::open().await;
    let bad = street.desk("anping", "desk1").await.enrolled.identity;
    let good = street.desk("anping", "desk2").await.enrolled.identity;
    let name = bad.peer().clone();
    let mut breaches = 0;
    let told = loop {
        let channel = cells::channel(&street.address(), cells::config(&street, Some(&bad))).await;
        let mut client = linli_proto::v1::replication_client::ReplicationClient::new(channel);
        let junk = linli_proto::v1::Envelope {
            version: 1,
            frame: Some(linli_proto::v1::envelope::Frame::Batch(linli_proto::v1::Batch {
                space: "community/anping/open".to_owned(),
                plain_len: 100,
                body: vec![0; 100].into(),
                held: vec![0; 40].into(),
                ..Default::default()
            })),
        };
        match client.link(tokio_stream::once(junk)).await {
            Ok(_link) => {
                let _to_desk = street.events.up().await;
                let reason = street.events.down().await;
                assert!(matches!(reason, DownReason::Broken(_)), "{reason:?}");
                breaches += 1;
            }
            Err(told) => break told,
        }
        assert!(breaches < 100, "nothing is done about it");
    };
    assert_eq!(told.code(), Code::ResourceExhausted, "{told:?}");
    let known = street.links.conduct().of(&name).unwrap();
    assert_eq!((known.breaches, known.slowed), (breaches, true));
    assert_eq!(street.registrar.registry().standing(&name), Standing::Good);
    let mut dialled = street.dial(good);
    dialled.events.up().await;
    street.events.up().await;
}
